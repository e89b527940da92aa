//! Realm `#state`: where keys, and what entries tell each other of them, stand in the order.
//!
//! | topic | messages |
//! |---|---|
//! | `k.R.T` | changes of the key T of realm R |
//! | `o.R` | heads of exactly-once messages of realm R |
//! | `v.lives`, `v.holders`, `v.cuts`, `v.verdicts` | what entries tell each other |
//! | `waits` | nobody publishes it |
//!
//! R is one component and no placeholder of patterns: `%`, `.` and `*` in it are written `%25`, `%2e` and `%2a`, and
//! nothing else is. So every pattern over T is a pattern of the same kind over `k.R.T`. A realm of clients is never
//! empty and has no `#`.
//!
//! Source: `docs/design/028-state.md`, *Realm and topics*.

use std::borrow::Cow;

use super::{Topic, TopicPattern};

/// The realm of keys and of what entries tell each other of them. No client can name it.
pub const STATE_REALM: &str = "#state";

/// The realm of parts of checkpoints of it, which nobody follows live. No client can name it.
pub const STATE_PARTS_REALM: &str = "#state.parts";

const OF_KEY: &str = "k.";
const OF_ONCE: &str = "o.";
const LIVES: &str = "v.lives";
const HOLDERS: &str = "v.holders";
const CUTS: &str = "v.cuts";
const VERDICTS: &str = "v.verdicts";

/// A topic of [`STATE_REALM`] that is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateTopic {
    /// Of a key: the realm and the topic that clients know.
    Key(Topic),
    /// Of exactly-once messages of a realm.
    Once {
        /// The realm that clients know.
        realm: String,
    },
    /// LIFE and GONE.
    Lives,
    /// HOLD, OVER, LOOSE and LEAVE.
    Holders,
    /// BEGIN, WHOLE, MARK and FORMAT.
    Cuts,
    /// Verdicts of the past.
    Verdicts,
}

impl StateTopic {
    /// What a topic of [`STATE_REALM`] is; `None`: nothing is written there, or it is not in its one form.
    #[must_use]
    pub fn of(uri: &str) -> Option<Self> {
        if let Some(rest) = uri.strip_prefix(OF_KEY) {
            let (realm, key) = rest.split_once('.').filter(|(_, key)| !key.is_empty())?;
            return Some(Self::Key(Topic::new(&plain(realm)?, key)));
        }
        if let Some(realm) = uri.strip_prefix(OF_ONCE) {
            return Some(Self::Once { realm: plain(realm)?.into_owned() });
        }
        match uri {
            LIVES => Some(Self::Lives),
            HOLDERS => Some(Self::Holders),
            CUTS => Some(Self::Cuts),
            VERDICTS => Some(Self::Verdicts),
            _ => None,
        }
    }

    /// The topic in [`STATE_REALM`].
    #[must_use]
    pub fn to_topic(&self) -> Topic {
        match self {
            Self::Key(Topic { realm, uri }) => Topic::new(STATE_REALM, &of_key(realm, uri)),
            Self::Once { realm } => {
                Topic::new(STATE_REALM, &format!("{OF_ONCE}{}", component(realm)))
            }
            Self::Lives => Topic::new(STATE_REALM, LIVES),
            Self::Holders => Topic::new(STATE_REALM, HOLDERS),
            Self::Cuts => Topic::new(STATE_REALM, CUTS),
            Self::Verdicts => Topic::new(STATE_REALM, VERDICTS),
        }
    }
}

impl TopicPattern {
    /// The changes of all keys that a pattern of clients matches, and of no others: in [`STATE_REALM`].
    #[must_use]
    pub fn of_keys(&self) -> Self {
        Self::new(STATE_REALM, &of_key(&self.realm, &self.uri), self.matching)
    }
}

/// The topic of a key, or of a pattern of keys.
fn of_key(realm: &str, uri: &str) -> String {
    format!("{OF_KEY}{}.{uri}", component(realm))
}

/// A realm as one component of a topic.
fn component(realm: &str) -> Cow<'_, str> {
    if !realm.contains(['%', '.', '*']) {
        return Cow::Borrowed(realm);
    }
    let escaped = realm.replace('%', "%25").replace('.', "%2e").replace('*', "%2a");
    Cow::Owned(escaped)
}

/// The realm that a component says; `None` if none is written so.
fn plain(component: &str) -> Option<Cow<'_, str>> {
    if component.is_empty() || component.contains(['.', '*', '#']) {
        return None;
    }
    if !component.contains('%') {
        return Some(Cow::Borrowed(component));
    }
    let mut realm = String::with_capacity(component.len());
    let mut parts = component.split('%');
    realm.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (escaped, rest) = part.split_at_checked(2)?;
        realm.push(match escaped {
            "25" => '%',
            "2e" => '.',
            "2a" => '*',
            _ => return None,
        });
        realm.push_str(rest);
    }
    Some(Cow::Owned(realm))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::Match;

    fn key(realm: &str, uri: &str) -> StateTopic {
        StateTopic::Key(Topic::new(realm, uri))
    }

    /// Golden: topics are stored.
    #[test]
    fn topics_have_these_names() {
        let table = [
            (key("r", "a.b"), "k.r.a.b"),
            (key("com.x", "a"), "k.com%2ex.a"),
            (key("*", "x"), "k.%2a.x"),
            (key("50%.*", "%2e"), "k.50%25%2e%2a.%2e"),
            (StateTopic::Once { realm: "com.x".to_owned() }, "o.com%2ex"),
            (StateTopic::Lives, "v.lives"),
            (StateTopic::Holders, "v.holders"),
            (StateTopic::Cuts, "v.cuts"),
            (StateTopic::Verdicts, "v.verdicts"),
        ];
        for (topic, uri) in table {
            assert_eq!(topic.to_topic(), Topic::new("#state", uri));
            assert_eq!(StateTopic::of(uri), Some(topic));
        }
    }

    #[test]
    fn what_is_in_no_form_is_no_topic() {
        let none = [
            "", "k", "k.", "k.r", "k.r.", "k..a", "k.*.a", "k.#.a", "k.r#.a", "k.%2E.a", "k.%.a",
            "k.%2.a", "k.%61.a", "k.%é.a", "o.", "o.a.b", "o.*", "v", "v.", "v.live", "waits",
        ];
        for uri in none {
            assert_eq!(StateTopic::of(uri), None, "{uri}");
        }
    }

    #[test]
    fn patterns_of_clients_stay_of_their_kind_and_in_their_realm() {
        let all = [
            ("a.b", Match::Exact, "k.r%2e1.a.b"),
            ("a.b", Match::Prefix, "k.r%2e1.a.b"),
            ("", Match::Prefix, "k.r%2e1."),
            ("a..c", Match::Wildcard, "k.r%2e1.a..c"),
            ("*.#", Match::Dotted, "k.r%2e1.*.#"),
        ];
        for (uri, matching, wanted) in all {
            let pattern = TopicPattern::new("r.1", uri, matching).of_keys();
            assert_eq!(pattern, TopicPattern::new("#state", wanted, matching));
            assert!(pattern.is_of_entries());
        }
        // A realm that is called as a placeholder has its own keys alone.
        let of_star = TopicPattern::new("*", "x", Match::Dotted).of_keys();
        assert!(of_star.matches(&key("*", "x").to_topic()));
        assert!(!of_star.matches(&key("r", "x").to_topic()));
    }

    proptest! {
        #[test]
        fn keys_come_back_and_match_as_their_topics_do(
            realm in "[a%.*2e]{1,6}",
            other in "[a%.*2e]{1,6}",
            uri in "[ab.]{1,6}",
            pattern in "[ab.*#]{0,6}",
            matching in prop::sample::select(vec![
                Match::Exact, Match::Prefix, Match::Wildcard, Match::Dotted,
            ]),
        ) {
            let topic = Topic::new(&realm, &uri);
            let stored = StateTopic::Key(topic.clone()).to_topic();
            prop_assert_eq!(StateTopic::of(&stored.uri), Some(StateTopic::Key(topic.clone())));
            let own = TopicPattern::new(&realm, &pattern, matching);
            prop_assert_eq!(own.of_keys().matches(&stored), own.matches(&topic));
            let others = TopicPattern::new(&other, &pattern, matching);
            prop_assert_eq!(others.of_keys().matches(&stored), others.matches(&topic));
        }

        #[test]
        fn what_is_a_topic_has_one_form(uri in "[kov]\\.[a.%*#25e]{0,8}") {
            if let Some(topic) = StateTopic::of(&uri) {
                let stored = topic.to_topic();
                prop_assert_eq!(&*stored.uri, &*uri);
            }
        }
    }
}
