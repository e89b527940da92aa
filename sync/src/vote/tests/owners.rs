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

    let made = |at: WallTime| {
        let seconds = at.0 / 1_000;
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
        OwnerId(uuid::Uuid::new_v7(stamp))
    };
    let old = made(WallTime(bench.now.0 - OWNER_IDLE_MS - 2_000));
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(0), meta: ask(old) });
    assert_eq!(fx.answers, [(ndb(0), ask(old).id, DraftAnswer::OwnerExpired)]);
    assert_eq!(bench.nodes[0].pending_segments(), 0);
    let young = made(WallTime(bench.now.0 - OWNER_IDLE_MS + 2_000));
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
    // The newest election is not forgotten: after a restart it tells where the order is.
    bench.now = bench.now.plus_millis(1);
    bench.store(meta(3, 1));
    bench.deliver_all();
    bench.now = bench.now.plus_millis(OWNER_IDLE_MS + 1_000);
    let keep = BTreeSet::from([meta(1, 1).id.owner]);
    let fx = bench.step(0, Input::ExpireOwners { keep });
    assert_eq!(fx.later, [Write::DropOwner(meta(2, 1).id.owner)]);
    assert_eq!(bench.nodes[0].owner_row(meta(2, 1).id.owner), None);
    assert!(bench.nodes[0].owner_row(meta(1, 1).id.owner).is_some());
}
