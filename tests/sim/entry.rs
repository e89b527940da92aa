//! Entries of the simulation: each makes segments of an owner, and takes a new one as the shipped
//! entry does (`entry/src/node/owner.rs`): when the order has left it behind, and when a quorum has
//! forgotten it and the segments have no place where the order has come to.

use std::collections::BTreeSet;

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::time::WallTime;

use crate::trace;

/// An owner is used for this long after its last segment, by the order's clock.
const FRESH_MS: u64 = 24 * 60 * 60 * 1_000;
/// What tells one entry's ids from those of its successor.
const NEXT_ENTRY: u128 = 0x1_0000;
/// Before the sync nodes are asked again.
const ASK_AGAIN_MS: u64 = 100;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) owner: OwnerId,
    next: Seq,
    /// The last place of the owner.
    seen: WallTime,
    /// Segments without a place, oldest first.
    under_way: Vec<SegmentId>,
    refused_by: BTreeSet<SyncId>,
    /// When a quorum was asked after that how far the order goes, and the highest answer.
    asked: Option<(u64, Stamp)>,
}

impl Entry {
    /// One whose owner is never forgotten.
    pub(crate) fn without_time(number: usize) -> Self {
        Self::of(OwnerId(uuid::Uuid::from_u128(trace::FIRST_OWNER + number as u128)))
    }

    /// One whose first owner is made at a time.
    pub(crate) fn made(number: usize, at: WallTime) -> Self {
        Self::of(Self::without_time(number).owner.made_anew(at))
    }

    const fn of(owner: OwnerId) -> Self {
        Self {
            owner,
            next: Seq::FIRST,
            seen: WallTime(0),
            under_way: Vec::new(),
            refused_by: BTreeSet::new(),
            asked: None,
        }
    }

    /// Makes a segment.
    pub(crate) fn submit(&mut self) -> SegmentId {
        let id = SegmentId { owner: self.owner, seq: self.next };
        self.next = self.next.next();
        self.under_way.push(id);
        id
    }

    pub(crate) fn placed(&mut self, id: SegmentId, stamp: Stamp) {
        if id.owner == self.owner {
            assert_eq!(self.under_way.first(), Some(&id), "S3: placed in the order of seqs");
            self.under_way.remove(0);
            self.seen = stamp.wall_time();
        }
    }

    /// Takes a new owner if the present one is old and nothing of it is under way.
    pub(crate) fn renew_if_old(&mut self, now: WallTime, order: WallTime) -> bool {
        let Some(made) = self.owner.made_at() else { return false };
        let is_old = order.millis_since(self.seen.max(made)) > FRESH_MS;
        if is_old && self.under_way.is_empty() {
            self.renew(now, order);
            return true;
        }
        false
    }

    fn renew(&mut self, now: WallTime, order: WallTime) {
        let made = self.owner.made_at().unwrap_or_default().plus_millis(1);
        // As one that starts anew: nothing of what it made before is kept for it.
        let other = OwnerId(uuid::Uuid::from_u128(self.owner.0.as_u128() + NEXT_ENTRY));
        *self = Self::of(other.made_anew(now.max(order).max(made)));
    }

    pub(crate) fn refused(&mut self, by: SyncId) {
        self.refused_by.insert(by);
    }

    /// Whether the sync nodes are to be asked how far the order goes.
    pub(crate) fn asks(&self, now_ms: u64, quorum: usize) -> bool {
        let is_due = self.asked.is_none_or(|(at_ms, _)| now_ms >= at_ms + ASK_AGAIN_MS);
        self.refused_by.len() >= quorum && is_due
    }

    pub(crate) fn answered(&mut self, now_ms: u64, reached: Stamp) {
        self.asked = Some((now_ms, reached));
    }

    /// Segments that are given up, when they certainly were not elected and cannot be: their messages
    /// go on under a new owner.
    pub(crate) fn take_refused(&mut self, now: WallTime, passed: Stamp) -> Vec<SegmentId> {
        if self.asked.is_none_or(|(_, reached)| reached > passed) {
            return Vec::new();
        }
        let lost = std::mem::take(&mut self.under_way);
        self.renew(now, passed.wall_time());
        lost
    }
}
