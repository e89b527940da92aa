//! What calls to each registration have taken: how many have ended, and how long they were open.
//!
//! Those of this entry's callers, wherever their callees are, so that each call is counted at one entry. Counts begin
//! with the first call and are forgotten with the registration; there are never more than registrations.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use vixen_broker::dealer::{CalledAt, Note};
use vixen_views::record::RegistrationId;
use vixen_views::registrations::{Change, Registrations};

/// What takes longer is counted as this, 12 days.
const LONGEST_US: u64 = 1 << 40;

/// A span of µs. They follow each other without a gap, four to each doubling: none is wider than a quarter of where it
/// begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span(u8);

impl Span {
    fn of(took: Duration) -> Self {
        let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).min(LONGEST_US);
        let doublings = us.checked_ilog2().unwrap_or(0).saturating_sub(2);
        let number = 4 * u64::from(doublings) + (us >> doublings);
        Self(u8::try_from(number).unwrap_or(u8::MAX))
    }

    /// Where it ends, exclusive.
    fn below_us(self) -> u64 {
        let next = u64::from(self.0) + 1;
        let doublings = (next / 4).saturating_sub(1);
        (next - 4 * doublings) << doublings
    }
}

/// What calls to one registration have taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    calls: u64,
    /// How many of them were open for so long.
    spans: BTreeMap<Span, u64>,
}

impl Taken {
    fn add(&mut self, took: Duration) {
        self.calls += 1;
        *self.spans.entry(Span::of(took)).or_default() += 1;
    }

    /// Calls that have ended.
    pub(super) const fn calls(&self) -> u64 {
        self.calls
    }

    /// So many percent of the calls took less than this.
    fn below_us(&self, percent: u64) -> Option<u64> {
        let wanted = self.calls.saturating_mul(percent).div_ceil(100);
        let mut counted = 0;
        let reached = self.spans.iter().find(|(_, calls)| {
            counted += **calls;
            counted >= wanted
        });
        reached.map(|(span, _)| span.below_us())
    }

    /// How long they took. From the spans of two looks follows what was between them.
    pub(super) fn status(&self) -> Value {
        let spans = self.spans.iter().map(|(span, calls)| json!([span.below_us(), calls]));
        json!({
            "p50_us": self.below_us(50),
            "p99_us": self.below_us(99),
            "below_us": spans.collect::<Vec<_>>(),
        })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Procedures {
    taken: BTreeMap<RegistrationId, Taken>,
}

impl Procedures {
    /// Counts a call that has ended, if its registration is there still.
    pub(super) fn note(&mut self, note: Note, view: &Registrations) {
        let Note::Ended { at: Some(CalledAt { registration, .. }), took, .. } = note else {
            return;
        };
        let id = RegistrationId(registration.0);
        if view.get(id).is_none() {
            return;
        }
        self.taken.entry(id).or_default().add(took);
        // A view that begins anew does not say what is there no more.
        if self.taken.len() > view.len() {
            self.taken.retain(|id, _| view.get(*id).is_some());
        }
    }

    /// Forgets what has ended.
    pub(super) fn changed(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Deleted { registration, .. } = change {
                self.taken.remove(registration);
            }
        }
    }

    /// What calls to a registration have taken, if there were any.
    pub(super) fn taken(&self, registration: RegistrationId) -> Option<&Taken> {
        self.taken.get(&registration)
    }

    /// Registrations of which something is counted.
    #[cfg(test)]
    pub(super) fn counted(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use vixen_broker::dealer::Outcome;
    use vixen_core::id::{OwnerId, Position};
    use vixen_core::segment::{Match, TopicPattern};
    use vixen_core::time::WallTime;
    use vixen_views::record::{Facts, Invoke, Life, Reads, Record, Register, Said};

    use super::*;

    /// With a registration at each of these positions.
    fn view_of(positions: &[u64]) -> Registrations {
        let mut view = Registrations::new();
        let writer = Life { owner: OwnerId(uuid::Uuid::from_u128(1)), number: 1 };
        let name = "E1".parse().expect("a name");
        let facts = Facts { name, link_address: None, reads: Reads::HERE };
        view.apply(Position(1), WallTime(1), &Record { writer, said: Said::Life(facts) });
        for at in positions {
            let pattern = TopicPattern::new("realm1", &format!("a.b{at}"), Match::Exact);
            let (invoke, is_forced, keeps_timeouts) = (Invoke::Single, false, false);
            let (number, session) = (*at, 1);
            let register = Register { number, session, pattern, invoke, is_forced, keeps_timeouts };
            let record = Record { writer, said: Said::Register(register) };
            view.apply(Position(*at), WallTime(*at), &record);
        }
        view
    }

    fn ended(registration: u64) -> Note {
        let at = CalledAt { registration: Position(registration), is_linked: false };
        Note::Ended { outcome: Outcome::Result, at: Some(at), took: us(1) }
    }

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn spans_follow_each_other_and_none_is_wider_than_a_quarter_of_its_beginning() {
        let mut begins = 0;
        for number in 0..Span::of(Duration::MAX).0 {
            let below = Span(number).below_us();
            assert!(begins < below && below - begins <= (begins / 4).max(1), "{number}");
            assert_eq!(Span::of(us(begins)), Span(number));
            assert_eq!(Span::of(us(below - 1)), Span(number));
            begins = below;
        }
        assert_eq!(begins, LONGEST_US, "the last one has all that is longer");
        assert_eq!(Span::of(us(LONGEST_US + 1)), Span::of(Duration::MAX));
    }

    #[test]
    fn so_many_percent_of_the_calls_took_less() {
        let mut taken = Taken::default();
        assert_eq!(taken.below_us(50), None);
        taken.add(us(100));
        assert_eq!((taken.below_us(50), taken.below_us(99)), (Some(112), Some(112)));
        (0..97).for_each(|_| taken.add(us(3)));
        taken.add(us(100));
        taken.add(us(1_000_000));
        assert_eq!(taken.calls(), 100);
        assert_eq!((taken.below_us(50), taken.below_us(99)), (Some(4), Some(112)));
        taken.add(us(1_000_000));
        assert_eq!(taken.below_us(99), Some(1_048_576), "two of 101 are more than a hundredth");
        let wanted = json!({
            "p50_us": 4,
            "p99_us": 1_048_576,
            "below_us": [[4, 97], [112, 2], [1_048_576, 2]],
        });
        assert_eq!(taken.status(), wanted);
    }

    #[test]
    fn calls_count_only_where_the_view_has_their_registration() {
        let (mut procedures, view) = (Procedures::default(), view_of(&[2]));
        let nowhere = Note::Ended { outcome: Outcome::NoSuchProcedure, at: None, took: us(1) };
        for note in [ended(0), ended(3), nowhere, Note::Late, Note::Progress] {
            procedures.note(note, &view);
        }
        assert_eq!(procedures.counted(), 0);
        procedures.note(ended(2), &view);
        assert_eq!(procedures.taken(RegistrationId(2)).map(Taken::calls), Some(1));
    }

    #[test]
    fn of_a_view_that_begins_anew_no_more_is_counted_than_it_has() {
        let mut procedures = Procedures::default();
        let before = view_of(&[2, 3, 4]);
        (2..5).for_each(|at| procedures.note(ended(at), &before));
        let anew = view_of(&[4, 5]);
        procedures.note(ended(5), &anew);
        assert_eq!(procedures.counted(), 2);
        let calls = |at| procedures.taken(RegistrationId(at)).map(Taken::calls);
        assert_eq!((calls(3), calls(4), calls(5)), (None, Some(1), Some(1)));
    }
}
