//! What a node proves its links with, by the tier at the other end.

use std::sync::Arc;

use vixen_core::tier::Tier;

use crate::config::Secrets;

/// See the module doc. It has no `Debug`: a secret must not end up in a log.
#[derive(Clone)]
pub struct LinkSecrets([Option<Arc<[u8]>>; 3]);

impl LinkSecrets {
    /// Those of a node of tier `own`.
    #[must_use]
    pub fn of(secrets: &Secrets, own: Tier) -> Self {
        Self(
            Tier::ALL.map(|peer| secrets.between(own, peer).map(|secret| secret.as_bytes().into())),
        )
    }

    /// For a peer of this tier; `None`: no link to it can be proved.
    pub(super) fn with(&self, peer: Tier) -> Option<&[u8]> {
        self.0[peer as usize].as_deref()
    }
}

/// One for all tiers.
impl From<&[u8]> for LinkSecrets {
    fn from(secret: &[u8]) -> Self {
        Self(Tier::ALL.map(|_| Some(secret.into())))
    }
}

impl<const N: usize> From<[u8; N]> for LinkSecrets {
    fn from(secret: [u8; N]) -> Self {
        Self::from(&secret[..])
    }
}
