//! What stands in for users that do not exist, so that they look like those that do.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use vixen_common::config::Secret;

/// Makes bytes that look random and are the same each time, for anyone with the cluster's secret.
#[derive(Clone)]
pub(super) struct StandIns {
    key: [u8; 32],
}

/// HMAC-SHA-256 of the parts, each with its length in front.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_any| unreachable!("HMAC takes keys of any length"));
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl StandIns {
    pub(super) fn new(secret: &Secret) -> Self {
        Self { key: hmac_sha256(secret.as_bytes(), &[b"vixen stand-ins of users, 1"]) }
    }

    /// 32 bytes for a purpose and the texts it depends on.
    pub(super) fn bytes(&self, purpose: &str, texts: &[&[u8]]) -> [u8; 32] {
        // Each text's digest has a fixed length: no two lists of texts run into the same bytes.
        let digests: Vec<_> = texts.iter().map(|text| hmac_sha256(&self.key, &[text])).collect();
        let parts: Vec<&[u8]> = std::iter::once(purpose.as_bytes())
            .chain(std::iter::once(&b"\0"[..]))
            .chain(digests.iter().map(|digest| &digest[..]))
            .collect();
        hmac_sha256(&self.key, &parts)
    }

    /// As many bytes as are wanted.
    pub(super) fn stream(&self, purpose: &str, texts: &[&[u8]], len: usize) -> Vec<u8> {
        let seed = self.bytes(purpose, texts);
        (0_u64..).flat_map(|block| hmac_sha256(&seed, &[&block.to_be_bytes()])).take(len).collect()
    }

    /// A salt in the likeness of `model`: hex if it is hex, else letters for letters and digits for
    /// digits.
    pub(super) fn salt_like(&self, model: &str, texts: &[&[u8]]) -> String {
        let is_hex = model.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bytes = self.stream("salt", texts, model.len());
        let mut likeness = String::with_capacity(model.len());
        for (c, byte) in model.chars().zip(bytes) {
            let (first, count) = match c {
                _ if is_hex => {
                    likeness.push(char::from(b"0123456789abcdef"[usize::from(byte % 16)]));
                    continue;
                }
                '0'..='9' => (b'0', 10),
                'a'..='z' => (b'a', 26),
                'A'..='Z' => (b'A', 26),
                other => {
                    likeness.push(other);
                    continue;
                }
            };
            likeness.push(char::from(first + byte % count));
        }
        likeness
    }
}
