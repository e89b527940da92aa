//! What a storage node of the World has on disk: segments, and the order index.

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Position, SegmentId, Seq, Stamp};
use vixen_core::segment::{Blob, Elected, SegmentMeta};
use vixen_core::wire::OrderBase;
use vixen_replica::{BEGINNING, Body, Lost, Mark, OrderRow, Place, Recovered, Store};

/// Something to write, in order.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Store(Store),
    Place(Place),
    /// The bytes of a placed segment are damaged.
    Lose(Lost),
    /// A segment that never gets a place, or whose bytes are damaged before it has one.
    Drop(SegmentId),
    /// What was elected up to here goes.
    Trim(Stamp),
    Rebase(OrderBase),
}

/// The bytes of a segment.
#[derive(Clone, Debug)]
struct Kept {
    meta: SegmentMeta,
    blob: Blob,
    is_damaged: bool,
}

/// What a read of bytes brings.
#[derive(Clone, Debug)]
pub(super) enum Read {
    Whole(Blob),
    /// The checksum is wrong; these are the bytes.
    Damaged(Blob),
    Nothing,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct NdbDisk {
    blobs: BTreeMap<SegmentId, Kept>,
    temporary: BTreeMap<SegmentId, SegmentMeta>,
    missing: BTreeMap<SegmentId, Lost>,
    rows: BTreeMap<Position, OrderRow>,
    owners: BTreeMap<OwnerId, Seq>,
    pub(super) base: OrderBase,
    pub(super) head: OrderBase,
}

impl NdbDisk {
    pub(super) const fn new() -> Self {
        Self {
            blobs: BTreeMap::new(),
            temporary: BTreeMap::new(),
            missing: BTreeMap::new(),
            rows: BTreeMap::new(),
            owners: BTreeMap::new(),
            base: BEGINNING,
            head: BEGINNING,
        }
    }

    pub(super) fn apply(&mut self, job: Job) {
        match job {
            Job::Store(store) => self.store(store),
            Job::Place(place) => self.place(&place),
            Job::Lose(lost) => {
                self.blobs.remove(&lost.meta.id);
                if lost.first >= self.base.next {
                    self.missing.insert(lost.meta.id, lost);
                }
            }
            Job::Drop(segment) => {
                self.temporary.remove(&segment);
                self.blobs.remove(&segment);
            }
            Job::Trim(upto) => self.trim(upto),
            Job::Rebase(base) => {
                for row in std::mem::take(&mut self.rows).into_values() {
                    self.forget(row.elected.meta.id);
                }
                self.base = base;
                self.head = base;
            }
        }
    }

    fn forget(&mut self, segment: SegmentId) {
        self.blobs.remove(&segment);
        self.missing.remove(&segment);
    }

    fn store(&mut self, Store { meta, blob, mark }: Store) {
        match mark {
            Mark::Temporary => {
                self.temporary.insert(meta.id, meta);
            }
            // Dropped meanwhile.
            Mark::Permanent { first, .. } if first < self.base.next => return,
            Mark::Permanent { .. } => {
                self.missing.remove(&meta.id);
            }
        }
        self.blobs.insert(meta.id, Kept { meta, blob, is_damaged: false });
    }

    fn place(&mut self, Place { first, row, body }: &Place) {
        let meta = row.elected.meta;
        assert_eq!(*first, self.head.next, "rows on disk have no gap");
        let was_temporary = self.temporary.remove(&meta.id).is_some();
        let is_of_no_use = matches!(body, Body::Missing | Body::Elsewhere);
        if was_temporary && is_of_no_use {
            // The vote decided for another copy.
            self.blobs.remove(&meta.id);
        }
        // Missing bytes may have come in the meantime, and stand before the row.
        if matches!(body, Body::Missing | Body::Stored) && !self.holds(&meta) {
            let lost = Lost { meta, first: *first, stamp: row.elected.stamp() };
            self.missing.insert(meta.id, lost);
        }
        self.rows.insert(*first, *row);
        self.owners.insert(meta.id.owner, meta.id.seq);
        let next = first.plus(meta.count);
        self.head = OrderBase { next, stamp: row.elected.stamp(), chain: row.chain };
    }

    /// Keeps one row at least, as a store keeps its newest day.
    fn trim(&mut self, upto: Stamp) {
        while self.rows.len() > 1
            && let Some(first) = self.rows.first_entry()
            && first.get().elected.stamp() <= upto
        {
            let (at, row) = first.remove_entry();
            let next = at.plus(row.elected.meta.count);
            self.base = OrderBase { next, stamp: row.elected.stamp(), chain: row.chain };
            self.forget(row.elected.meta.id);
        }
    }

    pub(super) fn recover(&self) -> Recovered {
        let waits = |id: &SegmentId| self.owners.get(&id.owner).is_none_or(|seq| id.seq > *seq);
        let temporary = self.temporary.values().filter(|meta| waits(&meta.id));
        Recovered {
            temporary: temporary.copied().collect(),
            missing: self.missing.values().copied().collect(),
            owners: self.owners.iter().map(|(owner, seq)| (*owner, *seq)).collect(),
            base: self.base,
            head: self.head,
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (Position, OrderRow)> {
        self.rows.iter().map(|(first, row)| (*first, *row))
    }

    pub(super) fn is_missing(&self, segment: SegmentId) -> bool {
        self.missing.contains_key(&segment)
    }

    /// Rows from a position on; the other way round, where the order begins here.
    pub(super) fn order_from(
        &self,
        from: Position,
        rows_max: usize,
    ) -> Result<Vec<Elected>, OrderBase> {
        if from < self.base.next {
            return Err(self.base);
        }
        Ok(self.rows.range(from..).take(rows_max).map(|(_, row)| row.elected).collect())
    }

    pub(super) fn read(&self, segment: SegmentId) -> Read {
        match self.blobs.get(&segment) {
            Some(kept) if kept.is_damaged => Read::Damaged(kept.blob.clone()),
            Some(kept) => Read::Whole(kept.blob.clone()),
            None => Read::Nothing,
        }
    }

    /// Whether its bytes are here, and are these.
    pub(super) fn holds(&self, meta: &SegmentMeta) -> bool {
        self.blobs.get(&meta.id).is_some_and(|kept| !kept.is_damaged && kept.meta == *meta)
    }

    /// What is here, whole.
    pub(super) fn whole(&self) -> impl Iterator<Item = SegmentMeta> {
        self.blobs.values().filter(|kept| !kept.is_damaged).map(|kept| kept.meta)
    }

    /// What a scrub finds.
    pub(super) fn damaged(&self) -> Vec<SegmentMeta> {
        self.blobs.values().filter(|kept| kept.is_damaged).map(|kept| kept.meta).collect()
    }

    /// The last byte of a segment is another from now on.
    pub(super) fn damage(&mut self, segment: SegmentId) {
        if let Some(kept) = self.blobs.get_mut(&segment) {
            let mut bytes = kept.blob.as_bytes().to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            kept.blob = Blob::from_bytes(bytes.into());
            kept.is_damaged = true;
        }
    }
}
