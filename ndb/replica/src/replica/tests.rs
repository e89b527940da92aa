mod lost;
mod offers;

use std::time::Instant;

use super::*;
use crate::rows::OrderRow;
use crate::sample::{blob, chunk, elected, owner};
use vixen_core::id::{NdbId, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order::{self, Note, Reader};
use vixen_core::segment::Chunk;
use vixen_core::wire::{Marks, PublishMessage};

fn replica() -> Replica {
    let options = ReplicaOptions {
        group: GroupId(0),
        segment_bytes_max: 1 << 20,
        incoming_bytes_max: 4 << 20,
    };
    Replica::new(options, Recovered::default())
}

fn metas(durable: impl IntoIterator<Item = Durable<SegmentMeta>>) -> Vec<SegmentMeta> {
    durable.into_iter().map(|meta| meta.get()).collect()
}

fn step(replica: &mut Replica, input: Input) -> Effects {
    let mut fx = Effects::default();
    replica.step(input, &mut fx);
    fx
}

/// BEGIN, KEEP, OVER.
fn send(replica: &mut Replica, chunk: &Chunk) -> Effects {
    let segment = chunk.meta.id;
    step(replica, Input::Begin { from: owner(), segment });
    let keep = Input::Keep {
        from: owner(),
        segment,
        offset: 0,
        topics: chunk.topics.clone(),
        count: chunk.meta.count,
        records: chunk.records.clone(),
    };
    step(replica, keep);
    step(replica, Input::Over { from: owner(), meta: chunk.meta })
}

/// It is elected, and is the next of the order.
fn elect(replica: &mut Replica, meta: SegmentMeta, stamp: u64) -> Effects {
    let elected = elected(meta, stamp);
    step(replica, Input::Elected { elected });
    place(replica, elected)
}

/// It is the next of the order, and was not heard of before.
fn place(replica: &mut Replica, elected: Elected) -> Effects {
    let placed = Placed { elected, first: replica.head.next };
    step(replica, Input::Placed { placed })
}

/// A replica and what reads its order, as a node has them.
struct Node {
    reader: Reader,
    replica: Replica,
}

impl Node {
    fn new() -> Self {
        let membership = Membership::sized(3, [3], 2);
        let reader = Reader::new(&membership, Stamp::ZERO, Position::FIRST);
        Self { reader, replica: replica() }
    }

    fn read(&mut self, input: order::Input) -> Effects {
        let (mut read, mut fx) = (order::Effects::default(), Effects::default());
        self.reader.step(input, Instant::now(), &mut read);
        assert_eq!(read.notes.iter().find(|note| !matches!(note, Note::RowsTaken { .. })), None);
        for elected in read.learned {
            self.replica.step(Input::Elected { elected }, &mut fx);
        }
        for placed in read.placed {
            self.replica.step(Input::Placed { placed }, &mut fx);
        }
        fx
    }
}

const fn permanent(first: u64, stamp: u64) -> Mark {
    Mark::Permanent { first: Position(first), stamp: Stamp(stamp) }
}

fn offer(replica: &mut Replica, chunks: &[&Chunk]) -> Effects {
    let segments = chunks.iter().map(|chunk| chunk.meta).collect();
    step(replica, Input::Offered { segments })
}

fn fetch(replica: &mut Replica, chunk: &Chunk) -> Effects {
    step(replica, Input::Fetched { segment: chunk.meta.id, blob: blob(chunk) })
}

fn trimmed(fx: &Effects) -> bool {
    matches!(fx.answers[..], [(_, Message::Publish(PublishMessage::TrimAdvanceSegment { .. }))])
}

#[test]
fn a_segment_is_trimmed_at_once_and_drafted_after_its_commit() {
    let mut replica = replica();
    let chunk = chunk(1, 2);
    let fx = send(&mut replica, &chunk);
    assert!(trimmed(&fx) && fx.drafts.is_empty());
    assert_eq!(fx.stores.len(), 1);
    assert_eq!(fx.stores[0].mark, Mark::Temporary);
    let fx = step(&mut replica, Input::Committed { segment: chunk.meta.id });
    assert_eq!(metas(fx.drafts), [chunk.meta]);
    assert_eq!(metas(replica.unresolved()), [chunk.meta]);
}

/// It would share its position with the next one, and one row of the two would be lost.
#[test]
fn a_segment_without_messages_is_refused() {
    let mut replica = replica();
    let empty = chunk(1, 0);
    let fx = send(&mut replica, &empty);
    assert_eq!(fx.refused, [Refused::Mismatch]);
    assert!(!trimmed(&fx) && fx.stores.is_empty());
    assert_eq!(replica.pending_count(), 0);
}

#[test]
fn a_segment_sent_again_is_trimmed_and_not_stored_again() {
    let mut replica = replica();
    let chunk = chunk(1, 2);
    send(&mut replica, &chunk);
    let fx = send(&mut replica, &chunk);
    assert!(trimmed(&fx) && fx.stores.is_empty());
    step(&mut replica, Input::Committed { segment: chunk.meta.id });
    elect(&mut replica, chunk.meta, 5);
    let fx = send(&mut replica, &chunk);
    assert!(trimmed(&fx) && fx.stores.is_empty());
    assert_eq!(replica.pending_count(), 0);
}

#[test]
fn positions_are_dense_and_rows_are_chained() {
    let mut replica = replica();
    let (a, b) = (chunk(1, 2), chunk(2, 3));
    send(&mut replica, &a);
    send(&mut replica, &b);
    let first = elect(&mut replica, a.meta, 5).placed.remove(0);
    let second = elect(&mut replica, b.meta, 9).placed.remove(0);
    assert_eq!((first.first, second.first), (Position(1), Position(3)));
    assert_eq!(first.row, OrderRow::chained(Digest::default(), first.row.elected));
    assert_eq!(second.row, OrderRow::chained(first.row.chain, second.row.elected));
    assert!(matches!(first.body, Body::Memory(_)));
}

#[test]
fn a_placed_segment_without_bytes_is_missing_until_they_come_and_fit() {
    let mut replica = replica();
    let (wanted, other) = (chunk(1, 2), chunk(1, 3));
    let fx = elect(&mut replica, wanted.meta, 5);
    assert_eq!(fx.placed[0].body, Body::Missing);
    let wrong = Blob::assemble(&other.topics, &[&other.records]);
    let fx = step(&mut replica, Input::Fetched { segment: wanted.meta.id, blob: wrong });
    assert_eq!(fx.refused, [Refused::Unwanted]);
    let right = Blob::assemble(&wanted.topics, &[&wanted.records]);
    let fx = step(&mut replica, Input::Fetched { segment: wanted.meta.id, blob: right });
    assert_eq!(fx.stores[0].mark, permanent(1, 5));
    assert_eq!(fx.arrived, [wanted.meta.id]);
    assert!(replica.missing().is_empty());
}

#[test]
fn bytes_that_come_late_from_the_entry_fill_the_gap_as_well() {
    let mut replica = replica();
    let chunk = chunk(1, 2);
    elect(&mut replica, chunk.meta, 5);
    let fx = send(&mut replica, &chunk);
    assert!(trimmed(&fx));
    assert_eq!(fx.stores[0].mark, permanent(1, 5));
    let fx = step(&mut replica, Input::Committed { segment: chunk.meta.id });
    assert!(fx.drafts.is_empty());
}

#[test]
fn gaps_mismatches_and_strangers_are_refused_and_store_nothing() {
    let mut replica = replica();
    let good = chunk(1, 2);
    let fx = step(&mut replica, Input::Over { from: owner(), meta: good.meta });
    assert_eq!(fx.refused, [Refused::Gap]);
    let mut short = good.clone();
    short.meta.count = 3;
    let fx = send(&mut replica, &short);
    assert_eq!(fx.refused, [Refused::Mismatch]);
    let stranger = OwnerId(uuid::Uuid::from_u128(2));
    let fx = step(&mut replica, Input::Begin { from: stranger, segment: good.meta.id });
    assert_eq!(fx.refused, [Refused::WrongOwner]);
    assert!(fx.stores.is_empty());
    assert!(trimmed(&send(&mut replica, &good)), "and it can be sent again");
}

#[test]
fn a_keep_out_of_place_breaks_its_segment_only() {
    let mut replica = replica();
    let chunk = chunk(1, 2);
    let segment = chunk.meta.id;
    step(&mut replica, Input::Begin { from: owner(), segment });
    let keep = Input::Keep {
        from: owner(),
        segment,
        offset: 7,
        topics: chunk.topics.clone(),
        count: 2,
        records: chunk.records.clone(),
    };
    step(&mut replica, keep);
    let fx = step(&mut replica, Input::Over { from: owner(), meta: chunk.meta });
    assert_eq!(fx.refused, [Refused::Gap]);
    assert_eq!(replica.incoming_bytes(), 0);
}

#[test]
fn too_much_of_one_segment_is_refused_and_not_kept() {
    let options =
        ReplicaOptions { group: GroupId(0), segment_bytes_max: 8, incoming_bytes_max: 1 << 20 };
    let mut replica = Replica::new(options, Recovered::default());
    let fx = send(&mut replica, &chunk(1, 9));
    assert_eq!(fx.refused, [Refused::TooLarge]);
    assert_eq!(replica.incoming_bytes(), 0);
}

#[test]
fn incomplete_segments_go_with_their_owner() {
    let mut replica = replica();
    let chunk = chunk(1, 2);
    let segment = chunk.meta.id;
    step(&mut replica, Input::Begin { from: owner(), segment });
    let keep = Input::Keep {
        from: owner(),
        segment,
        offset: 0,
        topics: chunk.topics.clone(),
        count: 2,
        records: chunk.records.clone(),
    };
    step(&mut replica, keep);
    assert!(replica.incoming_bytes() > 0);
    step(&mut replica, Input::OwnerDown { owner: owner() });
    assert_eq!(replica.incoming_bytes(), 0);
}

#[test]
fn a_restarted_replica_asks_again_for_drafts_and_goes_on_counting() {
    let (a, b) = (chunk(1, 2), chunk(2, 1));
    let recovered = Recovered {
        temporary: vec![b.meta],
        owners: vec![(owner(), Seq(1))],
        head: OrderBase { next: Position(3), stamp: Stamp(5), chain: Digest::default() },
        ..Recovered::default()
    };
    let options = ReplicaOptions {
        group: GroupId(0),
        segment_bytes_max: 1 << 20,
        incoming_bytes_max: 1 << 20,
    };
    let mut replica = Replica::new(options, recovered);
    assert_eq!(metas(replica.unresolved()), [b.meta]);
    assert!(send(&mut replica, &a).stores.is_empty(), "placed before the restart");
    let fx = elect(&mut replica, b.meta, 9);
    assert_eq!((fx.placed[0].first, &fx.placed[0].body), (Position(3), &Body::Stored));
}

#[test]
fn only_the_elected_bytes_fill_a_gap_whoever_sends_them() {
    let mut replica = replica();
    let (wanted, other) = (chunk(1, 2), chunk(1, 3));
    elect(&mut replica, wanted.meta, 5);
    let fx = send(&mut replica, &other);
    assert_eq!(fx.refused, [Refused::Mismatch]);
    assert!(fx.stores.is_empty() && fx.arrived.is_empty());
    assert_eq!(send(&mut replica, &wanted).arrived, [wanted.meta.id]);
}

#[test]
fn a_full_node_asks_for_the_segment_again() {
    let options =
        ReplicaOptions { group: GroupId(0), segment_bytes_max: 1 << 20, incoming_bytes_max: 8 };
    let mut replica = Replica::new(options, Recovered::default());
    assert_eq!(send(&mut replica, &chunk(1, 9)).refused, [Refused::Gap]);
    assert_eq!(replica.incoming_bytes(), 0);
}

#[test]
fn rows_of_a_peer_make_the_same_order_as_feeds() {
    let (mut by_feed, mut by_rows) = (Node::new(), Node::new());
    let (held, stored, missed) = (chunk(1, 2), chunk(2, 3), chunk(3, 1));
    for replica in [&mut by_feed.replica, &mut by_rows.replica] {
        send(replica, &held);
        send(replica, &stored);
        step(replica, Input::Committed { segment: stored.meta.id });
    }
    let mut other_group = elected(chunk(4, 1).meta, 12);
    other_group.challenger.group = GroupId(1);
    let mut rows: Vec<_> =
        [(&held, 5), (&stored, 9), (&missed, 11)].map(|(c, s)| elected(c.meta, s)).to_vec();
    rows.push(other_group);
    let mut fed = Vec::new();
    for elected in &rows {
        let (elected, marks) = (*elected, Marks::at(elected.stamp()));
        by_feed.read(order::Input::Resolved { from: SyncId(0), elected });
        for from in [SyncId(0), SyncId(1)] {
            fed.extend(by_feed.read(order::Input::Watermark { from, marks }).placed);
        }
    }
    let from = NdbId { group: GroupId(0), member: 1 };
    let input = order::Input::Rows { from, first: Position::FIRST, rows: rows.clone() };
    let fx = by_rows.read(input);
    assert_eq!(fx.placed, fed);
    assert_eq!(by_rows.replica.chain(), by_feed.replica.chain());
    let bodies: Vec<_> = fx.placed.iter().map(|place| &place.body).collect();
    assert!(matches!(
        bodies[..],
        [Body::Memory(_), Body::Memory(_), Body::Missing, Body::Elsewhere]
    ));
    assert_eq!(by_rows.replica.missing().keys().collect::<Vec<_>>(), [&missed.meta.id]);
    assert_eq!(by_rows.replica.pending_count(), 0);
    assert_eq!(
        (by_rows.reader.next_position(), by_rows.replica.head().next),
        (Position(8), Position(8))
    );
    // The feed tells of them later, and nothing happens twice.
    for elected in rows {
        let fx = by_rows.read(order::Input::Resolved { from: SyncId(0), elected });
        assert!(fx.placed.is_empty() && fx.wanted.is_empty());
    }
    assert!(trimmed(&send(&mut by_rows.replica, &stored)), "known, and not stored again");
}

#[test]
fn a_segment_held_since_before_a_restart_is_placed_as_stored() {
    let chunk = chunk(1, 2);
    let recovered = Recovered { temporary: vec![chunk.meta], ..Recovered::default() };
    let mut replica = Replica::new(replica().options, recovered);
    let fx = place(&mut replica, elected(chunk.meta, 5));
    assert_eq!(fx.placed[0].body, Body::Stored);
    assert!(replica.unresolved().next().is_none());
}

#[test]
#[should_panic(expected = "R2")]
fn a_place_that_is_not_the_next_stops_the_node() {
    let mut replica = replica();
    let elected = elected(chunk(1, 2).meta, 5);
    let placed = Placed { elected, first: Position(2) };
    step(&mut replica, Input::Placed { placed });
}
