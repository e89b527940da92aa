//! Ledger: what all clients of a run write down, and what is judged of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::gaps::{Gaps, Lane, Longest};
use super::tenures::{Invoked, Tenures};

/// So many sentences on what is broken are kept; all are counted.
const BROKEN_MAX: usize = 40;
/// So many reasons of errors are told apart in a round.
const REASONS_MAX: usize = 50;
/// Who wakes says what it has written before within so long.
const FLUSH: Duration = Duration::from_secs(1);

/// What a call ends with that has a result.
pub(super) const RESULT: &str = "result";

/// A ledger that all share.
#[derive(Clone, Debug)]
pub(super) struct Book(Arc<Mutex<Ledger>>);

impl Book {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }

    /// For no longer than one statement: nobody waits for it meanwhile.
    pub(super) fn open(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time in which nothing passes between a client and its entry, or is done with it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standstill {
    from: Option<Instant>,
    until: Option<Instant>,
}

impl Standstill {
    pub(super) const fn begin(&mut self, now: Instant) {
        *self = Self { from: Some(now), until: None };
    }

    /// It is over at this time at the latest.
    pub(super) const fn end(&mut self, at: Instant) {
        self.until = Some(at);
    }

    /// When a call that was sent then has to be answered at the latest; `None`: that is not known yet.
    fn due(&self, sent: Instant, bound: Duration) -> Option<Instant> {
        let due = sent + bound;
        match (self.from, self.until) {
            (Some(from), Some(until)) if from < due && sent < until => Some(until + bound),
            (Some(from), None) if from < due => None,
            _ => Some(due),
        }
    }

    /// Whether it lasts, or was over so shortly ago that who was held up by it may say only now what it has written
    /// before.
    fn holds_up(&self, now: Instant) -> bool {
        let is_begun = self.from.is_some_and(|begun| begun <= now);
        is_begun && self.until.is_none_or(|until| now <= until + FLUSH)
    }
}

/// Where a callee stands, by its own word.
#[derive(Clone, Debug, Default)]
pub(super) struct CalleeStands {
    /// Of its session, if it has one.
    pub(super) session: Option<u64>,
    pub(super) entry: usize,
    /// The port of its end.
    pub(super) port: u16,
    /// What it serves, or wants to.
    pub(super) procedure: usize,
    /// What it was told with REGISTERED.
    pub(super) registration: Option<u64>,
    /// What is done to it.
    pub(super) standstill: Standstill,
    is_struck: bool,
}

/// What is done in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Struck {
    /// No call is to fail.
    Nobody,
    Callee(usize),
    /// An entry; sessions there end if it is killed.
    Entry {
        entry: usize,
        is_killed: bool,
    },
    /// No client has to do with it.
    Node,
}

/// The end of a call.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) entry: usize,
    pub(super) procedure: usize,
    pub(super) sent: Instant,
    /// [`RESULT`] or the URI of an error.
    pub(super) outcome: String,
}

/// What a round was like.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// How many calls ended with what.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// How many errors had which words, after their URI.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Calls that were lost with the connection of their caller.
    pub(super) lost: u64,
    /// Invocations by a former holder, written before its entry or itself stood still.
    pub(super) late: u64,
    /// REGISTERs that were refused, but for those that another has already.
    pub(super) refused: BTreeMap<String, u64>,
    /// Callees that were told that they are none any more.
    pub(super) revoked: u64,
    pub(super) longest: Longest,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    bound: Duration,
    procedures: Vec<String>,
    /// The first so many procedures are shared.
    shared: usize,
    struck: Struck,
    ways: Vec<Standstill>,
    tally: Tally,
    gaps: Gaps,
    /// Where results have come from since that moment, to calls made since.
    well: (Instant, BTreeSet<(usize, usize)>),
    /// Calls that wait for an answer, but for those that have waited for too long.
    pub(super) open_calls: usize,
    /// The entry that each caller is at.
    pub(super) callers: Vec<Option<usize>>,
    pub(super) callees: Vec<CalleeStands>,
    pub(super) tenures: Tenures,
    broken: Vec<String>,
    broken_total: u64,
}

impl Ledger {
    /// Of so many entries and callers, and of callees of these procedures, of which the first are shared.
    pub(super) fn new(
        (entries, callers): (usize, usize),
        (procedures, shared): (Vec<String>, usize),
        callees: &[usize],
        bound: Duration,
        now: Instant,
    ) -> Self {
        let stands =
            |procedure: &usize| CalleeStands { procedure: *procedure, ..CalleeStands::default() };
        Self {
            bound,
            procedures,
            shared,
            struck: Struck::Nobody,
            ways: vec![Standstill::default(); entries],
            tally: Tally::default(),
            gaps: Gaps::new(now, [].into_iter()),
            well: (now, BTreeSet::new()),
            open_calls: 0,
            callers: vec![None; callers],
            callees: callees.iter().map(stands).collect(),
            tenures: Tenures::default(),
            broken: Vec::new(),
            broken_total: 0,
        }
    }

    pub(super) fn broken(&mut self, what: String) {
        self.broken_total += 1;
        if self.broken.len() < BROKEN_MAX {
            eprintln!("BROKEN: {what}");
            self.broken.push(what);
        }
    }

    /// The first sentences on what is broken, and how many there are.
    pub(super) fn all_broken(&self) -> (&[String], u64) {
        (&self.broken, self.broken_total)
    }

    /// From now on everything is of another round.
    pub(super) fn begin(&mut self, now: Instant, struck: Struck) {
        self.struck = struck;
        self.tally = Tally::default();
        self.ways.fill(Standstill::default());
        for callee in &mut self.callees {
            (callee.standstill, callee.is_struck) = (Standstill::default(), false);
        }
        if let Struck::Callee(callee) = struck {
            self.callees[callee].is_struck = true;
        }
        let lanes = (0..self.procedures.len()).flat_map(|procedure| {
            let elsewhere = Lane { procedure, is_at_struck: false };
            let has_both = matches!(struck, Struck::Entry { is_killed: false, .. });
            let at_struck = has_both.then_some(Lane { procedure, is_at_struck: true });
            [Some(elsewhere), at_struck].into_iter().flatten()
        });
        self.gaps = Gaps::new(now, lanes);
    }

    /// Whether clients of an entry are heard.
    pub(super) fn way(&mut self, entry: usize) -> &mut Standstill {
        &mut self.ways[entry]
    }

    /// Begins to watch for results from everywhere.
    pub(super) fn watch(&mut self, now: Instant) {
        self.well = (now, BTreeSet::new());
    }

    /// Where a caller at an entry has had no result of a procedure yet since [`watch`](Self::watch).
    pub(super) fn not_well(&self) -> Vec<String> {
        let all = (0..self.ways.len())
            .flat_map(|entry| (0..self.procedures.len()).map(move |procedure| (entry, procedure)));
        let missed = all.filter(|pair| !self.well.1.contains(pair));
        missed.map(|(entry, p)| format!("{} from E{}", self.procedures[p], entry + 1)).collect()
    }

    /// All is well: what the round was like up to now.
    pub(super) fn close(&mut self, now: Instant) -> Longest {
        self.gaps.close(now, self.shared)
    }

    /// What was counted in this round.
    pub(super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// When a call has to be answered at the latest; `None`: when the way to its entry is open again, that is known.
    pub(super) fn due(&self, entry: usize, sent: Instant) -> Option<Instant> {
        self.ways[entry].due(sent, self.bound)
    }

    pub(super) fn answered(&mut self, now: Instant, answer: Answer) {
        let Answer { entry, procedure, sent, outcome } = answer;
        self.open_calls -= 1;
        if outcome == RESULT {
            let struck = matches!(self.struck, Struck::Entry { entry: at, .. } if at == entry);
            self.gaps.result(now, Lane { procedure, is_at_struck: struck });
            if sent >= self.well.0 {
                self.well.1.insert((entry, procedure));
            }
        } else if self.struck == Struck::Nobody {
            let name = &self.procedures[procedure];
            self.broken(format!("without any fault a call to {name} had {outcome}"));
        }
        *self.tally.outcomes.entry(outcome).or_default() += 1;
    }

    /// An error has said this of itself.
    pub(super) fn reason(&mut self, error: &str, words: &str) {
        let reasons = &mut self.tally.reasons;
        let key = format!("{error}: {words}");
        if reasons.len() < REASONS_MAX || reasons.contains_key(&key) {
            *reasons.entry(key).or_default() += 1;
        }
    }

    /// A call was not answered in time, and is not waited for any more.
    pub(super) fn overdue(&mut self, what: String) {
        self.open_calls -= 1;
        self.broken(what);
    }

    /// A caller has lost its session, and its open calls with it.
    pub(super) fn caller_lost(&mut self, caller: usize, entry: usize, open: usize, why: &str) {
        self.open_calls -= open;
        self.tally.lost += u64::try_from(open).unwrap_or(u64::MAX);
        self.callers[caller] = None;
        let is_due =
            matches!(self.struck, Struck::Entry { entry: at, is_killed: true } if at == entry);
        if !is_due {
            self.broken(format!("caller {caller} lost its session at E{}: {why}", entry + 1));
        }
    }

    /// A callee has a session.
    pub(super) fn callee_joined(&mut self, callee: usize, entry: usize, session: u64, port: u16) {
        let stands = &mut self.callees[callee];
        (stands.session, stands.entry, stands.port) = (Some(session), entry, port);
        stands.registration = None;
    }

    /// A callee has none any more, or leaves it since it was told that it is no callee.
    pub(super) fn callee_lost(&mut self, callee: usize, why: &str) {
        let stands = &mut self.callees[callee];
        (stands.session, stands.registration) = (None, None);
        let entry = stands.entry;
        let is_due = stands.is_struck
            || matches!(self.struck, Struck::Entry { entry: at, .. } if at == entry);
        if !is_due {
            self.broken(format!("callee {callee} lost its session at E{}: {why}", entry + 1));
        }
    }

    /// How many callees that share a procedure are at each entry.
    pub(super) fn spread(&self) -> Vec<usize> {
        let mut spread = vec![0; self.ways.len()];
        let sharing = self.callees.iter().filter(|stands| stands.procedure < self.shared);
        sharing.for_each(|stands| spread[stands.entry] += 1);
        spread
    }

    /// Of the entry with most callees that share a procedure, one of them, which is sent elsewhere.
    pub(super) fn send_away(&mut self) -> Option<usize> {
        let spread = self.spread();
        let most = (0..spread.len()).max_by_key(|entry| spread[*entry])?;
        let is_there = |stands: &CalleeStands| {
            stands.entry == most && stands.procedure < self.shared && stands.session.is_some()
        };
        let found = self.callees.iter().position(is_there)?;
        self.callees[found].is_struck = true;
        Some(found)
    }

    pub(super) fn registered(&mut self, callee: usize, registration: u64) {
        self.callees[callee].registration = Some(registration);
    }

    pub(super) fn refused(&mut self, error: &str) {
        *self.tally.refused.entry(error.to_owned()).or_default() += 1;
    }

    pub(super) const fn revoked(&mut self) {
        self.tally.revoked += 1;
    }

    /// A callee has received an invocation by the registration that it was told so, which is now the
    /// one that `fence` says.
    pub(super) fn invoked(&mut self, now: Instant, callee: usize, (told, fence): (u64, u64)) {
        let stands = &self.callees[callee];
        let (session, entry) = (stands.session.unwrap_or_default(), stands.entry);
        let procedure = stands.procedure;
        if stands.registration != Some(told) {
            let knows = stands.registration;
            self.broken(format!("callee {callee} was invoked by {told}, and was told {knows:?}"));
        }
        if procedure < self.shared {
            return;
        }
        let stood_still = [self.callees[callee].standstill, self.ways[entry]];
        let who = format!("{}: callee {callee} at E{}", self.procedures[procedure], entry + 1);
        match self.tenures.invoked(now, procedure, fence, session) {
            Invoked::InOrder => {}
            Invoked::Late { .. } if stood_still.iter().any(|it| it.holds_up(now)) => {
                self.tally.late += 1;
            }
            Invoked::Late { newer, since } => {
                let ms = now.saturating_duration_since(since).as_millis();
                self.broken(format!(
                    "{who} was invoked by {fence}, {ms} ms after somebody was by {newer}"
                ));
            }
            Invoked::Twice { other } => {
                self.broken(format!(
                    "{who} was invoked by {fence} with session {session}, and session {other} was"
                ));
            }
        }
    }

    /// Callees that hold a procedure alone.
    pub(super) fn holders(&self) -> Vec<usize> {
        let callees = self.callees.iter().enumerate();
        let holders = callees
            .filter(|(_, stands)| stands.procedure >= self.shared && stands.registration.is_some());
        holders.map(|(callee, _)| callee).collect()
    }

    /// Name of a procedure.
    pub(super) fn procedure(&self, at: usize) -> &str {
        &self.procedures[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(4);

    fn ledger(now: Instant) -> Ledger {
        let procedures = vec!["p.shared".to_owned(), "p.single".to_owned()];
        let mut ledger = Ledger::new((2, 1), (procedures, 1), &[1, 1], BOUND, now);
        ledger.callee_joined(0, 0, 11, 1);
        ledger.callee_joined(1, 1, 12, 2);
        ledger
    }

    #[test]
    fn a_call_is_due_by_when_its_entry_could_hear_it() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut way = Standstill::default();
        assert_eq!(way.due(at(0), BOUND), Some(at(4_000)));
        way.begin(at(1_000));
        assert_eq!(way.due(at(0), BOUND), None, "it may not have been heard");
        way.end(at(3_000));
        assert_eq!(way.due(at(0), BOUND), Some(at(7_000)));
        assert_eq!(way.due(at(2_000), BOUND), Some(at(7_000)));
        assert_eq!(way.due(at(3_000), BOUND), Some(at(7_000)));
        assert_eq!(way.due(at(3_001), BOUND), Some(at(7_001)));
        way.begin(at(9_000));
        assert_eq!(way.due(at(4_000), BOUND), Some(at(8_000)), "it was over before");
    }

    #[test]
    fn a_former_holder_is_excused_by_a_standstill_alone() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut ledger = ledger(now);
        ledger.begin(at(0), Struck::Entry { entry: 0, is_killed: false });
        ledger.registered(0, 5);
        ledger.registered(1, 8);
        ledger.invoked(at(0), 0, (5, 5));
        ledger.way(0).begin(at(1));
        ledger.invoked(at(10), 1, (8, 8));
        ledger.way(0).end(at(20));
        ledger.invoked(at(1_020), 0, (5, 5));
        assert_eq!((ledger.tally().late, ledger.all_broken().1), (1, 0));
        ledger.invoked(at(1_021), 0, (5, 5));
        assert_eq!((ledger.tally().late, ledger.all_broken().1), (1, 1), "it is long over");
        ledger.begin(at(2_000), Struck::Node);
        ledger.invoked(at(2_001), 0, (5, 5));
        assert_eq!((ledger.tally().late, ledger.all_broken().1), (0, 2));
        // By an id that it was not told.
        ledger.invoked(at(2_002), 1, (9, 9));
        assert_eq!(ledger.all_broken().1, 3);
    }

    #[test]
    fn who_loses_a_session_that_nobody_struck_is_told_of() {
        let now = Instant::now();
        let mut ledger = ledger(now);
        ledger.begin(now, Struck::Entry { entry: 0, is_killed: true });
        ledger.open_calls = 3;
        ledger.caller_lost(0, 0, 2, "reset");
        ledger.callee_lost(0, "reset");
        assert_eq!((ledger.tally().lost, ledger.all_broken().1), (2, 0));
        ledger.caller_lost(0, 1, 1, "reset");
        ledger.callee_lost(1, "reset");
        assert_eq!((ledger.open_calls, ledger.all_broken().1), (0, 2));
    }

    #[test]
    fn without_a_fault_every_call_has_a_result_and_all_is_well_with_one_from_everywhere() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut ledger = ledger(now);
        ledger.begin(at(0), Struck::Nobody);
        ledger.open_calls = 6;
        ledger.watch(at(1));
        let mut answer = |ms: u64, entry, procedure, outcome: &str| {
            let answer = Answer { entry, procedure, sent: at(ms), outcome: outcome.to_owned() };
            ledger.answered(at(ms + 1), answer);
            ledger.not_well().len()
        };
        assert_eq!(answer(0, 0, 0, RESULT), 4, "it was sent before");
        assert_eq!(answer(1, 0, 0, RESULT), 3);
        assert_eq!(answer(2, 0, 1, RESULT), 2);
        assert_eq!(answer(3, 1, 0, RESULT), 1);
        assert_eq!(answer(4, 1, 1, "wamp.error.timeout"), 1);
        assert_eq!(answer(5, 1, 1, RESULT), 0);
        assert_eq!(ledger.all_broken().1, 1);
        let tally = ledger.tally();
        assert_eq!((tally.outcomes[RESULT], tally.outcomes["wamp.error.timeout"]), (5, 1));
    }
}
