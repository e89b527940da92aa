//! Writing: the jobs of a group commit, day by day.
//!
//! One transaction a day that the jobs touch, the older day first: so the rows on disk never have a
//! gap. What leaves a day because its row lies in another goes after the row is durable there.

mod checkpoint;
mod extend;
mod lmdb;
mod retention;
mod run;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use heed::RwTxn;

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp};
use vixen_core::segment::Blob;
use vixen_core::time::{UtcDay, WallTime};
use vixen_runtime::disk::has_no_room;

use crate::store::day::DayEnv;
use crate::store::{Store, StoreError};
#[cfg(test)]
pub(in crate::store) use retention::TRIMMED_PREFIX;
pub(in crate::store) use retention::finish_interrupted;
use run::Change;
pub(in crate::store) use run::index;
use vixen_replica::{Committed, Job, Mark};
pub use writer::StartError;
pub(crate) use writer::Writer;

/// An owner that placed nothing for so long before a day began is not carried into it.
const OWNERS_CARRIED_MS: u64 = 8 * 24 * 60 * 60 * 1_000;

/// What the writer knows beside the store.
#[derive(Debug, Default)]
pub(in crate::store) struct Memory {
    /// Where the bytes of segments without a place are.
    pub(in crate::store) temporary: BTreeMap<SegmentId, UtcDay>,
    /// Highest placed seq of each owner, with its stamp.
    pub(in crate::store) owners: BTreeMap<OwnerId, (Seq, Stamp)>,
    /// When a day's whole tree was last looked at.
    pub(in crate::store) tree_seen_at: Option<Instant>,
}

impl Memory {
    /// Reads what the writer needs to know.
    pub(in crate::store) fn recover(store: &Store) -> Result<Self, StoreError> {
        let days = store.days();
        let mut memory = Self { owners: days.placed_owners()?, ..Self::default() };
        for env in days.envs.values() {
            let txn = env.read()?;
            let (temporary, _damaged) = env.temporaries(&txn)?;
            // A mark that outlived its row's commit in another day is nothing to carry on.
            let owners = &memory.owners;
            let waits = |id: SegmentId| owners.get(&id.owner).is_none_or(|(seq, _)| id.seq > *seq);
            let waiting = temporary.into_iter().filter(|meta| waits(meta.id));
            memory.temporary.extend(waiting.map(|meta| (meta.id, env.day)));
        }
        Ok(memory)
    }
}

impl Store {
    /// Whether a write failed for want of room on the disk: it can be done again.
    pub(in crate::store) fn has_no_room(&self, error: &StoreError) -> bool {
        error.of_the_disk().is_some_and(|error| has_no_room(&self.dir, error))
    }

    /// Writes and commits the jobs; durable on return (with fsync). After an error nothing is
    /// certain but what is on disk.
    pub(in crate::store) fn commit(
        &self,
        memory: &mut Memory,
        jobs: &[Job],
        now: WallTime,
    ) -> Result<Committed, StoreError> {
        let mending = jobs.iter().filter(|job| job.is_mending()).count();
        let mut committed = Committed { jobs: jobs.len(), mending, ..Committed::default() };
        let mut run = Vec::new();
        for job in jobs {
            match job {
                Job::Store(_) | Job::Place(_) | Job::Lose(_) | Job::Drop(_) | Job::Index { .. } => {
                    run.push(job);
                }
                Job::Repair { first, rows } => {
                    self.commit_run(memory, std::mem::take(&mut run), now, &mut committed)?;
                    match self.repair(memory, *first, rows) {
                        Ok(rows) => committed.repaired += rows,
                        Err(StoreError::Misfit(at)) => {
                            tracing::error!(position = %at, "a peer's rows do not mend the order");
                        }
                        Err(error) => return Err(error),
                    }
                }
                Job::Trim { keep_from } => {
                    self.commit_run(memory, std::mem::take(&mut run), now, &mut committed)?;
                    committed.trimmed_to = Some(self.trim(memory, *keep_from)?);
                }
                Job::Rebase(base) => {
                    self.commit_run(memory, std::mem::take(&mut run), now, &mut committed)?;
                    self.rebase(memory, *base, now)?;
                    committed.trimmed_to = Some(base.next);
                    committed.placed_to = Some((base.stamp, base.next));
                }
                Job::Extend { base, rows } => {
                    self.commit_run(memory, std::mem::take(&mut run), now, &mut committed)?;
                    match self.extend(*base, rows) {
                        Ok(extended) => committed.extended.push(extended),
                        Err(StoreError::Misfit(at)) => {
                            tracing::error!(position = %at, "a peer's rows do not lead to the order");
                        }
                        Err(error) => return Err(error),
                    }
                }
                Job::IndexAnew { day, begins } => {
                    self.commit_run(memory, std::mem::take(&mut run), now, &mut committed)?;
                    let env = self.days().envs.get(day).cloned();
                    let Some(env) = env else {
                        committed.index_ended.push(*day);
                        continue;
                    };
                    env.write(&mut |env, txn| {
                        if *begins { env.begin_index(txn) } else { env.end_index(txn) }
                    })?;
                    if *begins {
                        committed.index_begun.push(*day);
                        continue;
                    }
                    committed.index_ended.push(*day);
                    if env.is_index_due(&*env.read()?)? {
                        env.is_at_odds.store(true, Ordering::Relaxed);
                    }
                }
                Job::KeptByGroup(first) => {
                    self.commit_run(memory, std::mem::take(&mut run), now, &mut committed)?;
                    self.note_kept_by_group(*first)?;
                }
            }
        }
        self.commit_run(memory, run, now, &mut committed)?;
        let is_at_odds = |env: &DayEnv| env.is_at_odds.swap(false, Ordering::Relaxed);
        let days = self.days().envs.values().cloned().collect::<Vec<_>>();
        let at_odds = days.iter().filter(|env| is_at_odds(env));
        committed.index_at_odds.extend(at_odds.map(|env| env.day));
        (committed.base, committed.head) = (self.base(), self.head());
        Ok(committed)
    }

    /// Writes what is known of owners into a day to which the base is written: it may be the first
    /// one left, without a row.
    pub(in crate::store) fn carry_owners(
        env: &DayEnv,
        txn: &mut RwTxn<'_>,
        memory: &Memory,
    ) -> Result<(), StoreError> {
        memory.owners.iter().try_for_each(|(owner, placed)| env.put_owner(txn, *owner, *placed))
    }

    /// Moves segments without a place from a day that goes into `to`.
    pub(in crate::store) fn carry_temporary(
        &self,
        memory: &mut Memory,
        from: &Arc<DayEnv>,
        to: &Arc<DayEnv>,
    ) -> Result<(), StoreError> {
        let txn = from.read()?;
        let (metas, _damaged) = from.temporaries(&txn)?;
        for meta in metas {
            let waits = memory.temporary.contains_key(&meta.id);
            let Some(bytes) = from.blob(&txn, meta.id)?.filter(|_| waits) else { continue };
            let blob = Blob::from_bytes(bytes);
            let change = Change::Store { meta: &meta, blob: &blob, mark: Mark::Temporary };
            to.write(&mut |env, txn| self.apply(env, txn, &change))?;
            memory.temporary.insert(meta.id, to.day);
        }
        Ok(())
    }
}
