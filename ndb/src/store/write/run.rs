//! A run of jobs that go together: which day each changes, and one transaction a day.
//!
//! The older day first: so the rows on disk never have a gap. What leaves a day because its row lies
//! in another goes after the row is durable there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use heed::RwTxn;

use vixen_core::id::{OwnerId, Position, SegmentId, Seq, Stamp};
use vixen_core::segment::{Blob, SegmentMeta};
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::OrderBase;

use super::{Memory, OWNERS_CARRIED_MS};
use crate::store::day::DayEnv;
use crate::store::keys::db_name;
use crate::store::{Store, StoreError, read, row};
use vixen_replica::{Body, Committed, Job, Lost, Mark, Place};

/// One change of one day.
pub(super) enum Change<'j> {
    Store {
        meta: &'j SegmentMeta,
        blob: &'j Blob,
        mark: Mark,
    },
    Place {
        place: &'j Place,
        owner: (OwnerId, (Seq, Stamp)),
        from: Option<Source>,
        /// Its bytes, that arrived and are in no day yet.
        arrived: Option<Blob>,
    },
    Lose(&'j Lost),
    Index {
        first: Position,
        meta: &'j SegmentMeta,
    },
}

/// Where the bytes of a segment that is placed have been.
pub(super) enum Source {
    /// In the day of its row.
    Here,
    /// In another day; these are they, unless they are at hand or of no use.
    Elsewhere(Option<Bytes>),
}

/// Jobs that go together, by the days that they change.
#[derive(Default)]
struct Run<'j> {
    days: BTreeMap<UtcDay, Vec<Change<'j>>>,
    /// What leaves its day, after all else.
    leave: BTreeMap<UtcDay, Vec<SegmentId>>,
    /// What does not wait in the journal any more, after all else.
    settled: BTreeSet<SegmentId>,
}

impl<'j> Run<'j> {
    /// Something in the day of its stamp.
    fn change(&mut self, stamp: Stamp, change: Change<'j>) {
        self.days.entry(UtcDay::of(stamp.wall_time())).or_default().push(change);
    }

    /// A segment's bytes.
    fn store(
        &mut self,
        store: &'j vixen_replica::Store,
        today: UtcDay,
        base: Position,
        memory: &mut Memory,
        committed: &mut Committed,
    ) {
        let vixen_replica::Store { meta, blob, mark } = store;
        committed.stored.push(meta.id);
        committed.bytes += blob.as_bytes().len();
        let change = Change::Store { meta, blob, mark: *mark };
        let day = match mark {
            Mark::Temporary => {
                memory.temporary.insert(meta.id, today);
                self.settled.insert(meta.id);
                today
            }
            Mark::Permanent { first, stamp } => {
                committed.filled = true;
                if *first < base {
                    return;
                }
                UtcDay::of(stamp.wall_time())
            }
        };
        // What was dropped before does not take what is stored now with it.
        if let Some(leaving) = self.leave.get_mut(&day) {
            leaving.retain(|segment| *segment != meta.id);
        }
        self.days.entry(day).or_default().push(change);
    }

    /// A segment without a place goes.
    fn leave(&mut self, segment: SegmentId, memory: &mut Memory) {
        self.settled.insert(segment);
        if let Some(day) = memory.temporary.remove(&segment) {
            self.leave.entry(day).or_default().push(segment);
        }
    }
}

impl Store {
    pub(super) fn commit_run(
        &self,
        memory: &mut Memory,
        jobs: Vec<&Job>,
        now: WallTime,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let (today, base) = (self.today(now), self.base().next);
        let mut run = Run::default();
        for job in jobs {
            match job {
                Job::Store(store) => run.store(store, today, base, memory, committed),
                Job::Place(place) => self.place(place, base, memory, &mut run, committed)?,
                // What retention has dropped meanwhile does not come back.
                Job::Lose(Lost { first, .. }) | Job::Index { first, .. } if *first < base => {}
                Job::Lose(lost) => run.change(lost.stamp, Change::Lose(lost)),
                Job::Index { first, elected } => {
                    let change = Change::Index { first: *first, meta: &elected.meta };
                    run.change(elected.stamp(), change);
                }
                Job::Drop(segment) => run.leave(*segment, memory),
                Job::Repair { .. }
                | Job::Trim { .. }
                | Job::Rebase(_)
                | Job::Extend { .. }
                | Job::IndexAnew { .. }
                | Job::KeptByGroup(_) => {}
            }
        }
        self.write_run(&run, memory)
    }

    /// The day in which segments arrive. A clock that goes back does not bring back a day that was
    /// dropped, and what arrives is placed above the order's head, which may be ahead of wall time.
    fn today(&self, now: WallTime) -> UtcDay {
        let oldest = self.days().envs.keys().next().copied().unwrap_or_default();
        let head = UtcDay::of(self.head().stamp.wall_time());
        UtcDay::of(now).max(oldest).max(head)
    }

    fn place<'j>(
        &self,
        place: &'j Place,
        base: Position,
        memory: &mut Memory,
        run: &mut Run<'j>,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        let elected = place.row.elected;
        let (meta, stamp) = (elected.meta, elected.stamp());
        committed.rows += 1;
        committed.placed_to = Some((stamp, place.first.plus(meta.count)));
        if place.first < base {
            // Written before, and its day dropped: this is a repetition.
            run.leave(meta.id, memory);
            return Ok(());
        }
        let day = UtcDay::of(stamp.wall_time());
        run.settled.insert(meta.id);
        // Another content under this id is of no use: the vote decided for the other.
        let is_of_use = place.body != Body::Elsewhere;
        let arrived = self
            .arrivals()
            .get(meta.id)
            .and_then(|(arrived, blob)| (is_of_use && *arrived == meta).then(|| blob.clone()));
        let from = match memory.temporary.remove(&meta.id) {
            None => None,
            Some(other) if other == day => Some(Source::Here),
            Some(other) => {
                run.leave.entry(other).or_default().push(meta.id);
                let bytes = if arrived.is_some() {
                    None
                } else {
                    self.bytes_to_move(other, place, &run.days)?
                };
                Some(Source::Elsewhere(bytes))
            }
        };
        let owner = (meta.id.owner, (meta.id.seq, stamp));
        memory.owners.insert(owner.0, owner.1);
        run.change(stamp, Change::Place { place, owner, from, arrived });
        Ok(())
    }

    /// One transaction a day, the older first, the last with what it makes of the journal; then what leaves its day.
    fn write_run(&self, run: &Run<'_>, memory: &Memory) -> Result<(), StoreError> {
        let last = run.days.keys().next_back();
        let row = last.and_then(|_| self.arrivals().row_without(&run.settled));
        for (day, changes) in &run.days {
            let env = self.day(*day)?;
            env.write(&mut |env, txn| {
                self.start_day(env, txn, memory, changes)?;
                changes.iter().try_for_each(|change| self.apply(env, txn, change))?;
                let row = row.filter(|_| last == Some(day));
                row.map_or(Ok(()), |row| env.put_journal(txn, row))
            })?;
            self.note_rows(*day, changes);
        }
        for (day, segments) in &run.leave {
            let env = self.day(*day)?;
            env.write(&mut |env, txn| {
                segments.iter().try_for_each(|segment| remove(env, txn, *segment))
            })?;
        }
        self.settled(&run.settled, row);
        Ok(())
    }

    /// The bytes of a segment that is placed in another day than it arrived in.
    fn bytes_to_move(
        &self,
        from: UtcDay,
        place: &Place,
        days: &BTreeMap<UtcDay, Vec<Change<'_>>>,
    ) -> Result<Option<Bytes>, StoreError> {
        match place.body {
            Body::Memory(_) | Body::Missing | Body::Elsewhere => return Ok(None),
            Body::Stored => {}
        }
        let id = place.row.elected.meta.id;
        // It may be in this very batch.
        let in_batch = days.get(&from).into_iter().flatten().find_map(|change| match change {
            Change::Store { meta, blob, .. } if meta.id == id => Some(blob.as_bytes().clone()),
            Change::Store { .. }
            | Change::Place { .. }
            | Change::Lose(_)
            | Change::Index { .. } => None,
        });
        if in_batch.is_some() {
            return Ok(in_batch);
        }
        let env = self.day(from)?;
        let txn = env.read()?;
        env.blob(&txn, id)
    }

    /// The first row of a day brings along what the days before know of owners.
    fn start_day(
        &self,
        env: &DayEnv,
        txn: &mut RwTxn<'_>,
        memory: &Memory,
        changes: &[Change<'_>],
    ) -> Result<(), StoreError> {
        let has_rows = changes.iter().any(|change| matches!(change, Change::Place { .. }));
        if !has_rows || !env.order.is_empty(txn)? {
            return Ok(());
        }
        let since = WallTime(env.day.start().0.saturating_sub(OWNERS_CARRIED_MS));
        for (owner, placed) in &memory.owners {
            // Those that are placed by these very changes are written with them.
            if placed.1.wall_time() >= since && placed.1 <= self.head().stamp {
                env.put_owner(txn, *owner, *placed)?;
            }
        }
        Ok(())
    }

    pub(super) fn apply(
        &self,
        env: &DayEnv,
        txn: &mut RwTxn<'_>,
        change: &Change<'_>,
    ) -> Result<(), StoreError> {
        match change {
            Change::Store { meta, blob, mark } => {
                let key = meta.id.to_key();
                env.put_blob(txn, meta, blob.as_bytes())?;
                match mark {
                    Mark::Temporary => {
                        env.missing.delete(txn, &key)?;
                        env.temporary.put(txn, &key, &row::encode(&key, *meta)?)?;
                    }
                    Mark::Permanent { first, .. } => {
                        env.missing.delete(txn, &key)?;
                        index(env, txn, *first, blob)?;
                    }
                }
            }
            Change::Place { place, owner, from, arrived } => {
                if let Some(blob) = arrived {
                    env.put_blob(txn, &place.row.elected.meta, blob.as_bytes())?;
                }
                self.put_place(env, txn, place, *owner, from)?
            }
            Change::Lose(lost) => {
                let key = lost.meta.id.to_key();
                // Good bytes may have come since the damage was seen.
                if Self::holds(env, txn, &lost.meta)? {
                    return Ok(());
                }
                env.lose_blob(txn, lost.meta.id)?;
                env.missing.put(txn, &key, &row::encode(&key, *lost)?)?;
            }
            Change::Index { first, meta } => {
                let bytes = env.blob(txn, meta.id)?;
                let blob = bytes.filter(|bytes| read::check(bytes, meta).is_ok());
                match blob.map(Blob::from_bytes) {
                    Some(blob) => {
                        index(env, txn, *first, &blob)?;
                        let is_indexed = match blob.open() {
                            Ok((topics, _records)) => env.is_indexed(txn, *first, &topics)?,
                            Err(_not_even_readers_can) => true,
                        };
                        if !is_indexed {
                            env.mark_at_odds(txn)?;
                        }
                    }
                    // A day with missing segments is read by the order.
                    None if env.missing.get(txn, &meta.id.to_key())?.is_some() => {}
                    None => env.mark_at_odds(txn)?,
                }
            }
        }
        Ok(())
    }

    fn put_place(
        &self,
        env: &DayEnv,
        txn: &mut RwTxn<'_>,
        place: &Place,
        (owner, placed): (OwnerId, (Seq, Stamp)),
        from: &Option<Source>,
    ) -> Result<(), StoreError> {
        let elected = place.row.elected;
        let meta = elected.meta;
        let key = meta.id.to_key();
        let at = place.first.0.to_be_bytes();
        env.order.put(txn, &at, &row::encode(&at, &place.row)?)?;
        env.put_owner(txn, owner, placed)?;
        match (&place.body, from) {
            // The same as was elected, whole.
            (Body::Missing, Some(Source::Here)) if Self::holds(env, txn, &meta)? => {
                env.temporary.delete(txn, &key)?;
            }
            // The vote decided for another copy.
            (Body::Missing | Body::Elsewhere, Some(Source::Here)) => remove(env, txn, meta.id)?,
            (Body::Missing | Body::Elsewhere, Some(Source::Elsewhere(_)) | None) => {}
            (Body::Memory(_) | Body::Stored, Some(Source::Here) | None) => {
                env.temporary.delete(txn, &key)?;
            }
            (Body::Memory(blob), Some(Source::Elsewhere(_))) => {
                env.put_blob(txn, &meta, blob.as_bytes())?;
            }
            (Body::Stored, Some(Source::Elsewhere(bytes))) => {
                if let Some(bytes) = bytes {
                    env.put_blob(txn, &meta, bytes)?;
                }
            }
        }
        match &place.body {
            Body::Memory(blob) => {
                env.missing.delete(txn, &key)?;
                index(env, txn, place.first, blob)
            }
            Body::Stored | Body::Missing => {
                // Missing bytes may have come in the same batch, and stand before the row.
                let bytes = env.blob(txn, meta.id)?;
                if let Some(bytes) = bytes.filter(|bytes| read::check(bytes, &meta).is_ok()) {
                    env.missing.delete(txn, &key)?;
                    return index(env, txn, place.first, &Blob::from_bytes(bytes));
                }
                let (first, stamp) = (place.first, elected.stamp());
                let lost = Lost { meta, first, stamp };
                env.missing.put(txn, &key, &row::encode(&key, &lost)?)?;
                Ok(())
            }
            Body::Elsewhere => Ok(()),
        }
    }

    /// Whether the bytes of just this segment are here, whole.
    fn holds(env: &DayEnv, txn: &RwTxn<'_>, meta: &SegmentMeta) -> Result<bool, StoreError> {
        let bytes = env.blob(txn, meta.id)?;
        Ok(bytes.is_some_and(|bytes| read::check(&bytes, meta).is_ok()))
    }

    /// Readers see the rows of a day from now on.
    fn note_rows(&self, day: UtcDay, changes: &[Change<'_>]) {
        let mut days = self.days_mut();
        for change in changes {
            if let Change::Place { place, .. } = change {
                let elected = place.row.elected;
                if !days.firsts.values().any(|known| *known == day) {
                    days.firsts.insert(place.first, day);
                }
                days.head = OrderBase {
                    next: place.first.plus(elected.meta.count),
                    stamp: elected.stamp(),
                    chain: place.row.chain,
                };
            }
        }
    }
}

pub(in crate::store) fn index(
    env: &DayEnv,
    txn: &mut RwTxn<'_>,
    first: Position,
    blob: &Blob,
) -> Result<(), StoreError> {
    // A blob that does not open is told of by its first reader.
    let Ok((topics, _records)) = blob.open() else { return Ok(()) };
    env.index_topics(txn, first, &topics)
}

/// A segment without a place goes.
fn remove(env: &DayEnv, txn: &mut RwTxn<'_>, segment: SegmentId) -> Result<(), StoreError> {
    let key = segment.to_key();
    let meta = env.temporary.get(txn, &key)?;
    let meta = meta.and_then(|row| row::decode(db_name::TEMPORARY, &key, row).ok());
    env.delete_blob(txn, segment, meta.as_ref())?;
    env.temporary.delete(txn, &key)?;
    Ok(())
}
