//! Keys and their values, by realm, with what they take and what they sum up to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::segment::{Attributes, Cause, Content, RecordFlags, Topic};
use vixen_core::time::WallTime;

use super::items::KeyItem;
use super::limits::{KEY_BYTES, Size};
use super::sum::{ItemHash, Sum};

/// The value of a key: the message that gave it, as far as it is for readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The position of the message.
    pub version: Position,
    /// Its time in the order.
    pub time: WallTime,
    /// Its publisher.
    pub session: u64,
    /// What the payload is.
    pub content: Content,
    /// What the publisher asked for.
    pub flags: RecordFlags,
    /// It expires so many milliseconds after `time`.
    pub ttl_ms: Option<u64>,
    attributes_bytes: usize,
    /// Attributes, then the payload: one allocation, of just this size.
    bytes: Box<[u8]>,
}

/// What a message gives a key.
pub(super) struct Given<'a> {
    pub(super) version: Position,
    pub(super) time: WallTime,
    pub(super) session: u64,
    pub(super) content: Content,
    pub(super) flags: RecordFlags,
    pub(super) ttl_ms: Option<u64>,
    pub(super) attributes: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl From<Given<'_>> for Value {
    fn from(given: Given<'_>) -> Self {
        let Given { version, time, session, content, flags, ttl_ms, attributes, payload } = given;
        let (attributes_bytes, bytes) = (attributes.len(), [attributes, payload].concat().into());
        Self { version, time, session, content, flags, ttl_ms, attributes_bytes, bytes }
    }
}

impl Value {
    /// [`Attributes`] as they are stored, without what was judged.
    #[must_use]
    pub fn attributes(&self) -> &[u8] {
        &self.bytes[..self.attributes_bytes]
    }

    /// As it was published.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.attributes_bytes..]
    }

    /// From when on it may be ended for its age.
    #[must_use]
    pub fn due(&self) -> Option<WallTime> {
        self.ttl_ms.map(|ttl_ms| self.time.plus_millis(ttl_ms))
    }

    /// Up to where it is folded, if it is a result of a table.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        Attributes::cause_of(self.attributes())
    }

    pub(super) fn size(&self, key: &str) -> Size {
        Size { keys: 1, bytes: KEY_BYTES + key.len() + self.bytes.len() }
    }

    /// As an item of a view.
    pub(super) fn item<'a>(&'a self, realm: &'a str, key: &'a str) -> KeyItem<'a> {
        let Self { version, time, session, content, flags, ttl_ms, attributes_bytes: _, bytes: _ } =
            *self;
        let (attributes, payload) = (self.attributes(), self.payload());
        KeyItem { realm, key, version, time, session, content, flags, ttl_ms, attributes, payload }
    }

    fn hash(&self, realm: &str, key: &str) -> ItemHash {
        ItemHash::of(&self.item(realm, key))
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// None is empty.
    realms: BTreeMap<Arc<str>, Realm>,
    size: Size,
    sum: Sum,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Realm {
    keys: BTreeMap<Arc<str>, Value>,
    size: Size,
}

impl Keys {
    pub(super) const fn size(&self) -> Size {
        self.size
    }

    pub(super) const fn sum(&self) -> Sum {
        self.sum
    }

    pub(super) fn size_of(&self, realm: &str) -> Size {
        self.realms.get(realm).map_or_else(Size::default, |realm| realm.size)
    }

    pub(super) fn get(&self, realm: &str, key: &str) -> Option<&Value> {
        self.realms.get(realm)?.keys.get(key)
    }

    pub(super) fn realms(&self) -> impl Iterator<Item = (&str, Size)> {
        self.realms.iter().map(|(name, realm)| (&**name, realm.size))
    }

    pub(super) fn range<'a>(
        &'a self,
        realm: &str,
        from: Bound<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let keys = self.realms.get(realm).map(|realm| &realm.keys);
        let range = keys.map(|keys| keys.range::<str, _>((from, Bound::Unbounded)));
        range.into_iter().flatten().map(|(key, value)| (&**key, value))
    }

    pub(super) fn put(&mut self, topic: &Topic, value: Value) {
        let Topic { realm, uri } = topic;
        let (size, hash) = (value.size(uri), value.hash(realm, uri));
        let there = self.realms.entry(Arc::clone(realm)).or_default();
        // The key that is there stays: a message's own would be a second copy in others that have it.
        let before = match there.keys.get_mut(uri) {
            Some(before) => Some(std::mem::replace(before, value)),
            None => there.keys.insert(Arc::clone(uri), value),
        };
        there.size = there.size.plus(size);
        self.size = self.size.plus(size);
        self.sum = self.sum.plus(hash);
        if let Some(before) = before {
            let size = before.size(uri);
            there.size = there.size.minus(size);
            self.size = self.size.minus(size);
            self.sum = self.sum.minus(before.hash(realm, uri));
        }
    }

    pub(super) fn remove(&mut self, topic: &Topic) {
        let Topic { realm, uri } = topic;
        let Some(there) = self.realms.get_mut(realm) else { return };
        let Some(before) = there.keys.remove(uri) else { return };
        let size = before.size(uri);
        there.size = there.size.minus(size);
        self.size = self.size.minus(size);
        self.sum = self.sum.minus(before.hash(realm, uri));
        if there.keys.is_empty() {
            self.realms.remove(realm);
        }
    }

    /// What it would be, put together anew: the same unless something was miscounted.
    pub(super) fn counted_anew(&self) -> Self {
        let mut anew = Self::default();
        for (realm, there) in &self.realms {
            for (uri, value) in &there.keys {
                let topic = Topic { realm: Arc::clone(realm), uri: Arc::clone(uri) };
                anew.put(&topic, value.clone());
            }
        }
        anew
    }
}
