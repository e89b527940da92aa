//! Golden bytes of each kind; what is refused; what was read is written the same.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use vixen_core::segment::Match;

const GOLDEN: &str = include_str!("golden.txt");

fn life(owner: u128, number: u32) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number }
}

fn facts(address: Option<&str>) -> Facts {
    let name = "E1".parse().expect("a name");
    Facts { name, link_address: address.map(Arc::from), reads: Reads::HERE }
}

/// One of each kind and of each number in it, with its topic.
fn samples() -> Vec<Record> {
    let realm: Arc<str> = "realm1".into();
    let register = |uri, matching, invoke, is_forced| {
        let pattern = TopicPattern::new("realm1", uri, matching);
        Said::Register(Register { number: 300, session: 7, pattern, invoke, is_forced })
    };
    let unregister = |why| {
        let (realm, registration) = (Arc::clone(&realm), RegistrationId(1_000));
        Said::Unregister(Unregister { realm, session: 7, registration, why })
    };
    let gone = |why| Said::Gone(Gone { life: life(2, 5), why });
    let part = CheckpointPart {
        as_of: Position(999),
        chain: Digest([9; 16]),
        part: 1,
        parts: 2,
        state: Bytes::from_static(b"state"),
    };
    let said = [
        Said::Life(facts(None)),
        Said::Life(facts(Some("10.0.0.1:9041"))),
        register("com.example.add", Match::Exact, Invoke::Single, false),
        register("com.example.", Match::Prefix, Invoke::RoundRobin, false),
        register("com..add", Match::Wildcard, Invoke::Random, false),
        register("a", Match::Exact, Invoke::First, false),
        register("a", Match::Exact, Invoke::Last, true),
        unregister(UnregisterWhy::Asked),
        unregister(UnregisterWhy::Removed),
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

#[test]
fn later_versions_and_kinds_stop_a_view_or_are_passed_over() {
    let read = |bytes: &[u8]| Record::read("realm.r", bytes).expect_err("later");
    assert_eq!(read(&with(0, 2)), RecordError::Version(2));
    assert_eq!(read(&[2]), RecordError::Version(2), "its head may be another");
    assert_eq!(read(&with(0, 0)), RecordError::Version(0));
    assert_eq!(read(&with(1, 0)), RecordError::Kind(0));
    assert_eq!(read(&with(1, 7)), RecordError::Kind(7));
    assert_eq!(read(&with(1, 127)), RecordError::Kind(127));
    assert_eq!(read(&with(1, 128)), RecordError::Kind(128));
    let stops = |bytes: &[u8]| read(bytes).stops();
    assert!(stops(&with(0, 2)) && stops(&with(1, 128)) && stops(&with(1, 255)));
    assert!(!stops(&with(1, 127)) && !stops(&with(1, 7)) && !stops(&with(1, 0)) && !stops(&[]));
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
    for topic in ["", "realm", "checkpoint", "waits", "Realm.r"] {
        assert_eq!(Record::read(topic, &good), Err(RecordError::Topic(4)), "{topic}");
    }
    assert!(Record::read("realm.r", &good).is_ok());
}

#[test]
fn every_bound_is_looked_at_when_writing_and_when_reading() {
    let writer = life(1, 1);
    let register = |uri: &str, realm: &str, matching, session| {
        let pattern = TopicPattern::new(realm, uri, matching);
        let (number, invoke, is_forced) = (1, Invoke::Single, false);
        Said::Register(Register { number, session, pattern, invoke, is_forced })
    };
    let part = |part, parts, bytes| {
        let (as_of, chain) = (Position(1), Digest::default());
        let state = vec![0; bytes].into();
        Said::Checkpoint(CheckpointPart { as_of, chain, part, parts, state })
    };
    let reads = |oldest, newest| Facts { reads: Reads { oldest, newest }, ..facts(None) };
    let long = "a".repeat(URI_BYTES_MAX);
    let longer = "a".repeat(URI_BYTES_MAX + 1);
    let address = "a".repeat(ADDRESS_BYTES_MAX + 1);
    let good = [
        register(&long, &long, Match::Wildcard, SESSION_MAX),
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
fn numbers_that_mean_nothing_are_malformed() {
    let bytes_of = |at: usize| samples()[at].to_bytes();
    // The last bytes of a REGISTER are match, invoke and flags; of UNREGISTER and GONE, why.
    let table = [(2, 3, 3), (2, 2, 5), (2, 1, 2), (2, 1, 3), (7, 1, 3), (11, 1, 3)];
    for (sample, from_end, number) in table {
        let mut bytes = bytes_of(sample);
        let at = bytes.len() - from_end;
        bytes[at] = number;
        let read = Record::read(&samples()[sample].topic().uri, &bytes);
        assert!(matches!(read, Err(RecordError::Body { .. })), "{sample} {number}: {read:?}");
    }
}

fn any_said() -> impl Strategy<Value = Said> {
    let life_of = (any::<u128>(), any::<u32>()).prop_map(|(owner, number)| life(owner, number));
    let session = 1..=SESSION_MAX;
    let matching = prop::sample::select(vec![Match::Exact, Match::Prefix, Match::Wildcard]);
    let invoke = prop::sample::select(Invoke::ALL.to_vec());
    let register = (any::<u64>(), session.clone(), "\\PC{0,40}", matching, invoke, any::<bool>());
    let unregister =
        (session.clone(), any::<u64>(), prop::sample::select(UnregisterWhy::ALL.to_vec()));
    let part = (any::<u64>(), any::<[u8; 16]>(), 0..u32::MAX, prop::collection::vec(0_u8.., 0..99));
    prop_oneof![
        (proptest::option::of("[a-z:0-9]{1,20}"), 0..9_u8, 9_u8..).prop_map(
            |(address, oldest, newest)| {
                Said::Life(Facts { reads: Reads { oldest, newest }, ..facts(address.as_deref()) })
            }
        ),
        register.prop_map(|(number, session, uri, matching, invoke, is_forced)| {
            let pattern = TopicPattern::new("réalm", &uri, matching);
            Said::Register(Register { number, session, pattern, invoke, is_forced })
        }),
        unregister.prop_map(|(session, registration, why)| {
            let (realm, registration) = ("r".into(), RegistrationId(registration));
            Said::Unregister(Unregister { realm, session, registration, why })
        }),
        session.prop_map(|session| Said::SessionOver(SessionOver { realm: "r.s".into(), session })),
        (life_of, prop::sample::select(GoneWhy::ALL.to_vec()))
            .prop_map(|(life, why)| Said::Gone(Gone { life, why })),
        part.prop_map(|(as_of, chain, parts, state)| {
            let (as_of, chain) = (Position(as_of), Digest(chain));
            let (part, state) = (parts / 2, state.into());
            Said::Checkpoint(CheckpointPart { as_of, chain, part, parts: parts + 1, state })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn records_round_trip(said in any_said(), owner: u128, number: u32) {
        let record = Record { writer: life(owner, number), said };
        let bytes = record.to_bytes();
        prop_assert_eq!(Record::read(&record.topic().uri, &bytes), Ok(record));
    }

    /// Bytes near to those of records, and any bytes.
    #[test]
    fn hostile_bytes_are_an_error_or_the_one_form_of_a_record(
        sample in 0_usize..15,
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
