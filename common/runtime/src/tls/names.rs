//! Names of nodes in certificates: a URI among the alternative names of the subject (RFC 5280
//! §4.2.1.6).
//!
//! ```text
//! vixen://CLUSTER/TIER/ID        such as vixen://demo/entry/E1
//! ```
//! A certificate with such names is good for the nodes that it names and for no other, at either end
//! of a link. One without any is good for all, as one that knows hosts alone.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::{PeerId, Refusal};

const SCHEME: &str = "vixen://";

/// The names of nodes that the other end of a connection has shown; none without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertifiedNames(Arc<[String]>);

/// What a certificate calls a node.
fn name_of(cluster: &str, tier: Tier, node: &NodeName) -> String {
    format!("{SCHEME}{cluster}/{tier}/{node}")
}

impl CertifiedNames {
    /// Those of a certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        // Whether it is one that counts was seen in the handshake.
        let Ok(parsed) = EndEntityCert::try_from(certificate) else { return Self::default() };
        let ours = parsed.valid_uri_names().filter(|name| name.starts_with(SCHEME));
        Self(ours.map(str::to_owned).collect())
    }

    /// Whether the one who has shown them may be this node.
    pub(crate) fn check(
        &self,
        cluster: &str,
        peer: &PeerId,
        name: &NodeName,
    ) -> Result<(), Refusal> {
        let wanted = name_of(cluster, peer.tier(), name);
        if self.0.is_empty() || self.0.contains(&wanted) {
            return Ok(());
        }
        Err(Refusal::Certificate { name: name.clone(), wanted })
    }

    /// What is wrong when a node shows them.
    pub(super) fn concern(
        &self,
        (file, cluster): (PathBuf, &str),
        tier: Tier,
        node: &NodeName,
    ) -> Option<NameConcern> {
        let wanted = name_of(cluster, tier, node);
        let has_none = self.0.is_empty();
        let is_good = self.0.contains(&wanted);
        (!is_good).then_some(NameConcern { file, wanted, has_none })
    }
}

/// A certificate of links that does not say which node it is for, or is for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConcern {
    /// The file.
    pub file: PathBuf,
    /// The name that it should have.
    pub wanted: String,
    /// Whether it names no node at all.
    pub has_none: bool,
}

impl fmt::Display for NameConcern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, wanted) = (self.file.display(), &self.wanted);
        if self.has_none {
            write!(
                f,
                "{file}: the certificate names no node: whoever has its key can be any; issue it with \
                 the URI {wanted}"
            )
        } else {
            write!(
                f,
                "{file}: the certificate is for other nodes, and peers refuse it: issue it with the \
                 URI {wanted}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::SanType;

    use vixen_core::id::OwnerId;

    use super::*;
    use crate::tls::tests::authority::Authority;

    fn names(uris: &[&str]) -> CertifiedNames {
        let issued = Authority::new("good").issue_with("127.0.0.1", |params| {
            for uri in uris {
                let uri = (*uri).try_into().expect("ASCII");
                params.subject_alt_names.push(SanType::URI(uri));
            }
        });
        CertifiedNames::of(&issued.der())
    }

    #[test]
    fn a_certificate_with_names_is_good_for_these_nodes_alone() {
        let entry = PeerId::Entry { owner: OwnerId(uuid::Uuid::nil()) };
        let e1: NodeName = "E1".parse().expect("a name");
        let cases: [(&[&str], bool); 7] = [
            (&[], true),
            (&["https://example.org/"], true),
            (&["vixen://test/entry/E1"], true),
            (&["vixen://test/entry/E2", "vixen://test/entry/E1"], true),
            (&["vixen://test/entry/E2"], false),
            (&["vixen://test/sync/E1"], false),
            (&["vixen://other/entry/E1"], false),
        ];
        for (uris, is_good) in cases {
            let checked = names(uris).check("test", &entry, &e1);
            assert_eq!(checked.is_ok(), is_good, "{uris:?}: {checked:?}");
        }
    }

    #[test]
    fn the_concern_says_which_name_is_wanted() {
        let node: NodeName = "S1".parse().expect("a name");
        let concern =
            |uris: &[&str]| names(uris).concern(("n.pem".into(), "test"), Tier::Sync, &node);
        assert_eq!(concern(&["vixen://test/sync/S1"]), None);
        let none = concern(&[]).expect("a concern").to_string();
        assert!(none.contains("n.pem: the certificate names no node"), "{none}");
        let other = concern(&["vixen://test/sync/S2"]).expect("a concern").to_string();
        assert!(other.ends_with("issue it with the URI vixen://test/sync/S1"), "{other}");
    }
}
