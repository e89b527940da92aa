//! Wall clocks that are wrong, and what the order's stamps may make of it (rule 8).

use rand::RngExt;
use rand::rngs::StdRng;

use vixen_core::id::Stamp;

/// Rule 8 draws the line here.
pub(super) const AHEAD_MS_MAX: u64 = 10_000;
/// How far ahead all clocks are at once.
const ALL_AHEAD_MS: i64 = 3_600_000;
/// Longer than an idle owner is remembered.
const WEEK_MS: i64 = 8 * 24 * ALL_AHEAD_MS;
/// One seed in so many has clocks that leap by weeks.
const WEEKS_EACH: u64 = 8;
/// How fast a clock that runs wild runs, in milliseconds a millisecond.
const DRIFT_MAX: i64 = 20;
/// What restarts use up of the future, with room.
const RESTARTS_MS: u64 = 1_000;
/// Any clock is set wrong by up to this much now and then, where nothing is known of any.
const WILD_MS: i64 = 30_000;

/// Which clocks go wrong in a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any, any time: nothing is to be said of the order's lead.
    Any,
    /// One node's.
    One,
    /// All at once, by the same, and all are set right again; besides, one runs too fast.
    All,
    /// The same, each time by more than owners are remembered for; one that runs too fast, or none.
    Weeks {
        /// One runs too fast.
        has_wild: bool,
    },
}

/// A clock: by how much it is off, and how much that grows each millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skew {
    off_ms: i64,
    drift: i64,
    /// Since when it drifts, in milliseconds since the World began.
    since_ms: u64,
}

impl Skew {
    pub(super) const fn set(off_ms: i64, drift: i64, since_ms: u64) -> Self {
        Self { off_ms, drift, since_ms }
    }

    /// What is added to true time, so many milliseconds after the World began.
    pub(super) const fn at(self, now_ms: u64) -> i64 {
        self.off_ms.saturating_add(
            self.drift.saturating_mul(now_ms.saturating_sub(self.since_ms).cast_signed()),
        )
    }
}

/// The clocks of the sync nodes of a world.
#[derive(Debug)]
pub(super) struct Clocks {
    kind: Kind,
    wild: usize,
    /// By how much all are ahead.
    ahead_ms: i64,
    /// By how much they ever were.
    ahead_ms_max: i64,
}

impl Clocks {
    pub(super) fn new(seed: u64, nodes: usize, rng: &mut StdRng) -> Self {
        let kind = match rng.random_range(0..4) {
            _ if seed % WEEKS_EACH == WEEKS_EACH - 1 => {
                Kind::Weeks { has_wild: (seed / WEEKS_EACH).is_multiple_of(2) }
            }
            0 => Kind::One,
            1 => Kind::All,
            _ => Kind::Any,
        };
        Self { kind, wild: rng.random_range(0..nodes), ahead_ms: 0, ahead_ms_max: 0 }
    }

    /// Whether owners are forgotten in this world.
    pub(super) const fn leap_weeks(&self) -> bool {
        matches!(self.kind, Kind::Weeks { .. })
    }

    /// Whether any number of nodes may forget owners of entries that live: no clock runs wild besides.
    pub(super) fn forget_all(&self) -> bool {
        self.kind == Kind::Weeks { has_wild: false }
    }

    /// By how much all clocks are off when faults have stopped. They are right, but where weeks went by: who has
    /// forgotten an owner of an entry that lives is as good as gone, and so is one that drafted in a week in
    /// which others were not there; both together may be too many.
    pub(super) fn calm_ms(&mut self) -> i64 {
        if self.leap_weeks() {
            self.ahead_ms_max += WEEK_MS;
            return self.ahead_ms_max;
        }
        0
    }

    /// Whether the node knows of entries that live when it looks for idle owners. The one that
    /// does not is the one whose clock is wrong, if there is one: of three nodes no more may fail.
    pub(super) fn keeps_entries(&self, at: usize) -> bool {
        self.kind == Kind::Weeks { has_wild: true } && at != self.wild
    }

    /// Sets the clock of a node: what it is off by, and how much that grows each millisecond.
    pub(super) fn set_one(&self, at: usize, rng: &mut StdRng) -> (i64, i64) {
        match self.kind {
            Kind::Any => match rng.random_range(0..10) {
                0 => (WILD_MS, 0),
                1 => (-WILD_MS, 0),
                2 => (0, rng.random_range(-DRIFT_MAX..DRIFT_MAX)),
                _ => (rng.random_range(-500..500), 0),
            },
            Kind::One | Kind::All | Kind::Weeks { .. } if at != self.wild => (self.ahead_ms, 0),
            Kind::Weeks { has_wild: false } => (self.ahead_ms, 0),
            Kind::One => match rng.random_range(0..4) {
                0 => (24 * ALL_AHEAD_MS, 0),
                1 => (-WILD_MS, 0),
                2 => (rng.random_range(0..2 * WILD_MS), 0),
                _ => (0, rng.random_range(2..2 * DRIFT_MAX)),
            },
            // Always just before the order, wherever that is.
            Kind::All | Kind::Weeks { has_wild: true } => {
                let off_ms = self.ahead_ms_max + rng.random_range(0..8_000);
                (off_ms, rng.random_range(2..2 * DRIFT_MAX))
            }
        }
    }

    /// All clocks are set ahead, or right again; whether they are, in this kind of seed. Each node is
    /// to be set by [`set_one`](Self::set_one) then.
    pub(super) fn set_all(&mut self) -> bool {
        let step_ms = match self.kind {
            Kind::Any | Kind::One => return false,
            Kind::All => ALL_AHEAD_MS,
            // Each time beyond the last: the order has stayed there.
            Kind::Weeks { .. } => self.ahead_ms_max + WEEK_MS,
        };
        self.ahead_ms = if self.ahead_ms == 0 { step_ms } else { 0 };
        self.ahead_ms_max = self.ahead_ms_max.max(self.ahead_ms);
        true
    }

    /// Asserts that no single wrong clock has moved the order.
    pub(super) fn check(&self, now_ms: u64, elected: Stamp) {
        if self.kind == Kind::Any {
            return;
        }
        let lead_ms = elected.wall_time().0.saturating_sub(now_ms);
        let right_ms = u64::try_from(self.ahead_ms_max).unwrap_or(0);
        assert!(
            lead_ms <= right_ms + AHEAD_MS_MAX + RESTARTS_MS,
            "rule 8: a stamp is elected {lead_ms} ms ahead of wall time, and right clocks were \
             {right_ms} ms ahead at most"
        );
    }
}
