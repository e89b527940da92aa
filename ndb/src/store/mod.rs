//! The store of an ndb node: one LMDB environment.
//!
//! A segment's bytes are written once, into `blobs`. The temporary table marks those that wait for
//! their place; moving to permanent is a row of `order` and the removal of the mark. Only the
//! writer thread writes; readers are short and cross no await.

mod error;
mod writer;

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::Path;

use heed::types::Bytes as Raw;
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls};

use vixen_common::id::{Digest, GroupId, OwnerId, Position, SegmentId, Seq, StoreId};
use vixen_common::lmdb;
use vixen_common::segment::{Blob, Elected, SegmentMeta};

use crate::replica::{self, Mark, OrderRow, Recovered};

pub use error::StoreError;
pub(crate) use writer::{Committed, Job, Writer};

/// Version of all rows; a store of another version is refused, not guessed at.
const FORMAT: u8 = 1;

mod db_name {
    pub(super) const META: &str = "meta";
    pub(super) const TEMPORARY: &str = "temporary";
    pub(super) const BLOBS: &str = "blobs";
    pub(super) const ORDER: &str = "order";
    pub(super) const MISSING: &str = "missing";
    pub(super) const OWNERS: &str = "owners";
}

/// Databases of an ndb node. Keys are big-endian, so byte order is log order.
pub(crate) struct Store {
    env: Env<WithoutTls>,
    /// Segment id → [`SegmentMeta`] (postcard): stored, without a place.
    temporary: Database<Raw, Raw>,
    /// Segment id → the segment's blob.
    blobs: Database<Raw, Raw>,
    /// Position of the first message (u64) → [`OrderRow`] (postcard).
    order: Database<Raw, Raw>,
    /// Segment id → [`SegmentMeta`]: placed, of this group, without bytes.
    missing: Database<Raw, Raw>,
    /// Owner id → highest placed seq (u64).
    owners: Database<Raw, Raw>,
    group: GroupId,
    store_id: StoreId,
}

impl Store {
    /// Opens or creates the store in `dir`. Blocking.
    pub(crate) fn open(
        dir: &Path,
        group: GroupId,
        bytes_max: u64,
        fsync: bool,
    ) -> Result<Self, StoreError> {
        let env = lmdb::open(dir, bytes_max, fsync)?;
        let mut txn = env.write_txn()?;
        let meta = env.create_database(&mut txn, Some(db_name::META))?;
        let temporary = env.create_database(&mut txn, Some(db_name::TEMPORARY))?;
        let blobs = env.create_database(&mut txn, Some(db_name::BLOBS))?;
        let order = env.create_database(&mut txn, Some(db_name::ORDER))?;
        let missing = env.create_database(&mut txn, Some(db_name::MISSING))?;
        let owners = env.create_database(&mut txn, Some(db_name::OWNERS))?;
        let store_id = lmdb::identify(&mut txn, meta, dir, FORMAT)?;
        txn.commit()?;
        Ok(Self { env, temporary, blobs, order, missing, owners, group, store_id })
    }

    pub(crate) const fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// The group whose blobs are here.
    pub(crate) const fn group(&self) -> GroupId {
        self.group
    }

    /// Reads what the replica starts from. Blocking, proportional to what is unresolved.
    pub(crate) fn recover(&self) -> Result<Recovered, StoreError> {
        let txn = self.env.read_txn()?;
        let mut recovered = Recovered::default();
        for row in self.temporary.iter(&txn)? {
            recovered.temporary.push(decode(row?.1)?);
        }
        for row in self.missing.iter(&txn)? {
            recovered.missing.push(decode(row?.1)?);
        }
        for row in self.owners.iter(&txn)? {
            let (key, seq) = row?;
            let owner = uuid::Uuid::from_slice(key).map_err(|_length| malformed(key))?;
            recovered.owners.push((OwnerId(owner), Seq(number_of(seq)?)));
        }
        if let Some((key, row)) = self.order.last(&txn)? {
            let (first, row) = (Position(number_of(key)?), decode::<OrderRow>(row)?);
            recovered.head_stamp = row.elected.stamp();
            recovered.head_next = first.plus(row.elected.meta.count);
            recovered.chain = row.chain;
        }
        Ok(recovered)
    }

    fn put_segment(&self, txn: &mut RwTxn<'_>, store: &replica::Store) -> Result<(), StoreError> {
        let key = store.meta.id.to_key();
        self.blobs.put(txn, &key, store.blob.as_bytes())?;
        match store.mark {
            Mark::Temporary => self.temporary.put(txn, &key, &encode(&store.meta)?)?,
            Mark::Permanent => {
                self.missing.delete(txn, &key)?;
            }
        }
        Ok(())
    }

    fn put_place(&self, txn: &mut RwTxn<'_>, place: &replica::Place) -> Result<(), StoreError> {
        let meta = place.row.elected.meta;
        let key = meta.id.to_key();
        self.order.put(txn, &place.first.0.to_be_bytes(), &encode(&place.row)?)?;
        self.owners.put(txn, &key[..16], &meta.id.seq.0.to_be_bytes())?;
        self.temporary.delete(txn, &key)?;
        // The bytes may have come in the same batch, and stand before the row.
        let is_here = || {
            let blob = self.blobs.get(txn, &key)?;
            Ok::<_, heed::Error>(blob.is_some_and(|blob| Digest::of(&[blob]) == meta.digest))
        };
        if place.body == replica::Body::Missing && !is_here()? {
            self.missing.put(txn, &key, &encode(&meta)?)?;
        }
        Ok(())
    }

    /// The row whose segment holds `position`, and rows after it, at most `limit`; fewer at the
    /// end of the order.
    pub(crate) fn rows_from(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<(Position, OrderRow)>, StoreError> {
        let txn = self.env.read_txn()?;
        let key = position.0.to_be_bytes();
        let upto = (Unbounded, Included(key.as_slice()));
        let holding = self.order.rev_range(&txn, &upto)?.next().transpose()?;
        let mut rows = Vec::new();
        if let Some((first, row)) = holding {
            let (first, row) = (Position(number_of(first)?), decode::<OrderRow>(row)?);
            if first.plus(row.elected.meta.count) > position {
                rows.push((first, row));
            }
        }
        let after = (Excluded(key.as_slice()), Unbounded);
        for row in self.order.range(&txn, &after)?.take(limit.saturating_sub(rows.len())) {
            let (first, row) = row?;
            rows.push((Position(number_of(first)?), decode(row)?));
        }
        Ok(rows)
    }

    /// The segments from the one that begins at `from` on, at most `limit`; none when no segment
    /// does.
    pub(crate) fn order_from(
        &self,
        from: Position,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let mut rows = self.rows_from(from, limit)?;
        let begins_here = rows.first().is_some_and(|(first, _)| *first == from);
        if !begins_here {
            rows.clear();
        }
        Ok(rows.into_iter().map(|(_, row)| row.elected).collect())
    }

    /// The segment's blob, checked against its digest.
    pub(crate) fn blob(&self, meta: &SegmentMeta) -> Result<Option<Blob>, StoreError> {
        let txn = self.env.read_txn()?;
        let Some(blob) = self.read_blob(&txn, meta.id)? else { return Ok(None) };
        if Digest::of(&[blob.as_bytes()]) != meta.digest {
            return Err(StoreError::Damaged(meta.id));
        }
        Ok(Some(blob))
    }

    /// The blob of a segment whose meta is in this store as well, for a peer that verifies it.
    pub(crate) fn blob_unchecked(&self, segment: SegmentId) -> Result<Option<Blob>, StoreError> {
        let txn = self.env.read_txn()?;
        self.read_blob(&txn, segment)
    }

    fn read_blob(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        segment: SegmentId,
    ) -> Result<Option<Blob>, StoreError> {
        let bytes = self.blobs.get(txn, &segment.to_key())?;
        Ok(bytes.map(|bytes| Blob::from_bytes(bytes::Bytes::copy_from_slice(bytes))))
    }

    /// Marks a placed segment's bytes as missing; durable on return.
    pub(crate) fn mark_missing(&self, meta: &SegmentMeta) -> Result<(), StoreError> {
        let mut txn = self.env.write_txn()?;
        self.missing.put(&mut txn, &meta.id.to_key(), &encode(meta)?)?;
        txn.commit()?;
        Ok(())
    }
}

fn encode<T: serde::Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(row).map_err(StoreError::Row)
}

fn decode<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(row).map_err(StoreError::Row)
}

fn malformed(key: &[u8]) -> StoreError {
    StoreError::Key(key.to_vec())
}

fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    Ok(u64::from_be_bytes(key.try_into().map_err(|_length| malformed(key))?))
}

#[cfg(test)]
mod tests;
