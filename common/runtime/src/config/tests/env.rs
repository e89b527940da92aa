//! What the environment overrides, at a node and at nearcast.

use super::*;

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
            let variable = super::super::env::variable(table, key);
            assert!(!super::super::env::is_named_as_service_link(&variable), "{variable}");
        }
    }
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

fn nearcast_file(text: &str, pairs: &[(&str, &str)]) -> Result<Config, String> {
    let at = (PathBuf::from("vixen-data"), SocketAddr::from(([127, 0, 0, 1], 9031)));
    let config = Config::nearcast_parse(text, Path::new("single.toml"), at, &env(pairs));
    config.map_err(|error| error.to_string())
}

#[test]
fn a_file_gives_nearcast_realms_and_the_tables_of_any_node() {
    const REALM: &str =
        "[[realm]]\nname = \"r\"\nanonymous.role = \"any\"\n[[realm.role]]\nname = \"any\"\n";
    let more = "[limits]\nsessions-max = 7\nsessions-per-address-max = 7\n[cluster]\ndurability = \"memory\"\n";
    let config = nearcast_file(&format!("{REALM}{more}"), &[]).expect("good");
    assert_eq!(
        (config.realms.len(), config.access.open, config.limits.sessions_max),
        (1, false, 7)
    );
    assert_eq!((config.cluster.durability, config.cluster.write_quorum), (Durability::Memory, 1));
    assert_eq!((config.sync.len(), config.entries.len()), (1, 1));
    let open = nearcast_file("", &[("VIXEN_ACCESS_OPEN", "true")]).expect("good");
    assert!(open.access.open && open.realms.is_empty());
    let both = format!("{REALM}[access]\nopen = true\n");
    for (text, words) in [
        ("", "single.toml: access.open: nobody may use the entry"),
        (both.as_str(), "access.open: lets everybody do everything"),
        ("[[sync]]\nid = \"S1\"\n", "sync: describes nodes of a cluster, and without --node"),
        (EXAMPLE, "say by --node ID which of the nodes this is"),
        ("[cluster]\nname = \"x\"\n", "cluster.name: is not a key of this table"),
        ("[tls]\nkey-file = \"x\"\n", "tls: is not a key of this table"),
        ("[[realm]]\nname = \"r\"\n", "realm[0].user: nobody can log in here"),
        ("x", "not TOML"),
    ] {
        let error = nearcast_file(text, &[]).expect_err(text);
        assert!(error.contains(words), "{error}");
    }
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
