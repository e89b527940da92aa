//! What is wrong with a PEM file, in words that say what it is instead.

use tokio_rustls::rustls::pki_types::pem;

/// What a file should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// At least one certificate.
    Certificate,
    /// A private key.
    Key,
}

/// What some editors put before the text; it means nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without a byte order mark.
pub(super) fn plain(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Why `text` does not give what is wanted: the first half of a sentence about the file.
pub(super) fn problem_of(error: &pem::Error, text: &[u8], wanted: Wanted) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let kind = String::from_utf8_lossy(end_marker);
            format!("is not PEM: it is cut short, without its line `-----END {}-----`", kind.trim())
        }
        pem::Error::IllegalSectionStart { line } => {
            let line = String::from_utf8_lossy(line);
            format!("is not PEM: it has a broken line `{}`", line.trim())
        }
        pem::Error::Base64Decode(problem) => {
            format!("is not PEM: its text was changed, or lines are missing ({problem})")
        }
        pem::Error::NoItemsFound => nothing_found(text, wanted),
        other => format!("is not PEM: {other}"),
    }
}

fn nothing_found(text: &[u8], wanted: Wanted) -> String {
    let has = |words: &str| text.windows(words.len()).any(|found| found == words.as_bytes());
    let lacks = match wanted {
        Wanted::Certificate => "has no certificate",
        Wanted::Key => "has no private key",
    };
    let instead = match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16: save it as UTF-8 or ASCII",
        // A SEQUENCE of at least 128 bytes.
        [0x30, 0x81..=0x84, ..] => "it is DER or PKCS #12: convert it with openssl",
        _ if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") && wanted == Wanted::Key => {
            "it is encrypted: `openssl pkey -in FILE` decrypts it"
        }
        _ if has("PRIVATE KEY-----") && wanted == Wanted::Certificate => "it has a private key",
        _ if has("-----BEGIN CERTIFICATE REQUEST-----") => "it is a request for a certificate",
        _ if has("-----BEGIN CERTIFICATE-----") && wanted == Wanted::Key => "it has a certificate",
        _ => return lacks.to_owned(),
    };
    format!("{lacks}: {instead}")
}
