//! Entries that are gone, or were called so.

use super::*;

/// N2.
#[test]
fn all_of_an_entry_that_is_gone_have_left_once() {
    let mut pair = Pair::listening(&[1]);
    pair.subscribe(5, 1);
    pair.settle();
    pair.a.heard();
    pair.cut();
    assert_eq!(pair.a.heard(), [""; 0], "it lives");
    pair.gone(true);
    assert_eq!(pair.a.heard(), ["unsubscribed 5 by 1", "deleted 5 by 1", "left 1"]);
    assert_eq!(pair.a.heard(), [""; 0]);
}

/// A clean stop wrote GONE first, and each session of it left, joined and left again.
#[test]
fn an_entry_that_is_heard_is_believed_whatever_the_order_says_of_it() {
    let mut pair = Pair::listening(&[1, 2]);
    pair.gone(true);
    assert_eq!(pair.a.heard(), [""; 0]);
    pair.leave(1);
    pair.join(3);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1", "joined 3"]);
    // The others, as it stops.
    pair.cut();
    assert_eq!(pair.a.heard(), ["left 2", "left 3"]);
}

/// It stood still for so long that the order has called it gone, and its link and its sessions are still there.
#[test]
fn an_entry_that_was_called_gone_and_goes_on_says_who_is_there() {
    let mut pair = Pair::listening(&[1]);
    pair.silent(true);
    assert_eq!(pair.a.heard(), [""; 0], "it lives");
    pair.gone(true);
    assert_eq!(pair.a.heard(), ["left 1"]);
    // Whatever it had said before it stood still.
    pair.silent(false);
    pair.leave(1);
    pair.settle();
    assert_eq!(pair.a.heard(), [""; 0]);
    pair.join(2);
    pair.settle();
    assert_eq!(pair.a.heard(), ["joined 2"]);
    pair.silent(true);
    pair.silent(false);
    pair.settle();
    assert_eq!(pair.a.heard(), [""; 0], "nothing was told meanwhile");
}

#[test]
fn the_sessions_of_an_entry_that_was_called_gone_on_a_silent_link_join_again() {
    let mut pair = Pair::listening(&[1]);
    pair.gone(true);
    pair.silent(true);
    assert_eq!(pair.a.heard(), ["left 1"]);
    pair.silent(false);
    pair.settle();
    assert_eq!(pair.a.heard(), ["joined 1"]);
}

/// They never joined again, and left twice.
#[test]
fn the_sessions_of_an_entry_that_was_called_gone_and_has_a_new_link_join_again() {
    let mut pair = Pair::listening(&[1]);
    pair.cut();
    pair.gone(true);
    assert_eq!(pair.a.heard(), ["left 1"]);
    pair.gone(false);
    pair.link();
    pair.settle();
    assert_eq!(pair.a.heard(), ["joined 1"]);
    pair.leave(1);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1"]);
    // Of a realm in which somebody listens since, what is there is not told.
    pair.join(2);
    pair.settle();
    pair.cut();
    pair.a.hears(&[]);
    pair.gone(true);
    pair.a.heard();
    pair.a.hears(&["r"]);
    pair.gone(false);
    pair.link();
    pair.settle();
    assert_eq!(pair.a.heard(), [""; 0]);
}

/// Nothing was said of those who had come before the link.
#[test]
fn who_comes_to_an_entry_that_begins_while_somebody_listens_is_told_of() {
    let told = |begins_first: bool| {
        let mut pair = Pair::default();
        if begins_first {
            pair.a.step(Input::Began { owner: B });
        }
        pair.a.hears(&["r"]);
        if !begins_first {
            pair.a.step(Input::Began { owner: B });
        }
        pair.join(1);
        pair.link();
        pair.settle();
        pair.a.heard()
    };
    assert_eq!(told(false), ["joined 1"]);
    assert_eq!(told(true), [""; 0], "it may have come before somebody listened");
}

/// Their ends were told, and nobody had heard that they were there.
#[test]
fn who_is_in_a_list_that_comes_before_the_order_has_said_that_its_entry_begins_joins_then() {
    let mut pair = Pair::default();
    pair.a.hears(&["r"]);
    for id in [1, 2, 3] {
        pair.join(id);
        pair.subscribe(5, id);
    }
    pair.link();
    pair.settle();
    assert_eq!(pair.a.heard(), [""; 0], "they may have come before somebody listened");
    pair.join(4);
    pair.leave(3);
    pair.unsubscribe(5, 3);
    pair.settle();
    pair.a.heard.clear();
    for _again in 0..2 {
        pair.a.step(Input::Began { owner: B });
    }
    let sessions = ["joined 1", "joined 2"];
    let subscribed = ["created 5 by 1", "subscribed 5 by 1", "subscribed 5 by 2"];
    assert_eq!(pair.a.heard(), [&sessions[..], &subscribed].concat());
    pair.unsubscribe(5, 1);
    pair.leave(1);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1", "unsubscribed 5 by 1"]);
}

/// The order says so while its list is under way.
#[test]
fn the_rest_of_a_list_is_news_as_well_once_its_entry_has_begun() {
    let mut pair = Pair::linked();
    pair.a.hears(&["r"]);
    let link = Link { peer: B, number: 1 };
    let list = |part, sessions: &[u64]| {
        let are = sessions.iter().map(|id| session(*id)).collect();
        let (realm, over) = ("r".into(), Vec::new());
        Input::Heard { link, message: CallMessage::SessionsAre { realm, part, are, over } }
    };
    pair.a.step(list(MetaPart::First, &[1]));
    pair.a.step(Input::Began { owner: B });
    pair.a.step(list(MetaPart::More, &[2]));
    pair.a.step(list(MetaPart::Last, &[]));
    assert_eq!(pair.a.heard(), ["joined 1", "joined 2"]);
}

/// Thousands left at once, and listeners have no room for as many events.
#[test]
fn those_of_a_dead_entry_leave_some_at_a_time() {
    let mut pair = Pair::listening(&(1..=1000).collect::<Vec<_>>());
    pair.cut();
    pair.gone(true);
    pair.a.tell(300);
    assert_eq!((pair.a.heard.len(), pair.a.has_untold()), (300, true));
    pair.a.tell(300);
    assert_eq!((pair.a.heard.len(), pair.a.has_untold()), (600, true));
    // It is there again, and those who were not told of are.
    pair.gone(false);
    assert!(!pair.a.has_untold());
    pair.link();
    pair.b.has.sessions.remove(&700);
    pair.settle();
    pair.a.heard.clear();
    pair.a.tell(100);
    assert_eq!((pair.a.heard.len(), pair.a.has_untold()), (100, true), "lists do not burst either");
    let told = pair.a.heard();
    assert_eq!((told.len(), &*told[0], &*told[1]), (601, "left 700", "joined 1"));
}
