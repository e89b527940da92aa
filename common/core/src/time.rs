//! Wall time as the protocol sees it: milliseconds, read by drivers and passed into pure code.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC, by this machine's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct WallTime(pub u64);

impl WallTime {
    /// This time plus `millis`, saturating.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This time less `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Milliseconds from `earlier` to this time; 0 when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A day in UTC, counted from 1970-01-01. Its text form is the date.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct UtcDay(pub u32);

impl UtcDay {
    /// The day in which a time lies.
    #[must_use]
    pub fn of(at: WallTime) -> Self {
        Self(u32::try_from(at.0 / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Its first millisecond.
    #[must_use]
    pub const fn start(self) -> WallTime {
        WallTime(self.0 as u64 * DAY_MS)
    }

    /// The millisecond after its last.
    #[must_use]
    pub const fn end(self) -> WallTime {
        WallTime((self.0 as u64 + 1) * DAY_MS)
    }
}

impl std::fmt::Display for UtcDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = i64::from(self.0) * 24 * 60 * 60;
        let start = jiff::Timestamp::from_second(seconds).map_err(|_beyond| std::fmt::Error)?;
        start.to_zoned(jiff::tz::TimeZone::UTC).date().fmt(f)
    }
}

/// The text is not a date such as `2026-11-21`, or before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date such as 2026-11-21")]
pub struct ParseDayError;

impl std::str::FromStr for UtcDay {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, ParseDayError> {
        let date: jiff::civil::Date = text.parse().map_err(|_malformed| ParseDayError)?;
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_beyond| ParseDayError)?;
        let seconds = start.timestamp().as_second();
        let day = u32::try_from(seconds / (24 * 60 * 60)).map_err(|_before| ParseDayError)?;
        // The one form that is written, and no other.
        let day = Self(day);
        if day.to_string() == text { Ok(day) } else { Err(ParseDayError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_date_from_midnight_to_midnight() {
        let day: UtcDay = "2026-11-21".parse().expect("a date");
        assert_eq!(day.to_string(), "2026-11-21");
        assert_eq!(UtcDay::of(day.start()), day);
        assert_eq!(UtcDay::of(WallTime(day.end().0 - 1)), day);
        assert_eq!(UtcDay::of(day.end()), UtcDay(day.0 + 1));
        assert_eq!("1970-01-01".parse(), Ok(UtcDay(0)));
        for bad in ["", "2026-11-31", "2026-1-1", "1969-12-31", "20261121", "lost+found"] {
            assert_eq!(bad.parse::<UtcDay>(), Err(ParseDayError), "{bad}");
        }
    }
}
