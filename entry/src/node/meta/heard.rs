//! What other entries say of their sessions and subscriptions, told to those who listen here; and what they are told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::api::SessionInfo;
use vixen_broker::dealer::Link;
use vixen_broker::delivery::{self, Change, Note};
use vixen_broker::meta::{HeardEvent, HearingEffects, HearingInput, OwnSide, session_of};
use vixen_core::time::WallTime;

use super::super::run::{Effects, EntryNode};
use super::{Event, metrics};

/// Events of what lists have brought, and of entries that are gone, are made some at a time: those who listen have room
/// for so many, and time to read them.
const EVENTS_AT_ONCE: usize = 256;
const EVENTS_EVERY: Duration = Duration::from_millis(10);
/// A part of a list has room where a link takes so many bytes: else many small ones would go. Or an eighth of all that
/// may wait for it, where that is less.
const PART_BYTES_MIN: usize = 64 << 10;

impl EntryNode {
    pub(in crate::node) fn step_hearing(
        &mut self,
        now: WallTime,
        input: HearingInput,
        fx: &mut Effects,
    ) {
        // What has changed here came before it.
        self.note_changes(now, fx);
        self.step_hearing_now(now, input, fx);
    }

    fn step_hearing_now(&mut self, now: WallTime, input: HearingInput, fx: &mut Effects) {
        let mut of_hearing = HearingEffects::default();
        let Self { across, meta, delivery, .. } = self;
        across.hearing.step(&OwnSide { meta, delivery }, input, &mut of_hearing);
        self.settle_heard(now, of_hearing, fx);
    }

    fn settle_heard(&mut self, now: WallTime, of_hearing: HearingEffects, fx: &mut Effects) {
        for (link, message) in of_hearing.sends {
            self.say_to_entry(link, message);
        }
        for link in of_hearing.misfits {
            self.refuse_entry(link, "it listens in more realms than there may be");
        }
        for (realm, is_heard) in of_hearing.heard {
            let input = delivery::Input::HeardElsewhere { realm, is_heard };
            self.step_delivery(now, input, &mut fx.delivery);
        }
        if of_hearing.left_out > 0 {
            metrics::left_out(of_hearing.left_out);
        }
        fx.meta.extend(of_hearing.events.into_iter().filter_map(|event| match event {
            HeardEvent::Joined(realm, session) => Some(Event::joined(&realm, &session)),
            HeardEvent::Left(realm, session) => Some(Event::left(&realm, &session)),
            HeardEvent::Changed(created, change) => Event::changed(created, &change),
        }));
    }

    /// A session of this entry is welcome, or over: who hears of it here, and at other entries.
    pub(in crate::node) fn tell_session(
        &mut self,
        now: WallTime,
        info: &SessionInfo,
        is_over: bool,
        fx: &mut Effects,
    ) {
        if !info.is_announced {
            return;
        }
        let (is_heard, is_told) =
            (self.delivery.hears_meta(&info.realm), self.across.hearing.tells(&info.realm));
        if !is_heard && !is_told {
            return;
        }
        let session = session_of(info);
        if is_heard {
            let made = if is_over { Event::left } else { Event::joined };
            fx.meta.push(made(&info.realm, &session));
        }
        let realm = Arc::clone(&info.realm);
        self.step_hearing(now, HearingInput::Session { realm, session, is_over }, fx);
    }

    /// What has changed of subscriptions here since the last look: those who listen here and at other entries are told.
    /// Whether somebody was the first or the last to have one is so for what other entries had said by then.
    fn note_changes(&mut self, now: WallTime, fx: &mut Effects) {
        while let Some(note) = fx.delivery.notes.get(fx.noted) {
            fx.noted += 1;
            let Note::Changed(change) = note else { continue };
            let change = change.clone();
            fx.meta.extend(self.heard_here(now, &change));
            if self.across.hearing.tells(change.realm()) {
                let found = self.delivery.details(change.realm(), change.subscription());
                let created = found.map_or(now, |(_, created)| created);
                self.step_hearing_now(now, HearingInput::Changed { created, change }, fx);
            }
        }
    }

    /// Others learn where somebody listens here, and what has changed in this turn; those who listen here, what is
    /// still to be told.
    pub(in crate::node) fn settle_hearing(&mut self, now: WallTime, fx: &mut Effects) {
        self.note_changes(now, fx);
        if let Some(realms) = self.new_realms() {
            self.step_hearing(now, HearingInput::Hears { realms }, fx);
            metrics::realms_left_out(self.across.hearing.realms_left_out());
        }
        let own = self.options.owner;
        for owner in fx.calls.first_lives().into_iter().filter(|owner| *owner != own) {
            self.step_hearing(now, HearingInput::Began { owner }, fx);
        }
        self.tell_untold(now, fx);
        if self.across.hearing.is_behind() {
            let mut of_hearing = HearingEffects::default();
            let rooms = self.entry_rooms();
            let room = |link: Link| {
                let found = rooms.iter().find(|(of, _)| *of == link);
                found.map_or(0, |(_, room)| *room)
            };
            let own = OwnSide { meta: &self.meta, delivery: &self.delivery };
            let least = PART_BYTES_MIN.min(self.options.limits.link_queue_bytes_max / 8);
            self.across.hearing.flush(&own, least, room, &mut of_hearing);
            self.settle_heard(now, of_hearing, fx);
        }
    }

    /// The realms in which somebody listens here, if others were told of other ones.
    fn new_realms(&mut self) -> Option<BTreeSet<Arc<str>>> {
        let (version, realms) = self.delivery.meta_realms();
        let known = std::mem::replace(&mut self.across.realms_version, version);
        (version != known).then(|| realms.cloned().collect())
    }

    /// Tells those who listen here some of what is still to be told, if it is time.
    fn tell_untold(&mut self, now: WallTime, fx: &mut Effects) {
        let at = Instant::now();
        if self.across.tell_at.is_some_and(|tell_at| at < tell_at) {
            return;
        }
        let Self { across, meta, delivery, calls, .. } = self;
        // Who lives is not known while the view is not ready.
        let is_gone = |owner| calls.is_gone(owner);
        let mut of_hearing = HearingEffects::default();
        if across.hearing.has_untold(is_gone) {
            let own = OwnSide { meta, delivery };
            across.hearing.tell(&own, EVENTS_AT_ONCE, is_gone, &mut of_hearing);
        }
        across.tell_at = across.hearing.has_untold(is_gone).then(|| at + EVENTS_EVERY);
        self.settle_heard(now, of_hearing, fx);
    }

    /// What those who listen here hear of a change here.
    fn heard_here(&self, now: WallTime, change: &Change) -> Option<Event> {
        let realm = change.realm();
        let is_elsewhere = || self.across.hearing.is_elsewhere(realm, change.subscription());
        match change {
            // Somebody at another entry has it.
            Change::Created { .. } | Change::Deleted { .. } if is_elsewhere() => None,
            Change::Created { .. }
            | Change::Deleted { .. }
            | Change::Subscribed { .. }
            | Change::Unsubscribed { .. } => {
                self.delivery.hears_meta(realm).then(|| Event::changed(now, change)).flatten()
            }
        }
    }
}
