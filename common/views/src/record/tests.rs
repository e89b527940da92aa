//! Golden bytes of each kind; what is refused; what was read is written the same.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use vixen_core::id::OwnerId;
use vixen_core::segment::Match;

const GOLDEN: &str = include_str!("golden.txt");

fn life(owner: u128, number: u32) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number }
}

fn facts(address: Option<&str>) -> Facts {
    let name = "E1".parse().expect("a name");
    Facts { name, link_address: address.map(Arc::from), reads: Reads::HERE }
}

fn part_of(part: u32, parts: u32) -> CheckpointPart {
    CheckpointPart {
        version: 1,
        as_of: Position(999),
        time: WallTime(777),
        records: 300,
        chain: Digest([9; 16]),
        part,
        parts,
        state: Bytes::new(),
    }
}

/// One of each kind and of each number in it, with its topic.
fn samples() -> Vec<Record> {
    let realm: Arc<str> = "realm1".into();
    let register = |uri, matching, invoke, is_forced| {
        let pattern = TopicPattern::new("realm1", uri, matching);
        let (number, session, keeps_timeouts) = (300, 7, false);
        Register { number, session, pattern, invoke, is_forced, keeps_timeouts }
    };
    let keeping =
        Register { keeps_timeouts: true, ..register("a", Match::Exact, Invoke::Last, true) };
    let register = |uri, matching, invoke, is_forced| {
        Said::Register(register(uri, matching, invoke, is_forced))
    };
    let unregister = |why| {
        let (realm, registration) = (Arc::clone(&realm), RegistrationId(1_000));
        Said::Unregister(Unregister { realm, session: 7, registration, why })
    };
    let gone = |why| Said::Gone(Gone { life: life(2, 5), why });
    let part = CheckpointPart { state: Bytes::from_static(b"state"), ..part_of(1, 2) };
    let said = [
        Said::Life(facts(None)),
        Said::Life(facts(Some("10.0.0.1:9041"))),
        register("com.example.add", Match::Exact, Invoke::Single, false),
        register("com.example.", Match::Prefix, Invoke::RoundRobin, false),
        register("com..add", Match::Wildcard, Invoke::Random, false),
        register("a", Match::Exact, Invoke::First, false),
        register("a", Match::Exact, Invoke::Last, true),
        Said::Register(keeping),
        unregister(UnregisterWhy::Asked),
        unregister(UnregisterWhy::Removed(life(3, 4))),
        unregister(UnregisterWhy::Refused),
        Said::SessionOver(SessionOver { realm: Arc::clone(&realm), session: SESSION_MAX }),
        gone(GoneWhy::Stops),
        gone(GoneWhy::NotHeard),
        gone(GoneWhy::Renamed),
        Said::Checkpoint(part),
    ];
    said.into_iter().map(|said| Record { writer: life(1, 258), said }).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digits).collect()
}

/// A line has a topic, bytes in hex, and what they say. Written anew, while no release has this version, by
/// `VIXEN_WRITE_GOLDEN=1 cargo test -p vixen-views golden`.
#[test]
fn records_are_golden() {
    let line = |record: &Record| {
        format!("{}\t{}\t{:?}", record.topic().uri, hex(&record.to_bytes()), record.said)
    };
    let lines: Vec<_> = samples().iter().map(line).collect();
    if std::env::var_os("VIXEN_WRITE_GOLDEN").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/record/golden.txt");
        std::fs::write(file, lines.join("\n") + "\n").expect("written");
        return;
    }
    assert_eq!(GOLDEN.lines().collect::<Vec<_>>(), lines);
    for (golden, record) in GOLDEN.lines().zip(samples()) {
        let [topic, bytes, _] = golden.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{golden}");
        };
        assert_eq!(Record::read(topic, &from_hex(bytes)), Ok(record), "{golden}");
    }
}

/// A good record of one kind, to be bent.
fn session_over() -> Vec<u8> {
    let said = Said::SessionOver(SessionOver { realm: "r".into(), session: 7 });
    Record { writer: life(1, 1), said }.to_bytes()
}

fn with(at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = session_over();
    bytes[at] = byte;
    bytes
}

/// One record of another version, written by mistake, stopped calls at all entries for good.
#[test]
fn versions_that_are_not_in_force_are_passed_over() {
    let read = |bytes: &[u8]| Record::read("realm.r", bytes).expect_err("no record");
    let others = [(with(0, 2), 2), (vec![2], 2), (with(0, 0), 0), (vec![255], 255)];
    for (bytes, version) in others {
        assert_eq!(read(&bytes), RecordError::Version(version), "its head may be another");
        assert!(!read(&bytes).stops());
    }
}

#[test]
fn kinds_that_have_to_be_known_stop_a_view_and_others_do_not() {
    let read = |kind| Record::read("realm.r", &with(1, kind)).expect_err("unknown");
    for (kind, stops) in [(0, false), (7, false), (127, false), (128, true), (255, true)] {
        assert_eq!(read(kind), RecordError::Kind(kind));
        assert_eq!(read(kind).stops(), stops, "{kind}");
    }
}

/// What is said in `waits`, or in topics of a later version, stopped a view by its first bytes.
#[test]
fn topics_without_records_are_passed_over_whatever_is_in_them() {
    for topic in ["", "realm", "waits", "Realm.r"] {
        for bytes in [session_over(), with(0, 2), with(1, 200), vec![]] {
            assert_eq!(Record::read(topic, &bytes), Err(RecordError::Nowhere), "{topic}");
        }
    }
    assert!(!RecordError::Nowhere.stops());
}

#[test]
fn what_is_no_record_is_refused_and_stops_nothing() {
    let good = session_over();
    let body = |what| RecordError::Body { kind: 4, what };
    let table: [(&str, Vec<u8>, RecordError); 8] = [
        ("realm.r", vec![], RecordError::Head(0)),
        ("realm.r", good[..21].to_vec(), RecordError::Head(21)),
        ("realm.r", good[..22].to_vec(), body("not to be read")),
        ("realm.r", [&good[..], &[0]].concat(), body("bytes after its end")),
        ("realm.r", [&good[..22], &[0x87, 0]].concat(), body("not in its one form")),
        ("realm.r", with(22, 0), body("its session, or the length of its realm")),
        ("realm.", good.clone(), body("its session, or the length of its realm")),
        ("lives", good.clone(), RecordError::Topic(4)),
    ];
    for (topic, bytes, error) in table {
        assert_eq!(Record::read(topic, &bytes), Err(error), "{topic} {bytes:?}");
        assert!(!error.stops());
    }
    assert_eq!(Record::read("checkpoint", &good), Err(RecordError::Topic(4)));
    assert!(Record::read("realm.r", &good).is_ok());
}

#[test]
fn every_bound_is_looked_at_when_writing_and_when_reading() {
    let writer = life(1, 1);
    let register = |uri: &str, realm: &str, matching, session| {
        let pattern = TopicPattern::new(realm, uri, matching);
        let (number, invoke, is_forced, keeps_timeouts) = (1, Invoke::Single, false, false);
        Said::Register(Register { number, session, pattern, invoke, is_forced, keeps_timeouts })
    };
    let part = |part, parts, bytes| {
        let state = vec![0; bytes].into();
        Said::Checkpoint(CheckpointPart { state, ..part_of(part, parts) })
    };
    let as_of =
        |as_of| Said::Checkpoint(CheckpointPart { as_of: Position(as_of), ..part_of(0, 1) });
    let gone = |number| Said::Gone(Gone { life: life(2, number), why: GoneWhy::Stops });
    let removed = |number| {
        let why = UnregisterWhy::Removed(life(2, number));
        let (realm, registration) = ("r".into(), RegistrationId(1));
        Said::Unregister(Unregister { realm, session: 1, registration, why })
    };
    let deep = |components| ["a"; COMPONENTS_MAX + 1][..components].join(".");
    let reads = |oldest, newest| Facts { reads: Reads { oldest, newest }, ..facts(None) };
    let long = "a".repeat(URI_BYTES_MAX);
    let longer = "a".repeat(URI_BYTES_MAX + 1);
    let address = "a".repeat(ADDRESS_BYTES_MAX + 1);
    let good = [
        register(&long, &long, Match::Prefix, SESSION_MAX),
        register(&deep(COMPONENTS_MAX), "r", Match::Wildcard, 1),
        register(&deep(COMPONENTS_MAX + 1), "r", Match::Exact, 1),
        register(&deep(COMPONENTS_MAX + 1), "r", Match::Prefix, 1),
        as_of(POSITION_END.0 - 1),
        gone(1),
        removed(1),
        register("", "r", Match::Prefix, 1),
        part(1, 2, STATE_BYTES_MAX),
        Said::Life(facts(Some(&address[1..]))),
        Said::Life(reads(1, 255)),
    ];
    for said in good {
        let record = Record { writer, said };
        assert_eq!(record.verify(), Ok(()));
        assert_eq!(Record::read(&record.topic().uri, &record.to_bytes()), Ok(record));
    }
    let bad = [
        register(&longer, "r", Match::Exact, 1),
        register("a", &longer, Match::Exact, 1),
        register("a", "", Match::Exact, 1),
        register("a", "r", Match::Exact, 0),
        register("a", "r", Match::Exact, SESSION_MAX + 1),
        register("a", "r", Match::Dotted, 1),
        register(&deep(COMPONENTS_MAX + 1), "r", Match::Wildcard, 1),
        register(&".".repeat(COMPONENTS_MAX), "r", Match::Wildcard, 1),
        as_of(POSITION_END.0),
        gone(0),
        removed(0),
        part(2, 2, 0),
        part(0, 0, 0),
        part(0, 1, STATE_BYTES_MAX + 1),
        Said::Life(facts(Some(&address))),
        Said::Life(facts(Some(""))),
        Said::Life(reads(2, 1)),
    ];
    for said in bad {
        let record = Record { writer, said };
        assert!(record.verify().is_err(), "{:?}", record.topic());
        let read = Record::read(&record.topic().uri, &record.to_bytes());
        assert!(matches!(read, Err(RecordError::Body { .. })), "{read:?}");
    }
}

#[test]
fn a_life_without_a_number_writes_nothing() {
    for sample in samples() {
        let record = Record { writer: life(1, 0), ..sample };
        assert!(record.verify().is_err(), "{record:?}");
        let read = Record::read(&record.topic().uri, &record.to_bytes());
        assert!(matches!(read, Err(RecordError::Body { .. })), "{read:?}");
    }
}

#[test]
fn what_cannot_be_registered_is_said_before_it_is_written() {
    let of =
        |realm: &str, uri: &str, matching| check_pattern(&TopicPattern::new(realm, uri, matching));
    let (bytes, max) = (URI_BYTES_MAX + 1, URI_BYTES_MAX);
    let long = "a".repeat(bytes);
    assert_eq!(of("", "a", Match::Exact), Err(NotRegistrable::Realm { bytes: 0, max }));
    assert_eq!(of(&long, "a", Match::Exact), Err(NotRegistrable::Realm { bytes, max }));
    assert_eq!(of("r", &long, Match::Prefix), Err(NotRegistrable::Long { bytes, max }));
    assert_eq!(of("r", "a", Match::Dotted), Err(NotRegistrable::Dotted));
    let (components, max) = (65, COMPONENTS_MAX);
    let deep = of("r", &".".repeat(64), Match::Wildcard);
    assert_eq!(deep, Err(NotRegistrable::Deep { components, max }));
    assert_eq!(of("r", &".".repeat(63), Match::Wildcard), Ok(()));
    assert_eq!(of("r", "", Match::Wildcard), Ok(()));
}

#[test]
fn numbers_that_mean_nothing_are_malformed() {
    let bytes_of = |at: usize| samples()[at].to_bytes();
    // The last bytes of a REGISTER are match, invoke and flags; of UNREGISTER why and whether a life comes;
    // of GONE why.
    let table = [
        (2, 3, 3),
        (2, 2, 5),
        (2, 1, 4),
        (2, 1, 7),
        (8, 2, 3),
        (8, 2, 1),
        (8, 1, 2),
        (9, 20, 0),
        (9, 20, 2),
        (12, 1, 3),
    ];
    for (sample, from_end, number) in table {
        let mut bytes = bytes_of(sample);
        let at = bytes.len() - from_end;
        bytes[at] = number;
        let read = Record::read(&samples()[sample].topic().uri, &bytes);
        assert!(matches!(read, Err(RecordError::Body { .. })), "{sample} {number}: {read:?}");
    }
}

fn any_said() -> impl Strategy<Value = Said> {
    let life_of = || (any::<u128>(), 1_u32..).prop_map(|(owner, number)| life(owner, number));
    let why = prop_oneof![
        Just(UnregisterWhy::Asked),
        life_of().prop_map(UnregisterWhy::Removed),
        Just(UnregisterWhy::Refused),
    ];
    let session = 1..=SESSION_MAX;
    let matching = prop::sample::select(vec![Match::Exact, Match::Prefix, Match::Wildcard]);
    let invoke = prop::sample::select(Invoke::ALL.to_vec());
    let flags = any::<(bool, bool)>();
    let register = (any::<u64>(), session.clone(), "\\PC{0,40}", matching, invoke, flags);
    let unregister = (session.clone(), any::<u64>(), why);
    let facts_of = (0..POSITION_END.0, any::<u64>(), any::<u64>(), any::<[u8; 16]>());
    let part = (facts_of, 0..u32::MAX, prop::collection::vec(0_u8.., 0..99));
    prop_oneof![
        (proptest::option::of("[a-z:0-9]{1,20}"), 0..9_u8, 9_u8..).prop_map(
            |(address, oldest, newest)| {
                Said::Life(Facts { reads: Reads { oldest, newest }, ..facts(address.as_deref()) })
            }
        ),
        register.prop_map(|(number, session, uri, matching, invoke, flags)| {
            let pattern = TopicPattern::new("réalm", &uri, matching);
            let (is_forced, keeps_timeouts) = flags;
            Said::Register(Register { number, session, pattern, invoke, is_forced, keeps_timeouts })
        }),
        unregister.prop_map(|(session, registration, why)| {
            let (realm, registration) = ("r".into(), RegistrationId(registration));
            Said::Unregister(Unregister { realm, session, registration, why })
        }),
        session.prop_map(|session| Said::SessionOver(SessionOver { realm: "r.s".into(), session })),
        (life_of(), prop::sample::select(GoneWhy::ALL.to_vec()))
            .prop_map(|(life, why)| Said::Gone(Gone { life, why })),
        part.prop_map(|((as_of, time, records, chain), parts, state)| {
            let (as_of, time, chain) = (Position(as_of), WallTime(time), Digest(chain));
            let (version, part, parts) = (2, parts / 2, parts + 1);
            let state = state.into();
            let part = CheckpointPart { version, as_of, time, records, chain, part, parts, state };
            Said::Checkpoint(part)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn records_round_trip(said in any_said(), owner: u128, number in 1_u32..) {
        let record = Record { writer: life(owner, number), said };
        let bytes = record.to_bytes();
        prop_assert_eq!(Record::read(&record.topic().uri, &bytes), Ok(record));
    }

    /// Bytes near to those of records, and any bytes.
    #[test]
    fn hostile_bytes_are_an_error_or_the_one_form_of_a_record(
        sample in 0_usize..16,
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
        topic in prop::sample::select(vec!["lives", "checkpoint", "realm.r", "realm.", "waits"]),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = samples()[sample].to_bytes();
        for (at, byte) in bends {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let headed = [&[VERSION, bytes.get(1).copied().unwrap_or(1)][..], &noise].concat();
        for bytes in [bytes, noise, headed] {
            for topic in [topic, &samples()[sample].topic().uri] {
                if let Ok(record) = Record::read(topic, &bytes) {
                    prop_assert_eq!(&*record.topic().uri, topic);
                    prop_assert_eq!(record.to_bytes(), bytes.clone());
                }
            }
        }
    }
}
