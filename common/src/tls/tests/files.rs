//! Files that cannot work are refused with file, key and fix.

use super::authority::{Authority, Folder};
use super::*;

fn refusal(folder: &Folder) -> String {
    let refused = Tls::load(&folder.files, SOON).expect_err("bad files");
    refused.to_string().replace(folder.path().to_str().expect("a path of the test"), "DIR")
}

/// What is written where, and what the error must say.
#[test]
fn bad_files_are_refused_with_file_key_and_fix() {
    let (ca, other) = (Authority::new("good"), Authority::new("other"));
    let (issued, stranger) = (ca.issue(HOST), other.issue(HOST));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n\
                     -----END ENCRYPTED PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = &issued.certificate[..issued.certificate.len() / 2];
    let bad: &[(&str, &str, &[&str])] = &[
        ("node.pem", "", &["DIR/node.pem: has no certificate (from cluster-tls.certificate-file)"]),
        ("node.pem", &issued.key, &["node.pem: has no certificate", "BEGIN CERTIFICATE"]),
        ("node.pem", cut, &["DIR/node.pem: is not PEM", "put the certificate there"]),
        ("node.pem", nonsense, &["DIR/node.pem: its first certificate is broken"]),
        (
            "node.pem",
            &stranger.certificate,
            &["DIR/node.key: is not the key of DIR/node.pem (from cluster-tls.key-file); give"],
        ),
        ("node.key", "", &["DIR/node.key: has no private key (from cluster-tls.key-file); put"]),
        ("node.key", encrypted, &["DIR/node.key: has no private key", "the unencrypted key"]),
        ("node.key", &stranger.key, &["DIR/node.key: is not the key of DIR/node.pem"]),
        ("ca.pem", "", &["DIR/ca.pem: has no certificate (from cluster-tls.ca-file); put"]),
        ("ca.pem", nonsense, &["DIR/ca.pem: is no authority"]),
        (
            "ca.pem",
            &other.pem,
            &[
                "DIR/node.pem: would be refused by peers with DIR/ca.pem",
                "UnknownIssuer (from cluster-tls.certificate-file); give",
            ],
        ),
    ];
    for (name, text, words) in bad {
        let folder = Folder::new(&issued, Some(&ca));
        folder.load();
        folder.write(name, text);
        let error = refusal(&folder);
        for word in *words {
            assert!(error.contains(word), "no {word:?} in: {error}");
        }
    }
}

#[test]
fn files_that_are_not_there_are_named_with_their_key() {
    let ca = Authority::new("good");
    for (name, key) in
        [("node.pem", "certificate-file"), ("node.key", "key-file"), ("ca.pem", "ca-file")]
    {
        let folder = Folder::new(&ca.issue(HOST), Some(&ca));
        std::fs::remove_file(folder.path().join(name)).expect("removed");
        let error = refusal(&folder);
        assert!(error.starts_with(&format!("DIR/{name}: cannot be read: No such file")), "{error}");
        let fix = format!("(from cluster-tls.{key}); name a file that this user can read");
        assert!(error.contains(&fix), "{error}");
    }
}

#[test]
fn a_certificate_that_no_peer_would_take_is_refused() {
    let ca = Authority::new("good");
    let expired = ca.issue_with(HOST, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let error = refusal(&Folder::new(&expired, Some(&ca)));
    assert!(error.contains("expired") && error.contains("valid now"), "{error}");
    let only_server = ca.issue_with(HOST, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let error = refusal(&Folder::new(&only_server, Some(&ca)));
    assert!(error.contains("both server and client authentication"), "{error}");
    // To clients an expired one can be shown: whether they take it is up to them.
    Folder::new(&expired, None).load();
}

#[test]
fn a_chain_with_an_intermediate_authority_is_good() {
    let ca = Authority::new("good");
    let (intermediate, issued) = ca.intermediate("between", HOST);
    let folder = Folder::new(&issued, Some(&ca));
    assert!(refusal(&folder).contains("UnknownIssuer"));
    folder.write("node.pem", &(issued.certificate.clone() + &intermediate));
    folder.load();
}
