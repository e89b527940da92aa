//! What the status page and the metrics tell of the vote.

use std::collections::BTreeMap;

use vixen_core::id::{Ballot, OwnerId, SegmentId, Stamp, SyncId};
use vixen_core::roster::Roster;
use vixen_core::time::WallTime;

use crate::VoteState;

use super::{Orderer, Pick};

/// Pending segments a report lists at most.
const LISTED_MAX: usize = 100;

/// What a pending segment waits for, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// ndb nodes that have it on disk.
    DurableVotes {
        /// Of the group that has the most.
        have: usize,
        /// W.
        needed: usize,
    },
    /// A majority: these nodes have no link.
    Majority(Vec<SyncId>),
    /// The draft of the owner's previous segment.
    PreviousDraft,
    /// Its first quorum: this node is a reserve.
    FirstQuorum(Vec<SyncId>),
    /// Drafts, at this coordinator.
    Drafts(Vec<SyncId>),
    /// The proposal of its coordinator.
    Proposal(SyncId),
    /// Votes of a ballot.
    Votes(Ballot, Vec<SyncId>),
    /// The election of the owner's previous segment.
    PreviousElection,
    /// Stamps of these nodes that are not too far ahead, at this coordinator (rule 8).
    Clock(Vec<SyncId>),
}

impl WaitsFor {
    /// All kinds, for the metrics.
    pub const KINDS: [&'static str; 9] = [
        "durable_votes",
        "majority",
        "previous_draft",
        "first_quorum",
        "drafts",
        "proposal",
        "votes",
        "previous_election",
        "clock",
    ];

    /// Label of the metric.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::DurableVotes { .. } => Self::KINDS[0],
            Self::Majority(_) => Self::KINDS[1],
            Self::PreviousDraft => Self::KINDS[2],
            Self::FirstQuorum(_) => Self::KINDS[3],
            Self::Drafts(_) => Self::KINDS[4],
            Self::Proposal(_) => Self::KINDS[5],
            Self::Votes(..) => Self::KINDS[6],
            Self::PreviousElection => Self::KINDS[7],
            Self::Clock(_) => Self::KINDS[8],
        }
    }

    /// The sync nodes it waits for.
    #[must_use]
    pub fn nodes(&self) -> &[SyncId] {
        match self {
            Self::Majority(nodes)
            | Self::FirstQuorum(nodes)
            | Self::Drafts(nodes)
            | Self::Clock(nodes)
            | Self::Votes(_, nodes) => nodes,
            Self::Proposal(node) => std::slice::from_ref(node),
            Self::DurableVotes { .. } | Self::PreviousDraft | Self::PreviousElection => &[],
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn text(&self, roster: &Roster) -> String {
        let names = roster.sync_list(self.nodes());
        match self {
            Self::DurableVotes { have, needed } => {
                format!("durable votes of ndb nodes: {have} of {needed}")
            }
            Self::Majority(_) => format!("a majority of sync nodes; no link to {names}"),
            Self::PreviousDraft => "draft of the owner's previous segment".to_owned(),
            Self::FirstQuorum(_) => format!("its first quorum, {names}: this node is a reserve"),
            Self::Drafts(_) => format!("drafts from {names}"),
            Self::Proposal(_) => format!("proposal from {names}"),
            Self::Votes(ballot, _) => format!("votes of ballot {ballot} from {names}"),
            Self::PreviousElection => "election of the owner's previous segment".to_owned(),
            Self::Clock(_) => format!("the clocks of {names}, whose stamps are too far ahead"),
        }
    }
}

/// One pending segment, and what it waits for.
#[derive(Clone, Debug)]
pub struct PendingReport {
    /// The segment.
    pub segment: SegmentId,
    /// This node's draft.
    pub draft: Option<Stamp>,
    /// Highest ballot promised.
    pub promised: Ballot,
    /// Who coordinates that ballot.
    pub coordinator: SyncId,
    /// Milliseconds since W durable votes, or a proposal, came; 0 before.
    pub age_ms: u64,
    /// What must come next.
    pub waits_for: WaitsFor,
}

/// A snapshot for people.
#[derive(Clone, Debug)]
pub struct VoteReport {
    /// The clock.
    pub clock: Stamp,
    /// See [`Orderer::watermark`].
    pub watermark: Option<Stamp>,
    /// See [`Orderer::newest_elected`].
    pub newest_elected: Stamp,
    /// Segments pending at a restart and not settled yet; no watermark until there are none.
    pub unsettled: usize,
    /// Number of pending segments.
    pub pending_total: usize,
    /// The first hundred of them.
    pub pending: Vec<PendingReport>,
    /// The latest owners, and their home coordinators.
    pub homes: Vec<(OwnerId, SyncId)>,
    /// Owners remembered.
    pub owners: usize,
    /// Peers that are passed over though their links are up.
    pub suspected: Vec<SyncId>,
    /// The present hedge delay.
    pub hedge_ms: u64,
}

/// Pending segments by what they wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// By [`WaitsFor::kind`].
    pub by_kind: BTreeMap<&'static str, u64>,
    /// By the node they wait for.
    pub by_node: BTreeMap<SyncId, u64>,
}

impl Orderer {
    /// Takes a snapshot of the votes for the status page.
    #[must_use]
    pub fn report(&self, now: WallTime) -> VoteReport {
        let members = self.members();
        let pending = self.acceptor.votes().take(LISTED_MAX).map(|vote| {
            let segment = vote.meta.id;
            let hedge = self.hedges.get(segment);
            PendingReport {
                segment,
                draft: vote.draft,
                promised: vote.promised,
                coordinator: members.coordinator(segment.owner, vote.promised),
                age_ms: hedge.map_or(0, |hedge| now.millis_since(hedge.since)),
                waits_for: self.waits_for(now, vote),
            }
        });
        let latest = self.owners.latest().take(LISTED_MAX);
        VoteReport {
            clock: self.clock(),
            watermark: self.watermark().map(|marks| marks.floor),
            newest_elected: self.newest_elected(),
            unsettled: self.acceptor.unsettled(),
            pending_total: self.acceptor.len(),
            pending: pending.collect(),
            homes: latest.map(|id| (id, members.home(id))).collect(),
            owners: self.owners.len(),
            suspected: self.presence.suspects().collect(),
            hedge_ms: self.hedges.hedge_ms(),
        }
    }

    /// What all pending segments wait for.
    #[must_use]
    pub fn waiting(&self, now: WallTime) -> Waiting {
        let mut waiting = Waiting::default();
        for vote in self.acceptor.votes() {
            let waits_for = self.waits_for(now, vote);
            *waiting.by_kind.entry(waits_for.kind()).or_default() += 1;
            for node in waits_for.nodes() {
                *waiting.by_node.entry(*node).or_default() += 1;
            }
        }
        waiting
    }

    fn waits_for(&self, now: WallTime, vote: &VoteState) -> WaitsFor {
        let segment = vote.meta.id;
        let members = self.members();
        let missing = |has: &dyn Fn(SyncId) -> bool| -> Vec<SyncId> {
            members.sync().iter().copied().filter(|id| !has(*id)).collect()
        };
        if !self.has_quorum() {
            let is_linked = |id| id == self.options.id || self.presence.is_linked(id);
            return WaitsFor::Majority(missing(&is_linked));
        }
        if let Some((ballot, _)) = vote.accepted {
            let voters = self.learner.voters(segment, ballot);
            return WaitsFor::Votes(ballot, missing(&|id| voters.contains(id.0)));
        }
        let is_home = members.home(segment.owner) == self.options.id;
        let is_open = vote.promised == Ballot(0) && (!is_home || self.waits_for_all(segment));
        if let Some(value) = vote.fast.filter(|_| is_open) {
            let voters = self.learner.fast_voters(vote.meta, value);
            return WaitsFor::Votes(Ballot(0), missing(&|id| voters.contains(id.0)));
        }
        if vote.group.is_none() {
            let have = self.eligibility.most(segment);
            return WaitsFor::DurableVotes { have, needed: members.write_quorum() };
        }
        if self.hedges.is_held(segment) && self.is_led_fast(segment.owner) {
            return WaitsFor::Proposal(members.home(segment.owner));
        }
        if self.hedges.is_held(segment) {
            return WaitsFor::FirstQuorum(self.first_quorum(segment.owner).collect());
        }
        if vote.draft.is_none() {
            // In the fast round a value is above the election before it.
            let is_fast = is_home && self.is_eligible(segment);
            return if is_fast { WaitsFor::PreviousElection } else { WaitsFor::PreviousDraft };
        }
        let leader = members.coordinator(segment.owner, vote.promised);
        if leader != self.options.id {
            return WaitsFor::Proposal(leader);
        }
        if self.coordinator.picks(segment) < self.quorum() {
            return WaitsFor::Drafts(missing(&|id| self.coordinator.has_pick(segment, id)));
        }
        if self.owners.floor_of(segment).is_none() {
            return WaitsFor::PreviousElection;
        }
        let is_ahead = |(id, pick): (&SyncId, &Pick)| {
            (!self.bound.seems_admitted(now, pick.highest())).then_some(*id)
        };
        let picks = self.coordinator.round(segment).into_iter().flat_map(|round| &round.picks);
        let ahead: Vec<SyncId> = picks.filter_map(is_ahead).collect();
        // Else the stamp that this coordinator would give is.
        WaitsFor::Clock(if ahead.is_empty() { vec![self.options.id] } else { ahead })
    }
}
