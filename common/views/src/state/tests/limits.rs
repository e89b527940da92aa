//! What is admitted, and what is counted.

use super::*;

const LIMITS: StateLimits = StateLimits {
    all: Size { keys: 3, bytes: 1_000 },
    realm: Size { keys: 2, bytes: 700 },
    value_bytes_max: 400,
    keys_per_write_max: 2,
    once_per_realm_max: 0,
};

fn put(key: &str, bytes: usize) -> Asked<'_> {
    Asked { key, put: Some(bytes) }
}

fn admit(desk: &Desk, realm: &str, write: &[Asked<'_>]) -> Result<(), Full> {
    desk.state.admit(realm, write, None, &UnderWay::default(), &LIMITS)
}

#[test]
fn a_key_counts_its_name_its_value_and_something_more() {
    let mut desk = Desk::default();
    let mut message = Message::put("key", Head::of_parts(1), "[1]");
    message.attributes = [b"\x03\x02hm", &message.attributes[..]].concat();
    desk.say(&message);
    let bytes = KEY_BYTES + "key".len() + "[1]".len() + b"\x03\x02hm".len();
    assert_eq!(desk.state.size(), Size { keys: 1, bytes });
    assert_eq!(desk.state.size_of(REALM), Size { keys: 1, bytes });
    assert_eq!(desk.state.size_of("r"), Size::default());
    assert_eq!(desk.state.growth(REALM, &[put("key", 10), put("b", 1)], None).size.keys, 1);
}

#[test]
fn what_is_over_a_bound_is_not_admitted() {
    let mut desk = Desk::default();
    assert_eq!(admit(&desk, REALM, &[put("a", 400)]), Ok(()));
    assert_eq!(admit(&desk, REALM, &[put("a", 401)]), Err(Full::Value { bytes: 401, max: 400 }));
    let three = [put("a", 1), put("b", 1), put("c", 1)];
    assert_eq!(admit(&desk, REALM, &three), Err(Full::Write { keys: 3, max: 2 }));
    assert_eq!(admit(&desk, REALM, &three[..2]), Ok(()));
    desk.put("a", "[1]");
    desk.put("b", "[1]");
    assert_eq!(admit(&desk, REALM, &[put("c", 1)]), Err(Full::RealmKeys { max: 2 }));
    assert_eq!(admit(&desk, REALM, &[put("a", 200)]), Ok(()), "it is there");
    assert_eq!(admit(&desk, REALM, &[put("a", 300)]), Err(Full::RealmBytes { max: 700 }));
    assert_eq!(admit(&desk, "r", &[put("c", 1)]), Ok(()), "of another realm");
    assert_eq!(admit(&desk, "r", &three[..2]), Err(Full::Keys { max: 3 }));
    assert_eq!(admit(&desk, "r", &[put("c", 393)]), Err(Full::Bytes { max: 1_000 }));
    assert_eq!(admit(&desk, "r", &[put("c", 391)]), Ok(()));
}

#[test]
fn what_makes_state_no_larger_is_admitted_whatever_there_is() {
    let mut desk = Desk::default();
    for key in ["a", "b", "c", "d"] {
        desk.put(key, &format!("[{}]", "1".repeat(300)));
    }
    let delete = Asked { key: "a", put: None };
    assert_eq!(admit(&desk, REALM, &[delete]), Ok(()));
    assert_eq!(admit(&desk, REALM, &[put("a", 302)]), Ok(()));
    assert_eq!(admit(&desk, REALM, &[put("a", 303)]), Err(Full::Bytes { max: 1_000 }));
    assert_eq!(admit(&desk, REALM, &[delete, put("e", 302)]), Ok(()), "one goes, one comes");
    assert_eq!(admit(&desk, "r", &[Asked { key: "none", put: None }]), Ok(()));
}

#[test]
fn what_is_under_way_counts() {
    let desk = Desk::default();
    let two = Size { keys: 2, bytes: 500 };
    let admit = |realm, all| {
        let under_way = UnderWay { all, realm, marks: 0 };
        desk.state.admit(REALM, &[put("a", 100)], None, &under_way, &LIMITS)
    };
    assert_eq!(admit(Size::default(), two), Ok(()));
    assert_eq!(admit(two, two), Err(Full::RealmKeys { max: 2 }));
    assert_eq!(admit(two, two.plus(two)), Err(Full::Keys { max: 3 }));
    let of_bytes = Size { keys: 0, bytes: 500 };
    assert_eq!(admit(of_bytes, of_bytes), Err(Full::RealmBytes { max: 700 }));
}
