//! Dialects: what two tiers speak about, each with versions of its own.
//!
//! A link has one version of its form, HELLO and frames (`versions.rs`), and one of each dialect that its two
//! tiers speak: a new word of the vote is no matter of an entry's. Both sides say in HELLO what they speak, and
//! each dialect is spoken in the newest version that both do.

use serde::{Deserialize, Serialize};

use super::Versions;
use crate::tier::Tier;

/// What is spoken about. Numbers are on the wire; none is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dialect {
    /// What nodes say of themselves: all with all.
    Node = 0,
    /// Segments that are being published: entry and ndb.
    Publish = 1,
    /// What is to be elected: ndb and sync; what will never be: ndb and entry.
    Draft = 2,
    /// The vote: sync and sync.
    Vote = 3,
    /// What is elected: sync, and all who read the order.
    Feed = 4,
    /// Messages that are to be read: entry and ndb.
    Read = 5,
    /// Blobs and rows of the order: ndb, and who reads the order.
    Replica = 6,
    /// Calls: entry and entry.
    Call = 7,
}

impl Dialect {
    /// All of them, by number.
    pub const ALL: [Self; 8] = [
        Self::Node,
        Self::Publish,
        Self::Draft,
        Self::Vote,
        Self::Feed,
        Self::Read,
        Self::Replica,
        Self::Call,
    ];

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Publish => "publish",
            Self::Draft => "draft",
            Self::Vote => "vote",
            Self::Feed => "feed",
            Self::Read => "read",
            Self::Replica => "replica",
            Self::Call => "call",
        }
    }

    /// What this node speaks of it.
    #[must_use]
    pub const fn versions(self) -> Versions {
        match self {
            // ELECT_SEGMENT of version 1 was a vote: who counts it as one must not be told it before it is durable.
            Self::Vote => Versions::new(2, 2),
            // WATERMARK of version 1 was held by all that is pending; it is held by what was not told.
            Self::Feed => Versions::new(3, 2),
            Self::Node | Self::Publish | Self::Draft | Self::Read | Self::Replica | Self::Call => {
                Versions::new(1, 1)
            }
        }
    }

    /// Whether nodes of these tiers speak it with each other.
    #[must_use]
    pub const fn is_between(self, one: Tier, other: Tier) -> bool {
        use Tier::{Entry, Ndb, Sync};
        match self {
            Self::Node => true,
            Self::Publish | Self::Read => matches!((one, other), (Entry, Ndb) | (Ndb, Entry)),
            Self::Draft => matches!((one, other), (Ndb, Entry | Sync) | (Entry | Sync, Ndb)),
            Self::Vote => matches!((one, other), (Sync, Sync)),
            // Sync nodes tell each other what is elected, too.
            Self::Feed => matches!((one, other), (Sync, _) | (_, Sync)),
            Self::Replica => matches!((one, other), (Ndb, Ndb | Entry) | (Entry, Ndb)),
            Self::Call => matches!((one, other), (Entry, Entry)),
        }
    }
}

/// That a dialect is spoken, in these versions. One with a number that is not known here is a later
/// version's, and nobody's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// [`Dialect`].
    pub dialect: u8,
    /// The versions of it.
    pub versions: Versions,
}

/// What a node of tier `own` speaks with one of tier `peer`.
#[must_use]
pub fn offers(own: Tier, peer: Tier) -> Vec<Offer> {
    let spoken = Dialect::ALL.into_iter().filter(|dialect| dialect.is_between(own, peer));
    spoken.map(|dialect| Offer { dialect: dialect as u8, versions: dialect.versions() }).collect()
}

/// The versions of each dialect that both sides speak, in the order of the dialects of one of them.
///
/// # Errors
/// A dialect that the two tiers speak, and have no version of in common.
pub fn agree(
    own: (Tier, &[Offer]),
    peer: (Tier, &[Offer]),
) -> Result<Vec<(Dialect, u16)>, Disagreement> {
    let spoken = Dialect::ALL.into_iter().filter(|dialect| dialect.is_between(own.0, peer.0));
    let versions_of = |offers: &[Offer], dialect: Dialect| {
        let offer = offers.iter().find(|offer| offer.dialect == dialect as u8);
        offer.map(|offer| offer.versions)
    };
    let agreed = spoken.map(|dialect| {
        let (ours, theirs) = (versions_of(own.1, dialect), versions_of(peer.1, dialect));
        let common = ours.zip(theirs).and_then(|(ours, theirs)| ours.common(theirs));
        let newest = |versions: Option<Versions>| versions.map_or(0, |versions| versions.newest);
        common.map(|version| (dialect, version)).ok_or(Disagreement {
            dialect,
            ours: newest(ours),
            theirs: newest(theirs),
        })
    });
    agreed.collect()
}

/// What the two sides of a link have agreed on: what is new in a version is said where that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken([u16; Dialect::ALL.len()]);

impl Spoken {
    /// What [`agree`] has found.
    #[must_use]
    pub fn of(agreed: &[(Dialect, u16)]) -> Self {
        let mut versions = [0; Dialect::ALL.len()];
        for (dialect, version) in agreed {
            versions[*dialect as usize] = *version;
        }
        Self(versions)
    }

    /// Within a process, all is of one version.
    #[must_use]
    pub fn newest() -> Self {
        Self(Dialect::ALL.map(|dialect| dialect.versions().newest))
    }

    /// Whether what a version of a dialect brought is understood.
    #[must_use]
    pub const fn has(self, dialect: Dialect, version: u16) -> bool {
        self.0[dialect as usize] >= version
    }
}

/// A dialect without a version that both speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Which.
    pub dialect: Dialect,
    /// The newest version here; 0: none.
    pub ours: u16,
    /// The newest there; 0: none.
    pub theirs: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::golden::samples;

    /// A message without a dialect between its two tiers would have no version.
    #[test]
    fn a_message_is_said_between_tiers_that_speak_its_dialect_and_nowhere_else() {
        for message in samples() {
            for (from, to) in Tier::ALL.into_iter().flat_map(|a| Tier::ALL.map(|b| (a, b))) {
                let is_between = message.dialect().is_between(from, to);
                assert!(is_between || !message.is_said(from, to), "{message:?} {from} {to}");
            }
        }
        for dialect in Dialect::ALL {
            for (one, other) in Tier::ALL.into_iter().flat_map(|a| Tier::ALL.map(|b| (a, b))) {
                let is_between = dialect.is_between(one, other);
                assert_eq!(is_between, dialect.is_between(other, one), "{dialect:?}");
                let is_said = samples().iter().any(|message| {
                    message.dialect() == dialect
                        && (message.is_said(one, other) || message.is_said(other, one))
                });
                assert_eq!(is_between, is_said, "{dialect:?} {one} {other}");
            }
        }
    }

    fn entry_offers(read: Versions) -> Vec<Offer> {
        let mut all = offers(Tier::Entry, Tier::Ndb);
        let offer = all.iter_mut().find(|offer| offer.dialect == Dialect::Read as u8);
        offer.expect("spoken").versions = read;
        all
    }

    #[test]
    fn each_dialect_is_spoken_in_the_newest_version_that_both_speak() {
        let ndb = offers(Tier::Ndb, Tier::Entry);
        let agreed = |entry: &[Offer]| agree((Tier::Ndb, &ndb), (Tier::Entry, entry));
        let all: Vec<_> =
            [Dialect::Node, Dialect::Publish, Dialect::Draft, Dialect::Read, Dialect::Replica]
                .map(|dialect| (dialect, 1))
                .to_vec();
        assert_eq!(agreed(&offers(Tier::Entry, Tier::Ndb)), Ok(all.clone()));
        let spoken = Spoken::of(&agreed(&offers(Tier::Entry, Tier::Ndb)).expect("the same"));
        assert!(spoken.has(Dialect::Read, 1) && !spoken.has(Dialect::Read, 2));
        assert!(!spoken.has(Dialect::Feed, 1), "not between these two");
        assert!(Spoken::newest().has(Dialect::Feed, 3) && !Spoken::newest().has(Dialect::Feed, 4));
        // A later entry that has a dialect more, and a newer version of one.
        let mut later = entry_offers(Versions { newest: 2, oldest: 1 });
        later.push(Offer { dialect: 200, versions: Versions::new(7, 7) });
        assert_eq!(agreed(&later), Ok(all));
        // Two that are too far apart.
        let (dialect, ours, theirs) = (Dialect::Read, 1, 3);
        let far = entry_offers(Versions { newest: 3, oldest: 2 });
        assert_eq!(agreed(&far), Err(Disagreement { dialect, ours, theirs }));
        let (dialect, ours, theirs) = (Dialect::Node, 1, 0);
        assert_eq!(agreed(&[]), Err(Disagreement { dialect, ours, theirs }));
    }
}
