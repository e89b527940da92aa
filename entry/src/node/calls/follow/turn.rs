//! What a turn of the entry does for the view: it is given all that has come for it, and what it writes is published.

use std::sync::Arc;

use tokio::sync::TryAcquireError;
use tokio::time::Instant;

use vixen_broker::api::{Outgoing, SubscribeMode};
use vixen_broker::client::{Ask, Effects as ClientEffects};
use vixen_broker::{delivery, segmenter};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_views::follower::Input;

use super::super::super::run::{Effects, EntryNode};
use super::super::Calls;
use super::{Came, OWN_SESSION, PATIENCE, ViewEvent, WAITS, Waiting};

impl Calls {
    /// All else is there: the view is begun with. What it waits for, if clients are kept out for it alone: for the first
    /// time they are, and not for long.
    pub(in crate::node) fn keeps_out(&mut self, now: Instant) -> Option<Arc<str>> {
        self.follow.may_begin = true;
        let waits_for = self.registrar.waits_for();
        let since = *self.follow.keeps_out_since.get_or_insert(now);
        if waits_for.is_none() || now.saturating_duration_since(since) >= PATIENCE {
            self.follow.keeps_out_since = None;
            return None;
        }
        waits_for
    }
}

impl EntryNode {
    /// Takes what a task of the entry's own reader has brought.
    pub(in crate::node) fn on_view(&mut self, event: ViewEvent, fx: &mut Effects) {
        let follow = &mut self.calls.follow;
        let mut inputs = Vec::new();
        match event.0 {
            Came::Read(outcome) => {
                follow.is_reading = false;
                let mut of_client = ClientEffects::default();
                follow.client.on_read(outcome, &mut of_client);
                follow.take(of_client, &mut inputs);
            }
            Came::Earlier(page) => follow.take_earlier(page, &mut inputs),
            Came::Room => (follow.waits_for_room, follow.is_paid) = (false, true),
        }
        self.calls.step_view(inputs, &mut fx.calls);
    }

    /// Gives the view all that has come for it, and the order what it writes.
    pub(in crate::node) fn settle_view(&mut self, now: WallTime, fx: &mut Effects) {
        if self.calls.follow.may_begin && !self.calls.follow.has_begun {
            self.calls.follow.has_begun = true;
            self.calls.step_view(vec![Input::Begin], &mut fx.calls);
        }
        loop {
            self.take_own(fx);
            self.take_incoming(fx);
            self.calls.follow.begin_reads(Instant::now());
            self.want_waits();
            let asks = std::mem::take(&mut self.calls.follow.asks);
            if asks.is_empty() {
                break;
            }
            for ask in asks {
                self.ask_delivery(now, ask, fx);
            }
        }
        self.tell_progress(fx);
        self.settle_complete(now, fx);
        self.publish_records(now, fx);
        self.note_view_ready();
    }

    /// What this turn's steps have for session 0 goes by no queue.
    fn take_own(&mut self, fx: &mut Effects) {
        let of_delivery = fx.delivery.outgoing.extract_if(.., |(to, _)| *to == OWN_SESSION);
        let of_segmenter = fx.segmenter.outgoing.extract_if(.., |(to, _)| *to == OWN_SESSION);
        self.calls.follow.incoming.extend(of_delivery.chain(of_segmenter).map(|(_, told)| told));
    }

    fn take_incoming(&mut self, fx: &mut Effects) {
        loop {
            let follow = &mut self.calls.follow;
            if follow.client.is_blocked() {
                return;
            }
            let Some(outgoing) = follow.incoming.pop_front() else { return };
            match outgoing {
                Outgoing::Subscribed { request: WAITS, subscription, .. } => {
                    follow.waiting = Waiting::Held(subscription);
                }
                Outgoing::Unsubscribed { request: WAITS }
                | Outgoing::Refused { request: WAITS, .. } => {}
                outgoing => {
                    let (mut of_client, mut inputs) = (ClientEffects::default(), Vec::new());
                    follow.client.on_outgoing(outgoing, &mut of_client);
                    follow.take(of_client, &mut inputs);
                    self.calls.step_view(inputs, &mut fx.calls);
                }
            }
        }
    }

    /// Whether somebody here waits for what others register, or for what is taken out.
    pub(in crate::node) fn calls_are_awaited(&self) -> bool {
        self.calls.is_awaited() || self.removals.is_waiting()
    }

    /// Says so.
    fn want_waits(&mut self) {
        let is_awaited = self.calls_are_awaited();
        let follow = &mut self.calls.follow;
        match (is_awaited, follow.waiting) {
            (true, Waiting::No) if follow.has_begun => {
                let (pattern, mode) = (TopicPattern::waits(), SubscribeMode::Live);
                follow.asks.push(Ask::Subscribe { request: WAITS, pattern, mode });
                follow.waiting = Waiting::Asked;
            }
            (false, Waiting::Held(subscription)) => {
                follow.asks.push(Ask::Unsubscribe { request: WAITS, subscription });
                follow.waiting = Waiting::No;
            }
            (true | false, Waiting::No | Waiting::Asked) | (true, Waiting::Held(_)) => {}
        }
    }

    fn ask_delivery(&mut self, now: WallTime, ask: Ask, fx: &mut Effects) {
        let session = OWN_SESSION;
        let input = match ask {
            Ask::Subscribe { request, pattern, mode } => {
                let origin = self.calls.follow.client.info().origin;
                delivery::Input::Subscribe { session, origin, request, pattern, mode }
            }
            Ask::Join { join, subscriptions } => {
                delivery::Input::Join { session, join, subscriptions }
            }
            Ask::Unsubscribe { request, subscription } => {
                delivery::Input::Unsubscribe { session, request, subscription }
            }
            // It is callee of nothing.
            Ask::LeaveRegistration { .. } | Ask::HideRegistration { .. } => return,
        };
        self.step_delivery(now, input, &mut fx.delivery);
    }

    /// Tells the view how far it has been given everything.
    fn tell_progress(&mut self, fx: &mut Effects) {
        if !self.calls.follow.is_live() {
            return;
        }
        let mut inputs = Vec::new();
        if let Some(wanted) = self.calls.follow.wanted.as_mut().filter(|one| !one.has_joined) {
            wanted.has_joined = true;
            inputs.push(Input::Joined);
        }
        let below = self.delivery.passed().unwrap_or_default();
        if below > self.calls.follow.passed
            && let Some(reader) = &self.reader
        {
            self.calls.follow.passed = below;
            let at = reader.frontier().delivered().wall_time();
            inputs.push(Input::Passed { below, at });
        }
        self.calls.step_view(inputs, &mut fx.calls);
    }

    /// Hands records to the segmenter, as far as the entry has room for them.
    fn publish_records(&mut self, now: WallTime, fx: &mut Effects) {
        let follow = &mut self.calls.follow;
        if follow.waits_for_room {
            return;
        }
        let all = self.options.limits.entry_unacknowledged_bytes_max;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while let Some(publish) = follow.unsent.pop_front() {
            let counted = publish.counted_bytes();
            if !std::mem::take(&mut follow.is_paid) {
                // One that is larger than all the room waits for all of it.
                let permits = u32::try_from(counted.min(all)).unwrap_or(u32::MAX);
                match self.room.try_acquire_many(permits) {
                    Ok(room) => room.forget(),
                    Err(TryAcquireError::Closed) => return,
                    Err(TryAcquireError::NoPermits) => {
                        follow.unsent.push_front(publish);
                        follow.waits_for_room = true;
                        let room = Arc::clone(&self.room);
                        follow.come_back(async move {
                            if let Ok(room) = room.acquire_many_owned(permits).await {
                                // What is published gives it back.
                                room.forget();
                            }
                            Came::Room
                        });
                        break;
                    }
                }
            }
            self.owed_room += counted.saturating_sub(all);
            bytes += counted;
            messages.push(publish);
        }
        if !messages.is_empty() {
            follow.client.on_handed_over(messages.len(), bytes);
            let input = segmenter::Input::Publish { session: OWN_SESSION, messages };
            self.step_segmenter(now, input, &mut fx.segmenter);
        }
    }

    /// Says so where the entry has become ready with the view, or does not wait for it any longer.
    fn note_view_ready(&mut self) {
        let Some(since) = self.calls.follow.keeps_out_since else { return };
        if self.calls.registrar.is_ready() || since.elapsed() >= PATIENCE {
            self.tell_readiness();
            // Something else may keep them out by now.
            self.calls.follow.keeps_out_since = None;
        }
    }
}
