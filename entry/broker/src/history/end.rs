//! End: whether a place that a client names can be in the order, where this entry does not know so far.
//!
//! Another entry may have given the place out a moment ago. So the sync nodes are asked how far anything
//! goes that anybody may have been told of (`AskReached`): what is placed was accepted by a quorum, so
//! the highest answer of any quorum is at or above it. When the frontier here has passed that answer,
//! what is beyond the end is of no order, or of another one. A node may have accepted a stamp in vain:
//! then the frontier does not come so far, and they are asked again.
//!
//! Invariant:
//! - E1: a place is called beyond the end only when a quorum was asked after it was named, and the
//!   frontier has passed the highest answer.

use std::collections::BTreeMap;

use vixen_core::id::{Position, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::time::WallTime;

use super::RefPoint;

/// Before the sync nodes are asked again.
const ASK_AGAIN_MS: u64 = 100;
/// So long a place may wait.
const PATIENCE_MS: u64 = 10_000;
/// So long a read to the end waits to know what others were told: two rounds of questions.
const CATCH_UP_MS: u64 = 250;
/// Questions whose answers may yet come: as many as there are in the longest patience, and some that did not wait.
const QUESTIONS_MAX: usize = 128;

/// How far this entry knows the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The position after the last placed message.
    pub next: Position,
    /// Stamp of the last placed segment.
    pub delivered: Stamp,
    /// Everything at or below it is placed.
    pub sigma: Stamp,
}

impl Known {
    /// Position of the last message, 0 without any.
    #[must_use]
    pub const fn end(&self) -> Position {
        Position(self.next.0.saturating_sub(1))
    }

    /// Whether the named place is not beyond the end.
    #[must_use]
    pub fn holds(&self, named: RefPoint) -> bool {
        match named {
            RefPoint::Position(position) => position < self.next,
            RefPoint::Id(id) => id.stamp <= self.delivered,
            RefPoint::Time(at) => at <= self.delivered.wall_time(),
        }
    }

    fn has_passed(&self, stamp: Stamp) -> bool {
        stamp <= self.delivered.max(self.sigma)
    }
}

/// What has become of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The order has come to it.
    Within,
    /// It goes to the end, and that is known here.
    Reached,
    /// It goes to the end, and has been waited for long enough: nobody can tell whether this is all.
    Overdue,
    /// The order ends before it.
    Beyond,
    /// Nobody can tell: too few sync nodes answer.
    Unknown {
        /// How long it waited.
        waited_ms: u64,
    },
}

/// See the module. `T` is what waits for the verdict.
#[derive(Debug)]
pub struct End<T> {
    quorum: usize,
    waiting: Vec<Waiting<T>>,
    /// Number of the last question.
    round: u64,
    asked_at: Option<WallTime>,
    /// What was answered, by questions: the last one, and those before it that somebody waits for. A node whose commits
    /// take long answers when there are others already.
    answers: BTreeMap<u64, BTreeMap<SyncId, Stamp>>,
}

#[derive(Debug)]
struct Waiting<T> {
    /// `None`: it waits for the end, wherever that is.
    named: Option<RefPoint>,
    since: WallTime,
    patience_ms: u64,
    /// Answers to earlier questions do not count (E1).
    round: u64,
    /// The lowest that a quorum has answered since: the frontier has to come so far.
    target: Option<Stamp>,
    then: T,
}

impl<T> End<T> {
    /// Places that wait at a time.
    pub const WAITING_MAX: usize = 1_024;

    /// Asks the sync nodes of this membership.
    #[must_use]
    pub fn new(membership: &Membership) -> Self {
        Self::numbered_from(0, membership)
    }

    /// The same, with questions that have numbers above `round`: those of another must be others.
    #[must_use]
    pub fn numbered_from(round: u64, membership: &Membership) -> Self {
        Self {
            quorum: membership.quorum(),
            waiting: Vec::new(),
            round,
            asked_at: None,
            answers: BTreeMap::new(),
        }
    }

    /// Takes a place to wait for a verdict; gives it back when too many wait.
    ///
    /// # Errors
    /// What was to wait.
    pub fn wait(&mut self, now: WallTime, named: RefPoint, then: T) -> Result<(), T> {
        if self.waiting.len() >= Self::WAITING_MAX {
            return Err(then);
        }
        let round = self.round + 1;
        let (named, patience_ms) = (Some(named), PATIENCE_MS);
        self.waiting.push(Waiting { named, since: now, patience_ms, round, target: None, then });
        Ok(())
    }

    /// Takes one that goes to the end, and is to know all that anybody was told of before: its verdict is
    /// [`Verdict::Reached`], once the frontier has come so far. It does not wait long for that, and is
    /// [`Verdict::Overdue`] then.
    ///
    /// # Errors
    /// What was to wait, where too many do.
    pub fn catch_up(&mut self, now: WallTime, then: T) -> Result<(), T> {
        self.catch_up_within(now, CATCH_UP_MS, then)
    }

    /// The same, for one that waits so many ms, ten seconds at most.
    ///
    /// # Errors
    /// What was to wait, where too many do.
    pub fn catch_up_within(&mut self, now: WallTime, patience_ms: u64, then: T) -> Result<(), T> {
        if self.waiting.len() >= Self::WAITING_MAX {
            return Err(then);
        }
        let (round, patience_ms) = (self.round + 1, patience_ms.min(PATIENCE_MS));
        let since = now;
        self.waiting.push(Waiting { named: None, since, patience_ms, round, target: None, then });
        Ok(())
    }

    /// Whether anything waits for a verdict.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes an answer; one to a question from before somebody came says nothing to them.
    pub fn answered(&mut self, from: SyncId, round: u64, stamp: Stamp) {
        let Some(answers) = self.answers.get_mut(&round) else { return };
        answers.insert(from, stamp);
        let Some(reached) = self.reached(round) else { return };
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.round <= round) {
            waiting.target = Some(waiting.target.map_or(reached, |before| before.min(reached)));
        }
    }

    /// The highest answer to a question, once a quorum has answered.
    fn reached(&self, round: u64) -> Option<Stamp> {
        let answers = self.answers.get(&round)?;
        answers.values().max().copied().filter(|_| answers.len() >= self.quorum)
    }

    /// Gives out what is certain. Whether all linked sync nodes are to be asked, with this number.
    pub fn poll(&mut self, now: WallTime, known: &Known) -> (Vec<(T, Verdict)>, Option<u64>) {
        let verdict_of = |waiting: &Waiting<T>| {
            let waited_ms = now.millis_since(waiting.since);
            let has_passed = waiting.target.is_some_and(|target| known.has_passed(target));
            let is_over = waited_ms >= waiting.patience_ms;
            match waiting.named {
                None if has_passed => Some(Verdict::Reached),
                None => is_over.then_some(Verdict::Overdue),
                Some(named) if known.holds(named) => Some(Verdict::Within),
                Some(_) if has_passed => Some(Verdict::Beyond),
                Some(_) => is_over.then_some(Verdict::Unknown { waited_ms }),
            }
        };
        let mut told = Vec::new();
        let mut left = Vec::new();
        for waiting in self.waiting.drain(..) {
            match verdict_of(&waiting) {
                Some(verdict) => told.push((waiting.then, verdict)),
                None => left.push(waiting),
            }
        }
        self.waiting = left;
        (told, self.next_question(now))
    }

    fn next_question(&mut self, now: WallTime) -> Option<u64> {
        let Some(oldest) = self.waiting.iter().map(|waiting| waiting.round).min() else {
            self.asked_at = None;
            self.answers.clear();
            return None;
        };
        if self.timeout_at().is_some_and(|at| now < at) {
            return None;
        }
        self.round += 1;
        self.answers.insert(self.round, BTreeMap::new());
        self.answers = self.answers.split_off(&oldest);
        if self.answers.len() > QUESTIONS_MAX {
            self.answers.pop_first();
        }
        self.asked_at = Some(now);
        Some(self.round)
    }

    /// When [`poll`](Self::poll) has something to do without another input.
    #[must_use]
    pub fn timeout_at(&self) -> Option<WallTime> {
        let oldest = self.waiting.first()?;
        let patience = |waiting: &Waiting<T>| waiting.since.plus_millis(waiting.patience_ms);
        let patience = self.waiting.iter().map(patience).min()?;
        let is_new = self.waiting.iter().any(|waiting| waiting.round > self.round);
        match self.asked_at {
            // One that has come since is asked for when this question is answered.
            Some(asked) if is_new && self.reached(self.round).is_some() => Some(asked),
            Some(asked) => Some(asked.plus_millis(ASK_AGAIN_MS).min(patience)),
            None if is_new => Some(oldest.since),
            None => Some(patience),
        }
    }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{Lane, PermanentId};

    use super::*;

    const START: WallTime = WallTime(1_795_255_200_000);

    fn stamp(ms: u64) -> Stamp {
        let lane = Lane::new(0).expect("a lane");
        Stamp::next(lane, Stamp::ZERO, START.plus_millis(ms))
    }

    /// An order of five messages, the last one at millisecond 5.
    fn known() -> Known {
        Known { next: Position(6), delivered: stamp(5), sigma: stamp(5) }
    }

    fn at(position: u64) -> RefPoint {
        RefPoint::Position(Position(position))
    }

    fn ask(end: &mut End<&'static str>, now: WallTime) -> u64 {
        let (told, question) = end.poll(now, &known());
        assert_eq!(told, []);
        question.expect("a question")
    }

    #[test]
    fn what_the_order_has_come_to_is_within() {
        let known = known();
        assert_eq!(known.end(), Position(5));
        let id = |ms| RefPoint::Id(PermanentId { stamp: stamp(ms), offset: 9 });
        let time = |ms| RefPoint::Time(START.plus_millis(ms));
        for (named, holds) in [
            (at(0), true),
            (at(5), true),
            (at(6), false),
            (id(5), true),
            (id(6), false),
            (time(5), true),
            (time(6), false),
        ] {
            assert_eq!(known.holds(named), holds, "{named:?}");
        }
    }

    #[test]
    fn one_to_the_end_waits_until_all_that_was_told_is_known_and_not_long() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.catch_up(START, "a").expect("room");
        assert!(end.is_waiting());
        let round = ask(&mut end, START);
        end.answered(SyncId(0), round, stamp(4));
        end.answered(SyncId(1), round, stamp(6));
        assert_eq!(end.poll(START, &known()), (vec![], None), "somebody was told of more");
        let further = Known { sigma: stamp(6), ..known() };
        assert_eq!(end.poll(START, &further), (vec![("a", Verdict::Reached)], None));
        assert!(!end.is_waiting());
        end.catch_up(START, "b").expect("room");
        end.wait(START, at(5000), "c").expect("room");
        let _round = ask(&mut end, START);
        let late = START.plus_millis(CATCH_UP_MS);
        let (told, _again) = end.poll(late, &known());
        assert_eq!(told, [("b", Verdict::Overdue)], "nobody answers");
        assert!(end.is_waiting(), "who names a place is more patient");
    }

    /// A commit took longer than until the next question: each answer was one to the question before, and nobody was
    /// ever answered.
    #[test]
    fn an_answer_that_comes_after_the_next_question_counts_for_who_came_before_its_own() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.catch_up_within(START, 1_500, "a").expect("room");
        let first = ask(&mut end, START);
        end.catch_up_within(START, 1_500, "b").expect("room");
        let second = ask(&mut end, START.plus_millis(ASK_AGAIN_MS));
        for id in [0, 1] {
            end.answered(SyncId(id), first, stamp(5));
        }
        let later = START.plus_millis(2 * ASK_AGAIN_MS);
        let (told, _again) = end.poll(later, &known());
        assert_eq!(told, [("a", Verdict::Reached)], "the other came after that question");
        // One of each is no quorum.
        end.answered(SyncId(0), second, stamp(5));
        assert_eq!(end.poll(later, &known()).0, []);
        end.answered(SyncId(2), second, stamp(5));
        assert_eq!(end.poll(later, &known()).0, [("b", Verdict::Reached)]);
        // Nobody waits for those that are left.
        end.answered(SyncId(1), second, stamp(9));
        assert_eq!((end.answers.len(), end.timeout_at()), (0, None));
    }

    #[test]
    fn questions_that_nobody_answers_are_forgotten() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.wait(START, at(6), "a").expect("room");
        for n in 0..1_000 {
            let came = START.plus_millis(n);
            end.answered(SyncId(0), end.round, stamp(5));
            end.answered(SyncId(1), end.round, stamp(6));
            end.catch_up(came, "b").expect("room");
            end.poll(came, &known());
            assert!(end.answers.len() <= QUESTIONS_MAX, "{}", end.answers.len());
        }
    }

    #[test]
    fn whoever_comes_meanwhile_is_asked_for_at_once_and_holds_up_nobody() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.catch_up(START, "a").expect("room");
        let round = ask(&mut end, START);
        end.catch_up(START, "b").expect("room");
        assert_eq!(end.poll(START, &known()), (vec![], None), "the first is not answered");
        end.answered(SyncId(0), round, stamp(6));
        end.answered(SyncId(1), round, stamp(6));
        assert_eq!(end.timeout_at(), Some(START));
        let again = ask(&mut end, START);
        for id in [0, 1] {
            end.answered(SyncId(id), again, stamp(9));
        }
        let further = Known { sigma: stamp(6), ..known() };
        let (told, _question) = end.poll(START, &further);
        assert_eq!(told, [("a", Verdict::Reached)], "what came later moves nobody's end");
        let further = Known { sigma: stamp(9), ..known() };
        assert_eq!(end.poll(START, &further), (vec![("b", Verdict::Reached)], None));
    }

    #[test]
    fn a_place_is_beyond_when_a_quorum_asked_after_it_was_named_has_not_reached_it() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        assert_eq!(end.timeout_at(), None);
        end.wait(START, at(5000), "a").expect("room");
        assert_eq!(end.timeout_at(), Some(START));
        let round = ask(&mut end, START);
        end.answered(SyncId(0), round, stamp(5));
        assert_eq!(end.poll(START, &known()), (vec![], None), "one answer is no quorum");
        end.answered(SyncId(0), round, stamp(5));
        assert_eq!(end.poll(START, &known()), (vec![], None), "nor is it when it comes twice");
        // Too late for this question.
        end.wait(START, at(6000), "b").expect("room");
        end.answered(SyncId(2), round, stamp(4));
        let (told, again) = end.poll(START, &known());
        assert_eq!(told, [("a", Verdict::Beyond)]);
        let again = again.expect("the first question is answered");
        assert_ne!(again, round);
        end.answered(SyncId(1), round, stamp(5));
        end.answered(SyncId(2), again, stamp(5));
        let now = START;
        assert_eq!(end.poll(now, &known()), (vec![], None), "a late answer does not count");
        end.answered(SyncId(1), again, stamp(5));
        assert_eq!(end.poll(now, &known()), (vec![("b", Verdict::Beyond)], None));
        assert_eq!(end.timeout_at(), None);
    }

    #[test]
    fn a_place_that_another_entry_gave_waits_until_this_one_has_come_to_it() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.wait(START, at(6), "a").expect("room");
        let round = ask(&mut end, START);
        end.answered(SyncId(0), round, stamp(5));
        end.answered(SyncId(1), round, stamp(7));
        assert_eq!(end.poll(START, &known()), (vec![], None), "the frontier is behind");
        let further = Known { next: Position(7), delivered: stamp(7), sigma: stamp(7) };
        assert_eq!(end.poll(START, &further), (vec![("a", Verdict::Within)], None));
    }

    #[test]
    fn what_was_accepted_in_vain_is_asked_for_again() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.wait(START, at(6), "a").expect("room");
        let round = ask(&mut end, START);
        end.answered(SyncId(0), round, stamp(5));
        end.answered(SyncId(1), round, stamp(9));
        assert_eq!(end.poll(START, &known()), (vec![], None));
        let later = end.timeout_at().expect("a time");
        let again = ask(&mut end, later);
        end.answered(SyncId(0), again, stamp(5));
        end.answered(SyncId(1), again, stamp(5));
        assert_eq!(end.poll(later, &known()), (vec![("a", Verdict::Beyond)], None));
    }

    #[test]
    fn without_a_quorum_nobody_can_tell() {
        let mut end = End::new(&Membership::sized(3, [3], 2));
        end.wait(START, at(6), "a").expect("room");
        let mut now = START;
        let mut questions = 0;
        let told = loop {
            let (told, question) = end.poll(now, &known());
            questions += u64::from(question.is_some());
            if let Some(round) = question {
                end.answered(SyncId(0), round, stamp(5));
            }
            if !told.is_empty() {
                break told;
            }
            now = end.timeout_at().expect("a time").max(now);
        };
        assert_eq!(told, [("a", Verdict::Unknown { waited_ms: PATIENCE_MS })]);
        assert!((50..=PATIENCE_MS / ASK_AGAIN_MS + 1).contains(&questions), "{questions}");
    }

    #[test]
    fn one_too_many_is_given_back() {
        let mut end = End::new(&Membership::sized(1, [1], 1));
        for _one in 0..End::<()>::WAITING_MAX {
            end.wait(START, at(9), ()).expect("room");
        }
        assert_eq!(end.wait(START, at(9), ()), Err(()));
    }
}
