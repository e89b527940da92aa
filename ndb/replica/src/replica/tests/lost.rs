//! Bytes and parts of the order that are lost, and come again.

use super::*;

/// Found by the World: the node read its own damaged bytes between the place and the commit of its row,
/// and started again before that. It waited for these bytes ever after, and asked nobody.
#[test]
fn what_was_lost_before_its_row_was_on_disk_is_missing_after_a_restart() {
    let chunk = chunk(1, 2);
    let lost = Lost { meta: chunk.meta, first: Position::FIRST, stamp: Stamp(5) };
    let recovered =
        Recovered { temporary: vec![chunk.meta], missing: vec![lost], ..Recovered::default() };
    let mut replica = Replica::new(replica().options, recovered);
    let fx = elect(&mut replica, chunk.meta, 5);
    assert_eq!(fx.placed[0].body, Body::Missing, "so it is asked of peers");
    assert_eq!(send(&mut replica, &chunk).arrived, [chunk.meta.id]);
    assert!(replica.missing().is_empty());
}

/// The World, seed 35942: bytes that came again before the order had come to their place again were on disk and
/// counted as missing, and the only other copy was damaged meanwhile.
#[test]
fn what_comes_again_before_its_place_does_is_not_missing() {
    let chunk = chunk(1, 2);
    let lost = Lost { meta: chunk.meta, first: Position::FIRST, stamp: Stamp(5) };
    let recovered = Recovered { missing: vec![lost], ..Recovered::default() };
    let mut replica = Replica::new(replica().options, recovered);
    let fx = send(&mut replica, &chunk);
    assert_eq!(fx.stores[0].mark, Mark::Temporary, "it has no place yet");
    let fx = elect(&mut replica, chunk.meta, 5);
    assert!(matches!(fx.placed[0].body, Body::Memory(_)));
    assert!(replica.missing().is_empty());
}

#[test]
fn damaged_bytes_without_a_place_are_asked_for_or_written_again_from_memory() {
    let (stored, in_memory) = (chunk(1, 2), chunk(2, 1));
    let recovered = Recovered { temporary: vec![stored.meta], ..Recovered::default() };
    let mut replica = Replica::new(replica().options, recovered);
    send(&mut replica, &in_memory);
    step(&mut replica, Input::Committed { segment: in_memory.meta.id });
    let mut fx = Effects::default();
    assert!(replica.lose_pending(stored.meta, &mut fx));
    assert_eq!((&fx.wanted[..], fx.stores.len()), (&[stored.meta.id][..], 0));
    assert_eq!(metas(replica.unresolved()), [in_memory.meta]);
    let mut fx = Effects::default();
    assert!(!replica.lose_pending(in_memory.meta, &mut fx));
    assert!(fx.wanted.is_empty());
    assert_eq!((fx.stores[0].meta, fx.stores[0].mark), (in_memory.meta, Mark::Temporary));
    let mut fx = Effects::default();
    assert!(!replica.lose_pending(chunk(9, 1).meta, &mut fx), "not held");
    assert!(fx.wanted.is_empty() && fx.stores.is_empty());
    // It is drafted again when it is here again.
    fetch(&mut replica, &stored);
    let fx = step(&mut replica, Input::Committed { segment: stored.meta.id });
    assert_eq!(metas(fx.drafts), [stored.meta]);
}

#[test]
fn lost_bytes_of_a_placed_segment_are_taken_again() {
    let mut replica = replica();
    let placed = chunk(1, 2);
    send(&mut replica, &placed);
    elect(&mut replica, placed.meta, 5);
    let lost = Lost { meta: placed.meta, first: Position(1), stamp: Stamp(5) };
    assert!(!replica.lose(lost), "it has a place");
    let fx = fetch(&mut replica, &placed);
    assert_eq!((fx.stores[0].mark, &fx.arrived[..]), (permanent(1, 5), &[placed.meta.id][..]));
    assert!(!replica.lose(lost));
    replica.trim(Position(3));
    assert!(replica.missing().is_empty());
    assert_eq!(fetch(&mut replica, &placed).refused, [Refused::Unwanted]);
}

/// A node that was left behind held a segment whose row came later, with an older part of the order: its bytes
/// from a peer ended the node.
#[test]
fn a_held_segment_whose_place_came_without_bytes_is_taken_from_a_peer() {
    let mut replica = replica();
    let held = chunk(1, 2);
    send(&mut replica, &held);
    let lost = Lost { meta: held.meta, first: Position(1), stamp: Stamp(5) };
    assert!(replica.lose(lost), "what is on disk of it goes");
    assert_eq!(replica.pending_count(), 0);
    assert_eq!(fetch(&mut replica, &held).stores[0].mark, permanent(1, 5));
}

#[test]
fn an_order_that_begins_anew_goes_on_from_its_base() {
    let mut replica = replica();
    let (before, next) = (chunk(1, 2), chunk(9, 1));
    elect(&mut replica, before.meta, 5);
    let base = OrderBase { next: Position(50), stamp: Stamp(40), chain: Digest([7; 16]) };
    step(&mut replica, Input::Rebase { base });
    assert_eq!((replica.head().next, replica.chain()), (base.next, base.chain));
    // Not back.
    let low = OrderBase { next: Position(3), ..base };
    step(&mut replica, Input::Rebase { base: low });
    assert_eq!(replica.head().next, base.next);
    let fx = elect(&mut replica, next.meta, 60);
    assert_eq!(fx.placed[0].first, base.next);
    assert_eq!(fx.placed[0].row, OrderRow::chained(base.chain, elected(next.meta, 60)));
}

#[test]
fn what_an_owner_left_behind_in_a_skipped_part_of_the_order_goes() {
    let mut replica = replica();
    let (skipped, next) = (chunk(1, 2), chunk(2, 1));
    send(&mut replica, &skipped);
    let base = OrderBase { next: Position(50), stamp: Stamp(40), chain: Digest([7; 16]) };
    step(&mut replica, Input::Rebase { base });
    let fx = elect(&mut replica, next.meta, 60);
    assert_eq!(fx.dropped, [skipped.meta.id]);
    assert_eq!(replica.pending_count(), 0);
}
