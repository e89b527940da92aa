//! Why a rule is refused.

use vixen_core::payload::PayloadError;

use crate::operator::Arity;

/// Characters of a name in a text: a rule may have one of kilobytes.
const NAME_CHARS_MAX: usize = 64;

/// See the module. `at` is where it is in the rule, as a JSON pointer (RFC 6901); the rule itself is `""`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Too long a text.
    #[error("the filter has {bytes} bytes, of {max} at most")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// No JSON.
    #[error("the filter is no JSON")]
    NotJson(#[source] PayloadError),
    /// Neither an object nor true or false: most likely JSON within a string.
    #[error("a filter is an object, true or false, and this is {found}")]
    NotARule {
        /// What it is.
        found: &'static str,
    },
    /// Not in the list of operators.
    #[error("unknown operator \"{}\" at \"{at}\"", short(.name))]
    UnknownOperator {
        /// Its name.
        name: Box<str>,
        /// Where it stands.
        at: Box<str>,
    },
    /// An object of a rule is one operator with its arguments.
    #[error("an object in a filter has one key, its operator, and that at \"{at}\" has {keys}")]
    NotOneKey {
        /// How many it has.
        keys: usize,
        /// Where it stands.
        at: Box<str>,
    },
    /// Fields that are to be equal, and an operator among them.
    #[error("the filter has operator \"{operator}\" beside other keys: combine with \"and\"")]
    Mixed {
        /// The operator.
        operator: &'static str,
    },
    /// A field that is to be equal to a list or an object.
    #[error("field \"{}\" is to be equal to {found}: write a rule with operators", short(.field))]
    FieldValue {
        /// The field.
        field: Box<str>,
        /// What it was given.
        found: &'static str,
    },
    /// Too few or too many arguments.
    #[error("operator \"{operator}\" at \"{at}\" takes {wanted}, and has {given}")]
    Arguments {
        /// The operator.
        operator: &'static str,
        /// How many it has.
        given: usize,
        /// How many it takes.
        wanted: Arity,
        /// Where it stands.
        at: Box<str>,
    },
    /// Too many operators, lists and values in all.
    #[error("the filter has more than {max} operators and values")]
    TooManyNodes {
        /// What is allowed.
        max: usize,
    },
    /// Too many levels of operators and lists.
    #[error("the filter is nested deeper than {max}")]
    TooDeep {
        /// What is allowed.
        max: usize,
    },
}

impl FilterError {
    /// A word for a metric's label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "bytes",
            Self::NotJson(_) => "json",
            Self::NotARule { .. } => "no_rule",
            Self::UnknownOperator { .. } => "operator",
            Self::NotOneKey { .. } | Self::Mixed { .. } => "keys",
            Self::FieldValue { .. } => "field",
            Self::Arguments { .. } => "arguments",
            Self::TooManyNodes { .. } => "nodes",
            Self::TooDeep { .. } => "depth",
        }
    }
}

/// A name of a rule, for a message that a person reads.
fn short(name: &str) -> String {
    let mut text: String = name.chars().take(NAME_CHARS_MAX).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}
