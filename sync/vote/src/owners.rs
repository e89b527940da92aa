//! Owners: what is remembered of them when their segments are forgotten, and for how long.
//!
//! Source: DESIGN §4, *Retention*. Of an owner the highest contiguous elected seq and its stamp
//! stay, so that whatever comes late is known to be late. An owner that has been idle for a week
//! goes as well, unless its entry is linked; a draft that is asked for in the name of an unknown
//! owner of that age is refused, because nobody remembers whether the segment is elected.
//!
//! A week is one of the order's clock, the newest stamp known elected. A wall clock that is ahead for
//! a while would forget owners, and when it is right again take their old segments for new ones.

use std::collections::BTreeSet;

use vixen_core::id::{NdbId, OwnerId, SegmentId, Seq};
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_core::wire::DraftAnswer;

use super::state::{OwnerRow, Write};
use super::{Drop, Effects, Votes, is_recent};

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

    /// Whether the owner is unknown and older than any that is remembered: then whatever was forgotten
    /// of it was so at an earlier time of the order's clock, which never falls.
    pub(super) fn is_expired(&self, owner: OwnerId) -> bool {
        !self.owners.contains_key(&owner)
            && owner.made_at().is_some_and(|made| self.is_week_past(made))
            && self.pending_of_owner(owner).next().is_none()
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
        for segment in settled {
            let Some(pending) = self.pending.remove(&segment) else { continue };
            if let Some(draft) = pending.vote.draft {
                self.drafts.remove(&draft);
            }
            if let Some(hedge) = pending.hedge {
                self.hedges.remove(segment, &hedge);
            }
            self.unsettled.remove(&segment);
        }
        self.clock.raise(row.stamp);
        self.bound.elect(row.stamp);
        fx.ends_feeds = true;
        fx.later.push(Write::OwnerSettled(owner, row));
        let next = SegmentId { owner, seq: row.contiguous.next() };
        self.draft_from(now, next, fx);
        self.try_propose(now, next, fx);
        self.revive(now, next);
    }

    pub(super) fn expire_owners(&mut self, keep: &BTreeSet<OwnerId>, fx: &mut Effects) {
        // The newest election is never that old: from it a start knows the order's clock.
        let is_idle = |id: &OwnerId| {
            self.owners.get(id).is_some_and(|owner| {
                owner.beyond.is_empty()
                    && self.is_week_past(owner.row.stamp.wall_time())
                    // Its entry's clock may have been ahead: it must be refused from now on.
                    && id.made_at().is_none_or(|made| self.is_week_past(made))
            })
        };
        let idle: Vec<OwnerId> = self
            .owners
            .keys()
            .filter(|id| is_idle(id) && !keep.contains(id))
            .filter(|id| self.pending_of_owner(**id).next().is_none())
            .copied()
            .collect();
        for owner in idle {
            self.owners.remove(&owner);
            fx.later.push(Write::DropOwner(owner));
        }
    }

    /// How far the owner's segments are elected without a gap, and the stamp of the last.
    #[must_use]
    pub fn owner_row(&self, owner: OwnerId) -> Option<OwnerRow> {
        self.owners.get(&owner).map(|owner| owner.row)
    }
}
