//! The secrets by which nodes know each other: one for all tiers, or one a tier.
//!
//! A link is proved with the secret of the outer of its two tiers. So an entry, which faces the
//! internet, has the one of entries and no other, and whoever takes it can be an entry and nothing
//! else; an ndb node cannot be a sync node.
//!
//! | between | proved with |
//! |---|---|
//! | sync and sync | the secret of sync nodes |
//! | ndb and ndb, ndb and sync | the secret of ndb nodes |
//! | entry and any | the secret of entries |

use std::path::PathBuf;

use vixen_core::tier::Tier;

use crate::tls::Tls;

use super::error::ConfigError;
use super::load::beside;
use super::read::{Source, TableReader};
use super::strength::entropy_bits;
use super::value::SecretText;
use super::{Config, NodeName, Secret, text};

/// What a secret must have so that nobody guesses it: 16 random bytes.
pub const STRONG_BITS: u32 = 128;

/// The keys of one secret in `[cluster]`.
struct Keys {
    text: &'static str,
    file: &'static str,
    /// What to do when the file of it cannot be read; `None`: a node that needs it says so, and to
    /// others the file need not be there.
    fix: Option<&'static str>,
}

const SHARED: Keys = Keys {
    text: "secret",
    file: "secret-file",
    fix: Some("cluster.secret-file must name a file that this user can read"),
};
/// Those of [`Tier::ALL`].
const OF_TIERS: [Keys; 3] = [
    Keys { text: "sync-secret", file: "sync-secret-file", fix: None },
    Keys { text: "ndb-secret", file: "ndb-secret-file", fix: None },
    Keys { text: "entry-secret", file: "entry-secret-file", fix: None },
];

/// The secrets of `[cluster]`. `Debug` shows none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// `secret`: of all tiers that have none of their own.
    shared: Option<Secret>,
    /// `sync-secret`, `ndb-secret`, `entry-secret`.
    own: [Option<Secret>; 3],
}

impl Secrets {
    /// One for all tiers.
    #[must_use]
    pub const fn shared(secret: Secret) -> Self {
        Self { shared: Some(secret), own: [None, None, None] }
    }

    /// The secret of a tier, if this file has it.
    #[must_use]
    pub fn of(&self, tier: Tier) -> Option<&Secret> {
        self.own[tier as usize].as_ref().or(self.shared.as_ref())
    }

    /// What a link between two tiers is proved with.
    #[must_use]
    pub fn between(&self, a: Tier, b: Tier) -> Option<&Secret> {
        self.of(a.max(b))
    }

    /// Reads them from `[cluster]`.
    pub(super) fn read(
        source: Source<'_>,
        table: &mut TableReader<'_>,
    ) -> Result<Self, ConfigError> {
        let shared = read_one(source, table, &SHARED)?;
        let mut own = [None, None, None];
        for (tier, keys) in Tier::ALL.into_iter().zip(&OF_TIERS) {
            let secret = read_one(source, table, keys)?;
            let is_taken = |other: &Option<Secret>| secret.is_some() && *other == secret;
            if is_taken(&shared) || own.iter().any(is_taken) {
                return Err(source.refuse(
                    table.place(keys.text),
                    "is also another secret of this file: who takes the one has both",
                    "give each tier a secret of its own",
                ));
            }
            own[tier as usize] = secret;
        }
        if shared.is_none() && own.iter().all(Option::is_none) {
            return Err(source.refuse(
                table.place(SHARED.text),
                "is missing",
                "set secret, or secret-file, to the same 8 or more characters on all nodes",
            ));
        }
        Ok(Self { shared, own })
    }

    /// Which keys of these another file has otherwise.
    pub(super) fn differing(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let shared = (SHARED.text, self.shared != other.shared);
        let own = Tier::ALL.map(|of| (key_of(of), self.own[of as usize] != other.own[of as usize]));
        let all = std::iter::once(shared).chain(own);
        all.filter(|(_, differs)| *differs).map(|(key, _)| key)
    }

    /// The first secret that a node of `tier` needs and this file lacks: the key of it.
    pub(super) fn lacking(&self, tier: Tier) -> Option<&'static str> {
        let needed = Tier::ALL.into_iter().filter(|other| *other >= tier);
        needed.into_iter().find(|other| self.of(*other).is_none()).map(key_of)
    }

    /// What an operator should know about the secrets in the file of a node of `tier`.
    #[must_use]
    pub fn concerns(&self, tier: Tier) -> Vec<SecretConcern> {
        let needs_shared = self.own[tier as usize..].iter().any(Option::is_none);
        let shared = (SHARED.text, needs_shared, self.shared.as_ref());
        let own = Tier::ALL.map(|of| (key_of(of), of >= tier, self.own[of as usize].as_ref()));
        let mut concerns = Vec::new();
        for (key, is_needed, secret) in std::iter::once(shared).chain(own) {
            let Some(secret) = secret else { continue };
            let bits = entropy_bits(secret.text());
            if bits < STRONG_BITS {
                concerns.push(SecretConcern::Weak { key, bits });
            }
            if !is_needed {
                concerns.push(SecretConcern::NotNeeded { key, tier });
            }
        }
        concerns
    }
}

impl Config {
    /// What an operator should know about what proves the links of a node: the secrets of its file,
    /// and the names in its certificate.
    #[must_use]
    pub fn secret_and_name_concerns(
        &self,
        tier: Tier,
        node: &NodeName,
        links: Option<&Tls>,
    ) -> Vec<String> {
        let secrets = self.cluster.secrets.concerns(tier).into_iter();
        let name = links.and_then(|tls| tls.name_concern(&self.cluster.name, tier, node));
        let name = name.into_iter().map(|concern| concern.to_string());
        secrets.map(|concern| concern.to_string()).chain(name).collect()
    }

    /// Says them in the log.
    pub fn tell_secret_and_name_concerns(&self, tier: Tier, node: &NodeName, links: Option<&Tls>) {
        for concern in self.secret_and_name_concerns(tier, node, links) {
            tracing::warn!(reason = concern, "what proves links of this node is weak");
        }
    }
}

const fn key_of(tier: Tier) -> &'static str {
    OF_TIERS[tier as usize].text
}

/// Something about a secret that an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretConcern {
    /// It may be guessed.
    #[error(
        "cluster.{key} looks like {bits} bits of randomness at most, and {STRONG_BITS} are wanted: it \
         may be guessed by who sees a proof of it; `openssl rand -hex 24` makes a good one"
    )]
    Weak {
        /// The key in `[cluster]`.
        key: &'static str,
        /// An estimate, from above.
        bits: u32,
    },
    /// It is of no use here but to who takes this node.
    #[error(
        "cluster.{key} is in the file of {}, which has no need of it: keep it from there", .tier.one()
    )]
    NotNeeded {
        /// The key in `[cluster]`.
        key: &'static str,
        /// What the node is.
        tier: Tier,
    },
}

fn read_one(
    source: Source<'_>,
    table: &mut TableReader<'_>,
    keys: &Keys,
) -> Result<Option<Secret>, ConfigError> {
    // A container overrides the file's secret by either key.
    if table.is_overridden(keys.text) {
        table.forget(keys.file);
    }
    if table.is_overridden(keys.file) {
        table.forget(keys.text);
    }
    let place = table.place(keys.text);
    let (key, text) = match (table.optional(keys.text)?, table.optional(keys.file)?) {
        (Some(SecretText(text)), None) => (place, text),
        (None, Some(path)) => {
            let path: PathBuf = path;
            let text = match text::read(&beside(source.file, path), keys.fix.unwrap_or_default()) {
                Err(ConfigError::Unreadable { .. }) if keys.fix.is_none() => return Ok(None),
                read => read?,
            };
            (table.place(keys.file), text.trim_end_matches(['\n', '\r']).to_owned())
        }
        (Some(_), Some(_)) => {
            return Err(source.refuse(
                place,
                format!("stands beside {}, and only one can hold", keys.file),
                "remove one of the two",
            ));
        }
        (None, None) => return Ok(None),
    };
    let secret = Secret::new(text).ok_or_else(|| {
        source.refuse(
            key,
            format!("has fewer than {} characters", Secret::CHARS_MIN),
            "use a longer one, such as the output of `openssl rand -hex 24`",
        )
    })?;
    Ok(Some(secret))
}
