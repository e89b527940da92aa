//! Surveys: questions of the router's callers that are put to all linked entries, and their answers as one.
//!
//! ```text
//!   Ask --AskMeta--> each linked entry --MetaAnswer, in parts--> Answered --all, or 500 ms--> Done
//! ```
//! Source: `docs/design/027-calls.md` *Who may, and what the router itself answers*. An entry that has not answered in
//! time, whose link has ended, or who has no room for what it has to say, is named beside the answer.
//!
//! Invariants:
//! - V1: each survey ends once, with its call.
//! - V2: an entry's answer counts whole or not at all.
//! - V3: surveys, and the items that are kept for them, have bounds.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vixen_core::id::OwnerId;
use vixen_core::wire::{CallMessage, MetaReply};

use super::procedure::Procedure;
use super::question::{Question, Reply};
use super::{Asker, Whom};
use crate::api::{Origin, SessionId};
use crate::dealer::{CallNumber, Link};

/// For so long other entries are waited for.
pub const WAIT: Duration = Duration::from_millis(500);
/// Surveys that are open at a time; each has a question open on each link at most.
const OPEN_MAX: usize = 256;
/// Those of one session, of one address and of one site: others can ask while an entry does not answer.
const OF_SESSION_MAX: usize = OPEN_MAX / 4;
const OF_CLIENT_MAX: usize = OPEN_MAX / 2;
const OF_SITE_MAX: usize = OPEN_MAX / 4 * 3;
/// Ids that are kept of answers, of all surveys.
const ITEMS_MAX: usize = 1 << 20;

/// Everything that can happen to surveys.
#[derive(Debug)]
pub enum Input {
    /// A caller asks what others are to be asked. [`Surveys::may_ask`] has said that it may.
    Ask(Box<Ask>),
    /// A part of an answer.
    Answered {
        /// The link that it came on.
        link: Link,
        /// Which question it answers.
        request: u64,
        /// The part.
        reply: MetaReply,
        /// Nothing follows.
        is_last: bool,
    },
    /// A link has ended, and all before it to the same entry, or nothing comes on it.
    Lost {
        /// Which.
        link: Link,
    },
    /// The time of [`Surveys::timeout_at`] came.
    Timeout,
}

/// What is asked.
#[derive(Debug)]
pub struct Ask {
    /// By whom.
    pub about: About,
    /// From where.
    pub from: Origin,
    /// What this entry has answered already; `None`: it is asked at the end.
    pub own: Option<Reply>,
    /// Who is asked, at least one.
    pub entries: Vec<(Link, Arc<str>)>,
    /// Entries that cannot be asked.
    pub absent: BTreeSet<Arc<str>>,
}

/// A call of the router, and what it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The call.
    pub call: CallNumber,
    /// What was called.
    pub procedure: Procedure,
    /// Who calls.
    pub asker: Asker,
    /// What it asks.
    pub question: Question,
}

impl About {
    /// Whether others can be asked it: no session, topic or role has what cannot be said.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        self.message(1).is_sayable()
    }

    /// Whether the first entry that has something of it ends it: it is at one entry, or alike at all.
    #[must_use]
    pub const fn ends_with_first(&self) -> bool {
        self.question.is_of_one_session() || matches!(self.procedure, Procedure::GetEvents)
    }

    fn message(&self, request: u64) -> CallMessage {
        CallMessage::AskMeta {
            request,
            realm: Arc::clone(&self.asker.realm),
            asker: self.asker.session.0,
            question: self.question.clone().into(),
        }
    }
}

/// What others have answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// What was asked.
    pub about: About,
    /// What this entry had answered before.
    pub own: Option<Reply>,
    /// What the others did, as one; `None`: none has.
    pub others: Option<Reply>,
    /// Entries that have not.
    pub missing: BTreeSet<Arc<str>>,
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Questions.
    pub sends: Vec<(Link, CallMessage)>,
    /// Surveys that have ended.
    pub done: Vec<Done>,
    /// Links on which something came that is no answer to what was asked. They are to be ended.
    pub misfits: Vec<Link>,
    /// Entries that did not answer, for metrics.
    pub unanswered: Vec<Unanswered>,
}

/// Why an entry has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unanswered {
    /// Not in time.
    Late,
    /// Its link has ended, or fallen silent.
    Lost,
    /// It had no room for its answer on the link, or there was none here. Or it had stood still, and was to change
    /// something.
    NoRoom,
}

impl Unanswered {
    /// As a label of metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Lost => "lost",
            Self::NoRoom => "no_room",
        }
    }
}

/// An entry that is waited for.
#[derive(Debug)]
struct Waiting {
    /// Of its link.
    number: u64,
    name: Arc<str>,
    /// Parts that have come.
    came: Option<MetaReply>,
}

/// A question that is open.
#[derive(Debug)]
struct Survey {
    ask: Box<Ask>,
    until: Instant,
    waiting: BTreeMap<OwnerId, Waiting>,
    others: Option<Reply>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Surveys {
    /// By request; they end in the order in which they began.
    open: BTreeMap<u64, Survey>,
    last: u64,
    /// Items of parts that have come, and of answers.
    items: usize,
}

impl Surveys {
    /// Whether a session, whose client is there, may put one more question to others.
    #[must_use]
    pub fn may_ask(&self, session: SessionId, from: Origin) -> bool {
        let count = |is_it: &dyn Fn(&Ask) -> bool| {
            self.open.values().filter(|survey| is_it(&survey.ask)).count()
        };
        self.open.len() < OPEN_MAX
            && count(&|ask| ask.about.asker.session == session) < OF_SESSION_MAX
            && count(&|ask| ask.from.client == from.client) < OF_CLIENT_MAX
            && (from.site.is_none() || count(&|ask| ask.from.site == from.site) < OF_SITE_MAX)
    }

    /// Questions that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn timeout_at(&self) -> Option<Instant> {
        self.open.values().next().map(|survey| survey.until)
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, now: Instant, input: Input, fx: &mut Effects) {
        match input {
            Input::Ask(ask) => self.on_ask(now, ask, fx),
            Input::Answered { link, request, reply, is_last } => {
                self.on_answer(link, request, reply, is_last, fx);
            }
            Input::Lost { link } => self.on_lost(link, fx),
            Input::Timeout => self.on_timeout(now, fx),
        }
    }

    fn on_ask(&mut self, now: Instant, mut ask: Box<Ask>, fx: &mut Effects) {
        self.last += 1;
        let request = self.last;
        let mut waiting = BTreeMap::new();
        for (link, name) in std::mem::take(&mut ask.entries) {
            waiting.insert(link.peer, Waiting { number: link.number, name, came: None });
            fx.sends.push((link, ask.about.message(request)));
        }
        self.open.insert(request, Survey { ask, until: now + WAIT, waiting, others: None });
        self.end_if_done(request, fx);
    }

    fn on_answer(
        &mut self,
        link: Link,
        request: u64,
        reply: MetaReply,
        is_last: bool,
        fx: &mut Effects,
    ) {
        if request > self.last {
            return fx.misfits.push(link);
        }
        // Of one that has ended, or that has this entry's answer, or its absence.
        let Some(survey) = self.open.get_mut(&request) else { return };
        let waiting = survey.waiting.get_mut(&link.peer);
        let Some(waiting) = waiting.filter(|waiting| waiting.number == link.number) else { return };
        let outcome = if matches!(reply, MetaReply::NoRoom) {
            Err(Unanswered::NoRoom)
        } else {
            // V3.
            self.items += reply.items();
            match joined(waiting.came.take(), reply) {
                Some(all) => {
                    waiting.came = Some(all);
                    if self.items > ITEMS_MAX { Err(Unanswered::NoRoom) } else { Ok(is_last) }
                }
                None => {
                    fx.misfits.push(link);
                    Err(Unanswered::Lost)
                }
            }
        };
        match outcome {
            Ok(false) => return,
            Ok(true) => {
                let About { asker, question, .. } = &survey.ask.about;
                let came = waiting.came.take();
                match came.and_then(|came| question.reply_of(&asker.realm, came)) {
                    Some(reply) => {
                        survey.waiting.remove(&link.peer);
                        survey.others = Some(match survey.others.take() {
                            Some(before) => before.merge(reply),
                            None => reply,
                        });
                    }
                    None => {
                        fx.misfits.push(link);
                        self.miss(request, link.peer, Unanswered::Lost, fx);
                    }
                }
            }
            Err(why) => self.miss(request, link.peer, why, fx),
        }
        // What it had goes with it.
        self.end_if_done(request, fx);
        self.items = self.counted();
    }

    fn on_lost(&mut self, link: Link, fx: &mut Effects) {
        let is_waiting = |survey: &Survey| {
            survey.waiting.get(&link.peer).is_some_and(|waiting| waiting.number <= link.number)
        };
        let lost = self.open.iter().filter(|(_, survey)| is_waiting(survey));
        for request in lost.map(|(request, _)| *request).collect::<Vec<_>>() {
            self.miss(request, link.peer, Unanswered::Lost, fx);
            self.end_if_done(request, fx);
        }
        self.items = self.counted();
    }

    fn on_timeout(&mut self, now: Instant, fx: &mut Effects) {
        while let Some((request, survey)) = self.open.first_key_value() {
            if now < survey.until {
                break;
            }
            let request = *request;
            for owner in survey.waiting.keys().copied().collect::<Vec<_>>() {
                self.miss(request, owner, Unanswered::Late, fx);
            }
            self.end_if_done(request, fx);
        }
        self.items = self.counted();
    }

    /// V2: what has come of its answer is forgotten.
    fn miss(&mut self, request: u64, owner: OwnerId, why: Unanswered, fx: &mut Effects) {
        let Some(survey) = self.open.get_mut(&request) else { return };
        if let Some(waiting) = survey.waiting.remove(&owner) {
            survey.ask.absent.insert(waiting.name);
            fx.unanswered.push(why);
        }
    }

    /// V1. A survey has ended when nobody is waited for, or what is asked of one thing has been found.
    fn end_if_done(&mut self, request: u64, fx: &mut Effects) {
        let Some(survey) = self.open.get(&request) else { return };
        let is_found = survey.others.as_ref().is_some_and(|reply| is_whole(survey, reply));
        if !survey.waiting.is_empty() && !is_found {
            return;
        }
        if let Some(Survey { ask, others, .. }) = self.open.remove(&request) {
            let Ask { about, own, absent, entries: _, from: _ } = *ask;
            let missing = if is_found { BTreeSet::new() } else { absent };
            fx.done.push(Done { about, own, others, missing });
        }
    }

    fn counted(&self) -> usize {
        self.open.values().map(Survey::items).sum()
    }

    /// Asserts the invariants.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn check(&self) {
        assert!(self.open.len() <= OPEN_MAX && self.items <= ITEMS_MAX, "V3: bounds");
        assert_eq!(self.items, self.counted(), "V3: what is kept is counted");
        assert!(self.open.values().all(|survey| !survey.waiting.is_empty()), "V1: it would end");
        assert!(self.open.keys().all(|request| *request <= self.last));
    }
}

impl Survey {
    fn items(&self) -> usize {
        let came = self.waiting.values().filter_map(|waiting| waiting.came.as_ref());
        let came = came.map(MetaReply::items).sum::<usize>();
        came + self.others.as_ref().map_or(0, Reply::items)
    }
}

/// Whether others need say nothing more: it was found.
fn is_whole(survey: &Survey, reply: &Reply) -> bool {
    survey.ask.about.ends_with_first() && !matches!(reply, Reply::NoSuch(_))
}

/// What has come, and the next part; `None`: they are not of one answer.
fn joined(before: Option<MetaReply>, next: MetaReply) -> Option<MetaReply> {
    Some(match (before, next) {
        (None, next) => next,
        (Some(MetaReply::Ids(mut ids)), MetaReply::Ids(more)) => {
            ids.extend(more);
            MetaReply::Ids(ids)
        }
        (
            Some(MetaReply::Lists { mut exact, mut prefix, mut wildcard }),
            MetaReply::Lists { exact: more_exact, prefix: more_prefix, wildcard: more_wildcard },
        ) => {
            exact.extend(more_exact);
            prefix.extend(more_prefix);
            wildcard.extend(more_wildcard);
            MetaReply::Lists { exact, prefix, wildcard }
        }
        (Some(_), _) => return None,
    })
}

impl Question {
    /// Whether it is of one session, which is at one entry.
    #[must_use]
    pub const fn is_of_one_session(&self) -> bool {
        match self {
            Self::GetSession(_)
            | Self::Kill { whom: Whom::Session(_), .. }
            | Self::ModifyDetails(..) => true,
            Self::CountSessions(_)
            | Self::ListSessions(_)
            | Self::Kill { .. }
            | Self::ListSubscriptions
            | Self::LookupSubscription { .. }
            | Self::MatchSubscriptions(_)
            | Self::GetSubscription(_)
            | Self::ListSubscribers(_)
            | Self::CountSubscribers(_) => false,
        }
    }

    /// Whether something is done for it: whoever was told that an entry did not answer must not find it done later.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Kill { .. } | Self::ModifyDetails(..) => true,
            Self::CountSessions(_)
            | Self::ListSessions(_)
            | Self::GetSession(_)
            | Self::ListSubscriptions
            | Self::LookupSubscription { .. }
            | Self::MatchSubscriptions(_)
            | Self::GetSubscription(_)
            | Self::ListSubscribers(_)
            | Self::CountSubscribers(_) => false,
        }
    }

    /// Whether this entry answers it before others are asked: it is of one session, or ends some.
    #[must_use]
    pub const fn begins_here(&self) -> bool {
        self.is_of_one_session() || matches!(self, Self::Kill { .. })
    }
}
