//! What the router is asked, and what it says: values that one entry can put to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;
use vixen_views::registrations::Registration;

use crate::api::calls::Invoke;
use crate::api::{SessionId, SessionInfo, SubscriptionId};
use crate::dealer::policy_of;

/// A question about sessions and subscriptions: of them each entry knows its own. All of it is of the realm in
/// which it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// How many sessions there are, of all roles or of these.
    CountSessions(Option<Vec<String>>),
    /// Which ones.
    ListSessions(Option<Vec<String>>),
    /// Who a session is.
    GetSession(SessionId),
    /// That sessions end. Who asks is left out.
    Kill {
        /// Which ones.
        whom: Whom,
        /// What they are told.
        goodbye: Goodbye,
    },
    /// That what is told of a session changes: texts of JSON by key, `None` for what goes.
    ModifyDetails(SessionId, BTreeMap<String, Option<String>>),
    /// Which subscriptions there are.
    ListSubscriptions,
    /// That of just these topics.
    LookupSubscription {
        /// As it was subscribed.
        uri: String,
        /// How it matches.
        matching: Match,
    },
    /// Those that have this topic.
    MatchSubscriptions(String),
    /// What one is of.
    GetSubscription(SubscriptionId),
    /// Who has one.
    ListSubscribers(SubscriptionId),
    /// How many have one.
    CountSubscribers(SubscriptionId),
}

/// A question about registrations, which all entries know alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationQuestion {
    /// Which ones there are.
    List,
    /// That of just this procedure or pattern.
    Lookup {
        /// As it was registered.
        uri: Arc<str>,
        /// How it matches.
        matching: Match,
    },
    /// That by which this procedure is called.
    Match(Arc<str>),
    /// What one is of.
    Get(u64),
    /// Who has it.
    ListCallees(u64),
    /// How many have it.
    CountCallees(u64),
}

/// Sessions that are to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// This one.
    Session(SessionId),
    /// All who have logged in so.
    Authid(String),
    /// All of a role.
    Authrole(String),
    /// All.
    All,
}

/// What a session is told as it is ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// A URI.
    pub reason: String,
    /// For people.
    pub message: Option<String>,
}

/// The answer to a question; where several entries are asked, [`Reply::merge`] makes one of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// So many.
    Count(u64),
    /// These, rising.
    Ids(Vec<u64>),
    /// This one, if there is one.
    Found(Option<Found>),
    /// These, by how they match.
    Lists(Lists),
    /// A session.
    Session(SessionDetails),
    /// A subscription.
    Subscription(Details),
    /// A registration.
    Registration(Details, Invoke),
    /// There is nothing of that id.
    NoSuch(Missing),
    /// What would be added to the details of a session is more than may be.
    TooMuch,
}

/// What was looked up. That of all who have asked for the same comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// It is a subscription of one session alone.
    pub is_private: bool,
    /// It.
    pub id: u64,
}

/// What there is none of, in the realm of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Missing {
    /// No such session.
    #[error("no session with ID {0} exists on this router")]
    Session(u64),
    /// It is the one that asks.
    #[error("session {0} is the caller's own, which it does not end in this way: it says GOODBYE")]
    OwnSession(u64),
    /// No such subscription.
    #[error("no subscription with ID {0} exists on this broker")]
    Subscription(u64),
    /// No such registration.
    #[error("no registration with ID {0} exists on this dealer")]
    Registration(u64),
}

/// Ids by how they match, each list rising.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    /// Of one URI each; dotted patterns of subscriptions are asked for as these, and are among them.
    pub exact: Vec<u64>,
    /// Of all that begins with a text.
    pub prefix: Vec<u64>,
    /// Of all with these components.
    pub wildcard: Vec<u64>,
}

/// What a session says of itself, and what was added to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetails {
    /// It.
    pub session: SessionId,
    /// Its realm.
    pub realm: Arc<str>,
    /// As in its WELCOME.
    pub authid: Arc<str>,
    /// As in its WELCOME.
    pub authrole: Arc<str>,
    /// As in its WELCOME.
    pub authmethod: Arc<str>,
    /// As in its WELCOME.
    pub authprovider: Arc<str>,
    /// Texts of JSON, by key.
    pub added: BTreeMap<String, String>,
}

/// What a subscription or registration is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// It.
    pub id: u64,
    /// When it was made.
    pub created: WallTime,
    /// As it was asked for.
    pub uri: Arc<str>,
    /// How it matches.
    pub matching: Match,
}

impl SessionDetails {
    pub(super) fn new(info: &SessionInfo, added: BTreeMap<String, String>) -> Self {
        Self {
            session: info.session,
            realm: Arc::clone(&info.realm),
            authid: Arc::clone(&info.authid),
            authrole: Arc::clone(&info.authrole),
            authmethod: info.authmethod.into(),
            authprovider: info.authprovider.into(),
            added,
        }
    }
}

impl Details {
    /// Of this pattern.
    #[must_use]
    pub fn new(id: u64, created: WallTime, pattern: &TopicPattern) -> Self {
        Self { id, created, uri: Arc::clone(&pattern.uri), matching: pattern.matching }
    }
}

impl Lists {
    pub(super) fn push(&mut self, matching: Match, id: u64) {
        match matching {
            Match::Exact | Match::Dotted => self.exact.push(id),
            Match::Prefix => self.prefix.push(id),
            Match::Wildcard => self.wildcard.push(id),
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            exact: united(self.exact, other.exact),
            prefix: united(self.prefix, other.prefix),
            wildcard: united(self.wildcard, other.wildcard),
        }
    }
}

impl Reply {
    pub(super) fn registration(found: &Registration) -> Self {
        let details = Details::new(found.id.0, found.created, &found.pattern);
        Self::Registration(details, policy_of(found.invoke))
    }

    /// Ids of its lists.
    #[must_use]
    pub(super) const fn items(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Lists(Lists { exact, prefix, wildcard }) => {
                exact.len() + prefix.len() + wildcard.len()
            }
            Self::Done
            | Self::Count(_)
            | Self::Found(_)
            | Self::Session(_)
            | Self::Subscription(_)
            | Self::Registration(..)
            | Self::NoSuch(_)
            | Self::TooMuch => 0,
        }
    }

    /// Whether another entry may have another answer, where a question is of one session.
    #[must_use]
    pub const fn may_be_elsewhere(&self) -> bool {
        match self {
            Self::NoSuch(missing) => !matches!(missing, Missing::OwnSession(_)),
            _found => false,
        }
    }

    /// One answer of two entries to the same question.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::NoSuch(_) | Self::Found(None), other) => other,
            (own, Self::NoSuch(_) | Self::Found(None)) => own,
            // Whoever is asked first, and wherever.
            (Self::Found(Some(own)), Self::Found(Some(other))) => Self::Found(Some(own.min(other))),
            (Self::Count(own), Self::Count(other)) => Self::Count(own.saturating_add(other)),
            (Self::Ids(own), Self::Ids(other)) => Self::Ids(united(own, other)),
            (Self::Lists(own), Self::Lists(other)) => Self::Lists(own.merge(other)),
            (Self::Subscription(own), Self::Subscription(other)) => {
                // It was made when the first entry did.
                Self::Subscription(if other.created < own.created { other } else { own })
            }
            // Of one session or registration there is one answer.
            (own, _) => own,
        }
    }
}

/// Both lists as one, rising, nothing twice.
fn united(mut own: Vec<u64>, other: Vec<u64>) -> Vec<u64> {
    own.extend(other);
    own.sort_unstable();
    own.dedup();
    own
}
