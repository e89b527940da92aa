//! Which days a node would drop by its own settings.
//!
//! "Now" is never later than the newest row of the order: no wild clock gets into elected stamps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use vixen_core::time::{UtcDay, WallTime};

/// How long days stay.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// A day that ended longer ago goes.
    pub age: Option<Duration>,
    /// The oldest go while all together have more bytes.
    pub bytes: Option<u64>,
}

impl RetentionPolicy {
    /// The first day that it keeps: those before may go. `now` is no later than the order is; the
    /// day of its newest row, `newest`, always stays.
    pub(crate) fn keep_from(self, now: WallTime, newest: UtcDay, days: &[(UtcDay, u64)]) -> UtcDay {
        let by_age = self.age.map_or(UtcDay(0), |age| UtcDay::of(now.minus(age)));
        let mut total: u64 = days.iter().map(|(_, bytes)| bytes).sum();
        let mut by_bytes = UtcDay(0);
        for (day, bytes) in days {
            if self.bytes.is_none_or(|max| total <= max) {
                break;
            }
            total -= bytes;
            by_bytes = UtcDay(day.0 + 1);
        }
        by_age.max(by_bytes).min(newest)
    }
}

/// The day of `days` to trim to, so that those before `keep_from` go; `None` when there are none.
pub(crate) fn trim_to(keep_from: UtcDay, days: &[(UtcDay, u64)]) -> Option<UtcDay> {
    let oldest = days.first()?.0;
    let first_left = days.iter().map(|(day, _)| *day).find(|day| *day >= keep_from)?;
    (first_left > oldest).then_some(first_left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// The first day left at noon of day 20, with the newest row in `newest`.
    fn left(age_days: Option<u32>, bytes: Option<u64>, newest: u32, days: &[(u32, u64)]) -> u32 {
        let retention = RetentionPolicy { age: age_days.map(|days| DAY * days), bytes };
        let days: Vec<_> = days.iter().map(|(day, bytes)| (UtcDay(*day), *bytes)).collect();
        let now = UtcDay(20).start().plus_millis(12 * 60 * 60 * 1_000);
        let keep_from = retention.keep_from(now, UtcDay(newest), &days);
        trim_to(keep_from, &days).unwrap_or(days[0].0).0
    }

    #[test]
    fn a_day_goes_when_it_ended_longer_ago_than_the_age() {
        let days = [(10, 1), (18, 1), (19, 1), (20, 1)];
        assert_eq!(left(None, None, 20, &days), 10);
        assert_eq!(left(Some(1), None, 20, &days), 19);
        assert_eq!(left(Some(2), None, 20, &days), 18);
        assert_eq!(left(Some(30), None, 20, &days), 10);
        // Day 20 is not over, and the newest stays however old.
        assert_eq!(left(Some(0), None, 20, &[(20, 1)]), 20);
        assert_eq!(left(Some(1), None, 5, &[(3, 1), (5, 1)]), 5);
    }

    #[test]
    fn the_oldest_days_go_while_all_are_too_many_bytes() {
        let days = [(17, 5), (18, 5), (19, 5), (20, 5)];
        assert_eq!(left(None, Some(20), 20, &days), 17);
        assert_eq!(left(None, Some(19), 20, &days), 18);
        assert_eq!(left(None, Some(10), 20, &days), 19);
        assert_eq!(left(None, Some(1), 20, &days), 20);
        // A day that a wild clock began is not the newest of the order.
        assert_eq!(left(None, Some(1), 19, &[(19, 5), (80, 5)]), 19);
    }

    #[test]
    fn what_may_go_is_said_of_days_that_are_gone_as_well() {
        let retention = RetentionPolicy { age: Some(DAY), bytes: None };
        let now = UtcDay(20).start();
        assert_eq!(retention.keep_from(now, UtcDay(20), &[(UtcDay(20), 1)]), UtcDay(19));
        assert_eq!(RetentionPolicy::default().keep_from(now, UtcDay(20), &[]), UtcDay(0));
    }
}
