//! Meta: what entries ask each other of their sessions and subscriptions, and tell each other of them (dialect `call`).
//!
//! All of it is of one realm, which its message names. Lists go in parts: none has more than
//! [`META_ITEMS_MAX`] items.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::{CALL_URI_BYTES_MAX, NAME_BYTES_MAX, is_session};
use crate::segment::Match;
use crate::time::WallTime;

/// Items of the lists of one message, at most.
pub const META_ITEMS_MAX: usize = 8 << 10;
/// The longest realm, authid, authrole and the like that entries tell each other of.
pub const META_NAME_BYTES_MAX: usize = NAME_BYTES_MAX;
/// Bytes of all texts of a question, at most.
pub const META_TEXT_BYTES_MAX: usize = 64 << 10;

/// What an entry asks another one of its sessions and subscriptions, or wants done to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetaQuestion {
    /// How many sessions there are, of all roles or of these.
    CountSessions {
        /// Roles.
        authroles: Option<Vec<String>>,
    },
    /// Which ones.
    ListSessions {
        /// Roles.
        authroles: Option<Vec<String>>,
    },
    /// Who one is.
    GetSession {
        /// It.
        session: u64,
    },
    /// That sessions end, without the one that asks.
    Kill {
        /// Which ones.
        whom: MetaWhom,
        /// A URI that they are told.
        reason: String,
        /// For people.
        message: Option<String>,
    },
    /// That what is told of a session changes.
    ModifyDetails {
        /// It.
        session: u64,
        /// Texts of JSON by key, `None` for what goes.
        delta: BTreeMap<String, Option<String>>,
    },
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
    MatchSubscriptions {
        /// A topic.
        uri: String,
    },
    /// What one is of.
    GetSubscription {
        /// It.
        subscription: u64,
    },
    /// Who has one.
    ListSubscribers {
        /// It.
        subscription: u64,
    },
    /// How many have one.
    CountSubscribers {
        /// It.
        subscription: u64,
    },
}

/// Sessions that are to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetaWhom {
    /// This one.
    Session(u64),
    /// All who have logged in so.
    Authid(String),
    /// All of a role.
    Authrole(String),
    /// All.
    All,
}

/// A part of the answer to a question; where it is a list, the parts make one, and else there is one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetaReply {
    /// It is done.
    Done,
    /// So many.
    Count(u64),
    /// These.
    Ids(Vec<u64>),
    /// This one, if there is one.
    Found(Option<MetaFound>),
    /// These, by how they match.
    Lists {
        /// Of one URI each.
        exact: Vec<u64>,
        /// Of all that begins with a text.
        prefix: Vec<u64>,
        /// Of all with these components.
        wildcard: Vec<u64>,
    },
    /// Who a session is, and what was added to that: texts of JSON, by key.
    Session(Box<MetaSession>, BTreeMap<String, String>),
    /// What a subscription is of.
    Subscription(MetaSubscription),
    /// There is nothing of that id there.
    NoSuch,
    /// What would be added to the details of a session is more than may be.
    TooMuch,
    /// The entry has no room for the answer, or was to do something and has just stood still: nothing was done.
    NoRoom,
}

/// A subscription of just the topics that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaFound {
    /// It.
    pub subscription: u64,
    /// Of one session alone: other entries may have that of all.
    pub is_private: bool,
}

/// Who a session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaSession {
    /// It.
    pub session: u64,
    /// As in its WELCOME.
    pub authid: Arc<str>,
    /// As in its WELCOME.
    pub authrole: Arc<str>,
    /// As in its WELCOME.
    pub authmethod: Arc<str>,
    /// As in its WELCOME.
    pub authprovider: Arc<str>,
}

/// What a subscription is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaSubscription {
    /// It.
    pub subscription: u64,
    /// When its first session at that entry was told of it.
    pub created: WallTime,
    /// As it was asked for.
    pub uri: Arc<str>,
    /// How it matches.
    pub matching: Match,
}

/// Who has a subscription, or some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaHolders {
    /// What it is of.
    pub of: MetaSubscription,
    /// Sessions, at least one.
    pub sessions: Vec<u64>,
}

/// What a message says of all sessions, or subscriptions, that an entry has in a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetaPart {
    /// The first part of a list of all. What was told before may not be so any more.
    First,
    /// One more.
    More,
    /// The last one: what it has not named is not there.
    Last,
    /// What has changed since.
    Change,
}

impl MetaQuestion {
    pub(super) fn heap_bytes(&self) -> usize {
        let texts =
            |texts: &Option<Vec<String>>| texts.iter().flatten().map(|text| text_bytes(text)).sum();
        match self {
            Self::CountSessions { authroles } | Self::ListSessions { authroles } => {
                texts(authroles)
            }
            Self::Kill { whom, reason, message } => {
                let whom = match whom {
                    MetaWhom::Authid(name) | MetaWhom::Authrole(name) => name.len(),
                    MetaWhom::Session(_) | MetaWhom::All => 0,
                };
                whom + reason.len() + message.as_ref().map_or(0, String::len)
            }
            Self::ModifyDetails { delta, .. } => {
                let values = delta.values().flatten().map(String::len).sum::<usize>();
                values + delta.keys().map(|key| text_bytes(key)).sum::<usize>()
            }
            Self::LookupSubscription { uri, .. } | Self::MatchSubscriptions { uri } => uri.len(),
            Self::GetSession { .. }
            | Self::ListSubscriptions
            | Self::GetSubscription { .. }
            | Self::ListSubscribers { .. }
            | Self::CountSubscribers { .. } => 0,
        }
    }

    /// Whether it is of a session or subscription that there cannot be.
    pub(super) const fn has_no_number(&self) -> bool {
        match self {
            Self::GetSession { session: id }
            | Self::Kill { whom: MetaWhom::Session(id), .. }
            | Self::ModifyDetails { session: id, .. }
            | Self::GetSubscription { subscription: id }
            | Self::ListSubscribers { subscription: id }
            | Self::CountSubscribers { subscription: id } => !is_session(*id),
            Self::CountSessions { .. }
            | Self::ListSessions { .. }
            | Self::Kill { .. }
            | Self::ListSubscriptions
            | Self::LookupSubscription { .. }
            | Self::MatchSubscriptions { .. } => false,
        }
    }

    pub(super) fn is_too_long(&self) -> bool {
        let is_name = match self {
            Self::Kill { whom: MetaWhom::Authid(name) | MetaWhom::Authrole(name), .. } => {
                name.len() <= META_NAME_BYTES_MAX
            }
            Self::CountSessions { .. }
            | Self::ListSessions { .. }
            | Self::GetSession { .. }
            | Self::Kill { .. }
            | Self::ModifyDetails { .. }
            | Self::ListSubscriptions
            | Self::LookupSubscription { .. }
            | Self::MatchSubscriptions { .. }
            | Self::GetSubscription { .. }
            | Self::ListSubscribers { .. }
            | Self::CountSubscribers { .. } => true,
        };
        !is_name || self.heap_bytes() > META_TEXT_BYTES_MAX
    }
}

impl MetaReply {
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Ids(ids) => ids_bytes(ids),
            Self::Lists { exact, prefix, wildcard } => {
                ids_bytes(exact) + ids_bytes(prefix) + ids_bytes(wildcard)
            }
            Self::Session(session, added) => session.bytes() + added_bytes(added),
            Self::Subscription(of) => of.uri.len(),
            Self::Done
            | Self::Count(_)
            | Self::Found(_)
            | Self::NoSuch
            | Self::TooMuch
            | Self::NoRoom => 0,
        }
    }

    /// Items of its lists.
    #[must_use]
    pub const fn items(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Lists { exact, prefix, wildcard } => exact.len() + prefix.len() + wildcard.len(),
            Self::Done
            | Self::Count(_)
            | Self::Found(_)
            | Self::Session(..)
            | Self::Subscription(_)
            | Self::NoSuch
            | Self::TooMuch
            | Self::NoRoom => 0,
        }
    }

    pub(super) fn is_too_long(&self) -> bool {
        let is_long = match self {
            Self::Session(session, added) => {
                session.is_too_long() || added_bytes(added) > META_TEXT_BYTES_MAX
            }
            Self::Subscription(of) => of.is_too_long(),
            Self::Done
            | Self::Count(_)
            | Self::Ids(_)
            | Self::Found(_)
            | Self::Lists { .. }
            | Self::NoSuch
            | Self::TooMuch
            | Self::NoRoom => false,
        };
        is_long || self.items() > META_ITEMS_MAX
    }

    pub(super) fn has_no_number(&self) -> bool {
        let is_none = |id: &u64| !is_session(*id);
        match self {
            Self::Ids(ids) => ids.iter().any(is_none),
            Self::Found(found) => found.is_some_and(|found| is_none(&found.subscription)),
            Self::Lists { exact, prefix, wildcard } => {
                exact.iter().chain(prefix).chain(wildcard).any(is_none)
            }
            Self::Session(session, _) => is_none(&session.session),
            Self::Subscription(of) => is_none(&of.subscription),
            Self::Done | Self::Count(_) | Self::NoSuch | Self::TooMuch | Self::NoRoom => false,
        }
    }
}

impl MetaSession {
    /// What it takes, with its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.texts().map(str::len).iter().sum::<usize>()
    }

    /// Whether a peer takes it: it can be, and no text is too long.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        is_session(self.session) && !self.is_too_long()
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.texts().iter().any(|text| text.len() > META_NAME_BYTES_MAX)
    }

    fn texts(&self) -> [&str; 4] {
        [&self.authid, &self.authrole, &self.authmethod, &self.authprovider]
    }
}

impl MetaSubscription {
    pub(super) fn is_too_long(&self) -> bool {
        self.uri.len() > CALL_URI_BYTES_MAX
    }
}

impl MetaHolders {
    /// What it takes, with its topics and sessions.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.of.uri.len() + ids_bytes(&self.sessions)
    }

    /// Whether a peer takes it: it can be, and its topics are not too long.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        !self.has_no_number() && !self.of.is_too_long()
    }

    /// Whether the subscription or a session cannot be.
    pub(super) fn has_no_number(&self) -> bool {
        !is_session(self.of.subscription)
            || self.sessions.is_empty()
            || self.sessions.iter().any(|session| !is_session(*session))
    }
}

/// As items, of those who have subscriptions.
pub(super) fn holders_len(all: &[MetaHolders]) -> usize {
    all.iter().map(|holders| holders.sessions.len()).sum()
}

fn ids_bytes(ids: &[u64]) -> usize {
    size_of_val(ids)
}

fn added_bytes(added: &BTreeMap<String, String>) -> usize {
    added.iter().map(|(key, value)| text_bytes(key) + value.len()).sum()
}

/// What a text takes in a list or map.
fn text_bytes(text: &str) -> usize {
    size_of::<String>() + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::OwnerId;
    use crate::wire::{CallMessage, Message, PeerId, judge};

    /// Why what another entry says ends its link.
    fn judged(message: CallMessage) -> Result<(), &'static str> {
        let is_sayable = message.is_sayable();
        let [own, peer] =
            [1, 2].map(|n| PeerId::Entry { owner: OwnerId(uuid::Uuid::from_u128(n)) });
        let judged = judge(&own, &peer, &Message::Call(message)).map_err(|why| why.reason());
        assert_eq!(judged.is_ok(), is_sayable, "what is not taken is not said");
        judged
    }

    fn ask(request: u64, realm: usize, asker: u64, question: MetaQuestion) -> CallMessage {
        CallMessage::AskMeta { request, realm: "r".repeat(realm).into(), asker, question }
    }

    fn answer(request: u64, reply: MetaReply) -> CallMessage {
        CallMessage::MetaAnswer { request, reply, is_last: true }
    }

    fn session(session: u64, authid: usize) -> MetaSession {
        let text: Arc<str> = "x".into();
        let (authrole, authmethod, authprovider) = (text.clone(), text.clone(), text);
        let authid = "a".repeat(authid).into();
        MetaSession { session, authid, authrole, authmethod, authprovider }
    }

    fn subscription(subscription: u64, uri: usize) -> MetaSubscription {
        let (created, uri, matching) = (WallTime(1), "u".repeat(uri).into(), Match::Exact);
        MetaSubscription { subscription, created, uri, matching }
    }

    const fn found(subscription: u64) -> MetaFound {
        MetaFound { subscription, is_private: false }
    }

    fn sessions_are(realm: usize, are: Vec<MetaSession>, over: Vec<u64>) -> CallMessage {
        let (realm, part) = ("r".repeat(realm).into(), MetaPart::Change);
        CallMessage::SessionsAre { realm, part, are, over }
    }

    fn subscriptions_are(are: Vec<MetaHolders>, over: Vec<(u64, u64)>) -> CallMessage {
        let (realm, part) = ("r".into(), MetaPart::First);
        CallMessage::SubscriptionsAre { realm, part, are, over }
    }

    const ID_MAX: u64 = 1 << 53;

    #[test]
    fn what_cannot_be_asked_of_or_answered_ends_the_link() {
        let get = |session| MetaQuestion::GetSession { session };
        let holders = |id, sessions| MetaHolders { of: subscription(id, 1), sessions };
        let lists = |wildcard| MetaReply::Lists { exact: vec![1], prefix: vec![], wildcard };
        for good in [
            ask(1, 1, 1, get(ID_MAX)),
            ask(1, 1, ID_MAX, MetaQuestion::GetSubscription { subscription: 1 }),
            answer(1, MetaReply::Ids(vec![1, ID_MAX])),
            answer(1, MetaReply::Found(None)),
            answer(1, MetaReply::Found(Some(found(ID_MAX)))),
            sessions_are(0, vec![session(1, 0)], vec![2]),
            subscriptions_are(vec![holders(1, vec![2])], vec![(3, 4)]),
        ] {
            assert_eq!(judged(good.clone()), Ok(()), "{good:?}");
        }
        let whom = MetaWhom::Session(0);
        let kill = MetaQuestion::Kill { whom, reason: String::new(), message: None };
        for bad in [
            ask(0, 1, 1, get(1)),
            ask(1, 1, 0, get(1)),
            ask(1, 1, ID_MAX + 1, get(1)),
            ask(1, 1, 1, get(0)),
            ask(1, 1, 1, get(ID_MAX + 1)),
            ask(1, 1, 1, kill),
            ask(1, 1, 1, MetaQuestion::ListSubscribers { subscription: 0 }),
            answer(0, MetaReply::Done),
            answer(1, MetaReply::Ids(vec![1, 0])),
            answer(1, lists(vec![ID_MAX + 1])),
            answer(1, MetaReply::Found(Some(found(0)))),
            answer(1, MetaReply::Session(Box::new(session(0, 1)), BTreeMap::new())),
            answer(1, MetaReply::Subscription(subscription(0, 1))),
            sessions_are(1, vec![session(0, 1)], vec![]),
            sessions_are(1, vec![], vec![0]),
            subscriptions_are(vec![holders(0, vec![1])], vec![]),
            subscriptions_are(vec![holders(1, vec![])], vec![]),
            subscriptions_are(vec![holders(1, vec![1, 0])], vec![]),
            subscriptions_are(vec![], vec![(1, 0)]),
        ] {
            assert_eq!(judged(bad.clone()), Err("number"), "{bad:?}");
        }
    }

    #[test]
    fn texts_and_lists_are_no_longer_than_entries_write_them() {
        let (name, uri, items) = (META_NAME_BYTES_MAX, CALL_URI_BYTES_MAX, META_ITEMS_MAX);
        let count = MetaQuestion::CountSessions { authroles: None };
        let kill = |authid: usize, message: usize| {
            let whom = MetaWhom::Authid("a".repeat(authid));
            let (reason, message) = (String::new(), Some("m".repeat(message)));
            ask(1, 1, 1, MetaQuestion::Kill { whom, reason, message })
        };
        let hears = |realm: usize| CallMessage::HearMeta {
            realm: "r".repeat(realm).into(),
            is_heard: true,
        };
        let who =
            |authid| answer(1, MetaReply::Session(Box::new(session(1, authid)), BTreeMap::new()));
        let of = |uri| answer(1, MetaReply::Subscription(subscription(1, uri)));
        let many = |count| MetaHolders { of: subscription(1, 1), sessions: vec![1; count] };
        for good in [
            hears(name),
            ask(1, name, 1, count.clone()),
            kill(name, 1),
            who(name),
            of(uri),
            answer(1, MetaReply::Ids(vec![1; items])),
            sessions_are(name, vec![session(1, name)], vec![1; items - 1]),
            subscriptions_are(vec![many(items - 1)], vec![(1, 1)]),
        ] {
            assert_eq!(judged(good), Ok(()));
        }
        let lists = MetaReply::Lists { exact: vec![1; items], prefix: vec![1], wildcard: vec![] };
        let roles = Some(vec!["r".repeat(META_TEXT_BYTES_MAX)]);
        let delta = BTreeMap::from([("k".repeat(META_TEXT_BYTES_MAX), None)]);
        for bad in [
            hears(name + 1),
            ask(1, name + 1, 1, count),
            ask(1, 1, 1, MetaQuestion::ListSessions { authroles: roles }),
            ask(1, 1, 1, MetaQuestion::ModifyDetails { session: 1, delta }),
            kill(name + 1, 1),
            kill(1, META_TEXT_BYTES_MAX),
            who(name + 1),
            of(uri + 1),
            answer(1, MetaReply::Ids(vec![1; items + 1])),
            answer(1, lists),
            sessions_are(name + 1, vec![], vec![]),
            sessions_are(1, vec![session(1, name + 1)], vec![]),
            sessions_are(1, vec![session(1, 1)], vec![1; items]),
            subscriptions_are(vec![many(items)], vec![(1, 1)]),
        ] {
            assert_eq!(judged(bad), Err("length"));
        }
    }

    #[test]
    fn what_waits_in_a_queue_counts_with_its_texts_and_lists() {
        let bytes = |message: CallMessage| Message::from(message).queued_bytes();
        let ids = |count| answer(1, MetaReply::Ids(vec![1; count]));
        assert_eq!(bytes(ids(100)), bytes(ids(0)) + 800);
        let none = bytes(sessions_are(1, vec![], vec![]));
        let one = size_of::<MetaSession>() + 7 + 3;
        assert_eq!(bytes(sessions_are(1, vec![session(1, 7)], vec![2])), none + one + 8);
        let holders = MetaHolders { of: subscription(1, 9), sessions: vec![1, 2] };
        let one = size_of::<MetaHolders>() + 9 + 16;
        assert_eq!(bytes(subscriptions_are(vec![holders], vec![(1, 2)])), none + one + 16);
        let named =
            |uri: &str| ask(1, 1, 1, MetaQuestion::MatchSubscriptions { uri: uri.to_owned() });
        assert_eq!(bytes(named("abc")), bytes(named("")) + 3);
    }
}
