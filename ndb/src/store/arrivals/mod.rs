//! Arrivals: segments that are durable in the journal, and that LMDB does not have yet.
//!
//! ```text
//!   segment ──> journal: one write, one fdatasync       durable: its publisher may hear of it
//!           └─> arrivals (memory) ──> the day of its row, with its row      bytes are written twice, and no more
//!                                └──> `temporary` of today, where it waits for long (a checkpoint)
//!
//!   records:  … released | settled, or on their way | the last
//!                        ^ `applied`: in LMDB, with the rows that made it so
//! ```
//! A record is *settled* when each of its segments is placed, dropped, or in `temporary`, durably. Up to where all are
//! is written in the transaction that makes it so, and only then are their blocks written over. What a start
//! finds beyond, and placed nowhere, waits again. Only the thread that writes to LMDB changes what waits.
//!
//! Design: `docs/design/025-journal.md`.

mod appender;
mod begin;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use vixen_core::id::SegmentId;
use vixen_core::segment::{Blob, SegmentMeta};
use vixen_runtime::journal::{BLOCK_BYTES, JournalId, Mark, Sequence};

pub(in crate::store) use appender::{Appender, Out};
pub(crate) use begin::JOURNAL_BYTES;
pub(in crate::store) use record::segments_of;

/// A record waits at most this long to be settled, until its segments go to `temporary`.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// Segments that came lately are left to their places.
const CHECKPOINT_AGE: Duration = Duration::from_millis(500);
/// Also with this part of the journal taken.
const CHECKPOINT_PART: u64 = 2;

/// Which journal a store has, and up to where LMDB has all of it: a row of `meta`, the highest of all days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct JournalRow {
    /// Rises with each journal that the store gets.
    pub(in crate::store) generation: u32,
    /// Up to here LMDB has all.
    pub(in crate::store) applied: u64,
    /// Which it is.
    pub(in crate::store) id: [u8; 16],
}

impl JournalRow {
    /// As `applied`: the store has no journal any more, and all that was in it.
    const CLOSED: u64 = u64::MAX;

    pub(crate) const fn is_closed(self) -> bool {
        self.applied == Self::CLOSED
    }

    pub(crate) const fn id(self) -> JournalId {
        JournalId(self.id)
    }

    pub(crate) const fn applied(self) -> Sequence {
        Sequence(self.applied)
    }

    const fn closed(self) -> Self {
        Self { applied: Self::CLOSED, ..self }
    }
}

/// Segments of one record of the journal.
#[derive(Clone, Debug)]
pub(in crate::store) struct Arrived {
    /// Up to the record's end.
    pub(in crate::store) mark: Mark,
    pub(in crate::store) segments: Vec<(SegmentMeta, Blob)>,
}

/// What waits, and in which records. See the module.
#[derive(Debug, Default)]
pub(in crate::store) struct Arrivals {
    row: Option<JournalRow>,
    bytes_max: u64,
    /// Durable, and on their way to the thread that writes to LMDB: for readers.
    coming: BTreeMap<SegmentId, (SegmentMeta, Blob)>,
    waiting: BTreeMap<SegmentId, Waiting>,
    /// Those that are not in `applied`.
    records: BTreeMap<Sequence, Unapplied>,
    released: Option<Mark>,
}

#[derive(Debug)]
struct Waiting {
    meta: SegmentMeta,
    blob: Blob,
    record: Sequence,
}

#[derive(Debug)]
struct Unapplied {
    mark: Mark,
    since: Instant,
    bytes: u64,
    /// Its segments that wait.
    waiting: usize,
}

impl Arrivals {
    /// The store has this journal from now on, of so many bytes, or none.
    fn begin(&mut self, row: Option<JournalRow>, bytes_max: u64) {
        *self = Self { row, bytes_max, ..Self::default() };
    }

    /// What LMDB says of the journal.
    pub(in crate::store) const fn row(&self) -> Option<JournalRow> {
        self.row
    }

    /// A record is durable in the journal, and nobody knows yet.
    fn comes(&mut self, segments: &[(SegmentMeta, Blob)]) {
        let segments = segments.iter().map(|(meta, blob)| (meta.id, (*meta, blob.clone())));
        self.coming.extend(segments);
    }

    /// A record is durable in the journal.
    pub(in crate::store) fn arrived(&mut self, arrived: Arrived, now: Instant) {
        let Arrived { mark, segments } = arrived;
        let (record, waiting) = (mark.sequence, segments.len());
        let bytes: usize = segments.iter().map(|(_, blob)| blob.as_bytes().len()).sum();
        let bytes = bytes.next_multiple_of(BLOCK_BYTES) as u64;
        self.records.insert(record, Unapplied { mark, since: now, bytes, waiting });
        for (meta, blob) in segments {
            self.coming.remove(&meta.id);
            let before = self.waiting.insert(meta.id, Waiting { meta, blob, record });
            // The same again: this record has it now.
            before.into_iter().for_each(|before| self.leaves(before.record));
        }
    }

    fn leaves(&mut self, record: Sequence) {
        if let Some(record) = self.records.get_mut(&record) {
            record.waiting = record.waiting.saturating_sub(1);
        }
    }

    /// A segment that waits.
    pub(in crate::store) fn get(&self, segment: SegmentId) -> Option<(&SegmentMeta, &Blob)> {
        self.waiting.get(&segment).map(|waiting| (&waiting.meta, &waiting.blob))
    }

    /// A segment that is in no day, for readers.
    pub(in crate::store) fn find(&self, segment: SegmentId) -> Option<(SegmentMeta, Blob)> {
        let waiting = self.get(segment).map(|(meta, blob)| (*meta, blob.clone()));
        waiting.or_else(|| self.coming.get(&segment).cloned())
    }

    /// All of them.
    pub(in crate::store) fn metas(&self) -> impl Iterator<Item = SegmentMeta> {
        self.waiting.values().map(|waiting| waiting.meta)
    }

    /// What LMDB is to say of the journal when these do not wait any more, if that is more than it says.
    pub(in crate::store) fn row_without(&self, going: &BTreeSet<SegmentId>) -> Option<JournalRow> {
        let row = self.row?;
        let mut left: BTreeMap<Sequence, usize> = BTreeMap::new();
        for waiting in going.iter().filter_map(|segment| self.waiting.get(segment)) {
            *left.entry(waiting.record).or_default() += 1;
        }
        let is_settled = |(sequence, record): &(&Sequence, &Unapplied)| {
            record.waiting == left.get(*sequence).copied().unwrap_or_default()
        };
        let (applied, _) = self.records.iter().take_while(is_settled).last()?;
        Some(JournalRow { applied: applied.0, ..row })
    }

    /// These do not wait any more, durably; and LMDB says that of the journal, if it was written.
    pub(in crate::store) fn settle(
        &mut self,
        going: &BTreeSet<SegmentId>,
        row: Option<JournalRow>,
    ) {
        for segment in going {
            let gone = self.waiting.remove(segment);
            gone.into_iter().for_each(|gone| self.leaves(gone.record));
        }
        let Some(row) = row else { return };
        self.row = Some(row);
        let later = self.records.split_off(&row.applied().next());
        let applied = std::mem::replace(&mut self.records, later);
        if let Some(last) = applied.into_values().next_back() {
            self.released = Some(last.mark);
        }
    }

    /// Up to where blocks may be written over, if that has changed.
    fn take_released(&mut self) -> Option<Mark> {
        self.released.take()
    }

    /// Bytes of records that LMDB does not have all of.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.records.values().map(|record| record.bytes).sum()
    }

    /// When a checkpoint is due, if anything waits for one.
    pub(in crate::store) fn due_at(&self) -> Option<Instant> {
        let oldest = self.records.values().next()?.since;
        let is_much = self.bytes() >= self.bytes_max / CHECKPOINT_PART;
        Some(if is_much { oldest } else { oldest + CHECKPOINT })
    }

    /// What is to go to `temporary` so that the oldest records are settled, or `everything`.
    pub(in crate::store) fn overdue(
        &self,
        everything: bool,
        now: Instant,
    ) -> Vec<(SegmentMeta, Blob)> {
        let mut bytes = self.bytes();
        let keeps = self.bytes_max / CHECKPOINT_PART / 2;
        let is_over = |(_, record): &(&Sequence, &Unapplied)| {
            let is_over =
                everything || bytes > keeps || now.duration_since(record.since) >= CHECKPOINT_AGE;
            bytes -= record.bytes;
            is_over
        };
        let last = self.records.iter().take_while(is_over).last();
        let Some((last, _)) = last else { return Vec::new() };
        let over = self.waiting.values().filter(|waiting| waiting.record <= *last);
        over.map(|waiting| (waiting.meta, waiting.blob.clone())).collect()
    }
}
