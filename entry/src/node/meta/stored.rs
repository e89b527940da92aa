//! `wamp.subscription.get_events`: what is stored of a subscription's topics.
//!
//! Source: WAMP spec *Event History*. Everything is stored, so the history of a subscription is older than it. A read
//! has turns of its client's address, as those of subscribers that catch up, and ends with its call (`tasks`); what
//! many of them bring for one answer is bounded (`gathered`).

mod gathered;
mod tasks;

use std::sync::Arc;

use serde_json::Value;

use vixen_broker::access::Permissions;
use vixen_broker::api::calls::MetaError;
use vixen_broker::api::{SessionInfo, SubscriptionId};
use vixen_broker::dealer::{CallNumber, MetaResult};
use vixen_broker::history::{Bound, Direction, HistoryRequest, RefPoint, Start};
use vixen_broker::meta::{Asker, Details};
use vixen_core::id::{PermanentId, Position};
use vixen_core::segment::{Topic, TopicPattern};
use vixen_core::time::WallTime;

use super::super::run::EntryNode;
use super::super::{EntryEvent, MetaEvent};
use super::words::{Arguments, argument, bounded, results};
use crate::reads::read;
use gathered::Gathered;
pub(in crate::node) use tasks::Tasks;

/// Events of one answer.
const LIMIT_MAX: u64 = 1_000;

/// What a caller wants of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What is below any of it is not.
    low: Bounds,
    /// What is at any of it or above is not.
    high: Bounds,
    direction: Direction,
    limit: u64,
    /// Of a pattern, this topic alone.
    topic: Option<String>,
}

/// A place in the order by its position, by time, or both, of which one is the tighter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bounds {
    position: Option<Position>,
    id: Option<PermanentId>,
}

/// Whose events, and of what.
#[derive(Clone, Debug)]
struct Of {
    info: Arc<SessionInfo>,
    subscription: SubscriptionId,
    pattern: TopicPattern,
}

/// What a call asks for.
#[derive(Debug)]
pub(super) struct Events {
    /// Of the topics of which subscription.
    pub(super) subscription: SubscriptionId,
    /// Which of them.
    pub(super) wanted: Box<Wanted>,
    /// What its caller may read.
    pub(super) rights: Option<Box<Permissions>>,
}

/// The keyword arguments of the procedure; or a limit as second argument, as Crossbar has it: then it is the last
/// events that are wanted, newest first. All conditions hold together. No URI has more than `uri_bytes_max`.
pub(super) fn wanted_of(of: &Arguments, uri_bytes_max: usize) -> Result<Wanted, MetaError> {
    let (named, placed) = (of.key("limit"), of.at(1));
    let limit = match named.or(placed) {
        None => LIMIT_MAX,
        Some(limit) => limit
            .as_u64()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| argument("limit is not a whole number from 1 on"))?
            .min(LIMIT_MAX),
    };
    let direction = match of.key("reverse") {
        None if named.is_none() && placed.is_some() => Direction::Backward,
        None | Some(Value::Bool(false)) => Direction::Forward,
        Some(Value::Bool(true)) => Direction::Backward,
        Some(_) => return Err(argument("reverse is not true or false")),
    };
    let topic = match of.key("topic") {
        None => None,
        Some(Value::String(topic)) => Some(bounded(topic, "topic", uri_bytes_max)?.to_owned()),
        Some(_) => return Err(argument("topic is not a text")),
    };
    let from = [at(of, "from_publication", 0)?, at(of, "after_publication", 1)?];
    let since = [time(of, "from_time", 0)?, time(of, "after_time", 1)?];
    let before = [at(of, "before_publication", 0)?, at(of, "until_publication", 1)?];
    let until = [time(of, "before_time", 0)?, time(of, "until_time", 1)?];
    let low = Bounds {
        position: from.into_iter().flatten().max(),
        id: since.into_iter().flatten().max(),
    };
    let high = Bounds {
        position: before.into_iter().flatten().min(),
        id: until.into_iter().flatten().min(),
    };
    Ok(Wanted { low, high, direction, limit, topic })
}

/// The first id that a message can have at the moment of this name, so many ms later.
fn time(of: &Arguments, name: &str, later_ms: u64) -> Result<Option<PermanentId>, MetaError> {
    let Some(value) = of.key(name) else { return Ok(None) };
    let point = value.as_str().and_then(|text| RefPoint::parse(text, WallTime(0)).ok());
    let none = || argument(&format!("{name} is not an RFC 3339 time"));
    let Some(RefPoint::Time(at)) = point else { return Err(none()) };
    match RefPoint::Time(WallTime(at.0.saturating_add(later_ms))).after() {
        Bound::Id(id) => Ok(Some(id)),
        Bound::Position(_) => Err(none()),
    }
}

/// The publication of this name, or the one so many later.
fn at(of: &Arguments, name: &str, later: u64) -> Result<Option<Position>, MetaError> {
    let Some(value) = of.key(name) else { return Ok(None) };
    let number = value.as_u64().filter(|number| *number <= 1 << 53);
    let number = number.ok_or_else(|| argument(&format!("{name} is not a publication")))?;
    Ok(Some(Position(number.saturating_add(later))))
}

impl Bounds {
    /// What a read takes of it: the other, if there is one, is looked at where the messages come.
    fn first(self) -> Option<Bound> {
        self.position.map(Bound::Position).or(self.id.map(Bound::Id))
    }

    /// Whether a message stands at or above all of it.
    fn is_reached_by(self, position: Position, id: PermanentId) -> bool {
        self.position.is_none_or(|at| at <= position) && self.id.is_none_or(|at| at <= id)
    }

    /// Whether a message stands below all of it.
    fn is_above(self, position: Position, id: PermanentId) -> bool {
        self.position.is_none_or(|at| position < at) && self.id.is_none_or(|at| id < at)
    }
}

impl Wanted {
    /// The first read of these topics; none, where none of them is wanted.
    fn request(&self, pattern: &TopicPattern) -> Option<HistoryRequest> {
        let topics = match &self.topic {
            None => vec![pattern.clone()],
            Some(uri) => {
                let topic = Topic::new(&pattern.realm, uri);
                vec![pattern.matches(&topic).then(|| topic.into())?]
            }
        };
        let (begin, until) = match self.direction {
            Direction::Forward => (self.low.first().map(Bound::place), self.high.first()),
            Direction::Backward => (self.high.first().map(Bound::place_below), self.low.first()),
        };
        Some(HistoryRequest {
            start: begin.map_or(Start::Anywhere, Start::At),
            direction: self.direction,
            until,
            topics,
            limit: Some(self.limit),
            named: None,
        })
    }

    /// Whether a message is not of what lies before where it begins, in its direction.
    fn has_begun(&self, position: Position, id: PermanentId) -> bool {
        match self.direction {
            Direction::Forward => self.low.is_reached_by(position, id),
            Direction::Backward => self.high.is_above(position, id),
        }
    }

    /// Whether a message is beyond where it ends, in its direction.
    fn has_ended(&self, position: Position, id: PermanentId) -> bool {
        match self.direction {
            Direction::Forward => !self.high.is_above(position, id),
            Direction::Backward => !self.low.is_reached_by(position, id),
        }
    }

    /// Where to go on at once, as a read has come to nothing else that lies before where it begins: what it began
    /// with was the looser bound.
    fn jump(&self) -> Option<Start> {
        let id = match self.direction {
            Direction::Forward => self.low.id,
            Direction::Backward => self.high.id,
        };
        let bound = Bound::Id(id?);
        Some(Start::At(match self.direction {
            Direction::Forward => bound.place(),
            Direction::Backward => bound.place_below(),
        }))
    }
}

impl EntryNode {
    /// Another entry has named the topics that a call waits for. Of one that is over nothing is read.
    ///
    /// # Errors
    /// As those of [`read_of`](Self::read_of).
    pub(super) fn read_named(
        &mut self,
        number: CallNumber,
        asker: &Asker,
        details: &Details,
    ) -> Result<(), MetaError> {
        let Some(events) = self.reads_of_calls.take_topics(number) else { return Ok(()) };
        let pattern = TopicPattern::new(&asker.realm, &details.uri, details.matching);
        self.read_of(number, asker, pattern, events)
    }

    /// Reads what is stored of these topics, and answers the call when that is there.
    ///
    /// # Errors
    /// The caller may not subscribe them, or waits for too much already.
    pub(super) fn read_of(
        &mut self,
        number: CallNumber,
        asker: &Asker,
        pattern: TopicPattern,
        Events { subscription, wanted, rights }: Events,
    ) -> Result<(), MetaError> {
        // Before the store is read. What has changed by then is judged with the answer.
        if rights.is_some_and(|rights| !rights.may_read_stored(&pattern)) {
            return Err(MetaError::NotAuthorized);
        }
        // One that is gone wants no answer.
        let Some(info) = self.info_of(asker.session) else { return Ok(()) };
        let of = Of { info: Arc::clone(info), subscription, pattern };
        self.read_events(number, of, *wanted)
    }

    fn read_events(&mut self, number: CallNumber, of: Of, wanted: Wanted) -> Result<(), MetaError> {
        let (inbox, reader) = (self.inbox(), self.store.of(of.info.origin.client));
        let session = of.info.session;
        self.reads_of_calls.start(session, number, async move {
            let pattern = of.pattern.clone();
            let mut gathered = Gathered::new(of, wanted);
            let answer = loop {
                let Some(request) = gathered.next() else { break gathered.answer() };
                let outcome = read(reader.clone(), request).await;
                if let Err(error) = gathered.on_read(outcome) {
                    break Err(error.into());
                }
            };
            let answer = answer.map(|all| {
                let (payload, about, missing) = (results(&all), Some(pattern), Vec::new());
                MetaResult { payload, about, missing }
            });
            let told = MetaEvent::Answered { number, answer };
            let _stopped = inbox.send(EntryEvent::Meta(told)).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use vixen_broker::api::calls::Payload;
    use vixen_core::segment::Encoding;

    use super::*;

    /// Of subscription 1, where no URI has more than 8 bytes.
    fn wanted(arguments: &str) -> Result<Wanted, MetaError> {
        let arguments = Payload::new(Encoding::Json, arguments.to_owned());
        wanted_of(&Arguments::of(&arguments).expect("JSON"), 8)
    }

    /// What a topic is compared with may be a pattern as long: that took the product of both.
    #[test]
    fn a_topic_is_no_longer_than_others_are() {
        let good = wanted(r#"[1],{"topic":"12345678"}"#).expect("as long as may be");
        assert_eq!(good.topic.as_deref(), Some("12345678"));
        let long = wanted(r#"[1],{"topic":"123456789"}"#);
        assert!(matches!(long, Err(MetaError::Uri(_))), "{long:?}");
    }

    #[test]
    fn a_limit_by_place_is_of_the_last_events() {
        let of = |arguments| wanted(arguments).map(|wanted| (wanted.direction, wanted.limit));
        let (forward, backward) = (Direction::Forward, Direction::Backward);
        assert_eq!(of("[1]"), Ok((forward, LIMIT_MAX)));
        assert_eq!(of("[1,5]"), Ok((backward, 5)));
        assert_eq!(of(r#"[1,5],{"reverse":false}"#), Ok((forward, 5)));
        assert_eq!(of(r#"[1],{"limit":5}"#), Ok((forward, 5)));
        assert_eq!(of(r#"[1,7],{"limit":5}"#), Ok((forward, 5)));
        assert_eq!(of(r#"[1],{"limit":5,"reverse":true}"#), Ok((backward, 5)));
    }

    #[test]
    fn of_bounds_of_one_kind_the_tighter_holds() {
        let both = wanted(
            r#"[1],{"from_publication":4,"after_publication":4,"before_publication":9,"until_publication":7}"#,
        );
        let both = both.expect("they hold together");
        let positions = (both.low.position, both.high.position);
        assert_eq!(positions, (Some(Position(5)), Some(Position(8))));
        assert_eq!((both.low.id, both.high.id), (None, None));
    }
}
