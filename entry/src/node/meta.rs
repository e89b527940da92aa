//! Meta events: what the router itself publishes of sessions and subscriptions.
//!
//! Source: WAMP spec, *Session Meta API* and *Subscription Meta API*. They are of this entry, go to
//! the subscribers at this entry, and are not stored: they have no place in the order. Of the meta
//! topics themselves nothing is told, and of other topics only to those who may subscribe them. While
//! nobody in a realm may have subscribed them, none is made.

use bytes::Bytes;
use jiff::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use vixen_broker::api::SessionInfo;
use vixen_broker::delivery::Change;
use vixen_broker::event::RouterEvent;
use vixen_core::segment::{Match, Topic, TopicPattern};
use vixen_core::time::WallTime;

/// Publications of the router have random numbers from here on: no position is as large.
const PUBLICATION_MIN: u64 = 1 << 52;

/// One meta event.
pub(super) struct Meta {
    topic: Topic,
    /// Whose topics it tells of.
    about: Option<TopicPattern>,
    arguments: Value,
}

impl Meta {
    /// A session is welcome.
    pub(super) fn joined(info: &SessionInfo) -> Self {
        let details = json!({
            "session": info.session.0,
            "authid": *info.authid,
            "authrole": *info.authrole,
            "authmethod": info.authmethod,
            "authprovider": info.authprovider,
            "transport": {"type": "websocket"},
        });
        Self::new(&info.realm, "wamp.session.on_join", json!([details]))
    }

    /// A session is over.
    pub(super) fn left(info: &SessionInfo) -> Self {
        let arguments = json!([info.session.0, *info.authid, *info.authrole]);
        Self::new(&info.realm, "wamp.session.on_leave", arguments)
    }

    /// A subscription came or went; nothing when it is of meta topics.
    pub(super) fn changed(now: WallTime, change: &Change) -> Option<Self> {
        let (name, session, subscription, pattern) = match change {
            Change::Created { session, subscription, pattern } => {
                ("wamp.subscription.on_create", session, subscription, pattern)
            }
            Change::Subscribed { session, subscription, pattern } => {
                ("wamp.subscription.on_subscribe", session, subscription, pattern)
            }
            Change::Unsubscribed { session, subscription, pattern } => {
                ("wamp.subscription.on_unsubscribe", session, subscription, pattern)
            }
            Change::Deleted { session, subscription, pattern } => {
                ("wamp.subscription.on_delete", session, subscription, pattern)
            }
        };
        if pattern.uri.starts_with("wamp.") {
            return None;
        }
        let arguments = match change {
            Change::Created { .. } => json!([session.0, details(now, subscription.0, pattern)]),
            _ => json!([session.0, subscription.0]),
        };
        let about = Some(pattern.clone());
        Some(Self { about, ..Self::new(&pattern.realm, name, arguments) })
    }

    /// As it is delivered; `numbers` are random, and tell nobody how many there are.
    pub(super) fn event(self, numbers: &mut StdRng) -> RouterEvent {
        let Self { topic, about, arguments } = self;
        let publication = numbers.random_range(PUBLICATION_MIN..2 * PUBLICATION_MIN);
        RouterEvent { topic, about, publication, payload: Bytes::from(arguments.to_string()) }
    }

    fn new(realm: &std::sync::Arc<str>, uri: &str, arguments: Value) -> Self {
        let topic = Topic { realm: std::sync::Arc::clone(realm), uri: uri.into() };
        Self { topic, about: None, arguments }
    }
}

fn details(now: WallTime, subscription: u64, pattern: &TopicPattern) -> Value {
    let created = i64::try_from(now.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    json!({
        "id": subscription,
        "created": created.map(|created| format!("{created:.3}")),
        "uri": *pattern.uri,
        "match": match pattern.matching {
            // Asked for as an exact topic with placeholders.
            Match::Exact | Match::Dotted => "exact",
            Match::Prefix => "prefix",
            Match::Wildcard => "wildcard",
        },
    })
}
