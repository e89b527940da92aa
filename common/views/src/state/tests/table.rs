//! Heads, by the rows of the table, and what else may stand in the realm.

use vixen_core::segment::{AttributesError, Cause, JudgedError, Once, OnceName, Will};

use super::super::items::{ClockItem, Item};
use super::super::keys::Given;
use super::*;

#[test]
fn a_free_put_gives_the_key_a_value_and_takes_the_one_before() {
    let mut desk = Desk::default();
    assert_eq!(desk.put("k", "[1]"), ACCEPTED);
    assert_eq!(desk.put("k", "[2]"), ACCEPTED);
    assert_eq!(desk.put("j", "[3]"), ACCEPTED);
    assert_eq!((desk.get("k"), desk.get("j")), (there(20, "[2]"), there(30, "[3]")));
    let value = desk.state.get(REALM, "k").expect("is there");
    let facts = (value.time, value.session, value.content, value.flags, value.ttl_ms);
    assert_eq!(facts, (WallTime(2_000), 7, JSON, RecordFlags::EXCLUDE_ME, None));
    assert_eq!(desk.state.get("com", "k"), None, "of another realm");
    assert_eq!((desk.state.position(), desk.state.records()), (Position(30), 3));
}

#[test]
fn a_free_delete_is_accepted_also_of_nothing() {
    let mut desk = Desk::default();
    desk.put("k", "[1]");
    assert_eq!(desk.say(&Message::delete("k", Head::of_parts(1))), ACCEPTED);
    assert_eq!(desk.get("k"), None);
    assert_eq!(desk.say(&Message::delete("k", Head::of_parts(1))), ACCEPTED);
    assert_eq!((desk.state.size(), desk.state.keys.sum()), (Size::default(), Sum::default()));
    assert_eq!(desk.state.realms().count(), 0, "an empty realm is none");
}

#[test]
fn a_value_is_its_message_whole_but_for_what_was_judged() {
    let mut desk = Desk::default();
    let mut message = Message::put("k", when(Condition::Absent), "[1]");
    let (first, last) = (&b"\x03\x02hm"[..], &b"\xff\x01!"[..]);
    message.attributes = [first, &message.attributes, last].concat();
    message.content = Content::Later(9);
    assert_eq!(desk.say(&message), ACCEPTED);
    let value = desk.state.get(REALM, "k").expect("is there");
    assert_eq!(value.attributes(), [first, last].concat(), "also what has to be known and is not");
    assert_eq!((value.payload(), value.content), (&b"[1]"[..], Content::Later(9)));
}

#[test]
fn absent_holds_of_a_key_without_a_value() {
    let mut desk = Desk::default();
    assert_eq!(desk.say(&Message::put("k", when(Condition::Absent), "[1]")), ACCEPTED);
    let again = desk.say(&Message::put("k", when(Condition::Absent), "[2]"));
    assert_eq!(again, refused(0, found(10)));
    assert_eq!(desk.get("k"), there(10, "[1]"));
    desk.say(&Message::delete("k", Head::of_parts(1)));
    assert_eq!(desk.say(&Message::put("k", when(Condition::Absent), "[3]")), ACCEPTED);
    assert_eq!(desk.get("k"), there(40, "[3]"));
}

#[test]
fn present_holds_of_a_key_with_a_value() {
    let mut desk = Desk::default();
    let present = Message::put("k", when(Condition::Present), "[2]");
    assert_eq!(desk.say(&present), refused(0, Found::Nothing));
    assert_eq!(desk.get("k"), None);
    desk.put("k", "[1]");
    assert_eq!(desk.say(&present), ACCEPTED);
    assert_eq!(desk.get("k"), there(30, "[2]"));
}

#[test]
fn position_holds_of_that_version_alone() {
    let mut desk = Desk::default();
    let at = |position| Message::put("k", when(Condition::Position(Position(position))), "[2]");
    assert_eq!(desk.say(&at(10)), refused(0, Found::Nothing));
    desk.put("k", "[1]");
    assert_eq!(desk.say(&at(10)), refused(0, found(20)));
    assert_eq!(desk.say(&at(20)), ACCEPTED);
    assert_eq!(desk.say(&at(20)), refused(0, found(40)), "it has another one since");
    let delete = Message::delete("k", when(Condition::Position(Position(40))));
    assert_eq!(desk.say(&delete), ACCEPTED);
    assert_eq!(desk.get("k"), None);
}

#[test]
fn value_holds_of_a_value_that_has_it_as_a_part() {
    let mut desk = Desk::default();
    assert_eq!(desk.say(&Message::put("k", when(value("1")), "[2]")), refused(0, Found::Nothing));
    desk.put("k", r#"[{"a":1,"b":[1,2]}]"#);
    let refused = refused(0, found(20));
    assert_eq!(desk.say(&Message::put("k", when(value(r#"{"a":2}"#)), "[2]")), refused);
    assert_eq!(desk.say(&Message::put("k", when(value(r#"{"a":1.0}"#)), "[2]")), ACCEPTED);
    assert_eq!(desk.say(&Message::put("k", when(value("2")), "[3]")), ACCEPTED);
    assert_eq!(desk.get("k"), there(50, "[3]"));
}

#[test]
fn a_cause_is_to_be_above_that_of_the_value() {
    let mut desk = Desk::default();
    let result = |generation, position| {
        let cause = Cause { generation, position: Position(position) };
        let judged = Judged::Put(Put::default(), when(Condition::CauseBelow(cause)));
        let attributes = Attributes {
            cause: Some(cause),
            judged: Some(Box::new(judged)),
            ..Attributes::default()
        };
        Message { attributes: attributes.to_bytes(), ..Message::put("k", Head::of_parts(1), "[1]") }
    };
    assert_eq!(desk.say(&result(1, 5)), ACCEPTED, "nothing is there");
    assert_eq!(desk.say(&result(1, 5)), refused(0, found(10)), "the same again");
    assert_eq!(desk.say(&result(1, 4)), refused(0, found(10)));
    assert_eq!(desk.say(&result(1, 6)), ACCEPTED);
    assert_eq!(desk.say(&result(0, 9)), refused(0, found(40)), "of an older generation");
    assert_eq!(desk.say(&result(2, 1)), ACCEPTED, "of a newer one");
    desk.put("k", "[0]");
    assert_eq!(desk.say(&result(0, 0)), ACCEPTED, "above someone else's");
}

#[test]
fn the_first_condition_that_does_not_hold_is_told() {
    let mut desk = Desk::default();
    desk.put("a", "[1]");
    let all = |when| Message::put("b", Head { when, ..Head::of_parts(1) }, "[2]");
    let own = |is| When { key: None, is };
    let holds = [of("a", Condition::Position(Position(10))), own(Condition::Absent)];
    let others = [of("c", Condition::Present), of("a", Condition::Absent)];
    assert_eq!(desk.say(&all([&holds[..], &others].concat())), refused(2, Found::Nothing));
    assert_eq!(desk.say(&all([&others[1..], &others[..1]].concat())), refused(0, found(10)));
    assert_eq!(desk.get("b"), None);
    assert_eq!(desk.say(&all(holds.to_vec())), ACCEPTED);
}

#[test]
fn a_value_ends_for_its_age_when_the_stamp_says_so_and_no_sooner() {
    let expire = |of| Message::new("k", Judged::Expire { of: Position(of), life: LIFE }, "");
    let refused = |refusal| Outcome::Head(Verdict::Refused(refusal));
    let mut desk = Desk::default();
    assert_eq!(desk.say(&expire(1)), refused(Refusal::OtherVersion(Found::Nothing)));
    let put = Put { ttl_ms: Some(2_000), will: None };
    desk.say(&Message::new("k", Judged::Put(put, Head::of_parts(1)), "[1]"));
    assert_eq!(desk.say(&expire(10)), refused(Refusal::OtherVersion(found(20))));
    desk.now -= 1;
    let due = desk.state.get(REALM, "k").and_then(Value::due);
    assert_eq!(desk.say(&expire(20)), refused(Refusal::NotDue(Some(WallTime(4_000)))));
    assert_eq!(due, Some(WallTime(4_000)));
    desk.now -= 999;
    assert_eq!(desk.say(&expire(20)), ACCEPTED, "at 4,000");
    assert_eq!(desk.get("k"), None);
    desk.put("k", "[2]");
    desk.now = 1_000_000_000;
    assert_eq!(desk.say(&expire(60)), refused(Refusal::NotDue(None)), "it has no time to live");
}

#[test]
fn time_does_not_fall_with_a_stamp() {
    let mut desk = Desk { now: 5_000, ..Desk::default() };
    desk.put("k", "[1]");
    desk.now = 0;
    desk.put("j", "[1]");
    assert_eq!(desk.state.time(), WallTime(6_000));
    assert_eq!(desk.state.get(REALM, "j").map(|value| value.time), Some(WallTime(6_000)));
}

#[test]
fn a_write_of_several_keys_is_made_if_its_head_is() {
    let mut desk = Desk::default();
    desk.put("c", "[0]");
    let head = Head { parts: 3, ..when(Condition::Absent) };
    assert_eq!(desk.say(&Message::put("a", head.clone(), "[1]")), ACCEPTED);
    assert!(desk.state.is_open());
    assert_eq!(desk.say_next(&Message::member("b", 1, "[2]")), made(20));
    assert!(desk.state.is_open());
    let delete = Judged::MemberDelete(Member { behind: 2, is_free: false });
    assert_eq!(desk.say_next(&Message::new("c", delete.clone(), "")), made(20));
    assert!(!desk.state.is_open());
    assert_eq!((desk.get("a"), desk.get("b")), (there(20, "[1]"), there(21, "[2]")));
    assert_eq!(desk.get("c"), None);
    assert_eq!(desk.say(&Message::put("a", head, "[4]")), refused(0, found(20)));
    let unmade = Outcome::Member { head: Position(32), is_made: false };
    assert_eq!(desk.say_next(&Message::member("b", 1, "[5]")), unmade);
    assert_eq!(desk.say_next(&Message::new("a", delete, "")), unmade);
    assert!(!desk.state.is_open());
    assert_eq!((desk.get("a"), desk.get("b")), (there(20, "[1]"), there(21, "[2]")));
}

#[test]
fn conditions_of_a_write_are_those_of_before_it() {
    let mut desk = Desk::default();
    let absent = vec![of("a", Condition::Absent), of("b", Condition::Absent)];
    let head = Head { when: absent, ..Head::of_parts(2) };
    assert_eq!(desk.say(&Message::put("a", head.clone(), "[1]")), ACCEPTED);
    assert_eq!(desk.say_next(&Message::member("b", 1, "[2]")), made(10));
    assert_eq!(desk.say(&Message::put("b", head, "[1]")), refused(0, found(10)));
}

#[test]
fn what_does_not_follow_its_head_is_ignored_and_so_is_the_rest() {
    let stray = Outcome::PassedOver(Unread::Stray);
    let head = || Message::put("a", Head { parts: 3, ..when(Condition::Absent) }, "[1]");
    let member = |behind| Message::member("b", behind, "[2]");
    let free = Judged::MemberPut(Put::default(), Member { behind: 1, is_free: true });
    let will = Put { ttl_ms: None, will: Some(Will::Delete) };
    let willing = Judged::MemberPut(will, Member { behind: 1, is_free: false });
    let other_realm = Message { topic: topic_of("r", "b"), ..member(1) };
    let nothing = Message { attributes: Vec::new(), ..member(1) };
    let others = [
        (member(2), stray),
        (Message::new("b", free, "[2]"), stray),
        (Message::new("b", willing, "[2]"), stray),
        (other_realm, stray),
        (nothing, Outcome::PassedOver(Unread::Unmarked)),
        (Message::put("c", Head::of_parts(1), "[2]"), ACCEPTED),
    ];
    for (other, outcome) in others {
        let mut desk = Desk::default();
        assert_eq!(desk.say(&head()), ACCEPTED);
        assert_eq!(desk.say_next(&other), outcome, "{other:?}");
        assert!(!desk.state.is_open());
        assert_eq!(desk.say_next(&member(2)), stray, "the rest");
        assert_eq!((desk.get("a"), desk.get("b")), (there(10, "[1]"), None));
    }
    let mut desk = Desk::default();
    assert_eq!(desk.say(&member(1)), stray, "without a head");
    desk.say(&head());
    desk.state.pass_below(Position(21));
    assert!(desk.state.is_open(), "21 is to come");
    let mut other = desk.clone();
    desk.state.pass_below(Position(22));
    assert!(!desk.state.is_open());
    assert_eq!(desk.say(&member(1)), stray, "at 30");
    assert_eq!(other.say(&member(1)), stray, "not told that nothing is there");
    assert_eq!(desk.state, other.state);
}

#[test]
fn what_is_no_message_of_state_is_passed_over() {
    let put = Message::put("k", Head::of_parts(1), "[1]");
    let with = |attributes: &[u8]| Message { attributes: attributes.to_vec(), ..put.clone() };
    let at = |topic: &str| Message { topic: topic.to_owned(), ..put.clone() };
    let body = Judged::Body { behind: 1 };
    let marked = Judged::Once { parts: 2, once: once() };
    let table = [
        (at("waits"), Unread::Nowhere),
        (at("k.r"), Unread::Nowhere),
        (at("k.*.x"), Unread::Nowhere),
        (with(b""), Unread::Unmarked),
        (with(b"\x03\x02hm"), Unread::Unmarked),
        (with(b"\x82\x09"), Unread::Attributes(AttributesError::Malformed)),
        (with(b"\x82\x02\x02\x01"), Unread::Judged(JudgedError::Version(2))),
        (with(b"\x82\x02\x01\x7f"), Unread::Judged(JudgedError::Kind(127))),
        (with(b"\x82\x02\x01\x09"), Unread::Judged(JudgedError::Malformed("not to be read"))),
        (Message::new("k", body, "[1]"), Unread::Misplaced),
        (Message::new("k", marked, "[1]"), Unread::Misplaced),
    ];
    let mut desk = Desk::default();
    desk.put("k", "[0]");
    let (chain, keys) = (desk.state.chain(), desk.state.keys.clone());
    for (message, why) in table {
        assert_eq!(desk.say(&message), Outcome::PassedOver(why), "{message:?}");
        assert_eq!(desk.state.position(), Position(desk.position));
    }
    let state = &desk.state;
    assert_eq!((state.chain(), &state.keys, state.records()), (chain, &keys, 1));
}

fn once() -> Once {
    Once {
        name: OnceName::Id("i".to_owned()),
        who: String::new(),
        keep_ms: 1,
        keep_count: 1,
        producer_keep_ms: 1,
        digests: vec![[0; 8]],
    }
}

#[test]
fn what_has_to_be_known_and_is_not_stops_the_view() {
    let put = Message::put("k", Head::of_parts(1), "[1]");
    let at = |topic: &str| Message { topic: topic.to_owned(), ..put.clone() };
    let later = Message { attributes: b"\x82\x02\x01\x80".to_vec(), ..put.clone() };
    let watch = Head { is_watch: true, life: Some(LIFE), ..when(Condition::Absent) };
    let will = Put { ttl_ms: None, will: Some(Will::Delete) };
    let of_life = Head { life: Some(LIFE), ..Head::of_parts(1) };
    let of = Position(10);
    let table = [
        (later, Unread::Judged(JudgedError::Kind(128))),
        (Message::put("k", watch, "[1]"), Unread::NotKept("waiters")),
        (Message::new("k", Judged::Put(will, of_life), "[1]"), Unread::NotKept("holders")),
        (Message::new("k", Judged::Win { of, life: LIFE }, "[1]"), Unread::NotKept("waiters")),
        (Message::new("k", Judged::Will { of, life: LIFE }, ""), Unread::NotKept("holders")),
        (at("v.lives"), Unread::NotKept("records of entries")),
        (at("v.holders"), Unread::NotKept("records of entries")),
        (at("v.cuts"), Unread::NotKept("records of entries")),
        (at("v.verdicts"), Unread::NotKept("records of entries")),
    ];
    for (message, why) in table {
        let mut desk = Desk::default();
        desk.put("k", "[0]");
        let before = desk.state.clone();
        assert_eq!(desk.say(&message), Outcome::Stopped(why), "{message:?}");
        assert_eq!(desk.state.stopped(), Some(why));
        assert_eq!(desk.put("k", "[2]"), Outcome::Stopped(why));
        desk.state.pass_below(Position(1_000));
        assert_eq!(desk.state, State { stopped: Some(why), ..before });
    }
}

#[test]
fn a_message_is_applied_once() {
    let mut desk = Desk::default();
    desk.put("k", "[1]");
    let before = desk.state.clone();
    for position in [10, 9] {
        let put = Message::put("k", Head::of_parts(1), "[2]");
        assert_eq!(put.apply(&mut desk.state, position, 9_000), Outcome::Repeated);
    }
    assert_eq!(desk.state, before);
}

/// Golden: chains are compared between entries of different versions.
#[test]
fn the_chain_is_this() {
    let mut desk = Desk::default();
    let head = Head { parts: 2, ..when(Condition::Absent) };
    desk.say(&Message::put("a", head.clone(), "[1]"));
    desk.say_next(&Message::member("b", 1, "[2]"));
    desk.say(&Message::put("a", head, "[3]"));
    desk.say_next(&Message::member("b", 1, "[4]"));
    assert_eq!(desk.state.chain().to_string(), "a6025d8305ad75eeaaac38d6d42b2e05");
}

/// Golden: items are stored in checkpoints.
#[test]
fn items_have_these_bytes() {
    let clock = ClockItem { time: WallTime(300), records: 2 };
    assert_eq!(clock.to_bytes(), b"\x01\x03\0\0\0\xac\x02\x02");
    let value = Value::from(Given {
        version: Position(300),
        time: WallTime(5),
        session: 7,
        content: JSON,
        flags: RecordFlags::EXCLUDE_ME,
        ttl_ms: Some(9),
        attributes: b"\x03\x02hm",
        payload: b"[1]",
    });
    let bytes =
        b"\x08\x19\0\0\0\x05com.x\x01k\xac\x02\x05\x07\x01\x01\x01\x09\x04\x03\x02hm\x03[1]";
    assert_eq!(value.item(REALM, "k").to_bytes(), bytes);
}

/// Golden: sums are compared between entries of different versions, and stored.
#[test]
fn the_sum_is_this() {
    let mut desk = Desk::default();
    let none = "b7084e0ba139a0fdc00887efed8f6bff9f3268817fc115c4699fc7bf1c0ae16f";
    assert_eq!(desk.state.sum().to_string(), none);
    desk.put("a", "[1]");
    let mut message = Message::put("b", Head::of_parts(1), "[2]");
    message.attributes = [b"\x03\x02hm", &message.attributes[..]].concat();
    desk.say(&message);
    let two = "a6baaa56b984adb606c26e0617e9df0016bc65b203e44b4928b2083634439890";
    assert_eq!(desk.state.sum().to_string(), two);
    // It is the sum of the hashes of these.
    let items: [&[u8]; 3] = [
        b"\x01\x03\0\0\0\xd0\x0f\x02",
        b"\x08\x14\0\0\0\x05com.x\x01a\x0a\xe8\x07\x07\x01\x01\0\0\x03[1]",
        b"\x08\x18\0\0\0\x05com.x\x01b\x14\xd0\x0f\x07\x01\x01\0\x04\x03\x02hm\x03[2]",
    ];
    let hashes = items.map(ItemHash::of_bytes);
    assert_eq!(hashes.into_iter().fold(Sum::default(), Sum::plus), desk.state.sum());
}

#[test]
fn another_value_under_the_same_verdicts_is_another_sum() {
    let (mut one, mut other) = (Desk::default(), Desk::default());
    one.put("k", "[1]");
    other.put("k", "[2]");
    assert_eq!(one.state.chain(), other.state.chain());
    assert_ne!(one.state.sum(), other.state.sum());
}
