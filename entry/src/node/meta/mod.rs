//! What the router itself answers and publishes: procedures and events of `wamp.`.

mod across;
mod bidden;
mod events;
mod heard;
mod metrics;
mod removals;
mod stored;
mod words;

use tokio::time::Instant;

use vixen_broker::api::calls::MetaError;
use vixen_broker::api::{Publish, SessionId};
use vixen_broker::dealer::{MetaCall, MetaResult};
use vixen_broker::meta::{self, About, Asker, Missing, Question, Reply};
use vixen_broker::segmenter;
use vixen_core::id::Position;
use vixen_core::time::WallTime;
use vixen_views::record::RegistrationId;

use super::run::{Effects, EntryNode};
pub(super) use across::Across;
pub(super) use events::{Event, of_registrations};
pub(super) use removals::Removals;
use stored::Events;
pub(super) use stored::Tasks;
use words::{Arguments, Asked, argument, asked, told};

impl EntryNode {
    /// Answers what callers have asked the router itself.
    pub(super) fn answer_meta(&mut self, now: WallTime, fx: &mut Effects) {
        for call in fx.calls.take_meta() {
            let number = call.number;
            // Said and taken back in one breath.
            if fx.calls.is_over(number) {
                continue;
            }
            if let Some(answer) = self.answer(now, call, fx).transpose() {
                self.calls.answered(number, answer, &mut fx.calls);
            }
        }
    }

    /// `None`: later.
    fn answer(
        &mut self,
        now: WallTime,
        MetaCall { number, asker, procedure, payload, testament, rights }: MetaCall,
        fx: &mut Effects,
    ) -> Result<Option<MetaResult>, MetaError> {
        let reply =
            match asked(procedure, &Arguments::of(&payload)?, self.options.limits.topic_bytes_max)?
            {
                Asked::Of(question) => {
                    let about = About { call: number, procedure, asker, question };
                    return self.ask_all(now, about, fx);
                }
                Asked::Registrations(question) => {
                    meta::of_registrations(self.calls.view(), &asker.realm, &question)
                }
                Asked::RemoveCallee { registration, session } => {
                    match self.remove_callee(&asker, registration, session, fx)? {
                        Reply::Done => {
                            self.await_removal(number, RegistrationId(registration), session);
                            return Ok(None);
                        }
                        reply => reply,
                    }
                }
                Asked::Events { subscription, wanted } => {
                    let events = Events { subscription, wanted, rights };
                    let found = self.delivery.details(&asker.realm, subscription);
                    if let Some(pattern) = found.map(|(pattern, _)| pattern.clone()) {
                        return self.read_of(number, &asker, pattern, events).map(|()| None);
                    }
                    // Another entry may know what it is of.
                    self.reads_of_calls.await_topics(number, events);
                    let question = Question::GetSubscription(subscription);
                    let about = About { call: number, procedure, asker, question };
                    return self.ask_all(now, about, fx);
                }
                Asked::AddTestament => {
                    let none = || argument("testaments are left by WAMP sessions");
                    let left = *testament.ok_or_else(none)?;
                    let origin = self.info_of(asker.session).map(|info| info.origin);
                    let of = (asker.session, origin.ok_or_else(none)?);
                    Reply::Count(self.meta.add_testament(of, left, self.owed_room)?)
                }
                Asked::FlushTestaments(scope) => {
                    let flushed = self.meta.flush_testaments(asker.session, scope);
                    Reply::Count(u64::try_from(flushed).unwrap_or(u64::MAX))
                }
            };
        let (about, missing) = (None, Vec::new());
        told(procedure, reply).map(|payload| Some(MetaResult { payload, about, missing }))
    }

    fn remove_callee(
        &mut self,
        asker: &Asker,
        registration: u64,
        session: SessionId,
        fx: &mut Effects,
    ) -> Result<Reply, MetaError> {
        let found = self.calls.view().get(RegistrationId(registration));
        let Some(found) = found.filter(|found| found.pattern.realm == asker.realm) else {
            return Ok(Reply::NoSuch(Missing::Registration(registration)));
        };
        if !found.callees.iter().any(|(_, callee)| callee.session == session.0) {
            return Ok(Reply::NoSuch(Missing::Session(session.0)));
        }
        if let Some(full) = self.calls.cannot_register() {
            return Err(MetaError::Unavailable(full));
        }
        let callee = (Position(registration), session);
        self.calls.remove_callee(&asker.realm, callee, &mut fx.calls);
        Ok(Reply::Done)
    }

    /// A session is over: publishes what it has left for then. Nobody can wait for room, and what is not there is
    /// not given back later.
    pub(super) fn publish_last(&mut self, now: WallTime, session: SessionId, fx: &mut Effects) {
        let messages = self.meta.close(session);
        if messages.is_empty() {
            return;
        }
        let bytes = messages.iter().map(Publish::counted_bytes).sum();
        self.owed_room += bytes - self.room.forget_permits(bytes);
        self.last_words_at = Some(Instant::now());
        let input = segmenter::Input::Publish { session, messages };
        self.step_segmenter(now, input, &mut fx.segmenter);
    }

    /// Gives back the room of messages that are resolved.
    pub(super) fn give_room_back(&mut self, bytes: usize) {
        let owed = self.owed_room.min(bytes);
        self.owed_room -= owed;
        self.room.add_permits(bytes - owed);
    }
}
