//! `wamp-scram`, also called `scram`: SCRAM-SHA-256 in the fields of WAMP messages (WAMP spec,
//! *Salted Challenge Response Authentication*; RFC 5802, RFC 7677).
//!
//! Autobahn and Crossbar implement an early draft. Where it differs, both are served:
//!
//! | | specification | Autobahn, Crossbar |
//! |---|---|---|
//! | method | `wamp-scram` | `scram` |
//! | channel binding in the signed text | `c=biws` | `c=` |
//! | the server's proof in `authextra` | `verifier` | `scram_server_signature` |
//! | `nonce` in AUTHENTICATE | there | absent |
//! | Argon2 | `argon2id13`, keys of its bytes | `argon2id-13`, keys of its text |
//!
//! The last row is the configuration's choice: keys of one are no keys of the other.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use vixen_runtime::config::ScramConfig;

use super::challenge::Challenge;
use super::refusal::Refusal;
use super::request::Answer;
use super::stand_in::hmac_sha256;

/// The two ways to write "no channel binding": the header `n,,` of RFC 5802 in base64, and that of
/// the draft.
const NO_BINDING: [&str; 2] = ["biws", ""];

/// A login under way.
#[derive(Clone)]
pub(super) struct Expected {
    credential: ScramConfig,
    /// `client-first-message-bare,server-first-message`.
    messages: String,
    nonce: String,
}

/// The challenge, and what its answer is checked with.
pub(super) fn challenge(
    authid: &str,
    client_nonce: &str,
    server_nonce: &[u8],
    credential: ScramConfig,
) -> (Challenge, Expected) {
    let nonce = format!("{client_nonce}{}", STANDARD.encode(server_nonce));
    let salt = STANDARD.encode(&credential.salt);
    let iterations = credential.kdf.iterations();
    let messages =
        format!("n={},r={client_nonce},r={nonce},s={salt},i={iterations}", escaped(authid));
    let challenge = Challenge::Scram { nonce: nonce.clone(), salt, kdf: credential.kdf };
    (challenge, Expected { credential, messages, nonce })
}

impl Expected {
    /// Checks the client's proof. With it comes the server's, which is only of use when the client's is
    /// right.
    pub(super) fn verify(&self, answer: &Answer<'_>) -> Result<(Choice, String), Refusal> {
        if answer.is_bound {
            return Err(Refusal::ChannelBinding);
        }
        // The proof is over the nonce as well, so that an absent one is no loss.
        let is_ours = answer.nonce.is_none_or(|nonce| nonce == self.nonce);
        let proof: Option<[u8; 32]> =
            STANDARD.decode(answer.proof).ok().and_then(|proof| proof.try_into().ok());
        let Some(proof) = proof.filter(|_| is_ours) else { return Err(Refusal::Denied) };
        let mut is_right = Choice::from(0);
        let mut server_signature = [0; 32];
        for binding in NO_BINDING {
            let message = format!("{},c={binding},r={}", self.messages, self.nonce);
            let right = self.is_proof(&proof, &message);
            if right.into() {
                server_signature =
                    hmac_sha256(&self.credential.server_key.0, &[message.as_bytes()]);
            }
            is_right |= right;
        }
        Ok((is_right, STANDARD.encode(server_signature)))
    }

    /// RFC 5802 §3: a key that hashes to the stored one made the proof.
    fn is_proof(&self, proof: &[u8; 32], message: &str) -> Choice {
        let stored_key = &self.credential.stored_key.0;
        let mut client_key = hmac_sha256(stored_key, &[message.as_bytes()]);
        for (byte, proof) in client_key.iter_mut().zip(proof) {
            *byte ^= proof;
        }
        let recovered: [u8; 32] = Sha256::digest(client_key).into();
        recovered.ct_eq(stored_key)
    }
}

/// A name as it stands in the signed text: normalised (RFC 4013) where it can be, and with `=` and
/// `,` written out.
fn escaped(authid: &str) -> String {
    let name = stringprep::saslprep(authid).unwrap_or(Cow::Borrowed(authid));
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use vixen_runtime::config::Kdf;

    use super::*;
    use crate::auth::credential;

    /// The exchange of RFC 7677 §3, whose nonce is no base64 and so cannot come by HELLO.
    #[test]
    fn the_vector_of_rfc_7677_passes() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let kdf = Kdf::Pbkdf2 { iterations: 4096 };
        let credential = credential::scram("pencil", &salt, kdf).expect("a password");
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let messages =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let expected = Expected { credential, messages, nonce: nonce.to_owned() };
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let (is_right, server) = expected.verify(&Answer::of(proof)).expect("well formed");
        assert!(bool::from(is_right));
        assert_eq!(server, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let other = "eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let (is_right, _) = expected.verify(&Answer::of(other)).expect("well formed");
        assert!(!bool::from(is_right));
    }

    #[test]
    fn names_are_normalised_and_written_out() {
        assert_eq!(escaped("a=b,c"), "a=3Db=2Cc");
        assert_eq!(escaped("I\u{ad}X\u{2168}"), "IXIX");
        assert_eq!(escaped("bell\u{7}"), "bell\u{7}");
    }
}
