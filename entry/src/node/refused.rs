//! Owners that sync nodes refuse: whether anything of them was elected before. `owner` says why.

use vixen_broker::history::{End, RefPoint};
use vixen_core::id::{OwnerId, Position, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::time::WallTime;

/// Questions about owners have numbers from here on; those about places count from 0.
const FIRST_QUESTION: u64 = 1 << 62;

/// Owners that sync nodes have forgotten; whether anything of them was elected before.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) latest: Option<OwnerId>,
    pub(super) end: End<OwnerId>,
}

impl Refused {
    pub(super) fn new(membership: &Membership) -> Self {
        Self { latest: None, end: End::numbered_from(FIRST_QUESTION, membership) }
    }

    /// When `settle_refused` has something to do without an event.
    pub(super) fn timeout_at(&self) -> Option<WallTime> {
        self.end.timeout_at()
    }

    /// How far a sync node has come, as it was asked.
    pub(super) fn reached(&mut self, from: SyncId, request: u64, stamp: Stamp) {
        self.end.answered(from, request, stamp);
    }

    pub(super) fn ask(&mut self, now: WallTime, owner: OwnerId) {
        // Nothing in the order is there.
        let beyond = RefPoint::Position(Position(u64::MAX));
        // One owner waits at a time.
        let _has_room = self.end.wait(now, beyond, owner);
    }
}
