//! `cryptosign`: an Ed25519 signature of random bytes (WAMP spec, *Cryptosign-based
//! Authentication*).

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Map, Value};
use subtle::{Choice, ConstantTimeEq};

use super::hello::Details;
use super::refusal::Refusal;

/// Signature and message.
const ANSWER_BYTES: usize = 96;

/// A login under way.
#[derive(Clone)]
pub(super) struct Expected {
    /// The client's key, whether any user has it or not.
    public_key: [u8; 32],
    challenge: [u8; 32],
}

/// The client's public key from HELLO.
pub(super) fn public_key(details: &Details<'_>) -> Result<[u8; 32], Refusal> {
    details.refuse_channel_binding()?;
    let mut key = [0; 32];
    details
        .extra_text("pubkey", "HELLO.Details.authextra.pubkey")?
        .and_then(|text| hex::decode_to_slice(text, &mut key).ok())
        .ok_or(Refusal::Incomplete("authextra.pubkey: an Ed25519 public key, 32 bytes in hex"))?;
    Ok(key)
}

/// The `Extra` of CHALLENGE, and what its answer is checked with.
pub(super) fn challenge(
    public_key: [u8; 32],
    challenge: [u8; 32],
) -> (Map<String, Value>, Expected) {
    let mut extra = Map::new();
    extra.insert("challenge".to_owned(), hex::encode(challenge).into());
    extra.insert("channel_binding".to_owned(), Value::Null);
    (extra, Expected { public_key, challenge })
}

impl Expected {
    /// Checks the signature and the message behind it, both in hex.
    pub(super) fn verify(&self, answer: &str) -> Choice {
        let mut bytes = [0; ANSWER_BYTES];
        if hex::decode_to_slice(answer, &mut bytes).is_err() {
            return Choice::from(0);
        }
        let (signature, message) = bytes.split_at(Signature::BYTE_SIZE);
        let is_ours = message.ct_eq(&self.challenge);
        // Strict: one message has one signature, and none is good for many keys.
        let is_signed = VerifyingKey::from_bytes(&self.public_key)
            .and_then(|key| key.verify_strict(&self.challenge, &Signature::from_slice(signature)?))
            .is_ok();
        is_ours & Choice::from(u8::from(is_signed))
    }
}
