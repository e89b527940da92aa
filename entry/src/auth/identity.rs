//! Who a session is.

use std::fmt;
use std::sync::Arc;

/// How a client logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `anonymous`: without a name.
    Anonymous,
    /// `ticket` (WAMP spec, *Ticket-based Authentication*).
    Ticket,
    /// `wampcra` (WAMP spec, *Challenge Response Authentication*).
    WampCra,
    /// `scram`: as Autobahn and Crossbar call WAMP-SCRAM.
    Scram,
    /// `wamp-scram`: as the specification calls it.
    WampScram,
    /// `cryptosign` (WAMP spec, *Cryptosign-based Authentication*).
    Cryptosign,
}

impl Method {
    const ALL: [Self; 6] = [
        Self::Anonymous,
        Self::Ticket,
        Self::WampCra,
        Self::Scram,
        Self::WampScram,
        Self::Cryptosign,
    ];

    /// The name in HELLO, CHALLENGE and WELCOME; also good as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ticket => "ticket",
            Self::WampCra => "wampcra",
            Self::Scram => "scram",
            Self::WampScram => "wamp-scram",
            Self::Cryptosign => "cryptosign",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// A session that is logged in: what WELCOME tells its client.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The realm.
    pub realm: Arc<str>,
    /// The user's name; of the anonymous, one made up for the session.
    pub authid: Arc<str>,
    /// The role, which decides what the session may do.
    pub authrole: Arc<str>,
    /// How it logged in.
    pub authmethod: Method,
    /// Where users come from: `static`, the configuration, or `dynamic`, a procedure.
    pub authprovider: &'static str,
    /// What the procedure tells the client: a JSON object.
    pub extra: Option<Box<str>>,
    /// SCRAM: the server's own proof, in base64.
    pub server_proof: Option<String>,
    /// What it logged in with.
    pub(super) proof: ProofTag,
}

/// The configuration as provider.
pub(super) const PROVIDER: &str = "static";
/// A procedure as provider.
pub(super) const DYNAMIC: &str = "dynamic";

/// Tells two credentials apart without being one: changes when the user's secret does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ProofTag(pub(super) [u8; 32]);

impl ProofTag {
    /// Of sessions that proved nothing.
    pub(super) const NONE: Self = Self([0; 32]);
}

impl fmt::Debug for ProofTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
