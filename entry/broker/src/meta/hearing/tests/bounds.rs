//! What is said and known has bounds.

use super::*;

#[test]
fn many_changes_of_one_turn_are_no_message_that_is_too_long() {
    let mut pair = Pair::linked();
    pair.a.hears(&["r"]);
    pair.settle();
    (1..=1000).for_each(|id| pair.join(id));
    pair.b.flush(LARGE);
    let items = |message: &CallMessage| match message {
        CallMessage::SessionsAre { are, over, .. } => are.len() + over.len(),
        other => panic!("{other:?}"),
    };
    let items: Vec<_> = pair.b.sends.iter().map(|(_, message)| items(message)).collect();
    assert_eq!(items, [256, 256, 256, 232]);
    pair.settle();
    assert_eq!(pair.a.heard().len(), 1000);
}

#[test]
fn what_is_heard_of_others_is_of_realms_that_are_heard_here_and_bounded() {
    let mut pair = Pair::linked();
    pair.a.hears(&["r"]);
    pair.settle();
    let link = Link { peer: B, number: 1 };
    let are = |realm: &str, sessions: std::ops::Range<u64>| {
        let (realm, part) = (realm.into(), MetaPart::Change);
        let message = CallMessage::SessionsAre {
            realm,
            part,
            are: sessions.map(session).collect(),
            over: Vec::new(),
        };
        Input::Heard { link, message }
    };
    pair.a.step(are("s", 1..3));
    assert_eq!(pair.a.heard(), [""; 0], "N1");
    // Of a link before.
    let Input::Heard { message, .. } = are("r", 1..3) else { unreachable!() };
    pair.a.step(Input::Heard { link: Link { number: 0, ..link }, message });
    assert_eq!(pair.a.heard(), [""; 0]);
    // N3: realms.
    for n in 0..REALMS_MAX {
        let message = hear(&format!("r{n}").into(), true);
        assert!(pair.a.step(Input::Heard { link, message }).misfits.is_empty());
    }
    let message = hear(&"one-more".into(), true);
    assert_eq!(pair.a.step(Input::Heard { link, message }).misfits, [link]);
    // Again is no more.
    let message = hear(&"r0".into(), true);
    assert!(pair.a.step(Input::Heard { link, message }).misfits.is_empty());
}

/// A list that never ended kept all that it had named, and texts were not counted.
#[test]
fn what_is_known_of_an_entry_is_bounded_in_bytes_and_names_of_lists_are_of_what_is_known() {
    let mut pair = Pair::listening(&[]);
    let link = Link { peer: B, number: 1 };
    let long: Arc<str> = "a".repeat(16 << 10).into();
    let list = |part, sessions: std::ops::Range<u64>| {
        let session = |id| MetaSession { authid: Arc::clone(&long), ..session(id) };
        let (realm, over) = ("r".into(), Vec::new());
        let are = sessions.map(session).collect();
        Input::Heard { link, message: CallMessage::SessionsAre { realm, part, are, over } }
    };
    let fits = (KNOWN_BYTES_MAX / (16 << 10)) as u64;
    let left_out = pair.a.step(list(MetaPart::First, 1..fits + 1)).left_out as u64;
    assert!((1..fits / 10).contains(&left_out), "{left_out}");
    // Again and again: the same ones, and others.
    for begin in [1, fits, 2 * fits] {
        pair.a.step(list(MetaPart::More, begin..begin + fits));
    }
    let known = &pair.a.hearing.peers[&B];
    assert!(known.bytes <= KNOWN_BYTES_MAX);
    assert_eq!(known.knows["r"].named_by_lists(), usize::try_from(fits - left_out).expect("few"));
    // What has left makes room.
    let (realm, part, are) = ("r".into(), MetaPart::Change, Vec::new());
    let over = (1..=fits).collect();
    pair.a
        .step(Input::Heard { link, message: CallMessage::SessionsAre { realm, part, are, over } });
    assert_eq!(pair.a.hearing.peers[&B].bytes, 0);
    assert_eq!(pair.a.step(list(MetaPart::Change, 1..2)).left_out, 0);
    // Patterns count once each, and their holders as well.
    let holders = |count: u64| {
        let of = MetaSubscription { uri: Arc::clone(&long), ..subscription(5) };
        let are = vec![MetaHolders { of, sessions: (1..=count).collect() }];
        let (realm, part, over) = ("r".into(), MetaPart::Change, Vec::new());
        Input::Heard { link, message: CallMessage::SubscriptionsAre { realm, part, are, over } }
    };
    let before = pair.a.hearing.peers[&B].bytes;
    pair.a.step(holders(1));
    let one = pair.a.hearing.peers[&B].bytes - before;
    pair.a.step(holders(3));
    let two_more = pair.a.hearing.peers[&B].bytes - before - one;
    assert!(one > 16 << 10 && two_more > 0 && two_more < 1 << 10, "{one} {two_more}");
}

/// One that cannot be said took with it all that was to be said beside it.
#[test]
fn a_topic_that_nobody_takes_is_left_out_alone() {
    let mut pair = Pair::listening(&[]);
    let long = TopicPattern::new("r", &"a".repeat((64 << 10) + 1), Match::Exact);
    let (session, subscription) = (SessionId(1), SubscriptionId(4));
    for pattern in [long, TopicPattern::new("r", "wamp.session.on_join", Match::Exact)] {
        let changes = [
            Change::Subscribed { session, subscription, pattern: pattern.clone() },
            Change::Unsubscribed { session, subscription, pattern },
        ];
        for change in changes {
            pair.b.step(Input::Changed { created: WallTime(7), change });
        }
    }
    assert!(!pair.b.hearing.is_behind());
    pair.subscribe(5, 1);
    pair.settle();
    assert_eq!(pair.a.heard(), ["created 5 by 1", "subscribed 5 by 1"]);
}

/// 256 subscriptions, whatever their topics: the link ended by it, and the next one.
#[test]
fn no_part_of_a_list_is_larger_than_the_room_for_it() {
    let room = 1 << 20;
    let mut pair = Pair::linked();
    pair.b.has.long.extend(1..=100);
    pair.b.has.holders.extend((1..=100).map(|id| (id, 1)));
    pair.a.hears(&["r"]);
    // What is listed then is told.
    pair.a.step(Input::Began { owner: B });
    pair.ask();
    let mut parts = 0;
    while pair.b.hearing.is_behind() {
        pair.b.flush(room);
        let bytes = |message: &CallMessage| 128 + message.heap_bytes();
        let bytes = pair.b.sends.iter().map(|(_, message)| bytes(message)).sum::<usize>();
        assert!((1..=room).contains(&bytes), "{bytes}");
        parts += 1;
        for (link, message) in std::mem::take(&mut pair.b.sends) {
            pair.a.step(Input::Heard { link: Link { peer: B, ..link }, message });
        }
    }
    assert!((7..10).contains(&parts), "{parts}");
    assert_eq!(pair.a.heard.len(), 0);
    assert_eq!(pair.a.heard().len(), 200);
}

/// An item may be larger than all the room that there ever is.
#[test]
fn a_list_goes_on_where_there_is_room_for_less_than_one_item() {
    let mut pair = Pair::linked();
    pair.b.has.long.extend(1..=3);
    pair.b.has.holders.extend((1..=3).map(|id| (id, 1)));
    pair.a.hears(&["r"]);
    pair.ask();
    let mut sent = Vec::new();
    while pair.b.hearing.is_behind() {
        pair.b.flush_from(8 << 10, 16 << 10);
        assert!(!pair.b.sends.is_empty(), "it never ends");
        sent.extend(pair.b.sends.drain(..).filter_map(|(_, message)| match message {
            CallMessage::SubscriptionsAre { are, .. } => Some(are.len()),
            _ => None,
        }));
    }
    assert_eq!(sent, [1, 1, 1, 0]);
    // What waits for a link may be less than 64 KiB.
    pair.a.hears(&[]);
    pair.settle();
    pair.a.hears(&["r"]);
    pair.ask();
    pair.b.flush_from(8 << 10, (8 << 10) - 1);
    assert!(pair.b.sends.is_empty() && pair.b.hearing.is_behind());
}

/// All that was to be said beside them was not said.
#[test]
fn sessions_and_subscriptions_that_nobody_takes_are_left_out_of_lists_and_changes_alone() {
    let mut pair = Pair::linked();
    pair.b.has.too_long.extend([2, 5]);
    pair.a.hears(&["r"]);
    // What is listed then is told.
    pair.a.step(Input::Began { owner: B });
    for id in [1, 2, 3] {
        pair.join(id);
        pair.b.has.holders.insert((3 + id, 1));
    }
    pair.settle();
    let sessions = ["joined 1", "joined 3"];
    let subscriptions =
        ["created 4 by 1", "subscribed 4 by 1", "created 6 by 1", "subscribed 6 by 1"];
    assert_eq!(pair.a.heard(), [&sessions[..], &subscriptions].concat());
    pair.b.has.too_long.insert(8);
    for id in [7, 8, 9] {
        pair.join(id);
    }
    pair.settle();
    assert_eq!(pair.a.heard(), ["joined 7", "joined 9"]);
}

/// Those of names late in the alphabet were told of when there was nothing to tell of the others.
#[test]
fn all_realms_get_their_turn_where_there_is_room_for_one_part_at_a_time() {
    let mut pair = Pair::linked();
    pair.b.has.sessions.extend(1..=2000);
    pair.a.hears(&["a", "b", "c"]);
    pair.ask();
    let mut served = Vec::new();
    for _turn in 0..6 {
        pair.b.flush(65 << 10);
        served.extend(pair.b.sends.drain(..).map(|(_, message)| match message {
            CallMessage::SessionsAre { realm, .. } => realm.to_string(),
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(served, ["a", "b", "c", "a", "b", "c"]);
}

/// Each process that was ever linked would be remembered.
#[test]
fn so_many_entries_are_remembered_that_have_no_link() {
    let mut side = Side::default();
    side.hears(&["r"]);
    let link = |n: usize| Link { peer: OwnerId(uuid::Uuid::from_u128(n as u128)), number: 1 };
    for n in 1..=UNLINKED_MAX + 2 {
        let link = link(n);
        side.step(Input::LinkUp { link });
        let (realm, part) = ("r".into(), MetaPart::Change);
        let (are, over) = (vec![session(n as u64)], Vec::new());
        let message = CallMessage::SessionsAre { realm, part, are, over };
        side.step(Input::Heard { link, message });
        side.step(Input::LinkDown { link });
        if n == 1 {
            // One that is linked is not one of them.
            side.step(Input::LinkUp { link });
        }
    }
    side.step(Input::Began { owner: B });
    assert_eq!(side.hearing.peers.len(), UNLINKED_MAX + 1);
    let left: Vec<_> = side.heard().into_iter().filter(|told| told.starts_with("left")).collect();
    assert_eq!(left, ["left 2"], "of the one that has begun nothing is known");
}

/// Thousands of an entry that lives left in one turn, as others of whom nothing is known came and went.
#[test]
fn entries_of_which_nothing_is_known_are_forgotten_before_those_that_have_sessions() {
    let mut pair = Pair::listening(&[1]);
    pair.cut();
    for n in 0..2 * UNLINKED_MAX {
        let link = Link { peer: OwnerId(uuid::Uuid::from_u128(100 + n as u128)), number: 1 };
        pair.a.step(Input::LinkUp { link });
        pair.a.step(Input::LinkDown { link });
    }
    assert_eq!(pair.a.hearing.peers.len(), UNLINKED_MAX);
    assert_eq!(pair.a.heard(), [""; 0]);
    pair.leave(1);
    pair.link();
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1"]);
}

/// The first by name were heard: whoever came with such a name put an end to what others heard.
#[test]
fn realms_that_are_heard_stay_and_new_ones_wait_for_their_place() {
    let mut side = Side::default();
    let link = Link { peer: B, number: 1 };
    side.step(Input::LinkUp { link });
    let names: Vec<_> = (0..REALMS_MAX).map(|n| format!("r{n:04}")).collect();
    let mut realms: Vec<_> = names.iter().map(String::as_str).collect();
    side.hears(&realms);
    assert_eq!((side.sends.len(), side.hearing.realms_left_out()), (REALMS_MAX, 0));
    side.sends.clear();
    realms.extend(["a", "b"]);
    side.hears(&realms);
    assert_eq!((side.sends.len(), side.hearing.realms_left_out()), (0, 2));
    // One place is free.
    realms.swap_remove(7);
    side.hears(&realms);
    let told: Vec<_> = side.sends.drain(..).map(|(_, message)| message).collect();
    assert_eq!(told, [hear(&"r0007".into(), false), hear(&"a".into(), true)]);
    assert_eq!(side.hearing.realms_left_out(), 1);
    side.hears(&[]);
    assert_eq!((side.sends.len(), side.hearing.realms_left_out()), (REALMS_MAX, 0));
}
