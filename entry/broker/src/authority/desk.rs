//! Desk: questions to one procedure, of which so many are under way as it takes, and the others wait for their turn.
//!
//! ```text
//!   question ──> turns ──next──> open ──answered──> (out)
//!                  ^──busy, again──┘
//! ```
//! What a procedure takes at once is not known: it may have agreed on a concurrency, its queue may be full, and its
//! entry may have as many calls as it may. So one that comes back as busy waits again, within its time, and fewer are
//! tried then; with each answer one more is. A question whose time is over comes out as overdue.
//!
//! Invariants:
//! - D1: each question comes out once: answered, overdue, or unwanted.
//! - D2: what is under way is bounded in number and bytes; what waits is, by `turns`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::turns::{Entry, Turns};
use crate::api::RequestId;

/// Questions under way: well below what any callee has room for.
const OPEN_MAX: usize = 128;
/// Their bytes: no more are asked once it is so many.
const OPEN_BYTES_MAX: usize = 1 << 20;
/// After one was busy, unless another is answered before.
const PAUSE: Duration = Duration::from_millis(20);

/// A question under way.
#[derive(Debug)]
struct Open<Q> {
    number: u64,
    entry: Entry,
    question: Q,
}

/// See the module.
#[derive(Debug)]
pub struct Desk<Q> {
    turns: Turns,
    waiting: BTreeMap<u64, Q>,
    open: BTreeMap<RequestId, Open<Q>>,
    open_bytes: usize,
    /// So many are tried at once.
    window: usize,
    /// None is tried before.
    resume_at: Option<Instant>,
    last: RequestId,
}

impl<Q> Default for Desk<Q> {
    fn default() -> Self {
        Self {
            turns: Turns::default(),
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            open_bytes: 0,
            window: OPEN_MAX,
            resume_at: None,
            last: RequestId(0),
        }
    }
}

/// One that is to be asked.
#[derive(Debug)]
pub struct Next<'a, Q> {
    /// By which its answer is known.
    pub request: RequestId,
    /// How long it may take.
    pub left: Duration,
    /// It.
    pub question: &'a mut Q,
}

impl<Q> Desk<Q> {
    /// Whether nothing waits, and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.turns.is_empty()
    }

    /// Questions that wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.turns.len()
    }

    /// When something is to be done without an answer.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        let resume_at = self.resume_at.filter(|_| !self.turns.is_empty());
        self.turns.due_at().into_iter().chain(resume_at).min()
    }

    /// One more is to be asked.
    ///
    /// # Errors
    /// There is no room for it: it comes back.
    pub fn push(&mut self, entry: Entry, question: Q) -> Result<(), Q> {
        match self.turns.push(entry) {
            Some(number) => {
                self.waiting.insert(number, question);
                Ok(())
            }
            None => Err(question),
        }
    }

    /// The next one that is to be asked now. Those that nobody wants an answer to are left out.
    pub fn next(&mut self, now: Instant, is_wanted: impl Fn(&Q) -> bool) -> Option<Next<'_, Q>> {
        let (number, entry, question) = loop {
            if self.resume_at.is_some_and(|at| at > now) {
                return None;
            }
            // Nothing is due any more: where there is no room, an answer says when there is.
            self.resume_at = None;
            if self.open.len() >= self.window || self.open_bytes >= OPEN_BYTES_MAX {
                return None;
            }
            let (number, entry) = self.turns.take()?;
            let question = self.waiting.remove(&number)?;
            if is_wanted(&question) {
                break (number, entry, question);
            }
        };
        self.last = RequestId(self.last.0 + 1);
        self.open_bytes += entry.bytes;
        let left = entry.by.saturating_duration_since(now);
        let open = self.open.entry(self.last).or_insert(Open { number, entry, question });
        Some(Next { request: self.last, left, question: &mut open.question })
    }

    /// One is answered.
    pub fn answered(&mut self, request: RequestId) -> Option<Q> {
        let open = self.close(request)?;
        self.window = OPEN_MAX.min(self.window + 1);
        self.resume_at = None;
        Some(open.question)
    }

    /// One was not asked, as whoever is to answer takes no more now: it waits again.
    pub fn busy(&mut self, now: Instant, request: RequestId) {
        let Some(Open { number, entry, question }) = self.close(request) else { return };
        self.window = self.open.len().max(1);
        self.resume_at = now.checked_add(PAUSE);
        self.turns.put_back(number, entry);
        self.waiting.insert(number, question);
    }

    /// One under way.
    #[must_use]
    pub fn under_way(&self, request: RequestId) -> Option<&Q> {
        self.open.get(&request).map(|open| &open.question)
    }

    /// The answer to one is for nothing: it waits again, for as long as it may, before what has come after it.
    pub fn again(&mut self, request: RequestId) {
        let Some(Open { number, entry, question }) = self.close(request) else { return };
        self.resume_at = None;
        self.turns.put_back(number, entry);
        self.waiting.insert(number, question);
    }

    /// One that has waited for as long as it may.
    pub fn overdue(&mut self, now: Instant) -> Option<Q> {
        let number = self.turns.take_overdue(now)?;
        self.waiting.remove(&number)
    }

    /// All of them: nobody is asked any more.
    pub fn take_all(&mut self) -> Vec<Q> {
        let Self { waiting, open, .. } = std::mem::take(self);
        waiting.into_values().chain(open.into_values().map(|open| open.question)).collect()
    }

    /// Those under way: whoever was to tell of them does not any more. What waits may be asked at once, and no answer
    /// says so.
    pub fn take_open(&mut self, now: Instant) -> Vec<Q> {
        self.open_bytes = 0;
        self.resume_at = Some(now);
        std::mem::take(&mut self.open).into_values().map(|open| open.question).collect()
    }

    fn close(&mut self, request: RequestId) -> Option<Open<Q>> {
        let open = self.open.remove(&request)?;
        self.open_bytes = self.open_bytes.saturating_sub(open.entry.bytes);
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::super::turns::Whose;
    use super::*;
    use crate::api::{Origin, SessionId};

    fn entry(session: u64, bytes: usize, by: Instant) -> Entry {
        let origin = Origin { client: [10, 0, 0, 1].into(), site: None };
        Entry { whose: Whose { origin, session: SessionId(session) }, bytes, by }
    }

    struct World {
        desk: Desk<u32>,
        now: Instant,
    }

    impl World {
        /// With so many questions of as many sessions, that have 2 s.
        fn with(questions: u32) -> Self {
            let mut world = Self { desk: Desk::default(), now: Instant::now() };
            (1..=questions).for_each(|question| world.push(question, 100));
            world
        }

        fn push(&mut self, question: u32, bytes: usize) {
            let by = self.now + Duration::from_secs(2);
            self.desk.push(entry(question.into(), bytes, by), question).expect("room");
        }

        /// All that are asked now, by their requests.
        fn asked(&mut self) -> Vec<(u64, u32)> {
            let now = self.now;
            let next =
                || self.desk.next(now, |_| true).map(|next| (next.request.0, *next.question));
            std::iter::from_fn(next).collect()
        }
    }

    #[test]
    fn what_is_beyond_a_bound_waits_and_is_asked_as_others_are_answered() {
        let mut world = World::with(200);
        let asked = world.asked();
        assert_eq!((asked.len(), world.desk.waiting()), (OPEN_MAX, 72));
        assert_eq!(world.desk.answered(RequestId(asked[0].0)), Some(1));
        assert_eq!(world.desk.answered(RequestId(asked[0].0)), None, "once");
        assert_eq!(world.asked(), [(129, 129)]);
        // In bytes as well, but for one.
        let mut world = World::with(0);
        (1..=3).for_each(|question| world.push(question, OPEN_BYTES_MAX));
        assert_eq!(world.asked(), [(1, 1)]);
        world.desk.answered(RequestId(1));
        assert_eq!(world.asked(), [(2, 2)]);
    }

    #[test]
    fn one_whose_answer_is_for_nothing_is_asked_again() {
        let mut world = World::with(2);
        assert_eq!(world.asked(), [(1, 1), (2, 2)]);
        world.desk.again(RequestId(1));
        assert_eq!((world.desk.under_way(RequestId(1)), world.desk.waiting()), (None, 1));
        assert_eq!(world.asked(), [(3, 1)]);
        assert_eq!(world.desk.under_way(RequestId(3)), Some(&1));
        assert_eq!(world.desk.answered(RequestId(1)), None, "of before");
        assert_eq!(world.desk.answered(RequestId(3)), Some(1));
        // No longer than it may wait altogether.
        world.desk.again(RequestId(2));
        world.now += Duration::from_secs(2);
        assert_eq!(world.desk.overdue(world.now), Some(2));
        assert!(world.desk.is_idle());
    }

    #[test]
    fn nothing_is_due_after_the_pause_while_one_under_way_has_all_the_room() {
        let mut world = World::with(2);
        assert_eq!(world.asked(), [(1, 1), (2, 2)]);
        let end = world.now + Duration::from_secs(2);
        world.desk.busy(world.now, RequestId(2));
        world.now += PAUSE;
        assert_eq!(
            (world.asked(), world.desk.due_at()),
            (vec![], Some(end)),
            "or it is due forever"
        );
        assert_eq!(world.desk.answered(RequestId(1)), Some(1));
        assert_eq!(world.asked(), [(3, 2)]);
    }

    #[test]
    fn what_waits_is_due_at_once_where_no_answer_comes_to_what_is_under_way() {
        let mut world = World::with(130);
        assert_eq!(world.asked().len(), OPEN_MAX);
        assert_eq!(world.desk.due_at(), Some(world.now + Duration::from_secs(2)));
        assert_eq!(world.desk.take_open(world.now).len(), OPEN_MAX);
        assert_eq!(world.desk.due_at(), Some(world.now));
        assert_eq!(world.asked(), [(129, 129), (130, 130)]);
    }

    #[test]
    fn one_that_is_busy_waits_again_and_fewer_are_tried() {
        let mut world = World::with(4);
        assert_eq!(world.asked().len(), 4);
        for request in [2, 3, 4] {
            world.desk.busy(world.now, RequestId(request));
        }
        assert_eq!((world.asked(), world.desk.waiting()), (vec![], 3), "one is under way");
        assert_eq!(world.desk.answered(RequestId(1)), Some(1));
        assert_eq!(world.asked(), [(5, 2), (6, 3)], "and one more than before");
        world.desk.busy(world.now, RequestId(5));
        world.desk.busy(world.now, RequestId(6));
        // Nobody's answer says when there is room: after a while it is tried.
        assert_eq!(world.asked(), []);
        assert_eq!(world.desk.due_at(), Some(world.now + PAUSE));
        world.now += PAUSE;
        assert_eq!(world.asked().len(), 1);
    }

    #[test]
    fn one_waits_no_longer_than_its_time_busy_or_not() {
        let mut world = World::with(2);
        assert_eq!(world.asked().len(), 2);
        world.desk.busy(world.now, RequestId(2));
        world.now += Duration::from_millis(1_500);
        let next = world.desk.next(world.now, |_| true);
        assert!(next.is_none(), "one is under way, and as many are tried");
        world.now += Duration::from_millis(500);
        assert_eq!((world.desk.overdue(world.now), world.desk.overdue(world.now)), (Some(2), None));
        assert_eq!(world.desk.due_at(), None);
        world.desk.answered(RequestId(1));
        assert!(world.desk.is_idle());
    }

    #[test]
    fn what_is_left_of_its_time_is_told_and_what_nobody_wants_is_left_out() {
        let mut world = World::with(3);
        world.now += Duration::from_millis(1_900);
        let next = world.desk.next(world.now, |question| *question == 3).expect("one is wanted");
        assert_eq!((*next.question, next.left), (3, Duration::from_millis(100)));
        assert_eq!(world.desk.waiting(), 0);
        assert_eq!(world.desk.take_all(), [3]);
        assert!(world.desk.is_idle());
    }
}
