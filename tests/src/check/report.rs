//! The outcome of a check.

use std::fmt;

use super::Violation;

/// Violations kept in words; more are counted.
const KEPT: usize = 20;

/// What a run looked like, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages sent.
    pub sent: u64,
    /// Of them, acknowledged.
    pub acknowledged: u64,
    /// Of them, refused.
    pub refused: u64,
    /// Of them, received although no acknowledgement came; allowed.
    pub received_unacknowledged: u64,
    /// Of them, neither acknowledged nor received; allowed unless they were acknowledged.
    pub never_appeared: u64,
    /// Distinct positions received by anyone.
    pub positions: u64,
    /// Number of subscribers.
    pub subscribers: u64,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// The number of all violations.
    pub violations_total: u64,
}

impl Report {
    /// Whether every guarantee held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.violations_total == 0
    }

    /// Panics with the whole report unless every guarantee held: for tests.
    ///
    /// # Panics
    /// See above.
    pub fn assert_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }

    /// Takes in the report of another run.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.received_unacknowledged += other.received_unacknowledged;
        self.never_appeared += other.never_appeared;
        self.positions += other.positions;
        self.subscribers += other.subscribers;
        self.violations_total += other.violations_total;
        self.violations.extend(other.violations);
        self.violations.truncate(KEPT);
    }

    pub(super) fn add(&mut self, violation: Violation) {
        self.violations_total += 1;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} acknowledged, {} refused, {} received without acknowledgement, {} never \
             appeared; {} positions at {} subscribers: ",
            self.sent,
            self.acknowledged,
            self.refused,
            self.received_unacknowledged,
            self.never_appeared,
            self.positions,
            self.subscribers
        )?;
        if self.is_ok() {
            return f.write_str("every guarantee held");
        }
        write!(f, "{} VIOLATIONS", self.violations_total)?;
        for violation in &self.violations {
            write!(f, "\n  - {violation}")?;
        }
        let more = self.violations_total - self.violations.len() as u64;
        if more > 0 {
            write!(f, "\n  … and {more} more")?;
        }
        Ok(())
    }
}
