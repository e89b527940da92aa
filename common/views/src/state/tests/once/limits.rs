//! What is admitted of marks, and what they count.

use super::*;

const LIMITS: StateLimits = StateLimits {
    all: Size { keys: 10, bytes: 100_000 },
    realm: Size { keys: 10, bytes: 100_000 },
    value_bytes_max: 400,
    keys_per_write_max: 2,
    once_per_realm_max: 3,
};

fn admit_by(desk: &Desk, once: &Once, limits: &StateLimits) -> Result<(), Full> {
    let asked = AskedOnce { once, at: WallTime(desk.now) };
    desk.state.admit(REALM, &[], Some(&asked), &UnderWay::default(), limits)
}

fn admit(desk: &Desk, once: &Once) -> Result<(), Full> {
    admit_by(desk, once, &LIMITS)
}

#[test]
fn a_mark_a_producer_and_a_who_count_their_names_and_something_more() {
    let mut desk = Desk::default();
    let size = |bytes| Size { keys: 0, bytes };
    for (once, wanted) in [
        (id("i"), 2 * MARK_BYTES + "joe".len() + "i".len()),
        (numbers("pp", 1, &[0, 0]), 5 * MARK_BYTES + "joe".len() + "i".len() + "pp".len()),
        (numbers("pp", 3, &[0]), 6 * MARK_BYTES + "joe".len() + "i".len() + "pp".len()),
    ] {
        let (before, growth) = (desk.state.size(), desk.state.growth(REALM, &[], Some(&once)));
        desk.once(&once);
        assert_eq!(desk.state.size(), size(wanted));
        assert_eq!(growth.size, desk.state.size().minus(before), "as was said before");
        assert_eq!(growth.marks, once.digests.len());
    }
    assert_eq!(desk.state.size_of(REALM), desk.state.size());
    assert_eq!(desk.state.size_of("r"), Size::default());
}

#[test]
fn a_realm_has_so_many_marks() {
    let mut desk = Desk::default();
    let full = Err(Full::Marks { max: 3 });
    assert_eq!(admit(&desk, &numbers("p", 1, &[0; 3])), Ok(()));
    assert_eq!(admit(&desk, &numbers("p", 1, &[0; 4])), full);
    desk.once(&numbers("p", 1, &[0; 2]));
    desk.say(&head_in("r", &id("i")));
    assert_eq!(admit(&desk, &id("i")), Ok(()), "another realm is no matter");
    desk.once(&Once { who: "ann".to_owned(), ..id("i") });
    assert_eq!(admit(&desk, &id("j")), full, "also of somebody else");
    assert_eq!(desk.state.admit(REALM, &[], None, &UnderWay::default(), &LIMITS), Ok(()));
    let in_other = AskedOnce { once: &id("j"), at: WallTime(0) };
    assert_eq!(desk.state.admit("r", &[], Some(&in_other), &UnderWay::default(), &LIMITS), Ok(()));
    let under_way = UnderWay { marks: 2, ..UnderWay::default() };
    assert_eq!(desk.state.admit("r", &[], Some(&in_other), &under_way, &LIMITS), full);
}

#[test]
fn a_mark_that_drives_another_out_is_admitted() {
    let mut desk = Desk::default();
    let few = |name: &str| Once { keep_count: 2, ..id(name) };
    desk.once(&few("a"));
    desk.once(&few("b"));
    desk.once(&Once { who: "ann".to_owned(), ..id("i") });
    assert_eq!(desk.state.growth(REALM, &[], Some(&few("c"))), Growth::default());
    assert_eq!(admit(&desk, &few("c")), Ok(()));
    assert_eq!(admit(&desk, &id("c")), Err(Full::Marks { max: 3 }));
}

#[test]
fn what_has_left_its_window_makes_room() {
    let mut desk = Desk::default();
    for who in ["a", "b"] {
        desk.once_at(1_000, &Once { who: who.to_owned(), ..id("i") });
    }
    desk.once_at(1_000, &number(1));
    desk.now = 11_000;
    assert_eq!(admit(&desk, &number(2)), Err(Full::Marks { max: 3 }));
    desk.now = 11_001;
    assert_eq!(admit(&desk, &numbers("p", 2, &[0; 2])), Ok(()));
    let full = Err(Full::Marks { max: 3 });
    assert_eq!(admit(&desk, &numbers("p", 2, &[0; 3])), full, "the last number does not leave");
    assert_eq!(desk.once_at(11_001, &numbers("p", 2, &[0; 2])), ACCEPTED);
    assert_eq!(desk.state.marks(), 2);
    desk.once_at(30_000, &Once { who: "ann".to_owned(), ..id("i") });
    assert_eq!(desk.state.marks(), 2, "of numbers the last, which rests");
    let three = numbers("q", 1, &[0; 3]);
    desk.now = 71_001;
    assert_eq!(admit(&desk, &three), full);
    desk.now = 71_002;
    assert_eq!(admit(&desk, &three), Ok(()), "it has rested, and what ann sent has left");
}

#[test]
fn marks_count_as_bytes_of_state() {
    let desk = Desk::default();
    let bytes = 2 * MARK_BYTES + "joe".len() + "i".len();
    let of = |bytes| Size { keys: 10, bytes };
    let all = |bytes| StateLimits { all: of(bytes), ..LIMITS };
    assert_eq!(admit_by(&desk, &id("i"), &all(bytes)), Ok(()));
    let full = Err(Full::Bytes { max: bytes - 1 });
    assert_eq!(admit_by(&desk, &id("i"), &all(bytes - 1)), full);
    let realm = StateLimits { realm: of(bytes - 1), ..LIMITS };
    let full = Err(Full::RealmBytes { max: bytes - 1 });
    assert_eq!(admit_by(&desk, &id("i"), &realm), full);
    // A delete that is known again may take less than it frees.
    let mut desk = Desk::default();
    desk.put("k", &format!("[{}]", "1".repeat(300)));
    let delete = [Asked { key: "k", put: None }];
    let asked = AskedOnce { once: &id("i"), at: WallTime(0) };
    let limits = all(0);
    let admitted = desk.state.admit(REALM, &delete, Some(&asked), &UnderWay::default(), &limits);
    assert_eq!(admitted, Ok(()));
}
