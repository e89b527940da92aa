//! Ids of sessions.

use vixen_broker::api::SessionId;

use crate::auth::Nonce;

/// Largest id that every gate can say: 2^53 (WAMP spec §2.1.2).
pub(crate) const ID_MAX: u64 = 1 << 53;

/// A random session id, in `1..=2^53`, and what its login is made with.
pub(crate) fn random_session() -> Result<(SessionId, Nonce), getrandom::Error> {
    let session = SessionId(getrandom::u64()? % ID_MAX + 1);
    let mut nonce = Nonce([0; 32]);
    getrandom::fill(&mut nonce.0)?;
    Ok((session, nonce))
}
