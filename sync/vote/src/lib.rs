//! The vote: one sync node's part in electing the stamp and the group of every segment.
//!
//! Source: DESIGN §4 rules 1 to 8; `docs/protocol.md`. Per segment it is single-decree Paxos
//! (Lamport, *Paxos Made Simple*, 2001) on the value `(stamp, group)`, whose first phase also
//! collects drafts.
//!
//! Call order of the driver: step everything that waits; commit `writes` in one transaction; then
//! do `sends`, then put `elected` on the feeds, then [`Votes::watermark`] if it has risen. Elected
//! rows may be written later than that: they follow from votes that are durable at a quorum.
//!
//! Invariants, besides those of [`VoteState`] and the clock:
//! - V1: a segment is pending or elected at this node, never both.
//! - V2: `drafts` holds exactly the drafts of pending segments.
//! - V3: the watermark never falls, restarts included: after a restart there is none until all
//!   segments that were pending in the store are known elected.

mod accept;
mod bound;
mod clock;
mod coordinate;
mod draft;
mod hedge;
mod input;
mod owners;
mod presence;
mod reached;
mod report;
mod resend;
mod reserve;
mod rules;
mod state;
mod takeover;

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{Lane, NdbId, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::{Elected, Proposal, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::{DraftAnswer, Message};

use bound::Bound;
use clock::Clock;
use hedge::Hedges;
use presence::Presence;
use rules::GoesBy;
use state::{NodeSet, Owner, Pending};

pub use input::Input;
pub use owners::OWNER_IDLE_MS;
pub use report::{PendingReport, VoteReport, Waiting, WaitsFor};
pub use rules::{Pick, Proven, Rules};
pub use state::{OwnerRow, Recovered, VoteState, Write};

/// Age from which a pending segment is said again, and who asks about an elected one is told the
/// outcome.
const RETRY_AGE_MS: u64 = 1_000;

/// Whether something happened just now. A time to come was noted before wall time was turned back.
const fn is_recent(now: WallTime, at: WallTime) -> bool {
    at.0 <= now.0 && now.0 - at.0 < RETRY_AGE_MS
}

/// Checks read all pending segments: with more of them than this, a step does without.
const CHECKED_MAX: usize = 16;

/// Who votes, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VoteOptions {
    /// This node.
    pub id: SyncId,
    /// Who votes, this node included, and who stores.
    pub membership: Membership,
    /// Stamps further ahead of wall time than this are neither used nor accepted (rule 8).
    pub clock_ahead_max_ms: u64,
}

/// What the driver owes after a step; see the module doc for the order.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Must be durable before anything below leaves.
    pub writes: Vec<Write>,
    /// To other sync nodes; what has no link is dropped, the next link brings a resend.
    pub sends: Vec<(SyncId, Message)>,
    /// For all feeds and, at leisure, the store.
    pub elected: Vec<(Elected, OwnerRow)>,
    /// For the store, in one transaction with the elections so far or after them, never before: a
    /// longer prefix must not be on disk without the elections it covers. [`Write::DropOwner`] must
    /// be durable before the next step: what follows refuses its owner for good.
    pub later: Vec<Write>,
    /// Send the peer all elected segments of the owner beyond this seq, from the store.
    pub catch_ups: Vec<(SyncId, OwnerId, Seq)>,
    /// Tell the peer that the owner is forgotten, and up to where elections are.
    pub forgotten: Vec<(SyncId, OwnerId)>,
    /// Answers to ndb nodes that ask for drafts nobody needs any more.
    pub answers: Vec<(NdbId, SegmentId, DraftAnswer)>,
    /// Segments became settled whose election this node cannot tell: all feeds must end before the
    /// next watermark, and readers follow again from where elections are remembered (rule 7).
    pub ends_feeds: bool,
    /// Elected segments, and the milliseconds since this node knew them eligible.
    pub waited: Vec<(SegmentId, u64)>,
    /// Ballots above 0 that this node began.
    pub ballots_started: u64,
    /// Inputs that were dropped, by reason, for the metrics.
    pub dropped: Vec<Drop>,
}

/// Why an input changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    /// The segment is elected; normal for what comes after a quorum.
    Late,
    /// A stamp too far ahead of wall time (rule 8).
    WildClock,
    /// A ballot of a coordinator from somebody else.
    NotCoordinator,
    /// The ballot is below what was promised.
    StaleBallot,
    /// The segment is known with another content: its owner or a peer is broken.
    Conflict,
    /// The owner is unknown, and older than one that was forgotten.
    OwnerExpired,
}

impl Drop {
    /// Label of the metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::WildClock => "wild_clock",
            Self::NotCoordinator => "not_coordinator",
            Self::StaleBallot => "stale_ballot",
            Self::Conflict => "conflict",
            Self::OwnerExpired => "owner_expired",
        }
    }
}

/// The votes of one sync node. See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Votes {
    options: VoteOptions,
    rules: GoesBy,
    clock: Clock,
    bound: Bound,
    /// When peers were last told that this node's clock is ahead.
    clock_told_at: WallTime,
    owners: BTreeMap<OwnerId, Owner>,
    /// An owner made up to then may have been forgotten: see `owners`.
    forgotten_to: WallTime,
    /// Peers that have forgotten, for good, owners of which something is pending here.
    forgotten_by: BTreeMap<OwnerId, NodeSet>,
    pending: BTreeMap<SegmentId, Pending>,
    drafts: BTreeSet<Stamp>,
    /// Segments that were pending when the store was opened and are not known elected yet.
    unsettled: BTreeSet<SegmentId>,
    presence: Presence,
    hedges: Hedges,
    /// What the store gave back is not taken up yet.
    is_fresh: bool,
}

impl Votes {
    /// Starts from what the store holds; `Recovered::default()` for an empty store.
    ///
    /// # Panics
    /// When `options.id` is not a lane; the configuration has checked it.
    #[must_use]
    pub fn new(options: VoteOptions, recovered: Recovered) -> Self {
        Self::with_rules(&Proven, options, recovered)
    }

    /// The same by other rules: for tests, which break one and look who notices.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn with_rules(
        rules: &'static dyn Rules,
        options: VoteOptions,
        recovered: Recovered,
    ) -> Self {
        let rules = GoesBy(rules);
        let lane = Lane::new(options.id.0);
        assert!(lane.is_some(), "the id of a sync node is a lane");
        let lane = lane.unwrap_or(Stamp::ZERO.lane());
        let mut owners: BTreeMap<OwnerId, Owner> = recovered
            .owners
            .into_iter()
            .map(|(id, row)| (id, Owner { row, ..Owner::default() }))
            .collect();
        for (segment, stamp) in recovered.beyond {
            owners.entry(segment.owner).or_default().elect(segment.seq, stamp);
        }
        let pending: BTreeMap<_, _> =
            recovered.votes.iter().map(|vote| (vote.meta.id, Pending::new(*vote))).collect();
        let quorum = options.membership.quorum();
        let elected = owners.values().map(Owner::newest).max().unwrap_or_default();
        let votes = Self {
            clock: Clock::new(lane, recovered.ceiling),
            bound: Bound::new(rules, options.clock_ahead_max_ms, quorum, elected),
            clock_told_at: WallTime(0),
            owners,
            forgotten_to: recovered.forgotten_to,
            forgotten_by: BTreeMap::new(),
            drafts: pending.values().filter_map(|p| p.vote.draft).collect(),
            unsettled: pending.keys().copied().collect(),
            is_fresh: !pending.is_empty(),
            pending,
            presence: Presence::default(),
            hedges: Hedges::default(),
            options,
            rules,
        };
        votes.check();
        votes
    }

    /// Advances by one input. Never blocks and never fails: a late message is normal operation.
    pub fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        if self.is_fresh {
            self.resume(now, fx);
        }
        if let Some(from) = input.sender() {
            self.presence.heard(now, from);
        }
        if input.owner().is_some_and(|owner| self.is_forgotten(owner)) {
            self.on_forgotten(&input, fx);
        } else {
            self.take(now, input, fx);
        }
        if let Some(ceiling) = self.clock.take_ceiling(now) {
            fx.writes.push(Write::Ceiling(ceiling));
        }
        if cfg!(debug_assertions) && self.pending.len() <= CHECKED_MAX {
            self.check();
        }
    }

    fn take(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        match input {
            Input::GenerateDraft { from, meta } => self.on_generate_draft(now, from, meta, fx),
            Input::PickChallenger { from, meta, ballot, draft, group, accepted } => {
                let pick = Pick { draft, group, accepted };
                self.on_pick_challenger(now, from, meta, ballot, pick, fx);
            }
            Input::ElectSegment { from, proposal } => {
                self.on_elect_segment(now, from, proposal, fx);
            }
            Input::Vote { from, proposal } => self.on_vote(now, from, proposal, fx),
            Input::Prepare { from, meta, ballot } => self.on_prepare(now, from, meta, ballot, fx),
            Input::Reject { from: _, segment, promised } => self.on_reject(segment, promised, fx),
            Input::Resolved { elected } => self.on_resolved(now, elected, fx),
            Input::Digest { from, owners } => self.on_digest(from, &owners, fx),
            Input::PeerUp { peer } => self.on_link_up(now, peer, fx),
            Input::PeerDown { peer } => self.on_link_down(now, peer, fx),
            Input::PeerSilent { peer, is_silent } => {
                self.on_silence(now, peer, is_silent, fx);
            }
            Input::PeerAside { peer, is_aside } => self.on_aside(now, peer, is_aside, fx),
            Input::OwnerSettled { owner, row } => self.on_owner_settled(now, owner, row, fx),
            Input::OwnerForgotten { from, owner } => self.on_owner_forgotten(from, owner),
            Input::PeerClock { peer, clock } => self.note_clock(now, peer, clock),
            Input::Overdue { segment } => self.on_overdue(now, segment, fx),
            Input::Retry => self.on_retry(now, fx),
            Input::ExpireOwners { keep, trimmed_to } => {
                self.expire_owners(&keep, trimmed_to, fx);
            }
        }
    }

    /// Takes up what the store gave back: clocks run again, and ballots of this node have its pick.
    fn resume(&mut self, now: WallTime, fx: &mut Effects) {
        self.is_fresh = false;
        let recovered: Vec<SegmentId> = self.pending.keys().copied().collect();
        for segment in recovered {
            let Some(vote) = self.pending.get(&segment).map(|pending| pending.vote) else {
                continue;
            };
            if let Some((ballot, challenger)) = vote.accepted {
                // Its own vote counts again: in a cluster of one, nobody else can say it.
                let proposal = Proposal { meta: vote.meta, ballot, challenger };
                self.on_vote(now, self.options.id, proposal, fx);
            }
            if vote.group.is_none() || self.is_elected(segment) {
                continue;
            }
            self.arm(now, segment);
            let leader = self.members().coordinator(segment.owner, vote.promised);
            if leader == self.options.id {
                self.send_pick(now, segment, vote.promised, fx);
            }
        }
    }

    /// The promise for the feeds (rule 7); `None` while a restart is being settled. Publish it only
    /// after the writes of all steps before are durable and their elected segments are on the feed.
    #[must_use]
    pub fn watermark(&self) -> Option<Stamp> {
        if !self.unsettled.is_empty() {
            return None;
        }
        Some(self.rules.watermark(self.clock.value(), self.drafts.first().copied()))
    }

    /// The highest stamp seen or made.
    #[must_use]
    pub const fn clock(&self) -> Stamp {
        self.clock.value()
    }

    /// Segments known and not known elected.
    #[must_use]
    pub fn pending_segments(&self) -> usize {
        self.pending.len()
    }

    /// Which they are.
    pub fn pending_ids(&self) -> impl Iterator<Item = SegmentId> {
        self.pending.keys().copied()
    }

    /// Nodes that make a quorum.
    fn quorum(&self) -> usize {
        self.options.membership.quorum()
    }

    const fn members(&self) -> &Membership {
        &self.options.membership
    }

    fn is_elected(&self, segment: SegmentId) -> bool {
        self.owners.get(&segment.owner).is_some_and(|owner| owner.is_elected(segment.seq))
    }

    /// The newest stamp known elected.
    #[must_use]
    pub const fn newest_elected(&self) -> Stamp {
        self.bound.elected()
    }

    /// Whether a stamp is too far ahead to be used (rule 8).
    fn is_wild(&mut self, stamp: Stamp, now: WallTime) -> bool {
        !self.bound.admits(now, self.clock.value(), stamp)
    }

    /// The same of a stamp that the clock of `from` has passed, durably.
    fn is_wild_of(&mut self, now: WallTime, from: SyncId, stamp: Stamp) -> bool {
        self.note_clock(now, from, stamp);
        self.is_wild(stamp, now)
    }

    /// Takes note of a peer's clock where it is far ahead.
    fn note_clock(&mut self, now: WallTime, from: SyncId, stamp: Stamp) {
        if from != self.options.id && self.bound.is_ahead(now, stamp) {
            self.bound.hear(from, stamp);
        }
    }

    /// Whether the segment is elected, so that a peer's message about it is late. Right after an
    /// election that is the rule; a peer that comes later has missed the outcome.
    fn is_late(&self, now: WallTime, from: SyncId, segment: SegmentId, fx: &mut Effects) -> bool {
        if !self.is_elected(segment) {
            return false;
        }
        fx.dropped.push(Drop::Late);
        if from != self.options.id && self.has_missed(now, segment) {
            fx.catch_ups.push((from, segment.owner, segment.seq.before()));
        }
        true
    }

    /// The pending segment of `meta`, which is not elected, made if it is new; nothing if it is
    /// known with another content, on which something depends.
    fn pending_of(&mut self, meta: SegmentMeta, fx: &mut Effects) -> Option<&mut Pending> {
        let pending = self.pending_of_any(meta);
        if !pending.takes(meta) {
            fx.dropped.push(Drop::Conflict);
            return None;
        }
        Some(pending)
    }

    /// The same, whatever its content is here.
    fn pending_of_any(&mut self, meta: SegmentMeta) -> &mut Pending {
        debug_assert!(!self.is_elected(meta.id), "V1");
        self.pending.entry(meta.id).or_insert_with(|| Pending::new(VoteState::new(meta)))
    }

    /// Asserts V1 and V2; the invariants of rows are asserted where they change.
    fn check(&self) {
        debug_assert!(self.pending.keys().all(|id| !self.is_elected(*id)), "V1");
        debug_assert!(
            self.drafts.iter().eq(self
                .pending
                .values()
                .filter_map(|p| p.vote.draft)
                .collect::<BTreeSet<_>>()
                .iter()),
            "V2"
        );
        debug_assert!(
            self.pending
                .values()
                .all(|p| p.vote.accepted.is_none_or(|(ballot, _)| ballot <= p.vote.promised)),
            "B2"
        );
    }
}

#[cfg(test)]
mod tests;
