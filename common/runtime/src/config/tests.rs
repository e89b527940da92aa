//! Good and bad files. The bad ones are told by key and fix, in one text.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vixen_core::id::{GroupId, NdbId};
use vixen_core::tier::Tier;

use super::load::{CLUSTER_KEYS, ENTRY_KEYS, LOG_KEYS, MEMBER_KEYS, SYNC_KEYS};
use super::*;

const EXAMPLE: &str = include_str!("../../../../deploy/vixen.toml");

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
    let guide = include_str!("../../../../docs/operations.md");
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

/// Bad files: what is replaced, by what, the key and the fix that the error must give.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("[cluster]", "[cluster", "line 2, column", "mend the syntax"),
    ("name = \"test\"", "name = \"test\"\nname = \"twice\"", "line 4, column 1", "mend the syntax"),
    ("[log]", "[logs]", "logs: is not a key", "use one of: cluster, sync, ndb-group, entry, realm"),
    ("[log]\nfilter", "[log]\nfiltre", "log.filtre:", "use one of: filter, format"),
    ("lane = 0", "lane = 0\nlanes = 1", "sync[0].lanes:", "use one of: id, lane, address"),
    ("write-quorum", "write_quorum", "cluster.write_quorum:", "use one of: name, secret"),
    ("write-quorum", "write_quorum", "is not a key", "did you mean `write-quorum`? remove it"),
    ("[log]", "[logs]", "logs: is not a key", "did you mean `log`? remove it"),
    ("frame-bytes-max", "frame-max", "limits.frame-max:", "use one of: segment-messages-max"),
    ("[[sync]]", "[sync]", "sync: is not a list", "write [[sync]] on a line"),
    ("[log]\nfilter", "[[log]]\nfilter", "log: is not a table", "write [log] on a line"),
    ("name = \"test\"", "", "cluster.name: is missing", "such as \"S1\""),
    ("name = \"test\"", "name = \"a b\"", "cluster.name: cannot use `a b`", "A-Z a-z 0-9"),
    ("name = \"test\"", "name = 7", "cluster.name: cannot use `7`", "A-Z a-z 0-9"),
    ("secret = \"a-long-secret\"", "", "cluster.secret: is missing", "set secret, or secret-file"),
    ("\"a-long-secret\"", "\"short\"", "cluster.secret: has fewer than 8", "use a longer one"),
    (
        "durability",
        "secret-file = \"x\"\ndurability",
        "cluster.secret: stands beside secret-file",
        "remove one",
    ),
    (
        "secret = \"a-long-secret\"",
        "secret-file = \"no-such-file\"",
        "etc/no-such-file: cannot be read",
        "cluster.secret-file must name",
    ),
    ("\"fsync\"", "\"sometimes\"", "cluster.durability:", "\"fsync\" or \"memory\""),
    ("data-dir = \"data\"", "data-dir = \"\"", "cluster.data-dir: is empty", "a path in quotes"),
    ("data-dir = \"data\"", "", "cluster.data-dir: is missing", "a path in quotes"),
    ("write-quorum = 2", "write-quorum = \"2\"", "cluster.write-quorum: cannot use", "number"),
    ("write-quorum = 2", "write-quorum = -1", "cluster.write-quorum: cannot use", "number"),
    ("write-quorum = 2", "write-quorum = 0", "cluster.write-quorum: 0", "between 1 and 3"),
    (
        "write-quorum = 2",
        "write-quorum = 4",
        "cluster.write-quorum: 4 of 3 members in ndb-group 0",
        "set it between 1 and 3",
    ),
    (
        "write-quorum = 2",
        "write-quorum = 300",
        "cluster.write-quorum: no group has 300",
        "between 1 and 5",
    ),
    ("\"10s\"", "10", "cluster.max-clock-ahead: cannot use `10`", "such as \"250ms\""),
    ("\"10s\"", "\"ten\"", "cluster.max-clock-ahead: cannot use `ten`", "such as \"250ms\""),
    ("\"10s\"", "\"0s\"", "cluster.max-clock-ahead: 0", "at least \"1ms\""),
    ("lane = 0", "lane = 64", "sync[0].lane: cannot use `64`", "from 0 to 63"),
    ("lane = 0", "lane = \"0\"", "sync[0].lane: cannot use `0`", "from 0 to 63"),
    ("lane = 0", "", "sync[0].lane: is missing", "from 0 to 63"),
    ("id = \"S1\"", "id = \"S/1\"", "sync[0].id: cannot use `S/1`", "A-Z a-z 0-9"),
    ("id = \"S1\"", "id = \"..\"", "sync[0].id: cannot use `..`", "A-Z a-z 0-9"),
    ("id = \"S1\"", "", "sync[0].id: is missing", "A-Z a-z 0-9"),
    ("id = \"D2\"", "id = \"D1\"", "ndb-group[0].member[1].id: `D1` is also", "an id of its own"),
    ("id = \"E1\"", "id = \"S1\"", "entry[0].id: `S1` is also sync[0]", "an id of its own"),
    ("\"127.0.0.1:9041\"", "\"127.0.0.1\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\"127.0.0.1:0\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\"0.0.0.0:9041\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\":9041\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\"http://s1:9041\"", "sync[0].address: cannot use", "host and port"),
    (
        "\"[::1]:9053\"",
        "\"127.0.0.1:9041\"",
        "ndb-group[0].member[2].address: 127.0.0.1:9041 is also sync[0].address",
        "of its own",
    ),
    (
        "\"127.0.0.1:9031\"",
        "\"127.0.0.1:9051\"",
        "entry[0].listen: 127.0.0.1:9051 is also ndb-group[0].member[0].address",
        "of its own",
    ),
    ("\"0.0.0.0:9051\"", "\"d2:9051\"", "member[1].listen: cannot use `d2:9051`", "an IP address"),
    (
        "\"127.0.0.1:9031\"",
        "9031",
        "entry[0].listen: cannot use `9031`: a port needs",
        "0.0.0.0:9031",
    ),
    (
        "\"127.0.0.1:9031\"",
        "\":9031\"",
        "cannot use `:9031`: a port needs",
        "127.0.0.1:9031 is for",
    ),
    ("\"127.0.0.1:9031\"", "\"[fe80::1%eth0]:9031\"", "entry[0].listen: cannot use", "zones"),
    ("\"127.0.0.1:9041\"", "\"::1:9041\"", "sync[0].address: cannot use `::1:9041`", "[::1]:9041"),
    ("\"127.0.0.1:9041\"", "\"9041\"", "sync[0].address: cannot use `9041`", "needs a host"),
    ("\"2MiB\"", "\"2MB\"", "limits.frame-bytes-max: cannot use `2MB`", "such as \"64MiB\""),
    ("\"2MiB\"", "\"MiB\"", "limits.frame-bytes-max: cannot use `MiB`", "such as \"64MiB\""),
    ("\"2MiB\"", "\"99999999999TiB\"", "limits.frame-bytes-max: cannot use", "such as \"64MiB\""),
    ("\"2MiB\"", "true", "limits.frame-bytes-max: cannot use `true`", "such as \"64MiB\""),
    ("\"2MiB\"", "0", "limits.frame-bytes-max: 0", "at least 1"),
    ("\"2MiB\"", "1000", "limits.frame-bytes-max: 1000 bytes", "or lower message-bytes-max"),
    ("max = 100", "max = 0", "limits.segment-messages-max: 0", "at least 1"),
    ("max = 100", "max = 4294967296", "limits.segment-messages-max: 4294967296", "smaller"),
    (
        "segment-messages-max = 100",
        "segment-bytes-max = \"512KiB\"",
        "limits.segment-bytes-max: 524288 bytes are less than message-bytes-max (1048576)",
        "set it to 1048576 or more, or lower message-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "segment-bytes-max = 0",
        "limits.segment-bytes-max: 0",
        "at least 1",
    ),
    (
        "segment-messages-max = 100",
        "topic-bytes-max = \"2MiB\"",
        "limits.message-bytes-max: 1048576 bytes are less than topic-bytes-max",
        "or lower topic-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "store-bytes-max = 1048577",
        "limits.store-bytes-max: 1048577",
        "a multiple of 4KiB",
    ),
    (
        "segment-messages-max = 100",
        "link-queue-bytes-max = 1",
        "limits.link-queue-bytes-max: 1 bytes",
        "or lower segment-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "interest-bytes-max = 4096\ninterest-bytes-per-address-max = 5000",
        "limits.interest-bytes-per-address-max: 5000 is more than interest-bytes-max (4096)",
        "set it to 4096 or less, or raise interest-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "interest-bytes-per-address-max = 1000",
        "limits.interest-bytes-per-address-max: 1000 is less than one topic",
        "set it to 1088 or more",
    ),
    (
        "segment-messages-max = 100",
        "interest-bytes-max = 4096\ninterest-bytes-per-realm-max = 5000",
        "limits.interest-bytes-per-realm-max: 5000 is more than interest-bytes-max (4096)",
        "set it to 4096 or less, or raise interest-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "patterns-per-entry-max = 1000\npatterns-per-address-max = 1001",
        "limits.patterns-per-address-max: 1001 is more than patterns-per-entry-max (1000)",
        "set it to 1000 or less, or raise patterns-per-entry-max",
    ),
    (
        "segment-messages-max = 100",
        "patterns-per-address-max = 249",
        "limits.patterns-per-address-max: 249 is less than patterns-per-session-max (250)",
        "set it to 250 or more",
    ),
    ("[log]", "[tls]\n[log]", "tls.certificate-file: is missing", "a path in quotes"),
    (
        "[log]",
        "[tls]\ncertificate-file = \"c.pem\"\nca-file = \"ca.pem\"\n[log]",
        "tls.ca-file: is not a key of this table",
        "use one of: certificate-file, key-file",
    ),
    (
        "[log]",
        "[cluster-tls]\ncertificate-file = \"c.pem\"\nkey-file = \"k.pem\"\n[log]",
        "cluster-tls.ca-file: is missing",
        "a path in quotes",
    ),
    ("filter = \"info\"", "filter = \"a=b=c\"", "log.filter: cannot use", "log directives"),
    ("filter = \"info\"", "format = \"xml\"", "log.format: cannot use `xml`", "\"text\" or"),
];

#[test]
fn bad_files_are_refused_with_file_key_and_fix() {
    for (from, to, key, fix) in BAD {
        let error = parse(&good_but(from, to)).expect_err(to).to_string();
        assert!(error.starts_with("etc/"), "no file in: {error}");
        assert!(error.contains(key), "no key {key} in: {error}");
        assert!(error.contains(fix), "no fix {fix} in: {error}");
    }
}

#[test]
fn the_promised_text_of_an_error() {
    let error = Config::parse(
        &good_but("write-quorum = 2", "write-quorum = 4"),
        Path::new("vixen.toml"),
        &Env::new(),
    );
    assert_eq!(
        error.expect_err("impossible quorum").to_string(),
        "vixen.toml: cluster.write-quorum: 4 of 3 members in ndb-group 0 can never be reached; \
         set it between 1 and 3"
    );
}

/// `GOOD` with this many sync nodes.
fn with_sync_nodes(count: usize) -> String {
    let member = "[[sync]]\nid = \"S1\"\nlane = 0\naddress = \"127.0.0.1:9041\"\n";
    let members: String = (0..count)
        .map(|i| format!("[[sync]]\nid = \"S{i}\"\nlane = {i}\naddress = \"s{i}:9041\"\n"))
        .collect();
    good_but(member, &members)
}

#[test]
fn sync_clusters_have_one_three_five_or_seven_nodes() {
    for count in [1, 3, 5, 7] {
        let config = parse(&with_sync_nodes(count)).expect("good");
        assert_eq!(config.membership().quorum(), count / 2 + 1);
    }
    for (count, why) in [
        (0, "no sync node"),
        (2, "even number adds no safety"),
        (4, "even"),
        (9, "slow every vote"),
    ] {
        let error = parse(&with_sync_nodes(count)).expect_err("refused").to_string();
        assert!(error.starts_with("etc/vixen.toml: sync: "), "{error}");
        assert!(error.contains(why), "no {why} in: {error}");
        assert!(error.ends_with("have 1, 3, 5 or 7 [[sync]] tables"), "{error}");
    }
}

#[test]
fn lanes_are_unique() {
    let text = with_sync_nodes(3).replace("lane = 2", "lane = 1");
    let error = parse(&text).expect_err("refused").to_string();
    assert!(error.contains("sync[2].lane: 1 is also the lane of S1"), "{error}");
    assert!(error.contains("of its own"), "{error}");
}

#[test]
fn groups_have_one_to_five_members() {
    let head = GOOD.split("[[ndb-group]]").next().expect("a first part");
    let none = parse(head).expect_err("no group").to_string();
    assert!(none.contains("ndb-group: there is no ndb group"), "{none}");
    assert!(none.contains("add [[ndb-group]]"), "{none}");
    let empty = parse(&format!("{head}[[ndb-group]]\n")).expect_err("no member").to_string();
    assert!(empty.contains("ndb-group[0].member: the group has 0 members"), "{empty}");
    let six: String = (0..6)
        .map(|i| format!("[[ndb-group.member]]\nid = \"D{i}\"\naddress = \"d{i}:9051\"\n"))
        .collect();
    let six = parse(&format!("{head}[[ndb-group]]\n{six}")).expect_err("too many").to_string();
    assert!(six.contains("the group has 6 members; have 1 to 5"), "{six}");
}

#[test]
fn every_group_must_reach_the_write_quorum() {
    let second = "[[ndb-group]]\n[[ndb-group.member]]\nid = \"D9\"\naddress = \"d9:9051\"\n";
    let error = parse(&format!("{GOOD}{second}")).expect_err("refused").to_string();
    assert!(error.contains("2 of 1 members in ndb-group 1"), "{error}");
}

#[test]
fn entries_may_share_a_wildcard_address_on_machines_of_their_own() {
    let second = "[[entry]]\nid = \"E2\"\nlisten = \"0.0.0.0:9031\"\n";
    let text = good_but("\"127.0.0.1:9031\"", "\"0.0.0.0:9031\"") + second;
    assert_eq!(parse(&text).expect("good").entries.len(), 2);
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
fn the_environment_overrides_the_scalars() {
    let config = parse_with(
        GOOD,
        &[
            ("VIXEN_CLUSTER_NAME", "other"),
            ("VIXEN_CLUSTER_SECRET", "from-the-environment"),
            ("VIXEN_CLUSTER_DURABILITY", "memory"),
            ("VIXEN_CLUSTER_DATA_DIR", "/data"),
            ("VIXEN_CLUSTER_WRITE_QUORUM", "3"),
            ("VIXEN_CLUSTER_PUBLISH_TIMEOUT", "250ms"),
            ("VIXEN_LIMITS_FRAME_BYTES_MAX", "8MiB"),
            ("VIXEN_LIMITS_SEGMENT_MESSAGES_MAX", "7"),
            ("VIXEN_LOG_FORMAT", "json"),
            ("VIXEN_CONFIG", "not ours to judge"),
            ("VIXEN_NODE", "S1"),
        ],
    )
    .expect("good");
    assert_eq!(config.cluster.name, "other");
    assert_eq!(shared(&config).as_bytes(), b"from-the-environment");
    assert!(!config.cluster.durability.is_fsync());
    assert_eq!(config.cluster.data_dir, Path::new("/data"));
    assert_eq!(config.cluster.write_quorum, 3);
    assert_eq!(config.cluster.publish_timeout, Duration::from_millis(250));
    assert_eq!(config.limits.frame_bytes_max, 8 << 20);
    assert_eq!(config.limits.segment_messages_max, 7);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn bad_overrides_are_refused_by_their_variable() {
    for (variable, value, problem, fix) in [
        ("VIXEN_CLUSTER_SECRETS", "x", "overrides no key", "VIXEN_CLUSTER_SECRET,"),
        ("VIXEN_LIMITS_FRAME", "x", "overrides no key", "VIXEN_LIMITS_FRAME_BYTES_MAX"),
        ("VIXEN_LOG_LEVEL", "x", "overrides no key", "VIXEN_LOG_FILTER"),
        ("VIXEN_LOG_FORMAT", "xml", "cannot use `xml`", "\"text\" or \"json\""),
        ("VIXEN_CLUSTER_WRITE_QUORUM", "two", "cannot use `two`", "a whole number"),
        ("VIXEN_CLUSTER_DATA_DIR", "", "is empty", "a path"),
    ] {
        let error = parse_with(GOOD, &[(variable, value)]).expect_err(variable).to_string();
        assert!(error.starts_with("etc/vixen.toml: "), "{error}");
        for part in [variable, problem, fix] {
            assert!(error.contains(part), "no {part} in: {error}");
        }
    }
}

/// What Kubernetes sets in every pod for a service of one port, and of a port with a name.
fn service_link(service: &str) -> Env {
    let port = format!("{service}_PORT_9031_TCP");
    env(&[
        (&format!("{service}_SERVICE_HOST"), "10.0.0.7"),
        (&format!("{service}_SERVICE_PORT"), "9031"),
        (&format!("{service}_SERVICE_PORT_WAMP"), "9031"),
        (&format!("{service}_SERVICE_PORT_WAMP_TLS"), "9032"),
        (&format!("{service}_PORT"), "tcp://10.0.0.7:9031"),
        (&port, "tcp://10.0.0.7:9031"),
        (&format!("{port}_PROTO"), "tcp"),
        (&format!("{port}_PORT"), "9031"),
        (&format!("{port}_ADDR"), "10.0.0.7"),
        (&format!("{service}_PORT_53_UDP"), "udp://[fd00::7]:53"),
        (&format!("{service}_PORT_53_UDP_ADDR"), "fd00::7"),
    ])
}

#[test]
fn variables_that_kubernetes_sets_for_services_are_let_pass() {
    for name in ["CLUSTER", "TLS", "LIMITS", "STORAGE", "WAMP", "WEB", "LOG", "CLUSTER_TLS"] {
        for more in ["", "_NODES", "_KEY", "_NAME", "_WEB_PORT"] {
            let env = service_link(&format!("VIXEN_{name}{more}"));
            let read = Config::parse(GOOD, Path::new("vixen.toml"), &env);
            read.unwrap_or_else(|error| panic!("{name}{more}: {error}"));
        }
    }
}

#[test]
fn what_is_only_called_like_a_variable_of_a_service_is_refused_with_the_way_out() {
    for (variable, value) in [
        ("VIXEN_CLUSTER_PORT", "9031"),
        ("VIXEN_CLUSTER_PORT", "tcp://10.0.0.7"),
        ("VIXEN_CLUSTER_SERVICE_HOST", "web.example"),
        ("VIXEN_CLUSTER_SERVICE_PORT", "tcp://10.0.0.7:9031"),
        ("VIXEN_WEB_PORT_9031_TCP", "9031"),
        ("VIXEN_WEB_PORT_9031_TCP_PROTO", "http"),
    ] {
        let error = parse_with(GOOD, &[(variable, value)]).expect_err(variable).to_string();
        assert!(error.contains(variable) && error.contains("enableServiceLinks: false"), "{error}");
    }
    let typo = parse_with(GOOD, &[("VIXEN_CLUSTER_WRITE_QUORUMS", "2")]).expect_err("a typo");
    let typo = typo.to_string();
    assert!(typo.contains("did you mean `VIXEN_CLUSTER_WRITE_QUORUM`? unset it, or"), "{typo}");
}

#[test]
fn no_override_is_called_like_a_variable_of_a_service() {
    let tables = [
        ("cluster", CLUSTER_KEYS),
        ("tls", TlsFiles::CLIENTS_KEYS),
        ("cluster-tls", TlsFiles::LINKS_KEYS),
        ("limits", Limits::KEYS),
        ("storage", Storage::KEYS),
        ("wamp", Wamp::KEYS),
        ("web", Web::KEYS),
        ("log", LOG_KEYS),
    ];
    for (table, keys) in tables {
        for key in keys {
            let variable = super::env::variable(table, key);
            assert!(!super::env::is_named_as_service_link(&variable), "{variable}");
        }
    }
}

#[test]
fn a_secret_comes_from_its_file_or_from_the_environment_instead() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("vixen.secret"), "from-a-file\n").expect("written");
    let file = dir.path().join("vixen.toml");
    let text = good_but("secret = \"a-long-secret\"", "secret-file = \"vixen.secret\"");
    let secret = |text: &str, pairs: &[(&str, &str)]| {
        Config::parse(text, &file, &env(pairs)).map(|config| shared(&config).clone())
    };
    assert_eq!(secret(&text, &[]).expect("good").as_bytes(), b"from-a-file");
    let from_env = secret(&text, &[("VIXEN_CLUSTER_SECRET", "from-the-environment")]);
    assert_eq!(from_env.expect("good").as_bytes(), b"from-the-environment");
    let from_file = secret(GOOD, &[("VIXEN_CLUSTER_SECRET_FILE", "vixen.secret")]);
    assert_eq!(from_file.expect("good").as_bytes(), b"from-a-file");
}

#[test]
fn tls_tables_name_files_beside_the_configuration() {
    assert_eq!(parse(GOOD).expect("good").tls, None);
    let tables = "[tls]\ncertificate-file = \"c.pem\"\nkey-file = \"/keys/k.pem\"\n\
                  [cluster-tls]\ncertificate-file = \"l.pem\"\nkey-file = \"lk.pem\"\n\
                  ca-file = \"ca.pem\"\n[log]";
    let config = parse(&good_but("[log]", tables)).expect("good");
    let files = |table, certificate: &str, key: &str, ca: Option<&str>| {
        let (certificate, key) = (certificate.into(), key.into());
        Some(TlsFiles { table, certificate, key, ca: ca.map(PathBuf::from) })
    };
    assert_eq!(config.tls, files("tls", "etc/c.pem", "/keys/k.pem", None));
    let links = files("cluster-tls", "etc/l.pem", "etc/lk.pem", Some("etc/ca.pem"));
    assert_eq!(config.cluster_tls, links);
}

#[test]
fn tls_may_come_from_the_environment_alone() {
    let both = [
        ("VIXEN_TLS_CERTIFICATE_FILE", "c.pem"),
        ("VIXEN_TLS_KEY_FILE", "k.pem"),
        ("VIXEN_CLUSTER_TLS_CERTIFICATE_FILE", "l.pem"),
        ("VIXEN_CLUSTER_TLS_KEY_FILE", "lk.pem"),
        ("VIXEN_CLUSTER_TLS_CA_FILE", "ca.pem"),
    ];
    let config = parse_with(GOOD, &both).expect("good");
    assert_eq!(config.tls.expect("given").key, Path::new("etc/k.pem"));
    assert_eq!(config.cluster_tls.expect("given").ca.as_deref(), Some(Path::new("etc/ca.pem")));
    let error = parse_with(GOOD, &both[..1]).expect_err("no key").to_string();
    assert!(error.contains("tls.key-file: is missing; set it to a path"), "{error}");
}

#[test]
fn a_secret_is_not_shown() {
    let config = parse(GOOD).expect("good");
    assert_eq!(format!("{:?}", shared(&config)), "…");
    assert!(!format!("{config:?}").contains("a-long-secret"));
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

#[test]
fn nodes_find_themselves_and_strangers_are_told_who_is_known() {
    let config = parse(GOOD).expect("good");
    assert_eq!(config.sync_member(&name("S1")).expect("listed").lane.index(), 0);
    let (id, member) = config.ndb_member(&name("D3")).expect("listed");
    assert_eq!(id, NdbId { group: GroupId(0), member: 2 });
    assert_eq!(config.ndb_name(id), Some(&member.id));
    assert_eq!(config.ndb_name(NdbId { group: GroupId(1), member: 0 }), None);
    assert_eq!(config.node_dir(&name("D3")), PathBuf::from("etc/data/D3"));

    let sync = config.sync_member(&name("S9")).expect_err("absent").to_string();
    assert!(sync.contains("sync.id: no node here is called `S9`; known are S1"), "{sync}");
    let ndb = config.ndb_member(&name("S1")).expect_err("another tier").to_string();
    assert_eq!(
        ndb,
        "etc/vixen.toml: S1 is a sync node: run `vixen-sync --config etc/vixen.toml --node S1`"
    );
    let tool = config.ndb_member(&name("S1")).expect_err("another tier").of_tool().to_string();
    assert_eq!(tool, "etc/vixen.toml: S1 is a sync node, and this is for ndb nodes: D1, D2, D3");
    let ndb = config.ndb_member(&name("D9")).expect_err("absent").to_string();
    assert!(ndb.contains("known are D1, D2, D3") && ndb.contains("[[ndb-group.member]]"), "{ndb}");
    let entry = config.sync_member(&name("E1")).expect_err("another tier").to_string();
    assert!(entry.contains("E1 is an entry node: run `vixen-entry "), "{entry}");
}

#[test]
fn an_entry_that_is_not_listed_only_needs_an_address() {
    let config = parse(GOOD).expect("good");
    let given: SocketAddr = "127.0.0.1:9999".parse().expect("an address");
    assert_eq!(config.entry_member(&name("E1"), None).expect("listed").listen.port(), 9031);
    assert_eq!(config.entry_member(&name("E1"), Some(given)).expect("listed").listen, given);
    assert_eq!(config.entry_member(&name("E7"), Some(given)).expect("joins").listen, given);
    let error = config.entry_member(&name("E7"), None).expect_err("no address").to_string();
    assert!(error.contains("entry.id: no node here is called `E7`; known are E1"), "{error}");
    assert!(error.contains("make E7 an entry without one by --listen"), "{error}");
    let error = config.entry_member(&name("S1"), Some(given)).expect_err("taken").to_string();
    assert!(error.contains("S1 is a sync node: run `vixen-sync"), "{error}");
    let error = config.entry_member(&name("D1"), None).expect_err("another tier").to_string();
    assert!(error.contains("D1 is an ndb node: run `vixen-ndb"), "{error}");
}

#[test]
fn nearcast_is_a_cluster_of_one_of_each() {
    let listen = "127.0.0.1:9031".parse().expect("an address");
    let config = Config::nearcast(PathBuf::from("vixen-data"), listen);
    assert_eq!((config.membership().quorum(), config.cluster.write_quorum), (1, 1));
    assert_eq!(config.sync_member(&name("S1")).expect("one").address, "memory");
    assert_eq!(config.ndb_member(&name("D1")).expect("one").0.member, 0);
    assert_eq!(config.entry_member(&name("E1"), None).expect("one").listen, listen);
}

fn nearcast_with(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let listen = "127.0.0.1:9031".parse().expect("an address");
    Config::nearcast_of(PathBuf::from("vixen-data"), listen, &env(pairs))
}

#[test]
fn the_environment_holds_for_nearcast_as_for_a_node() {
    let config = nearcast_with(&[
        ("VIXEN_LIMITS_MESSAGE_BYTES_MAX", "64KiB"),
        ("VIXEN_STORAGE_RETENTION_AGE", "30days"),
        ("VIXEN_STORAGE_DISK_RESERVE", "1MiB"),
        ("VIXEN_CLUSTER_DURABILITY", "memory"),
        ("VIXEN_CLUSTER_PUBLISH_TIMEOUT", "3s"),
        ("VIXEN_CLUSTER_DATA_DIR", "vixen-data"),
        ("VIXEN_WAMP_URI_CHECK", "strict"),
        ("VIXEN_WEB_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("VIXEN_LOG_FORMAT", "json"),
        ("VIXEN_ACCESS_OPEN", "true"),
    ])
    .expect("good");
    assert_eq!(config.limits.message_bytes_max, 64 << 10);
    assert_eq!(config.storage.retention_age, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(config.storage.disk_reserve, 1 << 20);
    assert!(!config.cluster.durability.is_fsync());
    assert_eq!(config.cluster.publish_timeout, Duration::from_secs(3));
    assert_eq!(config.wamp.uri_check, UriCheck::Strict);
    assert_eq!(config.web.trusted_proxies.0.len(), 1);
    assert_eq!((config.log.filter.as_str(), config.log.format), ("warn", LogFormat::Json));
    let unset = nearcast_with(&[]).expect("good");
    assert_eq!(unset.limits, Limits::default());
}

#[test]
fn what_means_nothing_to_nearcast_is_refused_by_its_variable() {
    for (variable, value, problem) in [
        ("VIXEN_LIMITS_FRAME", "x", "overrides no key"),
        ("VIXEN_LIMITS_FRAME_BYTES_MAX", "much", "cannot use `much`"),
        ("VIXEN_LIMITS_SEGMENT_BYTES_MAX", "1KiB", "a message must fit a segment"),
        ("VIXEN_STORAGE_SCRUB_PERIOD", "0s", "0 leaves no time"),
        ("VIXEN_CLUSTER_WRITE_QUORUM", "2", "has no effect on nearcast"),
        ("VIXEN_CLUSTER_SECRET_FILE", "x", "has no effect on nearcast"),
        ("VIXEN_CLUSTER_DATA_DIR", "/data", "nearcast keeps its data in vixen-data"),
        ("VIXEN_TLS_KEY_FILE", "x", "has no effect on nearcast"),
        ("VIXEN_CLUSTER_TLS_CA_FILE", "x", "has no effect on nearcast"),
        ("VIXEN_ACCESS_OPEN", "false", "nearcast is open"),
    ] {
        let error = nearcast_with(&[(variable, value)]).expect_err(variable).to_string();
        let key = variable.replacen("VIXEN_", "", 1).replacen('_', ".", 1);
        let key = key.replace('_', "-").to_lowercase();
        let is_named = error.contains(variable) || error.contains(&key);
        assert!(error.starts_with("nearcast: ") && is_named, "{variable}: {error}");
        assert!(error.contains(problem), "no {problem} in: {error}");
    }
}

#[test]
fn missing_arguments_are_refused_with_an_example() {
    let none = NodeArgs::default();
    let error = none.load_required("sync").expect_err("no file").to_string();
    assert!(error.contains("--config (VIXEN_CONFIG): is missing"), "{error}");
    assert!(error.contains("`vixen-sync --config vixen.toml --node S1`"), "{error}");
    let file = NodeArgs { config: Some("vixen.toml".into()), ..NodeArgs::default() };
    let error = file.load_required("ndb").expect_err("no node").to_string();
    assert!(error.contains("--node (VIXEN_NODE): is missing"), "{error}");
    let bad = NodeArgs { node: Some("a b".to_owned()), ..file };
    let error = bad.load_required("ndb").expect_err("bad name").to_string();
    assert!(error.contains("`a b` is no node name"), "{error}");
}

#[test]
fn each_tier_may_have_a_secret_of_its_own_and_needs_those_outside_it() {
    const THREE: &str = "entry-secret = \"for-entries\"\nndb-secret = \"for-ndb-nodes\"\n\
                         sync-secret = \"for-sync-nodes\"";
    let with = |secrets: &str| parse(&good_but("secret = \"a-long-secret\"", secrets));
    let three = with(THREE).expect("good");
    let between = |a, b| three.cluster.secrets.between(a, b).map(Secret::as_bytes);
    for (a, b, wanted) in [
        (Tier::Sync, Tier::Sync, "for-sync-nodes"),
        (Tier::Sync, Tier::Ndb, "for-ndb-nodes"),
        (Tier::Ndb, Tier::Ndb, "for-ndb-nodes"),
        (Tier::Entry, Tier::Sync, "for-entries"),
        (Tier::Ndb, Tier::Entry, "for-entries"),
    ] {
        assert_eq!(between(a, b), Some(wanted.as_bytes()), "{a} {b}");
    }
    assert!(three.sync_member(&name("S1")).is_ok());
    let entry = with("entry-secret = \"for-entries\"").expect("good");
    assert!(entry.entry_member(&name("E1"), None).is_ok());
    let error = entry.ndb_member(&name("D1")).expect_err("its secret is not there").to_string();
    assert!(error.contains("cluster.ndb-secret: is missing"), "{error}");
    let error = entry.sync_member(&name("S1")).expect_err("its secret is not there").to_string();
    assert!(error.contains("cluster.sync-secret: is missing, and a sync node"), "{error}");
    // One file for all, where each node has the files of its own secrets alone.
    let files =
        with("sync-secret-file = \"absent\"\nentry-secret = \"for-entries\"").expect("good");
    assert!(files.entry_member(&name("E1"), None).is_ok());
    let error = files.sync_member(&name("S1")).expect_err("not there").to_string();
    assert!(error.contains("sync-secret-file to a file that this user can read"), "{error}");
    let error = with("secret = \"a-long-secret\"\nentry-secret = \"a-long-secret\"");
    let error = error.expect_err("twice the same").to_string();
    assert!(error.contains("cluster.entry-secret: is also another secret"), "{error}");
}

#[test]
fn weak_secrets_and_those_that_a_node_does_not_need_are_told_and_not_shown() {
    let strong = "d3f0c1a95b7e4826d3f00a1b2c3d4e5f";
    let of = |secrets: &str, tier| {
        let config = parse(&good_but("secret = \"a-long-secret\"", secrets)).expect("good");
        config.secret_and_name_concerns(tier, &name("E1"), None)
    };
    let weak = of("secret = \"a-long-secret\"", Tier::Sync);
    assert!(weak[0].starts_with("cluster.secret looks like") && weak.len() == 1, "{weak:?}");
    assert!(!weak[0].contains("a-long"), "{weak:?}");
    assert_eq!(of(&format!("secret = \"{strong}\""), Tier::Entry), Vec::<String>::new());
    let both = format!("secret = \"{strong}\"\nentry-secret = \"{strong}00\"");
    assert_eq!(of(&both, Tier::Sync), Vec::<String>::new());
    let entry = of(&both, Tier::Entry);
    assert!(entry[0].contains("cluster.secret is in the file of an entry"), "{entry:?}");
}
