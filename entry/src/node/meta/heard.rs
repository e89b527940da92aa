//! What other entries say of their sessions and subscriptions, told to those who listen here; and what they are told.

use std::sync::Arc;

use vixen_broker::api::SessionInfo;
use vixen_broker::dealer::Link;
use vixen_broker::delivery::{self, Change, Note};
use vixen_broker::meta::{HeardEvent, HearingEffects, HearingInput, OwnSide, session_of};
use vixen_core::time::WallTime;

use super::super::run::{Effects, EntryNode};
use super::Event;

impl EntryNode {
    pub(in crate::node) fn step_hearing(
        &mut self,
        now: WallTime,
        input: HearingInput,
        fx: &mut Effects,
    ) {
        let mut of_hearing = HearingEffects::default();
        let Self { hearing, meta, delivery, .. } = self;
        hearing.step(&OwnSide { meta, delivery }, input, &mut of_hearing);
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
            (self.delivery.hears_meta(&info.realm), self.hearing.tells(&info.realm));
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

    /// Others learn where somebody listens here, and what has changed in this turn.
    pub(in crate::node) fn settle_hearing(&mut self, now: WallTime, fx: &mut Effects) {
        if !self.delivery.meta_realms().eq(&self.listens) {
            self.listens = self.delivery.meta_realms().cloned().collect();
            let realms = self.listens.clone();
            self.step_hearing(now, HearingInput::Hears { realms }, fx);
        }
        for owner in fx.calls.ended_lives() {
            self.step_hearing(now, HearingInput::Gone { owner }, fx);
        }
        let changes = fx.delivery.notes.iter().filter_map(|note| match note {
            Note::Changed(change) if self.hearing.tells(change.realm()) => Some(change.clone()),
            _ => None,
        });
        for change in changes.collect::<Vec<_>>() {
            let found = self.delivery.details(change.realm(), change.subscription());
            let created = found.map_or(now, |(_, created)| created);
            self.step_hearing(now, HearingInput::Changed { created, change }, fx);
        }
        if self.hearing.is_behind() || self.hearing.has_changes() {
            let mut of_hearing = HearingEffects::default();
            let rooms = self.entry_rooms();
            let room = |link: Link| {
                let found = rooms.iter().find(|(of, _)| *of == link);
                found.map_or(0, |(_, room)| *room)
            };
            let own = OwnSide { meta: &self.meta, delivery: &self.delivery };
            self.hearing.flush(&own, room, &mut of_hearing);
            self.settle_heard(now, of_hearing, fx);
        }
    }

    /// What those who listen here hear of a change here.
    pub(in crate::node) fn heard_here(&self, now: WallTime, change: &Change) -> Option<Event> {
        let realm = change.realm();
        let is_elsewhere = || self.hearing.is_elsewhere(realm, change.subscription());
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
