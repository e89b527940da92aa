//! What a turn of the core owes: to nodes, to sessions, to metrics.

use std::collections::BTreeMap;

use vixen_broker::api::{Outgoing, Sent, SessionId};
use vixen_broker::delivery;
use vixen_core::id::{NdbId, Position};
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use super::calls::OWN_SESSION;
use super::meta::of_registrations;
use super::run::{Client, Effects, EntryNode};
use crate::metrics::Levels;

impl EntryNode {
    /// Does what the steps owe.
    pub(super) fn settle(&mut self, now: WallTime, fx: Effects) {
        let Effects { segmenter, delivery, mut meta, mut calls, .. } = fx;
        let registrations = calls.take_changes();
        self.deciders.note(&registrations);
        self.deciders.note_leaving(&calls.take_leaving());
        self.settle_calls(calls);
        let mut by_node: BTreeMap<NdbId, Vec<Message>> = BTreeMap::new();
        for (to, message) in segmenter.sends.into_iter().chain(delivery.sends) {
            by_node.entry(to).or_default().push(message);
        }
        for (to, messages) in by_node {
            self.ndb.send_all(to, messages);
        }
        self.give_room_back(segmenter.permits);
        meta.extend(of_registrations(&registrations, |realm| self.delivery.hears_meta(realm)));
        let mut told_meta = Vec::new();
        for meta in meta {
            let event = meta.event(&mut self.meta_numbers);
            self.delivery.router_event(&event, &mut told_meta);
        }
        let outgoing = segmenter.outgoing.into_iter().chain(delivery.outgoing).chain(told_meta);
        self.tell_all(now, outgoing);
        self.metrics.pattern_steps.increment(delivery.steps as u64);
        self.note_moves(&segmenter.notes);
        segmenter.notes.into_iter().for_each(|note| self.note_segmenter(note));
        delivery.notes.into_iter().for_each(|note| self.note_delivery(note));
        let position = self.reader.as_ref().map_or(0, |reader| reader.next_position().0);
        self.metrics.levels(&Levels {
            unresolved_segments: self.segmenter.unresolved(),
            unacknowledged_bytes: self.segmenter.unacknowledged_bytes(),
            position,
            tail_lag: self.tail_lag(position),
            subscriptions: self.delivery.subscriptions(),
            patterns: self.delivery.patterns(),
            interest_bytes: self.delivery.interest_bytes(),
        });
    }

    /// Hands everything to its session. One that has no room for events gets none of this turn's
    /// any more, and is left out from there on.
    fn tell_all(&mut self, now: WallTime, outgoing: impl Iterator<Item = (SessionId, Outgoing)>) {
        let mut lagging: BTreeMap<SessionId, Position> = BTreeMap::new();
        for (session, outgoing) in outgoing {
            if session == OWN_SESSION {
                self.calls.follow.tell(outgoing);
                continue;
            }
            // One that is gone wants no answer.
            let Some(Client { outbound, .. }) = self.sessions.get(&session) else { continue };
            match outgoing {
                Outgoing::Events(batch) => {
                    let is_left_out = lagging.contains_key(&session);
                    if !is_left_out && outbound.send_events(&batch) == Sent::Queued {
                        continue;
                    }
                    // Events that are not stored are lost to it: they are of the moment.
                    if let Some(first) = batch.first_position() {
                        lagging.entry(session).or_insert(first);
                    }
                }
                Outgoing::Lagging { from, subscriptions } => {
                    self.metrics.slow_sessions.increment(1);
                    // It may have missed something before.
                    let from = lagging.get(&session).map_or(from, |missed| from.min(*missed));
                    outbound.send(Outgoing::Lagging { from, subscriptions });
                }
                Outgoing::Refused { request, kind, error } => {
                    if let Some(limit) = error.limit() {
                        self.metrics.subscription_refused(limit);
                    }
                    outbound.send(Outgoing::Refused { request, kind, error });
                }
                other => outbound.send(other),
            }
        }
        for (session, from) in lagging {
            self.metrics.slow_sessions.increment(1);
            tracing::debug!(session = session.0, %from, "session lags: it goes on from the store");
            let mut fx = delivery::Effects::default();
            self.step_delivery(now, delivery::Input::Lag { session, from }, &mut fx);
            if let Some(Client { outbound, .. }) = self.sessions.get(&session) {
                fx.outgoing.into_iter().for_each(|(_, outgoing)| outbound.send(outgoing));
            }
        }
    }

    /// Positions by which the slowest tail is behind `position`; 0 where nobody listens.
    fn tail_lag(&self, position: u64) -> u64 {
        if self.delivery.subscriptions() == 0 {
            return 0;
        }
        let nexts = self.delivery.tails().filter_map(|tail| tail.next);
        nexts.map(|next| position.saturating_sub(next.0)).max().unwrap_or(0)
    }
}
