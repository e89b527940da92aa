//! The segments of each topic, each row linked to the one before.

use std::ops::Bound::{Excluded, Included};

use heed::{RoTxn, RwTxn, WithoutTls};

use vixen_core::id::{Digest, Position};

use super::{TopicNumber, lost};
use crate::store::StoreError;
use crate::store::day::DayEnv;
use crate::store::keys::{db_name, position_of};

const KEY_BYTES: usize = 12;
const CHECK_BYTES: usize = 4;
const VALUE_BYTES: usize = CHECK_BYTES + 8;
/// The row that closes a topic.
const END: Position = Position(u64::MAX);

/// A row as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct TopicRow {
    pub(in crate::store) number: TopicNumber,
    /// Where the segment begins; `None` in the row that closes the topic.
    pub(in crate::store) first: Option<Position>,
    /// Where the one of the row before does; 0 in the first row.
    pub(in crate::store) before: Position,
}

fn row_key(number: TopicNumber, first: Position) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..4].copy_from_slice(&number.0.to_be_bytes());
    key[4..].copy_from_slice(&first.0.to_be_bytes());
    key
}

fn row_value(key: &[u8; KEY_BYTES], before: Position) -> [u8; VALUE_BYTES] {
    let before = before.0.to_be_bytes();
    let mut value = [0; VALUE_BYTES];
    value[..CHECK_BYTES].copy_from_slice(&Digest::of(&[key, &before]).0[..CHECK_BYTES]);
    value[CHECK_BYTES..].copy_from_slice(&before);
    value
}

/// The number in the key of a row.
pub(super) fn number_in(key: &[u8]) -> Option<u32> {
    key.first_chunk().map(|number| u32::from_be_bytes(*number))
}

/// Reads a row, checked.
///
/// # Errors
/// When it is not as it was written.
pub(in crate::store) fn read_row(key: &[u8], value: &[u8]) -> Result<TopicRow, StoreError> {
    let damaged = || lost(db_name::TOPIC_ROWS, key);
    // Copies: what is verified is what is used, whatever the page is by then.
    let key: [u8; KEY_BYTES] = key.try_into().map_err(|_length| damaged())?;
    let value: [u8; VALUE_BYTES] = value.try_into().map_err(|_length| damaged())?;
    let before = position_of(db_name::TOPIC_ROWS, &value[CHECK_BYTES..])?;
    if value != row_value(&key, before) {
        return Err(damaged());
    }
    let number = TopicNumber(number_in(&key).ok_or_else(damaged)?);
    let first = position_of(db_name::TOPIC_ROWS, &key[4..])?;
    Ok(TopicRow { number, first: (first != END).then_some(first), before })
}

/// Whether a row is as it was written, by this version or the one before.
pub(super) fn is_whole(key: &[u8], value: &[u8]) -> bool {
    let is_of_before = || key.len() == KEY_BYTES && *value == Digest::of(&[key]).0[..CHECK_BYTES];
    read_row(key, value).is_ok() || is_of_before()
}

impl DayEnv {
    /// The first segment with a topic that begins at or after `from`.
    ///
    /// # Errors
    /// `Row` when the index has lost what would tell.
    pub(in crate::store) fn next_of_topic(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        number: TopicNumber,
        from: Position,
    ) -> Result<Option<Position>, StoreError> {
        Ok(self.row_from(txn, number, from)?.first)
    }

    /// The last segment with a topic that begins before `before`.
    ///
    /// # Errors
    /// As [`next_of_topic`](Self::next_of_topic).
    pub(in crate::store) fn last_of_topic(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        number: TopicNumber,
        before: Position,
    ) -> Result<Option<Position>, StoreError> {
        let last = self.row_from(txn, number, before)?.before;
        Ok((last.0 > 0).then_some(last))
    }

    /// The row that stands first at or after `from`: that is the one whose row before is in front of it.
    fn row_from(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        number: TopicNumber,
        from: Position,
    ) -> Result<TopicRow, StoreError> {
        let from = from.max(Position::FIRST);
        let (low, high) = (row_key(number, from), row_key(number, END));
        let range = (Included(&low[..]), Included(&high[..]));
        let gone = || lost(db_name::TOPIC_ROWS, &low);
        let found = self.topic_rows.range(txn, &range)?.next().transpose()?;
        let (key, value) = found.ok_or_else(gone)?;
        let row = read_row(key, value)?;
        // A damaged key between the pages of the tree may lead anywhere.
        let is_here = row.number == number && row.first.is_none_or(|first| first >= from);
        if is_here && row.before < from { Ok(row) } else { Err(gone()) }
    }

    /// Writes a row behind all others of its topic, of which `last` is the last.
    pub(super) fn append_row(
        &self,
        txn: &mut RwTxn<'_>,
        number: TopicNumber,
        last: Position,
        first: Position,
    ) -> Result<(), StoreError> {
        self.put_row(txn, number, first, last)?;
        self.put_row(txn, number, END, first)
    }

    /// Writes a row between others, unless it stands there.
    ///
    /// # Errors
    /// `Row` when those beside it are not linked as they should be.
    pub(super) fn insert_row(
        &self,
        txn: &mut RwTxn<'_>,
        number: TopicNumber,
        first: Position,
    ) -> Result<(), StoreError> {
        let key = row_key(number, first);
        let range = (Excluded(&key[..]), Included(&row_key(number, END)[..]));
        let gone = || lost(db_name::TOPIC_ROWS, &key);
        let next = {
            let found = self.topic_rows.range(txn, &range)?.next().transpose()?;
            let (key, value) = found.ok_or_else(gone)?;
            read_row(key, value)?
        };
        if next.number != number || next.first.is_some_and(|next| next <= first) {
            return Err(gone());
        }
        if next.before < first {
            self.put_row(txn, number, first, next.before)?;
            return self.put_row(txn, number, next.first.unwrap_or(END), first);
        }
        let is_there = next.before == first && {
            let value = self.topic_rows.get(txn, &key)?;
            value.is_some_and(|value| read_row(&key, value).is_ok())
        };
        if is_there { Ok(()) } else { Err(gone()) }
    }

    fn put_row(
        &self,
        txn: &mut RwTxn<'_>,
        number: TopicNumber,
        first: Position,
        before: Position,
    ) -> Result<(), StoreError> {
        let key = row_key(number, first);
        self.topic_rows.put(txn, &key, &row_value(&key, before))?;
        Ok(())
    }
}
