//! What a storage node of the World has on disk: segments, and the order index. It does what the store of
//! `ndb/src/store` promises, with a commit for each batch of jobs. What comes by the journal is there at once, and
//! may be there again after a crash when it was dropped.

use std::collections::BTreeMap;

use vixen_core::id::{GroupId, OwnerId, Position, SegmentId, Seq};
use vixen_core::segment::{Blob, Elected, SegmentMeta};
use vixen_core::time::UtcDay;
use vixen_core::wire::OrderBase;
use vixen_replica::{
    BEGINNING, Body, Committed, DiskRoom, Extended, Finding, Job, Lost, Mark, OrderRow, Place,
    Recovered, Store,
};

use crate::world::io::Room;

/// The bytes of a segment.
#[derive(Clone, Debug)]
struct Kept {
    meta: SegmentMeta,
    blob: Blob,
    is_damaged: bool,
}

/// What a read of bytes brings.
#[derive(Clone, Debug)]
pub(in crate::world) enum Read {
    Whole(Blob),
    /// The checksum is wrong; these are the bytes.
    Damaged(Blob),
    Nothing,
}

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::world) struct NdbDisk {
    group: GroupId,
    blobs: BTreeMap<SegmentId, Kept>,
    temporary: BTreeMap<SegmentId, SegmentMeta>,
    missing: BTreeMap<SegmentId, Lost>,
    rows: BTreeMap<Position, OrderRow>,
    owners: BTreeMap<OwnerId, Seq>,
    /// What a start finds in the journal.
    journal: BTreeMap<SegmentId, Store>,
    pub(in crate::world) base: OrderBase,
    pub(in crate::world) head: OrderBase,
    pub(in crate::world) room: Room,
}

impl NdbDisk {
    pub(super) const fn new(group: GroupId) -> Self {
        Self {
            group,
            blobs: BTreeMap::new(),
            temporary: BTreeMap::new(),
            missing: BTreeMap::new(),
            rows: BTreeMap::new(),
            owners: BTreeMap::new(),
            journal: BTreeMap::new(),
            base: BEGINNING,
            head: BEGINNING,
            room: Room::Enough,
        }
    }

    /// Segments among the jobs are in the journal.
    pub(super) fn append(&mut self, jobs: &[Job]) {
        for job in jobs {
            if let Job::Store(store) = job {
                self.journal.insert(store.meta.id, store.clone());
            }
        }
    }

    /// Now and then the journal is done with what it has.
    pub(super) fn checkpoint(&mut self, now_us: u64) {
        if now_us.is_multiple_of(5) {
            self.journal.clear();
        }
    }

    /// A start finds what the journal has: also what was dropped, if that was not yet known to it.
    pub(super) fn replay(&mut self, now_us: u64) {
        let journal = std::mem::take(&mut self.journal);
        if now_us.is_multiple_of(2) {
            return;
        }
        for (id, Store { meta, blob, .. }) in journal {
            let is_placed = self.owners.get(&id.owner).is_some_and(|seq| id.seq <= *seq);
            if !is_placed && !self.blobs.contains_key(&id) {
                self.temporary.insert(id, meta);
                self.blobs.insert(id, Kept { meta, blob, is_damaged: false });
            }
        }
    }

    /// Writes jobs, in their order.
    pub(super) fn commit(&mut self, jobs: impl Iterator<Item = Job>) -> Committed {
        let mut committed = Committed::default();
        for job in jobs {
            committed.jobs += 1;
            committed.mending += usize::from(job.is_mending());
            self.write(job, &mut committed);
        }
        (committed.base, committed.head) = (self.base, self.head);
        committed
    }

    fn write(&mut self, job: Job, committed: &mut Committed) {
        match job {
            Job::Store(store) => self.store(store, committed),
            Job::Place(place) => self.place(&place, committed),
            // What retention has dropped meanwhile does not come back.
            Job::Lose(Lost { first, .. }) if first < self.base.next => {}
            // Good bytes may have come since the damage was seen.
            Job::Lose(lost) if self.holds(&lost.meta) => {}
            Job::Lose(lost) => {
                self.blobs.remove(&lost.meta.id);
                self.missing.insert(lost.meta.id, lost);
            }
            Job::Drop(segment) => {
                if self.temporary.remove(&segment).is_some() {
                    self.blobs.remove(&segment);
                }
            }
            Job::Trim { keep_from } => {
                self.trim(keep_from);
                committed.trimmed_to = Some(self.base.next);
            }
            Job::Rebase(base) => {
                for row in std::mem::take(&mut self.rows).into_values() {
                    self.forget(row.elected.meta.id);
                }
                (self.base, self.head) = (base, base);
                committed.trimmed_to = Some(base.next);
                committed.placed_to = Some((base.stamp, base.next));
            }
            Job::Extend { base, rows } => committed.extended.extend(self.extend(base, rows)),
            Job::Repair { .. } => unreachable!("no row is damaged"),
            // There is no index of topics, and nobody but the node itself reads the disk.
            Job::Index { .. } | Job::IndexAnew { .. } | Job::KeptByGroup(_) => {}
        }
    }

    fn forget(&mut self, segment: SegmentId) {
        self.blobs.remove(&segment);
        self.missing.remove(&segment);
    }

    fn store(&mut self, Store { meta, blob, mark }: Store, committed: &mut Committed) {
        committed.stored.push(meta.id);
        committed.bytes += blob.as_bytes().len();
        match mark {
            Mark::Temporary => {
                self.missing.remove(&meta.id);
                self.temporary.insert(meta.id, meta);
            }
            Mark::Permanent { first, .. } => {
                committed.filled = true;
                // Dropped meanwhile.
                if first < self.base.next {
                    return;
                }
                self.missing.remove(&meta.id);
            }
        }
        self.blobs.insert(meta.id, Kept { meta, blob, is_damaged: false });
    }

    fn place(&mut self, Place { first, row, body }: &Place, committed: &mut Committed) {
        let meta = row.elected.meta;
        assert_eq!(*first, self.head.next, "rows on disk have no gap");
        let was_temporary = self.temporary.remove(&meta.id).is_some();
        let is_of_no_use = matches!(body, Body::Missing | Body::Elsewhere);
        if was_temporary && is_of_no_use && !(*body == Body::Missing && self.holds(&meta)) {
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
        committed.rows += 1;
        committed.placed_to = Some((row.elected.stamp(), next));
    }

    fn trim(&mut self, keep_from: UtcDay) {
        while let Some(first) = self.rows.first_entry()
            && day_of(first.get()) < keep_from
        {
            let (at, row) = first.remove_entry();
            let next = at.plus(row.elected.meta.count);
            self.base = OrderBase { next, stamp: row.elected.stamp(), chain: row.chain };
            self.forget(row.elected.meta.id);
        }
    }

    /// Rows of a peer from before the order begins here, if they lead to where it does.
    fn extend(&mut self, base: OrderBase, elected: Vec<Elected>) -> Option<Extended> {
        let (mut at, mut chain, mut rows) = (base.next, base.chain, Vec::new());
        for elected in elected {
            let row = OrderRow::chained(chain, elected);
            rows.push((at, row));
            (at, chain) = (at.plus(elected.meta.count), row.chain);
        }
        if rows.is_empty() || (at, chain) != (self.base.next, self.base.chain) {
            return None;
        }
        let own = rows.iter().filter(|(_, row)| self.is_of_group(row));
        let own = own.map(|(first, row)| {
            let (meta, stamp) = (row.elected.meta, row.elected.stamp());
            Lost { meta, first: *first, stamp }
        });
        let lost: Vec<Lost> = own.filter(|lost| !self.holds(&lost.meta)).collect();
        self.missing.extend(lost.iter().map(|lost| (lost.meta.id, *lost)));
        let extended = Extended { base, rows: rows.len(), lost };
        self.rows.extend(rows);
        self.base = base;
        Some(extended)
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

    /// The days of its rows, with about their bytes, oldest first.
    pub(super) fn days(&self) -> Vec<(UtcDay, u64)> {
        let mut days: BTreeMap<UtcDay, u64> = BTreeMap::new();
        for row in self.rows.values() {
            *days.entry(day_of(row)).or_default() += u64::from(row.elected.meta.bytes);
        }
        days.into_iter().collect()
    }

    /// As a look at the room says it.
    pub(super) const fn room(&self) -> DiskRoom {
        let (free, is_low) = match self.room {
            Room::Enough => (1_000, false),
            Room::Low => (50, true),
            Room::Little | Room::Nothing => (0, true),
        };
        DiskRoom { free, reserve: 100, is_low }
    }

    /// Rows from the one that holds a position on; the other way round, where the order begins here.
    pub(super) fn rows_from(
        &self,
        position: Position,
    ) -> Result<impl Iterator<Item = (Position, OrderRow)>, OrderBase> {
        if position < self.base.next {
            return Err(self.base);
        }
        let holds =
            |(first, row): &(&Position, &OrderRow)| first.plus(row.elected.meta.count) > position;
        let begin = self.rows.range(..=position).next_back().filter(holds);
        let begin = begin.map_or(position, |(first, _)| *first);
        Ok(self.rows.range(begin..).map(|(first, row)| (*first, *row)))
    }

    /// The row that ends at a position.
    pub(super) fn row_before(&self, next: Position) -> Option<&OrderRow> {
        let (first, row) = self.rows.range(..next).next_back()?;
        (first.plus(row.elected.meta.count) == next).then_some(row)
    }

    /// At most `limit` rows that end at `before`, and where the first begins.
    pub(super) fn order_before(&self, before: Position, limit: usize) -> (OrderBase, Vec<Elected>) {
        let mut base = OrderBase { next: before, ..self.base };
        let mut rows = Vec::new();
        while let Some(row) = self.row_before(base.next).filter(|_| rows.len() < limit) {
            rows.push(row.elected);
            base.next = Position(base.next.0 - u64::from(row.elected.meta.count));
            let previous = self.row_before(base.next);
            (base.stamp, base.chain) = previous
                .map_or((self.base.stamp, self.base.chain), |row| (row.elected.stamp(), row.chain));
        }
        rows.reverse();
        (base, rows)
    }

    /// Whether its bytes are of this disk's group.
    pub(super) fn is_of_group(&self, row: &OrderRow) -> bool {
        row.elected.challenger.group == self.group
    }

    pub(super) fn read(&self, segment: SegmentId) -> Read {
        match self.blobs.get(&segment) {
            Some(kept) if kept.is_damaged => Read::Damaged(kept.blob.clone()),
            Some(kept) => Read::Whole(kept.blob.clone()),
            None => Read::Nothing,
        }
    }

    /// Whether its bytes are here, and are these.
    pub(in crate::world) fn holds(&self, meta: &SegmentMeta) -> bool {
        self.blobs.get(&meta.id).is_some_and(|kept| !kept.is_damaged && kept.meta == *meta)
    }

    /// What is here, whole.
    pub(in crate::world) fn whole(&self) -> impl Iterator<Item = SegmentMeta> {
        self.blobs.values().filter(|kept| !kept.is_damaged).map(|kept| kept.meta)
    }

    /// What a reader of everything finds.
    pub(super) fn scrub(&self) -> Vec<Finding> {
        let damaged = self.blobs.values().filter(|kept| kept.is_damaged);
        let damaged: BTreeMap<SegmentId, SegmentMeta> =
            damaged.map(|kept| (kept.meta.id, kept.meta)).collect();
        if damaged.is_empty() {
            return Vec::new();
        }
        let placed = self.rows.iter().filter_map(|(first, row)| {
            let meta = *damaged.get(&row.elected.meta.id)?;
            Some(Finding::Blob(Lost { meta, first: *first, stamp: row.elected.stamp() }))
        });
        let temporary = self.temporary.values().filter(|meta| damaged.contains_key(&meta.id));
        placed.chain(temporary.map(|meta| Finding::Temporary(*meta))).collect()
    }

    /// The last byte of a segment is another from now on.
    pub(in crate::world) fn damage(&mut self, segment: SegmentId) {
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

fn day_of(row: &OrderRow) -> UtcDay {
    UtcDay::of(row.elected.stamp().wall_time())
}
