//! Secrets, and the files of TLS.

use super::*;

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
