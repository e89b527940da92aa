//! Topics of a session, from the URI as it stands in its frames to the shared [`Topic`].

use std::borrow::Cow;
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;
use vixen_core::segment::{Match, Topic, TopicPattern};
use vixen_runtime::config::UriCheck;

use super::error::Refusal;
use super::limits::SessionLimits;
use super::options::decode_string;
use super::uri::{is_dotted, is_pattern, is_reserved, is_uri};

/// A publisher mostly repeats a handful of topics; each slot keeps the last one that fell in it.
const SLOTS: usize = 16;

/// A URI as it stands in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawUri<'a> {
    /// A JSON string, with its quotes.
    Json(&'a str),
    /// Itself.
    Text(Cow<'a, str>),
}

impl RawUri<'_> {
    fn raw(&self) -> &str {
        match self {
            Self::Json(raw) => raw,
            Self::Text(text) => text,
        }
    }

    /// The text; `None` when a JSON string has a lone surrogate.
    pub(crate) fn decode(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Json(raw) => decode_string(raw),
            Self::Text(text) => Some(Cow::Borrowed(text)),
        }
    }
}

/// Checks topics, and remembers recent good ones so that repeating them allocates nothing.
#[derive(Debug)]
pub(super) struct TopicCache {
    realm: Arc<str>,
    topic_bytes_max: usize,
    uri_check: UriCheck,
    slots: [Option<Slot>; SLOTS],
}

#[derive(Debug)]
struct Slot {
    raw: Box<str>,
    topic: Topic,
    is_reserved: bool,
}

impl TopicCache {
    /// An empty cache of topics in `realm`.
    #[must_use]
    pub(super) fn new(realm: Arc<str>, limits: &SessionLimits) -> Self {
        Self {
            realm,
            topic_bytes_max: limits.topic_bytes_max,
            uri_check: limits.uri_check,
            slots: Default::default(),
        }
    }

    /// The pattern to subscribe to. A topic with a component `*` or `#` is one.
    ///
    /// # Errors
    /// It is no URI by the rule of its matching, or too long.
    pub(super) fn subscribed(
        &self,
        raw: &RawUri<'_>,
        matching: Match,
    ) -> Result<TopicPattern, Refusal> {
        let uri = raw.decode().ok_or(Refusal::InvalidUri)?;
        let max = self.topic_bytes_max;
        if uri.len() > max {
            return Err(Refusal::TopicTooLong { max });
        }
        let is_dotted = matching == Match::Exact && is_dotted(&uri);
        let matching = if is_dotted { Match::Dotted } else { matching };
        if !is_pattern(&uri, matching, self.uri_check) {
            let is_exact = matching == Match::Exact;
            return Err(if is_exact { Refusal::InvalidUri } else { Refusal::InvalidPattern });
        }
        Ok(TopicPattern { realm: Arc::clone(&self.realm), uri: uri.as_ref().into(), matching })
    }

    /// The topic to publish to.
    ///
    /// # Errors
    /// The topic is no URI, too long, or reserved.
    pub(super) fn published(&mut self, raw: &RawUri<'_>) -> Result<Topic, Refusal> {
        let slot = self.slot(raw)?;
        if slot.is_reserved { Err(Refusal::ReservedUri) } else { Ok(slot.topic.clone()) }
    }

    fn slot(&mut self, uri: &RawUri<'_>) -> Result<&Slot, Refusal> {
        let raw = uri.raw();
        let index = slot_index(raw);
        let is_hit = self.slots[index].as_ref().is_some_and(|slot| *slot.raw == *raw);
        if !is_hit {
            // Checked before the slot is touched: bad topics do not drive out good ones.
            let slot = self.check(uri)?;
            return Ok(self.slots[index].insert(slot));
        }
        self.slots[index].as_ref().ok_or(Refusal::InvalidUri)
    }

    fn check(&self, raw: &RawUri<'_>) -> Result<Slot, Refusal> {
        let uri = raw.decode().ok_or(Refusal::InvalidUri)?;
        if uri.len() > self.topic_bytes_max {
            return Err(Refusal::TopicTooLong { max: self.topic_bytes_max });
        }
        if !is_uri(&uri, self.uri_check) {
            return Err(Refusal::InvalidUri);
        }
        let topic = Topic { realm: Arc::clone(&self.realm), uri: uri.as_ref().into() };
        Ok(Slot { raw: raw.raw().into(), topic, is_reserved: is_reserved(&uri) })
    }
}

fn slot_index(raw: &str) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(raw.as_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    let hash = hasher.finish() as usize;
    hash % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short() -> SessionLimits {
        SessionLimits { topic_bytes_max: 10, ..SessionLimits::of_tests() }
    }

    #[test]
    fn a_repeated_topic_is_the_same_allocation() {
        let mut cache = TopicCache::new("realm1".into(), &short());
        let first = cache.published(&RawUri::Json(r#""a.b""#)).expect("a URI");
        let again = cache.published(&RawUri::Json(r#""a.b""#)).expect("a URI");
        assert!(Arc::ptr_eq(&first.uri, &again.uri) && Arc::ptr_eq(&first.realm, &again.realm));
        assert_eq!(
            cache.published(&RawUri::Json(r#""a\u002eb""#)),
            Ok(Topic::new("realm1", "a.b"))
        );
    }

    #[test]
    fn topics_beyond_the_slots_are_right_all_the_same() {
        let mut cache = TopicCache::new("realm1".into(), &short());
        for n in (0..200).chain(0..200) {
            let uri = format!("t.{n}");
            assert_eq!(
                cache.published(&RawUri::Json(&format!("{uri:?}"))),
                Ok(Topic::new("realm1", &uri))
            );
        }
    }

    #[test]
    fn subscriptions_are_patterns() {
        let cache = TopicCache::new("realm1".into(), &short());
        let of =
            |uri: &'static str, matching| cache.subscribed(&RawUri::Text(uri.into()), matching);
        let pattern = |uri, matching| Ok(TopicPattern::new("realm1", uri, matching));
        assert_eq!(of("a.b", Match::Exact), pattern("a.b", Match::Exact));
        assert_eq!(of("a.#", Match::Exact), pattern("a.#", Match::Dotted));
        assert_eq!(of("a.", Match::Prefix), pattern("a.", Match::Prefix));
        assert_eq!(of("a..b", Match::Wildcard), pattern("a..b", Match::Wildcard));
        assert_eq!(of("a..b", Match::Exact), Err(Refusal::InvalidUri));
        assert_eq!(of("a.#", Match::Prefix), Err(Refusal::InvalidPattern));
        assert_eq!(of("a.b.c.d.e.f", Match::Prefix), Err(Refusal::TopicTooLong { max: 10 }));
    }

    #[test]
    fn bad_topics_are_refused_each_time() {
        let mut cache = TopicCache::new("realm1".into(), &short());
        for _twice in 0..2 {
            assert_eq!(cache.published(&RawUri::Json(r#""a b""#)), Err(Refusal::InvalidUri));
            assert_eq!(cache.published(&RawUri::Json(r#""\ud800""#)), Err(Refusal::InvalidUri));
            assert_eq!(
                cache.published(&RawUri::Json(r#""12345678901""#)),
                Err(Refusal::TopicTooLong { max: 10 })
            );
            assert_eq!(cache.published(&RawUri::Json(r#""wamp.x""#)), Err(Refusal::ReservedUri));
            let subscribed = cache.subscribed(&RawUri::Text("wamp.x".into()), Match::Exact);
            assert_eq!(subscribed, Ok(TopicPattern::new("realm1", "wamp.x", Match::Exact)));
        }
    }
}
