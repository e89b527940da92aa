//! The store of a sync node: one LMDB environment, written by the node's own loop.
//!
//! A commit takes all writes of a drained inbox at once: that is the group commit. LMDB syncs data
//! and then meta pages, so a commit is all there after a power cut, or not at all.

mod error;
mod keys;

use std::ops::Bound::{Included, Unbounded};
use std::path::Path;
use std::time::Duration;

use heed::types::Bytes;
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls};

use vixen_core::id::{OwnerId, Seq, Stamp, StoreId, SyncId};
use vixen_core::segment::Elected;
use vixen_core::time::{UtcDay, WallTime};
use vixen_runtime::lmdb::{self, Formats};

use vixen_vote::{
    Batch, Elections, OWNER_IDLE_MS, OwnerRow, Recovered, Standing, VoteState, Write,
};

pub use error::StoreError;

/// Versions of all rows; a store of a version that is not read is refused, not guessed at.
const FORMATS: Formats = Formats::new(3, 3);

mod db_name {
    pub(super) const META: &str = "meta";
    pub(super) const VOTES: &str = "votes";
    pub(super) const ELECTED: &str = "elected";
    pub(super) const BY_STAMP: &str = "by-stamp";
    pub(super) const OWNERS: &str = "owners";
    pub(super) const PEERS: &str = "peers";

    pub(super) const ALL: [&str; 6] = [META, VOTES, ELECTED, BY_STAMP, OWNERS, PEERS];
}

/// Key of the clock ceiling in `meta`.
const KEY_CEILING: &[u8] = b"clock-ceiling";
/// Key of the number of commits in `meta`.
const KEY_COMMITS: &[u8] = b"commits";
/// Key of the stamp up to which elections are forgotten, in `meta`.
const KEY_TRIMMED: &[u8] = b"trimmed-to";

/// Key of the time up to which owners were made that are forgotten, in `meta`.
const KEY_FORGOTTEN: &[u8] = b"owners-forgotten-to";

/// Databases of a sync node. Keys are big-endian, so byte order is id order.
pub(crate) struct Store {
    env: Env<WithoutTls>,
    /// Text key → format version, store id, clock ceiling, commits, trimmed-to, owners-forgotten-to.
    meta: Database<Bytes, Bytes>,
    /// Segment id → [`VoteState`] (postcard): segments not known elected.
    votes: Database<Bytes, Bytes>,
    /// Segment id → stamp (8 bytes).
    elected: Database<Bytes, Bytes>,
    /// Stamp → [`Elected`] (postcard).
    by_stamp: Database<Bytes, Bytes>,
    /// Owner id → [`OwnerRow`] (postcard).
    owners: Database<Bytes, Bytes>,
    /// Lane (1 byte) → [`Standing`] (postcard).
    peers: Database<Bytes, Bytes>,
    store_id: StoreId,
    commits: u64,
    trimmed_to: Stamp,
}

/// Which elections go with a commit.
pub(crate) struct Forgetting<'a> {
    /// None above this stamp.
    pub(crate) upto: Stamp,
    /// Whether this one may.
    pub(crate) may_go: &'a dyn Fn(&Elected) -> bool,
    /// Elections looked at, so that a commit does not take long.
    pub(crate) rows_max: usize,
}

/// Whether an ndb node keeps its messages there.
fn holds_days(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| name.parse::<UtcDay>().is_ok())
}

impl Store {
    /// Opens or creates the store in `dir`. Blocking.
    pub(crate) fn open(dir: &Path, bytes_max: u64, fsync: bool) -> Result<Self, StoreError> {
        if holds_days(dir) {
            return Err(StoreError::OfNdb { path: dir.to_owned() });
        }
        lmdb::make(dir, FORMATS, None, &db_name::ALL, fsync)?;
        let env = lmdb::open(dir, bytes_max, fsync)?;
        let mut txn = env.write_txn()?;
        let meta = env.create_database(&mut txn, Some(db_name::META))?;
        let votes = env.create_database(&mut txn, Some(db_name::VOTES))?;
        let elected = env.create_database(&mut txn, Some(db_name::ELECTED))?;
        let by_stamp = env.create_database(&mut txn, Some(db_name::BY_STAMP))?;
        let owners = env.create_database(&mut txn, Some(db_name::OWNERS))?;
        let peers = env.create_database(&mut txn, Some(db_name::PEERS))?;
        let store_id = lmdb::identify(&mut txn, meta, dir, FORMATS, None)?;
        let commits = meta.get(&txn, KEY_COMMITS)?.map_or(Ok(0), keys::number_from)?;
        let trimmed_to = meta.get(&txn, KEY_TRIMMED)?.map_or(Ok(Stamp::ZERO), keys::stamp_from)?;
        if meta.get(&txn, KEY_FORGOTTEN)?.is_none() {
            let forgotten_to = forgotten_by_age(&txn, owners)?;
            meta.put(&mut txn, KEY_FORGOTTEN, &forgotten_to.0.to_be_bytes())?;
        }
        txn.commit()?;
        Ok(Self {
            env,
            meta,
            votes,
            elected,
            by_stamp,
            owners,
            peers,
            store_id,
            commits,
            trimmed_to,
        })
    }

    /// Commits so far.
    pub(crate) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Elections up to here are forgotten, some of them or all.
    pub(crate) const fn trimmed_to(&self) -> Stamp {
        self.trimmed_to
    }

    /// What is remembered of peers.
    pub(crate) fn standings(&self) -> Result<Vec<(SyncId, Standing)>, StoreError> {
        let txn = self.env.read_txn()?;
        let mut standings = Vec::new();
        for row in self.peers.iter(&txn)? {
            let (key, value) = row?;
            let lane = *key.first().ok_or_else(|| StoreError::Key(key.to_vec()))?;
            standings.push((SyncId(lane), decode(value)?));
        }
        Ok(standings)
    }

    /// Forgets what is remembered of a peer; `false` when nothing is. Durable on return.
    pub(crate) fn forget_peer(&mut self, peer: SyncId) -> Result<bool, StoreError> {
        let mut txn = self.env.write_txn()?;
        let was_known = self.peers.delete(&mut txn, &[peer.0])?;
        txn.commit()?;
        Ok(was_known)
    }

    /// Segments whose vote is on disk and which are not known elected.
    pub(crate) fn pending(&self) -> Result<u64, StoreError> {
        let txn = self.env.read_txn()?;
        Ok(self.votes.len(&txn)?)
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
        let forgotten_to = WallTime(self.forgotten_to(&txn)?);
        let mut recovered = Recovered { ceiling, forgotten_to, ..Recovered::default() };
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

    fn forgotten_to(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<u64, StoreError> {
        self.meta.get(txn, KEY_FORGOTTEN)?.map_or(Ok(0), keys::number_from)
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

    /// Writes all in one transaction, and forgets what `retention` allows; durable on return unless
    /// the store was opened without fsync. Blocking. After an error nothing is certain but what is
    /// on disk; of one [of room](StoreError::is_of_room) the same commit is to be tried again, before
    /// any other.
    pub(crate) fn commit(
        &mut self,
        batch: &Batch,
        retention: Option<Forgetting<'_>>,
    ) -> Result<(), StoreError> {
        let mut txn = self.env.write_txn()?;
        for write in &batch.writes {
            self.put(&mut txn, write)?;
        }
        for (peer, standing) in &batch.standings {
            self.peers.put(&mut txn, &[peer.0], &encode(standing)?)?;
        }
        let forgotten = match retention {
            Some(retention) => self.forget(&mut txn, &retention)?,
            None => None,
        };
        let trimmed_to = self.trimmed_to.max(batch.trimmed_to.max(forgotten).unwrap_or_default());
        if trimmed_to > self.trimmed_to {
            self.meta.put(&mut txn, KEY_TRIMMED, &keys::stamp(trimmed_to))?;
        }
        let commits = self.commits + 1;
        self.meta.put(&mut txn, KEY_COMMITS, &commits.to_be_bytes())?;
        txn.commit()?;
        (self.commits, self.trimmed_to) = (commits, trimmed_to);
        Ok(())
    }

    /// Removes elections; the stamp of the last one removed.
    fn forget(
        &self,
        txn: &mut RwTxn<'_>,
        retention: &Forgetting<'_>,
    ) -> Result<Option<Stamp>, StoreError> {
        let upto = keys::stamp(retention.upto);
        let mut goes = Vec::new();
        for row in self
            .by_stamp
            .range(txn, &(Unbounded, Included(upto.as_slice())))?
            .take(retention.rows_max)
        {
            let elected = decode::<Elected>(row?.1)?;
            if (retention.may_go)(&elected) {
                goes.push(elected);
            }
        }
        for elected in &goes {
            self.by_stamp.delete(txn, &keys::stamp(elected.stamp()))?;
            self.elected.delete(txn, &elected.meta.id.to_key())?;
        }
        Ok(goes.last().map(Elected::stamp))
    }

    fn put(&self, txn: &mut RwTxn<'_>, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Vote(vote) => {
                self.votes.put(txn, &vote.meta.id.to_key(), &encode(vote)?)?;
            }
            Write::Ceiling(ceiling) => {
                self.meta.put(txn, KEY_CEILING, &keys::stamp(*ceiling))?;
            }
            Write::Elected(elected, owner) => {
                let segment = elected.meta.id.to_key();
                let stamp = keys::stamp(elected.stamp());
                self.votes.delete(txn, &segment)?;
                self.elected.put(txn, &segment, &stamp)?;
                self.by_stamp.put(txn, &stamp, &encode(elected)?)?;
                self.put_owner(txn, elected.meta.id.owner, *owner)?;
            }
            Write::OwnerSettled(owner, row) => {
                let (from, to) = keys::segments_up_to(*owner, row.contiguous);
                let range = (Included(from.as_slice()), Included(to.as_slice()));
                self.votes.delete_range(txn, &range)?;
                self.put_owner(txn, *owner, *row)?;
            }
            Write::DropOwner(owner) => {
                self.owners.delete(txn, owner.0.as_bytes())?;
                let (from, to) = keys::segments_up_to(*owner, Seq(u64::MAX));
                let range = (Included(from.as_slice()), Included(to.as_slice()));
                self.votes.delete_range(txn, &range)?;
                let known = self.meta.get(txn, KEY_FORGOTTEN)?.map_or(Ok(0), keys::number_from)?;
                let made = owner.made_at().unwrap_or_default().0;
                self.meta.put(txn, KEY_FORGOTTEN, &made.max(known).to_be_bytes())?;
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
}

impl Elections for Store {
    type Error = StoreError;

    fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, StoreError> {
        let txn = self.env.read_txn()?;
        let from = keys::stamp(Stamp(after.0.saturating_add(1)));
        let rows = self.by_stamp.range(&txn, &(Included(from.as_slice()), Unbounded))?;
        rows.take(limit).map(|row| decode(row?.1)).collect()
    }

    fn elected_of(
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

/// A store that was made before the time was kept refused owners by their age: those that were old
/// then stay refused.
fn forgotten_by_age(
    txn: &RwTxn<'_>,
    owners: Database<Bytes, Bytes>,
) -> Result<WallTime, StoreError> {
    let mut newest = Stamp::ZERO;
    for row in owners.iter(txn)? {
        newest = newest.max(decode::<OwnerRow>(row?.1)?.stamp);
    }
    let week = Duration::from_millis(OWNER_IDLE_MS);
    Ok(if newest == Stamp::ZERO { WallTime(0) } else { newest.wall_time().minus(week) })
}

fn encode<T: serde::Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(row).map_err(StoreError::Row)
}

fn decode<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(row).map_err(StoreError::Row)
}

#[cfg(test)]
mod tests;
