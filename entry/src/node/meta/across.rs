//! What callers ask of sessions and subscriptions, put to all linked entries; and what those ask here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::api::SessionId;
use vixen_broker::api::calls::MetaError;
use vixen_broker::dealer::{Link, MetaResult};
use vixen_broker::meta::{
    self, About, Ask, Asker, Done, Hearing, Procedure, Question, Reply, SurveyEffects, SurveyInput,
    Surveys,
};
use vixen_core::time::WallTime;
use vixen_core::wire::{CallMessage, MetaQuestion, MetaReply};

use super::super::calls::CallEffects;
use super::super::run::{Effects, EntryNode};
use super::bidden::Bidden;
use super::metrics;
use super::words::told;

/// What an id takes in a queue.
const ID_BYTES: usize = size_of::<u64>();

/// What this entry and others ask and tell each other.
pub(in crate::node) struct Across {
    /// What they are asked.
    pub(super) surveys: Surveys,
    /// What they tell and are told.
    pub(in crate::node) hearing: Hearing,
    /// What they may have this one do.
    bidden: Bidden,
    /// Which of the realms in which somebody listens here they were told of.
    pub(super) realms_version: u64,
    /// Those who listen here hear more of what is still to be told from then on.
    pub(super) tell_at: Option<Instant>,
}

impl Across {
    /// Nobody is there.
    pub(in crate::node) fn new() -> Self {
        metrics::describe();
        Self {
            surveys: Surveys::default(),
            hearing: Hearing::default(),
            bidden: Bidden::default(),
            realms_version: 0,
            tell_at: None,
        }
    }

    /// A turn begins, which the loop has come to so late.
    pub(in crate::node) fn turn(&mut self, at: Instant, late: Option<Duration>) {
        self.bidden.turn(at, late);
    }

    /// Something comes again on a link that was silent.
    pub(in crate::node) fn heard_again(&mut self) {
        self.bidden.stood_still(Instant::now());
    }

    /// The next moment at which something is to be done without an event.
    pub(in crate::node) fn due_at(&self) -> Option<Instant> {
        let surveys = self.surveys.timeout_at().map(Instant::from_std);
        surveys.into_iter().chain(self.tell_at).min()
    }
}

impl EntryNode {
    /// Answers by what this entry has and, where others may have more, asks them. `None`: later.
    pub(super) fn ask_all(
        &mut self,
        now: WallTime,
        about: About,
        fx: &mut Effects,
    ) -> Result<Option<MetaResult>, MetaError> {
        let (entries, absent) = if about.is_sayable() {
            self.asked_entries()
        } else {
            // No entry has anything of that id or name.
            (Vec::new(), BTreeSet::new())
        };
        // One that is gone wants no answer.
        let Some(info) = self.info_of(about.asker.session) else { return Ok(None) };
        let from = info.origin;
        if !entries.is_empty() && !self.across.surveys.may_ask(about.asker.session, from) {
            let full = "too many questions to other entries are open: ask again";
            return Err(MetaError::Unavailable(full.into()));
        }
        let About { asker, question, .. } = &about;
        let own =
            question.begins_here().then(|| self.answer_here(now, asker, question.clone(), fx));
        let is_found = about.question.is_of_one_session()
            && own.as_ref().is_some_and(|own| !own.may_be_elsewhere());
        if is_found || entries.is_empty() {
            let missing = if is_found { BTreeSet::new() } else { absent };
            let done = Done { about, own, others: None, missing };
            return self.conclude(done);
        }
        let ask = Ask { about, from, own, entries, absent };
        self.step_surveys(SurveyInput::Ask(Box::new(ask)), &mut fx.calls);
        Ok(None)
    }

    /// What this entry says of its own, and does to them.
    fn answer_here(
        &mut self,
        now: WallTime,
        asker: &Asker,
        question: Question,
        fx: &mut Effects,
    ) -> Reply {
        let mut of_meta = meta::Effects::default();
        let reply = self.meta.answer(asker, question, &self.delivery, &mut of_meta);
        for (session, goodbye) in of_meta.ends {
            self.end_session(now, session, goodbye, fx);
        }
        reply
    }

    /// All answers as one. `None`: later, or nobody waits.
    fn conclude(&mut self, done: Done) -> Result<Option<MetaResult>, MetaError> {
        let Done { about, own, others, missing } = done;
        let About { call, procedure, asker, question } = about;
        let own = own.unwrap_or_else(|| {
            // Those that end sessions have begun here.
            let mut none = meta::Effects::default();
            self.meta.answer(&asker, question, &self.delivery, &mut none)
        });
        let reply = match others {
            Some(others) => own.merge(others),
            None => own,
        };
        let missing: Vec<_> = missing.into_iter().collect();
        if matches!(reply, Reply::NoSuch(_)) && !missing.is_empty() {
            return Err(MetaError::Unanswered(missing));
        }
        match reply {
            Reply::Subscription(details) if procedure == Procedure::GetEvents => {
                self.read_named(call, &asker, &details).map(|()| None)
            }
            reply => {
                let payload = told(procedure, reply)?;
                Ok(Some(MetaResult { payload, about: None, missing }))
            }
        }
    }

    /// Does what is due of questions to others.
    pub(in crate::node) fn on_surveys_due(&mut self, fx: &mut CallEffects) {
        if self.across.surveys.timeout_at().is_some_and(|at| at <= Instant::now().into_std()) {
            self.step_surveys(SurveyInput::Timeout, fx);
        }
    }

    pub(in crate::node) fn step_surveys(&mut self, input: SurveyInput, fx: &mut CallEffects) {
        let mut of_surveys = SurveyEffects::default();
        self.across.surveys.step(Instant::now().into_std(), input, &mut of_surveys);
        for (link, message) in of_surveys.sends {
            self.say_to_entry(link, message);
        }
        for link in of_surveys.misfits {
            self.refuse_entry(link, "an answer that is none to what was asked");
        }
        of_surveys.unanswered.into_iter().for_each(metrics::unanswered);
        for done in of_surveys.done {
            let number = done.about.call;
            if let Some(answer) = self.conclude(done).transpose() {
                self.calls.answered(number, answer, fx);
            }
        }
    }

    /// Another entry asks. What would not fit the link is not looked for, and nothing is done of which it could not be
    /// told, or which it may have given up.
    pub(in crate::node) fn on_asked(
        &mut self,
        now: WallTime,
        link: Link,
        (request, realm, asker): (u64, Arc<str>, u64),
        question: MetaQuestion,
        fx: &mut Effects,
    ) {
        let asker = Asker { realm, session: SessionId(asker) };
        let question = Question::from(question);
        let items = self.meta.items_of(&asker.realm, &question, &self.delivery);
        let is_timely = !question.is_change() || self.across.bidden.may_change(Instant::now());
        let has_room = self.entry_has_room(link, items.saturating_mul(ID_BYTES));
        let looks = self.meta.looks_of(&asker.realm, &question, &self.delivery);
        let bidden = &mut self.across.bidden;
        let mut parts = if is_timely && has_room && bidden.may_look(link.peer, looks) {
            self.answer_here(now, &asker, question, fx).into_parts()
        } else {
            vec![MetaReply::NoRoom]
        };
        let last = parts.pop();
        let parts = parts.into_iter().map(|part| (part, false));
        for (reply, is_last) in parts.chain(last.map(|last| (last, true))) {
            let message = CallMessage::MetaAnswer { request, reply, is_last };
            // A topic may be longer here than others take it.
            let message = if message.is_sayable() {
                message
            } else {
                CallMessage::MetaAnswer { request, reply: MetaReply::NoRoom, is_last }
            };
            self.say_to_entry(link, message);
        }
    }
}
