//! One step, exact effects.

use vixen_core::id::{Lane, Stamp};
use vixen_core::segment::{Encoding, Record, RecordFlags, Topic};

use super::super::source::PATIENCE_MS;
use super::world::Stored;
use super::*;
use vixen_core::wire::ReadMessage;

/// A read over one group of two, by hand.
struct Bench {
    history: History,
    now: WallTime,
}

const READ: ReadId = ReadId(1);

fn forward(start: Start) -> HistoryRequest {
    HistoryRequest {
        start,
        direction: Direction::Forward,
        until: None,
        topics: vec![TopicPattern::all("r")],
        limit: None,
        named: None,
    }
}

impl Bench {
    fn new(linked: u8) -> Self {
        let membership = Membership::sized(1, [2], 1);
        let names = [(ndb(0, 0), "D1"), (ndb(0, 1), "D2")];
        let names = names.map(|(id, name)| (id, name.parse().expect("a name")));
        let roster = Roster::new([], names);
        let mut bench = Self {
            history: History::new(HistoryOptions { owner: owner(), membership, roster }),
            now: START,
        };
        for member in 0..linked {
            bench.step(Input::NdbUp { ndb: ndb(0, member) });
        }
        bench
    }

    /// One input, flushed.
    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.history.step(self.now, input, &mut fx);
        self.history.step(self.now, Input::Flush, &mut fx);
        fx
    }

    fn open(&mut self, request: HistoryRequest, next: u64) -> Effects {
        self.step(Input::Open { read: READ, request, next: Position(next) })
    }

    /// Lets time pass up to the next timeout.
    fn wait(&mut self) -> Effects {
        self.now = self.history.timeout_at().expect("something is waited for").max(self.now);
        self.step(Input::Flush)
    }

    fn end(&mut self, (from, request): (NdbId, u64), end: HistoryEnd) -> Effects {
        self.step(Input::End { from, request, end })
    }
}

/// Whom the only query asks, its number, and where it begins.
fn asked(fx: &Effects) -> ((NdbId, u64), HistoryPlace) {
    match &fx.sends[..] {
        [(to, Message::Read(ReadMessage::ReadHistory { request, query }))] => {
            ((*to, *request), query.from)
        }
        other => panic!("{other:?}"),
    }
}

fn at(position: u64) -> HistoryPlace {
    HistoryPlace::Position(Position(position))
}

#[test]
fn a_node_that_is_behind_is_asked_again_and_then_another() {
    let mut bench = Bench::new(2);
    let mut fx = bench.open(forward(Start::Anywhere), 9);
    let mut nodes = Vec::new();
    for position in [1, 5, 5, 5, 5] {
        let (asked, from) = asked(&fx);
        assert_eq!(from, at(position));
        nodes.push(asked.0);
        let next = Position(5);
        let paused = bench.end(asked, HistoryEnd::Next { next, is_end: true });
        assert!(paused.sends.is_empty() && bench.history.timeout_at() > Some(bench.now));
        fx = bench.wait();
    }
    assert_eq!(nodes[0], nodes[2]);
    assert_ne!(nodes[0], nodes[4], "another is asked after some tries");
    let (asked, _) = asked(&fx);
    let fx = bench.end(asked, HistoryEnd::Next { next: Position(9), is_end: true });
    assert_eq!(fx.items, [(READ, HistoryItem::End { next: Position(9) })]);
}

#[test]
fn a_group_without_nodes_ends_the_read_with_its_name_after_the_patience() {
    let mut bench = Bench::new(0);
    assert!(bench.open(forward(Start::Anywhere), 9).sends.is_empty());
    let fx = bench.wait();
    assert_eq!(bench.now, START.plus_millis(PATIENCE_MS));
    let [(READ, HistoryItem::Failed(error))] = &fx.items[..] else { panic!("{fx:?}") };
    let text = "nothing from group 0 (D1, D2) within 10000 ms: no ndb node of it is connected";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_silent_node_and_a_lost_link_move_the_read_on_from_where_it_stands() {
    let mut bench = Bench::new(2);
    let fx = bench.open(forward(Start::Anywhere), 9);
    let ((first, request), _) = asked(&fx);
    let topics = vec![0, 0];
    let stored = Stored { group: GroupId(0), first: 1, stamp: Stamp(1), topics };
    let segment = stored.select(&[1, 2]);
    let fx = bench.step(Input::Segment { from: first, request, segment: segment.clone() });
    assert_eq!(fx.items, [(READ, HistoryItem::Segments(vec![segment.clone()]))]);
    let fx = bench.wait();
    let ((second, _), from) = asked(&fx);
    assert!(second != first && from == at(3), "{fx:?}");
    // The first answers after all, and is not listened to.
    let fx = bench.step(Input::Segment { from: first, request, segment });
    assert!(fx.items.is_empty());
    let fx = bench.step(Input::NdbDown { ndb: second });
    let ((third, _), from) = asked(&fx);
    assert_eq!((third, from), (first, at(3)));
}

#[test]
fn a_consumer_that_takes_nothing_is_not_read_ahead_for() {
    let mut bench = Bench::new(1);
    let fx = bench.open(forward(Start::Anywhere), 1 << 40);
    let ((from, mut request), _) = asked(&fx);
    let payload = vec![b' '; 300 << 10];
    let mut sent = 0;
    // Each fills an item; the consumer has room for four.
    loop {
        let mut records = Vec::new();
        let (content, flags) = (Encoding::Json.into(), RecordFlags::default());
        let record =
            Record { topic: 0, content, flags, session: 1, attributes: &[], payload: &payload };
        record.write_to(&mut records);
        sent += 1;
        let segment = TailSegment {
            first: Position(sent),
            count: 1,
            stamp: Stamp(sent),
            topics: vec![Topic::new("r", "a")],
            offsets: vec![],
            records: records.into(),
        };
        bench.step(Input::Segment { from, request, segment });
        let next = HistoryEnd::Next { next: Position(sent + 1), is_end: false };
        let fx = bench.end((from, request), next);
        match &fx.sends[..] {
            [] => break,
            [(_, Message::Read(ReadMessage::ReadHistory { request: again, .. }))] => {
                request = *again
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((5..=9).contains(&sent), "{sent} segments");
    assert!(bench.history.waiting_bytes() < 2 << 20);
    assert_eq!(bench.history.timeout_at(), None, "the consumer is not hurried");
    let fx = bench.step(Input::Took { read: READ });
    assert!(matches!(fx.items[..], [(READ, HistoryItem::Segments(_))]));
    assert_eq!(fx.sends.len(), 1, "and then the next batch is asked for");
}

#[test]
fn one_read_too_many_is_refused() {
    let mut bench = Bench::new(1);
    for read in 0..=64 {
        let request = forward(Start::Anywhere);
        let fx = bench.step(Input::Open { read: ReadId(read), request, next: Position(9) });
        let is_refused =
            matches!(fx.items[..], [(_, HistoryItem::Failed(HistoryError::Busy { .. }))]);
        assert_eq!(is_refused, read == 64);
    }
    bench.step(Input::Cancel { read: ReadId(3) });
    assert_eq!(bench.history.reads(), 63);
}

#[test]
fn a_time_is_the_place_before_the_messages_of_its_millisecond() {
    let lane = |n| Lane::new(n).expect("a lane");
    let before = Stamp::next(lane(5), Stamp::ZERO, WallTime(START.0 - 1));
    let within = Stamp::next(lane(0), Stamp::ZERO, START);
    let Bound::Id(bound) = RefPoint::Time(START).after() else { panic!("an id") };
    assert!(PermanentId { stamp: before, offset: u32::MAX } < bound);
    assert!(PermanentId { stamp: within, offset: 0 } >= bound);
}

#[test]
fn what_one_replica_has_dropped_is_asked_of_the_others_at_once() {
    for start in [Start::Anywhere, Start::At(at(1))] {
        let mut bench = Bench::new(2);
        let fx = bench.open(forward(start), 9);
        let (first, from) = asked(&fx);
        assert_eq!(from, at(1));
        let fx = bench.end(first, HistoryEnd::Trimmed { first: Position(5) });
        let (second, from) = asked(&fx);
        assert!(second.0 != first.0 && from == at(1), "{fx:?}");
        // When that one is lost beyond what the first has dropped, the first is as good as any.
        let next = HistoryEnd::Next { next: Position(6), is_end: false };
        let fx = bench.end(second, next);
        assert_eq!(asked(&fx).0.0, second.0);
        let fx = bench.step(Input::NdbDown { ndb: second.0 });
        let (third, from) = asked(&fx);
        assert_eq!((third.0, from), (first.0, at(6)));
        let fx = bench.end(third, HistoryEnd::Next { next: Position(9), is_end: true });
        assert_eq!(fx.items, [(READ, HistoryItem::End { next: Position(9) })]);
    }
}

#[test]
fn what_all_linked_replicas_have_dropped_is_told_with_the_first_position_of_any() {
    let mut bench = Bench::new(2);
    let fx = bench.open(forward(Start::At(at(2))), 9);
    let fx = bench.end(asked(&fx).0, HistoryEnd::Trimmed { first: Position(7) });
    let fx = bench.end(asked(&fx).0, HistoryEnd::Trimmed { first: Position(5) });
    let trimmed = HistoryError::Trimmed { first: Position(5) };
    assert_eq!(fx.items, [(READ, HistoryItem::Failed(trimmed))]);
    // A read of whatever there is begins there.
    let mut bench = Bench::new(2);
    let fx = bench.open(forward(Start::Anywhere), 9);
    let fx = bench.end(asked(&fx).0, HistoryEnd::Trimmed { first: Position(7) });
    let (other, _) = asked(&fx);
    let fx = bench.end(other, HistoryEnd::Trimmed { first: Position(5) });
    assert_eq!(asked(&fx), ((other.0, asked(&fx).0.1), at(5)), "of the one that has it");
    // And one that goes away while it was to be asked changes that.
    let fx = bench.step(Input::NdbDown { ndb: other.0 });
    assert_eq!(asked(&fx).1, at(7));
}

#[test]
fn backward_a_replica_that_ends_early_is_followed_by_one_that_goes_on() {
    let mut bench = Bench::new(2);
    let request = HistoryRequest { direction: Direction::Backward, ..forward(Start::Anywhere) };
    let mut fx = bench.open(request, 9);
    let ends = HistoryEnd::Next { next: Position(9), is_end: true };
    fx = bench.end(asked(&fx).0, ends);
    let (first, from) = asked(&fx);
    assert_eq!(from, at(8));
    // Its order begins at 5.
    fx = bench.end(first, HistoryEnd::Next { next: Position(4), is_end: true });
    let (second, from) = asked(&fx);
    assert!(second.0 != first.0 && from == at(4), "it is asked whether it has the order to there");
    fx = bench.end(second, HistoryEnd::Next { next: Position(5), is_end: true });
    let (second, from) = asked(&fx);
    assert_eq!(from, at(4));
    fx = bench.end(second, HistoryEnd::Next { next: Position(0), is_end: true });
    assert!(matches!(fx.items[..], [(READ, HistoryItem::End { .. })]), "{fx:?}");
    // When the other has no more, that is the end.
    let mut bench = Bench::new(1);
    let request = HistoryRequest { direction: Direction::Backward, ..forward(Start::Anywhere) };
    let fx = bench.open(request, 9);
    let fx = bench.end(asked(&fx).0, ends);
    let fx = bench.end(asked(&fx).0, HistoryEnd::Next { next: Position(4), is_end: true });
    assert!(matches!(fx.items[..], [(READ, HistoryItem::End { .. })]), "{fx:?}");
}
