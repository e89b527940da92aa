//! Why bytes are no record to this version.

/// From here on a reader has to know the kind.
const MUST_BE_KNOWN: u8 = 128;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is shorter than what is before the body.
    #[error("a record of {0} bytes has no whole head")]
    Head(usize),
    /// Of a version that is not in force.
    #[error("a record of version {0}, which is not in force")]
    Version(u8),
    /// Of a kind that this version does not know.
    #[error("a record of kind {0}, which is not known here")]
    Kind(u8),
    /// In a topic where no record is written.
    #[error("a message in a topic without records")]
    Nowhere,
    /// In a topic where its kind is not written.
    #[error("a record of kind {0} in a topic of others")]
    Topic(u8),
    /// Its body is none of its kind.
    #[error("a record of kind {kind} is malformed: {what}")]
    Body {
        /// The kind.
        kind: u8,
        /// What is wrong.
        what: &'static str,
    },
}

impl RecordError {
    /// Whether a view cannot go on without what the record says. All others are passed over: by every
    /// version, as if they were not there.
    #[must_use]
    pub const fn stops(self) -> bool {
        match self {
            Self::Kind(kind) => kind >= MUST_BE_KNOWN,
            Self::Head(_)
            | Self::Version(_)
            | Self::Nowhere
            | Self::Topic(_)
            | Self::Body { .. } => false,
        }
    }
}
