//! From one replica to another, and several groups at once.

use super::*;

#[test]
fn a_lost_replica_is_replaced_from_the_next_position() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    let fx = bench.step(Input::NdbDown { ndb: ndb(0) });
    assert_eq!(fx.sends, [follow(1, Some(11), &["t"])]);
    assert!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.is_empty(), "not open yet");
    assert_eq!(bench.opened(1, 11).notes, []);
    assert_eq!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.len(), 1);
}

#[test]
fn a_replica_that_loses_what_comes_next_leaves_no_gap_unsaid() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    // Nobody asked: its only copy of 11 to 14 is gone, and it goes on behind them.
    let fx = bench.opened(0, 15);
    assert_eq!(fx.notes, [Note::PositionsMissed { from: ndb(0), count: 4 }]);
    assert_eq!(words(&fx), [(7, Word::Lagging(11, vec![1]))]);
    assert_eq!(bench.opened(0, 15).notes, [], "said once");
}

#[test]
fn a_silent_replica_is_left_and_what_it_says_later_is_not_taken() {
    let mut bench = Bench::subscribed();
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    let fx = bench.step(Input::NdbSilent { ndb: ndb(0), is_silent: true });
    let none = (ndb(0), Message::Read(ReadMessage::FollowTail { from: None, topics: vec![] }));
    assert_eq!(fx.sends, [none, follow(1, Some(11), &["t"])]);
    bench.opened(1, 11);
    bench.step(Input::NdbSilent { ndb: ndb(0), is_silent: false });
    assert!(bench.segment(0, 11, &[("t", 0, b"[1]")]).outgoing.is_empty(), "left is left");
    assert_eq!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.len(), 1);
    // The answer to the word that told it to send nothing is no answer to a later one.
    let fx = bench.step(Input::NdbDown { ndb: ndb(1) });
    assert_eq!(fx.sends, [follow(0, Some(12), &["t"])]);
    bench.opened(0, 12);
    assert!(bench.segment(0, 12, &[("t", 0, b"[1]")]).outgoing.is_empty(), "the first answer");
    bench.opened(0, 12);
    assert_eq!(bench.segment(0, 12, &[("t", 0, b"[1]")]).outgoing.len(), 1, "the second");
}

#[test]
fn a_group_of_which_nobody_is_heard_keeps_no_subscriber_waiting() {
    let mut bench = Bench::subscribed();
    for member in 0..3 {
        bench.step(Input::NdbSilent { ndb: ndb(member), is_silent: true });
    }
    bench.subscribe(8, 1, "t");
    let fx = bench.step(Input::Flush);
    assert!(fx.sends.is_empty(), "nobody is followed: {:?}", fx.sends);
    let fx = bench.step(Input::NdbSilent { ndb: ndb(0), is_silent: false });
    assert_eq!(fx.sends, [follow(0, Some(10), &["t"])], "followed anew with all that is wanted");
}

#[test]
fn a_replica_that_cannot_give_everything_is_reported() {
    let mut bench = Bench::subscribed();
    bench.step(Input::NdbDown { ndb: ndb(0) });
    let fx = bench.opened(1, 15);
    assert_eq!(fx.notes, [Note::PositionsMissed { from: ndb(1), count: 5 }]);
}

/// Found by the World: another replica may have it, as when this one alone has gone on where the orders
/// of its peers began.
#[test]
fn what_a_replica_has_dropped_is_read_from_the_store_by_all_who_are_live() {
    let mut bench = Bench::subscribed();
    bench.subscribe_as(8, 1, topic("t"), SubscribeMode::Replay);
    bench.step(Input::Flush);
    bench.step(Input::NdbDown { ndb: ndb(0) });
    let fx = bench.opened(1, 15);
    assert_eq!(words(&fx), [(7, Word::Lagging(10, vec![1]))], "who replays reads it anyhow");
    let input = Input::Join {
        session: SessionId(7),
        join: JoinId(1),
        subscriptions: vec![SubscriptionId(1)],
    };
    assert_eq!(words(&bench.step(input)), [(7, Word::Joined(1, 15))]);
}

#[test]
fn interest_that_was_on_its_way_holds_at_the_new_replica() {
    let mut bench = Bench::subscribed();
    bench.subscribe(8, 1, "u");
    bench.step(Input::Flush);
    let fx = bench.step(Input::NdbDown { ndb: ndb(0) });
    assert_eq!(fx.sends, [follow(1, Some(10), &["t", "u"])]);
    assert_eq!(words(&bench.opened(1, 10)), [(8, Word::Subscribed(1, 2))]);
}

#[test]
fn a_tail_that_is_behind_and_does_not_move_is_moved() {
    let mut bench = Bench::subscribed();
    assert_eq!(bench.delivery.timeout_at(), None);
    bench.placed(10, 2, 0);
    assert_eq!(bench.delivery.timeout_at(), Some(at(100)));
    bench.now = at(60);
    bench.segment(0, 10, &[("t", 0, b"[1]")]);
    assert_eq!(bench.delivery.timeout_at(), Some(at(160)), "progress is patience");
    bench.now = at(160);
    let fx = bench.step(Input::Timeout);
    assert_eq!(fx.sends, [follow(0, None, &[]), follow(1, Some(11), &["t"])]);
    let moved = Note::TailMoved { group: GroupId(0), from: Some(ndb(0)), to: ndb(1) };
    assert_eq!(fx.notes, [moved]);
    // The one left behind goes on for a while; nobody listens.
    assert!(bench.segment(0, 11, &[("t", 0, b"[1]")]).outgoing.is_empty());
    bench.opened(0, 12);
    bench.opened(1, 11);
    assert_eq!(bench.segment(1, 11, &[("t", 0, b"[1]")]).outgoing.len(), 1);
    assert_eq!(bench.delivery.timeout_at(), None);
}

#[test]
fn patience_is_eight_times_what_progress_takes() {
    let mut bench = Bench::subscribed();
    let mut patience = Vec::new();
    let mut place = |bench: &mut Bench, position, took_ms| {
        bench.placed(position, 1, 0);
        let due = bench.delivery.timeout_at().expect("behind");
        patience.push(due.millis_since(bench.now));
        bench.now = bench.now.plus_millis(took_ms);
        bench.segment(0, position, &[("t", 0, b"[1]")]);
    };
    for position in 10..40 {
        place(&mut bench, position, 2);
    }
    for position in 40..70 {
        place(&mut bench, position, 30);
    }
    assert_eq!((patience[0], patience[29], patience[59]), (100, 25, 100), "{patience:?}");
    assert!(patience[32] > 25 && patience[32] < 100, "{patience:?}");
}

#[test]
fn patience_doubles_with_each_fruitless_move() {
    let mut bench = Bench::subscribed();
    bench.placed(10, 2, 0);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let due = bench.delivery.timeout_at().expect("behind");
        waits.push(due.millis_since(bench.now));
        bench.now = due;
        bench.step(Input::Timeout);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
}

#[test]
fn nobody_waits_without_interest() {
    let mut bench = Bench::open();
    bench.placed(10, 990, 0);
    assert_eq!(bench.delivery.timeout_at(), None);
}

#[test]
fn a_position_passes_over_what_is_of_no_interest() {
    let mut bench = Bench::subscribed();
    bench.placed(10, 2, 0);
    let input = Input::TailPosition { from: ndb(0), next: Position(12) };
    bench.step(input);
    assert_eq!(bench.delivery.timeout_at(), None);
    assert_eq!(bench.step(Input::NdbDown { ndb: ndb(0) }).sends, [follow(1, Some(12), &["t"])]);
}

#[test]
fn tails_of_two_groups_are_merged_by_position() {
    let of = |group| NdbId { group: GroupId(group), member: 0 };
    let options = DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, [1, 1], 1),
        subscriptions: SubscriptionLimits { per_session_max: 2, ..SubscriptionLimits::UNBOUNDED },
        numbering: Numbering::Counted,
        waiting_bytes_max: 64 << 20,
    };
    let mut bench = Bench { delivery: Delivery::new(&options), now: at(0) };
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    for ndb in [of(0), of(1)] {
        bench.step(Input::NdbUp { ndb });
        bench.step(Input::TailOpened { from: ndb, next: Position(10) });
    }
    let message: &[_] = &[("t", 0, &b"[1]"[..])];
    let late = Input::Segment { from: of(0), segment: segment(11, message) };
    assert!(bench.step(late).outgoing.is_empty(), "the other group may have 10");
    let early = Input::Segment { from: of(1), segment: segment(10, message) };
    assert_eq!(bench.step(early).outgoing.len(), 2, "the next, and the one after it");
    let late = Input::Segment { from: of(0), segment: segment(14, message) };
    assert!(bench.step(late).outgoing.is_empty(), "the other group may have 12 and 13");
    let passed = Input::TailPosition { from: of(1), next: Position(14) };
    assert_eq!(bench.step(passed).outgoing.len(), 1);
}

#[test]
fn a_scenario_of_moves_delivers_each_position_once_in_order() {
    let mut bench = Bench::subscribed();
    let mut received = Vec::new();
    let mut follower = 0;
    for (round, next) in (10..310).enumerate() {
        bench.now = at(next * 10);
        bench.placed(next, 1, 0);
        if round % 7 == 3 {
            // A replica is lost, comes back, and the new one overlaps by two positions.
            let lost = ndb(follower);
            let fx = bench.step(Input::NdbDown { ndb: lost });
            let Some((to, Message::Read(ReadMessage::FollowTail { .. }))) = fx.sends.first() else {
                panic!("moved")
            };
            follower = to.member;
            bench.step(Input::NdbUp { ndb: lost });
            bench.opened(follower, next - 2);
            for repeated in [next - 2, next - 1] {
                let fx = bench.segment(follower, repeated, &[("t", 0, b"[1]")]);
                assert!(fx.outgoing.is_empty());
            }
        }
        let fx = bench.segment(follower, next, &[("t", 0, b"[1]")]);
        received.extend(fx.outgoing.iter().map(|_| next));
    }
    assert!(received.into_iter().eq(10..310));
}
