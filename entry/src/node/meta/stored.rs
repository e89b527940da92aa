//! `wamp.subscription.get_events`: what is stored of a subscription's topics.
//!
//! Source: WAMP spec *Event History*. Everything is stored, so the history of a subscription is older than it. A read
//! has turns of its client's address, as those of subscribers that catch up, and ends by itself: an answer is no
//! larger than one read.

use serde_json::Value;

use vixen_broker::api::calls::MetaError;
use vixen_broker::api::{SessionInfo, SubscriptionId};
use vixen_broker::dealer::{CallNumber, MetaResult};
use vixen_broker::history::{Bound, Direction, HistoryError, HistoryRequest, RefPoint, Start};
use vixen_core::id::Position;
use vixen_core::segment::{Match, Topic, TopicPattern};
use vixen_core::time::WallTime;

use super::super::run::EntryNode;
use super::super::{EntryEvent, MetaEvent};
use super::words::{Arguments, argument, results};
use crate::gates::wamp::stored_events;
use crate::reads::{Reader, read};

/// Events of one answer.
const LIMIT_MAX: u64 = 1_000;

/// What a caller wants of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What is below is not.
    low: Option<Bound>,
    /// What is at it or above is not.
    high: Option<Bound>,
    direction: Direction,
    limit: u64,
    /// Of a pattern, this topic alone.
    topic: Option<String>,
}

/// The keyword arguments of the procedure, and a limit as second argument, as Crossbar has it.
pub(super) fn wanted_of(of: &Arguments) -> Result<Wanted, MetaError> {
    let limit = match of.key("limit").or_else(|| of.at(1)) {
        None => LIMIT_MAX,
        Some(limit) => limit
            .as_u64()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| argument("limit is not a whole number from 1 on"))?
            .min(LIMIT_MAX),
    };
    let direction = match of.key("reverse") {
        None | Some(Value::Bool(false)) => Direction::Forward,
        Some(Value::Bool(true)) => Direction::Backward,
        Some(_) => return Err(argument("reverse is not true or false")),
    };
    let topic = match of.key("topic") {
        None => None,
        Some(Value::String(topic)) => Some(topic.clone()),
        Some(_) => return Err(argument("topic is not a text")),
    };
    let low = one_of([
        time(of, "from_time", 0)?,
        time(of, "after_time", 1)?,
        at(of, "from_publication", 0)?,
        at(of, "after_publication", 1)?,
    ])?;
    let high = one_of([
        time(of, "before_time", 0)?,
        time(of, "until_time", 1)?,
        at(of, "before_publication", 0)?,
        at(of, "until_publication", 1)?,
    ])?;
    Ok(Wanted { low, high, direction, limit, topic })
}

fn one_of(bounds: [Option<Bound>; 4]) -> Result<Option<Bound>, MetaError> {
    let mut all = bounds.into_iter().flatten();
    let first = all.next();
    match all.next() {
        None => Ok(first),
        Some(_) => {
            Err(argument("of times and publications from which, or up to which, one is taken"))
        }
    }
}

/// The moment of this name, so many ms later.
fn time(of: &Arguments, name: &str, later_ms: u64) -> Result<Option<Bound>, MetaError> {
    let Some(value) = of.key(name) else { return Ok(None) };
    let point = value.as_str().and_then(|text| RefPoint::parse(text, WallTime(0)).ok());
    match point {
        Some(RefPoint::Time(at)) => {
            Ok(Some(RefPoint::Time(WallTime(at.0.saturating_add(later_ms))).after()))
        }
        Some(RefPoint::Position(_) | RefPoint::Id(_)) | None => {
            Err(argument(&format!("{name} is not an RFC 3339 time")))
        }
    }
}

/// The publication of this name, or the one so many later.
fn at(of: &Arguments, name: &str, later: u64) -> Result<Option<Bound>, MetaError> {
    let Some(value) = of.key(name) else { return Ok(None) };
    let number = value.as_u64().filter(|number| *number <= 1 << 53);
    let number = number.ok_or_else(|| argument(&format!("{name} is not a publication")))?;
    Ok(Some(Bound::Position(Position(number.saturating_add(later)))))
}

impl Wanted {
    /// What is read of these topics; nothing, where none of them is wanted.
    fn request(&self, pattern: &TopicPattern) -> Option<HistoryRequest> {
        let topics = match &self.topic {
            None => vec![pattern.clone()],
            Some(uri) => {
                let topic = Topic::new(&pattern.realm, uri);
                vec![pattern.matches(&topic).then(|| topic.into())?]
            }
        };
        let (begin, until) = match self.direction {
            Direction::Forward => (self.low.map(Bound::place), self.high),
            Direction::Backward => (self.high.map(Bound::place_below), self.low),
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
}

impl EntryNode {
    /// Reads what is stored of a subscription, and answers the call when that is there.
    pub(super) fn read_events(
        &self,
        number: CallNumber,
        info: &std::sync::Arc<SessionInfo>,
        subscription: SubscriptionId,
        pattern: &TopicPattern,
        wanted: &Wanted,
    ) {
        let (inbox, reader) = (self.inbox(), self.store.of(info.origin.client));
        let (info, pattern, request) =
            (std::sync::Arc::clone(info), pattern.clone(), wanted.request(pattern));
        tokio::spawn(async move {
            let events = match request {
                Some(request) => events(reader, request, subscription, &pattern, &info).await,
                None => Ok(Vec::new()),
            };
            let answer = events.map_err(MetaError::from);
            let answer =
                answer.map(|all| MetaResult { payload: results(&all), about: Some(pattern) });
            let told = MetaEvent::Answered { number, answer };
            let _stopped = inbox.send(EntryEvent::Meta(told)).await;
        });
    }
}

async fn events(
    reader: Reader,
    request: HistoryRequest,
    subscription: SubscriptionId,
    pattern: &TopicPattern,
    info: &SessionInfo,
) -> Result<Vec<String>, HistoryError> {
    let from_first = HistoryRequest { start: Start::Anywhere, ..request.clone() };
    let direction = request.direction;
    let part = match read(reader.clone(), request).await {
        // What is dropped is not there: it begins with what is left.
        Err(HistoryError::Trimmed { .. }) if direction == Direction::Forward => {
            read(reader, from_first).await?
        }
        outcome => outcome?,
    };
    let names_topic = pattern.matching != Match::Exact;
    let mut all = Vec::new();
    for segment in &part.segments {
        let mut of_segment =
            stored_events(segment, pattern, (subscription, names_topic), &info.receiver());
        if direction == Direction::Backward {
            of_segment.reverse();
        }
        all.append(&mut of_segment);
    }
    Ok(all)
}
