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
    assert_eq!(bench.nodes[0].watermark().map(|marks| marks.floor), Some(stamp));
    let again = bench.step(0, Input::OwnerSettled { owner, row });
    assert!(again.later.is_empty() && !again.ends_feeds);
}

/// An owner whose entry started at a time.
fn made(at: WallTime) -> OwnerId {
    let stamp = uuid::Timestamp::from_unix(uuid::NoContext, at.0 / 1_000, 0);
    OwnerId(uuid::Uuid::new_v7(stamp))
}

#[test]
fn drafts_for_what_is_long_elected_are_answered() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.deliver_all();
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(2), meta: meta(1, 1) });
    assert!(fx.answers.is_empty(), "the feed is just telling");
    bench.now = bench.now.plus_millis(5_000);
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(2), meta: meta(1, 1) });
    assert_eq!(fx.answers, [(ndb(2), meta(1, 1).id, DraftAnswer::Elected)]);
}

fn first_of(owner: OwnerId) -> SegmentMeta {
    SegmentMeta { id: SegmentId { owner, seq: Seq(1) }, ..meta(1, 1) }
}

fn expire() -> Input {
    expire_but(&[], Stamp(u64::MAX))
}

fn expire_but(keep: &[OwnerId], trimmed_to: Stamp) -> Input {
    Input::ExpireOwners { keep: keep.iter().copied().collect(), trimmed_to }
}

#[test]
fn an_owner_is_refused_when_one_of_its_age_was_forgotten_and_not_before() {
    let mut bench = Bench::new(3);
    let [unheard, forgotten, young] = [0, 5_000, 9_000].map(|ms| made(NOW.plus_millis(ms)));
    bench.store(first_of(forgotten));
    bench.deliver_all();
    // All clocks leap for one message, and are set right.
    bench.now = NOW.plus_millis(8 * OWNER_IDLE_MS / 7);
    bench.store(meta(3, 1));
    bench.deliver_all();
    bench.now = NOW.plus_millis(10_000);
    let ask = |owner| Input::GenerateDraft { from: ndb(0), meta: first_of(owner) };
    assert_eq!(bench.step(0, ask(young)).answers, [], "it was made before the order leapt");
    // Who is forgotten takes those along that nobody can tell from it.
    assert_eq!(bench.step(1, expire()).later, [Write::DropOwner(forgotten)]);
    let refused = |owner| vec![(ndb(0), first_of(owner).id, DraftAnswer::OwnerExpired)];
    for owner in [unheard, forgotten] {
        assert_eq!(bench.step(1, ask(owner)).answers, refused(owner));
    }
    assert_eq!(bench.nodes[1].pending_segments(), 0);
    assert_eq!(bench.step(1, ask(young)).answers, []);
    assert_eq!(bench.nodes[1].pending_segments(), 1);
}

#[test]
fn an_entry_whose_clock_stands_at_1970_is_new_to_an_empty_order() {
    let mut bench = Bench::new(3);
    let owner = made(WallTime(10_000));
    bench.store(first_of(owner));
    bench.deliver_all();
    assert_eq!(bench.elected[0].len(), 1);
}

#[test]
fn a_forgotten_owner_stays_dead_whatever_peers_say_of_it() {
    let mut bench = Bench::new(3);
    let owner = made(NOW);
    bench.store(first_of(owner));
    bench.deliver_all();
    let old = bench.elected[0][0];
    bench.now = NOW.plus_millis(8 * OWNER_IDLE_MS / 7);
    bench.store(meta(3, 1));
    bench.deliver_all();
    assert_eq!(bench.step(1, expire()).later, [Write::DropOwner(owner)]);
    // A peer that was away when it was elected, and had accepted another proposal before.
    let stale = Challenger { stamp: Stamp(old.stamp().0 - 64), group: GroupId(0) };
    let ballot = (0..3)
        .map(Ballot)
        .find(|ballot| Membership::sized(3, [], 2).coordinator(owner, *ballot) == SyncId(0));
    let ballot = ballot.expect("each has one");
    let proposal = Proposal { meta: old.meta, ballot, challenger: stale };
    let row = OwnerRow { contiguous: Seq(1), stamp: old.stamp() };
    let pick = Input::PickChallenger {
        from: SyncId(0),
        meta: old.meta,
        ballot,
        draft: stale.stamp,
        group: GroupId(0),
        accepted: None,
    };
    for (input, told) in [
        (pick, true),
        (Input::ElectSegment { from: SyncId(0), proposal }, true),
        (Input::Vote { from: SyncId(0), proposal }, true),
        (Input::Prepare { from: SyncId(0), meta: old.meta, ballot: Ballot(ballot.0 + 3) }, true),
        (Input::OwnerSettled { owner, row }, false),
        (Input::Resolved { elected: old }, false),
    ] {
        let fx = bench.step(1, input);
        assert_eq!(fx.forgotten.contains(&(SyncId(0), owner)), told);
        assert_eq!(fx.dropped, [Drop::OwnerExpired]);
        assert!(fx.sends.is_empty() && fx.writes.is_empty() && fx.later.is_empty());
        assert!(fx.elected.is_empty() && !fx.ends_feeds);
    }
    assert_eq!((bench.nodes[1].pending_segments(), bench.nodes[1].owner_row(owner)), (0, None));
}

#[test]
fn what_is_pending_ends_when_every_quorum_has_one_that_forgot_its_owner() {
    let mut bench = Bench::new(5);
    let [owner, other] = [0, 1_000].map(|ms| made(NOW.plus_millis(ms)));
    for member in 0..2 {
        let meta = first_of(owner);
        bench.step(0, Input::GenerateDraft { from: ndb(member), meta });
    }
    let clock = bench.nodes[0].clock();
    assert!(
        bench.nodes[0].watermark().map(|marks| marks.floor) < Some(clock),
        "its draft holds the watermark"
    );
    let forgotten = |from, owner| Input::OwnerForgotten { from: SyncId(from), owner };
    for from in [1, 2, 2, 1] {
        bench.step(0, forgotten(from, owner));
        bench.step(0, forgotten(3, other));
    }
    assert!(!bench.nodes[0].has_ended_owners(), "three others could still elect it");
    assert_eq!(bench.step(0, expire()).later, []);
    bench.step(0, forgotten(4, owner));
    assert!(bench.nodes[0].has_ended_owners());
    let fx = bench.step(0, expire());
    assert_eq!((fx.later, fx.ends_feeds), (vec![Write::DropOwner(owner)], true));
    assert_eq!(bench.nodes[0].watermark().map(|marks| marks.floor), Some(clock));
    assert!(!bench.nodes[0].has_ended_owners());
    // And from now on this node takes no part either.
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(0), meta: first_of(owner) });
    assert_eq!(fx.answers, [(ndb(0), first_of(owner).id, DraftAnswer::OwnerExpired)]);
}

/// The home waits for drafts of others, who have no need to say any more.
#[test]
fn a_home_that_missed_the_outcome_asks_for_it() {
    let mut bench = Bench::new(3);
    let meta = meta(1, 1);
    let home = Membership::sized(3, [], 2).home(meta.id.owner).0;
    for member in 0..2 {
        bench.step(home, Input::GenerateDraft { from: ndb(member), meta });
    }
    let stamp = bench.nodes[usize::from(home)].clock();
    let elected = Elected { meta, challenger: Challenger { stamp, group: GroupId(0) } };
    for other in (0..3).filter(|node| *node != home) {
        bench.step(other, Input::Resolved { elected });
    }
    bench.now = bench.now.plus_millis(2 * RETRY_AGE_MS);
    bench.step(home, Input::Retry);
    bench.deliver_all();
    assert_eq!(bench.elected[usize::from(home)], [elected]);
}

#[test]
fn a_restart_refuses_who_was_forgotten_before_it() {
    let recovered = Recovered { forgotten_to: NOW, ..Recovered::default() };
    let mut votes = Orderer::new(options(0, 3), &recovered);
    let mut ask = |owner| {
        let mut fx = Effects::default();
        votes.step(NOW, Input::GenerateDraft { from: ndb(0), meta: first_of(owner) }, &mut fx);
        fx.answers.len()
    };
    assert_eq!((ask(made(NOW)), ask(made(NOW.plus_millis(1_000)))), (1, 0));
}

#[test]
fn idle_owners_are_forgotten_unless_their_entry_is_linked() {
    let mut bench = Bench::new(3);
    let [linked, idle] = [0, 1_000].map(|ms| made(NOW.plus_millis(ms)));
    bench.store(first_of(linked));
    bench.store(first_of(idle));
    bench.store(meta(4, 1));
    bench.deliver_all();
    bench.now = bench.now.plus_millis(OWNER_IDLE_MS + 5_000);
    // The newest election is not forgotten: after a restart it tells where the order is.
    bench.store(meta(3, 1));
    bench.deliver_all();
    // Nor one without a time, nor what feeds tell of, nor any that a linked entry made.
    let last = bench.nodes[0].owner_row(idle).expect("known").stamp;
    let kept = linked.made_anew(NOW.plus_millis(99));
    assert_eq!(bench.step(0, expire_but(&[kept], last.just_below())).later, []);
    assert_eq!(bench.step(0, expire_but(&[kept], last)).later, [Write::DropOwner(idle)]);
    assert_eq!(bench.nodes[0].owner_row(idle), None);
    assert!(bench.nodes[0].owner_row(linked).is_some());
}

#[test]
fn a_wall_clock_that_is_ahead_forgets_no_owner() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.store(meta(2, 1));
    bench.deliver_all();
    let right = bench.now;
    bench.now = right.plus_millis(60 * OWNER_IDLE_MS);
    assert_eq!(bench.step(0, expire()).later, []);
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
fn what_is_forgotten_ends_with_the_last_that_is_not_remembered_and_at_a_gap() {
    let elected = |seq: &u64| Elected {
        meta: meta(1, *seq),
        challenger: Challenger { stamp: Stamp(100 + seq), group: GroupId(0) },
    };
    let row = OwnerRow { contiguous: Seq(5), stamp: Stamp(105) };
    let forgotten = |after, known: &[u64]| {
        let known: Vec<_> = known.iter().map(elected).collect();
        OwnerRow::forgotten(Seq(after), &known, row).map(|row| (row.contiguous.0, row.stamp))
    };
    let (all, three) = (Some((5, Stamp(105))), Some((3, Stamp(104).just_below())));
    assert_eq!(forgotten(0, &[]), all);
    assert_eq!(forgotten(5, &[]), None);
    assert_eq!(forgotten(0, &[5, 4]), three);
    assert_eq!(forgotten(3, &[4, 5]), None);
    // Of another group, which has come further.
    assert_eq!(forgotten(3, &[4]), all);
    assert_eq!(forgotten(0, &[2, 4, 5]), three);
    // The sixth is not known here: nobody may take it as settled.
    assert_eq!(forgotten(0, &[7]), all);
    assert_eq!(forgotten(5, &[7]), None);
}
