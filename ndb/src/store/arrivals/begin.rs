//! The journal at a start: whose it is, what it has that LMDB has not, and a new one where there is none.
//!
//! A storage node promises nothing that its peers do not know, so a journal that cannot be used keeps it from nothing: it
//! starts as one that has missed something, and says so. What can be read of the journal it takes.

use std::collections::BTreeMap;
use std::time::Instant;

use vixen_core::id::SegmentId;
use vixen_core::segment::{Blob, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_runtime::journal::{Journal, JournalError, Look, Record, Sequence};

use super::record::segments_of;
use super::{Arrived, JournalRow};
use crate::store::write::Memory;
use crate::store::{Store, StoreError};

/// Of a new journal: what arrives in a second, at some MB/s.
pub(crate) const JOURNAL_BYTES: u64 = 16 << 20;

/// What was found where the journal should be.
enum Found {
    /// None is there, or one with nothing in it that LMDB has not.
    Nothing,
    /// The store's own.
    Own(Journal, Vec<Record>),
    /// It cannot be used, for this reason; whole records of it, where it is the store's own.
    Refused(StoreError, Vec<Record>),
}

/// What a node may have lost with its journal, and who has it.
const fn what_is_lost(has_peers: bool) -> &'static str {
    if has_peers {
        "what this node had durable there, and LMDB has not, may be gone, and is fetched from its peers"
    } else {
        "what this node had durable there, and LMDB has not, may be gone, also what was acknowledged: its group has \
         no other node that has it"
    }
}

impl Store {
    /// Brings in what only the journal has. With fsync the store has a journal afterwards, unless the disk has no
    /// room for one; without, it has none. Blocking.
    pub(in crate::store) fn begin_journal(
        &self,
        bytes: u64,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let row = self.journal_row()?;
        let mut journal = None;
        match self.find_journal(row)? {
            Found::Nothing => {}
            Found::Own(own, records) => {
                self.arrivals_mut().begin(row, own.bytes_max());
                let segments = self.unplaced(records)?;
                self.bring_in(&own, segments, now)?;
                journal = Some(own);
            }
            Found::Refused(error, records) => {
                self.metrics.refused.increment(1);
                let taken = self.unplaced(records)?;
                tracing::error!(
                    path = %self.dir.display(),
                    error = &error as &dyn std::error::Error,
                    segments_taken = taken.len(),
                    "the journal cannot be used, and is put aside: {}",
                    what_is_lost(self.options.has_peers)
                );
                self.write_temporary(&mut Memory::recover(self)?, taken, now)?;
                self.close_journal(row)?;
                Journal::set_aside(&self.dir)?;
            }
        }
        match (self.options.fsync, journal) {
            (true, Some(own)) => self.set_journal(Some(own)),
            (true, None) => self.make_journal(row, bytes)?,
            (false, own) => self.end_journal(row, own.is_some(), now)?,
        }
        Ok(())
    }

    /// What the days say of the journal.
    pub(in crate::store) fn journal_row(&self) -> Result<Option<JournalRow>, StoreError> {
        let mut row = None;
        for env in self.days().envs.values() {
            match env.read().and_then(|txn| env.journal(&txn)) {
                Ok(found) => row = row.max(found),
                Err(StoreError::Row { .. }) => {
                    self.metrics.refused.increment(1);
                    tracing::error!(day = %env.day, "what the day says of the journal is damaged");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(row)
    }

    fn find_journal(&self, row: Option<JournalRow>) -> Result<Found, StoreError> {
        let open = row.filter(|row| !row.is_closed());
        if let Some(row) = open {
            match Journal::open(&self.dir, self.store_id, row.id(), row.applied()) {
                Ok((own, records)) => return Ok(Found::Own(own, records)),
                Err(error @ JournalError::Missing { .. }) => {
                    return Ok(Found::Refused(error.into(), Vec::new()));
                }
                Err(error @ JournalError::Damaged { .. }) => {
                    let beyond = Look::at(&self.dir)?.beyond(row.applied());
                    return Ok(Found::Refused(error.into(), beyond.collect()));
                }
                Err(JournalError::Foreign { .. } | JournalError::Header { .. }) => {}
                Err(error @ (JournalError::Format { .. } | JournalError::Io { .. })) => {
                    return Err(error.into());
                }
            }
        }
        let look = match Look::at(&self.dir) {
            Ok(look) => look,
            Err(JournalError::Missing { .. }) => return Ok(Found::Nothing),
            Err(error @ JournalError::Header { .. }) => {
                return Ok(Found::Refused(error.into(), Vec::new()));
            }
            Err(error) => return Err(error.into()),
        };
        // One that was made just before the process ended, and one that LMDB has all of.
        let is_own = look.store == self.store_id;
        let is_new = is_own && look.newest == Sequence::default();
        let is_closed = is_own && row.is_some_and(|row| row.is_closed() && row.id() == look.id);
        if is_new || is_closed {
            return Ok(Found::Nothing);
        }
        let path = self.dir.join(vixen_runtime::journal::JOURNAL_FILE);
        Ok(Found::Refused(JournalError::Foreign { path }.into(), Vec::new()))
    }

    /// The segments of records that have no place. Of two of one id the later.
    fn unplaced(&self, records: Vec<Record>) -> Result<Vec<(SegmentMeta, Blob)>, StoreError> {
        self.metrics.replayed.set(f64::from(u32::try_from(records.len()).unwrap_or(u32::MAX)));
        let placed = self.days().placed_owners()?;
        let waits = |id: SegmentId| placed.get(&id.owner).is_none_or(|(seq, _stamp)| id.seq > *seq);
        let mut segments = BTreeMap::new();
        for record in records {
            let sequence = record.sequence.0;
            for (meta, blob) in segments_of(record.body)? {
                match blob {
                    Some(blob) if waits(meta.id) => _ = segments.insert(meta.id, (meta, blob)),
                    Some(_) => {}
                    // The journal has what the writer was given.
                    None => tracing::error!(
                        segment = %meta.id, sequence,
                        "a segment of the journal is not what its meta says, and is left out"
                    ),
                }
            }
        }
        Ok(segments.into_values().collect())
    }

    /// LMDB has what could be taken of a journal that is refused, and says so: a later start does not look for it,
    /// whatever becomes of the next one.
    fn close_journal(&self, row: Option<JournalRow>) -> Result<(), StoreError> {
        let Some(row) = row.filter(|row| !row.is_closed()) else { return Ok(()) };
        match self.put_journal(row.closed()) {
            // Then that start tells of it again.
            Err(error) if self.has_no_room(&error) => Ok(()),
            written => written,
        }
    }

    /// Writes what the journal had to LMDB. Where there is no room it waits, as what arrives does.
    fn bring_in(
        &self,
        journal: &Journal,
        segments: Vec<(SegmentMeta, Blob)>,
        now: WallTime,
    ) -> Result<(), StoreError> {
        if journal.bytes() == 0 {
            return Ok(());
        }
        tracing::info!(
            path = %self.dir.display(),
            segments = segments.len(),
            bytes = journal.bytes(),
            "segments that the journal has, and that have no place, are written to the store"
        );
        let arrived = Arrived { mark: journal.mark(), segments };
        self.arrivals_mut().arrived(arrived, Instant::now());
        match self.checkpoint(&mut Memory::recover(self)?, true, now) {
            Err(error) if self.has_no_room(&error) && self.options.fsync => {
                tracing::warn!("the disk has no room for what the journal has: it waits there");
                Ok(())
            }
            written => written,
        }
    }

    /// Makes a journal, if there is room.
    fn make_journal(&self, row: Option<JournalRow>, bytes: u64) -> Result<(), StoreError> {
        let made = Journal::create(&self.dir, self.store_id, bytes).and_then(|id| {
            let (journal, _nothing) =
                Journal::open(&self.dir, self.store_id, id, Sequence::default())?;
            Ok((id, journal))
        });
        let (id, journal) = match made {
            Err(error) if error.is_of_room(&self.dir) => {
                tracing::warn!(
                    path = %self.dir.display(),
                    "the disk has no room for a journal: segments are written without one until the next start"
                );
                return Ok(());
            }
            made => made?,
        };
        let generation = row.map_or(0, |row| row.generation).saturating_add(1);
        let row = JournalRow { generation, applied: 0, id: id.0 };
        match self.put_journal(row) {
            // It has nothing in it, and LMDB says nothing of it.
            Err(error) if self.has_no_room(&error) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.arrivals_mut().begin(Some(row), journal.bytes_max());
                self.set_journal(Some(journal));
                Ok(())
            }
        }
    }

    /// A store that is not to be durable has no journal any more, and what that had is in LMDB.
    fn end_journal(
        &self,
        row: Option<JournalRow>,
        is_there: bool,
        now: WallTime,
    ) -> Result<(), StoreError> {
        if is_there {
            // What of it is settled and was not said.
            self.checkpoint(&mut Memory::recover(self)?, true, now)?;
        }
        let row = self.arrivals().row().or(row);
        self.arrivals_mut().begin(None, 0);
        let Some(row) = row.filter(|row| !row.is_closed()) else { return Ok(()) };
        // First what it had, then that it is not needed: these days are written without syncs.
        self.sync_days()?;
        self.put_journal(row.closed())?;
        self.sync_days()?;
        match Journal::remove(&self.dir) {
            Err(error) if error.is_missing() => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// Writes what LMDB says of the journal into the newest day.
    pub(in crate::store) fn put_journal(&self, row: JournalRow) -> Result<(), StoreError> {
        let newest = self.days().envs.values().next_back().cloned();
        newest.map_or(Ok(()), |env| env.write(&mut |env, txn| env.put_journal(txn, row)))
    }

    fn sync_days(&self) -> Result<(), StoreError> {
        let days: Vec<_> = self.days().envs.values().cloned().collect();
        days.iter().try_for_each(|env| Ok(env.env.force_sync()?))
    }
}

#[cfg(test)]
mod tests {
    use super::what_is_lost;

    #[test]
    fn the_only_node_of_a_group_is_not_told_of_peers_that_have_what_it_lost() {
        assert!(what_is_lost(true).ends_with("is fetched from its peers"));
        let alone = what_is_lost(false);
        assert!(!alone.contains("peers") && alone.contains("what was acknowledged"), "{alone}");
    }
}
