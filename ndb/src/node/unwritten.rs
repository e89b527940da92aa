//! What waits to be handed to the writer, and for how long it may.
//!
//! A segment goes at once at nodes that its owner's quorum needs. The other replicas, and rows of
//! the order, wait a little and go together: a commit costs the same for many as for one, and
//! nobody waits for these (`docs/design/004-reserves.md`).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::{Digest, NdbId, OwnerId};
use vixen_core::membership::Membership;

use crate::store::Job;
use vixen_replica::{Mark, Place, Store};

/// How long a replica beyond the write quorum gathers segments.
const GATHER: Duration = Duration::from_millis(3);
/// How long rows of the order wait: until then the feeds are where they are recovered from.
const LAZY_WRITE: Duration = Duration::from_millis(100);
/// More rows than this do not wait.
const ROWS_MAX: usize = 4_096;

/// See the module doc. A segment is always handed over before its row.
#[derive(Debug)]
pub(super) struct Unwritten {
    id: NdbId,
    membership: Membership,
    /// The other replicas that are linked.
    present: BTreeSet<u8>,
    stores: Vec<Store>,
    stores_due: Option<Instant>,
    rows: Vec<Place>,
    rows_due: Option<Instant>,
}

impl Unwritten {
    pub(super) const fn new(id: NdbId, membership: Membership) -> Self {
        Self {
            id,
            membership,
            present: BTreeSet::new(),
            stores: Vec::new(),
            stores_due: None,
            rows: Vec::new(),
            rows_due: None,
        }
    }

    pub(super) fn set_present(&mut self, present: BTreeSet<u8>) {
        self.present = present;
    }

    /// Whether the owner's write quorum does without this node: W replicas that are there come before
    /// it in the owner's ring.
    fn is_reserve_of(&self, owner: OwnerId) -> bool {
        let size = self.membership.group(self.id.group).len();
        let members = u8::try_from(size).unwrap_or(u8::MAX).max(1);
        let first = Digest::of(&[owner.0.as_bytes()]).0[0] % members;
        let rank = |member: u8| (members + member - first) % members;
        let before = |member: &&u8| **member < members && rank(**member) < rank(self.id.member);
        self.present.iter().filter(before).count() >= self.membership.write_quorum()
    }

    pub(super) fn add_stores(&mut self, stores: Vec<Store>, now: Instant) {
        for store in stores {
            let is_late = store.mark != Mark::Temporary;
            let may_wait = is_late || self.is_reserve_of(store.meta.id.owner);
            let due = if may_wait { now + GATHER } else { now };
            self.stores_due = Some(self.stores_due.map_or(due, |before| before.min(due)));
            self.stores.push(store);
        }
    }

    pub(super) fn add_rows(&mut self, rows: &[Place], now: Instant) {
        if !rows.is_empty() {
            self.rows.extend_from_slice(rows);
            self.rows_due.get_or_insert(now + LAZY_WRITE);
        }
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        [self.stores_due, self.rows_due].into_iter().flatten().min()
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Segments that waited for their bytes.
    pub(super) fn mending(&self) -> usize {
        self.stores.iter().filter(|store| store.mark != Mark::Temporary).count()
    }

    /// What must go now, all segments before any row; everything when `stop`.
    pub(super) fn take_due(&mut self, now: Instant, stop: bool) -> Vec<Job> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let rows_go = stop || is_due(self.rows_due) || self.rows.len() > ROWS_MAX;
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
    use vixen_core::id::{GroupId, MapVersion, Position, SegmentId, Seq, Shard, Stamp};
    use vixen_core::segment::{Blob, Challenger, Elected, SegmentMeta};

    use vixen_replica::{Body, OrderRow};

    /// A node of three, linked to both others.
    fn unwritten(member: u8) -> Unwritten {
        let mut unwritten =
            Unwritten::new(NdbId { group: GroupId(0), member }, Membership::sized(3, [3], 2));
        unwritten.set_present((0..3).filter(|other| *other != member).collect());
        unwritten
    }

    fn store() -> Store {
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(5)), seq: Seq(1) };
        let meta = SegmentMeta {
            id,
            shard: Shard(0),
            map: MapVersion(1),
            count: 1,
            bytes: 1,
            digest: Digest([0; 16]),
        };
        let blob = Blob::assemble(&[], &[]);
        Store { meta, blob, mark: Mark::Temporary }
    }

    fn row() -> Place {
        let challenger = Challenger { stamp: Stamp(1), group: GroupId(0) };
        let elected = Elected { meta: store().meta, challenger };
        let row = OrderRow::chained(Digest::default(), elected);
        Place { first: Position(1), row, body: Body::Stored }
    }

    #[test]
    fn exactly_the_replicas_beyond_the_write_quorum_gather() {
        for owner in 0..50 {
            let owner = OwnerId(uuid::Uuid::from_u128(owner));
            let reserves = (0..3).filter(|member| unwritten(*member).is_reserve_of(owner)).count();
            assert_eq!(reserves, 1);
        }
        let alone =
            Unwritten::new(NdbId { group: GroupId(0), member: 0 }, Membership::sized(1, [1], 1));
        assert!(!alone.is_reserve_of(OwnerId(uuid::Uuid::from_u128(1))));
    }

    #[test]
    fn a_replica_that_is_gone_has_nobody_wait_for_it() {
        for owner in 0..50 {
            let owner = OwnerId(uuid::Uuid::from_u128(owner));
            for dead in 0..3 {
                let alive = (0..3).filter(|member| *member != dead);
                let reserves = alive.filter(|member| {
                    let mut unwritten = unwritten(*member);
                    unwritten.present.remove(&dead);
                    unwritten.is_reserve_of(owner)
                });
                assert_eq!(reserves.count(), 0);
            }
        }
    }

    #[test]
    fn the_quorum_writes_at_once_and_a_reserve_a_little_later() {
        let now = Instant::now();
        let mut at_once = 0;
        for member in 0..3 {
            let mut unwritten = unwritten(member);
            unwritten.add_stores(vec![store()], now);
            at_once += unwritten.take_due(now, false).len();
            let late = unwritten.take_due(now + GATHER, false).len();
            assert!(late <= 1 && unwritten.due_at().is_none());
        }
        assert_eq!(at_once, 2);
    }

    #[test]
    fn a_row_takes_waiting_segments_with_it_and_goes_after_them() {
        let now = Instant::now();
        let reserve = (0..3).find(|m| unwritten(*m).is_reserve_of(store().meta.id.owner));
        let mut unwritten = unwritten(reserve.expect("one of three"));
        unwritten.add_rows(&[row()], now);
        let later = now + LAZY_WRITE;
        unwritten.add_stores(vec![store()], later);
        let jobs = unwritten.take_due(later, false);
        assert!(matches!(jobs[..], [Job::Store(_), Job::Place(_)]));
        assert!(unwritten.take_due(later + LAZY_WRITE, true).is_empty());
    }
}
