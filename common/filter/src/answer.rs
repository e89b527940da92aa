//! What a filter says of a message.

/// Why there is no answer. The message does not match then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It would take more steps than the rule may.
    #[error("the filter takes more than {max} steps for the message")]
    Steps {
        /// How many it may take.
        max: u32,
    },
    /// The rule makes lists within lists, deeper than values may be.
    #[error("the filter makes a value that is nested deeper than {max}")]
    Depth {
        /// How deep values may be.
        max: u16,
    },
}

impl Failure {
    /// A word for a metric's label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Steps { .. } => "steps",
            Self::Depth { .. } => "depth",
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the message matches.
    pub verdict: Result<bool, Failure>,
    /// Steps that it took, at most those allowed.
    pub steps: u32,
}

impl Answer {
    /// Whether the message is wanted: what has no answer is not.
    #[must_use]
    pub const fn is_match(&self) -> bool {
        matches!(self.verdict, Ok(true))
    }
}
