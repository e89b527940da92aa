mod interleaved;

use std::time::{Duration, Instant};

use super::sample::{base, elected};
use super::*;
use crate::id::{Digest, GroupId, NdbId, Position, Stamp, SyncId};
use crate::membership::Membership;
use crate::segment::Elected;
use crate::wire::{Marks, OrderBase};

const S0: SyncId = SyncId(0);
const S1: SyncId = SyncId(1);
const S2: SyncId = SyncId(2);
const D0: NdbId = ndb(0);
const D1: NdbId = ndb(1);
const NO_ROOM: Input = Input::Tick { takes_rows: false };
const TICK: Input = Input::Tick { takes_rows: true };

const fn ndb(member: u8) -> NdbId {
    NdbId { group: GroupId(0), member }
}

/// A reader, the time, and what its steps have had for effects since they were taken last.
struct Bench {
    reader: Reader,
    now: Instant,
    fx: Effects,
}

impl Bench {
    /// Everything up to stamp 10 is placed, and 5 is the next position; three feeds are followed and two
    /// ndb nodes linked.
    fn linked() -> Self {
        let membership = Membership::sized(3, [3], 2);
        let reader = Reader::new(&membership, Stamp(10), Position(5));
        let mut bench = Self { reader, now: Instant::now(), fx: Effects::default() };
        for feed in [S0, S1, S2] {
            bench.step(Input::FeedUp { feed });
        }
        for peer in [D0, D1] {
            bench.step(Input::PeerUp { peer });
        }
        bench.step(TICK);
        assert_eq!(bench.take().follows, [(S0, Stamp(10)), (S1, Stamp(10)), (S2, Stamp(10))]);
        bench
    }

    /// The same, and the first feed has forgotten everything up to 20.
    fn behind() -> Self {
        let mut bench = Self::linked();
        bench.step(Input::FeedTrimmed { from: S0, to: Stamp(20) });
        let delivered = Stamp(10);
        let note = Note::FeedTrimmed { feed: S0, to: Stamp(20), delivered };
        assert_eq!(bench.take().notes, [note]);
        bench
    }

    fn step(&mut self, input: Input) {
        self.reader.step(input, self.now, &mut self.fx);
    }

    fn take(&mut self) -> Effects {
        std::mem::take(&mut self.fx)
    }

    fn resolved(&mut self, from: SyncId, elected: Elected) {
        self.step(Input::Resolved { from, elected });
    }

    fn watermark(&mut self, from: SyncId, stamp: u64) {
        self.step(Input::Watermark { from, marks: Marks::at(Stamp(stamp)) });
    }

    fn rows(&mut self, from: NdbId, first: u64, rows: &[Elected]) {
        self.step(Input::Rows { from, first: Position(first), rows: rows.to_vec() });
    }

    fn order_trimmed(&mut self, from: NdbId, asked: u64, base: OrderBase) {
        self.step(Input::OrderTrimmed { from, asked: Position(asked), base });
    }

    /// Positions that were given since.
    fn positions(&mut self) -> Vec<u64> {
        self.take().placed.iter().map(|placed| placed.first.0).collect()
    }

    /// Whom to ask now, and for what.
    fn fetches(&mut self) -> Vec<(NdbId, Position)> {
        self.step(TICK);
        self.take().fetches
    }
}

#[test]
fn a_segment_is_told_of_once_and_placed_when_a_majority_has_passed_it() {
    let mut bench = Bench::linked();
    bench.resolved(S0, elected(12, 3));
    bench.resolved(S1, elected(12, 3));
    bench.watermark(S0, 12);
    let fx = bench.take();
    assert_eq!((fx.learned, fx.placed), (vec![elected(12, 3)], vec![]));
    bench.watermark(S1, 15);
    let placed = Placed { elected: elected(12, 3), first: Position(5) };
    assert_eq!(bench.take().placed, [placed]);
    assert_eq!(bench.reader.next_position(), Position(8));
    bench.resolved(S2, elected(12, 3));
    bench.watermark(S2, 15);
    let fx = bench.take();
    assert_eq!((fx.learned, fx.placed, fx.notes), (vec![], vec![], vec![]));
}

#[test]
fn a_feed_that_contradicts_what_is_certain_is_named_and_changes_nothing() {
    let mut bench = Bench::linked();
    bench.watermark(S0, 20);
    bench.watermark(S1, 20);
    bench.resolved(S2, elected(15, 1));
    let fx = bench.take();
    let from = Teller::Feed(S2);
    assert_eq!(fx.notes, [Note::Contradicts { from, elected: elected(15, 1) }]);
    assert_eq!((fx.learned, fx.placed), (vec![], vec![]));
    assert_eq!(bench.reader.next_position(), Position(5));
}

#[test]
fn a_new_link_is_followed_from_what_is_placed_by_then() {
    let mut bench = Bench::linked();
    bench.rows(D0, 5, &[elected(12, 3)]);
    bench.step(Input::FeedDown { feed: S1 });
    bench.step(Input::FeedUp { feed: S1 });
    assert_eq!(bench.take().follows, [(S1, Stamp(12))]);
}

#[test]
fn a_trimmed_feed_is_followed_again_after_the_rows_that_it_waits_for() {
    let mut bench = Bench::behind();
    assert_eq!(bench.fetches(), [(D0, Position(5))]);
    assert_eq!(bench.reader.asked(), Some(D0));
    bench.rows(D0, 5, &[elected(12, 3)]);
    let fx = bench.take();
    assert_eq!(fx.notes, [Note::RowsTaken { from: D0, segments: 1 }]);
    assert_eq!((fx.placed.len(), fx.follows), (1, vec![]));
    assert_eq!(bench.fetches(), [(D0, Position(8))]);
    bench.rows(D0, 8, &[elected(20, 1), elected(25, 1)]);
    let fx = bench.take();
    assert_eq!(fx.follows, [(S0, Stamp(25))]);
    assert_eq!(fx.notes[1], Note::FeedResumed { feed: S0, after: Stamp(25) });
    assert_eq!((bench.fetches(), bench.reader.due_at()), (vec![], None));
}

#[test]
fn a_feed_that_is_trimmed_to_what_is_placed_is_followed_again_at_once() {
    let mut bench = Bench::linked();
    bench.step(Input::FeedTrimmed { from: S0, to: Stamp(10) });
    assert_eq!(bench.take().follows, [(S0, Stamp(10))]);
    assert_eq!(bench.fetches(), []);
}

#[test]
fn other_feeds_may_bring_what_a_trimmed_one_waits_for() {
    let mut bench = Bench::behind();
    for feed in [S1, S2] {
        bench.resolved(feed, elected(20, 1));
        bench.watermark(feed, 20);
    }
    let fx = bench.take();
    assert_eq!((fx.placed.len(), fx.follows), (1, vec![(S0, Stamp(20))]));
    assert!(bench.reader.waiting_feeds().is_empty());
}

#[test]
fn rows_make_certain_what_the_feeds_had_told_beyond_them() {
    let mut bench = Bench::behind();
    for feed in [S1, S2] {
        bench.resolved(feed, elected(22, 1));
    }
    bench.rows(D0, 5, &[elected(15, 1)]);
    assert_eq!(bench.positions(), [5]);
    bench.watermark(S1, 22);
    bench.watermark(S2, 22);
    assert_eq!(bench.positions(), [6]);
    // The rows come late, and repeat what is placed.
    bench.rows(D0, 5, &[elected(15, 1), elected(22, 1), elected(30, 1)]);
    assert_eq!(bench.positions(), [7]);
}

#[test]
fn rows_that_contradict_the_feeds_are_named_and_the_next_node_is_asked() {
    let mut bench = Bench::behind();
    assert_eq!(bench.fetches(), [(D0, Position(5))]);
    bench.resolved(S1, elected(12, 1));
    bench.take();
    bench.rows(D0, 5, &[elected(13, 1)]);
    let fx = bench.take();
    let from = Teller::Order(D0);
    assert_eq!(fx.notes, [Note::Contradicts { from, elected: elected(13, 1) }]);
    assert!(fx.placed.is_empty());
    bench.now = bench.reader.due_at().expect("a pause ends");
    assert_eq!(bench.fetches(), [(D1, Position(5))]);
}

#[test]
fn nothing_is_asked_for_without_room_and_of_nobody_who_is_silent() {
    let mut bench = Bench::behind();
    bench.step(NO_ROOM);
    assert_eq!(bench.take().fetches, []);
    bench.step(Input::PeerSilent { peer: D0, is_silent: true });
    assert_eq!(bench.fetches(), [(D1, Position(5))]);
    bench.now += Duration::from_secs(5);
    bench.step(TICK);
    bench.now = bench.reader.due_at().expect("a pause ends");
    assert_eq!(bench.fetches(), [(D1, Position(5))], "it is the only one that is heard");
    bench.step(Input::PeerDown { peer: D1 });
    bench.now += Duration::from_secs(5);
    assert_eq!((bench.fetches(), bench.reader.due_at()), (vec![], None));
    bench.step(Input::PeerSilent { peer: D0, is_silent: false });
    assert_eq!(bench.fetches(), [(D0, Position(5))]);
}

#[test]
fn a_feed_whose_link_is_gone_waits_for_nothing() {
    let mut bench = Bench::behind();
    bench.step(Input::FeedDown { feed: S0 });
    assert_eq!((bench.fetches(), bench.reader.due_at()), (vec![], None));
    // Its last word comes late.
    bench.step(Input::FeedTrimmed { from: S0, to: Stamp(20) });
    assert!(bench.reader.waiting_feeds().is_empty());
    bench.step(Input::FeedUp { feed: S0 });
    assert_eq!(bench.take().follows, [(S0, Stamp(10))]);
}

#[test]
fn a_new_link_to_a_feed_that_waits_is_followed_at_once() {
    let mut bench = Bench::behind();
    bench.step(Input::FeedUp { feed: S0 });
    assert_eq!(bench.take().follows, [(S0, Stamp(10))]);
    assert!(bench.reader.waiting_feeds().is_empty());
    assert_eq!(bench.fetches(), []);
}

#[test]
fn a_reader_is_left_behind_when_all_linked_nodes_have_dropped_what_comes_next() {
    let mut bench = Bench::behind();
    bench.order_trimmed(D0, 5, base(70, 60));
    assert_eq!(bench.take().left_behind, None);
    // The one that has dropped less counts.
    bench.order_trimmed(D1, 5, base(50, 40));
    assert_eq!(bench.take().left_behind, Some(base(50, 40)));
    bench.step(Input::Rebase { base: base(50, 40) });
    assert_eq!(bench.take().follows, [(S0, Stamp(40))]);
    assert_eq!(bench.reader.next_position(), Position(50));
    for feed in [S0, S1] {
        bench.resolved(feed, elected(45, 1));
        bench.watermark(feed, 45);
    }
    assert_eq!(bench.positions(), [50]);
    // Not back.
    bench.step(Input::Rebase { base: base(20, 30) });
    assert_eq!(bench.reader.next_position(), Position(51));
}

/// Found by the World, seed 692: two nodes of different groups were away for longer than messages are kept, and came
/// back to the same place. Each waited for the other, for ever.
#[test]
fn who_has_not_come_to_what_is_next_either_is_not_waited_for() {
    let mut bench = Bench::behind();
    bench.order_trimmed(D0, 5, base(50, 40));
    let mut said = Vec::new();
    for _ in 0..2 {
        // Until it is the other's turn.
        while !bench.fetches().iter().any(|(peer, _)| *peer == D1) {
            let asked = bench.reader.asked();
            asked.into_iter().for_each(|peer| bench.order_trimmed(peer, 5, base(50, 40)));
            bench.now += Duration::from_secs(1);
        }
        bench.step(Input::Rows { from: D1, first: Position(5), rows: Vec::new() });
        said.push(bench.take().left_behind);
    }
    assert_eq!(said, [None, Some(base(50, 40))], "the first time it may be on its way");
}

#[test]
fn who_is_silent_or_has_what_comes_next_by_now_is_counted_on() {
    let mut bench = Bench::behind();
    bench.order_trimmed(D0, 5, base(8, 15));
    bench.step(Input::PeerSilent { peer: D1, is_silent: true });
    bench.order_trimmed(D0, 5, base(8, 15));
    assert_eq!(bench.take().left_behind, None, "a silent one may have it");
    for feed in [S1, S2] {
        bench.resolved(feed, elected(17, 4));
        bench.watermark(feed, 17);
    }
    // What one has dropped is placed here by now, so it has what comes next.
    bench.order_trimmed(D1, 9, base(70, 60));
    assert_eq!(bench.take().left_behind, None);
    bench.step(Input::PeerDown { peer: D0 });
    bench.order_trimmed(D1, 9, base(70, 60));
    assert_eq!(bench.take().left_behind, Some(base(70, 60)), "the only one");
}

#[test]
fn an_answer_to_an_old_question_and_a_base_before_the_end_mean_nothing() {
    let mut bench = Bench::behind();
    bench.step(Input::PeerDown { peer: D1 });
    bench.order_trimmed(D0, 4, base(50, 40));
    bench.order_trimmed(D0, 5, base(5, 9));
    bench.order_trimmed(D1, 5, base(50, 40));
    let fx = bench.take();
    assert_eq!((fx.left_behind, fx.notes), (None, vec![]));
    bench.order_trimmed(D0, 5, base(50, 10));
    let fx = bench.take();
    let note = Note::BaseContradicts { from: D0, base: base(50, 10) };
    assert_eq!((fx.left_behind, fx.notes), (None, vec![note]));
}

#[test]
fn what_live_feeds_told_beyond_the_base_is_placed_by_their_watermarks() {
    let mut bench = Bench::behind();
    bench.resolved(S1, elected(15, 1));
    bench.resolved(S1, elected(60, 2));
    bench.watermark(S1, 60);
    for peer in [D0, D1] {
        bench.order_trimmed(peer, 5, base(50, 40));
    }
    let fx = bench.take();
    bench.step(Input::Rebase { base: fx.left_behind.expect("all have") });
    bench.take();
    // S1 does not tell of it again, and S0 never has: it was not asked for a draft.
    bench.watermark(S0, 65);
    assert_eq!(bench.positions(), [50]);
    assert_eq!(bench.reader.next_position(), Position(52));
}

#[test]
fn another_content_under_a_known_stamp_is_a_contradiction() {
    let mut bench = Bench::linked();
    let mut other = elected(12, 1);
    other.meta.digest = Digest([1; 16]);
    bench.resolved(S0, elected(12, 1));
    bench.resolved(S1, other);
    let fx = bench.take();
    let from = Teller::Feed(S1);
    assert_eq!(fx.notes, [Note::Contradicts { from, elected: other }]);
    assert_eq!(fx.learned, [elected(12, 1)]);
}
