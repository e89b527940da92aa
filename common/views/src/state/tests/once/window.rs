//! How long marks are known.

use crate::state::once::Entered;

use super::*;

#[test]
fn a_mark_is_known_as_long_as_its_head_says_and_no_longer() {
    let mut desk = Desk::default();
    desk.once_at(1_000, &id("i"));
    assert_eq!(desk.once_at(11_000, &id("i")), again(11), "10 s later");
    assert_eq!(desk.once_at(11_001, &id("i")), ACCEPTED, "a new one");
    assert_eq!(desk.once_at(11_002, &id("i")), again(31));
    assert_eq!(desk.once_at(21_001, &id("i")), again(31), "not longer by being sent again");
    assert_eq!(desk.once_at(21_002, &id("i")), ACCEPTED);
}

#[test]
fn a_number_is_forgotten_after_the_window_and_the_last_one_is_not() {
    let mut desk = Desk::default();
    desk.once_at(1_000, &numbers("p", 1, &[0, 0]));
    desk.once_at(2_000, &number(3));
    assert_eq!(desk.once_at(11_000, &number(1)), again(11));
    assert_eq!(desk.once_at(11_001, &number(2)), said(Marked::Forgotten { from: 3 }));
    assert_eq!(desk.once_at(12_001, &number(3)), again(21));
    assert_eq!(desk.once_at(12_001, &number(2)), said(Marked::Forgotten { from: 3 }));
    let reused = said(Marked::Reused { of: Position(21) });
    assert_eq!(desk.once_at(12_001, &numbers("p", 3, &[9])), reused);
    assert_eq!(desk.once_at(12_001, &number(5)), said(Marked::Gap { expected: 4 }));
    assert_eq!(desk.once_at(30_000, &number(4)), ACCEPTED);
    assert_eq!(desk.once_at(30_000, &number(3)), said(Marked::Forgotten { from: 4 }));
    assert_eq!(desk.state.marks(), 1);
}

#[test]
fn a_producer_is_known_for_its_time_after_its_last_message() {
    let mut desk = Desk::default();
    desk.once_at(1_000, &number(1));
    assert_eq!(desk.once_at(61_000, &number(1)), again(11));
    let mut other = desk.clone();
    assert_eq!(desk.once_at(61_000, &number(2)), ACCEPTED);
    assert_eq!(desk.once_at(121_000, &number(3)), ACCEPTED);
    assert_eq!(other.once_at(61_001, &number(2)), said(Marked::UnknownProducer));
    assert_eq!((other.state.marks(), other.state.size()), (0, Size::default()));
    assert_eq!(other.once_at(61_001, &number(1)), ACCEPTED, "it begins anew");
}

#[test]
fn a_producer_is_known_as_long_as_its_window_also_where_that_is_longer() {
    let mut desk = Desk::default();
    let short = |nth| Once { producer_keep_ms: 0, ..number(nth) };
    desk.once_at(1_000, &short(1));
    assert_eq!(desk.once_at(11_000, &short(1)), again(11));
    assert_eq!(desk.once_at(11_001, &short(1)), ACCEPTED);
}

#[test]
fn a_window_has_so_many_marks_of_a_who_as_its_head_says() {
    let mut desk = Desk::default();
    let few = |name: &str| Once { keep_count: 2, ..id(name) };
    desk.once(&few("a"));
    desk.once(&few("b"));
    assert_eq!(desk.once(&few("a")), again(11), "what is known is not more");
    desk.once(&Once { who: "ann".to_owned(), ..few("c") });
    desk.say(&head_in("r", &few("c")));
    assert_eq!(desk.once(&few("a")), again(11), "nobody else pushes it out");
    desk.once(&few("c"));
    assert_eq!(desk.once(&few("b")), again(21));
    assert_eq!(desk.once(&few("a")), ACCEPTED);
    assert_eq!(desk.once(&few("b")), ACCEPTED);
    assert_eq!(desk.state.marks(), 4);
}

#[test]
fn producers_that_rest_are_so_many_as_a_window_has() {
    let mut desk = Desk::default();
    let few = |producer: &str, nth| Once { keep_count: 2, ..numbers(producer, nth, &[0]) };
    for producer in ["a", "b", "c", "d"] {
        assert_eq!(desk.once(&few(producer, 1)), ACCEPTED);
    }
    assert_eq!(desk.state.marks(), 4, "two in the window, two that rest");
    assert_eq!(desk.once(&few("a", 1)), again(11));
    assert_eq!(desk.once(&few("e", 1)), ACCEPTED);
    assert_eq!(desk.once(&few("a", 2)), said(Marked::UnknownProducer), "the first that rested");
    assert_eq!(desk.once(&few("b", 2)), ACCEPTED);
    assert_eq!(desk.once(&few("b", 1)), said(Marked::Forgotten { from: 2 }));
}

#[test]
fn a_head_narrows_the_window_of_its_who_and_brings_nothing_back() {
    let mut desk = Desk::default();
    let of = |name: &str, keep_ms| Once { keep_ms, ..id(name) };
    desk.once_at(1_000, &id("i"));
    desk.once_at(2_000, &id("j"));
    let narrow = desk.once_at(4_000, &Once { who: "ann".to_owned(), ..of("k", 1_000) });
    assert_eq!(narrow, ACCEPTED);
    assert_eq!(desk.once_at(4_000, &of("k", 2_500)), ACCEPTED);
    assert_eq!(desk.once_at(4_000, &id("j")), again(21));
    assert_eq!(desk.once_at(4_000, &id("i")), ACCEPTED);
    // What has left by what was said last has left, whatever this head says.
    desk.once_at(5_000, &of("l", 1_000));
    assert_eq!(desk.once_at(6_001, &of("l", 600_000)), ACCEPTED);
    let for_ever = Once { keep_ms: u64::MAX, producer_keep_ms: u64::MAX, ..id("m") };
    desk.once_at(6_002, &for_ever);
    desk.now = u64::MAX - 2_000;
    assert_eq!(desk.once(&for_ever), again(91));
}

#[test]
fn a_window_of_nothing_keeps_nothing() {
    let mut desk = Desk::default();
    let none = |once| Once { keep_count: 0, ..once };
    assert_eq!(desk.once(&none(id("i"))), ACCEPTED);
    assert_eq!(desk.once(&none(id("i"))), ACCEPTED);
    assert_eq!(desk.once(&none(number(1))), ACCEPTED);
    assert_eq!(desk.once(&none(number(2))), said(Marked::UnknownProducer));
    assert_eq!((desk.state.size(), desk.state.marks.sum()), (Size::default(), Sum::default()));
}

#[test]
fn the_order_s_time_ends_a_window_and_an_entry_s_clock_asks_the_order() {
    let mut desk = Desk::default();
    desk.once_at(1_000, &id("i"));
    desk.once_at(1_000, &number(1));
    let known =
        |desk: &Desk, once: &Once, at| desk.state.known(REALM, once, 0, WallTime(at)).is_some();
    assert!(known(&desk, &id("i"), 11_000));
    assert!(!known(&desk, &id("i"), 11_001), "a head goes into the order");
    let short = Once { keep_ms: 500, ..id("i") };
    assert!(known(&desk, &short, 1_500) && !known(&desk, &short, 1_501));
    assert!(known(&desk, &number(1), 61_000) && !known(&desk, &number(1), 61_001));
    // The clock of an entry that is behind is no matter.
    desk.once_at(11_001, &number(2));
    assert!(!known(&desk, &id("i"), 0) && !known(&desk, &number(1), 0));
}

#[test]
fn marks_of_those_who_do_not_come_back_go_with_any_message() {
    let mut desk = Desk::default();
    let put = |desk: &mut Desk, now: u64| {
        desk.now = now - 1_000;
        desk.put("k", "[1]");
    };
    for nth in 0..100 {
        desk.once_at(1_000, &Once { who: nth.to_string(), ..id("i") });
    }
    desk.now = 0;
    desk.say(&head_in("r", &number(1)));
    put(&mut desk, 11_000);
    assert_eq!(desk.state.marks(), 101, "known as long as said");
    put(&mut desk, 11_001);
    assert_eq!(desk.state.marks(), 101 - 64, "so many at once");
    put(&mut desk, 11_001);
    put(&mut desk, 20_000);
    assert_eq!((desk.state.marks(), desk.state.marks_of("r")), (1, 1), "the last number stays");
    put(&mut desk, 61_000);
    assert_eq!(desk.state.marks(), 1);
    put(&mut desk, 61_001);
    assert_eq!(desk.state.marks(), 0);
    assert_eq!(desk.state.marks.sum(), Sum::default(), "nothing is left of them");
    desk.say(&Message::delete("k", Head::of_parts(1)));
    assert_eq!(desk.state.size(), Size::default());
}

#[test]
fn a_head_of_many_takes_out_twice_as_many() {
    let mut desk = Desk::default();
    for nth in 0..300 {
        desk.once_at(1_000, &Once { who: nth.to_string(), ..id("i") });
    }
    desk.once_at(20_000, &numbers("p", 1, &[0; 90]));
    assert_eq!(desk.state.marks(), 300 - 64 + 90 - 180);
}

/// What waits, as it is kept: its own step says when a head does.
fn waiting(desk: &mut Desk, once: &Once) -> Position {
    desk.position += 10;
    desk.now += 1_000;
    desk.state.position = Position(desk.position);
    desk.state.time = WallTime(desk.now);
    let (by, at) = (desk.state.position, desk.state.time);
    assert_eq!(desk.state.marked(REALM, Some(once)), None);
    desk.state.marks.keep(REALM, once, Entered { of: by, by, at }, Was::Waits);
    desk.state.check();
    by
}

#[test]
fn what_waits_is_known_until_it_is_decided_and_a_window_longer() {
    let mut desk = Desk::default();
    let few = |name: &str| Once { keep_count: 2, ..id(name) };
    let waiter = waiting(&mut desk, &few("w"));
    let waits = duplicate(10, Was::Waits);
    assert_eq!(desk.once(&few("w")), waits);
    let known = desk.known(&few("w"));
    assert_eq!(known, Some(Marked::Duplicate { of: waiter, was: Was::Waits }));
    assert!(known.is_some_and(|marked| !marked.is_decided()), "the order is to be asked");
    for name in ["a", "b", "c"] {
        desk.once(&few(name));
    }
    assert_eq!(desk.once_at(3_600_000, &few("w")), waits, "not for its age, nor pushed out");
    desk.state.settle_mark(waiter, Was::Won { at: Position(60) });
    desk.state.check();
    let won = duplicate(10, Was::Won { at: Position(60) });
    assert_eq!(desk.once_at(3_610_000, &few("w")), won);
    assert_eq!(desk.once_at(3_610_001, &few("w")), ACCEPTED, "10 s after it was decided");
}

#[test]
fn what_waits_leaves_its_window_in_the_order_of_decisions() {
    let mut desk = Desk::default();
    let few = |name: &str| Once { keep_count: 2, ..id(name) };
    let waiters = ["v", "w"].map(|name| waiting(&mut desk, &few(name)));
    desk.once(&few("a"));
    desk.put("k", "[1]");
    // Both by one message, as when their holder is over.
    for waiter in waiters {
        desk.state.settle_mark(waiter, Was::Left);
    }
    desk.state.settle_mark(waiters[0], Was::Waits);
    desk.state.settle_mark(Position(7), Was::Left);
    desk.state.check();
    assert_eq!(desk.once(&few("v")), duplicate(10, Was::Left), "decided once");
    assert_eq!(desk.once(&few("w")), duplicate(20, Was::Left));
    assert_eq!(desk.once(&few("a")), ACCEPTED, "pushed out by what was decided behind it");
    assert_eq!(desk.once(&few("v")), ACCEPTED);
    assert!(Was::Left.is_decided() && !Was::Waits.is_decided());
}
