//! Owners: what is remembered of them when their segments are forgotten, and for how long.
//!
//! Source: DESIGN §4, *Retention*. Of an owner the highest contiguous elected seq and its stamp
//! stay, so that whatever comes late is known to be late. An owner that has been idle for a week
//! goes as well, unless its entry is linked; what stays of all of these is one time:
//!
//! ```text
//!     made: ----x-----x---o----x----|----o------o------>     x forgotten, o remembered
//!                         forgotten_to
//! ```
//! Who is not remembered and was made up to then may have been forgotten. It is dead to this node for
//! good: whatever is said of it is dropped, for nobody here knows what of it is elected, and what a
//! peer remembers may be old. An entry takes a new owner long before that
//! (`docs/design/011-the-orders-clock.md`, *Owners*).
//!
//! Invariant:
//! - O1: this node takes no part in the vote of a segment of an owner that it has ever forgotten.
//!
//! A week is one of the order's clock, the newest stamp known elected. A wall clock that is ahead for
//! a while would forget owners that live.

use std::collections::BTreeSet;

use vixen_core::id::{NdbId, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_core::wire::DraftAnswer;

use super::state::{NodeSet, Owner, OwnerRow, Write};
use super::{Drop, Effects, Input, Votes, is_recent};

/// An owner is forgotten after this long without a segment: seven days.
pub const OWNER_IDLE_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// Segments of an owner that a message may be behind its last elected one without being an answer's
/// worth: feeds and votes have just told, or tell just now.
const FRESH_SEGMENTS: u64 = 64;

impl OwnerRow {
    /// What of an owner's elections beyond `after` is forgotten where this is its `row`: up to the
    /// `first` that is remembered, never more, since what is remembered must reach a peer's feeds.
    /// Its stamp is an upper bound then; the one after it is elected, so nothing is proposed above it.
    ///
    /// An election beyond a gap says nothing of what is before it: that is elected as well, and not
    /// known here, so it is not forgotten. Who took it as settled would drop its vote, and with the
    /// votes of a quorum the segment.
    #[must_use]
    pub fn forgotten(after: Seq, first: Option<Elected>, row: Self) -> Option<Self> {
        let row = match first {
            Some(first) if first.meta.id.seq <= row.contiguous => {
                Self { contiguous: first.meta.id.seq.before(), stamp: first.stamp().just_below() }
            }
            Some(_) | None => row,
        };
        (row.contiguous > after).then_some(row)
    }
}

impl Votes {
    /// A draft is asked for of an elected segment: normal while others are quicker, worth an
    /// answer when the node seems to have missed the outcome.
    pub(super) fn answer_late(
        &self,
        now: WallTime,
        from: NdbId,
        segment: SegmentId,
        fx: &mut Effects,
    ) {
        fx.dropped.push(Drop::Late);
        if self.has_missed(now, segment) {
            fx.answers.push((from, segment, DraftAnswer::Elected));
        }
    }

    /// Whether a node that speaks of this segment as pending seems to have missed its election.
    pub(super) fn has_missed(&self, now: WallTime, segment: SegmentId) -> bool {
        self.owners.get(&segment.owner).is_some_and(|owner| {
            let behind = owner.row.contiguous.0.saturating_sub(segment.seq.0);
            !is_recent(now, owner.elected_at) || behind > FRESH_SEGMENTS
        })
    }

    /// Whether the owner may have been forgotten: it is not remembered, and one that was made then or
    /// later was. What is pending was taken up while it was remembered, or young.
    pub(super) fn is_forgotten(&self, owner: OwnerId) -> bool {
        !self.owners.contains_key(&owner)
            && owner
                .made_at()
                .is_some_and(|made| self.rules.may_be_forgotten(made, self.forgotten_to))
            && self.pending_of_owner(owner).next().is_none()
    }

    /// Something is said of such an owner (O1).
    pub(super) fn on_forgotten(&mut self, input: &Input, fx: &mut Effects) {
        fx.dropped.push(Drop::OwnerExpired);
        match input {
            Input::GenerateDraft { from, meta } => {
                fx.answers.push((*from, meta.id, DraftAnswer::OwnerExpired));
            }
            // It may wait for this node, and for others that have forgotten the owner.
            Input::PickChallenger { from, meta, .. } | Input::Prepare { from, meta, .. } => {
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

    /// Takes note of a stamp that is elected.
    fn follow_order(&mut self, elected: Stamp) {
        self.clock.raise(elected);
        self.bound.elect(elected);
    }

    fn tell_forgotten(&self, peer: SyncId, owner: OwnerId, fx: &mut Effects) {
        let told = (peer, owner);
        if peer != self.options.id && !fx.forgotten.contains(&told) {
            fx.forgotten.push(told);
        }
    }

    /// Whether the order's clock is more than [`OWNER_IDLE_MS`] beyond `time`.
    fn is_week_past(&self, time: WallTime) -> bool {
        self.bound.elected().wall_time().millis_since(time) > OWNER_IDLE_MS
    }

    fn pending_of_owner(&self, owner: OwnerId) -> impl Iterator<Item = SegmentId> {
        let from = SegmentId { owner, seq: Seq(0) };
        let to = SegmentId { owner, seq: Seq(u64::MAX) };
        self.pending.range(from..=to).map(|(segment, _)| *segment)
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
        let known = self.owners.entry(owner).or_default();
        if !known.settle(row) {
            return;
        }
        let row = known.row;
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
        let Some(pending) = self.pending.remove(&segment) else { return };
        if let Some(draft) = pending.vote.draft {
            self.drafts.remove(&draft);
        }
        if let Some(hedge) = pending.hedge {
            self.hedges.remove(segment, &hedge);
        }
        self.unsettled.remove(&segment);
    }

    /// A peer is dead to an owner of which something may be pending here.
    pub(super) fn on_owner_forgotten(&mut self, from: SyncId, owner: OwnerId) {
        if self.pending_of_owner(owner).next().is_some() {
            self.forgotten_by.entry(owner).or_default().insert(from.0);
        }
    }

    /// Whether something is pending of which nothing is elected any more: so many peers have forgotten
    /// its owner that no quorum is without one of them. [`Input::ExpireOwners`] ends it.
    #[must_use]
    pub fn has_ended_owners(&self) -> bool {
        self.forgotten_by.values().any(|peers| self.is_ended(*peers))
    }

    fn is_ended(&self, forgotten_by: NodeSet) -> bool {
        forgotten_by.len() > self.members().sync().len() - self.members().quorum()
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
        let known_by_peers = std::mem::take(&mut self.forgotten_by);
        for (owner, peers) in known_by_peers {
            let pending: Vec<SegmentId> = self.pending_of_owner(owner).collect();
            if pending.is_empty() {
                continue;
            }
            if !self.is_ended(peers) {
                self.forgotten_by.insert(owner, peers);
                continue;
            }
            pending.into_iter().for_each(|segment| self.drop_pending(segment));
            fx.ends_feeds = true;
            self.drop_owner(owner, fx);
        }
        for owner in self.idle_owners(keep, trimmed_to) {
            self.drop_owner(owner, fx);
        }
    }

    fn idle_owners(&self, keep: &BTreeSet<OwnerId>, trimmed_to: Stamp) -> Vec<OwnerId> {
        // The newest election is never that old: from it a start knows the order's clock.
        let is_idle = |id: OwnerId, owner: &Owner| {
            owner.beyond.is_empty()
                && owner.row.stamp <= trimmed_to
                && self.is_week_past(owner.row.stamp.wall_time())
                // One made ahead of the order would take along all that are made until the order
                // has come there; one without a time could not be told from a new one.
                && id.made_at().is_some_and(|made| self.is_week_past(made))
                && self.pending_of_owner(id).next().is_none()
                && !keep.iter().any(|kept| id.is_of_entry(*kept))
        };
        self.owners.iter().filter(|(id, owner)| is_idle(**id, owner)).map(|(id, _)| *id).collect()
    }

    fn drop_owner(&mut self, owner: OwnerId, fx: &mut Effects) {
        self.owners.remove(&owner);
        self.forgotten_to = owner.made_at().unwrap_or_default().max(self.forgotten_to);
        fx.later.push(Write::DropOwner(owner));
    }

    /// How far the owner's segments are elected without a gap, and the stamp of the last.
    #[must_use]
    pub fn owner_row(&self, owner: OwnerId) -> Option<OwnerRow> {
        self.owners.get(&owner).map(|owner| owner.row)
    }
}
