//! What is remembered of owners, and what is answered to those that come late.

use super::*;

#[test]
fn an_owner_settled_by_a_peer_ends_its_pending_segments() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.store(meta(1, 2));
    let owner = meta(1, 1).id.owner;
    let stamp = Stamp(bench.nodes[0].clock().0 + 7);
    let row = OwnerRow { contiguous: Seq(2), stamp };
    let fx = bench.step(0, Input::OwnerSettled { owner, row });
    assert!(fx.later.contains(&Write::OwnerSettled(owner, row)));
    assert!(fx.ends_feeds, "nobody was told of these elections here");
    assert_eq!(bench.nodes[0].pending_segments(), 0);
    assert_eq!(bench.nodes[0].watermark(), Some(stamp));
    let again = bench.step(0, Input::OwnerSettled { owner, row });
    assert!(again.later.is_empty() && !again.ends_feeds);
}

/// An owner whose entry started at a time.
fn made(at: WallTime) -> OwnerId {
    let stamp = uuid::Timestamp::from_unix(uuid::NoContext, at.0 / 1_000, 0);
    OwnerId(uuid::Uuid::new_v7(stamp))
}

#[test]
fn drafts_for_what_is_long_elected_or_expired_are_answered() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.deliver_all();
    let ask = |owner: OwnerId| SegmentMeta { id: SegmentId { owner, seq: Seq(1) }, ..meta(1, 1) };
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(2), meta: meta(1, 1) });
    assert!(fx.answers.is_empty(), "the feed is just telling");
    bench.now = bench.now.plus_millis(5_000);
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(2), meta: meta(1, 1) });
    assert_eq!(fx.answers, [(ndb(2), meta(1, 1).id, DraftAnswer::Elected)]);

    let old = made(WallTime(NOW.0 - OWNER_IDLE_MS - 2_000));
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(0), meta: ask(old) });
    assert_eq!(fx.answers, [(ndb(0), ask(old).id, DraftAnswer::OwnerExpired)]);
    assert_eq!(bench.nodes[0].pending_segments(), 0);
    let young = made(WallTime(NOW.0 - OWNER_IDLE_MS + 2_000));
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(0), meta: ask(young) });
    assert!(fx.answers.is_empty());
    assert_eq!(bench.nodes[0].pending_segments(), 1);
}

#[test]
fn idle_owners_are_forgotten_unless_their_entry_is_linked() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.store(meta(2, 1));
    bench.deliver_all();
    bench.now = bench.now.plus_millis(OWNER_IDLE_MS + 1_000);
    // The newest election is not forgotten: after a restart it tells where the order is.
    bench.store(meta(3, 1));
    bench.deliver_all();
    let keep = BTreeSet::from([meta(1, 1).id.owner]);
    let fx = bench.step(0, Input::ExpireOwners { keep });
    assert_eq!(fx.later, [Write::DropOwner(meta(2, 1).id.owner)]);
    assert_eq!(bench.nodes[0].owner_row(meta(2, 1).id.owner), None);
    assert!(bench.nodes[0].owner_row(meta(1, 1).id.owner).is_some());
}

#[test]
fn a_wall_clock_that_is_ahead_forgets_no_owner() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.store(meta(2, 1));
    bench.deliver_all();
    let right = bench.now;
    bench.now = right.plus_millis(60 * OWNER_IDLE_MS);
    let fx = bench.step(0, Input::ExpireOwners { keep: BTreeSet::new() });
    assert_eq!(fx.later, []);
    // Nor does it refuse an entry that is new.
    let meta = SegmentMeta { id: SegmentId { owner: made(right), seq: Seq(1) }, ..meta(1, 1) };
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(0), meta });
    assert_eq!(fx.answers, []);
}

#[test]
fn an_owner_that_is_forgotten_is_refused_whatever_wall_clocks_say_then() {
    let mut bench = Bench::new(3);
    // Its entry's clock is an hour ahead.
    let owner = made(bench.now.plus_millis(60 * 60 * 1_000));
    let segment = SegmentMeta { id: SegmentId { owner, seq: Seq(1) }, ..meta(1, 1) };
    bench.store(segment);
    bench.deliver_all();
    let expire = || Input::ExpireOwners { keep: BTreeSet::new() };
    let start = bench.now;
    for (seq, hours) in [(1, 0), (2, 2)] {
        bench.now = start.plus_millis(OWNER_IDLE_MS + hours * 60 * 60 * 1_000 + 1_000);
        bench.store(meta(2, seq));
        bench.deliver_all();
        let forgotten = bench.step(0, expire()).later.contains(&Write::DropOwner(owner));
        assert_eq!(forgotten, hours == 2, "while it would not be refused, it is remembered");
    }
    bench.now = start;
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(0), meta: segment });
    assert_eq!(fx.answers, [(ndb(0), segment.id, DraftAnswer::OwnerExpired)]);
}

#[test]
fn what_is_forgotten_ends_before_the_first_that_is_remembered_and_at_a_gap() {
    let elected = |seq| Elected {
        meta: meta(1, seq),
        challenger: Challenger { stamp: Stamp(100 + seq), group: GroupId(0) },
    };
    let row = OwnerRow { contiguous: Seq(5), stamp: Stamp(105) };
    let forgotten = |after, first: Option<u64>| {
        OwnerRow::forgotten(Seq(after), first.map(elected), row).map(|row| row.contiguous.0)
    };
    assert_eq!(forgotten(0, None), Some(5));
    assert_eq!(forgotten(5, None), None);
    assert_eq!(forgotten(0, Some(4)), Some(3));
    assert_eq!(forgotten(3, Some(4)), None);
    // The sixth is not known here: nobody may take it as settled.
    assert_eq!(forgotten(0, Some(7)), Some(5));
    assert_eq!(forgotten(5, Some(7)), None);
}
