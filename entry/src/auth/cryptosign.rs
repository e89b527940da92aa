//! `cryptosign`: an Ed25519 signature of random bytes (WAMP spec, *Cryptosign-based
//! Authentication*).

use ed25519_dalek::{Signature, VerifyingKey};
use subtle::{Choice, ConstantTimeEq};

/// Signature and message.
const ANSWER_BYTES: usize = 96;

/// A login under way.
#[derive(Clone)]
pub(super) struct Expected {
    /// The client's key, whether any user has it or not.
    pub(super) public_key: [u8; 32],
    pub(super) challenge: [u8; 32],
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
