//! What a client is asked to prove, in words of no protocol.

use vixen_runtime::config::{Kdf, Salting};

/// A challenge of each method that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The secret itself is wanted.
    Ticket,
    /// A keyed hash of this text is wanted.
    WampCra {
        /// The text.
        text: String,
        /// How the client makes the key of its password, where it does.
        salting: Option<Salting>,
    },
    /// A proof of SCRAM is wanted.
    Scram {
        /// Of both.
        nonce: String,
        /// In base64.
        salt: String,
        /// What makes keys of the password.
        kdf: Kdf,
    },
    /// A signature of these bytes is wanted.
    Cryptosign {
        /// Random.
        bytes: [u8; 32],
    },
}
