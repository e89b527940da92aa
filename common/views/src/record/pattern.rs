//! What may be registered, whoever asks: bounds that all entries have alike.

use vixen_core::segment::{Match, TopicPattern};

use super::{COMPONENTS_MAX, URI_BYTES_MAX};

/// Why a pattern cannot be registered: `invalid_uri`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRegistrable {
    /// A realm has a name, and not a very long one.
    #[error("the name of its realm has {bytes} bytes, not 1 to {max}")]
    Realm {
        /// Of the name.
        bytes: usize,
        /// The most that it may have.
        max: usize,
    },
    /// Its URI is too long.
    #[error("its URI has {bytes} bytes, at most {max} can be registered")]
    Long {
        /// Of the URI.
        bytes: usize,
        /// The most that it may have.
        max: usize,
    },
    /// It is a wildcard that is too deep.
    #[error("the wildcard has {components} components, at most {max} can be registered")]
    Deep {
        /// Of the URI.
        components: usize,
        /// The most that it may have.
        max: usize,
    },
    /// Dotted patterns are of subscriptions.
    #[error("dotted patterns cannot be registered")]
    Dotted,
}

/// Whether a pattern can be registered, for whoever writes REGISTER: a record with another is none.
///
/// # Errors
/// Why not.
pub fn check_pattern(pattern: &TopicPattern) -> Result<(), NotRegistrable> {
    let TopicPattern { realm, uri, matching } = pattern;
    let max = URI_BYTES_MAX;
    if !(1..=max).contains(&realm.len()) {
        return Err(NotRegistrable::Realm { bytes: realm.len(), max });
    }
    if uri.len() > max {
        return Err(NotRegistrable::Long { bytes: uri.len(), max });
    }
    match matching {
        Match::Exact | Match::Prefix => Ok(()),
        Match::Wildcard => {
            let (components, max) = (uri.split('.').count(), COMPONENTS_MAX);
            if components > max { Err(NotRegistrable::Deep { components, max }) } else { Ok(()) }
        }
        Match::Dotted => Err(NotRegistrable::Dotted),
    }
}

impl NotRegistrable {
    /// In a constant text.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Realm { .. } => "the length of its realm",
            Self::Long { .. } => "the length of its URI",
            Self::Deep { .. } => "a wildcard of too many components",
            Self::Dotted => "dotted patterns cannot be registered",
        }
    }
}
