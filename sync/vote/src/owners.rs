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

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::Elected;
use vixen_core::tally::NodeSet;
use vixen_core::time::WallTime;

use super::effects::{Recovered, Write};
use super::orderer::is_recent;
use super::rules::GoesBy;

/// An owner is forgotten after this long without a segment: seven days.
pub const OWNER_IDLE_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// Segments of an owner that a message may be behind its last elected one without being an answer's
/// worth: feeds and votes have just told, or tell just now.
const FRESH_SEGMENTS: u64 = 64;

/// What must survive of an owner; one row of the database `owners`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct OwnerRow {
    /// All segments up to this one are known elected.
    pub contiguous: Seq,
    /// The stamp of that one.
    pub stamp: Stamp,
}

/// One owner's elected segments: a prefix, and what is known beyond the first gap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) row: OwnerRow,
    pub(crate) beyond: BTreeMap<Seq, Stamp>,
    /// Volatile: when this node last learned an election; stamps say nothing of that, where the
    /// order is ahead of wall time.
    pub(crate) elected_at: WallTime,
}

impl Owner {
    pub(crate) fn is_elected(&self, seq: Seq) -> bool {
        seq <= self.row.contiguous || self.beyond.contains_key(&seq)
    }

    /// Notes an election; `false` when it was known.
    pub(crate) fn elect(&mut self, seq: Seq, stamp: Stamp) -> bool {
        if self.is_elected(seq) {
            return false;
        }
        self.beyond.insert(seq, stamp);
        self.close_gap();
        true
    }

    /// Takes over a longer prefix; `false` when this one is as long.
    pub(crate) fn settle(&mut self, row: OwnerRow) -> bool {
        if row.contiguous <= self.row.contiguous {
            return false;
        }
        self.row = row;
        self.beyond = self.beyond.split_off(&row.contiguous.next());
        self.close_gap();
        true
    }

    /// The highest stamp known elected of it.
    pub(crate) fn newest(&self) -> Stamp {
        self.beyond.values().copied().max().unwrap_or_default().max(self.row.stamp)
    }

    fn close_gap(&mut self) {
        while let Some(stamp) = self.beyond.remove(&self.row.contiguous.next()) {
            self.row = OwnerRow { contiguous: self.row.contiguous.next(), stamp };
        }
    }

    /// The floor for the stamp of segment `seq`: the stamp of the one before it, zero for the
    /// first. `None` while that is not known elected, or is so far back that only its successors'
    /// stamps are remembered (then `seq` is elected itself).
    pub(crate) fn floor_of(&self, seq: Seq) -> Option<Stamp> {
        if seq == Seq::FIRST {
            return Some(Stamp::ZERO);
        }
        let previous = Seq(seq.0.checked_sub(1)?);
        if previous == self.row.contiguous {
            return Some(self.row.stamp);
        }
        self.beyond.get(&previous).copied()
    }
}

impl OwnerRow {
    /// What of an owner's elections beyond `after` is forgotten where this is its `row` and these are
    /// `known`, in any order: up to the last that is forgotten, never more, since what is remembered
    /// must reach a peer's feeds. Its stamp is an upper bound then; the one after it is elected, so
    /// nothing is proposed above it.
    ///
    /// Each group lets its elections go by itself, so what is remembered may stand before what is
    /// forgotten. An election beyond a gap says nothing of what is before it: that is elected as well,
    /// and not known here, so it is not forgotten. Who took it as settled would drop its vote, and with
    /// the votes of a quorum the segment.
    #[must_use]
    pub fn forgotten(after: Seq, known: &[Elected], row: Self) -> Option<Self> {
        let known: BTreeMap<Seq, Stamp> =
            known.iter().map(|elected| (elected.meta.id.seq, elected.stamp())).collect();
        let mut forgotten = row;
        for (seq, stamp) in known.range(..=row.contiguous).rev() {
            if *seq != forgotten.contiguous {
                break;
            }
            forgotten = Self { contiguous: seq.before(), stamp: stamp.just_below() };
        }
        (forgotten.contiguous > after).then_some(forgotten)
    }
}

/// All owners that are remembered, and who is dead to whom. See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owners {
    rules: GoesBy,
    known: BTreeMap<OwnerId, Owner>,
    /// An owner made up to then may have been forgotten.
    forgotten_to: WallTime,
    /// Peers that have forgotten, for good, owners of which something is pending here.
    forgotten_by: BTreeMap<OwnerId, NodeSet>,
}

impl Owners {
    /// What the store gives back.
    pub(crate) fn new(rules: GoesBy, recovered: &Recovered) -> Self {
        let known =
            recovered.owners.iter().map(|(id, row)| (*id, Owner { row: *row, ..Owner::default() }));
        let mut known: BTreeMap<OwnerId, Owner> = known.collect();
        for (segment, stamp) in &recovered.beyond {
            known.entry(segment.owner).or_default().elect(segment.seq, *stamp);
        }
        let forgotten_to = recovered.forgotten_to;
        Self { rules, known, forgotten_to, forgotten_by: BTreeMap::new() }
    }

    /// The newest stamp known elected.
    pub(crate) fn newest(&self) -> Stamp {
        self.known.values().map(Owner::newest).max().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The owners, the latest first.
    pub(crate) fn latest(&self) -> impl Iterator<Item = OwnerId> {
        self.known.keys().rev().copied()
    }

    pub(crate) fn is_elected(&self, segment: SegmentId) -> bool {
        self.known.get(&segment.owner).is_some_and(|owner| owner.is_elected(segment.seq))
    }

    /// How far the owner's segments are elected without a gap, and the stamp of the last.
    pub(crate) fn row(&self, owner: OwnerId) -> Option<OwnerRow> {
        self.known.get(&owner).map(|owner| owner.row)
    }

    /// The stamp of the owner's previous segment, once it is known elected.
    pub(crate) fn floor_of(&self, segment: SegmentId) -> Option<Stamp> {
        self.known.get(&segment.owner).map_or_else(
            || (segment.previous().is_none()).then_some(Stamp::ZERO),
            |owner| owner.floor_of(segment.seq),
        )
    }

    /// Notes an election; how far the owner is elected then.
    pub(crate) fn elect(&mut self, now: WallTime, elected: &Elected) -> OwnerRow {
        let owner = self.known.entry(elected.meta.id.owner).or_default();
        owner.elect(elected.meta.id.seq, elected.stamp());
        owner.elected_at = now;
        owner.row
    }

    /// Takes over a longer prefix, and how far the owner is elected then; nothing where it is not.
    pub(crate) fn settle(&mut self, owner: OwnerId, row: OwnerRow) -> Option<OwnerRow> {
        let known = self.known.entry(owner).or_default();
        known.settle(row).then_some(known.row)
    }

    /// How far each owner is elected without a gap.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = (OwnerId, Seq)> {
        self.known.iter().map(|(id, owner)| (*id, owner.row.contiguous))
    }

    /// Owners of which more is elected here than in `theirs`, and how far that goes.
    pub(crate) fn beyond(
        &self,
        theirs: &BTreeMap<OwnerId, Seq>,
    ) -> impl Iterator<Item = (OwnerId, Seq)> {
        self.known.iter().filter_map(|(id, owner)| {
            let theirs = theirs.get(id).copied().unwrap_or_default();
            let is_more = owner.row.contiguous > theirs || !owner.beyond.is_empty();
            is_more.then_some((*id, theirs))
        })
    }

    /// Whether a node that speaks of this segment as pending seems to have missed its election.
    pub(crate) fn has_missed(&self, now: WallTime, segment: SegmentId) -> bool {
        self.known.get(&segment.owner).is_some_and(|owner| {
            let behind = owner.row.contiguous.0.saturating_sub(segment.seq.0);
            !is_recent(now, owner.elected_at) || behind > FRESH_SEGMENTS
        })
    }

    /// Whether the owner is not remembered, and one that was made then or later was forgotten.
    pub(crate) fn may_be_forgotten(&self, owner: OwnerId) -> bool {
        let is_old = |made| self.rules.may_be_forgotten(made, self.forgotten_to);
        !self.known.contains_key(&owner) && owner.made_at().is_some_and(is_old)
    }

    /// A peer is dead to an owner of which something is pending here.
    pub(crate) fn forgotten_by(&mut self, from: SyncId, owner: OwnerId) {
        self.forgotten_by.entry(owner).or_default().insert(from.0);
    }

    /// Whether something is pending of which nothing is elected any more.
    pub(crate) fn has_ended(&self, members: &Membership) -> bool {
        self.forgotten_by.values().any(|peers| is_ended(*peers, members))
    }

    /// Those of which something is pending and nothing is elected any more; what others have said of
    /// owners of which nothing is pending is not kept.
    pub(crate) fn take_ended(
        &mut self,
        members: &Membership,
        has_pending: impl Fn(OwnerId) -> bool,
    ) -> Vec<OwnerId> {
        self.forgotten_by.retain(|owner, _| has_pending(*owner));
        let is_ended = |(_, peers): &(&OwnerId, &NodeSet)| is_ended(**peers, members);
        let ended: Vec<_> =
            self.forgotten_by.iter().filter(is_ended).map(|(owner, _)| *owner).collect();
        self.forgotten_by.retain(|owner, _| !ended.contains(owner));
        ended
    }

    /// Owners that may be forgotten where the newest election is `newest`, and elections up to
    /// `trimmed_to` are.
    pub(crate) fn idle(
        &self,
        keep: &BTreeSet<OwnerId>,
        trimmed_to: Stamp,
        newest: Stamp,
        has_pending: impl Fn(OwnerId) -> bool,
    ) -> Vec<OwnerId> {
        let is_week_past = |time| newest.wall_time().millis_since(time) > OWNER_IDLE_MS;
        // The newest election is never that old: from it a start knows the order's clock.
        let is_idle = |id: OwnerId, owner: &Owner| {
            owner.beyond.is_empty()
                && owner.row.stamp <= trimmed_to
                && is_week_past(owner.row.stamp.wall_time())
                // One made ahead of the order would take along all that are made until the order
                // has come there; one without a time could not be told from a new one.
                && id.made_at().is_some_and(is_week_past)
                && !has_pending(id)
                && !keep.iter().any(|kept| id.is_of_entry(*kept))
        };
        self.known.iter().filter(|(id, owner)| is_idle(**id, owner)).map(|(id, _)| *id).collect()
    }

    /// Forgets the owner: it is dead to this node, for good (O1).
    pub(crate) fn forget(&mut self, owner: OwnerId) -> Write {
        self.known.remove(&owner);
        self.forgotten_to = owner.made_at().unwrap_or_default().max(self.forgotten_to);
        Write::DropOwner(owner)
    }
}

/// Whether so many have forgotten an owner that no quorum is without one of them.
fn is_ended(forgotten_by: NodeSet, members: &Membership) -> bool {
    forgotten_by.len() > members.sync().len() - members.quorum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_counts_its_contiguous_prefix_and_remembers_what_is_beyond() {
        let mut owner = Owner::default();
        assert!(owner.elect(Seq(2), Stamp(20)));
        assert_eq!(owner.row.contiguous, Seq(0));
        assert_eq!(owner.floor_of(Seq(3)), Some(Stamp(20)));
        assert_eq!(owner.floor_of(Seq(2)), None);
        assert!(owner.elect(Seq(1), Stamp(10)));
        assert_eq!(owner.row, OwnerRow { contiguous: Seq(2), stamp: Stamp(20) });
        assert!(!owner.elect(Seq(1), Stamp(10)));
        assert_eq!(owner.floor_of(Seq(1)), Some(Stamp::ZERO));
        assert_eq!(owner.floor_of(Seq(3)), Some(Stamp(20)));
    }

    /// Golden: what is on disk stays readable.
    #[test]
    fn a_row_has_these_bytes() {
        let row = OwnerRow { contiguous: Seq(300), stamp: Stamp(9) };
        assert_eq!(postcard::to_stdvec(&row), Ok(vec![0xac, 2, 9]));
    }
}
