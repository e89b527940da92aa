//! One step, exact effects: the stages of a replay, and the rules F1 to F3.

use bytes::Bytes;

use vixen_core::id::{GroupId, Stamp};
use vixen_core::segment::{Attributes, Audience, Encoding, Match, Record, RecordFlags, Topic};

use super::*;
use crate::event::RouterEvent;
use crate::history::Trouble;

const ME: Receiver<'_> = Receiver { session: 1, authid: "joe", authrole: "user" };
/// Where the order ends when a subscription is answered.
const END: Position = Position(100);

fn id(n: u64) -> SubscriptionId {
    SubscriptionId(n)
}

fn live() -> Subscribe {
    let pattern = TopicPattern::new("r", "t", Match::Exact);
    Subscribe { pattern, after: None, limit: None, is_snapshot: false }
}

fn after(position: u64) -> Subscribe {
    let point = RefPoint::Position(Position(position));
    Subscribe { after: Some(After::Point(point)), ..live() }
}

fn after_id(stamp: u64, offset: u32) -> Subscribe {
    let point = RefPoint::Id(PermanentId { stamp: Stamp(stamp), offset });
    Subscribe { after: Some(After::Point(point)), ..live() }
}

fn at(position: u64) -> Start {
    Start::At(HistoryPlace::Position(Position(position)))
}

/// Messages of topic `t` at all positions of a range; their stamp is the first.
fn segment(positions: std::ops::Range<u64>, attributes: &Attributes) -> TailSegment {
    let mut records = Vec::new();
    for _ in positions.clone() {
        let record = Record {
            topic: 0,
            content: Encoding::Json.into(),
            flags: RecordFlags::default(),
            session: 9,
            attributes: &attributes.to_bytes(),
            payload: b"[1]",
        };
        record.write_to(&mut records);
    }
    TailSegment {
        first: Position(positions.start),
        count: u32::try_from(positions.end - positions.start).expect("few"),
        stamp: Stamp(positions.start),
        topics: vec![Topic::new("r", "t")],
        offsets: Vec::new(),
        records: records.into(),
    }
}

/// A batch of live events for these subscriptions.
fn events(positions: std::ops::Range<u64>, ids: &[u64]) -> EventBatch {
    let target = |n: &u64| Target { subscription: id(*n), names_topic: false };
    let targets = [ids.iter().map(target).collect()];
    build(&segment(positions, &Attributes::default()), &targets).batch
}

/// A read that brought everything in a range, up to `next`.
fn part(positions: std::ops::Range<u64>, next: u64, is_complete: bool) -> ReadPart {
    let is_empty = positions.is_empty();
    let segments = (!is_empty).then(|| segment(positions, &Attributes::default()));
    ReadPart { segments: segments.into_iter().collect(), next: Position(next), is_complete }
}

/// A feed, and what its subscriber got and saw ending.
#[derive(Default)]
struct Bench {
    feed: Subscriber,
    ended: Vec<SubscriptionId>,
}

impl Bench {
    /// The core has answered: live from 50 on, of an order up to 100.
    fn subscribed(&mut self, n: u64, wanted: &Subscribe) -> bool {
        self.feed.subscribed(id(n), wanted, Position(50), END)
    }

    /// Subscription and position of what is taken.
    fn take(&mut self, batch: &EventBatch, is_live: bool) -> Vec<(u64, u64)> {
        let taken = self.feed.take(batch, is_live, &ME, &mut self.ended);
        let events = taken.into_iter().map(|index| &batch.events()[index]);
        events.map(|event| (event.subscription.0, event.position.0)).collect()
    }

    fn live(&mut self, positions: std::ops::Range<u64>, ids: &[u64]) -> Vec<(u64, u64)> {
        let batch = events(positions, ids);
        self.take(&batch, true)
    }

    /// Where the next read begins, and where it is to end.
    fn next(&mut self) -> Option<(Start, Option<u64>)> {
        let request = self.feed.next_read()?;
        let until = request.until.map(|until| match until {
            Bound::Position(position) => position.0,
            Bound::Id(id) => panic!("{id}"),
        });
        Some((request.start, until))
    }

    /// What the read that is under way brings, and what is taken of it.
    fn read(&mut self, part: ReadPart) -> (Vec<(u64, u64)>, Effects) {
        let mut fx = self.feed.on_read(Ok(part));
        let batches = std::mem::take(&mut fx.batches);
        (batches.iter().flat_map(|batch| self.take(batch, false)).collect(), fx)
    }

    /// As `read` of nothing that ends where the order does: asks to join.
    fn read_to_end(&mut self, next: u64) -> JoinId {
        let (taken, fx) = self.read(part(0..0, next, true));
        assert!(taken.is_empty());
        fx.join.expect("a join").0
    }
}

fn of(n: u64, positions: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    positions.map(|position| (n, position)).collect()
}

#[test]
fn wishes_tell_how_the_core_is_asked_and_where_a_replay_begins() {
    let limit = Some(5);
    let bound = |stamp, offset| Start::At(HistoryPlace::Id { stamp: Stamp(stamp), offset });
    let table = [
        (live(), SubscribeMode::Live, None),
        (after(7), SubscribeMode::Replay, Some((at(8), None))),
        (after_id(7, 2), SubscribeMode::Replay, Some((bound(7, 3), None))),
        (
            Subscribe { after: Some(After::Beginning), ..live() },
            SubscribeMode::Replay,
            Some((Start::Anywhere, None)),
        ),
        (Subscribe { limit, ..live() }, SubscribeMode::PrivateReplay, Some((at(50), None))),
        (Subscribe { limit, ..after(7) }, SubscribeMode::PrivateReplay, Some((at(8), None))),
        (
            Subscribe { is_snapshot: true, ..live() },
            SubscribeMode::Snapshot,
            Some((Start::Anywhere, Some(100))),
        ),
        (
            Subscribe { is_snapshot: true, limit, ..after(7) },
            SubscribeMode::Snapshot,
            Some((at(8), Some(100))),
        ),
    ];
    for (wanted, mode, read) in table {
        let mut bench = Bench::default();
        assert_eq!(wanted.mode(), mode, "{wanted:?}");
        assert_eq!(bench.subscribed(3, &wanted), read.is_none(), "it stands at once: {wanted:?}");
        assert_eq!(bench.next(), read, "{wanted:?}");
    }
}

#[test]
fn a_replay_reads_joins_reads_the_rest_and_is_live() {
    let mut bench = Bench::default();
    assert!(!bench.subscribed(3, &after(9)));
    assert_eq!(bench.next(), Some((at(10), None)));
    assert_eq!(bench.next(), None, "one read at a time");
    let (taken, fx) = bench.read(part(10..20, 20, false));
    assert_eq!((taken, fx.announce, fx.join), (of(3, 10..20), vec![id(3)], None));
    assert_eq!(bench.next(), Some((at(20), None)));
    let (taken, fx) = bench.read(part(25..30, 40, true));
    let joined = Some((JoinId(1), vec![id(3)]));
    assert_eq!((taken, fx.announce, fx.join), (of(3, 25..30), vec![], joined));
    // Nothing to read while the core is asked, and nothing live is taken.
    assert_eq!(bench.next(), None);
    assert_eq!(bench.live(40..42, &[3]), []);
    assert!(!bench.feed.is_blocked());
    bench.feed.on_joined(JoinId(9), Position(45));
    assert!(!bench.feed.is_blocked(), "of another join");
    bench.feed.on_joined(JoinId(1), Position(45));
    assert!(bench.feed.is_blocked());
    assert_eq!(bench.next(), Some((at(40), Some(45))));
    let (taken, fx) = bench.read(part(40..45, 45, true));
    assert_eq!((taken, fx.join, fx.pause), (of(3, 40..45), None, None));
    assert!(!bench.feed.is_blocked());
    assert_eq!(bench.next(), None);
    assert_eq!(bench.live(44..48, &[3]), of(3, 45..48));
}

#[test]
fn a_join_where_the_read_ended_is_live_at_once() {
    for from in [39, 40] {
        let mut bench = Bench::default();
        bench.subscribed(3, &after(9));
        bench.next();
        let join = bench.read_to_end(40);
        bench.feed.on_joined(join, Position(from));
        assert!(!bench.feed.is_blocked());
        assert_eq!(bench.live(40..42, &[3]), of(3, 40..42));
    }
}

#[test]
fn the_last_part_goes_on_until_it_is_there() {
    let mut bench = Bench::default();
    bench.subscribed(3, &after(9));
    bench.next();
    let join = bench.read_to_end(40);
    bench.feed.on_joined(join, Position(60));
    // A batch of it; then as far as the order of this entry goes; then all.
    for (next, is_complete, pause) in
        [(45, false, None), (50, true, Some(PAUSE_BEHIND)), (50, true, Some(PAUSE_BEHIND))]
    {
        assert!(bench.next().is_some());
        let (_, fx) = bench.read(part(0..0, next, is_complete));
        assert_eq!((fx.pause, fx.join), (pause, None));
        assert!(bench.feed.is_blocked());
    }
    assert_eq!(bench.next(), Some((at(50), Some(60))));
    bench.read(part(0..0, 60, true));
    assert!(!bench.feed.is_blocked());
}

/// F1, with whatever comes twice.
#[test]
fn positions_of_a_subscription_rise() {
    let mut bench = Bench::default();
    bench.subscribed(3, &live());
    assert_eq!(bench.live(48..52, &[3]), of(3, 50..52), "live from 50 on");
    assert_eq!(bench.live(50..54, &[3]), of(3, 52..54));
    bench.feed.on_lagging(Position(40), &[id(3)]);
    assert_eq!(bench.live(54..56, &[3]), [], "left out");
    assert_eq!(bench.next(), Some((at(40), None)));
    assert_eq!(bench.read(part(40..60, 60, false)).0, of(3, 54..60));
    // Each subscription has its own; one that the session has not is passed over.
    bench.subscribed(4, &live());
    let mut both = of(4, 58..60);
    both.sort_unstable();
    assert_eq!(bench.live(58..60, &[3, 4, 5]), both);
}

/// F1 before a permanent id whose position is not known here.
#[test]
fn nothing_before_a_permanent_id_is_taken_wherever_the_read_ended() {
    // Segments that begin at 10, 20 and 30 have these stamps.
    for (asked, wanted) in [(after_id(20, 1), 22..24), (after_id(19, 0), 20..24)] {
        let mut bench = Bench::default();
        bench.subscribed(3, &asked);
        bench.next();
        // This entry does not know of it yet: the read finds nothing, and ends early.
        let join = bench.read_to_end(12);
        bench.feed.on_joined(join, Position(15));
        assert_eq!(bench.next(), Some((at(12), Some(15))));
        assert_eq!(bench.read(part(10..15, 15, true)).0, []);
        assert_eq!(bench.live(15..19, &[3]), []);
        assert_eq!(bench.live(20..24, &[3]), of(3, wanted));
        assert_eq!(bench.live(30..31, &[3]), of(3, 30..31));
    }
    let mut bench = Bench::default();
    bench.subscribed(3, &Subscribe { limit: Some(2), ..after_id(20, 0) });
    bench.next();
    assert_eq!(bench.read(part(10..15, 15, false)).0, [], "and it counts for no limit");
    bench.next();
    assert_eq!(bench.read(part(20..29, 29, false)).0, of(3, 21..23));
}

/// F2: those that were live go to one replay, from one position; the others stay where they are.
#[test]
fn what_lags_is_one_replay_beside_those_that_are() {
    let mut bench = Bench::default();
    bench.subscribed(1, &live());
    bench.subscribed(2, &live());
    bench.subscribed(3, &after(9));
    assert_eq!(bench.next(), Some((at(10), None)));
    bench.feed.on_lagging(Position(55), &[id(1), id(2), id(3), id(8)]);
    bench.feed.on_lagging(Position(70), &[id(1)]);
    assert_eq!(bench.feed.replays.len(), 2);
    bench.read(part(0..0, 20, false));
    assert_eq!(bench.next(), Some((at(55), None)), "by turns");
    let (taken, fx) = bench.read(part(55..57, 60, true));
    assert_eq!(taken, [(1, 55), (2, 55), (1, 56), (2, 56)]);
    assert_eq!(fx.join, Some((JoinId(1), vec![id(1), id(2)])));
    assert_eq!(bench.next(), Some((at(20), None)));
    bench.read(part(0..0, 30, false));
    // One leaves; the other comes back.
    assert!(bench.feed.remove(id(1)) && !bench.feed.remove(id(1)));
    bench.feed.on_joined(JoinId(1), Position(60));
    assert_eq!(bench.live(60..61, &[1, 2, 3]), [(2, 60)]);
    // What lags again lags anew.
    bench.feed.on_lagging(Position(61), &[id(2)]);
    assert_eq!(bench.live(61..62, &[2]), []);
}

/// F3: the last part comes before every other read, and after one that is under way.
#[test]
fn everything_waits_for_the_last_part_of_a_replay() {
    let mut bench = Bench::default();
    bench.subscribed(1, &after(9));
    bench.next();
    let join = bench.read_to_end(40);
    bench.subscribed(2, &after(19));
    bench.subscribed(3, &after(29));
    assert_eq!(bench.next(), Some((at(20), None)));
    bench.feed.on_joined(join, Position(45));
    assert!(bench.feed.is_blocked());
    assert_eq!(bench.read(part(20..22, 22, false)).0, of(2, 20..22), "was under way");
    assert!(bench.feed.is_blocked());
    assert_eq!(bench.next(), Some((at(40), Some(45))));
    // One that fails is tried again, before all others.
    let (group, nodes, trouble) = (GroupId(0), String::new(), Trouble::Silent);
    let unavailable = HistoryError::Unavailable { group, nodes, waited_ms: 1, trouble };
    let fx = bench.feed.on_read(Err(unavailable));
    assert_eq!((fx.pause, fx.lost), (Some(PAUSE_FAILED), None));
    assert!(bench.feed.is_blocked());
    assert_eq!(bench.next(), Some((at(40), Some(45))));
    bench.read(part(40..45, 45, true));
    assert!(!bench.feed.is_blocked());
    assert_eq!(bench.next(), Some((at(30), None)));
}

#[test]
fn a_snapshot_ends_where_the_order_ended() {
    for (next, is_complete, is_over) in [(60, false, false), (100, false, true), (90, true, true)] {
        let mut bench = Bench::default();
        bench.subscribed(3, &Subscribe { is_snapshot: true, ..live() });
        bench.next();
        let (taken, fx) = bench.read(part(50..60, next, is_complete));
        assert_eq!((taken, fx.announce), (of(3, 50..60), vec![id(3)]));
        let ended = if is_over { vec![id(3)] } else { vec![] };
        assert_eq!((fx.ended, fx.join), (ended, None));
        assert_eq!(bench.live(60..61, &[3]), []);
        assert_eq!(bench.next().is_some(), !is_over);
    }
}

#[test]
fn a_limit_counts_what_is_taken_stored_and_live() {
    let mut bench = Bench::default();
    bench.subscribed(3, &Subscribe { limit: Some(5), ..after(9) });
    bench.next();
    let (taken, fx) = bench.read(part(10..13, 13, true));
    assert_eq!((taken, bench.ended.len()), (of(3, 10..13), 0));
    bench.feed.on_joined(fx.join.expect("a join").0, Position(13));
    assert_eq!(bench.live(11..14, &[3]), of(3, 13..14), "repeats do not count");
    assert_eq!(bench.live(14..20, &[3]), of(3, 14..15));
    assert_eq!(bench.ended, [id(3)]);
    assert_eq!(bench.live(20..21, &[3]), [], "it is over, though nobody has removed it yet");
    assert_eq!(bench.ended, [id(3)]);
}

#[test]
fn what_is_not_for_the_subscriber_counts_for_nothing() {
    let mut bench = Bench::default();
    bench.subscribed(3, &Subscribe { limit: Some(2), ..after(9) });
    bench.next();
    let exclude = Audience { authids: vec!["joe".to_owned()], ..Audience::default() };
    let not_for_me = Attributes { exclude, ..Attributes::default() };
    let segments = vec![segment(10..15, &not_for_me), segment(15..17, &Attributes::default())];
    let part = ReadPart { segments, next: Position(17), is_complete: false };
    assert_eq!(bench.read(part).0, of(3, 15..17));
    assert_eq!(bench.ended, [id(3)]);
}

#[test]
fn what_a_failed_read_means() {
    let unavailable = || HistoryError::Unavailable {
        group: GroupId(0),
        nodes: String::new(),
        waited_ms: 1,
        trouble: Trouble::NotLinked,
    };
    let trimmed = || HistoryError::Trimmed { first: Position(30) };
    let table = [
        (unavailable(), false),
        (HistoryError::Busy { max: 64 }, false),
        (HistoryError::NotReady, false),
        (trimmed(), true),
        (HistoryError::Stopped, true),
    ];
    for (error, is_fatal) in table {
        // A subscription that the client does not know of is refused, whatever it is.
        let mut bench = Bench::default();
        bench.subscribed(3, &after(9));
        bench.next();
        let fx = bench.feed.on_read(Err(error.clone()));
        assert_eq!((fx.refused, fx.lost, fx.pause), (vec![(id(3), error.clone())], None, None));
        assert_eq!(bench.next(), None);
        assert!(!bench.feed.remove(id(3)));
        // One that it has waits, or is lost.
        let mut bench = Bench::default();
        bench.subscribed(3, &after(9));
        bench.next();
        bench.read(part(10..12, 12, false));
        bench.next();
        let fx = bench.feed.on_read(Err(error.clone()));
        let lost = is_fatal.then_some(error);
        let pause = (!is_fatal).then_some(PAUSE_FAILED);
        assert_eq!((fx.refused, fx.lost, fx.pause), (vec![], lost, pause));
        assert_eq!(bench.next(), Some((at(12), None)));
    }
}

#[test]
fn a_read_for_what_is_over_brings_nothing() {
    let mut bench = Bench::default();
    bench.subscribed(3, &after(9));
    bench.next();
    bench.feed.remove(id(3));
    // The same number for something new, while the read is under way.
    bench.subscribed(3, &after(19));
    assert_eq!(bench.next(), None);
    let (taken, fx) = bench.read(part(10..15, 15, true));
    assert_eq!((taken, fx.announce, fx.join), (vec![], vec![], None));
    assert_eq!(bench.next(), Some((at(20), None)));
    // Asked to join, and over: the answer comes to nothing.
    let join = bench.read_to_end(40);
    bench.feed.remove(id(3));
    bench.feed.on_joined(join, Position(50));
    assert!(!bench.feed.is_blocked());
    assert_eq!(bench.next(), None);
}

#[test]
fn the_last_part_of_what_is_over_blocks_nothing() {
    let mut bench = Bench::default();
    bench.subscribed(3, &after(9));
    bench.next();
    let join = bench.read_to_end(40);
    bench.feed.on_joined(join, Position(50));
    bench.feed.remove(id(3));
    assert!(!bench.feed.is_blocked());
    assert_eq!(bench.next(), None);
}

#[test]
fn a_subscription_that_is_known_is_not_begun_again() {
    let mut bench = Bench::default();
    assert!(!bench.subscribed(3, &after(9)));
    assert!(!bench.subscribed(3, &live()), "not before the first read");
    bench.next();
    bench.read(part(0..0, 20, false));
    assert!(bench.subscribed(3, &live()));
    assert_eq!(bench.next(), Some((at(20), None)));
    assert_eq!(bench.live(60..61, &[3]), []);
}

#[test]
fn a_replay_of_several_reads_each_pattern_once() {
    let mut bench = Bench::default();
    let prefix = TopicPattern::new("r", "", Match::Prefix);
    let other = Subscribe { pattern: prefix.clone(), ..live() };
    for (n, wanted) in [(1, live()), (2, other), (3, live())] {
        bench.subscribed(n, &wanted);
    }
    bench.feed.on_lagging(Position(60), &[id(1), id(2), id(3)]);
    let request = bench.feed.next_read().expect("a read");
    let mut patterns = vec![prefix, live().pattern];
    patterns.sort_unstable();
    assert_eq!(request.topics, patterns);
    assert_eq!((request.direction, request.limit), (Direction::Forward, Some(READ_MESSAGES_MAX)));
}

#[test]
fn events_of_the_router_have_no_place_and_come_to_what_is_live() {
    let mut bench = Bench::default();
    bench.subscribed(1, &live());
    bench.subscribed(2, &after(9));
    let targets = [1, 2].map(|n| Target { subscription: id(n), names_topic: false });
    let event = RouterEvent {
        topic: Topic::new("r", "t"),
        about: None,
        publication: 3,
        payload: Bytes::from_static(b"[]"),
    };
    let batch = EventBatch::of_router(&event, &targets);
    assert_eq!(bench.take(&batch, true), [(1, 3)]);
    assert_eq!(bench.take(&batch, true), [(1, 3)], "any number may come twice");
    assert_eq!(bench.live(50..51, &[1]), of(1, 50..51));
}

/// All that a session has may be more than a message between nodes takes.
#[test]
fn topics_of_many_bytes_are_read_in_several_replays() {
    let mut bench = Bench::default();
    let asked = |n: u64| Subscribe {
        pattern: TopicPattern::new("r", &format!("{n}{}", "-".repeat(1_500_000)), Match::Exact),
        ..live()
    };
    for n in 1..=5 {
        bench.subscribed(n, &asked(n));
    }
    bench.feed.on_lagging(Position(60), &[id(1), id(2), id(3), id(4), id(5)]);
    let mut read = Vec::new();
    while read.len() < 5 {
        let request = bench.feed.next_read().expect("a read");
        assert!(request.topics.iter().map(|topic| topic.uri.len()).sum::<usize>() <= 4 << 20);
        assert_eq!(request.start, Start::At(HistoryPlace::Position(Position(60))));
        read.extend(request.topics);
        let (segments, next) = (Vec::new(), Position(60));
        bench.feed.on_read(Ok(ReadPart { segments, next, is_complete: true }));
    }
    let mut wanted: Vec<_> = (1..=5).map(|n| asked(n).pattern).collect();
    read.sort_unstable();
    wanted.sort_unstable();
    assert!(read == wanted, "each is in exactly one");
}

#[test]
fn patterns_that_a_message_may_all_match_are_read_a_few_at_a_time() {
    let mut bench = Bench::default();
    let mut uri = String::new();
    for n in 1..=20 {
        uri.push('t');
        let pattern = TopicPattern::new("r", &uri, Match::Prefix);
        bench.subscribed(n, &Subscribe { pattern, ..live() });
    }
    for n in 21..=40 {
        let pattern = TopicPattern::new("r", &n.to_string(), Match::Exact);
        bench.subscribed(n, &Subscribe { pattern, ..live() });
    }
    bench.feed.on_lagging(Position(60), &(1..=40).map(id).collect::<Vec<_>>());
    let mut reads = Vec::new();
    while let Some(request) = bench.feed.next_read() {
        reads.push((request.topics.len(), request.limit));
        // It ends where the order does, and waits for its join.
        bench.feed.on_read(Ok(part(0..0, 100, true)));
    }
    let few = Some(READ_MESSAGES_MAX / 8);
    // The last one has four of them, and all that are no patterns.
    assert_eq!(reads, [(8, few), (8, few), (24, Some(READ_MESSAGES_MAX / 4))]);
}
