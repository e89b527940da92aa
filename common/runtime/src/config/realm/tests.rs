//! Good and bad `[[realm]]` tables, and that the documents know every key.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::super::{Config, ConfigError};
use super::*;

const CLUSTER: &str = r#"
[cluster]
name = "test"
secret = "a-long-secret"
data-dir = "data"
write-quorum = 1
[[sync]]
id = "S1"
lane = 0
address = "127.0.0.1:9041"
[[ndb-group]]
[[ndb-group.member]]
id = "D1"
address = "127.0.0.1:9051"
"#;

const KEY_A: &str = "545efb0a2192db8d43f118e9bf9aee081466e1ef36c708b96ee6f62dddad9122";
const KEY_B: &str = "1adfc8bfe1d35616e64dffbd900096f23b066f914c8c2ffbb66f6075b96e116d";

/// One of everything.
const GOOD: &str = r#"
[[realm]]
name = "realm1"
auth-timeout = "500ms"
auth-cache = "0s"

[[realm.role]]
name = "sensor"
[[realm.role.permission]]
uri = "plant.*"
publish = true
disclose-publisher = "always"
[[realm.role.permission]]
uri = "plant..secret"
match = "wildcard"
subscribe = true
call = true
register = true
disclose-caller = "always"
disclose-callee = false

[[realm.role]]
name = "guest"
authorizer = "com.example.may"

[[realm.role]]
name = "decider"
[[realm.role.permission]]
uri = "com.example.may"
register = true

[[realm.user]]
authid = "joe"
role = "sensor"
ticket = "ticket-of-joe"

[[realm.user]]
authid = "peter"
role = "sensor"
[realm.user.wampcra]
secret = "prq7+YkJ1/KlW1X0YczMHw=="
salt = "salt123"
iterations = 100
keylen = 16

[[realm.user]]
authid = "anna"
role = "guest"
[realm.user.scram]
kdf = "argon2id13"
iterations = 4096
memory = 512
salt = "accbedd9ab79b0b2"
stored-key = "0101010101010101010101010101010101010101010101010101010101010101"
server-key = "0202020202020202020202020202020202020202020202020202020202020202"

[[realm.user]]
authid = "robot"
role = "guest"
[realm.user.cryptosign]
authorized-keys = ["545efb0a2192db8d43f118e9bf9aee081466e1ef36c708b96ee6f62dddad9122"]

[realm.anonymous]
role = "guest"

[[realm]]
name = "realm2"
[realm.anonymous]
role = "all"
[[realm.role]]
name = "all"
[[realm.role.permission]]
uri = "*"
publish = true
subscribe = true

[[realm]]
name = "realm3"
authenticator = "com.example.login"
[realm.anonymous]
role = "decider"
[[realm.role]]
name = "decider"
[[realm.role.permission]]
uri = "com.example.login"
register = true
"#;

fn parse_at(realms: &str, file: &Path) -> Result<Vec<RealmConfig>, ConfigError> {
    let text = format!("{CLUSTER}{realms}");
    Config::parse(&text, file, &BTreeMap::new()).map(|config| config.realms)
}

fn parse(realms: &str) -> Result<Vec<RealmConfig>, ConfigError> {
    parse_at(realms, Path::new("etc/vixen.toml"))
}

/// `GOOD` with one piece replaced, which must be there exactly once.
fn good_but(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    GOOD.replace(from, to)
}

#[test]
fn realms_are_read_with_defaults_for_what_they_leave_out() {
    let realms = parse(GOOD).expect("good");
    let [one, two, three] = realms.as_slice() else { panic!("three realms: {realms:?}") };
    assert_eq!((one.name.as_str(), one.anonymous.as_deref()), ("realm1", Some("guest")));
    assert_eq!((two.name.as_str(), two.users.len()), ("realm2", 0));
    assert_eq!(three.authenticator.as_deref(), Some("com.example.login"));
    assert_eq!((one.auth_timeout, one.auth_cache), (Duration::from_millis(500), Duration::ZERO));
    assert_eq!(one.roles[0].authorizer, None);
    assert_eq!(one.roles[1].authorizer.as_deref(), Some("com.example.may"));
    let defaults = (Duration::from_secs(2), Duration::from_secs(10));
    assert_eq!((two.auth_timeout, two.auth_cache), defaults);
    assert_eq!(two.authenticator, None);
    let permission = |uri: &str, matching, publish, subscribe, disclose_publisher| {
        let uri = uri.to_owned();
        PermissionConfig {
            uri,
            matching,
            publish,
            subscribe,
            disclose_publisher,
            call: false,
            register: false,
            disclose_caller: Disclosure::Never,
            disclose_callee: true,
        }
    };
    let secret = permission("plant..secret", Match::Wildcard, false, true, Disclosure::OnRequest);
    let secret = PermissionConfig {
        call: true,
        register: true,
        disclose_caller: Disclosure::Always,
        disclose_callee: false,
        ..secret
    };
    let plant = permission("plant.", Match::Prefix, true, false, Disclosure::Always);
    assert_eq!(one.roles[0].permissions, [plant, secret]);
    assert_eq!(one.roles[1].permissions, []);
    let everything = permission("", Match::Prefix, true, true, Disclosure::OnRequest);
    assert_eq!(two.roles[0].permissions, [everything]);
    let credentials: Vec<_> = one.users.iter().map(|user| user.credential.clone()).collect();
    let text = |text| Secret::new(text).expect("long enough");
    let mut robot = [0; 32];
    hex::decode_to_slice(KEY_A, &mut robot).expect("hex");
    let kdf = Kdf::Argon2id13 { iterations: 4096, memory_kib: 512, output: Argon2Output::Bytes };
    let expected = [
        Credential::Ticket(text("ticket-of-joe")),
        Credential::WampCra {
            secret: text("prq7+YkJ1/KlW1X0YczMHw=="),
            salting: Some(Salting { salt: "salt123".to_owned(), iterations: 100, key_bytes: 16 }),
        },
        Credential::Scram(ScramConfig {
            kdf,
            salt: hex::decode("accbedd9ab79b0b2").expect("hex"),
            stored_key: SecretKey([1; 32]),
            server_key: SecretKey([2; 32]),
        }),
        Credential::Cryptosign(vec![robot]),
    ];
    assert_eq!(credentials, expected);
}

#[test]
fn a_file_without_realms_is_good() {
    assert_eq!(parse("").expect("good"), []);
}

/// Bad files: what is replaced, by what, the key and the fix that the error must give.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("name = \"realm1\"", "", "realm[0].name: is missing", "a URI"),
    ("\"realm1\"", "\"a b\"", "realm[0].name: cannot use `a b`", "a URI"),
    ("\"realm1\"", "\"realm2\"", "realm[1].name: `realm2` is also in realm[0]", "of its own"),
    ("name = \"guest\"", "name = \"sensor\"", "realm[0].role[1].name: `sensor` is", "of its own"),
    ("name = \"guest\"", "name = \"\"", "realm[0].role[1].name: is empty", "1 to 256 bytes"),
    ("name = \"guest\"", "nam = \"x\"", "realm[0].role[1].nam:", "name, permission"),
    (
        "authorizer = \"com.example.may\"",
        "authorizer = \"wamp.x\"",
        "role[1].authorizer: cannot use `wamp.x`",
        "a procedure",
    ),
    (
        "authenticator = \"com.example.login\"",
        "authenticator = \"a b\"",
        "realm[2].authenticator: cannot use `a b`",
        "a procedure",
    ),
    (
        "uri = \"com.example.may\"",
        "uri = \"com.example.*\"",
        "realm[0].role[1].authorizer: nobody may register `com.example.may`",
        "uri = \"com.example.may\" and register = true",
    ),
    (
        "uri = \"com.example.login\"\nregister = true",
        "uri = \"com.example.login\"\ncall = true",
        "realm[2].authenticator: nobody may register `com.example.login`",
        "uri = \"com.example.login\" and register = true",
    ),
    (
        "name = \"realm1\"",
        "name = \"realm1\"\nauthenticator = \"com.example.may\"",
        "realm[0].authenticator: is never asked, as user `joe` has a ticket",
        "give that user another credential, or remove authenticator",
    ),
    ("\"500ms\"", "\"0s\"", "realm[0].auth-timeout: 0 leaves no time", "at least"),
    ("\"500ms\"", "7", "realm[0].auth-timeout: cannot use `7`", "a duration"),
    ("\"500ms\"", "\"999us\"", "realm[0].auth-timeout: is no time", "between \"1ms\" and \"1m\""),
    ("\"500ms\"", "\"61s\"", "realm[0].auth-timeout: is no time", "between \"1ms\" and \"1m\""),
    ("\"0s\"", "\"25h\"", "realm[0].auth-cache: is longer", "\"1day\" at most"),
    (
        "authenticator = \"com.example.login\"",
        "authenticator = \"com.example.login\"\nauth-cache = \"1s\"",
        "realm[2].auth-cache: stands where no authorizer is asked",
        "add authorizer to",
    ),
    (
        "name = \"realm2\"",
        "name = \"realm2\"\nauth-timeout = \"1s\"",
        "realm[1].auth-timeout: stands where nobody is asked",
        "add authenticator",
    ),
    ("publish = true\ndisclose", "calls = true\ndisclose", "permission[0].calls:", "uri, match"),
    ("publish = true\ndisclose", "publish = \"yes\"\ndisclose", "cannot use `yes`", "true or"),
    ("publish = true\ndisclose", "disclose", "disclose-publisher: stands", "publish = true"),
    ("call = true\n", "", "permission[1].disclose-caller: stands", "call = true"),
    (
        "register = true\ndisclose",
        "disclose",
        "permission[1].disclose-callee: stands",
        "register = true",
    ),
    ("caller = \"always\"", "caller = 1", "disclose-caller: cannot use `1`", "\"on-request\" or"),
    ("callee = false", "callee = 1", "disclose-callee: cannot use `1`", "true or"),
    (
        "publisher = \"always\"",
        "publisher = true",
        "disclose-publisher: cannot use `true`",
        "\"on-request\" or",
    ),
    ("uri = \"plant.*\"", "", "realm[0].role[0].permission[0].uri: is missing", "a pattern"),
    ("\"plant.*\"", "\"plant.\"", "permission[0].uri: `plant.` matches no", "or set match"),
    ("\"wildcard\"", "\"regex\"", "permission[1].match: cannot use `regex`", "\"prefix\" or"),
    (
        "uri = \"plant..secret\"\nmatch = \"wildcard\"",
        "uri = \"plant.\"\nmatch = \"prefix\"",
        "realm[0].role[0].permission[1].uri: `plant.` is also in realm[0].role[0].permission[0]",
        "one permission for each pattern",
    ),
    ("authid = \"joe\"", "", "realm[0].user[0].authid: is missing", "1 to 256 bytes"),
    ("\"joe\"", "\"peter\"", "realm[0].user[1].authid: `peter` is also in realm[0].user[0]", "own"),
    (
        "authid = \"joe\"\nrole = \"sensor\"",
        "authid = \"joe\"\nrole = \"boss\"",
        "realm[0].user[0].role: the realm has no role `boss`",
        "use one of: sensor, guest",
    ),
    ("role = \"all\"", "role = \"x\"", "realm[1].anonymous.role: the realm has no", "of: all"),
    ("role = \"all\"", "", "realm[1].anonymous.role: is missing", "1 to 256 bytes"),
    (
        "[realm.anonymous]\nrole = \"all\"",
        "",
        "realm[1].user: nobody can log in",
        "add [[realm.user]] or [realm.anonymous]",
    ),
    (
        "ticket = \"ticket-of-joe\"",
        "",
        "realm[0].user[0].ticket: is missing",
        "one of ticket, wampcra, scram and cryptosign",
    ),
    (
        "ticket = \"ticket-of-joe\"",
        "ticket = \"ticket-of-joe\"\nwampcra.secret = \"another-secret\"",
        "realm[0].user[0].wampcra: stands beside ticket",
        "keep one of",
    ),
    (
        "ticket = \"ticket-of-joe\"",
        "ticket = \"ticket-of-joe\"\nticket-file = \"x\"",
        "realm[0].user[0].ticket: stands beside ticket-file",
        "remove one",
    ),
    (
        "ticket = \"ticket-of-joe\"",
        "ticket-file = \"no-such-file\"",
        "etc/no-such-file: cannot be read",
        "realm.user.ticket-file must name",
    ),
    ("\"ticket-of-joe\"", "\"short\"", "user[0].ticket: has fewer than 8", "use a longer one"),
    ("salt = \"salt123\"\n", "", "realm[0].user[1].wampcra.salt: is missing", "add the salt"),
    ("keylen = 16", "", "wampcra.secret: is no key of 32 bytes", "vixen-entry passwd"),
    ("keylen = 16", "keylen = 0", "wampcra.keylen: cannot use `0`", "between 16 and"),
    ("iterations = 100", "iterations = 0", "wampcra.iterations: cannot use `0`", "between 1 and"),
    ("\"argon2id13\"", "\"scrypt\"", "scram.kdf: cannot use `scrypt`", "\"argon2id13\", "),
    ("\"argon2id13\"", "\"pbkdf2\"", "scram.memory: is nothing that pbkdf2", "remove it"),
    ("memory = 512", "", "realm[0].user[2].scram.memory: is missing", "the KiB"),
    ("memory = 512", "memory = 7", "scram.memory: cannot use `7`", "between 8 and"),
    ("iterations = 4096", "", "scram.iterations: is missing", "a whole number"),
    ("iterations = 4096", "iterations = 4294967296", "iterations: cannot use `42", "between 1"),
    ("\"accbedd9ab79b0b2\"", "\"accb\"", "scram.salt: cannot use `accb`", "8 to 64 bytes in hex"),
    ("kdf = ", "stored-key-file = \"x\"\nkdf = ", "stored-key: stands beside", "remove one"),
    ("[\"545", "[\"045", "cryptosign.authorized-keys: cannot use `a list`", "each 32 bytes in hex"),
    ("[\"545", "[\"5", "cryptosign.authorized-keys: cannot use `a list`", "each 32 bytes in hex"),
];

#[test]
fn bad_realms_are_refused_with_file_key_and_fix() {
    for (from, to, key, fix) in BAD {
        let error = parse(&good_but(from, to)).expect_err(to).to_string();
        assert!(error.starts_with("etc/"), "no file in: {error}");
        assert!(error.contains(key), "no key {key} in: {error}");
        assert!(error.contains(fix), "no fix {fix} in: {error}");
    }
}

#[test]
fn a_public_key_belongs_to_one_user() {
    let twice = format!(
        "[\"{KEY_B}\", \"{KEY_A}\"]\n[[realm.user]]\nauthid = \"r2\"\nrole = \"guest\"\ncryptosign.authorized-keys = [\"{KEY_A}\"]"
    );
    let error = parse(&good_but(&format!("[\"{KEY_A}\"]"), &twice)).expect_err("twice").to_string();
    assert!(error.contains("realm[0].user[4].cryptosign.authorized-keys: `545efb"), "{error}");
    assert!(error.contains("is also in realm[0].user[3]"), "{error}");
}

#[test]
fn keys_that_prove_nothing_are_refused() {
    // The neutral element, of which anyone can make signatures.
    let weak = format!("01{}", "00".repeat(31));
    let error = parse(&good_but(KEY_A, &weak)).expect_err("weak").to_string();
    assert!(error.contains("authorized-keys"), "{error}");
}

#[test]
fn no_error_shows_a_secret() {
    let table = [
        ("\"ticket-of-joe\"", "1234567890123"),
        ("\"ticket-of-joe\"", "\"1234567\""),
        ("\"prq7+YkJ1/KlW1X0YczMHw==\"", "\"1234567890123\""),
        ("\"prq7+YkJ1/KlW1X0YczMHw==\"", "1234567890123"),
        ("stored-key = \"01", "stored-key = \"1234567"),
        ("server-key = \"02", "server-key = \"1234567"),
    ];
    for (from, to) in table {
        let error = parse(&good_but(from, to)).expect_err(to);
        assert!(!error.to_string().contains("1234567"), "{error}");
        assert!(!format!("{error:?}").contains("1234567"), "{error:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", parse(GOOD).expect("good"));
    for secret in ["ticket-of-joe", "prq7+YkJ1", "[1, 1,", "[2, 2,", "0101"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("joe.ticket"), "ticket-from-a-file\r\n").expect("written");
    std::fs::write(dir.path().join("anna.key"), format!("{}\n", "07".repeat(32))).expect("written");
    let text = good_but("ticket = \"ticket-of-joe\"", "ticket-file = \"joe.ticket\"");
    let stored_key = format!("stored-key = \"{}\"", "01".repeat(32));
    let text = text.replace(&stored_key, "stored-key-file = \"anna.key\"");
    let realms = parse_at(&text, &dir.path().join("vixen.toml")).expect("good");
    let users = &realms[0].users;
    let ticket = Secret::new("ticket-from-a-file").expect("long enough");
    assert_eq!(users[0].credential, Credential::Ticket(ticket));
    let Credential::Scram(scram) = &users[2].credential else { panic!("{users:?}") };
    assert_eq!(scram.stored_key, SecretKey([7; 32]));
}

#[test]
fn the_documents_know_every_key() {
    let example = include_str!("../../../../../deploy/vixen.toml");
    let guide = include_str!("../../../../../docs/operations.md");
    let tables = [
        ("realm", REALM_KEYS),
        ("realm.role", ROLE_KEYS),
        ("realm.role.permission", PERMISSION_KEYS),
        ("realm.user", USER_KEYS),
        ("realm.user.wampcra", WAMPCRA_KEYS),
        ("realm.user.scram", SCRAM_KEYS),
        ("realm.user.cryptosign", CRYPTOSIGN_KEYS),
        ("realm.anonymous", ANONYMOUS_KEYS),
        ("realm.quota", QUOTA_KEYS),
        ("realm.role.quota", QUOTA_KEYS),
    ];
    for (table, keys) in tables {
        for key in keys {
            let header = format!("[{table}.{key}]");
            let is_table = example.contains(&header);
            let row = format!("| `{table}.{key}` |");
            assert!(is_table || guide.contains(&row), "docs/operations.md has no row {row}");
            let is_shown = example.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" ="))
            });
            assert!(is_table || is_shown, "deploy/vixen.toml does not show {table}.{key}");
        }
    }
}

/// As the file says: one # less on each line of it, and `open` taken away.
#[test]
fn the_example_realm_is_good_once_its_marks_are_taken_off() {
    let example = include_str!("../../../../../deploy/vixen.toml");
    let start = example.find("# [[realm]]").expect("the example has a realm");
    let end = start + example[start..].find("\n\n").expect("the next table after it");
    let lines = example[start..end].lines().map(|line| {
        let line = line.strip_prefix('#').unwrap_or_else(|| panic!("no comment: {line}"));
        line.strip_prefix(' ').unwrap_or(line)
    });
    let realm: String = lines.map(|line| format!("{line}\n")).collect();
    let file = format!("{}{realm}{}", &example[..start], &example[end..]);
    assert_eq!(file.matches("\nopen = true\n").count(), 1);
    let file = file.replace("\nopen = true\n", "\n");
    let config = Config::parse(&file, Path::new("deploy/vixen.toml"), &BTreeMap::new());
    let config = config.unwrap_or_else(|error| panic!("{error}\n{realm}"));
    config.check_access().unwrap_or_else(|error| panic!("{error}"));
    let [realm] = &config.realms[..] else { panic!("{:?}", config.realms) };
    assert_eq!((realm.users.len(), realm.roles.len()), (4, 2));
}
