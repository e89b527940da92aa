//! Places as people write them: positions, permanent ids, times, and `today`.

use std::str::FromStr;

use jiff::Timestamp;

use vixen_core::id::{Lane, PermanentId, Position, Stamp};
use vixen_core::time::WallTime;
use vixen_core::wire::HistoryPlace;

use super::Bound;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Positions are below 2^53, and one more can be asked for.
const POSITION_MAX: u64 = 1 << 53;
/// Bytes of `2026-11-21T10:00:00`: a zone comes after it.
const SECONDS_BYTES: usize = 19;

/// What a reader names to say from or up to where it wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefPoint {
    /// A message by its position.
    Position(Position),
    /// A message by its permanent id.
    Id(PermanentId),
    /// The moment before the messages of a millisecond.
    Time(WallTime),
}

/// The text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a position such as 42, a permanent id such as 2611210830e1a2b3a0, an RFC 3339 time \
     such as 2026-11-21T10:00:00Z, or today"
)]
pub struct ParseRefPointError;

impl RefPoint {
    /// Reads a position, a permanent id, an RFC 3339 time (cut to milliseconds), or `today`: the
    /// last midnight in UTC before `now`.
    ///
    /// # Errors
    /// The text is none of them.
    pub fn parse(text: &str, now: WallTime) -> Result<Self, ParseRefPointError> {
        if text == "today" {
            return Ok(Self::Time(WallTime(now.0 - now.0 % DAY_MS)));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let position = text.parse().ok().filter(|position| *position <= POSITION_MAX);
            return position.map(|n| Self::Position(Position(n))).ok_or(ParseRefPointError);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        parse_time(text).map(Self::Time).ok_or(ParseRefPointError)
    }

    /// Divides the messages up to this one from those after it; a time is before its messages.
    #[must_use]
    pub fn after(self) -> Bound {
        match self {
            Self::Position(position) => Bound::Position(position.plus(1)),
            Self::Id(PermanentId { stamp, offset }) => Bound::Id(match offset.checked_add(1) {
                Some(offset) => PermanentId { stamp, offset },
                None => PermanentId { stamp: Stamp(stamp.0.saturating_add(1)), offset: 0 },
            }),
            Self::Time(at) => Bound::Id(first_id(at)),
        }
    }

    /// Divides the messages before this one from it and those after it.
    #[must_use]
    pub fn before(self) -> Bound {
        match self {
            Self::Position(position) => Bound::Position(position),
            Self::Id(id) => Bound::Id(id),
            Self::Time(at) => Bound::Id(first_id(at)),
        }
    }
}

impl Bound {
    /// Where to read forward from what stands at the bound.
    #[must_use]
    pub const fn place(self) -> HistoryPlace {
        match self {
            Self::Position(position) => HistoryPlace::Position(position),
            Self::Id(PermanentId { stamp, offset }) => HistoryPlace::Id { stamp, offset },
        }
    }

    /// Where to read backward from what stands below the bound.
    #[must_use]
    pub const fn place_below(self) -> HistoryPlace {
        match self {
            Self::Position(Position(n)) => HistoryPlace::Position(Position(n.saturating_sub(1))),
            Self::Id(PermanentId { stamp, offset: 0 }) => {
                HistoryPlace::Id { stamp: stamp.just_below(), offset: u32::MAX }
            }
            Self::Id(PermanentId { stamp, offset }) => {
                HistoryPlace::Id { stamp, offset: offset - 1 }
            }
        }
    }
}

/// The first id that a message of this millisecond can have.
fn first_id(at: WallTime) -> PermanentId {
    let stamp = Lane::new(0).map_or(Stamp::ZERO, |lane| Stamp::at(at, lane));
    PermanentId { stamp, offset: 0 }
}

fn parse_time(text: &str) -> Option<WallTime> {
    let mut time = text.to_owned();
    // In a URL the plus of a zone is a space: `curl` users seldom encode it.
    if let Some(space) = text.rfind(' ').filter(|at| *at >= SECONDS_BYTES) {
        time.replace_range(space..=space, "+");
    }
    let ms = Timestamp::from_str(&time).ok()?.as_millisecond();
    Some(WallTime(u64::try_from(ms).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T10:00:00.123Z.
    const TIME: u64 = 1_795_255_200_123;

    #[test]
    fn places_are_told_apart_by_their_form() {
        let id = PermanentId { stamp: Stamp(1 << 22), offset: 3 };
        let (time, position) = (RefPoint::Time(WallTime(TIME)), RefPoint::Position(Position(42)));
        let table = [
            ("42", Some(position)),
            ("0", Some(RefPoint::Position(Position(0)))),
            ("9007199254740992", Some(RefPoint::Position(Position(1 << 53)))),
            ("9007199254740993", None),
            ("99999999999999999999", None),
            (&id.to_string(), Some(RefPoint::Id(id))),
            ("today", Some(RefPoint::Time(WallTime(TIME - TIME % DAY_MS)))),
            ("2026-11-21T10:00:00.123Z", Some(time)),
            ("2026-11-21T10:00:00.1239Z", Some(time)),
            ("2026-11-21T11:00:00.123+01:00", Some(time)),
            ("2026-11-21T11:00:00.123 01:00", Some(time)),
            ("2026-11-21t10:00:00.123z", Some(time)),
            ("2026-11-21T10:00:00", None),
            ("2026-11-21", None),
            ("1960-01-01T00:00:00Z", None),
            ("-1", None),
            ("", None),
            ("Today", None),
            ("yesterday", None),
        ];
        for (text, wanted) in table {
            assert_eq!(RefPoint::parse(text, WallTime(TIME)).ok(), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_after_a_message_begins_right_after_it() {
        let id = |stamp, offset| PermanentId { stamp: Stamp(stamp), offset };
        let (at_five, at_six) = (Bound::Position(Position(5)), Bound::Position(Position(6)));
        let five = RefPoint::Position(Position(5));
        assert_eq!((five.before(), five.after()), (at_five, at_six));
        assert_eq!(RefPoint::Id(id(7, 2)).after(), Bound::Id(id(7, 3)));
        assert_eq!(RefPoint::Id(id(7, u32::MAX)).after(), Bound::Id(id(8, 0)));
        assert_eq!(RefPoint::Id(id(7, 2)).before(), Bound::Id(id(7, 2)));
        let time = RefPoint::Time(WallTime(TIME));
        assert_eq!(time.after(), time.before(), "a time stands between messages");

        let place = |stamp, offset| HistoryPlace::Id { stamp: Stamp(stamp), offset };
        assert_eq!(at_six.place_below(), HistoryPlace::Position(Position(5)));
        assert_eq!(Bound::Id(id(7, 2)).place_below(), place(7, 1));
        assert_eq!(Bound::Id(id(7, 0)).place_below(), place(6, u32::MAX));
        assert_eq!(Bound::Id(id(7, 0)).place(), place(7, 0));
    }
}
