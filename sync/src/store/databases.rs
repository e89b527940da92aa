//! The databases of a sync node, and what is written in one transaction.

use std::ops::Bound::{Included, Unbounded};
use std::time::Duration;

use heed::types::Bytes;
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls};

use vixen_core::id::{OwnerId, Seq, Stamp, SyncId};
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_runtime::journal::{JournalId, Sequence};
use vixen_vote::{OWNER_IDLE_MS, OwnerRow, Recovered, Standing, Write};

use super::rows::Rows;
use super::{StoreError, decode, decode_vote, encode, keys};

mod db_name {
    pub(super) const META: &str = "meta";
    pub(super) const VOTES: &str = "votes";
    pub(super) const ELECTED: &str = "elected";
    pub(super) const BY_STAMP: &str = "by-stamp";
    pub(super) const OWNERS: &str = "owners";
    pub(super) const PEERS: &str = "peers";

    pub(in super::super) const ALL: [&str; 6] = [META, VOTES, ELECTED, BY_STAMP, OWNERS, PEERS];
}

pub(super) const NAMES: [&str; 6] = db_name::ALL;

/// Key of the clock ceiling in `meta`.
const KEY_CEILING: &[u8] = b"clock-ceiling";
/// Key of the number of commits in `meta`.
const KEY_COMMITS: &[u8] = b"commits";
/// Key of the stamp up to which elections are forgotten, in `meta`.
const KEY_TRIMMED: &[u8] = b"trimmed-to";
/// Key of the time up to which owners were made that are forgotten, in `meta`.
pub(super) const KEY_FORGOTTEN: &[u8] = b"owners-forgotten-to";
/// Key of the id of the store's journal in `meta`; none there: it has none.
const KEY_JOURNAL: &[u8] = b"journal";
/// Key of the number of the journal's last record whose rows are here, in `meta`.
const KEY_APPLIED: &[u8] = b"journal-applied";

/// Databases of a sync node. Keys are big-endian, so byte order is id order.
#[derive(Clone)]
pub(super) struct Databases {
    pub(super) env: Env<WithoutTls>,
    /// Text key → format version, store id, clock ceiling, commits, trimmed-to, owners-forgotten-to, and of the journal: its
    /// id, and the last record whose rows are here.
    pub(super) meta: Database<Bytes, Bytes>,
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
}

impl Databases {
    pub(super) fn open(env: &Env<WithoutTls>, txn: &mut RwTxn<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            env: env.clone(),
            meta: env.create_database(txn, Some(db_name::META))?,
            votes: env.create_database(txn, Some(db_name::VOTES))?,
            elected: env.create_database(txn, Some(db_name::ELECTED))?,
            by_stamp: env.create_database(txn, Some(db_name::BY_STAMP))?,
            owners: env.create_database(txn, Some(db_name::OWNERS))?,
            peers: env.create_database(txn, Some(db_name::PEERS))?,
        })
    }

    /// Commits so far, and up to where elections are forgotten.
    pub(super) fn counts(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<(u64, Stamp), StoreError> {
        let commits = self.meta.get(txn, KEY_COMMITS)?.map_or(Ok(0), keys::number_from)?;
        let trimmed = self.meta.get(txn, KEY_TRIMMED)?.map_or(Ok(Stamp::ZERO), keys::stamp_from)?;
        Ok((commits, trimmed))
    }

    /// The store's journal, and the last of its records whose rows are here.
    pub(super) fn journal(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Option<(JournalId, Sequence)>, StoreError> {
        let Some(id) = self.meta.get(txn, KEY_JOURNAL)? else { return Ok(None) };
        let id = id.try_into().map_err(|_length| StoreError::Key(id.to_vec()))?;
        let applied = self.meta.get(txn, KEY_APPLIED)?.map_or(Ok(0), keys::number_from)?;
        Ok(Some((JournalId(id), Sequence(applied))))
    }

    /// The store has this journal from now on, which is new, or none.
    pub(super) fn set_journal(
        &self,
        txn: &mut RwTxn<'_>,
        id: Option<JournalId>,
    ) -> Result<(), StoreError> {
        self.meta.delete(txn, KEY_APPLIED)?;
        match id {
            Some(id) => self.meta.put(txn, KEY_JOURNAL, &id.0)?,
            None => _ = self.meta.delete(txn, KEY_JOURNAL)?,
        }
        Ok(())
    }

    /// Of a store that was made before the time was kept: see [`forgotten_by_age`].
    pub(super) fn keep_forgotten_to(&self, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
        if self.meta.get(txn, KEY_FORGOTTEN)?.is_none() {
            let forgotten_to = forgotten_by_age(txn, self.owners)?;
            self.meta.put(txn, KEY_FORGOTTEN, &forgotten_to.0.to_be_bytes())?;
        }
        Ok(())
    }

    /// What is remembered of peers.
    pub(super) fn standings(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
    ) -> Result<Vec<(SyncId, Standing)>, StoreError> {
        let mut standings = Vec::new();
        for row in self.peers.iter(txn)? {
            let (key, value) = row?;
            let lane = *key.first().ok_or_else(|| StoreError::Key(key.to_vec()))?;
            standings.push((SyncId(lane), decode(value)?));
        }
        Ok(standings)
    }

    pub(super) fn forget_peer(
        &self,
        txn: &mut RwTxn<'_>,
        peer: SyncId,
    ) -> Result<bool, StoreError> {
        Ok(self.peers.delete(txn, &[peer.0])?)
    }

    pub(super) fn pending(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<u64, StoreError> {
        Ok(self.votes.len(txn)?)
    }

    /// Everything the vote starts from.
    pub(super) fn recover(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<Recovered, StoreError> {
        let ceiling = self.meta.get(txn, KEY_CEILING)?;
        let ceiling = ceiling.map_or(Ok(Stamp::ZERO), keys::stamp_from)?;
        let forgotten_to = self.meta.get(txn, KEY_FORGOTTEN)?.map_or(Ok(0), keys::number_from)?;
        let forgotten_to = WallTime(forgotten_to);
        let mut recovered = Recovered { ceiling, forgotten_to, ..Recovered::default() };
        for row in self.owners.iter(txn)? {
            let (key, value) = row?;
            let (owner, row) = (keys::owner_from(key)?, decode::<OwnerRow>(value)?);
            recovered.owners.push((owner, row));
            self.read_beyond(txn, owner, row.contiguous, &mut recovered)?;
        }
        for row in self.votes.iter(txn)? {
            recovered.votes.push(decode_vote(row?.1)?);
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

    /// Writes all rows, up to the record `applied` of the journal, in one transaction.
    pub(super) fn write(&self, rows: &Rows, applied: Option<Sequence>) -> Result<(), StoreError> {
        let mut txn = self.env.write_txn()?;
        self.apply(&mut txn, rows)?;
        if let Some(applied) = applied {
            self.meta.put(&mut txn, KEY_APPLIED, &applied.0.to_be_bytes())?;
        }
        txn.commit()?;
        Ok(())
    }

    /// Puts all rows in a transaction.
    pub(super) fn apply(&self, txn: &mut RwTxn<'_>, rows: &Rows) -> Result<(), StoreError> {
        for write in rows.writes() {
            self.put(txn, &write)?;
        }
        for (peer, standing) in rows.standings() {
            self.peers.put(txn, &[peer.0], &encode(&standing)?)?;
        }
        for (stamp, segment) in rows.forgotten() {
            self.by_stamp.delete(txn, &keys::stamp(stamp))?;
            self.elected.delete(txn, &segment.to_key())?;
        }
        let (_, trimmed_to) = self.counts(txn)?;
        if rows.trimmed_to() > trimmed_to {
            self.meta.put(txn, KEY_TRIMMED, &keys::stamp(rows.trimmed_to()))?;
        }
        self.meta.put(txn, KEY_COMMITS, &rows.commits().to_be_bytes())?;
        Ok(())
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

    /// Elections up to a stamp, inclusive, that `passes`; of them the first `rows_max`.
    pub(super) fn elected_up_to(
        &self,
        upto: Stamp,
        passes: impl Fn(&Elected) -> bool,
        rows_max: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let txn = self.env.read_txn()?;
        let upto = keys::stamp(upto);
        let rows = self.by_stamp.range(&txn, &(Unbounded, Included(upto.as_slice())))?;
        passing(rows.map(|row| decode(row?.1)), passes, rows_max)
    }

    /// Elections beyond a stamp, by stamp, that `passes`; of them the first `limit`.
    pub(super) fn elected_after(
        &self,
        after: Stamp,
        passes: impl Fn(&Elected) -> bool,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let txn = self.env.read_txn()?;
        let from = keys::stamp(Stamp(after.0.saturating_add(1)));
        let rows = self.by_stamp.range(&txn, &(Included(from.as_slice()), Unbounded))?;
        passing(rows.map(|row| decode(row?.1)), passes, limit)
    }

    /// Elections of an owner beyond a seq, by seq, that `passes`; of them the first `limit`.
    pub(super) fn elected_of(
        &self,
        owner: OwnerId,
        after: Seq,
        passes: impl Fn(&Elected) -> bool,
        limit: usize,
    ) -> Result<Vec<Elected>, StoreError> {
        let txn = self.env.read_txn()?;
        let (from, to) = keys::segments_after(owner, after);
        let range = (Included(from.as_slice()), Included(to.as_slice()));
        let rows = self.elected.range(&txn, &range)?.map(|row| {
            let (key, stamp) = row?;
            let elected = self.by_stamp.get(&txn, stamp)?;
            decode(elected.ok_or_else(|| StoreError::Dangling(key.to_vec()))?)
        });
        passing(rows, passes, limit)
    }
}

fn passing(
    rows: impl Iterator<Item = Result<Elected, StoreError>>,
    passes: impl Fn(&Elected) -> bool,
    limit: usize,
) -> Result<Vec<Elected>, StoreError> {
    rows.filter(|row| row.as_ref().map_or(true, &passes)).take(limit).collect()
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
