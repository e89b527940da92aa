//! Where the order begins and ends in a day, and the rows of its small tables.

use std::ops::Bound;

use heed::types::Bytes as Raw;
use heed::{Database, RoTxn, RwTxn, WithoutTls};

use vixen_core::id::{OwnerId, Position, Seq, Stamp};
use vixen_core::segment::SegmentMeta;
use vixen_core::wire::OrderBase;

use super::{DayEnv, PlacedOwner};
use crate::store::keys::{db_name, position_of};
use crate::store::{JournalRow, StoreError, row};
use vixen_replica::{Lost, OrderRow};

/// In `meta`: where the order begins when what is before was dropped ([`OrderBase`]).
const KEY_BASE: &[u8] = b"base";

/// In `meta`, beside the base: where the order begins at peers that have kept more ([`Position`]).
const KEY_KEPT_BY_GROUP: &[u8] = b"kept-by-group";

/// In `meta`: the store's journal, and up to where LMDB has all of it ([`JournalRow`]).
const KEY_JOURNAL: &[u8] = b"journal";

impl DayEnv {
    /// What this day says of the store's journal: the highest of all days is so.
    pub(in crate::store) fn journal(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<JournalRow>, StoreError> {
        let found = self.meta.get(txn, KEY_JOURNAL)?;
        found.map(|value| row::decode(db_name::META, KEY_JOURNAL, value)).transpose()
    }

    pub(in crate::store) fn put_journal(
        &self,
        txn: &mut RwTxn<'_>,
        row: JournalRow,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_JOURNAL, &row::encode(KEY_JOURNAL, &row)?)?;
        Ok(())
    }

    pub(in crate::store) fn base(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<OrderBase>, StoreError> {
        let base = self.meta.get(txn, KEY_BASE)?;
        base.map(|value| row::decode(db_name::META, KEY_BASE, value)).transpose()
    }

    pub(in crate::store) fn put_base(
        &self,
        txn: &mut RwTxn<'_>,
        base: OrderBase,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_BASE, &row::encode(KEY_BASE, &base)?)?;
        // What peers have beyond is to be seen anew.
        self.meta.delete(txn, KEY_KEPT_BY_GROUP)?;
        Ok(())
    }

    /// The order begins elsewhere now.
    pub(in crate::store) fn delete_base(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        self.meta.delete(txn, KEY_BASE)?;
        self.meta.delete(txn, KEY_KEPT_BY_GROUP)?;
        Ok(())
    }

    pub(in crate::store) fn kept_by_group(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<Position>, StoreError> {
        let first = self.meta.get(txn, KEY_KEPT_BY_GROUP)?;
        first.map(|value| row::decode(db_name::META, KEY_KEPT_BY_GROUP, value)).transpose()
    }

    pub(in crate::store) fn put_kept_by_group(
        &self,
        txn: &mut RwTxn<'_>,
        first: Position,
    ) -> Result<(), StoreError> {
        self.meta.put(txn, KEY_KEPT_BY_GROUP, &row::encode(KEY_KEPT_BY_GROUP, &first)?)?;
        Ok(())
    }

    /// The order's row at a key that was read.
    pub(in crate::store) fn order_row(
        key: &[u8],
        value: &[u8],
    ) -> Result<(Position, OrderRow), StoreError> {
        let first = position_of(db_name::ORDER, key)?;
        // Verified with the position that was read, whatever the key is by now.
        Ok((first, row::decode(db_name::ORDER, &first.0.to_be_bytes(), value)?))
    }

    /// The lowest key of the order, whether or not its row is whole.
    pub(in crate::store) fn first_key(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<Position>, StoreError> {
        let first = self.order.first(txn)?;
        Ok(first.and_then(|(key, _)| position_of(db_name::ORDER, key).ok()))
    }

    /// The first whole row: a damaged one must not keep the store from being opened.
    pub(in crate::store) fn first_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<(Position, OrderRow)>, StoreError> {
        first_whole(self.order.iter(txn)?)
    }

    /// The last whole row.
    pub(in crate::store) fn last_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<(Position, OrderRow)>, StoreError> {
        first_whole(self.order.rev_iter(txn)?)
    }

    /// The last whole row that begins at or before `position`.
    pub(in crate::store) fn last_row_upto(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<Option<(Position, OrderRow)>, StoreError> {
        let key = position.0.to_be_bytes();
        let upto = (Bound::Unbounded, Bound::Included(key.as_slice()));
        first_whole(self.order.rev_range(txn, &upto)?)
    }

    /// Where a row is to be mended so that `position` can be read, by looking at all from the first one
    /// on, for when searches are led astray: where the row that holds it begins, or else the end of
    /// the last whole one before.
    pub(in crate::store) fn mend_from(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<Option<Position>, StoreError> {
        let mut end = None;
        for item in self.order.iter(txn)? {
            let (key, value) = item?;
            let Ok((first, row)) = Self::order_row(key, value) else { continue };
            if first > position {
                break;
            }
            let next = first.plus(row.elected.meta.count);
            if position < next {
                return Ok(Some(first));
            }
            end = Some(next);
        }
        Ok(end)
    }

    /// Whether a search for the row that begins at `position` ends at it. Where a key between the pages
    /// of the tree is damaged it does not, though the row stands there whole.
    pub(in crate::store) fn finds_row(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        position: Position,
    ) -> Result<bool, StoreError> {
        Ok(self.order.get(txn, &position.0.to_be_bytes())?.is_some())
    }

    /// Reads rows of a database whose keys are segment ids. One that is damaged is left out and
    /// counted: what it stood for is fetched again, or offered by a peer.
    pub(in crate::store) fn temporaries(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<(Vec<SegmentMeta>, usize), StoreError> {
        read_all(db_name::TEMPORARY, self.temporary, txn)
    }

    /// As [`temporaries`](Self::temporaries).
    pub(in crate::store) fn missing(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<(Vec<Lost>, usize), StoreError> {
        read_all(db_name::MISSING, self.missing, txn)
    }

    pub(in crate::store) fn owners(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Vec<PlacedOwner>, StoreError> {
        let mut owners = Vec::new();
        for item in self.owners.iter(txn)? {
            let (key, value) = item?;
            let damaged = || StoreError::Row { database: db_name::OWNERS, key: key.to_vec() };
            let owner = uuid::Uuid::from_slice(key).map_err(|_length| damaged())?;
            owners.push((OwnerId(owner), row::decode(db_name::OWNERS, owner.as_bytes(), value)?));
        }
        Ok(owners)
    }

    pub(in crate::store) fn put_owner(
        &self,
        txn: &mut RwTxn<'_>,
        owner: OwnerId,
        placed: (Seq, Stamp),
    ) -> Result<(), StoreError> {
        let key = owner.0.as_bytes();
        self.owners.put(txn, key, &row::encode(key, &placed)?)?;
        Ok(())
    }
}

fn read_all<T: serde::de::DeserializeOwned>(
    name: &'static str,
    database: Database<Raw, Raw>,
    txn: &RoTxn<'_, WithoutTls>,
) -> Result<(Vec<T>, usize), StoreError> {
    let (mut rows, mut damaged) = (Vec::new(), 0);
    for item in database.iter(txn)? {
        let (key, value) = item?;
        match row::decode(name, key, value) {
            Ok(read) => rows.push(read),
            Err(_damaged) => damaged += 1,
        }
    }
    Ok((rows, damaged))
}

/// The first of the rows that is whole.
fn first_whole<'t>(
    rows: impl Iterator<Item = heed::Result<(&'t [u8], &'t [u8])>>,
) -> Result<Option<(Position, OrderRow)>, StoreError> {
    for item in rows {
        let (key, value) = item?;
        if let Ok(row) = DayEnv::order_row(key, value) {
            return Ok(Some(row));
        }
    }
    Ok(None)
}
