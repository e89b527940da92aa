//! Meta events: what the router itself publishes of sessions, subscriptions and registrations.
//!
//! Source: WAMP spec, *Session Meta API*, *Subscription Meta API* and *Registration Meta API*. Each entry makes them for
//! its own subscribers, of what it has itself and of what others tell it, and they are not stored: they have no place in
//! the order. Of the meta topics themselves nothing is told, and of other topics only to those who may subscribe them, of procedures to those who may call them. While
//! nobody in a realm may have subscribed them, none is made.

use std::sync::Arc;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use vixen_broker::dealer::policy_of;
use vixen_broker::delivery::Change;
use vixen_broker::event::{About, RouterEvent};
use vixen_broker::meta::Details;
use vixen_core::segment::{Topic, TopicPattern};
use vixen_core::time::WallTime;
use vixen_core::wire::MetaSession;
use vixen_views::registrations;

use super::words::{pattern_details, registration_details};

/// Publications of the router have random numbers from here on: no position is as large.
const PUBLICATION_MIN: u64 = 1 << 52;

/// One meta event.
pub(in crate::node) struct Event {
    topic: Topic,
    /// What it tells of.
    about: Option<About>,
    arguments: Value,
}

impl Event {
    /// A session is welcome.
    pub(in crate::node) fn joined(realm: &Arc<str>, session: &MetaSession) -> Self {
        let details = json!({
            "session": session.session,
            "authid": *session.authid,
            "authrole": *session.authrole,
            "authmethod": *session.authmethod,
            "authprovider": *session.authprovider,
            "transport": {"type": "websocket"},
        });
        Self::new(realm, "wamp.session.on_join", json!([details]))
    }

    /// A session is over.
    pub(in crate::node) fn left(realm: &Arc<str>, session: &MetaSession) -> Self {
        let arguments = json!([session.session, *session.authid, *session.authrole]);
        Self::new(realm, "wamp.session.on_leave", arguments)
    }

    /// A subscription came or went; nothing when it is of meta topics.
    pub(in crate::node) fn changed(now: WallTime, change: &Change) -> Option<Self> {
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
            Change::Created { .. } => json!([session.0, created(now, subscription.0, pattern)]),
            _ => json!([session.0, subscription.0]),
        };
        let about = Some(About::Topics(pattern.clone()));
        Some(Self { about, ..Self::new(&pattern.realm, name, arguments) })
    }

    /// As it is delivered; `numbers` are random, and tell nobody how many there are.
    pub(in crate::node) fn event(self, numbers: &mut StdRng) -> RouterEvent {
        let Self { topic, about, arguments } = self;
        let publication = numbers.random_range(PUBLICATION_MIN..2 * PUBLICATION_MIN);
        RouterEvent { topic, about, publication, payload: Bytes::from(arguments.to_string()) }
    }

    fn new(realm: &Arc<str>, uri: &str, arguments: Value) -> Self {
        let topic = Topic { realm: Arc::clone(realm), uri: uri.into() };
        Self { topic, about: None, arguments }
    }
}

/// What has changed of the registrations, in realms where it is heard. A registration begins with its first callee and
/// ends with its last one: these are named, also where they are gone.
pub(in crate::node) fn of_registrations(
    changes: &[registrations::Change],
    is_heard: impl Fn(&str) -> bool,
) -> Vec<Event> {
    use registrations::Change as Of;
    let mut events = Vec::new();
    let mut made = |name, pattern: &TopicPattern, arguments| {
        let about = Some(About::Procedures(pattern.clone()));
        events.push(Event { about, ..Event::new(&pattern.realm, name, arguments) });
    };
    // Who has left last, and which registration.
    let mut last = None;
    for (at, change) in changes.iter().enumerate() {
        match change {
            Of::Created { pattern, .. }
            | Of::Joined { pattern, .. }
            | Of::Left { pattern, .. }
            | Of::Deleted { pattern, .. }
                if !is_heard(&pattern.realm) => {}
            Of::Created { registration, pattern, invoke, created } => {
                let first = changes[at..].iter().find_map(|change| match change {
                    Of::Joined { registration: joined, callee, .. } if joined == registration => {
                        Some(callee.session)
                    }
                    _ => None,
                });
                let details = Details::new(registration.0, *created, pattern);
                let details = registration_details(&details, policy_of(*invoke));
                if let Some(session) = first {
                    made("wamp.registration.on_create", pattern, json!([session, details]));
                }
            }
            Of::Joined { registration, pattern, callee, .. } => {
                let arguments = json!([callee.session, registration.0]);
                made("wamp.registration.on_register", pattern, arguments);
            }
            Of::Left { registration, pattern, callee, .. } => {
                last = Some((*registration, callee.session));
                let arguments = json!([callee.session, registration.0]);
                made("wamp.registration.on_unregister", pattern, arguments);
            }
            Of::Deleted { registration, pattern } => {
                if let Some((_, session)) = last.filter(|(left, _)| left == registration) {
                    let arguments = json!([session, registration.0]);
                    made("wamp.registration.on_delete", pattern, arguments);
                }
            }
            Of::Alive(_) | Of::Over(_) => {}
        }
    }
    events
}

fn created(now: WallTime, subscription: u64, pattern: &TopicPattern) -> Value {
    Value::Object(pattern_details(&Details::new(subscription, now, pattern)))
}
