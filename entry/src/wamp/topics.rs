//! Topics of a session, from the raw JSON string to the shared [`Topic`].

use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;
use vixen_common::segment::Topic;

use super::error::Refusal;
use super::options::decode_string;
use super::uri::{is_loose_uri, is_reserved};

/// A publisher mostly repeats a handful of topics; each slot keeps the last one that fell in it.
const SLOTS: usize = 16;

/// Checks topics, and remembers recent good ones so that repeating them allocates nothing.
#[derive(Debug)]
pub(super) struct TopicCache {
    realm: Arc<str>,
    topic_bytes_max: usize,
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
    pub(super) fn new(realm: Arc<str>, topic_bytes_max: usize) -> Self {
        Self { realm, topic_bytes_max, slots: Default::default() }
    }

    /// The topic to subscribe to that `raw`, a JSON string, names.
    ///
    /// # Errors
    /// The topic is no URI, or too long.
    pub(super) fn subscribed(&mut self, raw: &str) -> Result<Topic, Refusal> {
        self.slot(raw).map(|slot| slot.topic.clone())
    }

    /// The topic to publish to that `raw`, a JSON string, names.
    ///
    /// # Errors
    /// The topic is no URI, too long, or reserved.
    pub(super) fn published(&mut self, raw: &str) -> Result<Topic, Refusal> {
        let slot = self.slot(raw)?;
        if slot.is_reserved { Err(Refusal::ReservedUri) } else { Ok(slot.topic.clone()) }
    }

    fn slot(&mut self, raw: &str) -> Result<&Slot, Refusal> {
        let index = slot_index(raw);
        let is_hit = self.slots[index].as_ref().is_some_and(|slot| *slot.raw == *raw);
        if !is_hit {
            // Checked before the slot is touched: bad topics do not drive out good ones.
            let slot = self.check(raw)?;
            return Ok(self.slots[index].insert(slot));
        }
        self.slots[index].as_ref().ok_or(Refusal::InvalidUri)
    }

    fn check(&self, raw: &str) -> Result<Slot, Refusal> {
        let uri = decode_string(raw).ok_or(Refusal::InvalidUri)?;
        if uri.len() > self.topic_bytes_max {
            return Err(Refusal::TopicTooLong { max: self.topic_bytes_max });
        }
        if !is_loose_uri(&uri) {
            return Err(Refusal::InvalidUri);
        }
        let topic = Topic { realm: Arc::clone(&self.realm), uri: uri.as_ref().into() };
        Ok(Slot { raw: raw.into(), topic, is_reserved: is_reserved(&uri) })
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

    #[test]
    fn a_repeated_topic_is_the_same_allocation() {
        let mut cache = TopicCache::new("realm1".into(), 10);
        let first = cache.published(r#""a.b""#).expect("a URI");
        let again = cache.published(r#""a.b""#).expect("a URI");
        assert!(Arc::ptr_eq(&first.uri, &again.uri) && Arc::ptr_eq(&first.realm, &again.realm));
        assert_eq!(cache.published(r#""a\u002eb""#), Ok(Topic::new("realm1", "a.b")));
    }

    #[test]
    fn topics_beyond_the_slots_are_right_all_the_same() {
        let mut cache = TopicCache::new("realm1".into(), 10);
        for n in (0..200).chain(0..200) {
            let uri = format!("t.{n}");
            assert_eq!(cache.published(&format!("{uri:?}")), Ok(Topic::new("realm1", &uri)));
        }
    }

    #[test]
    fn bad_topics_are_refused_each_time() {
        let mut cache = TopicCache::new("realm1".into(), 10);
        for _twice in 0..2 {
            assert_eq!(cache.published(r#""a b""#), Err(Refusal::InvalidUri));
            assert_eq!(cache.published(r#""\ud800""#), Err(Refusal::InvalidUri));
            assert_eq!(cache.published(r#""12345678901""#), Err(Refusal::TopicTooLong { max: 10 }));
            assert_eq!(cache.published(r#""wamp.x""#), Err(Refusal::ReservedUri));
            assert_eq!(cache.subscribed(r#""wamp.x""#), Ok(Topic::new("realm1", "wamp.x")));
        }
    }
}
