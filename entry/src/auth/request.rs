//! What somebody says who wants to be let in, in words of no protocol: gates have read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use vixen_broker::api::SessionId;

use super::identity::Method;
use super::refusal::{Needed, Refusal};

/// The longest nonce of a client, in characters.
const NONCE_CHARS_MAX: usize = 256;

/// A login that begins.
#[derive(Clone, Debug)]
pub struct LoginRequest<'a> {
    /// The realm; whether it is a good name is for the gate to check.
    pub realm: &'a str,
    /// The id that the session will have.
    pub session: SessionId,
    /// The name that the client goes by. An empty one is none.
    pub name: Option<&'a str>,
    /// How it can prove to be that, in its order of preference.
    pub offers: Vec<Offer<'a>>,
    /// Whether it can also prove it in ways that are not known here.
    pub offers_others: bool,
}

/// One way to log in, with what the client says for it. What its gate could not read of that matters
/// only where the way is taken.
#[derive(Clone, Debug)]
pub enum Offer<'a> {
    /// Without a name.
    Anonymous,
    /// By a secret that is sent as it is: a ticket, or a password.
    Ticket,
    /// By a keyed hash of a text.
    WampCra,
    /// By SCRAM.
    Scram {
        /// [`Method::Scram`] or [`Method::WampScram`].
        method: Method,
        /// The client's nonce, as [`checked_nonce`] has it.
        nonce: Result<&'a str, Refusal>,
    },
    /// By a signature.
    Cryptosign {
        /// The client's key, whether any user has it or not.
        public_key: Result<[u8; 32], Refusal>,
    },
}

impl<'a> LoginRequest<'a> {
    /// Of somebody without a name.
    #[must_use]
    pub fn anonymous(realm: &'a str, session: SessionId) -> Self {
        Self { realm, session, name: None, offers: vec![Offer::Anonymous], offers_others: false }
    }

    /// Of somebody with a name and a secret that will be sent as it is.
    #[must_use]
    pub fn by_ticket(realm: &'a str, session: SessionId, name: &'a str) -> Self {
        let name = Some(name);
        Self { realm, session, name, offers: vec![Offer::Ticket], offers_others: false }
    }

    /// The name, if it is one.
    pub(super) fn name(&self) -> Option<&'a str> {
        self.name.filter(|name| !name.is_empty())
    }

    /// Whether anonymous is all that the client offers.
    pub(super) fn is_anonymous_only(&self) -> bool {
        let is_anonymous = |offer: &Offer<'_>| offer.method() == Method::Anonymous;
        !self.offers_others && self.offers.iter().all(is_anonymous)
    }
}

impl Offer<'_> {
    /// Its method.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Anonymous => Method::Anonymous,
            Self::Ticket => Method::Ticket,
            Self::WampCra => Method::WampCra,
            Self::Scram { method, .. } => *method,
            Self::Cryptosign { .. } => Method::Cryptosign,
        }
    }
}

/// A client's nonce for SCRAM: base64, with a bound.
///
/// # Errors
/// It is none, or not there.
pub fn checked_nonce(nonce: Option<&str>) -> Result<&str, Refusal> {
    nonce
        .filter(|nonce| (1..=NONCE_CHARS_MAX).contains(&nonce.len()))
        .filter(|nonce| STANDARD.decode(nonce).is_ok())
        .ok_or(Refusal::Incomplete(Needed::Nonce))
}

/// A client's public key, which stands in hex.
///
/// # Errors
/// It is none, or not there.
pub fn public_key_of(text: Option<&str>) -> Result<[u8; 32], Refusal> {
    let mut key = [0; 32];
    text.and_then(|text| hex::decode_to_slice(text, &mut key).ok())
        .ok_or(Refusal::Incomplete(Needed::PublicKey))?;
    Ok(key)
}

/// The answer to a challenge.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The secret itself, or what was made with it.
    pub proof: &'a str,
    /// SCRAM: the nonce that it is for, where the client repeats it.
    pub nonce: Option<&'a str>,
    /// SCRAM: it is bound to a TLS channel.
    pub is_bound: bool,
}

impl<'a> Answer<'a> {
    /// With a proof and nothing else.
    #[must_use]
    pub const fn of(proof: &'a str) -> Self {
        Self { proof, nonce: None, is_bound: false }
    }
}
