//! Owners that are forgotten: by a peer, which tells that all of their segments are elected; for good, by
//! a peer or by this node (rule 10).

use std::collections::BTreeSet;

use vixen_core::id::{OwnerId, SegmentId, Stamp, SyncId};
use vixen_core::time::WallTime;
use vixen_core::wire::DraftAnswer;

use crate::effects::Write;
use crate::owners::OwnerRow;

use super::{Drop, Effects, Input, Orderer};

impl Orderer {
    /// Whether the owner may have been forgotten: it is not remembered, and one that was made then or
    /// later was. What is pending was taken up while it was remembered, or young.
    pub(super) fn is_forgotten(&self, owner: OwnerId) -> bool {
        self.owners.may_be_forgotten(owner) && !self.has_pending(owner)
    }

    /// Something is said of such an owner (O1).
    pub(super) fn on_forgotten(&mut self, input: &Input, fx: &mut Effects) {
        fx.dropped.push(Drop::OwnerExpired);
        match input {
            Input::GenerateDraft { from, meta } => {
                fx.answers.push((*from, meta.id, DraftAnswer::OwnerExpired));
            }
            // It may wait for this node, and for others that have forgotten the owner.
            Input::PickChallenger { from, meta, .. }
            | Input::Prepare { from, meta, .. }
            | Input::ProposeFast { from, meta, .. }
            | Input::VoteFast { from, meta, .. } => {
                self.tell_forgotten(*from, meta.id.owner, fx);
            }
            Input::ElectSegment { from, proposal } | Input::Vote { from, proposal } => {
                self.tell_forgotten(*from, proposal.meta.id.owner, fx);
            }
            // Where the order is, it tells nevertheless.
            Input::Resolved { elected } => self.follow_order(elected.stamp()),
            Input::OwnerSettled { row, .. } => self.follow_order(row.stamp),
            Input::Reject { .. }
            | Input::Digest { .. }
            | Input::PeerUp { .. }
            | Input::PeerDown { .. }
            | Input::PeerSilent { .. }
            | Input::PeerAside { .. }
            | Input::PeerClock { .. }
            | Input::OwnerForgotten { .. }
            | Input::Overdue { .. }
            | Input::Retry
            | Input::ExpireOwners { .. } => {}
        }
    }

    fn tell_forgotten(&self, peer: SyncId, owner: OwnerId, fx: &mut Effects) {
        let told = (peer, owner);
        if peer != self.options.id && !fx.forgotten.contains(&told) {
            fx.forgotten.push(told);
        }
    }

    /// A peer has forgotten the owner's segments up to `row`: they are elected, and W ndb nodes of
    /// their group have applied them.
    pub(super) fn on_owner_settled(
        &mut self,
        now: WallTime,
        owner: OwnerId,
        row: OwnerRow,
        fx: &mut Effects,
    ) {
        let Some(row) = self.owners.settle(owner, row) else { return };
        let settled: Vec<SegmentId> =
            self.pending_of_owner(owner).take_while(|s| s.seq <= row.contiguous).collect();
        settled.into_iter().for_each(|segment| self.drop_pending(segment));
        self.follow_order(row.stamp);
        fx.ends_feeds = true;
        fx.later.push(Write::OwnerSettled(owner, row));
        let next = SegmentId { owner, seq: row.contiguous.next() };
        self.draft_from(now, next, fx);
        self.try_propose(now, next, fx);
        self.revive(now, next);
    }

    /// Nothing of the segment is to be done here any more.
    fn drop_pending(&mut self, segment: SegmentId) {
        self.acceptor.settle(segment);
        self.hedges.remove(segment);
        self.forget(segment);
    }

    /// A peer is dead to an owner of which something may be pending here.
    pub(super) fn on_owner_forgotten(&mut self, from: SyncId, owner: OwnerId) {
        if self.has_pending(owner) {
            self.owners.forgotten_by(from, owner);
        }
    }

    /// Whether something is pending of which nothing is elected any more: so many peers have forgotten
    /// its owner that no quorum is without one of them. [`Input::ExpireOwners`] ends it.
    #[must_use]
    pub fn has_ended_owners(&self) -> bool {
        self.owners.has_ended(self.members())
    }

    /// Forgets owners that are idle, and those that cannot go on. Of the latter something may be
    /// elected that this node never knew of, and its watermark passes it now: so its feeds end. Who
    /// forgot it, knowing it, has forgotten no less than its elections (`trimmed_to`), and said so.
    pub(super) fn expire_owners(
        &mut self,
        keep: &BTreeSet<OwnerId>,
        trimmed_to: Stamp,
        fx: &mut Effects,
    ) {
        let pending: BTreeSet<OwnerId> =
            self.acceptor.segments().map(|segment| segment.owner).collect();
        let members = self.options.membership.clone();
        for owner in self.owners.take_ended(&members, |owner| pending.contains(&owner)) {
            let dropped: Vec<SegmentId> = self.pending_of_owner(owner).collect();
            dropped.into_iter().for_each(|segment| self.drop_pending(segment));
            assert!(!self.has_pending(owner), "O1");
            fx.ends_feeds = true;
            fx.later.push(self.owners.forget(owner));
        }
        let newest = self.bound.elected();
        let idle = self.owners.idle(keep, trimmed_to, newest, |owner| self.has_pending(owner));
        for owner in idle {
            assert!(!self.has_pending(owner), "O1");
            fx.later.push(self.owners.forget(owner));
        }
    }
}
