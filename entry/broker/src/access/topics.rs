//! Topics of a session, from what a client says to the shared [`Topic`].

use std::borrow::Cow;
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;
use vixen_core::access::UriCheck;
use vixen_core::segment::{Match, Topic, TopicPattern};

use super::ingress::IngressLimits;
use super::refusal::Refusal;
use super::uri::{is_dotted, is_pattern, is_reserved, is_uri};

/// A publisher mostly repeats a handful of topics; each slot keeps the last one that fell in it.
const SLOTS: usize = 16;

/// A topic as a client says it.
pub trait TopicText {
    /// What tells it from others that the same client says.
    fn raw(&self) -> &str;

    /// Itself; `None` when it is no text.
    fn text(&self) -> Option<Cow<'_, str>>;
}

impl TopicText for str {
    fn raw(&self) -> &str {
        self
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self))
    }
}

impl TopicText for &str {
    fn raw(&self) -> &str {
        self
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self))
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
    pub(super) fn new(realm: Arc<str>, limits: &IngressLimits) -> Self {
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
        raw: &impl TopicText,
        matching: Match,
    ) -> Result<TopicPattern, Refusal> {
        let uri = raw.text().ok_or(Refusal::InvalidTopic)?;
        let max = self.topic_bytes_max;
        if uri.len() > max {
            return Err(Refusal::TopicTooLong { max });
        }
        let is_dotted = matching == Match::Exact && is_dotted(&uri);
        let matching = if is_dotted { Match::Dotted } else { matching };
        if !is_pattern(&uri, matching, self.uri_check) {
            let is_exact = matching == Match::Exact;
            return Err(if is_exact { Refusal::InvalidTopic } else { Refusal::InvalidPattern });
        }
        Ok(TopicPattern { realm: Arc::clone(&self.realm), uri: uri.as_ref().into(), matching })
    }

    /// The topic to publish to.
    ///
    /// # Errors
    /// The topic is no URI, too long, or reserved.
    pub(super) fn published(&mut self, raw: &impl TopicText) -> Result<Topic, Refusal> {
        let slot = self.slot(raw)?;
        if slot.is_reserved { Err(Refusal::ReservedTopic) } else { Ok(slot.topic.clone()) }
    }

    /// The procedure to call.
    ///
    /// # Errors
    /// It is no URI, or too long.
    pub(super) fn called(&mut self, raw: &impl TopicText) -> Result<Arc<str>, Refusal> {
        match self.slot(raw) {
            Ok(slot) => Ok(Arc::clone(&slot.topic.uri)),
            Err(Refusal::InvalidTopic) => Err(Refusal::InvalidProcedure),
            Err(other) => Err(other),
        }
    }

    /// The procedure or pattern to register.
    ///
    /// # Errors
    /// It is no URI by the rule of its matching, too long, or reserved.
    pub(super) fn registered(
        &self,
        raw: &impl TopicText,
        matching: Match,
    ) -> Result<Arc<str>, Refusal> {
        let uri = raw.text().ok_or(Refusal::InvalidProcedure)?;
        let max = self.topic_bytes_max;
        if uri.len() > max {
            return Err(Refusal::TopicTooLong { max });
        }
        if !is_pattern(&uri, matching, self.uri_check) {
            let is_exact = matching == Match::Exact;
            return Err(if is_exact { Refusal::InvalidProcedure } else { Refusal::InvalidPattern });
        }
        if is_reserved(&uri) {
            return Err(Refusal::ReservedProcedure);
        }
        Ok(uri.as_ref().into())
    }

    fn slot(&mut self, uri: &impl TopicText) -> Result<&Slot, Refusal> {
        let raw = uri.raw();
        let index = slot_index(raw);
        let is_hit = self.slots[index].as_ref().is_some_and(|slot| *slot.raw == *raw);
        if !is_hit {
            // Checked before the slot is touched: bad topics do not drive out good ones.
            let slot = self.check(uri)?;
            return Ok(self.slots[index].insert(slot));
        }
        self.slots[index].as_ref().ok_or(Refusal::InvalidTopic)
    }

    fn check(&self, raw: &impl TopicText) -> Result<Slot, Refusal> {
        let uri = raw.text().ok_or(Refusal::InvalidTopic)?;
        if uri.len() > self.topic_bytes_max {
            return Err(Refusal::TopicTooLong { max: self.topic_bytes_max });
        }
        if !is_uri(&uri, self.uri_check) {
            return Err(Refusal::InvalidTopic);
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

    fn short() -> IngressLimits {
        IngressLimits { topic_bytes_max: 10, publish_bytes_max: 64, uri_check: UriCheck::Loose }
    }

    /// As in JSON, with quotes.
    struct Quoted(&'static str);

    impl TopicText for Quoted {
        fn raw(&self) -> &str {
            self.0
        }

        fn text(&self) -> Option<Cow<'_, str>> {
            let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
            (inner != "\\ud800").then(|| inner.replace("\\u002e", ".").into())
        }
    }

    #[test]
    fn a_repeated_topic_is_the_same_allocation() {
        let mut cache = TopicCache::new("realm1".into(), &short());
        let first = cache.published(&Quoted(r#""a.b""#)).expect("a URI");
        let again = cache.published(&Quoted(r#""a.b""#)).expect("a URI");
        assert!(Arc::ptr_eq(&first.uri, &again.uri) && Arc::ptr_eq(&first.realm, &again.realm));
        assert_eq!(cache.published(&Quoted(r#""a\u002eb""#)), Ok(Topic::new("realm1", "a.b")));
    }

    #[test]
    fn topics_beyond_the_slots_are_right_all_the_same() {
        let mut cache = TopicCache::new("realm1".into(), &short());
        for n in (0..200).chain(0..200) {
            let uri = format!("t.{n}");
            assert_eq!(cache.published(&&*uri), Ok(Topic::new("realm1", &uri)));
        }
    }

    #[test]
    fn subscriptions_are_patterns() {
        let cache = TopicCache::new("realm1".into(), &short());
        let of = |uri: &'static str, matching| cache.subscribed(&uri, matching);
        let pattern = |uri, matching| Ok(TopicPattern::new("realm1", uri, matching));
        assert_eq!(of("a.b", Match::Exact), pattern("a.b", Match::Exact));
        assert_eq!(of("a.#", Match::Exact), pattern("a.#", Match::Dotted));
        assert_eq!(of("a.", Match::Prefix), pattern("a.", Match::Prefix));
        assert_eq!(of("a..b", Match::Wildcard), pattern("a..b", Match::Wildcard));
        assert_eq!(of("a..b", Match::Exact), Err(Refusal::InvalidTopic));
        assert_eq!(of("a.#", Match::Prefix), Err(Refusal::InvalidPattern));
        assert_eq!(of("a.b.c.d.e.f", Match::Prefix), Err(Refusal::TopicTooLong { max: 10 }));
    }

    #[test]
    fn bad_topics_are_refused_each_time() {
        let mut cache = TopicCache::new("realm1".into(), &short());
        for _twice in 0..2 {
            assert_eq!(cache.published(&"a b"), Err(Refusal::InvalidTopic));
            assert_eq!(cache.published(&Quoted(r#""\ud800""#)), Err(Refusal::InvalidTopic));
            let long = Refusal::TopicTooLong { max: 10 };
            assert_eq!(cache.published(&"12345678901"), Err(long));
            assert_eq!(cache.published(&"wamp.x"), Err(Refusal::ReservedTopic));
            let subscribed = cache.subscribed(&"wamp.x", Match::Exact);
            assert_eq!(subscribed, Ok(TopicPattern::new("realm1", "wamp.x", Match::Exact)));
        }
    }
}
