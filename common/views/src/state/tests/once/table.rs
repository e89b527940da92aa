//! Rows 1 and 2 of the table of verdicts, and what is kept.

use super::*;

#[test]
fn a_message_that_is_sent_again_is_told_where_it_is() {
    let mut desk = Desk::default();
    assert_eq!(desk.once(&id("i")), ACCEPTED);
    assert_eq!(desk.once(&id("i")), again(11), "the message behind the head");
    assert_eq!(desk.once(&id("j")), ACCEPTED);
    assert_eq!(desk.once(&id("i")), again(11));
    assert_eq!((desk.state.marks(), desk.state.records()), (2, 4));
    assert!(!desk.state.is_open(), "what follows is of the realm");
}

#[test]
fn a_write_that_is_sent_again_is_made_once() {
    let mut desk = Desk::default();
    let put = |payload| Message::put("k", marked(Head::of_parts(1), &id("i")), payload);
    assert_eq!(desk.say(&put("[1]")), ACCEPTED);
    desk.put("k", "[2]");
    assert_eq!(desk.say(&put("[1]")), again(10), "its head");
    assert_eq!(desk.get("k"), there(20, "[2]"));
    let delete = Message::delete("k", marked(Head::of_parts(1), &id("d")));
    assert_eq!(desk.say(&delete), ACCEPTED);
    desk.put("k", "[3]");
    assert_eq!(desk.say(&delete), again(40));
    assert_eq!(desk.get("k"), there(50, "[3]"));
}

#[test]
fn none_of_several_keys_is_made_again() {
    let mut desk = Desk::default();
    let head = Message::put("a", marked(Head::of_parts(2), &id("i")), "[1]");
    assert_eq!(desk.say(&head), ACCEPTED);
    assert_eq!(desk.say_next(&Message::member("b", 1, "[2]")), made(10));
    desk.say(&Message::delete("b", Head::of_parts(1)));
    assert_eq!(desk.say(&head), again(10));
    assert!(desk.state.is_open());
    let unmade = Outcome::Member { head: Position(31), is_made: false };
    assert_eq!(desk.say_next(&Message::member("b", 1, "[2]")), unmade);
    assert_eq!((desk.get("a"), desk.get("b")), (there(10, "[1]"), None));
}

#[test]
fn another_message_under_the_same_name_is_told_so() {
    let mut desk = Desk::default();
    let other = |once: Once| Once { digests: vec![[9; 8]], ..once };
    desk.once(&id("i"));
    let reused = |of| said(Marked::Reused { of: Position(of) });
    assert_eq!(desk.once(&other(id("i"))), reused(11));
    assert_eq!(desk.once(&id("i")), again(11), "it is as it was");
    desk.once(&number(1));
    assert_eq!(desk.once(&other(number(1))), reused(41));
    assert_eq!(desk.once(&number(1)), again(41));
}

#[test]
fn what_is_known_is_not_refused_because_of_itself() {
    let mut desk = Desk::default();
    let put = Message::put("k", marked(when(Condition::Absent), &id("i")), "[1]");
    assert_eq!(desk.say(&put), ACCEPTED);
    assert_eq!(desk.say(&put), again(10));
}

#[test]
fn a_refusal_is_kept_and_told_again() {
    let mut desk = Desk::default();
    desk.put("k", "[1]");
    let put = Message::put("k", marked(when(Condition::Absent), &id("i")), "[2]");
    assert_eq!(desk.say(&put), refused(0, found(10)));
    desk.say(&Message::delete("k", Head::of_parts(1)));
    let was = Was::Refused(Refusal::Condition { at: 0, found: found(10) });
    assert_eq!(desk.say(&put), duplicate(20, was));
    assert_eq!(desk.get("k"), None, "its condition would hold now");
}

#[test]
fn numbers_are_accepted_one_after_the_other() {
    let mut desk = Desk::default();
    assert_eq!(desk.once(&number(1)), ACCEPTED);
    assert_eq!(desk.once(&number(3)), said(Marked::Gap { expected: 2 }));
    assert_eq!(desk.once(&number(2)), ACCEPTED);
    assert_eq!(desk.once(&number(1)), again(11));
    assert_eq!(desk.once(&number(2)), again(31));
    assert_eq!(desk.once(&number(3)), ACCEPTED, "nothing was kept of the gap");
    assert_eq!(desk.once(&number(5)), said(Marked::Gap { expected: 4 }));
    assert_eq!(desk.once(&number(u64::MAX)), said(Marked::Gap { expected: 4 }));
    assert_eq!(desk.state.marks(), 3);
}

#[test]
fn a_producer_that_is_not_known_begins_with_1() {
    let mut desk = Desk::default();
    assert_eq!(desk.once(&number(2)), said(Marked::UnknownProducer));
    assert_eq!(desk.once(&numbers("p", u64::MAX, &[0, 0])), said(Marked::UnknownProducer));
    assert_eq!((desk.state.marks(), desk.state.size()), (0, Size::default()), "nothing is kept");
    assert_eq!(desk.once(&number(1)), ACCEPTED);
    assert_eq!(desk.once(&numbers("q", 2, &[0])), said(Marked::UnknownProducer));
    assert_eq!(desk.once(&number(2)), ACCEPTED);
}

#[test]
fn a_number_counts_whatever_became_of_it() {
    let mut desk = Desk::default();
    desk.put("k", "[1]");
    let put = |nth| Message::put("k", marked(when(Condition::Absent), &number(nth)), "[2]");
    assert_eq!(desk.say(&put(1)), refused(0, found(10)));
    assert_eq!(desk.once(&number(2)), ACCEPTED, "keys and plain messages have one row");
    let was = Was::Refused(Refusal::Condition { at: 0, found: found(10) });
    assert_eq!(desk.say(&put(1)), duplicate(20, was));
    assert_eq!(desk.say(&put(4)), said(Marked::Gap { expected: 3 }));
}

#[test]
fn a_head_of_several_numbers_is_accepted_whole_from_the_next_one_on() {
    let mut desk = Desk::default();
    assert_eq!(desk.once(&numbers("p", 1, &[1, 2, 3])), ACCEPTED);
    assert_eq!(desk.once(&numbers("p", 5, &[5, 6])), said(Marked::Gap { expected: 4 }));
    assert_eq!(desk.once(&numbers("p", 4, &[4, 5])), ACCEPTED);
    assert_eq!(desk.state.marks(), 5);
    assert_eq!(desk.once(&numbers("p", 5, &[5])), again(32));
    assert_eq!(desk.once(&numbers("p", 6, &[6])), ACCEPTED);
    assert_eq!(desk.once(&numbers("q", 2, &[0, 0])), said(Marked::UnknownProducer));
}

#[test]
fn numbers_that_are_all_known_are_answered_each_for_itself() {
    let mut desk = Desk::default();
    desk.once(&numbers("p", 1, &[1, 2, 3]));
    desk.once(&numbers("p", 4, &[4, 5]));
    let cut = numbers("p", 2, &[2, 3, 4, 5]);
    assert_eq!(desk.once(&cut), again(12), "the first of them");
    let known = |once: &Once, nth| desk.state.known(REALM, once, nth, WallTime(0));
    let of =
        [12, 13, 21, 22].map(|of| Some(Marked::Duplicate { of: Position(of), was: Was::Accepted }));
    assert_eq!([0, 1, 2, 3].map(|nth| known(&cut, nth)), of);
    assert_eq!(known(&cut, 4), None);
    let other = numbers("p", 2, &[2, 3, 9, 9]);
    let reused = Marked::Reused { of: Position(21) };
    assert_eq!([1, 2].map(|nth| known(&other, nth)), [of[1], Some(reused)]);
    assert_eq!(desk.once(&other), said(reused), "the first that is another");
}

#[test]
fn numbers_of_which_some_are_known_overlap() {
    let mut desk = Desk::default();
    desk.once(&numbers("p", 1, &[1, 2, 3]));
    assert_eq!(desk.once(&numbers("p", 2, &[2, 3, 4])), said(Marked::Overlaps { next: 4 }));
    assert_eq!(desk.once(&numbers("p", 1, &[1, 2, 3, 4])), said(Marked::Overlaps { next: 4 }));
    assert_eq!(desk.state.marks(), 3);
    assert_eq!(desk.once(&numbers("p", 4, &[4])), ACCEPTED, "what is left of it");
}

#[test]
fn numbers_below_what_is_kept_are_forgotten() {
    let mut desk = Desk::default();
    let few = |first, digests: &[u8]| Once { keep_count: 2, ..numbers("p", first, digests) };
    desk.once(&few(1, &[1, 2, 3, 4]));
    let forgotten = said(Marked::Forgotten { from: 3 });
    assert_eq!(desk.once(&few(1, &[1])), forgotten);
    assert_eq!(desk.once(&few(2, &[2])), forgotten);
    assert_eq!(desk.once(&few(2, &[2, 3])), forgotten, "some of them");
    assert_eq!(desk.once(&few(3, &[3, 4])), again(13));
    assert_eq!(desk.once(&few(1, &[1, 2, 3, 4, 5])), said(Marked::Overlaps { next: 5 }));
    assert_eq!(desk.once(&few(5, &[5])), ACCEPTED);
    assert_eq!(desk.once(&few(3, &[3])), said(Marked::Forgotten { from: 4 }));
}

#[test]
fn names_are_of_a_realm_and_of_a_who() {
    let mut desk = Desk::default();
    let ann = |once| Once { who: "ann".to_owned(), ..once };
    let nobody = |once| Once { who: String::new(), ..once };
    assert_eq!(desk.once(&id("p")), ACCEPTED);
    assert_eq!(desk.once(&number(1)), ACCEPTED, "a producer is no id");
    assert_eq!(desk.once(&ann(id("p"))), ACCEPTED);
    assert_eq!(desk.once(&ann(number(2))), said(Marked::UnknownProducer));
    assert_eq!(desk.once(&nobody(id("p"))), ACCEPTED, "of all who have no name");
    assert_eq!(desk.once(&nobody(id("p"))), again(51));
    assert_eq!(desk.say(&head_in("r", &id("p"))), ACCEPTED);
    assert_eq!(desk.once(&id("p")), again(11));
    assert_eq!((desk.state.marks_of(REALM), desk.state.marks_of("r")), (4, 1));
    assert_eq!(desk.state.marks_of("none"), 0);
}

#[test]
fn heads_stand_in_topics_of_their_own() {
    let mut desk = Desk::default();
    let misplaced = Outcome::PassedOver(Unread::Misplaced);
    let at = |topic: &str, message: Message| Message { topic: topic.to_owned(), ..message };
    assert_eq!(desk.say(&at("k.r.a", head(&id("i")))), misplaced);
    assert_eq!(desk.say(&at("o.r", Message::put("k", Head::of_parts(1), "[1]"))), misplaced);
    let body = Message::new("k", Judged::Body { behind: 1 }, "[1]");
    assert_eq!(desk.say(&at("o.r", body)), misplaced);
    assert_eq!(desk.say(&at("o.r.a", head(&id("i")))), Outcome::PassedOver(Unread::Nowhere));
    assert_eq!((desk.state.marks(), desk.state.records()), (0, 0));
    assert_eq!(desk.say(&at("o.r", head(&id("i")))), ACCEPTED);
}

#[test]
fn an_entry_looks_first_and_is_told_what_the_order_would_say() {
    let mut desk = Desk::default();
    assert_eq!(desk.known(&id("i")), None);
    desk.once(&id("i"));
    let of_first = Marked::Duplicate { of: Position(11), was: Was::Accepted };
    assert_eq!(desk.known(&id("i")), Some(of_first));
    assert!(of_first.is_decided());
    let other = Once { digests: vec![[9; 8]], ..id("i") };
    let reused = Marked::Reused { of: Position(11) };
    assert_eq!(desk.known(&other), Some(reused));
    assert!(reused.is_decided());
    // What may be under way is not told by one entry's view.
    desk.once(&number(1));
    assert_eq!(desk.known(&number(2)), None);
    assert_eq!(desk.known(&number(3)), None);
    assert_eq!(desk.known(&number(0)), None);
    assert_eq!(desk.known(&numbers("q", 2, &[0])), None);
    let past_all = numbers("p", u64::MAX, &[0, 0]);
    assert_eq!(desk.state.known(REALM, &past_all, 1, WallTime(0)), None);
    assert_eq!(desk.state.known("r", &id("i"), 0, WallTime(0)), None);
    for marked in [
        Marked::Gap { expected: 1 },
        Marked::Forgotten { from: 1 },
        Marked::UnknownProducer,
        Marked::Overlaps { next: 1 },
        Marked::Duplicate { of: Position(1), was: Was::Waits },
    ] {
        assert!(!marked.is_decided());
    }
}

/// Golden: chains and sums are compared between entries of different versions.
#[test]
fn the_chain_and_the_sum_are_these() {
    let mut desk = Desk::default();
    let few = |once| Once { keep_count: 2, ..once };
    desk.put("k", "[1]");
    desk.say(&Message::put("k", marked(when(Condition::Absent), &few(id("i"))), "[2]"));
    let all = [
        few(numbers("p", 1, &[1, 2])),
        few(id("i")),
        few(numbers("p", 2, &[9])),
        few(id("j")),
        few(id("k")),
        few(numbers("p", 1, &[1])),
        few(numbers("p", 4, &[4])),
        few(numbers("p", 2, &[2, 3])),
        few(numbers("q", 2, &[2])),
    ];
    let outcomes = all.map(|once| desk.once(&once));
    let wanted = [
        ACCEPTED,
        ACCEPTED,
        said(Marked::Reused { of: Position(32) }),
        ACCEPTED,
        ACCEPTED,
        said(Marked::Forgotten { from: 2 }),
        said(Marked::Gap { expected: 3 }),
        said(Marked::Overlaps { next: 3 }),
        said(Marked::UnknownProducer),
    ];
    assert_eq!(outcomes, wanted);
    assert_eq!(desk.state.chain().to_string(), "897067baaeba3f01954b63a09839ff7f");
    assert_eq!(
        desk.state.sum().to_string(),
        "d288129953065bd3ddbdbbaf0965c676b93280836b3f94dac1039926edee5e9f"
    );
}
