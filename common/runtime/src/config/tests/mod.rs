//! Good and bad files. The bad ones are told by key and fix, in one text.

mod bad;
mod env;
mod secrets;
mod shape;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vixen_core::id::{GroupId, NdbId};
use vixen_core::tier::Tier;

use super::load::{CLUSTER_KEYS, ENTRY_KEYS, LOG_KEYS, MEMBER_KEYS, SYNC_KEYS};
use super::*;

const EXAMPLE: &str = include_str!("../../../../../deploy/vixen.toml");

/// A small good file that the bad ones are made of.
const GOOD: &str = r#"
[cluster]
name = "test"
secret = "a-long-secret"
durability = "fsync"
data-dir = "data"
write-quorum = 2
max-clock-ahead = "10s"

[[sync]]
id = "S1"
lane = 0
address = "127.0.0.1:9041"

[[ndb-group]]
[[ndb-group.member]]
id = "D1"
address = "127.0.0.1:9051"
[[ndb-group.member]]
id = "D2"
address = "d2.example:9051"
listen = "0.0.0.0:9051"
[[ndb-group.member]]
id = "D3"
address = "[::1]:9053"

[[entry]]
id = "E1"
listen = "127.0.0.1:9031"

[limits]
frame-bytes-max = "2MiB"
segment-messages-max = 100

[log]
filter = "info"
"#;

type Env = BTreeMap<String, String>;

/// The secret of all tiers.
fn shared(config: &Config) -> &Secret {
    config.cluster.secrets.of(Tier::Sync).expect("a secret")
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn parse_with(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("etc/vixen.toml"), &env(pairs))
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &[])
}

/// `GOOD` with one piece replaced, which must be there exactly once.
fn good_but(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    GOOD.replace(from, to)
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name of the test")
}

#[test]
fn a_good_file_is_read_with_defaults_for_what_it_leaves_out() {
    let config = parse(GOOD).expect("good");
    assert_eq!(config.cluster.name, "test");
    assert_eq!(shared(&config).as_bytes(), b"a-long-secret");
    assert_eq!(config.cluster.data_dir, Path::new("etc/data"));
    assert_eq!(config.cluster.publish_timeout, Duration::from_secs(10));
    assert_eq!(config.limits.frame_bytes_max, 2 << 20);
    assert_eq!(config.limits.segment_messages_max, 100);
    assert_eq!(config.limits.store_bytes_max, 1 << 40);
    assert_eq!(config.log.format, LogFormat::Text);
    let listens: Vec<_> =
        config.ndb_groups[0].members.iter().map(|m| m.listen.map(|l| l.to_string())).collect();
    let expected = ["127.0.0.1:9051", "0.0.0.0:9051", "[::1]:9053"];
    assert_eq!(listens, expected.map(|l| Some(l.to_owned())));
}

#[test]
fn the_example_file_says_the_defaults_and_shows_every_key() {
    let config = Config::parse(EXAMPLE, Path::new("deploy/vixen.toml"), &Env::new()).expect("good");
    assert_eq!((config.sync.len(), config.membership().quorum()), (3, 2));
    assert_eq!(config.ndb_groups[0].members.len(), 3);
    assert_eq!(config.entries.len(), 3);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.log, LogConfig::default());
    assert_eq!((config.tls, config.cluster_tls), (None, None));
    assert_eq!((config.web, config.wamp), (Web::default(), Wamp::default()));
    let tls = TlsFiles::LINKS_KEYS;
    let keys = [
        CLUSTER_KEYS,
        SYNC_KEYS,
        MEMBER_KEYS,
        ENTRY_KEYS,
        Access::KEYS,
        tls,
        Limits::KEYS,
        Wamp::KEYS,
        Web::KEYS,
        LOG_KEYS,
    ]
    .concat();
    for key in keys {
        let shown = EXAMPLE.lines().any(|line| {
            line.trim_start_matches("# ").strip_prefix(key).is_some_and(|r| r.starts_with(" ="))
        });
        assert!(shown, "deploy/vixen.toml does not show {key}");
    }
}

/// As the file says: one # less on each line of them.
#[test]
fn the_tables_of_the_example_that_are_not_in_force_can_be() {
    let begin = EXAMPLE.find("# [[realm]]").expect("realms");
    let end = EXAMPLE.find("\n[limits]").expect("limits");
    let blocks = EXAMPLE[begin..end].split("\n\n");
    let uncommented = blocks.map(|block| -> String {
        let begin = block.find("# [").expect("a table");
        let lines = block[begin..].lines().map(|line| {
            line.strip_prefix("# ").unwrap_or_else(|| line.strip_prefix('#').expect("a comment"))
        });
        lines.map(|line| format!("{line}\n")).collect()
    });
    let tables: String = uncommented.collect();
    let table: toml::Table = toml::from_str(&tables).expect("TOML");
    let names: Vec<_> = table.keys().map(String::as_str).collect();
    assert_eq!(names, ["cluster-tls", "realm", "tls"], "{tables}");
}

#[test]
fn the_operations_guide_lists_every_key() {
    let guide = include_str!("../../../../../docs/operations.md");
    let tables = [
        ("cluster", CLUSTER_KEYS),
        ("sync", SYNC_KEYS),
        ("ndb-group.member", MEMBER_KEYS),
        ("entry", ENTRY_KEYS),
        ("access", Access::KEYS),
        ("tls", TlsFiles::CLIENTS_KEYS),
        ("cluster-tls", TlsFiles::LINKS_KEYS),
        ("limits", Limits::KEYS),
        ("wamp", Wamp::KEYS),
        ("web", Web::KEYS),
        ("log", LOG_KEYS),
    ];
    for (table, keys) in tables {
        for key in keys {
            let row = format!("| `{table}.{key}` |");
            assert!(guide.contains(&row), "docs/operations.md has no row {row}");
        }
    }
}

fn realm_tables(count: usize) -> String {
    let realm = |n| {
        format!(
            "[[realm]]\nname = \"r{n}\"\nanonymous.role = \"any\"\n[[realm.role]]\nname = \"any\"\n"
        )
    };
    (0..count).map(realm).collect()
}

#[test]
fn shares_of_subscriptions_go_by_what_they_are_shares_of() {
    let shares = |limits: &str, realms: usize| {
        let text = good_but("segment-messages-max = 100", limits);
        let limits = parse(&(text + &realm_tables(realms))).expect("good").limits;
        let Limits { interest_bytes_per_address_max, interest_bytes_per_realm_max, .. } = limits;
        let bytes = [interest_bytes_per_address_max, interest_bytes_per_realm_max];
        (limits.patterns_per_address_max, bytes.map(|bytes| bytes >> 10))
    };
    let [entry, half, quarter] = [32 << 10, 16 << 10, 8 << 10];
    assert_eq!(shares("", 0), (25_000, [quarter, entry]), "whoever may make up realms");
    assert_eq!(shares("", 1), (25_000, [quarter, entry]), "the only realm may have all of it");
    assert_eq!(shares("", 2), (25_000, [quarter, half]));
    let small = "interest-bytes-max = \"8KiB\"\npatterns-per-entry-max = 400";
    assert_eq!(shares(small, 2), (250, [2, 4]), "no less than of a session");
    let smallest = "interest-bytes-max = \"1KiB\"\npatterns-per-entry-max = 10";
    assert_eq!(shares(smallest, 2), (10, [1, 1]), "no more than there is");
    let queue = "link-queue-bytes-max = \"4MiB\"";
    assert_eq!(shares(queue, 2), (25_000, [512, 1024]));
    let given = "interest-bytes-per-address-max = \"32MiB\"\npatterns-per-address-max = 100000\n\
                 interest-bytes-per-realm-max = \"31MiB\"";
    assert_eq!(shares(given, 1), (100_000, [entry, 31 << 10]));
    let env = [
        ("VIXEN_LIMITS_PATTERNS_PER_ADDRESS_MAX", "251"),
        ("VIXEN_LIMITS_INTEREST_BYTES_PER_ADDRESS_MAX", "1MiB"),
        ("VIXEN_LIMITS_INTEREST_BYTES_PER_REALM_MAX", "2MiB"),
    ];
    let limits = parse_with(GOOD, &env).expect("good").limits;
    assert_eq!(limits.patterns_per_address_max, 251);
    assert_eq!(limits.interest_bytes_per_address_max, 1 << 20);
    assert_eq!(limits.interest_bytes_per_realm_max, 2 << 20);
}

#[test]
fn the_share_of_testaments_goes_by_what_it_is_a_share_of() {
    let share = |limits: &str| {
        let text = good_but("segment-messages-max = 100", limits);
        parse(&text).expect("good").limits.calls.testaments_bytes_per_address_max >> 10
    };
    assert_eq!(share(""), 16 << 10);
    assert_eq!(share("testaments-bytes-max = \"512KiB\""), 256, "no less than of a session");
    assert_eq!(share("testaments-bytes-max = \"100KiB\""), 100, "no more than there is");
    assert_eq!(share("testaments-bytes-per-address-max = \"1MiB\""), 1 << 10);
}

#[test]
fn sizes_are_text_or_plain_bytes() {
    for (text, bytes) in [
        ("\"2097152\"", 2 << 20),
        ("2097152", 2 << 20),
        ("\"2048KiB\"", 2 << 20),
        ("\"2 MiB\"", 2 << 20),
        ("\"1GiB\"", 1 << 30),
        ("\"1048576B\"", 1 << 20),
    ] {
        let config = parse(&good_but("\"2MiB\"", text)).expect(text);
        assert_eq!(config.limits.frame_bytes_max, bytes, "{text}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = Config::load(Path::new("no/such/vixen.toml")).expect_err("absent").to_string();
    assert!(error.starts_with("no/such/vixen.toml: cannot be read: "), "{error}");
    assert!(error.contains("--config"), "{error}");
    assert_eq!(error.matches("No such file").count(), 1, "{error}");
}

#[test]
fn causes_are_part_of_the_text_and_told_once() {
    use std::error::Error as _;
    let error = Config::load(Path::new("no/such/vixen.toml")).expect_err("absent");
    assert!(error.source().is_none(), "told a second time by whoever prints the causes");
}

#[test]
fn a_file_that_is_not_utf_8_is_told_with_the_place_and_the_remedy() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("vixen.toml");
    let load = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        Config::load(&file)
    };
    let latin_1 = good_but("name = \"test\"", "# gr\u{fc}n\nname = \"test\"");
    let latin_1: Vec<u8> = latin_1.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let error = load(&latin_1).expect_err("Latin-1").to_string();
    let wanted = "line 3, column 5: the byte 0xfc there is not UTF-8; save the file as UTF-8";
    assert!(error.ends_with(wanted), "{error}");
    let utf_16: Vec<u8> = "\u{feff}[log]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = load(&utf_16).expect_err("UTF-16").to_string();
    assert!(error.ends_with("the file is UTF-16; save the file as UTF-8"), "{error}");
    load(format!("\u{feff}{GOOD}").as_bytes()).expect("a byte order mark does no harm");
    std::fs::write(dir.path().join("vixen.secret"), b"gr\xfcn-gr\xfcn").expect("written");
    let text = good_but("secret = \"a-long-secret\"", "secret-file = \"vixen.secret\"");
    let error = load(text.as_bytes()).expect_err("a secret in Latin-1").to_string();
    assert!(error.contains("vixen.secret: line 1, column 3: the byte 0xfc"), "{error}");
}
