//! Golden bytes: the messages of each dialect and version that is spoken, as they were written once.
//!
//! A line has the name of a message, its bytes in hex, and what they say. The newest version is written anew by
//! `VIXEN_WRITE_GOLDEN=1 cargo test -p vixen-core golden`, for as long as no release speaks it; then a
//! new version gets a file of its own and [`Dialect::versions`] its number.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Dialect, Greeting, Hello, Message, Offer, PeerId, Versions};
use crate::id::OwnerId;

/// Bytes that messages are tried to be read from: none is longer that has short lists.
const BYTES_MAX: usize = 256;
const TRIES_MAX: usize = 200_000;

fn file_of(dialect: Dialect, version: u16) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/wire/golden");
    dir.join(format!("{}-{version}.txt", dialect.name()))
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

/// One message of each kind, in the order of their dialects and numbers: bytes are tried until they are
/// read as the kind, the same bytes each time.
pub(super) fn samples() -> &'static [Message] {
    static SAMPLES: OnceLock<Vec<Message>> = OnceLock::new();
    SAMPLES.get_or_init(tried)
}

/// Whether the dialect has a message of this number: then it, or the rest of it is missed.
fn is_kind(dialect: Dialect, number: u8) -> bool {
    let read = postcard::from_bytes::<Message>(&[dialect as u8, number]);
    matches!(read, Ok(_) | Err(postcard::Error::DeserializeUnexpectedEnd))
}

fn tried() -> Vec<Message> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // Lengths of UUIDs are 16; options and lists are empty or short.
    let byte = proptest::sample::select(vec![0_u8, 0, 1, 2, 16, 16, 97]);
    let bytes = proptest::collection::vec(byte, BYTES_MAX);
    let mut all = Vec::new();
    for dialect in Dialect::ALL {
        for number in (0..=u8::MAX).take_while(|number| is_kind(dialect, *number)) {
            let found = (0..TRIES_MAX).find_map(|_try| {
                let drawn = bytes.new_tree(&mut runner).expect("bytes").current();
                let bytes = [&[dialect as u8, number], drawn.as_slice()].concat();
                postcard::take_from_bytes::<Message>(&bytes).ok().map(|(message, _rest)| message)
            });
            all.push(found.expect("bytes that are one"));
        }
    }
    all
}

fn line_of(message: &Message) -> String {
    let bytes = postcard::to_stdvec(message).expect("encodes");
    format!("{}\t{}\t{message:?}", message.name(), hex(&bytes))
}

#[test]
fn messages_of_all_versions_that_are_spoken_are_golden() {
    for dialect in Dialect::ALL {
        let kinds: Vec<_> =
            samples().iter().filter(|message| message.dialect() == dialect).collect();
        let spoken = dialect.versions();
        if std::env::var_os("VIXEN_WRITE_GOLDEN").is_some() {
            let lines: Vec<_> = kinds.iter().map(|message| line_of(message)).collect();
            let file = file_of(dialect, spoken.newest);
            std::fs::write(file, lines.join("\n") + "\n").expect("written");
        }
        for version in spoken.oldest..=spoken.newest {
            check(dialect, version, kinds.len());
        }
    }
}

/// A version reads what was once written, and the newest writes the same.
fn check(dialect: Dialect, version: u16, kinds: usize) {
    let file = file_of(dialect, version);
    let golden = std::fs::read_to_string(&file).expect("golden bytes of the version");
    let is_newest = version == dialect.versions().newest;
    for (number, line) in golden.lines().enumerate() {
        let [name, bytes, said] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let bytes = from_hex(bytes);
        let numbers = [usize::from(bytes[0]), usize::from(bytes[1])];
        assert_eq!(numbers, [dialect as usize, number], "numbers of messages stay: {name}");
        let message: Message = postcard::from_bytes(&bytes).expect(name);
        assert_eq!((message.name(), format!("{message:?}").as_str()), (name, said));
        if is_newest {
            assert_eq!(line_of(&message), line, "it is written as it was");
        }
    }
    // A message that no golden line has would be of no version.
    let known = golden.lines().count();
    assert!(
        known == kinds || !is_newest,
        "{known} of {kinds} messages have golden bytes: {file:?}"
    );
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
    let offers = vec![Offer { dialect: 5, versions: Versions { newest: 2, oldest: 1 } }];
    let hello = Hello { version: 300, cluster, peer, name, nonce, proof, offers };
    let bytes = postcard::to_stdvec(&hello).expect("encodes");
    let owner = format!("10{}01", "00".repeat(15));
    let rest = format!("0163 02{owner} 024531 {}{}01050201", "01".repeat(32), "02".repeat(32));
    assert_eq!(hex(&bytes), format!("ac02{}", rest.replace(' ', "")));
}
