//! The store of a sync node: one LMDB environment, written by the node's own loop.
//!
//! A commit takes all writes of a drained inbox at once: that is the group commit. LMDB syncs data
//! and then meta pages, so a commit is all there after a power cut, or not at all.

mod error;
mod keys;

use std::ops::Bound::{Included, Unbounded};
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls};

use vixen_common::id::{OwnerId, Seq, Stamp, StoreId};
use vixen_common::lmdb;
use vixen_common::segment::Elected;

use crate::vote::{OwnerRow, Recovered, VoteState, Write};

pub use error::StoreError;

/// Version of all rows; a store of another version is refused, not guessed at.
const FORMAT: u8 = 1;

mod db_name {
    pub(super) const META: &str = "meta";
    pub(super) const VOTES: &str = "votes";
    pub(super) const ELECTED: &str = "elected";
    pub(super) const BY_STAMP: &str = "by-stamp";
    pub(super) const OWNERS: &str = "owners";
}

/// Key of the clock ceiling in `meta`.
const KEY_CEILING: &[u8] = b"clock-ceiling";

/// Databases of a sync node. Keys are big-endian, so byte order is id order.
pub(crate) struct Store {
    env: Env<WithoutTls>,
    /// Text key → format version, store id, clock ceiling.
    meta: Database<Bytes, Bytes>,
    /// Segment id → [`VoteState`] (postcard): segments not known elected.
    votes: Database<Bytes, Bytes>,
    /// Segment id → stamp (8 bytes).
    elected: Database<Bytes, Bytes>,
    /// Stamp → [`Elected`] (postcard).
    by_stamp: Database<Bytes, Bytes>,
    /// Owner id → [`OwnerRow`] (postcard).
    owners: Database<Bytes, Bytes>,
    store_id: StoreId,
}

impl Store {
    /// Opens or creates the store in `dir`. Blocking.
    pub(crate) fn open(dir: &Path, bytes_max: u64, fsync: bool) -> Result<Self, StoreError> {
        let env = lmdb::open(dir, bytes_max, fsync)?;
        let mut txn = env.write_txn()?;
        let meta = env.create_database(&mut txn, Some(db_name::META))?;
        let votes = env.create_database(&mut txn, Some(db_name::VOTES))?;
        let elected = env.create_database(&mut txn, Some(db_name::ELECTED))?;
        let by_stamp = env.create_database(&mut txn, Some(db_name::BY_STAMP))?;
        let owners = env.create_database(&mut txn, Some(db_name::OWNERS))?;
        let store_id = lmdb::identify(&mut txn, meta, dir, FORMAT)?;
        txn.commit()?;
        Ok(Self { env, meta, votes, elected, by_stamp, owners, store_id })
    }

    pub(crate) const fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// Reads everything the vote starts from. Blocking, proportional to owners and pending
    /// segments, not to history.
    pub(crate) fn recover(&self) -> Result<Recovered, StoreError> {
        let txn = self.env.read_txn()?;
        let ceiling = self.meta.get(&txn, KEY_CEILING)?;
        let ceiling = ceiling.map_or(Ok(Stamp::ZERO), keys::stamp_from)?;
        let mut recovered = Recovered { ceiling, ..Recovered::default() };
        for row in self.owners.iter(&txn)? {
            let (key, value) = row?;
            let (owner, row) = (keys::owner_from(key)?, decode::<OwnerRow>(value)?);
            recovered.owners.push((owner, row));
            self.read_beyond(&txn, owner, row.contiguous, &mut recovered)?;
        }
        for row in self.votes.iter(&txn)? {
            recovered.votes.push(decode::<VoteState>(row?.1)?);
        }
        Ok(recovered)
    }

    fn read_beyond(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        owner: OwnerId,
        contiguous: Seq,
        recovered: &mut Recovered,
    ) -> Result<(), StoreError> {
        let (from, to) = keys::segments_after(owner, contiguous);
        for row in self.elected.range(txn, &(Included(from.as_slice()), Included(to.as_slice())))? {
            let (key, value) = row?;
            recovered.beyond.push((keys::segment_from(key)?, keys::stamp_from(value)?));
        }
        Ok(())
    }

    /// Writes all in one transaction; durable on return unless the store was opened without fsync.
    /// Blocking. After an error nothing is certain: the node must stop.
    pub(crate) fn commit(&self, writes: impl IntoIterator<Item = Write>) -> Result<(), StoreError> {
        let mut txn = self.env.write_txn()?;
        for write in writes {
            self.put(&mut txn, write)?;
        }
        txn.commit()?;
        Ok(())
    }

    fn put(&self, txn: &mut RwTxn<'_>, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Vote(vote) => {
                self.votes.put(txn, &vote.meta.id.to_key(), &encode(&vote)?)?;
            }
            Write::Ceiling(ceiling) => {
                self.meta.put(txn, KEY_CEILING, &keys::stamp(ceiling))?;
            }
            Write::Elected(elected, owner) => {
                let segment = elected.meta.id.to_key();
                let stamp = keys::stamp(elected.stamp());
                self.votes.delete(txn, &segment)?;
                self.elected.put(txn, &segment, &stamp)?;
                self.by_stamp.put(txn, &stamp, &encode(&elected)?)?;
                self.put_owner(txn, elected.meta.id.owner, owner)?;
            }
            Write::OwnerSettled(owner, row) => {
                let (from, to) = keys::segments_up_to(owner, row.contiguous);
                let range = (Included(from.as_slice()), Included(to.as_slice()));
                self.votes.delete_range(txn, &range)?;
                self.put_owner(txn, owner, row)?;
            }
            Write::DropOwner(owner) => {
                self.owners.delete(txn, owner.0.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Keeps the longer prefix: rows that wait for a commit may come in another order than made.
    fn put_owner(
        &self,
        txn: &mut RwTxn<'_>,
        owner: OwnerId,
        row: OwnerRow,
    ) -> Result<(), StoreError> {
        let key = owner.0.as_bytes();
        let known = self.owners.get(txn, key)?.map(decode::<OwnerRow>).transpose()?;
        if known.is_none_or(|known| known.contiguous < row.contiguous) {
            self.owners.put(txn, key, &encode(&row)?)?;
        }
        Ok(())
    }

    /// Elected segments above `after`, by stamp, at most `limit`.
    pub(crate) fn elected_after(
        &self,
        after: Stamp,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let txn = self.env.read_txn()?;
        let from = keys::stamp(Stamp(after.0.saturating_add(1)));
        let rows = self.by_stamp.range(&txn, &(Included(from.as_slice()), Unbounded))?;
        rows.take(limit).map(|row| decode(row?.1)).collect()
    }

    /// Elected segments of `owner` above `after`, by seq, at most `limit`.
    pub(crate) fn elected_of(
        &self,
        owner: OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let txn = self.env.read_txn()?;
        let (from, to) = keys::segments_after(owner, after);
        let mut found = Vec::new();
        for row in self
            .elected
            .range(&txn, &(Included(from.as_slice()), Included(to.as_slice())))?
            .take(limit)
        {
            let (key, stamp) = row?;
            let elected = self.by_stamp.get(&txn, stamp)?;
            let elected = elected.ok_or_else(|| StoreError::Dangling(key.to_vec()))?;
            found.push(decode(elected)?);
        }
        Ok(found)
    }
}

fn encode<T: serde::Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(row).map_err(StoreError::Row)
}

fn decode<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(row).map_err(StoreError::Row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_common::id::{Ballot, Digest, GroupId, SegmentId, Shard};
    use vixen_common::segment::{Challenger, SegmentMeta};

    const BYTES_MAX: u64 = 64 << 20;

    fn meta(owner: u128, seq: u64) -> SegmentMeta {
        let owner = OwnerId(uuid::Uuid::from_u128(owner));
        let id = SegmentId { owner, seq: Seq(seq) };
        SegmentMeta { id, shard: Shard(1), count: 2, bytes: 3, digest: Digest([4; 16]) }
    }

    fn elected(owner: u128, seq: u64, stamp: u64) -> Elected {
        let challenger = Challenger { stamp: Stamp(stamp), group: GroupId(0) };
        Elected { meta: meta(owner, seq), challenger }
    }

    fn voted(owner: u128, seq: u64) -> VoteState {
        VoteState {
            draft: Some(Stamp(7)),
            group: Some(GroupId(0)),
            promised: Ballot(2),
            accepted: Some((Ballot(1), Challenger { stamp: Stamp(8), group: GroupId(0) })),
            ..VoteState::new(meta(owner, seq))
        }
    }

    #[test]
    fn a_reopened_store_gives_back_what_was_committed() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path(), BYTES_MAX, true).expect("opens");
        let id = store.store_id();
        let row = |seq, stamp| OwnerRow { contiguous: Seq(seq), stamp: Stamp(stamp) };
        store
            .commit([
                Write::Vote(voted(1, 1)),
                Write::Vote(voted(1, 2)),
                Write::Ceiling(Stamp(99)),
                Write::Elected(elected(1, 1, 10), row(1, 10)),
                Write::Elected(elected(1, 3, 30), row(1, 10)),
            ])
            .expect("commits");
        drop(store);
        let store = Store::open(dir.path(), BYTES_MAX, true).expect("opens again");
        assert_eq!(store.store_id(), id);
        let recovered = store.recover().expect("reads");
        assert_eq!(recovered.ceiling, Stamp(99));
        assert_eq!(recovered.votes, [voted(1, 2)]);
        assert_eq!(recovered.owners, [(meta(1, 1).id.owner, row(1, 10))]);
        assert_eq!(recovered.beyond, [(meta(1, 3).id, Stamp(30))]);
    }

    #[test]
    fn feeds_and_catch_ups_read_only_what_is_beyond() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path(), BYTES_MAX, false).expect("opens");
        let all = [elected(1, 1, 10), elected(2, 1, 15), elected(1, 2, 20)];
        let row = OwnerRow::default();
        store.commit(all.map(|e| Write::Elected(e, row))).expect("commits");
        assert_eq!(store.elected_after(Stamp(10), 9).expect("reads"), [all[1], all[2]]);
        assert_eq!(store.elected_after(Stamp::ZERO, 1).expect("reads"), [all[0]]);
        let owner = meta(1, 1).id.owner;
        assert_eq!(store.elected_of(owner, Seq(0), 9).expect("reads"), [all[0], all[2]]);
        assert_eq!(store.elected_of(owner, Seq(1), 9).expect("reads"), [all[2]]);
        assert_eq!(store.elected_of(owner, Seq(2), 9).expect("reads"), []);
    }

    #[test]
    fn rows_never_change_their_bytes() {
        let bytes = encode(&voted(1, 2)).expect("encodes");
        let mut wanted = vec![16];
        wanted.extend_from_slice(uuid::Uuid::from_u128(1).as_bytes());
        wanted.extend_from_slice(&[2, 1, 2, 3]);
        wanted.extend_from_slice(&[4; 16]);
        wanted.extend_from_slice(&[1, 7, 1, 0, 2, 1, 1, 8, 0]);
        assert_eq!(bytes, wanted);
    }
}
