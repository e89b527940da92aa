//! The topic index of a day: which segments have messages of a topic.
//!
//! ```text
//! topics       0xff generation u32, realm 0 uri -> number, realm, uri, link to the name before
//!              0xff generation u32, 0xff        -> link to the last name
//! topic-rows   number u32 | first u64           -> check u32, first u64 of the row before
//!              number u32 | u64::MAX            -> check u32, first u64 of the last row
//! ```
//! A topic's rows stand together in the order of positions, so a reader of one sparse topic reads
//! these and the segments they name, nothing else.
//!
//! Each row names the one before, and a last one closes each topic and the names. So whoever searches for
//! what stands next finds out when anything has been lost in between, whatever has become of the tree: the
//! row found is not the one after the place that was asked for.
//!
//! A row or name that is not there, a number that was never given, or a row that leads to no segment or to
//! one without the topic, means that the index and the order are at odds: then the order is read, and the
//! segments of the day are looked up and indexed anew, in another generation. Until that is through, `meta`
//! has a mark, and the order is read. What the generations before have left stays as it stands: it lies
//! before the newest in both tables.

mod names;
mod rows;

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use heed::{RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::segment::Topic;

use crate::store::day::DayEnv;
use crate::store::day::purge;
use crate::store::keys::db_name;
use crate::store::{StoreError, row};
pub(in crate::store) use names::{NameRow, is_of};
use rows::number_in;
pub(in crate::store) use rows::{TopicRow, read_row};

/// In `meta`: the newest generation ([`Index`]).
const KEY_INDEX: &[u8] = b"index";
/// In `meta`, while the segments of the day are indexed anew, or are to be.
const KEY_AT_ODDS: &[u8] = b"index-at-odds";
/// Being indexed anew.
const BEGUN: &[u8] = &[1];
/// To be indexed anew, even if that is under way.
const WANTED: &[u8] = &[2];
/// Numbers kept in memory for the writer.
const NUMBERS_MAX: usize = 65_536;

/// Number of a topic within its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(in crate::store) struct TopicNumber(pub(in crate::store) u32);

/// A generation of the index. The next has higher numbers, and its names stand behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Index {
    pub(in crate::store) generation: u32,
    /// The first number that it gives.
    pub(in crate::store) first: u32,
    /// The next.
    pub(in crate::store) next: u32,
}

/// A topic as the writer remembers it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Named {
    number: TopicNumber,
    /// The last segment that has it; 0 when none has.
    last: Position,
}

/// The index lacks a row that must be there.
fn lost(database: &'static str, key: &[u8]) -> StoreError {
    StoreError::Row { database, key: key.to_vec() }
}

impl DayEnv {
    /// The newest generation; the first of all where nothing is indexed yet.
    pub(in crate::store) fn index(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<Index, StoreError> {
        let value = self.meta.get(txn, KEY_INDEX)?;
        value.map_or(Ok(Index::default()), |value| row::decode(db_name::META, KEY_INDEX, value))
    }

    fn put_index(&self, txn: &mut RwTxn<'_>, index: Index) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_INDEX, &row::encode(KEY_INDEX, &index)?)?;
        Ok(())
    }

    /// Whether reads may go by the index, as far as that can be told at once: no row has a number that was
    /// never given, and nothing is being indexed anew.
    pub(in crate::store) fn is_index_sound(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<bool, StoreError> {
        if self.is_index_due(txn)? {
            return Ok(false);
        }
        let last = self.topic_rows.last(txn)?.and_then(|(key, _)| number_in(key));
        Ok(last.is_none_or(|last| self.index(txn).is_ok_and(|index| last < index.next)))
    }

    /// Whether the day is being indexed anew, or is to be.
    pub(in crate::store) fn is_index_due(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<bool, StoreError> {
        Ok(self.meta.get(txn, KEY_AT_ODDS)?.is_some())
    }

    /// The segments of the day are indexed anew from here on: no number that a row has is given again.
    pub(in crate::store) fn begin_index(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.forget_topics();
        self.purge_end(txn)?;
        let before = self.index(txn).unwrap_or_default();
        let last = self.topic_rows.last(txn)?.and_then(|(key, _)| number_in(key));
        let next = last.map_or(before.next, |last| before.next.max(last.saturating_add(1)));
        let newest = self.newest_generation(txn)?.unwrap_or_default().max(before.generation);
        let index = Index { generation: newest.saturating_add(1), first: next, next };
        self.put_index(txn, index)?;
        self.meta.put(txn, KEY_AT_ODDS, BEGUN)?;
        Ok(())
    }

    /// Deletes damaged rows where the next generation begins: searches for its rows must not come by them.
    fn purge_end(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        // Behind all keys of both.
        let end = [u8::MAX; 16];
        let end = (end.as_slice(), end.as_slice());
        purge(txn, self.topics, end, &|key, value| names::is_whole(key, value))?;
        purge(txn, self.topic_rows, end, &|key, value| rows::is_whole(key, value))?;
        Ok(())
    }

    /// They are, unless something was found missing meanwhile.
    pub(in crate::store) fn end_index(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        if self.meta.get(txn, KEY_AT_ODDS)? == Some(BEGUN) {
            self.meta.delete(txn, KEY_AT_ODDS)?;
        }
        Ok(())
    }

    /// The index is not to be gone by: it is to be made anew.
    pub(in crate::store) fn mark_at_odds(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_AT_ODDS, WANTED)?;
        self.is_at_odds.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Nothing is indexed any more.
    pub(in crate::store) fn clear_index(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.forget_topics();
        self.topics.clear(txn)?;
        self.topic_rows.clear(txn)?;
        self.meta.delete(txn, KEY_AT_ODDS)?;
        self.put_index(txn, Index::default())
    }

    /// Notes that the segment at `first` has messages of `topics`. Where that cannot be done so that readers
    /// find it, the index is marked.
    pub(in crate::store) fn index_topics(
        &self,
        txn: &mut RwTxn<'_>,
        first: Position,
        topics: &[Topic],
    ) -> Result<(), StoreError> {
        for topic in topics {
            match self.index_topic(txn, first, topic) {
                Err(StoreError::Row { .. }) => self.mark_at_odds(txn)?,
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn index_topic(
        &self,
        txn: &mut RwTxn<'_>,
        first: Position,
        topic: &Topic,
    ) -> Result<(), StoreError> {
        let remembered = {
            let numbers = self.topic_numbers.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.get(topic).copied()
        };
        let mut named = match remembered {
            Some(named) => named,
            None => self.name(txn, topic)?,
        };
        if named.last < first {
            self.append_row(txn, named.number, named.last, first)?;
            named.last = first;
        } else {
            self.insert_row(txn, named.number, first)?;
        }
        let mut numbers = self.topic_numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.len() >= NUMBERS_MAX {
            numbers.clear();
        }
        numbers.insert(topic.clone(), named);
        Ok(())
    }

    /// The number of a topic, a new one if it has none, and its last row.
    fn name(&self, txn: &mut RwTxn<'_>, topic: &Topic) -> Result<Named, StoreError> {
        let mut index = self.index(txn)?;
        if let Some(NameRow { number, .. }) = self.name_row(txn, index, topic)? {
            let last = self.last_of_topic(txn, number, Position(u64::MAX))?;
            return Ok(Named { number, last: last.unwrap_or(Position(0)) });
        }
        let number = TopicNumber(index.next);
        self.insert_name(txn, index, topic, number)?;
        let none_left = || lost(db_name::META, KEY_INDEX);
        index.next = index.next.checked_add(1).ok_or_else(none_left)?;
        self.put_index(txn, index)?;
        Ok(Named { number, last: Position(0) })
    }

    /// Whether readers find the segment by each of its topics.
    pub(in crate::store) fn is_indexed(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        first: Position,
        topics: &[Topic],
    ) -> Result<bool, StoreError> {
        let is_found = |topic| {
            let index = self.index(txn)?;
            let Some(name) = self.name_row(txn, index, topic)? else { return Ok(false) };
            self.check_name_links(txn, index, topic)?;
            let found = self.next_of_topic(txn, name.number, first)?;
            let behind = Position(first.0.saturating_add(1));
            let before = self.last_of_topic(txn, name.number, behind)?;
            Ok(found == Some(first) && before == Some(first))
        };
        for topic in topics {
            match is_found(topic) {
                Ok(true) => {}
                Ok(false) | Err(StoreError::Row { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Number of topics.
    ///
    /// # Errors
    /// When the row that tells is damaged.
    pub(in crate::store) fn topics_len(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<u64, StoreError> {
        let index = self.index(txn)?;
        Ok(u64::from(index.next.saturating_sub(index.first)))
    }
}
