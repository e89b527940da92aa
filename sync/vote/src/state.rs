//! What a node remembers of segments and owners.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Ballot, GroupId, NdbId, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::segment::{Challenger, Elected, SegmentMeta};
use vixen_core::time::WallTime;

use super::hedge::Hedge;
use super::rules::{Pick, Rules};

/// What must survive a restart of one segment's vote; one row of the database `votes`.
///
/// Source: Lamport, *Paxos Made Simple* (2001), §2.2; `docs/protocol.md` rules 2, 5, 6.
///
/// Invariants:
/// - B1: `promised` never decreases, restarts included.
/// - B2: `accepted` never has a ballot above `promised`.
/// - B3: a draft, once made, never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteState {
    /// The segment.
    pub meta: SegmentMeta,
    /// The stamp this node promises for it, once it is eligible.
    pub draft: Option<Stamp>,
    /// A group of which this node has counted W durable votes.
    pub group: Option<GroupId>,
    /// No lower ballot is answered.
    pub promised: Ballot,
    /// The last value accepted, and its ballot.
    pub accepted: Option<(Ballot, Challenger)>,
}

impl VoteState {
    /// A segment that was just heard of.
    #[must_use]
    pub const fn new(meta: SegmentMeta) -> Self {
        Self { meta, draft: None, group: None, promised: Ballot(0), accepted: None }
    }

    /// Whether the last value accepted is one of `ballot`.
    #[must_use]
    pub fn has_accepted_at(&self, ballot: Ballot) -> bool {
        self.accepted.is_some_and(|(at, _)| at == ballot)
    }

    /// Who proposed has heard from a node that counted W durable votes of the group. They count here
    /// as well: ndb nodes that know the outcome do not ask again, and this node answers a higher
    /// ballot only if the segment is eligible here.
    pub(super) fn count_as_proposed(&mut self) {
        if self.group.is_none() {
            self.group = self.accepted.map(|(_, challenger)| challenger.group);
        }
    }
}

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
pub(super) struct Owner {
    pub(super) row: OwnerRow,
    pub(super) beyond: BTreeMap<Seq, Stamp>,
    /// Volatile: when this node last learned an election; stamps say nothing of that, where the
    /// order is ahead of wall time.
    pub(super) elected_at: WallTime,
}

impl Owner {
    pub(super) fn is_elected(&self, seq: Seq) -> bool {
        seq <= self.row.contiguous || self.beyond.contains_key(&seq)
    }

    /// Notes an election; `false` when it was known.
    pub(super) fn elect(&mut self, seq: Seq, stamp: Stamp) -> bool {
        if self.is_elected(seq) {
            return false;
        }
        self.beyond.insert(seq, stamp);
        self.close_gap();
        true
    }

    /// Takes over a longer prefix; `false` when this one is as long.
    pub(super) fn settle(&mut self, row: OwnerRow) -> bool {
        if row.contiguous <= self.row.contiguous {
            return false;
        }
        self.row = row;
        self.beyond = self.beyond.split_off(&row.contiguous.next());
        self.close_gap();
        true
    }

    /// The highest stamp known elected of it.
    pub(super) fn newest(&self) -> Stamp {
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
    pub(super) fn floor_of(&self, seq: Seq) -> Option<Stamp> {
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

/// A set of node numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct NodeSet(u64);

impl NodeSet {
    pub(super) fn insert(&mut self, number: u8) {
        self.0 |= 1u64.checked_shl(u32::from(number)).unwrap_or(0);
    }

    pub(super) fn contains(self, number: u8) -> bool {
        self.0 & 1u64.checked_shl(u32::from(number)).unwrap_or(0) != 0
    }

    pub(super) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// Contents and groups of one segment that are counted.
const CONTENTS_MAX: usize = 16;

/// A segment known here and not known elected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    /// Durable.
    pub(super) vote: VoteState,
    /// Volatile: which members of which group have which content of it on disk. There is one, unless
    /// its owner lies.
    pub(super) stored_by: BTreeMap<(SegmentMeta, GroupId), NodeSet>,
    /// Volatile, as coordinator: the ballot that picks are collected for.
    pub(super) picking: Ballot,
    /// Volatile, as coordinator: stage one of that ballot.
    pub(super) picks: BTreeMap<SyncId, Pick>,
    /// Volatile: stage two, who voted for what.
    pub(super) votes: BTreeMap<Ballot, (NodeSet, Challenger)>,
    /// Volatile: the highest ballot that was asked for before the segment was eligible here.
    pub(super) asked: Ballot,
    /// Volatile: the highest promise that a ballot of this node was refused for.
    pub(super) outbid: Ballot,
    /// Volatile: its clock.
    pub(super) hedge: Option<Hedge>,
}

impl Pending {
    pub(super) fn new(mut vote: VoteState) -> Self {
        vote.count_as_proposed();
        Self {
            vote,
            stored_by: BTreeMap::new(),
            picking: Ballot(0),
            picks: BTreeMap::new(),
            votes: BTreeMap::new(),
            asked: Ballot(0),
            outbid: Ballot(0),
            hedge: None,
        }
    }

    /// Counts a durable vote for a content; the group once it has `write_quorum` of them. A content
    /// that was heard of first, and of which nothing was said, yields to the one that is so stored.
    pub(super) fn store(
        &mut self,
        from: NdbId,
        meta: SegmentMeta,
        write_quorum: usize,
        rules: &dyn Rules,
    ) {
        let key = (meta, from.group);
        if self.stored_by.len() >= CONTENTS_MAX && !self.stored_by.contains_key(&key) {
            return;
        }
        let stored = self.stored_by.entry(key).or_default();
        stored.insert(from.member);
        let is_stored = rules.is_durable(stored.len(), write_quorum);
        if is_stored && self.vote.group.is_none() && self.takes(meta) {
            self.vote.group = Some(from.group);
        }
    }

    /// Whether this is the content here. It becomes so as long as nothing depends on another: as if
    /// what was heard of that had been lost on its way.
    pub(super) fn takes(&mut self, meta: SegmentMeta) -> bool {
        let vote = &self.vote;
        let is_untold = vote.draft.is_none()
            && vote.group.is_none()
            && vote.promised == Ballot(0)
            && vote.accepted.is_none()
            && self.picks.is_empty()
            && self.votes.is_empty();
        if is_untold {
            self.vote.meta = meta;
        }
        self.vote.meta == meta
    }
}

/// What the store gives back at a start.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The clock's ceiling.
    pub ceiling: Stamp,
    /// Rows of the database `owners`.
    pub owners: Vec<(OwnerId, OwnerRow)>,
    /// Elected segments beyond their owner's contiguous prefix.
    pub beyond: Vec<(SegmentId, Stamp)>,
    /// Rows of the database `votes`: segments not known elected.
    pub votes: Vec<VoteState>,
    /// When the newest of the owners was made that were ever forgotten.
    pub forgotten_to: WallTime,
}

/// A change to the store. Order within a step is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Put the row of a segment's vote.
    Vote(VoteState),
    /// Put the clock's ceiling.
    Ceiling(Stamp),
    /// Move a segment from `votes` to the elected, with its owner's row.
    Elected(Elected, OwnerRow),
    /// All segments of the owner up to the row are elected; their votes go.
    OwnerSettled(OwnerId, OwnerRow),
    /// Forget the owner and votes of it, but not that one made then was forgotten.
    DropOwner(OwnerId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Proven;

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
    fn rows_have_these_bytes() {
        use vixen_core::id::{Digest, MapVersion, Shard};
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(0x0102)), seq: Seq(300) };
        let meta = SegmentMeta {
            id,
            shard: Shard(5),
            map: MapVersion(2),
            count: 3,
            bytes: 200,
            digest: Digest([7; 16]),
        };
        let meta_bytes =
            [&[16][..], &[0; 14], &[1, 2, 0xac, 2, 5, 2, 3, 0xc8, 1], &[7; 16]].concat();
        let fresh = [&meta_bytes[..], &[0, 0, 0, 0]].concat();
        assert_eq!(postcard::to_stdvec(&VoteState::new(meta)), Ok(fresh));
        let challenger = Challenger { stamp: Stamp(9), group: GroupId(1) };
        let vote = VoteState {
            meta,
            draft: Some(Stamp(8)),
            group: Some(GroupId(1)),
            promised: Ballot(2),
            accepted: Some((Ballot(1), challenger)),
        };
        let voted = [&meta_bytes[..], &[1, 8, 1, 1, 2, 1, 1, 9, 1]].concat();
        assert_eq!(postcard::to_stdvec(&vote), Ok(voted));
        let row = OwnerRow { contiguous: Seq(300), stamp: Stamp(9) };
        assert_eq!(postcard::to_stdvec(&row), Ok(vec![0xac, 2, 9]));
        let elected = [&meta_bytes[..], &[9, 1]].concat();
        assert_eq!(postcard::to_stdvec(&Elected { meta, challenger }), Ok(elected));
    }

    #[test]
    fn one_ndb_node_is_one_durable_vote_however_often_it_asks() {
        use vixen_core::id::{Digest, MapVersion, Shard};
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(1) };
        let meta = SegmentMeta {
            id,
            shard: Shard(0),
            map: MapVersion(1),
            count: 1,
            bytes: 1,
            digest: Digest([0; 16]),
        };
        let mut pending = Pending::new(VoteState::new(meta));
        let node = |member| NdbId { group: GroupId(0), member };
        pending.store(node(1), meta, 2, &Proven);
        pending.store(node(1), meta, 2, &Proven);
        assert_eq!(pending.vote.group, None);
        pending.store(NdbId { group: GroupId(1), member: 2 }, meta, 2, &Proven);
        assert_eq!(pending.vote.group, None);
        pending.store(node(2), meta, 2, &Proven);
        assert_eq!(pending.vote.group, Some(GroupId(0)));
    }
}
