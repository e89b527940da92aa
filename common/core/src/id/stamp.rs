//! Stamps: the elected ids of segments.
//!
//! ```text
//!  63                    22 21            6 5      0
//! +------------------------+---------------+--------+
//! | ms since 2020-01-01    | counter       | lane   |
//! | 42 bits                | 16 bits       | 6 bits |
//! +------------------------+---------------+--------+
//! ```
//! A node makes stamps of its own lane only, each above all it has seen, so no two are equal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// Number of lanes, and so the largest sync cluster.
pub const LANES: u8 = 64;

/// 2020-01-01T00:00:00Z in Unix milliseconds: where stamps begin.
pub(crate) const EPOCH_MS: u64 = 1_577_836_800_000;

const LANE_BITS: u32 = 6;
const TICK_BITS: u32 = 16;
const MS_MAX: u64 = (1 << 42) - 1;

/// The lane in which one sync node makes its stamps: `0..64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lane(u8);

impl Lane {
    /// A lane below [`LANES`]; `None` for any other number.
    #[must_use]
    pub const fn new(lane: u8) -> Option<Self> {
        if lane < LANES { Some(Self(lane)) } else { None }
    }

    /// The number, `0..64`.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }
}

/// The elected id of a segment. [`Stamp::ZERO`] is below every real one.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Below every stamp that is ever made.
    pub const ZERO: Self = Self(0);

    /// The first stamp of the millisecond `at`, in `lane`.
    #[must_use]
    pub const fn at(at: WallTime, lane: Lane) -> Self {
        let since = at.0.saturating_sub(EPOCH_MS);
        let ms = if since > MS_MAX { MS_MAX } else { since };
        Self(ms << (TICK_BITS + LANE_BITS) | lane.0 as u64)
    }

    /// The highest stamp of all milliseconds before `at`.
    #[must_use]
    pub const fn before(at: WallTime) -> Self {
        Self::at(at, Lane(0)).just_below()
    }

    /// The lowest stamp of `lane` that is above `floor` and not below `now`.
    #[must_use]
    pub const fn next(lane: Lane, floor: Self, now: WallTime) -> Self {
        let by_time = Self::at(now, lane);
        if by_time.0 > floor.0 {
            return by_time;
        }
        let tick = floor.0 >> LANE_BITS;
        let same_tick = tick << LANE_BITS | lane.0 as u64;
        if same_tick > floor.0 {
            return Self(same_tick);
        }
        Self((tick + 1) << LANE_BITS | lane.0 as u64)
    }

    /// The stamp right below this one; [`Stamp::ZERO`] stays.
    #[must_use]
    pub const fn just_below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// When this stamp was made, by the clock of its maker.
    #[must_use]
    pub const fn wall_time(self) -> WallTime {
        WallTime((self.0 >> (TICK_BITS + LANE_BITS)) + EPOCH_MS)
    }

    /// Whether it is of the last year that stamps can tell, 2158 and 2159: no clock may go there, since nothing could
    /// follow in the end.
    #[must_use]
    pub const fn is_of_the_last_year(self) -> bool {
        self.0 >> (TICK_BITS + LANE_BITS) > MS_MAX - 366 * 24 * 3_600_000
    }

    /// The part below the millisecond: counter and lane, 22 bits.
    #[must_use]
    pub(crate) const fn below_ms(self) -> u64 {
        self.0 & ((1 << (TICK_BITS + LANE_BITS)) - 1)
    }

    /// Rebuilds a stamp from its two parts; `None` when one does not fit.
    #[must_use]
    pub(crate) const fn from_parts(at: WallTime, below_ms: u64) -> Option<Self> {
        if at.0 < EPOCH_MS || at.0 - EPOCH_MS > MS_MAX || below_ms >> (TICK_BITS + LANE_BITS) != 0 {
            return None;
        }
        Some(Self((at.0 - EPOCH_MS) << (TICK_BITS + LANE_BITS) | below_ms))
    }

    /// The lane it was made in.
    #[must_use]
    pub const fn lane(self) -> Lane {
        #[expect(clippy::cast_possible_truncation, reason = "masked to six bits")]
        Lane((self.0 & (LANES as u64 - 1)) as u8)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stamp:{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lane(n: u8) -> Lane {
        Lane::new(n).expect("a lane of the test")
    }

    #[test]
    fn the_last_year_is_far_from_now_and_ends_with_the_last_stamp() {
        let of_year = |year: u64| Stamp::at(WallTime((year - 1970) * 31_556_952_000), lane(0));
        assert!(!of_year(2150).is_of_the_last_year() && of_year(2159).is_of_the_last_year());
        assert!(Stamp(u64::MAX).is_of_the_last_year());
    }

    #[test]
    fn the_next_stamp_follows_wall_time_when_that_is_ahead() {
        let now = WallTime(EPOCH_MS + 5);
        assert_eq!(Stamp::next(lane(3), Stamp::ZERO, now), Stamp(5 << 22 | 3));
    }

    proptest! {
        #[test]
        fn the_next_stamp_is_the_lowest_of_its_lane_above_the_floor(
            floor in 0u64..1 << 50, now in EPOCH_MS..EPOCH_MS + 1000, n in 0u8..64,
        ) {
            let next = Stamp::next(lane(n), Stamp(floor), WallTime(now));
            prop_assert!(next.0 > floor);
            prop_assert_eq!(next.lane(), lane(n));
            prop_assert!(next.wall_time().0 >= now);
            let before = next.0.checked_sub(64);
            prop_assert!(before.is_none_or(|b| b <= floor || Stamp(b).wall_time().0 < now));
        }
    }
}
