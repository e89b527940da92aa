//! The names of topics, each linked to the one before.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use heed::{RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};

use vixen_core::id::Digest;
use vixen_core::segment::{Topic, TopicPattern};

use super::{Index, TopicNumber, lost};
use crate::store::day::DayEnv;
use crate::store::keys::db_name;
use crate::store::{StoreError, row};

/// LMDB keys have at most 511 bytes: longer names end in their hash.
const NAME_BYTES_MAX: usize = 480;
/// What the names of a generation begin with, and what closes them is followed by: no realm has this byte.
const MARK: u8 = 0xff;
const GENERATION_BYTES: usize = 5;

/// The hash of the name before, cut; zeros at the first.
type Link = [u8; 8];
const NO_LINK: Link = [0; 8];

/// What stands at a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct NameRow {
    pub(in crate::store) number: TopicNumber,
    pub(in crate::store) realm: Arc<str>,
    pub(in crate::store) uri: Arc<str>,
    link: Link,
}

fn generation_key(generation: u32) -> [u8; GENERATION_BYTES] {
    let mut key = [MARK; GENERATION_BYTES];
    key[1..].copy_from_slice(&generation.to_be_bytes());
    key
}

/// Whether a key of the table is of this generation.
pub(in crate::store) fn is_of(generation: u32, key: &[u8]) -> bool {
    key.starts_with(&generation_key(generation))
}

/// The row that closes the names of a generation.
fn end_key(generation: u32) -> Vec<u8> {
    [&generation_key(generation)[..], &[MARK]].concat()
}

fn name_key(generation: u32, realm: &str, uri: &str) -> Vec<u8> {
    let key = [&generation_key(generation)[..], realm.as_bytes(), &[0], uri.as_bytes()];
    let mut key = key.concat();
    if key.len() > NAME_BYTES_MAX {
        let digest = Digest::of(&[&key]);
        key.truncate(NAME_BYTES_MAX);
        key.extend_from_slice(&digest.0);
    }
    key
}

fn link_to(key: &[u8]) -> Link {
    let digest = Digest::of(&[key]).0;
    digest.first_chunk().copied().unwrap_or(NO_LINK)
}

/// Whether a row is as it was written, by this version or the one before: that one had no link.
pub(super) fn is_whole(key: &[u8], value: &[u8]) -> bool {
    row::decode::<(TopicNumber, Arc<str>, Arc<str>)>(db_name::TOPICS, key, value).is_ok()
}

impl DayEnv {
    /// The newest generation that has names.
    pub(super) fn newest_generation(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<u32>, StoreError> {
        let last = self.topics.last(txn)?.and_then(|(key, _)| key.first_chunk().copied());
        Ok(last.and_then(|[mark, generation @ ..]: [u8; GENERATION_BYTES]| {
            (mark == MARK).then(|| u32::from_be_bytes(generation))
        }))
    }

    /// The row of a name; `None` where it has none.
    ///
    /// # Errors
    /// `Row` when it is damaged.
    pub(super) fn name_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        index: Index,
        topic: &Topic,
    ) -> Result<Option<NameRow>, StoreError> {
        let key = name_key(index.generation, &topic.realm, &topic.uri);
        let value = self.topics.get(txn, &key)?;
        value.map(|value| row::decode(db_name::TOPICS, &key, value)).transpose()
    }

    /// Writes a name that has no row.
    ///
    /// # Errors
    /// `Row` when those beside it are not linked as they should be: it may be there, and lost.
    pub(super) fn insert_name(
        &self,
        txn: &mut RwTxn<'_>,
        index: Index,
        topic: &Topic,
        number: TopicNumber,
    ) -> Result<(), StoreError> {
        let key = name_key(index.generation, &topic.realm, &topic.uri);
        let (next_key, mut next) = if index.first == index.next {
            (end_key(index.generation), closing())
        } else {
            self.name_from(txn, index, &key)?
        };
        let (realm, uri) = (Arc::clone(&topic.realm), Arc::clone(&topic.uri));
        let named = NameRow { number, realm, uri, link: next.link };
        next.link = link_to(&key);
        self.topics.put(txn, &key, &row::encode(&key, &named)?)?;
        self.topics.put(txn, &next_key, &row::encode(&next_key, &next)?)?;
        Ok(())
    }

    /// The first name at or after `low`, or what closes them: that is the one linked to the last before `low`.
    fn name_from(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        index: Index,
        low: &[u8],
    ) -> Result<(Vec<u8>, NameRow), StoreError> {
        let link = self.link_before(txn, index, low)?;
        let found = self.topics.range(txn, &(Included(low), Unbounded))?.next().transpose()?;
        let (key, value) = found.ok_or_else(|| lost(db_name::TOPICS, low))?;
        let key = key.to_vec();
        let row = read_name(index, &key, value)?;
        if row.link == link { Ok((key, row)) } else { Err(lost(db_name::TOPICS, low)) }
    }

    fn link_before(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        index: Index,
        low: &[u8],
    ) -> Result<Link, StoreError> {
        let before = self.topics.rev_range(txn, &(Unbounded, Excluded(low)))?.next().transpose()?;
        let before = before.filter(|(key, _)| is_of(index.generation, key));
        Ok(before.map_or(NO_LINK, |(key, _)| link_to(key)))
    }

    /// Checks that a search that comes by this name does not miss it, and goes on to the next.
    ///
    /// # Errors
    /// `Row` when it does not.
    pub(super) fn check_name_links(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        index: Index,
        topic: &Topic,
    ) -> Result<(), StoreError> {
        let mut key = name_key(index.generation, &topic.realm, &topic.uri);
        self.name_from(txn, index, &key)?;
        key.push(0);
        self.name_from(txn, index, &key).map(|_next| ())
    }

    /// The numbers of all topics that match, if they are not more than `max`.
    ///
    /// # Errors
    /// `Row` when the index has lost what would tell.
    pub(in crate::store) fn matching_topics(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        patterns: &[TopicPattern],
        max: usize,
    ) -> Result<Option<Vec<TopicNumber>>, StoreError> {
        let index = self.index(txn)?;
        let mut numbers = Vec::new();
        if index.first == index.next {
            return Ok(Some(numbers));
        }
        for pattern in patterns {
            let mut prefix = name_key(index.generation, &pattern.realm, pattern.fixed_prefix());
            prefix.truncate(NAME_BYTES_MAX);
            let mut link = self.link_before(txn, index, &prefix)?;
            let mut names = self.topics.range(txn, &(Included(prefix.as_slice()), Unbounded))?;
            loop {
                let gone = || lost(db_name::TOPICS, &prefix);
                let (key, value) = names.next().transpose()?.ok_or_else(gone)?;
                // A copy: the page may change between two looks.
                let key = key.to_vec();
                let NameRow { number, realm, uri, link: to_before } =
                    read_name(index, &key, value)?;
                if to_before != link {
                    return Err(gone());
                }
                if !key.starts_with(&prefix) {
                    break;
                }
                link = link_to(&key);
                if pattern.matches(&Topic { realm, uri }) {
                    numbers.push(number);
                }
                if numbers.len() > max {
                    return Ok(None);
                }
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Some(numbers))
    }
}

/// What closes the names.
fn closing() -> NameRow {
    let (realm, uri) = (Arc::from(""), Arc::from(""));
    NameRow { number: TopicNumber(u32::MAX), realm, uri, link: NO_LINK }
}

fn read_name(index: Index, key: &[u8], value: &[u8]) -> Result<NameRow, StoreError> {
    if is_of(index.generation, key) {
        row::decode(db_name::TOPICS, key, value)
    } else {
        Err(lost(db_name::TOPICS, key))
    }
}
