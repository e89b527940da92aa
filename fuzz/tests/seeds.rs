//! Every target with its seeds, and with each of them cut and bent: what a toolchain without a
//! fuzzer can do.

use std::path::Path;

use vixen_entry::gates::wamp::fuzz::{hello, take_frames};
use vixen_filter::{Data, Filter, Limits};
use vixen_fuzz::{TARGETS, calls_messages, filter_and_message, state_outcomes};
use vixen_views::record::{Record, Said};
use vixen_views::registrations::Registrations;
use vixen_views::state::{Outcome, Verdict};

#[test]
fn the_seeds_get_through_to_the_core() {
    for (name, subprotocol) in [
        ("wamp_json", "wamp.2.json"),
        ("wamp_msgpack", "wamp.2.msgpack"),
        ("wamp_cbor", "wamp.2.cbor"),
    ] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        for seed in ["publish", "call", "yield", "error", "packed"] {
            let message = std::fs::read(dir.join(seed)).expect("a seed");
            let taken = take_frames(subprotocol, &[&hello(subprotocol), &message]);
            assert_eq!(taken.len(), 1, "{name} {seed}");
            assert!(message.ends_with(&taken[0].1[..]) || name == "wamp_json", "{name} {seed}");
        }
    }
}

#[test]
fn the_seeds_of_calls_are_records_and_a_checkpoint() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let seed = |name: &str| std::fs::read(seeds.join(name)).expect("a seed");
    for (name, wanted) in
        [("single", 5), ("shared", 6), ("gone", 7), ("checkpoint", 2), ("later", 1)]
    {
        let seed = seed(&format!("calls_record/{name}"));
        let messages = calls_messages(&seed);
        let read = messages.iter().filter(|(topic, bytes)| Record::read(topic, bytes).is_ok());
        assert_eq!(read.count(), wanted, "{name}");
    }
    for name in ["full", "empty"] {
        let record = Record::read("checkpoint", &seed(&format!("calls_checkpoint/{name}")));
        let Ok(Record { said: Said::Checkpoint(part), .. }) = record else { panic!("{record:?}") };
        assert!(Registrations::restore(&[part]).is_ok(), "{name}");
    }
}

#[test]
fn the_seeds_of_filters_match_their_messages() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/filter");
    for name in ["fields", "lists", "texts", "cbor"] {
        let seed = std::fs::read(seeds.join(name)).expect("a seed");
        let (rule, message) = filter_and_message(&seed).expect("both");
        let filter = Filter::compile(rule, &Limits::default()).expect(name);
        let mut scratch = bytes::BytesMut::new();
        let data = Data::read(&message, &mut scratch).expect(name);
        assert!(filter.ask(&data).is_match(), "{name}");
    }
}

#[test]
fn the_seeds_of_state_are_judged() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/state");
    // Heads accepted and not, members, and what is passed over or stops the view.
    for (name, wanted) in [
        ("free", [3, 0, 0, 0]),
        ("conditions", [5, 2, 0, 0]),
        ("several", [1, 1, 4, 1]),
        ("ages", [2, 2, 0, 0]),
        ("stops", [1, 0, 0, 2]),
        ("once", [3, 5, 0, 0]),
        ("windows", [3, 3, 0, 0]),
    ] {
        let mut counts = [0; 4];
        for outcome in state_outcomes(&std::fs::read(seeds.join(name)).expect("a seed")) {
            counts[match outcome {
                Outcome::Head(Verdict::Accepted) => 0,
                Outcome::Head(Verdict::Refused(_) | Verdict::Marked(_)) => 1,
                Outcome::Member { .. } => 2,
                Outcome::PassedOver(_) | Outcome::Stopped(_) | Outcome::Repeated => 3,
            }] += 1;
        }
        assert_eq!(counts, wanted, "{name}");
    }
}

#[test]
fn no_target_fails_on_a_seed_or_on_what_is_near_to_it() {
    for (name, target) in TARGETS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let mut seeds = 0;
        for file in std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{name}: {error}")) {
            let seed = std::fs::read(file.expect("a file").path()).expect("readable");
            seeds += 1;
            for end in 0..=seed.len() {
                target(&seed[..end]);
            }
            for at in 0..seed.len() {
                for bent in [seed[at] ^ 1, seed[at] ^ 0x80, 0, 0xff, seed[at].wrapping_add(1)] {
                    let mut bytes = seed.clone();
                    bytes[at] = bent;
                    target(&bytes);
                }
                let mut bytes = seed.clone();
                bytes.remove(at);
                target(&bytes);
                bytes.splice(at..at, [seed[at]; 9]);
                target(&bytes);
            }
        }
        assert!(seeds > 0, "{name} has no seeds");
    }
}
