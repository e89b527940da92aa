//! Complete: up to when the view has all that was placed.
//!
//! Three want to know. A call of which the view knows nobody: somebody may have been told REGISTERED at another entry a
//! moment ago. A REGISTER that the view refuses: what is in its way may have ended. And whoever invokes one that holds a
//! procedure alone: the procedure may be another's by now (a lease).
//! The sync nodes are asked how far anything goes that anybody may have been told of, as for a read of what is stored
//! up to the end (`history::End`), and the view has to come as far.
//!
//! There are two questions, as not all are as patient: calls that miss go by the view as it is soon, REGISTERs to the
//! order, and a lease has its answer also where a commit of the sync nodes takes a second. Each is one question for all
//! that want to know. Without a quorum nobody gets a lease, and where it is known that there is none, that is told as soon as to the others.
//!
//! Source: `docs/design/027-calls.md`, *Complete up to a moment*.

use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::dealer::{self, CallNumber, LEASE_ASKED};
use vixen_broker::history::{End, Known, Verdict};
use vixen_broker::registrar;
use vixen_core::id::{Position, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::time::WallTime;
use vixen_core::wire::{FeedMessage, Message};

use super::super::run::{Effects, EntryNode};
use super::{CallEffects, Calls};

/// Questions of this kind have numbers from here on: others have others.
const FIRST_QUESTION: u64 = 1 << 61;

/// Who would rather go by the view as it is waits for it no longer than this: the time of the question, and 100 ms in
/// which a feed comes that nobody has waited for.
const PATIENCE: Duration = Duration::from_millis(350);

/// See the module.
#[derive(Debug)]
pub(in crate::node) struct Completeness {
    end: End<u64>,
    quorum: usize,
    /// As many sync nodes are heard.
    has_quorum: bool,
    /// Number of the last question.
    number: u64,
    /// Who wants the next one.
    wanted: Who,
    /// Those that are under way: of what the view misses or refuses, and of a lease.
    misses: Option<(Question, Last)>,
    lease: Option<Question>,
}

/// The last that had come as a question was asked: a call, and a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    call: CallNumber,
    register: u64,
}

/// What has become of a question.
#[derive(Debug, PartialEq, Eq)]
struct Over {
    /// The view was complete then; `None`: nobody can tell in time.
    at: Option<Instant>,
    /// It was asked for those up to these; `None`: for a lease.
    misses: Option<Last>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Who {
    misses: bool,
    lease: bool,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    number: u64,
    asked_at: Instant,
    /// The view is to come so far.
    place: Option<Position>,
}

impl Question {
    /// Whether it is over, and its answer is known.
    fn outcome(&self, now: Instant, patience: Duration, applied_below: Position) -> Option<bool> {
        let is_known = self.place.is_some_and(|place| applied_below >= place);
        (is_known || self.asked_at + patience <= now).then_some(is_known)
    }
}

impl Completeness {
    pub(super) fn new(membership: &Membership) -> Self {
        let end = End::numbered_from(FIRST_QUESTION, membership);
        let (quorum, wanted) = (membership.quorum(), Who::default());
        let (misses, lease) = (None, None);
        Self { end, quorum, has_quorum: true, number: 0, wanted, misses, lease }
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
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        let begins = self.wanted.misses && self.misses.is_none()
            || self.wanted.lease && self.lease.is_none();
        let misses = self.misses.map(|(question, _)| question.asked_at + PATIENCE);
        let lease = self.lease.map(|question| question.asked_at + self.lease_patience());
        begins.then_some(now).into_iter().chain(misses).chain(lease).min()
    }

    const fn lease_patience(&self) -> Duration {
        if self.has_quorum { LEASE_ASKED } else { PATIENCE }
    }

    /// Takes what the two machines want to know.
    pub(super) fn want(&mut self, fx: &mut CallEffects) {
        let is_refused = std::mem::take(&mut fx.is_asking);
        self.wanted.misses |= std::mem::take(&mut fx.dealer.is_asking) || is_refused;
        self.wanted.lease |= std::mem::take(&mut fx.dealer.is_asking_lease);
    }

    /// So many sync nodes are heard now.
    fn heard(&mut self, nodes: usize) {
        self.has_quorum = nodes >= self.quorum;
    }

    /// Begins the questions that are wanted and not under way.
    fn begin(&mut self, now: WallTime, asked_at: Instant, last: Last) {
        let mut question = |patience: Duration| {
            self.number += 1;
            let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
            // They are two at most: there is room.
            let _has_room = self.end.catch_up_within(now, ms, self.number);
            Question { number: self.number, asked_at, place: None }
        };
        if self.wanted.misses && self.misses.is_none() {
            self.misses = Some((question(PATIENCE), last));
            self.wanted.misses = false;
        }
        if self.wanted.lease && self.lease.is_none() {
            self.lease = Some(question(LEASE_ASKED));
            self.wanted.lease = false;
        }
    }

    /// Takes what sync nodes have answered. Whether they are to be asked, with this number.
    fn poll(&mut self, now: WallTime, known: &Known) -> Option<u64> {
        let (told, question) = self.end.poll(now, known);
        let reached = told.into_iter().filter(|(_, verdict)| *verdict == Verdict::Reached);
        for (number, _) in reached {
            let all = self.misses.iter_mut().map(|(question, _)| question).chain(&mut self.lease);
            for question in all.filter(|question| question.number == number) {
                question.place = Some(known.next);
            }
        }
        question
    }

    /// Takes a question that is over.
    fn take_over(&mut self, now: Instant, applied_below: Position) -> Option<Over> {
        if let Some((question, last)) = self.misses
            && let Some(is_known) = question.outcome(now, PATIENCE, applied_below)
        {
            self.misses = None;
            let at = is_known.then_some(question.asked_at);
            return Some(Over { at, misses: Some(last) });
        }
        let question = self.lease?;
        let is_known = question.outcome(now, self.lease_patience(), applied_below)?;
        self.lease = None;
        Some(Over { at: is_known.then_some(question.asked_at), misses: None })
    }
}

impl EntryNode {
    /// Asks for those that want to know, and tells them.
    pub(in crate::node) fn settle_complete(&mut self, now: WallTime, fx: &mut Effects) {
        self.calls.complete.heard(self.sync.heard().count());
        loop {
            let known = self.known();
            let Calls { dealer, registrar, complete, .. } = &mut *self.calls;
            let last = Last { call: dealer.last_call(), register: registrar.last_number() };
            complete.want(&mut fx.calls);
            complete.begin(now, Instant::now(), last);
            if let Some(request) = known.and_then(|known| complete.poll(now, &known)) {
                for id in self.sync.linked() {
                    self.sync.send(id, Message::Feed(FeedMessage::AskReached { request }));
                }
            }
            let applied_below = registrar.view().applied_below();
            let Some(over) = complete.take_over(Instant::now(), applied_below) else { return };
            self.calls.tell_complete(over, &mut fx.calls);
        }
    }
}

impl Calls {
    fn tell_complete(&mut self, Over { at, misses }: Over, fx: &mut CallEffects) {
        if let Some(Last { register: up_to, .. }) = misses {
            let is_known = at.is_some();
            self.step_registrar(registrar::Input::Complete { up_to, is_known }, fx);
        }
        let (at, is_of_lease) = (at.map(Instant::into_std), misses.is_none());
        let misses = misses.map(|last| last.call);
        self.step_dealer(dealer::Input::Complete { at, misses, is_of_lease }, fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: WallTime = WallTime(1_795_255_200_000);
    const LAST: Last = Last { call: CallNumber(7), register: 3 };

    fn known() -> Known {
        Known { next: Position(6), delivered: Stamp(5), sigma: Stamp(5) }
    }

    /// One that is asked for a lease, and a call that misses, now.
    fn asked(begun: Instant) -> (Completeness, u64) {
        let mut complete = Completeness::new(&Membership::sized(3, [1], 1));
        complete.wanted = Who { misses: true, lease: true };
        assert_eq!(complete.due_at(begun), Some(begun));
        complete.begin(START, begun, LAST);
        complete.heard(2);
        let question = complete.poll(START, &known()).expect("one for both");
        (complete, question)
    }

    /// What is told of a question of a lease, or of others.
    fn of(at: Option<Instant>, is_of_lease: bool) -> Option<Over> {
        Some(Over { at, misses: (!is_of_lease).then_some(LAST) })
    }

    /// Commits took 600 ms: calls to whoever holds a procedure alone were refused for as long as somebody published.
    #[test]
    fn a_lease_waits_a_second_and_a_half_for_its_answer_and_calls_that_miss_do_not() {
        let begun = Instant::now();
        let (mut complete, question) = asked(begun);
        let (later, below) = (begun + PATIENCE, Position(6));
        assert_eq!(complete.due_at(begun), Some(later));
        assert_eq!(complete.take_over(later, below), of(None, false));
        assert_eq!(complete.take_over(later, below), None);
        assert_eq!(complete.due_at(later), Some(begun + LEASE_ASKED));
        for ms in [100, 200, 300, 400, 500] {
            complete.poll(START.plus_millis(ms), &known()).expect("asked again");
        }
        // To the first of the questions.
        complete.reached(SyncId(0), question, Stamp(5));
        complete.reached(SyncId(1), question, Stamp(4));
        complete.poll(START.plus_millis(600), &known());
        let later = begun + Duration::from_millis(600);
        assert_eq!(complete.take_over(later, Position(5)), None, "the view is behind");
        assert_eq!(complete.take_over(later, below), of(Some(begun), true));
        assert_eq!((complete.due_at(later), complete.timeout_at()), (None, None));
    }

    #[test]
    fn without_an_answer_nobody_has_a_lease_and_without_a_quorum_that_is_told_soon() {
        let begun = Instant::now();
        let (mut complete, _) = asked(begun);
        let later = begun + PATIENCE;
        assert_eq!(complete.take_over(later, Position(6)), of(None, false));
        let late = begun + LEASE_ASKED;
        assert_eq!(complete.take_over(late, Position(6)), of(None, true));
        let (mut complete, _) = asked(begun);
        complete.heard(1);
        assert_eq!(complete.due_at(begun), Some(later));
        assert_eq!(complete.take_over(later, Position(6)), of(None, false));
        assert_eq!(complete.take_over(later, Position(6)), of(None, true));
    }
}
