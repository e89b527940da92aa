use super::*;
use crate::replica::Body;
use crate::sample;
use vixen_core::segment::{Chunk, Match, Records};
use vixen_core::wire::ReadMessage;

const EVERYWHERE: Position = Position(u64::MAX);

/// A tail, the recent order it reads, and what it has sent.
struct Reader {
    recent: RecentOrder,
    tail: Tail,
    trusted_to: Position,
    sent: Vec<Message>,
    found: Vec<Finding>,
    rests: usize,
}

impl Reader {
    /// At the head of an order whose first position at hand is `next`.
    fn open(next: u64, from: Option<u64>, topics: &[&str]) -> Self {
        let recent = RecentOrder::new(Position(next), Stamp(0), 1 << 20);
        let (tail, opened) = Tail::open(from.map(Position), recent.head(), patterns(topics));
        let (sent, found) = (vec![opened], Vec::new());
        Self { recent, tail, trusted_to: EVERYWHERE, sent, found, rests: 0 }
    }

    fn place(&mut self, chunk: &Chunk, body: Body) {
        let first = self.recent.head().0.0;
        self.recent.apply(&Change::Placed(sample::place(first, chunk.meta, body)));
    }

    fn place_whole(&mut self, chunk: &Chunk) {
        self.place(chunk, Body::Memory(sample::blob(chunk)));
    }

    /// Does all until it waits, or wants something of the store.
    fn run(&mut self) -> Step {
        loop {
            match self.tail.step(self.trusted_to) {
                Step::Send(message) => self.sent.push(message),
                Step::Report(finding) => self.found.push(finding),
                Step::Rest => self.rests += 1,
                Step::Find { from, limit } => {
                    let found = self.recent.find(from, limit);
                    self.tail.found(found, self.recent.head().0);
                }
                step @ (Step::Wait | Step::ReadBody { .. } | Step::ReadStore { .. }) => {
                    return step;
                }
            }
        }
    }

    fn waits(&mut self) -> bool {
        matches!(self.run(), Step::Wait)
    }

    /// First positions of the segments that were sent, each with how many messages of it.
    fn segments(&self) -> Vec<(u64, usize)> {
        let of = |message: &Message| match message {
            Message::Read(ReadMessage::TailSegment(part)) => {
                Some((part.first.0, Records::new(&part.records).count()))
            }
            _ => None,
        };
        self.sent.iter().filter_map(of).collect()
    }
}

fn patterns(topics: &[&str]) -> Vec<TopicPattern> {
    topics.iter().map(|uri| TopicPattern::new("r", uri, Match::Exact)).collect()
}

#[test]
fn what_is_wanted_is_sent_once_as_it_comes_and_the_rest_told_of() {
    let mut reader = Reader::open(5, None, &["a"]);
    assert!(reader.waits());
    reader.place_whole(&sample::chunk_of(1, &["a", "b", "a"]));
    reader.place(&sample::chunk_of(2, &["a"]), Body::Elsewhere);
    reader.place_whole(&sample::chunk_of(3, &["b"]));
    assert!(reader.waits() && reader.waits());
    assert_eq!(reader.segments(), [(5, 2)]);
    assert_eq!(
        reader.sent.last(),
        Some(&Message::Read(ReadMessage::TailPosition { next: Position(10) }))
    );
    assert_eq!((reader.sent.len(), reader.tail.cursor()), (3, Position(10)));
}

#[test]
fn a_tail_without_an_interest_goes_along_and_says_nothing() {
    let mut reader = Reader::open(1, None, &[]);
    reader.place_whole(&sample::chunk(1, 2));
    assert!(reader.waits());
    assert_eq!((reader.sent.len(), reader.tail.cursor()), (1, Position(3)));
}

#[test]
fn a_segment_on_its_way_is_waited_for() {
    let mut reader = Reader::open(1, None, &["t"]);
    let (missing, next) = (sample::chunk(1, 2), sample::chunk(2, 1));
    reader.place(&missing, Body::Missing);
    reader.place_whole(&next);
    assert!(reader.waits() && reader.segments().is_empty());
    reader.recent.apply(&Change::Arrived(missing.meta.id, sample::blob(&missing)));
    assert!(reader.waits());
    assert_eq!(reader.segments(), [(1, 2), (3, 1)]);
}

#[test]
fn nothing_is_given_out_that_is_not_trusted() {
    let mut reader = Reader::open(1, None, &["t"]);
    reader.place_whole(&sample::chunk(1, 2));
    reader.place_whole(&sample::chunk(2, 2));
    reader.trusted_to = Position(4);
    assert!(reader.waits());
    assert_eq!(reader.segments(), [(1, 2)], "the second ends beyond");
    reader.trusted_to = EVERYWHERE;
    assert!(reader.waits());
    assert_eq!(reader.segments(), [(1, 2), (3, 2)]);
}

#[test]
fn a_changed_interest_holds_for_all_after_the_answer() {
    let mut reader = Reader::open(1, None, &["a"]);
    reader.place_whole(&sample::chunk_of(1, &["a", "b"]));
    assert!(reader.waits());
    let change = InterestChange { add: patterns(&["b"]), remove: patterns(&["a"]) };
    reader.tail.change(Some(7), change);
    reader.place_whole(&sample::chunk_of(2, &["a", "b", "b"]));
    assert!(reader.waits());
    assert_eq!(reader.segments(), [(1, 1), (3, 2)]);
    let answer = Message::Read(ReadMessage::InterestChanged { version: 7, next: Position(3) });
    assert_eq!(reader.sent[2], answer, "before the first that it judges");
}

/// A neighbour on the one thread gets its turns while the tail works.
#[test]
fn others_have_their_turns_in_between() {
    let mut reader = Reader::open(1, None, &["none"]);
    (1..=64).for_each(|seq| reader.place_whole(&sample::chunk(seq, 1)));
    assert!(reader.waits());
    assert!(reader.rests >= 1, "64 segments are more than a turn");
    let many: Vec<_> = (0..10_000).map(|n| format!("t{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let before = reader.rests;
    reader.tail.change(None, InterestChange { add: patterns(&many), remove: Vec::new() });
    assert!(reader.waits());
    assert!(reader.rests >= before + 78, "so are 10,000 patterns");
    // And so is one segment of so many topics: it is sent whole all the same.
    let before = reader.rests;
    reader.place_whole(&sample::chunk_of(65, &many[..4_000]));
    assert!(reader.waits());
    assert!(reader.rests > before + 1);
    assert_eq!(reader.segments(), [(65, 4_000)]);
}

#[test]
fn bytes_that_are_not_at_hand_are_read_and_damaged_ones_reported_once() {
    let mut reader = Reader::open(1, None, &["t"]);
    let chunk = sample::chunk(1, 2);
    reader.place(&chunk, Body::Stored);
    for _ in 0..2 {
        let Step::ReadBody { first, row } = reader.run() else { panic!("it is in the store") };
        assert_eq!((first, row.elected.meta), (Position(1), chunk.meta));
        reader.tail.body(first, row, StoredBody::Damaged);
        assert!(reader.waits() && reader.segments().is_empty());
    }
    assert!(matches!(reader.found[..], [Finding::Blob(lost)] if lost.meta == chunk.meta));
    let Step::ReadBody { first, row } = reader.run() else { panic!("it is in the store") };
    reader.tail.body(first, row, StoredBody::Blob(sample::blob(&chunk)));
    assert!(reader.waits());
    assert_eq!(reader.segments(), [(1, 2)]);
}

#[test]
fn what_is_older_is_read_from_the_store_and_live_goes_on_from_there() {
    let mut reader = Reader::open(5, Some(1), &["t"]);
    reader.place_whole(&sample::chunk(3, 1));
    let Step::ReadStore { from } = reader.run() else { panic!("it is older than what is at hand") };
    assert_eq!(from, Position(1));
    let (old, elsewhere) = (sample::chunk(1, 2), sample::chunk(2, 2));
    let row = |first, chunk: &Chunk| sample::place(first, chunk.meta, Body::Stored).row;
    reader.tail.rows(vec![
        (Position(1), row(1, &old), Some(StoredBody::Blob(sample::blob(&old)))),
        (Position(3), row(3, &elsewhere), None),
    ]);
    assert!(reader.waits());
    assert_eq!(reader.segments(), [(1, 2), (5, 1)]);
}

#[test]
fn a_store_that_has_dropped_it_or_cannot_read_it_says_so() {
    let mut reader = Reader::open(9, Some(1), &["t"]);
    assert!(matches!(reader.run(), Step::ReadStore { .. }));
    reader.tail.damaged(Position(1));
    assert!(reader.waits());
    assert_eq!(reader.found, [Finding::Row { at: Position(1) }]);
    assert!(matches!(reader.run(), Step::ReadStore { .. }));
    reader.tail.trimmed(Position(9), reader.recent.head());
    assert!(reader.waits());
    let opened = |next| {
        Message::Read(ReadMessage::TailOpened {
            next: Position(next),
            head_stamp: Stamp(0),
            head_next: Position(9),
        })
    };
    assert_eq!(reader.sent, [opened(1), opened(9)]);
}
