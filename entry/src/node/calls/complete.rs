//! Complete: up to when the view has all that was placed.
//!
//! Two want to know. A call of which the view knows nobody: somebody may have been told REGISTERED at another entry a
//! moment ago. And whoever invokes one that holds a procedure alone: the procedure may be another's by now (a lease).
//! The sync nodes are asked how far anything goes that anybody may have been told of, as for a read of what is stored
//! up to the end (`history::End`), and the view has to come as far. It is one question for all that want to know.
//! Without a quorum calls go by the view as it is, and nobody gets a lease.
//!
//! Source: `docs/design/027-calls.md`, *Complete up to a moment*.

use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::dealer::{self, CallNumber};
use vixen_broker::history::{End, Verdict};
use vixen_core::id::{Position, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::time::WallTime;
use vixen_core::wire::{FeedMessage, Message};

use super::super::run::{Effects, EntryNode};
use super::CallEffects;

/// Questions of this kind have numbers from here on: others have others.
const FIRST_QUESTION: u64 = 1 << 61;

/// Nobody waits for the view longer than this: the time of the question, and 100 ms in which a feed comes that nobody
/// has waited for.
const PATIENCE: Duration = Duration::from_millis(350);

/// See the module.
#[derive(Debug)]
pub(in crate::node) struct Completeness {
    end: End<u64>,
    /// Number of the last question.
    number: u64,
    /// Who wants the next one.
    wanted: Who,
    under_way: Option<Question>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Who {
    misses: bool,
    lease: bool,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    /// Calls up to this one.
    misses: Option<CallNumber>,
    asked_at: Instant,
    /// The view is to come so far.
    place: Option<Position>,
}

impl Completeness {
    pub(super) fn new(membership: &Membership) -> Self {
        let end = End::numbered_from(FIRST_QUESTION, membership);
        Self { end, number: 0, wanted: Who::default(), under_way: None }
    }

    /// How far a sync node has come, as it was asked.
    pub(in crate::node) fn reached(&mut self, from: SyncId, request: u64, stamp: Stamp) {
        self.end.answered(from, request, stamp);
    }

    /// When there is something to do without an event, by the clock of the order.
    pub(in crate::node) fn timeout_at(&self) -> Option<WallTime> {
        self.end.timeout_at()
    }

    /// The same, for what waits for the view.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let over = self.under_way.map(|question| question.asked_at + PATIENCE);
        over.or_else(|| self.is_wanted().then(Instant::now))
    }

    const fn is_wanted(&self) -> bool {
        self.wanted.misses || self.wanted.lease
    }

    /// Takes what the dealer wants to know. A lease can have its answer of a question that is under way.
    pub(super) fn want(&mut self, fx: &mut CallEffects) {
        self.wanted.misses |= std::mem::take(&mut fx.dealer.is_asking);
        self.wanted.lease |= std::mem::take(&mut fx.dealer.is_asking_lease);
        self.wanted.lease &= self.under_way.is_none();
    }

    /// Begins a question, if one is wanted and none is under way.
    fn begin(&mut self, now: WallTime, last: CallNumber) {
        if self.is_wanted() && self.under_way.is_none() {
            self.number += 1;
            let misses = std::mem::take(&mut self.wanted).misses.then_some(last);
            self.under_way = Some(Question { misses, asked_at: Instant::now(), place: None });
            // They are asked one after the other: there is room.
            let _has_room = self.end.catch_up(now, self.number);
        }
    }

    /// Takes the question that is under way, if it is over: whether its answer is known.
    fn take_over(&mut self, applied_below: Position) -> Option<(Question, bool)> {
        let question = self.under_way?;
        let is_known = question.place.is_some_and(|place| applied_below >= place);
        let is_over = is_known || question.asked_at + PATIENCE <= Instant::now();
        is_over.then(|| {
            self.under_way = None;
            (question, is_known)
        })
    }
}

impl EntryNode {
    /// Asks for those that want to know, and tells them.
    pub(in crate::node) fn settle_complete(&mut self, now: WallTime, fx: &mut Effects) {
        loop {
            let known = self.known();
            let last = self.calls.dealer.last_call();
            let complete = &mut self.calls.complete;
            complete.want(&mut fx.calls);
            complete.begin(now, last);
            if let Some(known) = known {
                let (told, question) = complete.end.poll(now, &known);
                let is_this = |of: &(u64, Verdict)| *of == (complete.number, Verdict::Reached);
                if told.iter().any(is_this)
                    && let Some(question) = &mut complete.under_way
                {
                    question.place = Some(known.next);
                }
                if let Some(request) = question {
                    for id in self.sync.linked() {
                        self.sync.send(id, Message::Feed(FeedMessage::AskReached { request }));
                    }
                }
            }
            let applied_below = self.calls.registrar.view().applied_below();
            let Some((question, is_known)) = self.calls.complete.take_over(applied_below) else {
                return;
            };
            let at = is_known.then(|| question.asked_at.into_std());
            let input = dealer::Input::Complete { at, misses: question.misses };
            self.calls.step_dealer(input, &mut fx.calls);
        }
    }
}
