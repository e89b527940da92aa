//! What comes before the thread that writes to LMDB: segments go into the journal, all else goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use vixen_core::id::SegmentId;
use vixen_core::segment::{Blob, SegmentMeta};
use vixen_replica::{Committed, Job, Mark};
use vixen_runtime::journal::{AppendError, Journal};

use super::record::head_of;
use super::{Arrived, JOURNAL_BYTES};
use crate::store::{Store, StoreError};

/// A record has no more than this, or one segment.
const RECORD_BYTES_MAX: usize = 2 << 20;

/// What an appender owes.
pub(in crate::store) enum Out {
    /// Segments that are durable in the journal: what a commit of them is, but for where the order begins and ends.
    Durable(Box<Committed>),
    /// For the thread that writes to LMDB: what waits for its place.
    Arrived(Arrived),
    /// For that thread: what is to be done there.
    Jobs(Vec<Job>),
}

/// A journal, and what is appended to it.
pub(in crate::store) struct Appender {
    store: Arc<Store>,
    journal: Journal,
}

impl Appender {
    pub(in crate::store) const fn new(store: Arc<Store>, journal: Journal) -> Self {
        Self { store, journal }
    }

    /// Takes jobs: `out` has, in order, all that comes of them. Segments come before all else, but for what has to do
    /// with an earlier one of the same id.
    ///
    /// # Errors
    /// When the disk fails, and not for want of room.
    pub(in crate::store) fn take(
        &mut self,
        jobs: Vec<Job>,
        out: &mut dyn FnMut(Out),
    ) -> Result<(), StoreError> {
        let (mut segments, mut others) = (Vec::new(), Vec::new());
        let mut of_others: BTreeSet<SegmentId> = BTreeSet::new();
        for job in jobs {
            match job {
                Job::Store(store) if store.mark == Mark::Temporary => {
                    if of_others.contains(&store.meta.id) {
                        self.append(std::mem::take(&mut segments), out)?;
                        out(Out::Jobs(std::mem::take(&mut others)));
                        of_others.clear();
                    }
                    segments.push((store.meta, store.blob));
                }
                other => {
                    of_others.extend(other.segment());
                    others.push(other);
                }
            }
        }
        self.append(segments, out)?;
        if !others.is_empty() {
            out(Out::Jobs(others));
        }
        Ok(())
    }

    fn append(
        &mut self,
        segments: Vec<(SegmentMeta, Blob)>,
        out: &mut dyn FnMut(Out),
    ) -> Result<(), StoreError> {
        let mut waiting = segments.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut bytes = 0;
            let mut record = Vec::new();
            while let Some(next) = waiting.next_if(|(_, blob)| {
                record.is_empty() || bytes + blob.as_bytes().len() <= RECORD_BYTES_MAX
            }) {
                bytes += next.1.as_bytes().len();
                record.push(next);
            }
            self.append_record(record, bytes, out)?;
        }
        Ok(())
    }

    fn append_record(
        &mut self,
        segments: Vec<(SegmentMeta, Blob)>,
        bytes: usize,
        out: &mut dyn FnMut(Out),
    ) -> Result<(), StoreError> {
        if let Some(mark) = self.store.arrivals_mut().take_released() {
            self.journal.release(mark);
        }
        let begun = Instant::now();
        let metas: Vec<SegmentMeta> = segments.iter().map(|(meta, _)| *meta).collect();
        let head = head_of(&metas)?;
        let blobs = segments.iter().map(|(_, blob)| &blob.as_bytes()[..]);
        let parts: Vec<&[u8]> = std::iter::once(&head[..]).chain(blobs).collect();
        match self.journal.append(&parts) {
            Ok(_) => {
                self.store.metrics.journal_synced();
                self.store.arrivals_mut().comes(&segments);
                let stored: Vec<SegmentId> = metas.iter().map(|meta| meta.id).collect();
                let elapsed = begun.elapsed();
                out(Out::Durable(Box::new(Committed {
                    jobs: stored.len(),
                    stored,
                    bytes,
                    elapsed,
                    ..Committed::default()
                })));
                out(Out::Arrived(Arrived { mark: self.journal.mark(), segments }));
                return Ok(());
            }
            Err(AppendError::Full | AppendError::TooLong) => {}
            Err(AppendError::Disk(error)) if error.is_of_room(&self.store.dir) => {}
            Err(AppendError::Disk(error)) => return Err(error.into()),
        }
        // LMDB takes them at once, as it does without a journal.
        self.store.metrics.full.increment(1);
        let store =
            |(meta, blob)| Job::Store(vixen_replica::Store { meta, blob, mark: Mark::Temporary });
        out(Out::Jobs(segments.into_iter().map(store).collect()));
        Ok(())
    }
}

const _: () = assert!(RECORD_BYTES_MAX as u64 * 4 <= JOURNAL_BYTES, "several have a place");
