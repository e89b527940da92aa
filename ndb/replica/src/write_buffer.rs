//! Write buffer: what waits to be handed to the writer, and for how long it may; and how much the
//! writer has before it.
//!
//! A segment goes at once at nodes that its owner's quorum needs. The other replicas, and rows of
//! the order, wait a little and go together: a commit costs the same for many as for one, and
//! nobody waits for these (`docs/design/004-reserves.md`).
//!
//! Invariants:
//! - W1: a segment that waits is handed over before any row.
//! - W2: rows are handed over as they stand in the order, without a gap.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use vixen_core::id::{Digest, NdbId, OwnerId, Position, SegmentId};
use vixen_core::membership::Membership;

use crate::replica::{Place, Store};
use crate::rows::Mark;
use crate::storage::{Committed, Job};

/// How long a replica beyond the write quorum gathers segments.
const GATHER: Duration = Duration::from_millis(3);
/// How long rows of the order wait: until then the feeds are where they are recovered from.
const LAZY_WRITE: Duration = Duration::from_millis(100);
/// More rows than this do not wait.
const ROWS_MAX: usize = 4_096;

/// What the writer has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct UnderWay {
    /// Of segments.
    bytes: usize,
    rows: usize,
    /// Jobs that mend.
    mending: usize,
}

/// See the module doc.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    id: NdbId,
    membership: Membership,
    /// The other replicas that are linked and heard.
    present: BTreeSet<u8>,
    stores: Vec<Store>,
    stores_due: Option<Instant>,
    rows: Vec<Place>,
    rows_due: Option<Instant>,
    /// Where the next row stands.
    next: Position,
    under_way: UnderWay,
    /// Bytes that came after their place, and are not on disk.
    late: BTreeSet<SegmentId>,
}

impl WriteBuffer {
    /// Empty, at a node whose order on disk ends at `next`.
    pub(crate) const fn new(id: NdbId, membership: Membership, next: Position) -> Self {
        Self {
            id,
            membership,
            present: BTreeSet::new(),
            stores: Vec::new(),
            stores_due: None,
            rows: Vec::new(),
            rows_due: None,
            next,
            under_way: UnderWay { bytes: 0, rows: 0, mending: 0 },
            late: BTreeSet::new(),
        }
    }

    pub(crate) fn set_present(&mut self, present: BTreeSet<u8>) {
        self.present = present;
    }

    /// The order goes on from here.
    pub(crate) const fn rebase(&mut self, next: Position) {
        self.next = next;
    }

    /// Whether the owner's write quorum does without this node: W replicas that are there come before
    /// it in the owner's ring.
    pub(crate) fn is_spare_of(&self, owner: OwnerId) -> bool {
        let size = self.membership.group(self.id.group).len();
        let members = u8::try_from(size).unwrap_or(u8::MAX).max(1);
        let first = Digest::of(&[owner.0.as_bytes()]).0[0] % members;
        let rank = |member: u8| (members + member - first) % members;
        let before = |member: &&u8| **member < members && rank(**member) < rank(self.id.member);
        self.present.iter().filter(before).count() >= self.membership.write_quorum()
    }

    /// Segments whose bytes are here now.
    pub(crate) fn add_stores(&mut self, stores: Vec<Store>, now: Instant) {
        for store in stores {
            let is_late = store.mark != Mark::Temporary;
            if is_late {
                self.late.insert(store.meta.id);
            }
            let may_wait = is_late || self.is_spare_of(store.meta.id.owner);
            let due = if may_wait { now + GATHER } else { now };
            self.stores_due = Some(self.stores_due.map_or(due, |before| before.min(due)));
            self.stores.push(store);
        }
    }

    /// The next row of the order.
    pub(crate) fn add_row(&mut self, place: Place, now: Instant) {
        assert_eq!(place.first, self.next, "W2: rows come without a gap");
        self.next = place.first.plus(place.row.elected.meta.count);
        self.rows.push(place);
        self.rows_due.get_or_insert(now + LAZY_WRITE);
    }

    /// Where the next row stands.
    pub(crate) const fn next(&self) -> Position {
        self.next
    }

    /// A segment never gets a place: if it waits here, it is not written.
    pub(crate) fn forget(&mut self, segment: SegmentId) {
        self.stores.retain(|store| store.meta.id != segment);
        self.late.remove(&segment);
    }

    /// Whether bytes of a placed segment are on their way to the disk: what a reader finds there is not what will be.
    pub(crate) fn brings(&self, segment: SegmentId) -> bool {
        self.late.contains(&segment)
    }

    pub(crate) fn due_at(&self) -> Option<Instant> {
        [self.stores_due, self.rows_due].into_iter().flatten().min()
    }

    /// Rows that wait here.
    pub(crate) const fn waiting_rows(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of segments that are not on disk.
    pub(crate) fn bytes(&self) -> usize {
        let waiting = self.stores.iter().map(|store| store.blob.as_bytes().len());
        self.under_way.bytes + waiting.sum::<usize>()
    }

    /// Rows that the writer has before it.
    pub(crate) const fn rows_under_way(&self) -> usize {
        self.under_way.rows
    }

    /// What mends, and is not on disk.
    pub(crate) fn mending(&self) -> usize {
        let waiting = self.stores.iter().filter(|store| store.mark != Mark::Temporary);
        self.under_way.mending + waiting.count()
    }

    /// The writer has these before it now.
    pub(crate) fn handed_over(&mut self, jobs: &[Job]) {
        for job in jobs {
            match job {
                Job::Store(store) => self.under_way.bytes += store.blob.as_bytes().len(),
                Job::Place(_) => self.under_way.rows += 1,
                Job::Lose(_)
                | Job::Drop(_)
                | Job::Index { .. }
                | Job::Repair { .. }
                | Job::Trim { .. }
                | Job::Rebase(_)
                | Job::Extend { .. }
                | Job::KeptByGroup(_)
                | Job::IndexAnew { .. } => {}
            }
            self.under_way.mending += usize::from(job.is_mending());
        }
    }

    /// They are on disk.
    pub(crate) fn committed(&mut self, committed: &Committed) {
        committed.stored.iter().for_each(|segment| _ = self.late.remove(segment));
        let UnderWay { bytes, rows, mending } = &mut self.under_way;
        *bytes = bytes.saturating_sub(committed.bytes);
        *rows = rows.saturating_sub(committed.rows);
        *mending = mending.saturating_sub(committed.mending);
    }

    /// What must go now, all segments before any row (W1); or everything.
    pub(crate) fn take_due(&mut self, now: Instant, everything: bool) -> Vec<Job> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let rows_go = everything || is_due(self.rows_due) || self.rows.len() > ROWS_MAX;
        let mut jobs = Vec::new();
        if rows_go || is_due(self.stores_due) {
            self.stores_due = None;
            jobs.extend(self.stores.drain(..).map(Job::Store));
        }
        if rows_go {
            self.rows_due = None;
            jobs.extend(self.rows.drain(..).map(Job::Place));
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Body;
    use crate::sample;
    use vixen_core::id::GroupId;
    use vixen_core::segment::Blob;

    /// A node of three, linked to both others.
    fn buffer(member: u8) -> WriteBuffer {
        let id = NdbId { group: GroupId(0), member };
        let mut buffer = WriteBuffer::new(id, Membership::sized(3, [3], 2), Position::FIRST);
        buffer.set_present((0..3).filter(|other| *other != member).collect());
        buffer
    }

    fn store() -> Store {
        let blob = Blob::assemble(&[], &[]);
        Store { meta: sample::meta(5, 1, 1), blob, mark: Mark::Temporary }
    }

    fn row() -> Place {
        sample::place(1, sample::meta(5, 1, 1), Body::Stored)
    }

    #[test]
    fn exactly_the_replicas_beyond_the_write_quorum_gather() {
        for owner in 0..50 {
            let owner = OwnerId(uuid::Uuid::from_u128(owner));
            let spares = (0..3).filter(|member| buffer(*member).is_spare_of(owner)).count();
            assert_eq!(spares, 1);
        }
        let id = NdbId { group: GroupId(0), member: 0 };
        let alone = WriteBuffer::new(id, Membership::sized(1, [1], 1), Position::FIRST);
        assert!(!alone.is_spare_of(OwnerId(uuid::Uuid::from_u128(1))));
    }

    #[test]
    fn a_replica_that_is_gone_has_nobody_wait_for_it() {
        for owner in 0..50 {
            let owner = OwnerId(uuid::Uuid::from_u128(owner));
            for dead in 0..3 {
                let alive = (0..3).filter(|member| *member != dead);
                let spares = alive.filter(|member| {
                    let mut buffer = buffer(*member);
                    buffer.present.remove(&dead);
                    buffer.is_spare_of(owner)
                });
                assert_eq!(spares.count(), 0);
            }
        }
    }

    #[test]
    fn the_quorum_writes_at_once_and_a_spare_a_little_later() {
        let now = Instant::now();
        let mut at_once = 0;
        for member in 0..3 {
            let mut buffer = buffer(member);
            buffer.add_stores(vec![store()], now);
            at_once += buffer.take_due(now, false).len();
            let late = buffer.take_due(now + GATHER, false).len();
            assert!(late <= 1 && buffer.due_at().is_none());
        }
        assert_eq!(at_once, 2);
    }

    #[test]
    fn a_row_takes_waiting_segments_with_it_and_goes_after_them() {
        let now = Instant::now();
        let spare = (0..3).find(|m| buffer(*m).is_spare_of(store().meta.id.owner));
        let mut buffer = buffer(spare.expect("one of three"));
        buffer.add_row(row(), now);
        let later = now + LAZY_WRITE;
        buffer.add_stores(vec![store()], later);
        let jobs = buffer.take_due(later, false);
        assert!(matches!(jobs[..], [Job::Store(_), Job::Place(_)]));
        assert!(buffer.take_due(later + LAZY_WRITE, true).is_empty());
    }

    #[test]
    fn what_is_not_on_disk_is_counted_until_it_is() {
        let now = Instant::now();
        let mut buffer = buffer(0);
        let late = Mark::Permanent { first: Position(1), stamp: vixen_core::id::Stamp(1) };
        buffer.add_stores(vec![store(), Store { mark: late, ..store() }], now);
        buffer.add_row(row(), now);
        let bytes = 2 * store().blob.as_bytes().len();
        assert_eq!((buffer.bytes(), buffer.waiting_rows(), buffer.mending()), (bytes, 1, 1));
        let jobs = buffer.take_due(now, true);
        buffer.handed_over(&jobs);
        assert_eq!((buffer.bytes(), buffer.rows_under_way(), buffer.mending()), (bytes, 1, 1));
        buffer.committed(&Committed { bytes, rows: 1, mending: 1, ..Committed::default() });
        assert_eq!((buffer.bytes(), buffer.rows_under_way(), buffer.mending()), (0, 0, 0));
    }

    #[test]
    fn what_never_gets_a_place_is_not_written_if_it_waits() {
        let now = Instant::now();
        let mut buffer = buffer(0);
        buffer.add_stores(vec![store()], now);
        buffer.forget(store().meta.id);
        assert!(buffer.take_due(now, true).is_empty() && buffer.bytes() == 0);
    }

    #[test]
    #[should_panic(expected = "W2")]
    fn a_row_after_a_gap_stops_the_node() {
        let ahead = sample::place(2, sample::meta(5, 2, 1), Body::Stored);
        buffer(0).add_row(ahead, Instant::now());
    }
}
