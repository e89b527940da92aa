//! What is asked, and what is answered.

use std::sync::Arc;
use std::time::Duration;

use vixen_core::segment::Match;

use crate::access::Act;

/// A procedure that is asked about what sessions of a role do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// In the realm of the session.
    pub procedure: Arc<str>,
    /// What it does not answer until then is denied.
    pub timeout: Duration,
    /// How long its answers hold.
    pub cache: Duration,
}

/// Whether a session may do something. It is known who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it wants to do.
    pub act: Act,
    /// With which topic, procedure or pattern.
    pub uri: Arc<str>,
    /// How that is compared.
    pub matching: Match,
    /// The options that it said, as far as they are known here: a JSON object, without `match`.
    pub options: Arc<str>,
}

/// What answers are kept for: a hash of all that is asked, so that what a session has kept is small whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([u8; 32]);

impl Question {
    /// The option `match` of what is wanted, which a client need not have said: `None` of one topic or procedure,
    /// `dotted` of a topic with a component `*` or `#`.
    #[must_use]
    pub const fn match_option(&self) -> Option<&'static str> {
        match self.matching {
            Match::Exact => None,
            Match::Prefix => Some("prefix"),
            Match::Wildcard => Some("wildcard"),
            Match::Dotted => Some("dotted"),
        }
    }

    pub(super) fn key(&self) -> Key {
        let Self { act, uri, options, .. } = self;
        let matching = self.match_option().unwrap_or("exact");
        let mut hash = blake3::Hasher::new();
        for part in [act.name(), matching, uri, options] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Key(hash.finalize().into())
    }
}

/// A question under way; they count from 1 in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuestionNumber(pub u64);

/// What an authorizer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The session may.
    pub is_allowed: bool,
    /// The same holds for the same question, for a while.
    pub may_be_kept: bool,
    /// Others are told who the session is, whatever its permissions say.
    pub discloses: bool,
}

impl Verdict {
    pub(super) const DENIED: Self =
        Self { is_allowed: false, may_be_kept: false, discloses: false };
}

/// What comes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The authorizer says so.
    Verdict(Verdict),
    /// It says nothing that is an answer, or not in time: that is denied, and asked again the next time.
    Failed,
}
