//! Files that cannot work are refused with file, key and fix.

use super::authority::{Authority, Folder};
use super::*;
use crate::clock::wall_time;

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
    // DER begins so, behind the first line.
    let garbled = issued.certificate.replacen("\nMII", "\nM*I", 1);
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    let bad: &[(&str, &str, &[&str])] = &[
        ("node.pem", "", &["DIR/node.pem: has no certificate (from cluster-tls.certificate-file)"]),
        ("node.pem", &issued.key, &["node.pem: has no certificate: it has a private key", "BEGIN"]),
        ("node.pem", request, &["node.pem: has no certificate: it is a request"]),
        (
            "node.pem",
            cut,
            &[
                "DIR/node.pem: is not PEM: it is cut short, without its line `-----END CERT",
                "put the certificate there",
            ],
        ),
        ("node.pem", &garbled, &["node.pem: is not PEM: its text was changed"]),
        ("node.key", &issued.certificate, &["node.key: has no private key: it has a certificate"]),
        ("node.pem", nonsense, &["DIR/node.pem: its first certificate is broken"]),
        (
            "node.pem",
            &stranger.certificate,
            &["DIR/node.key: is not the key of DIR/node.pem (from cluster-tls.key-file); give"],
        ),
        ("node.key", "", &["DIR/node.key: has no private key (from cluster-tls.key-file); put"]),
        (
            "node.key",
            encrypted,
            &[
                "node.key: has no private key: it is encrypted: `openssl pkey",
                "the unencrypted key",
            ],
        ),
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
fn a_chain_in_the_wrong_order_is_told_as_that() {
    let ca = Authority::new("good");
    let (intermediate, issued) = ca.intermediate("between", HOST);
    let folder = Folder::new(&issued, Some(&ca));
    folder.write("node.pem", &(intermediate + &issued.certificate));
    let error = refusal(&folder);
    let problem =
        "DIR/node.pem: its certificates are in the wrong order: the node's own is number 2";
    assert!(error.starts_with(problem), "{error}");
    assert!(error.contains("put the node's own certificate first"), "{error}");
}

#[test]
fn files_in_another_form_are_called_by_its_name() {
    let ca = Authority::new("good");
    let issued = ca.issue(HOST);
    let folder = Folder::new(&issued, Some(&ca));
    let write = |bytes: &[u8]| {
        std::fs::write(folder.path().join("node.pem"), bytes).expect("written");
    };
    write(&issued.der());
    assert!(refusal(&folder).contains("has no certificate: it is DER"), "{}", refusal(&folder));
    let utf_16 = format!("\u{feff}{}", issued.certificate);
    write(&utf_16.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    assert!(refusal(&folder).contains("has no certificate: it is UTF-16"), "{}", refusal(&folder));
    // Before UTF-8 it does no harm.
    write(format!("\u{feff}{}", issued.certificate).as_bytes());
    folder.load();
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
    let tls = Folder::new(&expired, None).load();
    let concerns = tls.concerns(wall_time());
    assert_eq!(concerns.len(), 1, "{concerns:?}");
    assert!(
        concerns[0].to_string().contains("certificate 1: expired 2020-01-01T00:00:00Z (from tls")
    );
    let early = ca.issue_with(HOST, |params| params.not_before = rcgen::date_time_ymd(2090, 1, 1));
    let concerns = Folder::new(&early, None).load().concerns(wall_time());
    assert_eq!(concerns[0].trouble, Trouble::NotYetValid(3_786_912_000));
    let now = Folder::new(&ca.issue(HOST), None).load().concerns(wall_time());
    assert_eq!(now, []);
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
