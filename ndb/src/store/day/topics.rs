//! The topic index of a day: which segments have messages of a topic.
//!
//! ```text
//! topics       realm 0 uri              -> number, realm, uri
//! topic-rows   number u32 | first u64   -> check u32          one for each segment with the topic
//! ```
//! A row with a number that was never given, or that leads to no segment or to one without the topic,
//! means that the index and the order are at odds: then the order is read, and the segments of the day
//! are looked up and indexed anew. Until that is through, `meta` has a mark, and the order is read.
//!
//! A topic's rows stand together in the order of positions, so a reader of one sparse topic reads
//! these and the segments they name, nothing else.

use heed::{RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};

use std::ops::Bound::{Excluded, Included};
use std::sync::{Arc, PoisonError};

use vixen_core::id::{Digest, Position};
use vixen_core::segment::{Topic, TopicPattern};

use crate::store::day::DayEnv;
use crate::store::day::purge;
use crate::store::keys::{db_name, position_of};
use crate::store::{StoreError, row};

/// In `meta`: how many numbers are given.
const KEY_TOPICS: &[u8] = b"topics";
/// In `meta`, while the segments of the day are indexed anew.
const KEY_AT_ODDS: &[u8] = b"index-at-odds";
/// LMDB keys have at most 511 bytes: longer names end in their hash.
const NAME_BYTES_MAX: usize = 480;
/// Numbers kept in memory for the writer.
const NUMBERS_MAX: usize = 65_536;

/// Number of a topic within its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::store) struct TopicNumber(pub(in crate::store) u32);

#[derive(Serialize, Deserialize)]
struct TopicRow {
    number: TopicNumber,
    realm: Arc<str>,
    uri: Arc<str>,
}

fn name_key(realm: &str, uri: &str) -> Vec<u8> {
    let mut key = [realm.as_bytes(), uri.as_bytes()].join(&0);
    if key.len() > NAME_BYTES_MAX {
        let digest = Digest::of(&[&key]);
        key.truncate(NAME_BYTES_MAX);
        key.extend_from_slice(&digest.0);
    }
    key
}

fn row_key(number: TopicNumber, first: Position) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&number.0.to_be_bytes());
    key[4..].copy_from_slice(&first.0.to_be_bytes());
    key
}

/// The number in the key of a row.
fn number_in(key: &[u8]) -> Option<u32> {
    key.first_chunk().map(|number| u32::from_be_bytes(*number))
}

fn row_check(key: &[u8]) -> [u8; 4] {
    let digest = Digest::of(&[key]).0;
    [digest[0], digest[1], digest[2], digest[3]]
}

impl DayEnv {
    /// Whether reads may go by the index, as far as that can be told at once: no row has a number that was
    /// never given, and nothing is being indexed anew.
    pub(in crate::store) fn is_index_sound(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<bool, StoreError> {
        if self.meta.get(txn, KEY_AT_ODDS)?.is_some() {
            return Ok(false);
        }
        let last = self.topic_rows.last(txn)?.and_then(|(key, _)| number_in(key));
        Ok(last.is_none_or(|last| self.counter(txn, KEY_TOPICS).is_ok_and(|given| last < given)))
    }

    /// The segments of the day are indexed anew from here on: no number that a row has is given again.
    pub(in crate::store) fn begin_index(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.forget_topics();
        let last = self.topic_rows.last(txn)?.and_then(|(key, _)| number_in(key));
        let given = self.counter(txn, KEY_TOPICS).unwrap_or_default();
        let next = last.map_or(given, |last| given.max(last.saturating_add(1)));
        self.put_counter(txn, KEY_TOPICS, next)?;
        self.meta.put(txn, KEY_AT_ODDS, &[1])?;
        Ok(())
    }

    /// They are.
    pub(in crate::store) fn end_index(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.meta.delete(txn, KEY_AT_ODDS)?;
        Ok(())
    }

    /// Notes that the segment at `first` has messages of `topics`.
    pub(in crate::store) fn index_topics(
        &self,
        txn: &mut RwTxn<'_>,
        first: Position,
        topics: &[Topic],
    ) -> Result<(), StoreError> {
        for topic in topics {
            let key = row_key(self.number_of(txn, topic)?, first);
            self.topic_rows.put(txn, &key, &row_check(&key))?;
        }
        Ok(())
    }

    /// Deletes rows that are damaged where those of these topics are, or should be.
    pub(in crate::store) fn purge_topics(
        &self,
        txn: &mut RwTxn<'_>,
        first: Position,
        topics: &[Topic],
    ) -> Result<(), StoreError> {
        for topic in topics {
            let name = name_key(&topic.realm, &topic.uri);
            purge(txn, self.topics, (&name, &name), &|key, value| {
                let row = row::decode::<TopicRow>(db_name::TOPICS, key, value);
                row.is_ok()
            })?;
            let key = row_key(self.number_of(txn, topic)?, first);
            purge(txn, self.topic_rows, (&key, &key), &|key, check| read_row(key, check).is_ok())?;
        }
        Ok(())
    }

    fn number_of(&self, txn: &mut RwTxn<'_>, topic: &Topic) -> Result<TopicNumber, StoreError> {
        let mut numbers = self.topic_numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(topic) {
            return Ok(TopicNumber(*number));
        }
        let key = name_key(&topic.realm, &topic.uri);
        let known = self.topics.get(txn, &key)?;
        let known =
            known.and_then(|value| row::decode::<TopicRow>(db_name::TOPICS, &key, value).ok());
        let number = match known {
            Some(known) => known.number,
            // New, or its row is damaged: the scrub puts all its segments under the new number.
            None => {
                let number = self.counter(txn, KEY_TOPICS)?;
                self.put_counter(txn, KEY_TOPICS, number.saturating_add(1))?;
                let number = TopicNumber(number);
                let (realm, uri) = (Arc::clone(&topic.realm), Arc::clone(&topic.uri));
                let value = row::encode(&key, &TopicRow { number, realm, uri })?;
                self.topics.put(txn, &key, &value)?;
                number
            }
        };
        if numbers.len() >= NUMBERS_MAX {
            numbers.clear();
        }
        numbers.insert(topic.clone(), number.0);
        Ok(number)
    }

    /// The numbers of all topics that match, if they are not more than `max`.
    pub(in crate::store) fn matching_topics(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        patterns: &[TopicPattern],
        max: usize,
    ) -> Result<Option<Vec<TopicNumber>>, StoreError> {
        let mut numbers = Vec::new();
        for pattern in patterns {
            let mut prefix = name_key(&pattern.realm, pattern.fixed_prefix());
            prefix.truncate(NAME_BYTES_MAX);
            for item in self.topics.prefix_iter(txn, &prefix)? {
                let (key, value) = item?;
                let TopicRow { number, realm, uri } = row::decode(db_name::TOPICS, key, value)?;
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

    /// The first segment with a topic that begins at or after `from`.
    pub(in crate::store) fn next_of_topic(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        number: TopicNumber,
        from: Position,
    ) -> Result<Option<Position>, StoreError> {
        let (low, high) = (row_key(number, from), row_key(number, Position(u64::MAX)));
        let range = (Included(&low[..]), Included(&high[..]));
        let found = self.topic_rows.range(txn, &range)?.next().transpose()?;
        found.map(|(key, check)| read_row_between(key, check, &low, &high)).transpose()
    }

    /// The last segment with a topic that begins before `before`.
    pub(in crate::store) fn last_of_topic(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        number: TopicNumber,
        before: Position,
    ) -> Result<Option<Position>, StoreError> {
        let (low, high) = (row_key(number, Position(0)), row_key(number, before));
        let range = (Included(&low[..]), Excluded(&high[..]));
        let found = self.topic_rows.rev_range(txn, &range)?.next().transpose()?;
        found.map(|(key, check)| read_row_between(key, check, &low, &high)).transpose()
    }

    /// Whether the index has the segment under all its topics.
    pub(in crate::store) fn is_indexed(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        first: Position,
        topics: &[Topic],
    ) -> Result<bool, StoreError> {
        for topic in topics {
            let key = name_key(&topic.realm, &topic.uri);
            let Some(value) = self.topics.get(txn, &key)? else { return Ok(false) };
            let Ok(named) = row::decode::<TopicRow>(db_name::TOPICS, &key, value) else {
                return Ok(false);
            };
            let key = row_key(named.number, first);
            if self.topic_rows.get(txn, &key)? != Some(&row_check(&key)[..]) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Number of topics.
    pub(in crate::store) fn topics_len(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<u64, StoreError> {
        Ok(self.topics.len(txn)?)
    }
}

/// A row that a search between `low` and `high` has found. One beyond them, to which a damaged key
/// between the pages of the tree leads, counts as damaged.
fn read_row_between(
    key: &[u8],
    check: &[u8],
    low: &[u8],
    high: &[u8],
) -> Result<Position, StoreError> {
    // A copy: the page may change between two looks.
    let key = key.to_vec();
    if key.as_slice() < low || key.as_slice() > high {
        return Err(StoreError::Row { database: db_name::TOPIC_ROWS, key });
    }
    read_row(&key, check)
}

pub(in crate::store) fn read_row(key: &[u8], check: &[u8]) -> Result<Position, StoreError> {
    let damaged = || StoreError::Row { database: db_name::TOPIC_ROWS, key: key.to_vec() };
    // A copy: what is verified is what is used, whatever the page is by then.
    let copied: [u8; 12] = key.try_into().map_err(|_length| damaged())?;
    if *check != row_check(&copied) {
        return Err(damaged());
    }
    position_of(db_name::TOPIC_ROWS, &copied[4..])
}
