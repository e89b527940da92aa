//! `ticket`: the client sends its secret as it is (WAMP spec, *Ticket-based Authentication*).

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a ticket must be. Digests are compared, so that its length does not show either.
#[derive(Clone)]
pub(super) struct Expected([u8; 32]);

impl Expected {
    pub(super) fn of(ticket: &[u8]) -> Self {
        Self(Sha256::digest(ticket).into())
    }

    /// A digest whose ticket nobody knows.
    pub(super) const fn nothing(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn verify(&self, ticket: &str) -> Choice {
        let given: [u8; 32] = Sha256::digest(ticket).into();
        self.0.ct_eq(&given)
    }
}
