use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::id::OwnerId;
use crate::segment::Encoding;

const LIFE: Life = Life { owner: OwnerId(Uuid::from_u128(7)), number: 2 };
const LIFE_BYTES: &[u8] = b"\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\x02";

fn own(is: Condition) -> When {
    When { key: None, is }
}

fn once(name: OnceName, digests: Vec<[u8; 8]>) -> Once {
    let who = "joe".to_owned();
    Once { name, who, keep_ms: 600_000, keep_count: 10_000, producer_keep_ms: 300, digests }
}

fn id() -> Once {
    once(OnceName::Id("i".to_owned()), vec![[9; 8]])
}

fn numbers(digests: usize) -> Once {
    once(OnceName::Numbers { producer: "p".to_owned(), first: 1 }, vec![[9; 8]; digests])
}

fn value(bytes: &'static [u8]) -> Condition {
    Condition::Value { content: Encoding::Json.into(), bytes: Bytes::from_static(bytes) }
}

/// Golden: what is on disk stays readable.
#[test]
fn judged_messages_have_these_bytes() {
    let with_will = Put { ttl_ms: Some(300), will: Some(Will::Delete) };
    let lock = Head { when: vec![own(Condition::Absent)], is_watch: true, ..Head::of_parts(1) };
    let lock = Head { life: Some(LIFE), ..lock };
    let payload = Bytes::from_static(b"[1]");
    let put = Some(Will::Put { content: Encoding::Json.into(), payload });
    let conditions = [
        Condition::Present,
        Condition::Position(Position(300)),
        value(b"1"),
        Condition::CauseBelow(Cause { generation: 3, position: Position(5) }),
    ];
    let mut when: Vec<_> = conditions.into_iter().map(own).collect();
    when[0].key = Some("k".to_owned());
    let all = Head { when, once: Some(id()), ..Head::of_parts(300) };
    let table: [(Judged, &[&[u8]]); 12] = [
        (Judged::Put(Put::default(), Head::of_parts(1)), &[b"\x01\x01\0\0\x01\0\0\0\0"]),
        (
            Judged::Put(with_will, lock),
            &[b"\x01\x01\x01\xac\x02\x01\0\x01\x01\0\0\x01\x01", LIFE_BYTES, b"\0"],
        ),
        (Judged::Delete(Head::of_parts(3)), &[b"\x01\x02\x03\0\0\0\0"]),
        (
            Judged::Delete(all),
            &[
                b"\x01\x02\xac\x02\x04\x01\x01k\x01\0\x02\xac\x02\0\x03\x01\x011\0\x04\x03\x05\0\0\x01",
                b"\x01\x01i\x03joe\xc0\xcf\x24\x90\x4e\xac\x02\x01\x09\x09\x09\x09\x09\x09\x09\x09",
            ],
        ),
        (Judged::Win { of: Position(300), life: LIFE }, &[b"\x01\x03\xac\x02", LIFE_BYTES]),
        (Judged::Will { of: Position(300), life: LIFE }, &[b"\x01\x04\xac\x02", LIFE_BYTES]),
        (Judged::Expire { of: Position(300), life: LIFE }, &[b"\x01\x05\xac\x02", LIFE_BYTES]),
        (
            Judged::Once { parts: 2, once: numbers(1) },
            &[
                b"\x01\x06\x02\0\x01p\x01\x03joe\xc0\xcf\x24\x90\x4e\xac\x02\x01",
                b"\x09\x09\x09\x09\x09\x09\x09\x09",
            ],
        ),
        (Judged::Body { behind: 1 }, &[b"\x01\x07\x01"]),
        (
            Judged::MemberPut(Put { ttl_ms: None, will: put }, Member { behind: 300, is_free: false }),
            &[b"\x01\x08\0\x01\x01\x01\x03[1]\xac\x02\0"],
        ),
        (
            Judged::MemberPut(Put::default(), Member { behind: 1, is_free: true }),
            &[b"\x01\x08\0\0\x01\x01"],
        ),
        (Judged::MemberDelete(Member { behind: 1, is_free: true }), &[b"\x01\x09\x01\x01"]),
    ];
    for (judged, bytes) in table {
        let bytes = bytes.concat();
        assert_eq!(judged.to_bytes(), bytes, "{judged:?}");
        assert_eq!(Judged::from_bytes(&bytes), Ok(judged));
    }
}

#[test]
fn what_is_written_is_within_its_bounds() {
    let plain = |head| Judged::Put(Put::default(), head);
    let head = Head::of_parts(1);
    let many = |when| vec![own(when); Judged::WHEN_MAX];
    let with = |when| Head { when, ..Head::of_parts(1) };
    let watch = |when| Head { when, is_watch: true, life: Some(LIFE), ..Head::of_parts(1) };
    let of_life = |number, parts| {
        let life = Some(Life { number, ..LIFE });
        Head { life, ..Head::of_parts(parts) }
    };
    let marked = |once| Head { once: Some(once), ..Head::of_parts(1) };
    let will = |bytes: usize| Put {
        ttl_ms: None,
        will: Some(Will::Put { content: Content::Raw, payload: vec![0; bytes].into() }),
    };
    let named = |name: usize| once(OnceName::Id("x".repeat(name)), vec![[0; 8]]);
    let of_value = |bytes: usize| {
        let bytes = vec![b'1'; bytes].into();
        own(Condition::Value { content: Encoding::Json.into(), bytes })
    };
    let nameless = When { key: Some(String::new()), is: Condition::Present };
    let ttl = |ttl_ms| Judged::Put(Put { ttl_ms: Some(ttl_ms), will: None }, Head::of_parts(1));
    let zero = OnceName::Numbers { producer: "p".to_owned(), first: 0 };
    let table = [
        (plain(Head::of_parts(0)), false),
        (plain(Head::of_parts(u16::MAX)), true),
        (plain(with(many(Condition::Present))), true),
        (plain(with([many(Condition::Present), vec![own(Condition::Absent)]].concat())), false),
        (plain(with(vec![of_value(1); Judged::VALUES_MAX])), true),
        (plain(with(vec![of_value(1); Judged::VALUES_MAX + 1])), false),
        (plain(with(vec![of_value(Judged::CONDITION_BYTES_MAX)])), true),
        (plain(with(vec![of_value(Judged::CONDITION_BYTES_MAX + 1)])), false),
        (plain(with(vec![nameless])), false),
        (plain(watch(vec![own(Condition::Absent)])), true),
        (plain(watch(vec![])), false),
        (plain(watch(vec![own(Condition::Present)])), false),
        (plain(watch(vec![When { key: Some("k".to_owned()), is: Condition::Absent }])), false),
        (plain(Head { parts: 2, ..watch(vec![own(Condition::Absent)]) }), false),
        (plain(Head { life: None, ..watch(vec![own(Condition::Absent)]) }), false),
        (plain(of_life(1, 1)), false),
        (plain(of_life(1, 2)), true),
        (plain(of_life(0, 2)), false),
        (Judged::Put(will(Judged::WILL_BYTES_MAX), of_life(1, 1)), true),
        (Judged::Put(will(Judged::WILL_BYTES_MAX + 1), of_life(1, 1)), false),
        (Judged::Put(will(0), head), false),
        (Judged::Delete(of_life(1, 2)), true),
        (Judged::Delete(of_life(1, 1)), false),
        (ttl(1), true),
        (ttl(0), false),
        (plain(marked(id())), true),
        (plain(marked(numbers(1))), true),
        (plain(marked(numbers(2))), false),
        (plain(Head { once: Some(numbers(1)), ..of_life(1, 2) }), false),
        (plain(Head { once: Some(id()), ..of_life(1, 2) }), true),
        (plain(marked(named(0))), false),
        (plain(marked(named(Judged::NAME_BYTES_MAX))), true),
        (plain(marked(named(Judged::NAME_BYTES_MAX + 1))), false),
        (plain(marked(once(zero, vec![[0; 8]]))), false),
        (Judged::Once { parts: 3, once: numbers(2) }, true),
        (Judged::Once { parts: 2, once: numbers(2) }, false),
        (Judged::Once { parts: 1, once: numbers(0) }, false),
        (Judged::Once { parts: 3, once: Once { digests: vec![[0; 8]; 2], ..id() } }, false),
        (Judged::Body { behind: 0 }, false),
        (Judged::MemberDelete(Member { behind: 0, is_free: true }), false),
        (Judged::MemberPut(Put::default(), Member { behind: 0, is_free: true }), false),
        (Judged::MemberPut(will(1), Member { behind: 1, is_free: true }), false),
        (Judged::MemberPut(will(1), Member { behind: 1, is_free: false }), true),
        (Judged::Win { of: Position(1), life: Life { number: 0, ..LIFE } }, false),
    ];
    for (judged, is_good) in table {
        assert_eq!(judged.verify().is_ok(), is_good, "{judged:?}");
        let read = Judged::from_bytes(&judged.to_bytes());
        assert_eq!(read.ok(), is_good.then_some(judged));
    }
}

#[test]
fn what_is_later_is_told_from_what_is_nothing() {
    let malformed = |what| Err(JudgedError::Malformed(what));
    let table: [(&[u8], _); 10] = [
        (b"", malformed("it has no kind")),
        (b"\x01", malformed("it has no kind")),
        (b"\0\x01", Err(JudgedError::Version(0))),
        (b"\x02", Err(JudgedError::Version(2))),
        (b"\x01\0", Err(JudgedError::Kind(0))),
        (b"\x01\x0a\x01", Err(JudgedError::Kind(10))),
        (b"\x01\x80", Err(JudgedError::Kind(128))),
        (b"\x01\x07", malformed("not to be read")),
        (b"\x01\x07\x01\x01", malformed("bytes after its end")),
        (b"\x01\x07\x81\0", malformed("it is not in its one form")),
    ];
    for (bytes, wanted) in table {
        assert_eq!(Judged::from_bytes(bytes), wanted, "{bytes:?}");
    }
    let stops = [JudgedError::Kind(128), JudgedError::Kind(127), JudgedError::Version(200)];
    assert_eq!(stops.map(JudgedError::stops), [true, false, false]);
}

#[test]
fn a_write_is_free_if_nothing_is_asked_of_its_place() {
    assert!(Head::of_parts(5).is_free());
    let judged = [
        Head { when: vec![own(Condition::Present)], ..Head::of_parts(1) },
        Head { is_watch: true, ..Head::of_parts(1) },
        Head { life: Some(LIFE), ..Head::of_parts(2) },
        Head { once: Some(id()), ..Head::of_parts(1) },
    ];
    assert!(judged.iter().all(|head| !head.is_free()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_in_one_form_or_refused(kind in 0_u8..12, body: Vec<u8>) {
        let bytes = [&[1, kind][..], &body].concat();
        if let Ok(judged) = Judged::from_bytes(&bytes) {
            prop_assert_eq!(judged.verify(), Ok(()));
            prop_assert_eq!(judged.to_bytes(), bytes);
        }
    }
}
