use std::sync::Arc;

use serde_json::Value;

use vixen_broker::api::calls::CallFeatures;
use vixen_broker::api::{Origin, SessionId, SessionInfo, SubscriptionId};
use vixen_core::id::Stamp;
use vixen_core::segment::{
    Attributes, Audience, Eligible, Encoding, Record, RecordFlags, Topic, TopicPattern,
};

use super::super::Bounds;
use super::*;

/// The session that asks, and another.
const OWN: u64 = 7;
const OTHER: u64 = 8;

fn of() -> Of {
    let info = SessionInfo {
        session: SessionId(OWN),
        realm: "r".into(),
        authid: "joe".into(),
        authrole: "user".into(),
        authmethod: "ticket",
        authprovider: "static",
        origin: Origin { client: [127, 0, 0, 1].into(), site: None },
        is_announced: true,
        calls: CallFeatures::default(),
    };
    let pattern = TopicPattern::new("r", "t", Match::Exact);
    Of { info: Arc::new(info), subscription: SubscriptionId(5), pattern }
}

fn wanted(direction: Direction, limit: u64) -> Wanted {
    let (low, high) = (Bounds::default(), Bounds::default());
    Wanted { low, high, direction, limit, topic: None }
}

fn gathered(wanted: Wanted) -> Gathered {
    Gathered::new(of(), wanted)
}

/// A message, which is not for its publisher, with its position as its stamp.
fn message(position: u64, publisher: u64, attributes: &Attributes, payload: &str) -> TailSegment {
    let mut records = Vec::new();
    let record = Record {
        topic: 0,
        content: Encoding::Json.into(),
        flags: RecordFlags::EXCLUDE_ME,
        session: publisher,
        attributes: &attributes.to_bytes(),
        payload: payload.as_bytes(),
    };
    record.write_to(&mut records);
    TailSegment {
        first: Position(position),
        count: 1,
        stamp: Stamp(position),
        topics: vec![Topic::new("r", "t")],
        offsets: vec![],
        records: records.into(),
    }
}

fn part(segments: Vec<TailSegment>, is_complete: bool) -> ReadPart {
    let next = segments.last().map_or(Position::FIRST, end_of);
    ReadPart { segments, next, is_complete }
}

/// A read brings these messages: position and publisher.
fn bring(gathered: &mut Gathered, messages: &[(u64, u64)], is_complete: bool) {
    let none = Attributes::default();
    let segments = messages.iter().map(|(position, by)| message(*position, *by, &none, "[1]"));
    gathered.on_read(Ok(part(segments.collect(), is_complete))).expect("no error");
}

/// Where the next read begins, and how many messages it brings at most.
fn next(gathered: &Gathered) -> Option<(Start, u64)> {
    gathered.next().map(|request| (request.start, request.limit.expect("bounded")))
}

fn at(position: u64) -> Start {
    Start::At(HistoryPlace::Position(Position(position)))
}

fn publications(gathered: Gathered) -> Vec<u64> {
    let events = gathered.answer().expect("an answer");
    let publication = |event: &String| {
        let event: Value = serde_json::from_str(event).expect("JSON");
        event["publication"].as_u64().expect("a position")
    };
    events.iter().map(publication).collect()
}

/// Its own messages had been all of them: `reverse` and `limit` 1 gave an empty list.
#[test]
fn it_reads_on_until_as_many_are_for_the_caller() {
    let mut last = gathered(wanted(Direction::Backward, 1));
    assert_eq!(next(&last), Some((Start::Anywhere, 1)));
    bring(&mut last, &[(9, OWN)], false);
    assert_eq!(next(&last), Some((at(8), MESSAGES_MAX)));
    bring(&mut last, &[(8, OWN), (5, OTHER), (4, OTHER)], false);
    assert_eq!(next(&last), None);
    assert_eq!(publications(last), [5]);

    let mut first = gathered(wanted(Direction::Forward, 3));
    bring(&mut first, &[(1, OWN), (2, OTHER), (4, OWN)], false);
    assert_eq!(next(&first), Some((at(5), MESSAGES_MAX)));
    bring(&mut first, &[(6, OTHER)], false);
    assert_eq!(next(&first), Some((at(7), MESSAGES_MAX)));
    bring(&mut first, &[(7, OTHER), (8, OTHER)], true);
    assert_eq!(publications(first), [2, 6, 7]);
}

#[test]
fn nothing_is_read_below_the_first_message() {
    let mut all = gathered(wanted(Direction::Backward, 9));
    bring(&mut all, &[(2, OTHER), (1, OTHER)], false);
    assert_eq!((next(&all), publications(all)), (None, vec![2, 1]));
}

#[test]
fn after_so_many_reads_it_says_where_to_go_on_if_there_is_nothing_to_tell() {
    let read_all = |gathered: &mut Gathered| {
        for read in 2..=u64::from(READS_MAX) {
            assert!(gathered.next().is_some());
            bring(gathered, &[(10 * read, OWN)], false);
        }
    };
    let mut none = gathered(wanted(Direction::Forward, 1));
    bring(&mut none, &[(10, OWN)], false);
    read_all(&mut none);
    assert_eq!(next(&none), None);
    let last = Position(10 * u64::from(READS_MAX));
    let error = none.answer().expect_err("nothing so far");
    assert_eq!(error, MetaError::NothingSoFar { argument: "after_publication", last });
    assert!(error.to_string().contains("after_publication=160"), "{error}");
    // What there is can be gone on from.
    let mut some = gathered(wanted(Direction::Forward, 2));
    bring(&mut some, &[(10, OTHER)], false);
    read_all(&mut some);
    assert_eq!(publications(some), [10]);
    // It has come to the end.
    let mut end = gathered(wanted(Direction::Forward, 2));
    bring(&mut end, &[(10, OWN)], false);
    bring(&mut end, &[], true);
    assert_eq!((next(&end), publications(end)), (None, vec![]));
}

#[test]
fn an_answer_that_is_large_enough_ends() {
    let mut gathered = gathered(wanted(Direction::Forward, 9));
    let payload = format!("[\"{}\"]", "x".repeat(600 << 10));
    let none = Attributes::default();
    let large = |position| message(position, OTHER, &none, &payload);
    gathered.on_read(Ok(part(vec![large(1)], false))).expect("no error");
    assert_eq!(next(&gathered), Some((at(2), MESSAGES_MAX)));
    gathered.on_read(Ok(part(vec![large(2), large(3)], false))).expect("no error");
    assert_eq!((next(&gathered), publications(gathered)), (None, vec![1, 2]));
}

/// Backward it was an error, and is nothing to the specification: what is not there is not told.
#[test]
fn what_retention_has_dropped_is_not_there() {
    let trimmed = || Err(HistoryError::Trimmed { first: Position(50) });
    let high = Bounds { position: Some(Position(10)), id: None };
    let mut backward = gathered(Wanted { high, ..wanted(Direction::Backward, 3) });
    assert_eq!(next(&backward), Some((at(9), 3)));
    backward.on_read(trimmed()).expect("it reads what is left");
    let request = backward.next().expect("another read");
    assert_eq!((request.start, request.until), (at(9), Some(Bound::Position(Position(50)))));
    backward.on_read(trimmed()).expect("nothing is left");
    assert_eq!((next(&backward), publications(backward)), (None, vec![]));

    let low = Bounds { position: Some(Position(10)), id: None };
    let mut forward = gathered(Wanted { low, ..wanted(Direction::Forward, 3) });
    forward.on_read(trimmed()).expect("it reads what is left");
    assert_eq!(next(&forward), Some((Start::Anywhere, 3)));
    bring(&mut forward, &[(50, OTHER)], true);
    assert_eq!(publications(forward), [50]);
    // And what comes to nobody as often as it is asked for is an error.
    let mut never = gathered(wanted(Direction::Forward, 3));
    let outcome = (0..READS_MAX).try_for_each(|_| never.on_read(trimmed()));
    assert_eq!(outcome, Err(HistoryError::Trimmed { first: Position(50) }));
}

fn id(stamp: u64) -> Option<PermanentId> {
    Some(PermanentId { stamp: Stamp(stamp), offset: 0 })
}

fn id_place(stamp: u64, offset: u32) -> Start {
    Start::At(HistoryPlace::Id { stamp: Stamp(stamp), offset })
}

#[test]
fn bounds_of_two_kinds_hold_together() {
    let low = Bounds { position: Some(Position(5)), id: id(20) };
    let high = Bounds { position: Some(Position(40)), id: id(23) };
    let mut forward = gathered(Wanted { low, high, ..wanted(Direction::Forward, 9) });
    let request = forward.next().expect("a read");
    assert_eq!((request.start, request.until), (at(5), Some(Bound::Position(Position(40)))));
    // All of it is before the time: what is between is passed over.
    bring(&mut forward, &[(5, OTHER), (6, OTHER)], false);
    assert_eq!(next(&forward), Some((id_place(20, 0), MESSAGES_MAX)));
    bring(&mut forward, &[(20, OTHER), (21, OTHER)], false);
    assert_eq!(next(&forward), Some((at(22), MESSAGES_MAX)));
    bring(&mut forward, &[(22, OTHER), (23, OTHER)], false);
    assert_eq!((next(&forward), publications(forward)), (None, vec![20, 21, 22]));

    let mut backward = gathered(Wanted { low, high, ..wanted(Direction::Backward, 9) });
    let request = backward.next().expect("a read");
    assert_eq!((request.start, request.until), (at(39), Some(Bound::Position(Position(5)))));
    bring(&mut backward, &[(39, OTHER), (38, OTHER)], false);
    assert_eq!(next(&backward), Some((id_place(22, u32::MAX), MESSAGES_MAX)));
    bring(&mut backward, &[(22, OTHER), (20, OTHER), (19, OTHER)], false);
    assert_eq!((next(&backward), publications(backward)), (None, vec![22, 20]));
}

#[test]
fn what_was_published_for_certain_sessions_is_no_history() {
    let sessions = |sessions| Attributes {
        eligible: Eligible { sessions: Some(sessions), ..Eligible::default() },
        ..Attributes::default()
    };
    let without = |session| Attributes {
        exclude: Audience { sessions: vec![session], ..Audience::default() },
        ..Attributes::default()
    };
    let names = |name: &str| Attributes {
        eligible: Eligible { authids: Some(vec![name.to_owned()]), ..Eligible::default() },
        ..Attributes::default()
    };
    let all = [sessions(vec![OWN]), sessions(vec![]), without(1), names("joe"), names("jim")];
    let segments =
        (1..).zip(&all).map(|(position, attributes)| message(position, OTHER, attributes, "[1]"));
    let mut gathered = gathered(wanted(Direction::Forward, 9));
    gathered.on_read(Ok(part(segments.collect(), true))).expect("no error");
    assert_eq!(publications(gathered), [4]);
}
