//! What stands in for users that do not exist, so that they look like those that do; and the key of numbers that clients
//! see.
//!
//! Salts of theirs are told to anybody who asks, and must be the same at all entries and after every
//! restart. So they are keyed by what all entries know, and a key that one guess at the secret of
//! the cluster makes quickly would let anybody test guesses at home. It is made by Argon2id, once.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use vixen_runtime::config::Secret;

use super::credential::argon2id;

/// What a guess at the secret costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    iterations: u32,
    memory_kib: u32,
}

impl Cost {
    /// RFC 9106 §4, second choice, with one lane: some tenths of a second, and 64 MiB, once.
    const SHIPPED: Self = Self { iterations: 3, memory_kib: 65_536 };
    /// For tests that are about other things.
    #[cfg(test)]
    pub(super) const LOW: Self = Self { iterations: 1, memory_kib: 64 };
}

/// Makes bytes that look random and are the same each time, for anyone with the secret of entries.
pub(super) struct StandIns {
    secret: Secret,
    cost: Cost,
    key: OnceLock<[u8; 32]>,
}

/// The key of all stand-ins.
fn derive(secret: &[u8], cost: Cost) -> [u8; 32] {
    key_of(secret, b"vixen stand-ins of users, 2", cost)
}

/// A key for numbers that clients see, and that are the same at all entries.
pub(crate) fn number_key(secret: &Secret) -> [u8; 32] {
    key_of(secret.as_bytes(), b"vixen ids of subscriptions, 1", Cost::SHIPPED)
}

/// Another purpose than any other use of the secret has another salt.
fn key_of(secret: &[u8], salt: &[u8], cost: Cost) -> [u8; 32] {
    argon2id(secret, salt, cost.iterations, cost.memory_kib)
        .unwrap_or_else(|_any| unreachable!("Argon2 takes these costs, and this salt"))
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
        Self::with_cost(secret, Cost::SHIPPED)
    }

    pub(super) fn with_cost(secret: &Secret, cost: Cost) -> Self {
        Self { secret: secret.clone(), cost, key: OnceLock::new() }
    }

    /// Makes the key, which takes a while, unless it is there. Where no realm has users none is wanted.
    pub(super) fn prepare(&self) {
        let _made = self.key();
    }

    fn key(&self) -> &[u8; 32] {
        self.key.get_or_init(|| derive(self.secret.as_bytes(), self.cost))
    }

    /// 32 bytes for a purpose and the texts it depends on.
    pub(super) fn bytes(&self, purpose: &str, texts: &[&[u8]]) -> [u8; 32] {
        // Each text's digest has a fixed length: no two lists of texts run into the same bytes.
        let digests: Vec<_> = texts.iter().map(|text| hmac_sha256(self.key(), &[text])).collect();
        let parts: Vec<&[u8]> = std::iter::once(purpose.as_bytes())
            .chain(std::iter::once(&b"\0"[..]))
            .chain(digests.iter().map(|digest| &digest[..]))
            .collect();
        hmac_sha256(self.key(), &parts)
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

#[cfg(test)]
mod tests {
    use vixen_runtime::config::Config;

    use super::*;

    fn secret() -> Secret {
        let config = Config::nearcast("unused".into(), ([127, 0, 0, 1], 0).into());
        let secret = config.cluster.secrets.of(vixen_core::tier::Tier::Entry);
        secret.expect("nearcast has one").clone()
    }

    /// Salts of unknown users are in every challenge: whoever makes them from a guess at the secret
    /// without the slow step can test guesses at home.
    #[test]
    fn what_a_challenge_shows_is_not_made_from_the_secret_by_a_fast_step() {
        let (secret, texts) = (secret(), [&b"realm1"[..], b"nobody"]);
        let shown = StandIns::new(&secret).stream("salt", &texts, 16);
        let keyed_by = |key: [u8; 32]| {
            let stand_ins = StandIns::new(&secret);
            assert_eq!(stand_ins.key.set(key), Ok(()));
            stand_ins.stream("salt", &texts, 16)
        };
        for label in [&b""[..], b"vixen stand-ins of users, 1", b"vixen stand-ins of users, 2"] {
            assert_ne!(keyed_by(hmac_sha256(secret.as_bytes(), &[label])), shown);
        }
        assert_ne!(keyed_by(derive(secret.as_bytes(), Cost::LOW)), shown, "by a cheaper step");
        // The control: with the slow one it is, at each entry and after each restart.
        assert_eq!(keyed_by(derive(secret.as_bytes(), Cost::SHIPPED)), shown);
    }

    #[test]
    fn the_shipped_cost_is_that_of_rfc_9106() {
        assert_eq!(Cost::SHIPPED, Cost { iterations: 3, memory_kib: 64 << 10 });
    }
}
