//! Query parameters of `/history`.

use vixen_broker::history::{Bound, Direction, HistoryRequest, RefPoint, Start};
use vixen_core::id::Position;
use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;

/// Messages, unless more are asked for: what a person reads.
const LIMIT_DEFAULT: u64 = 1_000;
const REALM_DEFAULT: &str = "realm1";

/// The parameters as they came, each at most once.
#[derive(Default)]
struct Params<'a> {
    realm: Option<&'a str>,
    topic: Option<&'a str>,
    matching: Option<&'a str>,
    from: Option<&'a str>,
    after: Option<&'a str>,
    before: Option<&'a str>,
    direction: Option<&'a str>,
    limit: Option<&'a str>,
}

/// Reads the parameters.
///
/// # Errors
/// What is wrong and what to write, for people.
pub(super) fn parse(pairs: &[(String, String)], now: WallTime) -> Result<HistoryRequest, String> {
    let params = Params::collect(pairs)?;
    let direction = params.direction()?;
    let (low, high) = (params.low(now)?, params.high(now)?);
    let (start, until) = match direction {
        Direction::Forward => (low.map(Bound::place), high),
        Direction::Backward => (high.map(Bound::place_below), low),
    };
    Ok(HistoryRequest {
        start: start.map_or(Start::Anywhere, Start::At),
        direction,
        until,
        topics: vec![params.pattern()?],
        limit: params.limit()?,
        named: params.named(now),
    })
}

impl<'a> Params<'a> {
    fn collect(pairs: &'a [(String, String)]) -> Result<Self, String> {
        let mut params = Self::default();
        for (name, value) in pairs {
            let slot = match name.as_str() {
                "realm" => &mut params.realm,
                "topic" => &mut params.topic,
                "match" => &mut params.matching,
                "from" => &mut params.from,
                "after" => &mut params.after,
                "before" => &mut params.before,
                "direction" => &mut params.direction,
                "limit" => &mut params.limit,
                _other => {
                    return Err(format!(
                        "unknown parameter {name:?}: use realm, topic, match, from, after, before, \
                         direction and limit"
                    ));
                }
            };
            if slot.replace(value).is_some() {
                return Err(format!("{name} is given twice: give it once"));
            }
        }
        Ok(params)
    }

    fn direction(&self) -> Result<Direction, String> {
        match self.direction {
            None | Some("forward") => Ok(Direction::Forward),
            Some("backward") => Ok(Direction::Backward),
            Some(other) => Err(format!("direction is {other:?}: write forward or backward")),
        }
    }

    fn pattern(&self) -> Result<TopicPattern, String> {
        let realm = self.realm.unwrap_or(REALM_DEFAULT);
        let matching = match self.matching {
            None | Some("exact") => Match::Exact,
            Some("prefix") => Match::Prefix,
            Some("wildcard") => Match::Wildcard,
            Some(other) => {
                return Err(format!("match is {other:?}: write exact, prefix or wildcard"));
            }
        };
        match self.topic {
            Some("") if matching == Match::Exact => {
                Err("topic is empty: write a topic, or leave it out for all".to_owned())
            }
            Some(uri) => Ok(TopicPattern::new(realm, uri, matching)),
            None if self.matching.is_some() => {
                Err("match is given without topic: write topic=com.example as well".to_owned())
            }
            None => Ok(TopicPattern::all(realm)),
        }
    }

    fn limit(&self) -> Result<Option<u64>, String> {
        let Some(text) = self.limit else { return Ok(Some(LIMIT_DEFAULT)) };
        if text == "all" {
            return Ok(None);
        }
        let limit = text.parse().ok().filter(|limit| *limit > 0);
        limit.map(Some).ok_or_else(|| {
            format!("limit is {text:?}: write a number from 1 on, or all for every message")
        })
    }

    /// What is below is not wanted.
    fn low(&self, now: WallTime) -> Result<Option<Bound>, String> {
        match (self.from, self.after) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err("from and after are both given: give one of them".to_owned()),
            (Some(text), None) => match RefPoint::parse(text, now) {
                Ok(point @ RefPoint::Position(_)) => Ok(Some(point.before())),
                Ok(RefPoint::Id(_) | RefPoint::Time(_)) | Err(_) => {
                    Err(format!("from is {text:?}: write a position such as 42, or use after"))
                }
            },
            (None, Some(text)) => point("after", text, now).map(|point| Some(point.after())),
        }
    }

    /// What has to be in the order for `low` to make sense; the next position is as good as the last.
    fn named(&self, now: WallTime) -> Option<RefPoint> {
        let after = self.after.and_then(|text| RefPoint::parse(text, now).ok());
        let from = self.from.and_then(|text| text.parse::<u64>().ok());
        after.or(from.map(|from| RefPoint::Position(Position(from.saturating_sub(1)))))
    }

    /// What is at it or above is not wanted.
    fn high(&self, now: WallTime) -> Result<Option<Bound>, String> {
        let Some(text) = self.before else { return Ok(None) };
        point("before", text, now).map(|point| Some(point.before()))
    }
}

fn point(name: &str, text: &str, now: WallTime) -> Result<RefPoint, String> {
    RefPoint::parse(text, now).map_err(|error| format!("{name} is {text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{PermanentId, Stamp};
    use vixen_core::wire::HistoryPlace;

    use super::*;

    /// 2026-11-21T10:00:00.123Z.
    const NOW: WallTime = WallTime(1_795_255_200_123);

    fn parsed(query: &str) -> Result<HistoryRequest, String> {
        let pairs: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        parse(&pairs, NOW)
    }

    fn all() -> HistoryRequest {
        HistoryRequest {
            start: Start::Anywhere,
            direction: Direction::Forward,
            until: None,
            topics: vec![TopicPattern::all("realm1")],
            limit: Some(1_000),
            named: None,
        }
    }

    fn named(position: u64) -> Option<RefPoint> {
        Some(RefPoint::Position(Position(position)))
    }

    fn at(position: u64) -> Start {
        Start::At(HistoryPlace::Position(Position(position)))
    }

    #[test]
    fn good_parameters() {
        let topics = |uri, matching| vec![TopicPattern::new("realm1", uri, matching)];
        let backward = HistoryRequest { direction: Direction::Backward, ..all() };
        let id = |stamp, offset| PermanentId { stamp: Stamp(stamp), offset };
        let text = id(7, 2).to_string();
        let place = |stamp, offset| Start::At(HistoryPlace::Id { stamp: Stamp(stamp), offset });
        let RefPoint::Time(midnight) = RefPoint::parse("today", NOW).expect("a time") else {
            panic!("today is a time")
        };
        let at_midnight = Some(RefPoint::Time(midnight));
        let Bound::Id(today) = RefPoint::Time(midnight).after() else { panic!("an id") };
        let table = [
            ("", all()),
            ("realm=r2", HistoryRequest { topics: vec![TopicPattern::all("r2")], ..all() }),
            ("topic=a.b", HistoryRequest { topics: topics("a.b", Match::Exact), ..all() }),
            (
                "topic=a.b&match=exact",
                HistoryRequest { topics: topics("a.b", Match::Exact), ..all() },
            ),
            (
                "topic=a.&match=prefix",
                HistoryRequest { topics: topics("a.", Match::Prefix), ..all() },
            ),
            (
                "topic=a..c&match=wildcard",
                HistoryRequest { topics: topics("a..c", Match::Wildcard), ..all() },
            ),
            ("after=41", HistoryRequest { start: at(42), named: named(41), ..all() }),
            ("from=42", HistoryRequest { start: at(42), named: named(41), ..all() }),
            ("from=0", HistoryRequest { start: at(0), named: named(0), ..all() }),
            (
                &format!("after={text}"),
                HistoryRequest { start: place(7, 3), named: Some(RefPoint::Id(id(7, 2))), ..all() },
            ),
            (
                "after=today",
                HistoryRequest { start: place(today.stamp.0, 0), named: at_midnight, ..all() },
            ),
            (
                "after=2026-11-21T00:00:00Z",
                HistoryRequest { start: place(today.stamp.0, 0), named: at_midnight, ..all() },
            ),
            (
                "from=5&before=9",
                HistoryRequest {
                    start: at(5),
                    until: Some(Bound::Position(Position(9))),
                    named: named(4),
                    ..all()
                },
            ),
            ("direction=backward", backward.clone()),
            ("direction=backward&before=9", HistoryRequest { start: at(8), ..backward.clone() }),
            (
                &format!("direction=backward&before={text}"),
                HistoryRequest { start: place(7, 1), ..backward.clone() },
            ),
            (
                "direction=backward&before=today",
                HistoryRequest { start: place(today.stamp.0 - 1, u32::MAX), ..backward.clone() },
            ),
            (
                "direction=backward&after=today",
                HistoryRequest {
                    until: Some(Bound::Id(today)),
                    named: at_midnight,
                    ..backward.clone()
                },
            ),
            ("limit=all", HistoryRequest { limit: None, ..all() }),
            ("limit=7", HistoryRequest { limit: Some(7), ..all() }),
        ];
        for (query, wanted) in table {
            assert_eq!(parsed(query), Ok(wanted), "{query}");
        }
    }

    #[test]
    fn bad_parameters_say_what_to_write() {
        let table = [
            ("limit=0", "write a number from 1 on"),
            ("limit=-1", "write a number from 1 on"),
            ("limit=many", "or all for every message"),
            ("after=yesterday", "after is \"yesterday\": expected a position such as 42"),
            ("after=", "expected a position"),
            ("before=2026-11-21", "before is \"2026-11-21\": expected"),
            ("from=today", "write a position such as 42, or use after"),
            ("from=1&after=1", "give one of them"),
            ("match=prefix", "without topic"),
            ("topic=a&match=regex", "write exact, prefix or wildcard"),
            ("topic=", "topic is empty"),
            ("direction=up", "write forward or backward"),
            ("limit=1&limit=2", "limit is given twice"),
            ("form=1", "unknown parameter \"form\": use realm,"),
        ];
        for (query, wanted) in table {
            let error = parsed(query).expect_err(query);
            assert!(error.contains(wanted), "{query}: {error}");
        }
    }
}
