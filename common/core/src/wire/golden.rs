//! Golden bytes: the messages of each version that is spoken, as they were written once.
//!
//! A line has the name of a message, its bytes in hex, and what they say. The newest version is written anew by
//! `VIXEN_WRITE_GOLDEN=1 cargo test -p vixen-core golden`, for as long as no release speaks it; then a
//! new version gets a file of its own and `SPOKEN` its number.

use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Greeting, Hello, Message, PeerId, SPOKEN, Versions};
use crate::id::OwnerId;

/// Bytes that messages are tried to be read from: none is longer that has short lists.
const BYTES_MAX: usize = 256;
const TRIES_MAX: usize = 200_000;

fn file_of(version: u16) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/wire/golden");
    dir.join(format!("{version}.txt"))
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

/// One message of each kind, in the order of their numbers: bytes are tried until they are read as the
/// kind, the same bytes each time.
fn samples() -> Vec<Message> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // Lengths of UUIDs are 16; options and lists are empty or short.
    let byte = proptest::sample::select(vec![0_u8, 0, 1, 2, 16, 16, 97]);
    let bytes = proptest::collection::vec(byte, BYTES_MAX);
    let mut all = Vec::new();
    for number in 0..=u8::MAX {
        let found = (0..TRIES_MAX).find_map(|_try| {
            let drawn = bytes.new_tree(&mut runner).expect("bytes").current();
            let bytes = [&[number], drawn.as_slice()].concat();
            postcard::take_from_bytes::<Message>(&bytes).ok().map(|(message, _rest)| message)
        });
        let Some(message) = found else { break };
        all.push(message);
    }
    all
}

fn line_of(message: &Message) -> String {
    let bytes = postcard::to_stdvec(message).expect("encodes");
    format!("{}\t{}\t{message:?}", message.name(), hex(&bytes))
}

#[test]
fn messages_of_all_versions_that_are_spoken_are_golden() {
    if std::env::var_os("VIXEN_WRITE_GOLDEN").is_some() {
        let lines: Vec<_> = samples().iter().map(line_of).collect();
        std::fs::write(file_of(SPOKEN.newest), lines.join("\n") + "\n").expect("written");
    }
    for version in SPOKEN.oldest..=SPOKEN.newest {
        let golden =
            std::fs::read_to_string(file_of(version)).expect("golden bytes of the version");
        for (number, line) in golden.lines().enumerate() {
            let [name, bytes, said] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let bytes = from_hex(bytes);
            assert_eq!(usize::from(bytes[0]), number, "numbers of messages stay: {name}");
            let message: Message = postcard::from_bytes(&bytes).expect(name);
            assert_eq!((message.name(), format!("{message:?}").as_str()), (name, said));
            if version == SPOKEN.newest {
                assert_eq!(line_of(&message), line, "it is written as it was");
            }
        }
        // A message that no golden line has would be of no version.
        let next = u8::try_from(golden.lines().count()).expect("few");
        let is_known = samples().len() > usize::from(next);
        assert!(!is_known || version < SPOKEN.newest, "message {next} has no golden bytes");
    }
}

/// What is said before a version is agreed on can never change: all versions read it.
#[test]
fn the_greeting_and_the_begin_of_a_hello_are_golden() {
    let greeting = Greeting::new(Versions { newest: 300, oldest: 299 }, [7; 32]);
    let bytes = postcard::to_stdvec(&greeting).expect("encodes");
    assert_eq!(hex(&bytes), format!("ac02{}ab02", "07".repeat(32)));
    let peer = PeerId::Entry { owner: OwnerId(uuid::Uuid::from_u128(1)) };
    let name = "E1".parse().expect("a name");
    let (cluster, nonce, proof) = ("c".to_owned(), [1; 32], [2; 32]);
    let hello = Hello { version: 300, cluster, peer, name, nonce, proof };
    let bytes = postcard::to_stdvec(&hello).expect("encodes");
    let owner = format!("10{}01", "00".repeat(15));
    let rest = format!("0163 02{owner} 024531 {}{}", "01".repeat(32), "02".repeat(32));
    assert_eq!(hex(&bytes), format!("ac02{}", rest.replace(' ', "")));
}
