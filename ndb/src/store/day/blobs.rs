//! The blobs of a day, and where better bytes go when one is damaged.
//!
//! LMDB keeps a large value on pages of its own, and learns from the header of the first how many
//! there are, and which, when it gets them back. It believes what it reads there: a damaged header
//! makes it give pages of others away, or fill the memory with the numbers of pages that do not
//! exist. The page of the tree that leads to a blob may be as bad. So a blob that is damaged is
//! never overwritten nor deleted; what a peer sends for it gets a key of its own, far from the
//! damage, and the damaged pages go with their day.
//!
//! ```text
//! segment id (24 bytes)                the blob as it came
//! 0 | segment id | number (u32)        a copy of what was lost; empty until it comes
//! ```
//! The highest copy that has come is the blob. Owners' ids begin with the time: none begins with 0.

use bytes::Bytes;
use heed::{MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use vixen_core::id::SegmentId;
use vixen_core::segment::SegmentMeta;

use crate::store::day::DayEnv;
use crate::store::{StoreError, read};

const COPIES: u8 = 0;

/// What all copies of a segment's blob have in front.
fn prefix_of(segment: SegmentId) -> Vec<u8> {
    let mut prefix = vec![COPIES];
    prefix.extend_from_slice(&segment.to_key());
    prefix
}

fn copy_key(segment: SegmentId, number: u32) -> Vec<u8> {
    let mut key = prefix_of(segment);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number in the key of a copy; `None` for every other key.
fn number_of(key: &[u8]) -> Option<u32> {
    let (rest, number) = key.split_last_chunk()?;
    let is_copy = rest.first() == Some(&COPIES) && SegmentId::from_key(&rest[1..]).is_some();
    is_copy.then(|| u32::from_be_bytes(*number))
}

impl DayEnv {
    /// The segment's blob as it is stored, unchecked. A copy: the pages of the file may change between
    /// two looks, and what is verified must be what is used.
    pub(in crate::store) fn blob(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        segment: SegmentId,
    ) -> Result<Option<Bytes>, StoreError> {
        for copy in self.blobs.rev_prefix_iter(txn, &prefix_of(segment))? {
            let (_, bytes) = copy?;
            if !bytes.is_empty() {
                return Ok(Some(Bytes::copy_from_slice(bytes)));
            }
        }
        Ok(self.blobs.get(txn, &segment.to_key())?.map(Bytes::copy_from_slice))
    }

    /// Writes a segment's blob, unless it is there and whole.
    pub(in crate::store) fn put_blob(
        &self,
        txn: &mut RwTxn<'_>,
        meta: &SegmentMeta,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let number = match self.last_copy(txn, meta.id)? {
            None => {
                let key = meta.id.to_key();
                match self.blobs.put_with_flags(txn, PutFlags::NO_OVERWRITE, &key, bytes) {
                    Ok(()) => return Ok(()),
                    Err(heed::Error::Mdb(MdbError::KeyExist)) => 1,
                    Err(error) => return Err(error.into()),
                }
            }
            Some((number, has_come)) => number.saturating_add(u32::from(has_come)),
        };
        let is_whole = self.blob(txn, meta.id)?.is_some_and(|now| read::check(&now, meta).is_ok());
        if !is_whole {
            self.blobs.put(txn, &copy_key(meta.id, number), bytes)?;
        }
        Ok(())
    }

    /// The blob is damaged, or gone where nobody removed it: what comes for it is a new copy. The
    /// bytes stay until then: they may be all there is.
    pub(in crate::store) fn lose_blob(
        &self,
        txn: &mut RwTxn<'_>,
        segment: SegmentId,
    ) -> Result<(), StoreError> {
        let number = match self.last_copy(txn, segment)? {
            None => 1,
            Some((_, false)) => return Ok(()),
            Some((number, true)) => number.saturating_add(1),
        };
        Ok(self.blobs.put(txn, &copy_key(segment, number), &[])?)
    }

    /// Deletes a segment's blob. What of it is damaged stays, and so does all of it where no meta
    /// tells whether it is.
    pub(in crate::store) fn delete_blob(
        &self,
        txn: &mut RwTxn<'_>,
        segment: SegmentId,
        meta: Option<&SegmentMeta>,
    ) -> Result<(), StoreError> {
        let mut keys = vec![segment.to_key().to_vec()];
        for copy in self.blobs.prefix_iter(txn, &prefix_of(segment))? {
            keys.push(copy?.0.to_vec());
        }
        let is_whole = |bytes: &[u8]| {
            meta.is_some_and(|meta| read::check(&Bytes::copy_from_slice(bytes), meta).is_ok())
        };
        let mut is_left = false;
        for key in keys {
            let Some(bytes) = self.blobs.get(txn, &key)? else { continue };
            // A copy that has not come has no pages.
            if bytes.is_empty() || is_whole(bytes) {
                self.blobs.delete(txn, &key)?;
            } else {
                is_left = true;
            }
        }
        if is_left { self.lose_blob(txn, segment) } else { Ok(()) }
    }

    /// Whether damaged blobs are known to be among the pages.
    pub(in crate::store) fn has_copies(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<bool, StoreError> {
        for blob in self.blobs.prefix_iter(txn, &[COPIES])? {
            if number_of(blob?.0).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Number of the last copy, and whether it has come.
    fn last_copy(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        segment: SegmentId,
    ) -> Result<Option<(u32, bool)>, StoreError> {
        let last = self.blobs.rev_prefix_iter(txn, &prefix_of(segment))?.next().transpose()?;
        Ok(last.and_then(|(key, bytes)| Some((number_of(key)?, !bytes.is_empty()))))
    }
}
