//! The tails of several groups in one order: who waits for whom.

mod seeded;

use vixen_core::membership::Membership;

use super::*;

const MESSAGE: &[(&str, u64, &[u8])] = &[("t", 0, b"[1]")];

const NONE: [u64; 0] = [];

/// The only replica of a group.
pub(super) fn of(group: u16) -> NdbId {
    NdbId { group: GroupId(group), member: 0 }
}

/// Groups of one replica each; nobody is linked.
pub(super) fn bench(groups: u16) -> Bench {
    let options = DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, (0..groups).map(|_| 1), 1),
        subscriptions: SubscriptionLimits { per_session_max: 2, ..SubscriptionLimits::UNBOUNDED },
        numbering: Numbering::Counted,
        waiting_bytes_max: 64 << 20,
    };
    Bench { delivery: Delivery::new(&options), now: at(0) }
}

/// All groups linked, session 7 subscribed to `t` from position 10 on.
fn subscribed(groups: u16) -> Bench {
    let mut bench = bench(groups);
    for group in 0..groups {
        bench.up(group);
        bench.tail(group, 10);
    }
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    let told: Vec<_> = (0..groups).flat_map(|group| words(&bench.tail(group, 10))).collect();
    assert_eq!(told, [(7, Word::Subscribed(1, 1))]);
    bench
}

impl Bench {
    fn up(&mut self, group: u16) -> Effects {
        self.step(Input::NdbUp { ndb: of(group) })
    }

    fn down(&mut self, group: u16) -> Effects {
        self.step(Input::NdbDown { ndb: of(group) })
    }

    fn tail(&mut self, group: u16, next: u64) -> Effects {
        self.step(Input::TailOpened { from: of(group), next: Position(next) })
    }

    fn gone_by(&mut self, group: u16, next: u64) -> Effects {
        self.step(Input::TailPosition { from: of(group), next: Position(next) })
    }

    /// One message of topic `t` at `first`.
    fn sent(&mut self, group: u16, first: u64) -> Effects {
        self.step(Input::Segment { from: of(group), segment: segment(first, MESSAGE) })
    }
}

/// Positions of the events in `fx`.
fn positions(fx: &Effects) -> Vec<u64> {
    let mut positions = Vec::new();
    for (_session, outgoing) in &fx.outgoing {
        let Outgoing::Events(events) = outgoing else { continue };
        positions.extend(events.events().iter().map(|event| event.position.0));
    }
    positions
}

/// What a node is asked for, in `fx`.
fn asked(fx: &Effects) -> Vec<(u16, Option<u64>)> {
    let each = fx.sends.iter().filter_map(|(to, message)| match message {
        Message::Read(ReadMessage::FollowTail { from, .. }) => {
            Some((to.group.0, from.map(|from| from.0)))
        }
        Message::Read(ReadMessage::ChangeInterest { .. }) => None,
        other => panic!("unexpected {}", other.name()),
    });
    each.collect()
}

#[test]
fn a_segment_that_is_the_next_does_not_wait_for_the_frontier() {
    let mut bench = subscribed(2);
    assert_eq!(positions(&bench.sent(0, 10)), [10]);
    assert_eq!(positions(&bench.sent(1, 11)), [11]);
    assert_eq!(positions(&bench.sent(1, 13)), NONE, "12 may be of the other group");
    assert_eq!(positions(&bench.sent(0, 12)), [12, 13]);
    assert_eq!(bench.delivery.passed(), Some(Position(14)));
}

#[test]
fn the_order_tells_whom_a_segment_waits_for() {
    let mut bench = subscribed(3);
    // 10 and 11 are of no interest, or on their way.
    assert_eq!(positions(&bench.sent(2, 12)), NONE);
    bench.placed(10, 1, 0);
    bench.placed(11, 1, 2);
    bench.placed(12, 1, 2);
    assert_eq!(bench.delivery.waits_for(), Some((GroupId(0), Position(10))));
    assert_eq!(bench.delivery.waiting(), 1);
    assert_eq!(positions(&bench.gone_by(0, 11)), [12], "nothing of the third group stands before");
    assert_eq!(bench.delivery.waits_for(), None);
}

#[test]
fn messages_flow_past_a_group_that_is_gone() {
    let mut bench = subscribed(2);
    bench.down(1);
    for first in 10..20 {
        assert_eq!(positions(&bench.sent(0, first)), [first]);
        bench.placed(first, 1, 0);
    }
    // Where the tail only goes by, the order has to tell that the other group has nothing there.
    assert_eq!(positions(&bench.gone_by(0, 21)), NONE);
    assert_eq!(positions(&bench.sent(0, 21)), NONE);
    assert_eq!(positions(&bench.placed(20, 1, 0)), [21]);
    assert_eq!(asked(&bench.up(1)), [(1, Some(22))]);
}

#[test]
fn what_comes_after_a_segment_of_a_lost_group_waits_for_its_return() {
    let mut bench = subscribed(2);
    bench.sent(1, 10);
    bench.down(1);
    for (first, group) in [(10, 1), (11, 0), (12, 1), (13, 0), (14, 1), (15, 0)] {
        bench.placed(first, 1, group);
    }
    assert_eq!(positions(&bench.sent(0, 11)), [11]);
    assert_eq!(positions(&bench.sent(0, 13)), NONE);
    assert_eq!(positions(&bench.sent(0, 15)), NONE);
    assert_eq!(bench.delivery.waits_for(), Some((GroupId(1), Position(12))));
    // Its tail is asked for from where the merge stands: it has nothing between 10 and 12.
    assert_eq!(asked(&bench.up(1)), [(1, Some(12))]);
    bench.tail(1, 12);
    assert_eq!(positions(&bench.sent(1, 12)), [12, 13]);
    assert_eq!(positions(&bench.sent(1, 14)), [14, 15]);
    assert_eq!(positions(&bench.sent(1, 14)), NONE, "once");
}

/// What a live group sends while a dead one holds up the order does not fill the memory.
#[test]
fn what_waits_for_a_dead_group_is_bounded_and_comes_in_the_end() {
    let options = DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, [1, 1], 1),
        subscriptions: SubscriptionLimits { per_session_max: 4, ..SubscriptionLimits::UNBOUNDED },
        numbering: Numbering::Counted,
        waiting_bytes_max: 100,
    };
    let mut bench = Bench { delivery: Delivery::new(&options), now: at(0) };
    bench.up(0);
    bench.up(1);
    bench.tail(0, 10);
    bench.tail(1, 10);
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    bench.tail(0, 10);
    bench.tail(1, 10);
    bench.down(0);
    bench.placed(10, 1, 0);
    for position in 11..100 {
        bench.placed(position, 1, 1);
        assert_eq!(positions(&bench.sent(1, position)), NONE);
    }
    let waiting = bench.delivery.waiting();
    assert!((2..20).contains(&waiting), "{waiting} segments wait");
    let again = 11 + u64::try_from(waiting).expect("few");
    // It is followed again from where it was not taken on; what is too early is not taken either.
    bench.now = bench.delivery.timeout_at().expect("the patience ends");
    let from = Some(Position(again));
    let follow = Message::Read(ReadMessage::FollowTail { from, topics: vec![topic("t")] });
    assert_eq!(bench.step(Input::Timeout).sends, [(of(1), follow.clone())]);
    bench.tail(1, again);
    assert_eq!(positions(&bench.sent(1, again)), NONE);
    assert_eq!(bench.delivery.waiting(), waiting);
    // The dead group comes back, and all that waited goes.
    bench.up(0);
    bench.tail(0, 10);
    assert_eq!(positions(&bench.sent(0, 10)), (10..again).collect::<Vec<_>>());
    let is_followed = (0..20).any(|_| {
        bench.now = bench.delivery.timeout_at().expect("the patience ends");
        bench.step(Input::Timeout).sends.contains(&(of(1), follow.clone()))
    });
    assert!(is_followed);
    bench.tail(1, again);
    assert_eq!(positions(&bench.sent(1, again)), [again]);
}

/// A tail says nothing of segments without interest: the next one tells that it has gone by them.
#[test]
fn a_segment_that_finds_no_room_tells_that_its_tail_has_gone_by_what_is_before() {
    let options = DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, [1, 1], 1),
        subscriptions: SubscriptionLimits { per_session_max: 4, ..SubscriptionLimits::UNBOUNDED },
        numbering: Numbering::Counted,
        waiting_bytes_max: 1,
    };
    let mut bench = Bench { delivery: Delivery::new(&options), now: at(0) };
    for group in 0..2 {
        bench.up(group);
        bench.tail(group, 10);
    }
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    bench.tail(0, 10);
    bench.tail(1, 10);
    bench.placed(10, 1, 0);
    bench.placed(11, 1, 1);
    assert_eq!(positions(&bench.sent(1, 11)), NONE, "10 may be of interest");
    assert_eq!(positions(&bench.sent(0, 12)), [11, 12]);
    assert_eq!(positions(&bench.sent(0, 17)), NONE, "the other group may have more before");
    assert_eq!(positions(&bench.sent(1, 21)), [17]);
    // Where that makes no room, the tail begins there again.
    assert_eq!(positions(&bench.sent(1, 23)), NONE);
    bench.placed(13, 10, 0);
    let asked = std::iter::repeat_with(|| {
        bench.now = bench.delivery.timeout_at().expect("the patience ends");
        asked(&bench.step(Input::Timeout))
    });
    let moved = asked.take(10).find(|asked| !asked.is_empty());
    assert_eq!(moved, Some(vec![(1, Some(23))]));
}

#[test]
fn a_group_without_a_link_keeps_no_subscriber_waiting_and_misses_nothing() {
    let mut bench = bench(2);
    bench.up(0);
    bench.tail(0, 10);
    bench.placed(10, 5, 0);
    bench.subscribe(7, 1, "t");
    assert_eq!(asked(&bench.step(Input::Flush)), [(0, None)]);
    assert_eq!(words(&bench.tail(0, 15)), [(7, Word::Subscribed(1, 1))]);
    assert_eq!(positions(&bench.sent(0, 15)), [15]);
    bench.placed(15, 1, 0);
    bench.placed(16, 1, 1);
    bench.placed(17, 1, 0);
    assert_eq!(positions(&bench.sent(0, 17)), NONE, "16 was published after SUBSCRIBED");
    let fx = bench.up(1);
    let from = Some(Position(16));
    assert_eq!(
        fx.sends,
        [(of(1), Message::Read(ReadMessage::FollowTail { from, topics: vec![topic("t")] }))]
    );
    bench.tail(1, 16);
    assert_eq!(positions(&bench.sent(1, 16)), [16, 17]);
}

#[test]
fn a_group_that_comes_back_first_has_to_open_its_tail_for_the_next_subscriber() {
    let mut bench = subscribed(2);
    bench.down(1);
    bench.subscribe(8, 1, "u");
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 2, &["u"], &[])]);
    assert_eq!(words(&bench.changed(0, 2)), [(8, Word::Subscribed(1, 2))]);
    bench.up(1);
    bench.subscribe(9, 1, "u");
    assert!(bench.step(Input::Flush).outgoing.is_empty(), "the new tail may lack it yet");
    assert_eq!(words(&bench.tail(1, 10)), [(9, Word::Subscribed(1, 2))]);
}

#[test]
fn an_unsubscribe_leaves_a_subscribe_that_waits() {
    let mut bench = subscribed(2);
    bench.down(1);
    bench.subscribe(8, 1, "u");
    bench.step(Input::Flush);
    assert_eq!(words(&bench.changed(0, 2)), [(8, Word::Subscribed(1, 2))]);
    bench.up(1);
    assert!(bench.subscribe(8, 2, "u").outgoing.is_empty(), "the new tail may lack it yet");
    assert_eq!(words(&bench.unsubscribe(8, 3, 2)), [(8, Word::Unsubscribed(3))]);
    assert_eq!(words(&bench.tail(1, 10)), [(8, Word::Subscribed(2, 2))]);
    bench.step(Input::SessionClosed { session: SessionId(8) });
    assert_eq!(bench.delivery.subscriptions(), 1, "that of the other session");
}

#[test]
fn the_last_link_of_a_group_that_goes_keeps_nobody_waiting_for_its_answer() {
    let mut bench = subscribed(2);
    bench.subscribe(8, 1, "u");
    bench.step(Input::Flush);
    assert!(bench.changed(0, 2).outgoing.is_empty());
    assert_eq!(words(&bench.down(1)), [(8, Word::Subscribed(1, 2))]);
}

#[test]
fn until_a_tail_has_told_the_order_subscribed_waits() {
    let mut bench = bench(2);
    bench.subscribe(7, 1, "t");
    assert!(bench.step(Input::Flush).outgoing.is_empty());
    bench.up(1);
    assert_eq!(words(&bench.tail(1, 10)), [(7, Word::Subscribed(1, 1))]);
}

#[test]
fn while_every_group_is_gone_all_requests_are_answered_at_once_and_nothing_is_missed() {
    let mut bench = subscribed(2);
    bench.down(0);
    bench.down(1);
    assert_eq!(words(&bench.subscribe(8, 1, "t")), [(8, Word::Subscribed(1, 1))]);
    bench.subscribe(8, 2, "u");
    assert_eq!(words(&bench.step(Input::Flush)), [(8, Word::Subscribed(2, 2))]);
    assert_eq!(words(&bench.unsubscribe(8, 3, 1)), [(8, Word::Unsubscribed(3))]);
    let (session, join, subscriptions) = (SessionId(8), JoinId(1), vec![SubscriptionId(2)]);
    let fx = bench.step(Input::Join { session, join, subscriptions });
    assert_eq!(words(&fx), [(8, Word::Joined(1, 10))]);
    // They come back, and are asked for all that is wanted from where they stood.
    for group in 0..2 {
        assert_eq!(asked(&bench.up(group)), [(group, Some(10))]);
        bench.tail(group, 10);
    }
    let of_both = segment(10, &[("t", 0, b"[1]"), ("u", 0, b"[2]")]);
    let fx = bench.step(Input::Segment { from: of(1), segment: of_both });
    let events = || Word::Events(vec![(1, None), (2, None)]);
    assert_eq!(words(&fx), [(7, events()), (8, events())]);
}

#[test]
fn the_first_who_subscribes_while_every_group_is_gone_misses_nothing() {
    let mut bench = bench(1);
    bench.up(0);
    bench.tail(0, 10);
    bench.down(0);
    bench.placed(10, 2, 0);
    bench.subscribe(7, 1, "t");
    let fx = bench.step(Input::Flush);
    let [(_, Outgoing::Subscribed { live_from, .. })] = fx.outgoing.as_slice() else {
        panic!("{fx:?}");
    };
    assert_eq!(*live_from, Position(12));
    assert_eq!(asked(&bench.up(0)), [(0, Some(12))]);
    bench.tail(0, 12);
    assert_eq!(positions(&bench.sent(0, 12)), [12]);
}

#[test]
fn the_last_node_that_goes_keeps_nobody_waiting_for_its_answer() {
    let mut bench = subscribed(1);
    bench.subscribe(8, 1, "u");
    assert!(bench.step(Input::Flush).outgoing.is_empty(), "the tail has to carry it first");
    assert_eq!(words(&bench.down(0)), [(8, Word::Subscribed(1, 2))]);
    let mut bench = subscribed(1);
    bench.subscribe(8, 1, "u");
    assert!(bench.step(Input::Flush).outgoing.is_empty(), "the tail has to carry it first");
    let fx = bench.step(Input::NdbSilent { ndb: of(0), is_silent: true });
    assert_eq!(words(&fx), [(8, Word::Subscribed(1, 2))]);
}

#[test]
fn an_answer_to_an_earlier_question_tells_where_the_order_begins_as_well() {
    let mut bench = bench(1);
    bench.up(0);
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    assert!(bench.tail(0, 10).outgoing.is_empty(), "the tail is asked for anew");
    assert_eq!(words(&bench.down(0)), [(7, Word::Subscribed(1, 1))]);
    assert_eq!(asked(&bench.up(0)), [(0, Some(10))]);
}

#[test]
fn nothing_is_queued_without_interest() {
    let mut bench = subscribed(2);
    bench.sent(1, 11);
    bench.placed(10, 1, 0);
    assert_eq!(bench.delivery.waiting(), 1);
    bench.unsubscribe(7, 2, 1);
    bench.step(Input::Flush);
    // What is still on its way, and the order, leave nothing (D4 is checked at each step).
    bench.sent(1, 12);
    bench.placed(11, 4, 0);
    assert_eq!((bench.delivery.waiting(), bench.delivery.waits_for()), (0, None));
    // The next interest begins at the frontier, whatever the tails sent of the last one.
    bench.subscribe(7, 3, "t");
    bench.step(Input::Flush);
    assert_eq!(bench.delivery.passed(), Some(Position(15)));
    bench.tail(0, 13);
    bench.tail(1, 16);
    let fx = bench.sent(0, 14);
    assert_eq!((positions(&fx), fx.notes), (vec![], vec![Note::Repeated]));
    assert_eq!(positions(&bench.sent(1, 16)), NONE, "15 may be of the first group");
    assert_eq!(positions(&bench.sent(0, 15)), [15, 16]);
}

#[test]
fn a_segment_that_overlaps_a_delivered_one_is_dropped() {
    let mut bench = subscribed(2);
    bench.sent(1, 11);
    let two = &[("t", 0, &b"[1]"[..]), ("t", 0, b"[2]")];
    let fx = bench.step(Input::Segment { from: of(0), segment: segment(10, two) });
    assert_eq!(positions(&fx), [10, 11]);
    assert!(fx.notes.contains(&Note::Repeated));
}

#[test]
fn a_group_that_is_not_of_the_configuration_holds_nothing_back() {
    let mut bench = subscribed(2);
    bench.placed(10, 1, 5);
    bench.placed(11, 1, 0);
    assert_eq!(positions(&bench.sent(0, 11)), [11]);
}
