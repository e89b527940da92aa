//! HELLO: who is there, and proof that both know the cluster secret, before anything else.
//!
//! ```text
//! listener                       dialer
//!    | Greeting{versions, nonce}   |
//!    |---------------------------->|
//!    |  Hello{version, …, name, nonce, proof}
//!    |<----------------------------|
//!    | Accepted{…, name, proof, terms} or Welcome::Refused{reason}, then close
//!    |---------------------------->|
//!    |  Assent::Agreed             |   or Assent::Differs{reason}, then close
//!    |<----------------------------|
//! ```
//! A proof is HMAC-SHA256 (RFC 2104) keyed with the secret over the role in the exchange, the
//! versions and dialects that were offered and the version that is spoken, the cluster, the speaker with its name, and both
//! nonces: it is worthless on another link, and nobody in between talks two nodes into an older version.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::dialects::{Disagreement, Offer};
use super::terms::{Difference, Terms, told};
use super::versions::Versions;
use crate::id::{NdbId, OwnerId, StoreId, SyncId};
use crate::name::NodeName;
use crate::tier::Tier;

/// Which node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PeerId {
    /// A sync node and the store it votes from.
    Sync {
        /// Its lane.
        id: SyncId,
        /// Its store.
        store: StoreId,
    },
    /// An ndb node and its store.
    Ndb {
        /// Its group and place.
        id: NdbId,
        /// Its store.
        store: StoreId,
    },
    /// An entry incarnation.
    Entry {
        /// It owns the segments it makes.
        owner: OwnerId,
    },
}

impl PeerId {
    /// Its tier.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self {
            Self::Sync { .. } => Tier::Sync,
            Self::Ndb { .. } => Tier::Ndb,
            Self::Entry { .. } => Tier::Entry,
        }
    }
}

/// First word, from the listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The newest version that it speaks: where the versions before this had their only one.
    pub newest: u16,
    /// Fresh randomness that the dialer's proof must cover.
    pub nonce: [u8; 32],
    /// The oldest version that it speaks.
    pub oldest: u16,
}

impl Greeting {
    /// The first word of a listener that speaks `versions`.
    #[must_use]
    pub const fn new(versions: Versions, nonce: [u8; 32]) -> Self {
        Self { newest: versions.newest, nonce, oldest: versions.oldest }
    }

    /// What it speaks.
    #[must_use]
    pub const fn versions(&self) -> Versions {
        Versions { newest: self.newest, oldest: self.oldest }
    }
}

/// Second word, from the dialer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest version that both speak, or its own newest where they have none in common.
    pub version: u16,
    /// The cluster it belongs to.
    pub cluster: String,
    /// Who it is.
    pub peer: PeerId,
    /// What its configuration calls it.
    pub name: NodeName,
    /// Fresh randomness that the listener's proof must cover.
    pub nonce: [u8; 32],
    /// Its proof.
    pub proof: [u8; 32],
    /// The dialects that it speaks with the listener's tier.
    pub offers: Vec<Offer>,
}

/// Third word, from the listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// Messages may flow, if the dialler has the same terms.
    Accepted {
        /// Who the listener is.
        peer: PeerId,
        /// What its configuration calls it.
        name: NodeName,
        /// Its proof.
        proof: [u8; 32],
        /// What it must have in common with the dialler.
        terms: Terms,
        /// The dialects that it speaks with the dialler's tier: each is spoken in the newest version that both
        /// offer.
        offers: Vec<Offer>,
    },
    /// They may not.
    Refused {
        /// Why.
        reason: Refusal,
    },
}

/// Last word, from the dialler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assent {
    /// It has the same terms: messages flow.
    Agreed,
    /// They do not.
    Differs {
        /// Why, in the words that the dialler uses itself.
        reason: Refusal,
    },
}

/// Why a HELLO was refused. The texts tell the operator what to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No protocol version in common.
    #[error(
        "protocol version {theirs} where this node speaks {ours}; run one vixen version, or two that follow \
         each other"
    )]
    Version {
        /// The refusing node's newest version.
        ours: u16,
        /// The refused node's version.
        theirs: u16,
    },
    /// Another cluster; which one is not for somebody who has proven nothing.
    #[error("this node belongs to another cluster; check cluster.name and the address")]
    Cluster,
    /// The proof does not fit the secret.
    #[error(
        "proof of the cluster secret is wrong; check cluster.secret, or that of the outer tier, on both \
         nodes"
    )]
    Proof,
    /// A node that the refusing node's configuration does not have.
    #[error(
        "{name}, {place}, is not in the configuration of {by}; give all nodes the same vixen.toml"
    )]
    Unknown {
        /// Who refuses.
        by: NodeName,
        /// Who asked.
        name: NodeName,
        /// What it says it is: `the sync node of lane 2`.
        place: String,
    },
    /// A node that the refusing node's configuration calls otherwise.
    #[error(
        "{place} is called {theirs} in its own configuration, and {ours} in that of {by}; give all \
         nodes the same vixen.toml"
    )]
    Name {
        /// Who refuses.
        by: NodeName,
        /// What the refused node says it is: `the sync node of lane 2`.
        place: String,
        /// What it calls itself.
        theirs: NodeName,
        /// What it is called by the refusing node.
        ours: NodeName,
    },
    /// An entry with the name of a node of another tier.
    #[error(
        "{name} is a sync or ndb node in the configuration of {by}; give the entry another name"
    )]
    NameTaken {
        /// Who refuses.
        by: NodeName,
        /// Who asked.
        name: NodeName,
    },
    /// Not the words of a HELLO.
    #[error("the greeting is malformed; is this a vixen node?")]
    Malformed,
    /// An entry with the owner id of another.
    #[error("{}", owner_taken(.by, .name))]
    OwnerTaken {
        /// Who refuses.
        by: NodeName,
        /// Who asked.
        name: NodeName,
    },
    /// The two must have something in common, and have not.
    #[error(
        "{}; give all nodes the same vixen.toml, and restart those that have another",
        told(.differences, .dialler, .listener)
    )]
    Terms {
        /// Who refuses.
        dialler: NodeName,
        /// Whom.
        listener: NodeName,
        /// What it is; at least one.
        differences: Vec<Difference>,
    },
    /// A certificate that names another node.
    #[error("{name} shows a certificate that is not for {wanted}; give each node its own")]
    Certificate {
        /// Who shows it.
        name: NodeName,
        /// The name that it would need.
        wanted: String,
    },
    /// No version in common of what the two tiers speak about.
    #[error(
        "version {theirs} of the dialect {dialect} where this node speaks {ours}; run one vixen version, or \
         two that follow each other"
    )]
    Dialect {
        /// Which.
        dialect: String,
        /// The refusing node's newest version.
        ours: u16,
        /// The refused node's.
        theirs: u16,
    },
    /// A sync or ndb node where entries are linked to each other.
    #[error("{by} is an entry, which other entries alone dial; check the address")]
    EntriesAlone {
        /// Who refuses.
        by: NodeName,
    },
}

/// Who has the owner id of the one that it dials is that one.
fn owner_taken(by: &NodeName, name: &NodeName) -> String {
    if by == name {
        return format!(
            "{name} has dialled itself where it expects another node: check the addresses"
        );
    }
    format!(
        "{name} claims an owner id that {by} knows of another entry: one of the two is not what it says"
    )
}

impl From<Disagreement> for Refusal {
    fn from(Disagreement { dialect, ours, theirs }: Disagreement) -> Self {
        Self::Dialect { dialect: dialect.name().to_owned(), ours, theirs }
    }
}

/// What both sides of a HELLO have said and heard, and proofs cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// The cluster, as the dialler calls it.
    pub cluster: &'a str,
    /// What the listener offered.
    pub offered: Versions,
    /// What the dialler chose.
    pub version: u16,
    /// Of the greeting.
    pub listener_nonce: &'a [u8; 32],
    /// Of the HELLO.
    pub dialer_nonce: &'a [u8; 32],
    /// What the dialler speaks.
    pub dialer_offers: &'a [Offer],
    /// What the listener speaks; nothing in the dialler's proof, who has not heard it.
    pub listener_offers: &'a [Offer],
}

/// Computes the proof that `speaker` gives; `dialer` tells which side of the exchange it speaks
/// for.
#[must_use]
pub fn proof_of(
    secret: &[u8],
    dialer: bool,
    exchange: &Exchange<'_>,
    speaker: (&PeerId, &NodeName),
) -> [u8; 32] {
    mac_of(secret, dialer, exchange, speaker)
        .map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// Checks a proof in constant time.
#[must_use]
pub fn proof_holds(
    secret: &[u8],
    dialer: bool,
    exchange: &Exchange<'_>,
    speaker: (&PeerId, &NodeName),
    proof: &[u8; 32],
) -> bool {
    mac_of(secret, dialer, exchange, speaker).is_some_and(|mac| mac.verify_slice(proof).is_ok())
}

fn mac_of(
    secret: &[u8],
    dialer: bool,
    exchange: &Exchange<'_>,
    speaker: (&PeerId, &NodeName),
) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    let Exchange { cluster, offered, version, listener_nonce, dialer_nonce, .. } = exchange;
    let offers = (exchange.dialer_offers, exchange.listener_offers);
    let nonces = (listener_nonce, dialer_nonce);
    let spoken = (dialer, offered, version, cluster, speaker, nonces, offers);
    mac.update(&postcard::to_stdvec(&spoken).ok()?);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::offers;

    /// It was told that somebody had taken its owner id.
    #[test]
    fn who_has_dialled_itself_is_told_so() {
        let name = |name: &str| -> NodeName { name.parse().expect("a name") };
        let told = |name| Refusal::OwnerTaken { by: e1(), name }.to_string();
        assert!(told(name("E1")).contains("E1 has dialled itself"), "{}", told(name("E1")));
        assert!(told(name("E2")).contains("E2 claims an owner id that E1 knows"));
    }

    fn e1() -> NodeName {
        "E1".parse().expect("a name")
    }

    #[test]
    fn a_proof_holds_for_its_own_exchange_only() {
        let peer = PeerId::Entry { owner: OwnerId(uuid::Uuid::from_u128(1)) };
        let name = |name: &str| -> NodeName { name.parse().expect("a name") };
        let (e1, e2) = (name("E1"), name("E2"));
        let said = Exchange {
            cluster: "c",
            offered: Versions { newest: 3, oldest: 2 },
            version: 3,
            listener_nonce: &[1; 32],
            dialer_nonce: &[2; 32],
            dialer_offers: &offers(Tier::Entry, Tier::Sync),
            listener_offers: &[],
        };
        let proof = proof_of(b"secret", true, &said, (&peer, &e1));
        let holds = |secret: &[u8], dialer, said: &Exchange<'_>, name: &NodeName| {
            proof_holds(secret, dialer, said, (&peer, name), &proof)
        };
        assert!(holds(b"secret", true, &said, &e1));
        assert!(!holds(b"secret", true, &said, &e2));
        assert!(!holds(b"other", true, &said, &e1));
        assert!(!holds(b"secret", false, &said, &e1));
        let offered = Versions { newest: 2, oldest: 2 };
        for other in [
            Exchange { cluster: "d", ..said },
            Exchange { listener_nonce: &[3; 32], ..said },
            Exchange { dialer_nonce: &[3; 32], ..said },
            // Somebody in between who would have an older version spoken.
            Exchange { offered, ..said },
            Exchange { version: 2, ..said },
            Exchange { dialer_offers: &[], ..said },
            Exchange { listener_offers: said.dialer_offers, ..said },
        ] {
            assert!(!holds(b"secret", true, &other, &e1), "{other:?}");
        }
    }
}
