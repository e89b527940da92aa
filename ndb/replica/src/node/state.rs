//! What of a core may be looked at: for status pages, readiness, and simulations that judge it.

use std::collections::BTreeMap;

use vixen_core::id::{NdbId, Position, SegmentId, Stamp};
use vixen_core::order::Reader;
use vixen_core::time::UtcDay;
use vixen_core::wire::{NdbStanding, Nowhere, OrderBase, Retained};

use super::NdbCore;
use crate::disk::DiskRoom;
use crate::replica::Replica;
use crate::upkeep::{CatchUpReport, Compared};

/// What the group keeps, as one node of it knows.
#[derive(Debug)]
pub struct RetentionState<'c> {
    /// The day that this node keeps from, by its settings.
    pub keep_from: UtcDay,
    /// The day that a majority of the group keeps from.
    pub agreed: UtcDay,
    /// So many of the group must agree.
    pub needed: usize,
    /// What each peer has said.
    pub peers: &'c BTreeMap<NdbId, Retained>,
}

impl NdbCore {
    /// What reads the order.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What has the segments.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What this node can do at present.
    #[must_use]
    pub const fn standing(&self) -> NdbStanding {
        self.standing
    }

    /// Sync nodes that are linked and heard.
    #[must_use]
    pub fn feeds_up(&self) -> usize {
        self.peers.feeds()
    }

    /// Where the order on disk begins.
    #[must_use]
    pub const fn base(&self) -> OrderBase {
        self.stored.base
    }

    /// Where the order on disk ends.
    #[must_use]
    pub const fn stored_head(&self) -> OrderBase {
        self.stored.head
    }

    /// Stamp of the last row of the order that is on disk, as sync nodes are told.
    #[must_use]
    pub const fn applied(&self) -> Stamp {
        self.applied.get()
    }

    /// Nothing from this position on is given out.
    #[must_use]
    pub const fn trusted_to(&self) -> Position {
        self.upkeep.trusted_to
    }

    /// The room on the disk, at the last look.
    #[must_use]
    pub const fn room(&self) -> DiskRoom {
        self.room
    }

    /// Since when the disk has owed an answer, where that is too long.
    #[must_use]
    pub const fn disk_stalled_since(&self) -> Option<std::time::Instant> {
        self.disk_wait.stalled_since()
    }

    /// Bytes of segments that are not on disk.
    #[must_use]
    pub fn writing_bytes(&self) -> usize {
        self.buffer.bytes()
    }

    /// Rows of the order that wait to be handed to the writer.
    #[must_use]
    pub const fn waiting_rows(&self) -> usize {
        self.buffer.waiting_rows()
    }

    /// Writes that mend, and are not on disk.
    #[must_use]
    pub fn mending(&self) -> usize {
        self.buffer.mending()
    }

    /// Segments of which an entry waits to hear that they are on disk.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.awaiting.len()
    }

    /// Segments that peers are asked for.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.upkeep.fetch.len()
    }

    /// Damaged rows of the order that peers are asked for.
    #[must_use]
    pub fn repairs(&self) -> usize {
        self.upkeep.repairs.len()
    }

    /// Placed segments that no node of the group has.
    #[must_use]
    pub const fn nowhere(&self) -> Nowhere {
        self.upkeep.nowhere
    }

    /// How catching up went in the last round.
    #[must_use]
    pub const fn catch_up(&self) -> CatchUpReport {
        self.upkeep.rate.report()
    }

    /// What the comparisons with each peer said.
    #[must_use]
    pub const fn compared(&self) -> &BTreeMap<NdbId, Compared> {
        self.upkeep.audit.peers()
    }

    /// From here on most nodes have another order.
    #[must_use]
    pub fn distrusted_from(&self) -> Option<Position> {
        self.upkeep.audit.distrusted_from()
    }

    /// Whether some sync nodes have forgotten the owner of a pending segment, and not yet a quorum.
    #[must_use]
    pub fn is_expiring(&self, segment: SegmentId) -> bool {
        self.upkeep.expiry.is_waiting(segment)
    }

    /// What the group keeps.
    #[must_use]
    pub fn retention(&self) -> RetentionState<'_> {
        let retention = &self.upkeep.retention;
        let keep_from = retention.keep_from();
        RetentionState {
            keep_from,
            agreed: retention.agreed(keep_from),
            needed: retention.quorum(),
            peers: retention.peers(),
        }
    }
}
