//! Orderer: the seam above the machines of the vote. Inputs go in with a time, effects come out.
//!
//! | an input of | is taken in |
//! |---|---|
//! | the fast round | `fast` |
//! | ndb nodes that have a segment; PREPARE; picks: drafts and promises | `stage_one` |
//! | proposals, votes, elections | `stage_two` |
//! | segments that waited for long, peers that come and go | `takeover`, `reserve` |
//! | new links, retries, digests | `links` |
//! | owners that were forgotten | `forgotten` |
//!
//! Invariant, besides those of the machines:
//! - V1: a segment is pending or elected at this node, never both.

mod fast;
mod forgotten;
mod input;
mod links;
mod report;
mod reserve;
mod stage_one;
mod stage_two;
mod takeover;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Lane, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::{Acceptance, Proposal, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::{Marks, Message};

use super::acceptor::Acceptor;
use super::bound::Bound;
use super::clock::Clock;
use super::coordinator::Coordinator;
use super::effects::{After, Drop, Effects, Envelope, Recovered};
use super::eligibility::Eligibility;
use super::hedge::Hedges;
use super::learner::Learner;
use super::owners::{OwnerRow, Owners};
use super::presence::Presence;
use super::rules::{GoesBy, Pick, Proven, Rules};

pub use input::Input;
pub use report::{PendingReport, VoteReport, Waiting, WaitsFor};

/// Age from which a pending segment is said again, and who asks about an elected one is told the
/// outcome.
const RETRY_AGE_MS: u64 = 1_000;

/// Whether something happened just now. A time to come was noted before wall time was turned back.
pub(super) const fn is_recent(now: WallTime, at: WallTime) -> bool {
    at.0 <= now.0 && now.0 - at.0 < RETRY_AGE_MS
}

/// Checks read all pending segments: with more of them than this, a step does without.
const CHECKED_MAX: usize = 16;

/// Who votes, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteOptions {
    /// This node.
    pub id: SyncId,
    /// Who votes, this node included, and who stores.
    pub membership: Membership,
    /// Stamps further ahead of wall time than this are neither used nor accepted (rule 8).
    pub clock_ahead_max_ms: u64,
}

/// The votes of one sync node. See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Orderer {
    options: VoteOptions,
    rules: GoesBy,
    acceptor: Acceptor,
    coordinator: Coordinator,
    learner: Learner,
    owners: Owners,
    eligibility: Eligibility,
    bound: Bound,
    presence: Presence,
    hedges: Hedges,
    /// When peers were last told that this node's clock is ahead.
    clock_told_at: WallTime,
    /// What the store gave back is not taken up yet.
    is_fresh: bool,
}

impl Orderer {
    /// Starts from what the store holds; `Recovered::default()` for an empty store.
    ///
    /// # Panics
    /// When `options.id` is not a lane; the configuration has checked it.
    #[must_use]
    pub fn new(options: VoteOptions, recovered: &Recovered) -> Self {
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
        recovered: &Recovered,
    ) -> Self {
        let rules = GoesBy(rules);
        let lane = Lane::new(options.id.0);
        assert!(lane.is_some(), "the id of a sync node is a lane");
        let lane = lane.unwrap_or(Stamp::ZERO.lane());
        let owners = Owners::new(rules, recovered);
        // A row of before that is settled all the same has nothing to wait for.
        let is_pending = |vote: &&crate::VoteState| !owners.is_elected(vote.meta.id);
        let votes: Vec<_> = recovered.votes.iter().filter(is_pending).copied().collect();
        let quorum = options.membership.quorum();
        let orderer = Self {
            rules,
            acceptor: Acceptor::new(rules, Clock::new(lane, recovered.ceiling), &votes),
            coordinator: Coordinator::new(rules),
            learner: Learner::new(rules),
            bound: Bound::new(rules, options.clock_ahead_max_ms, quorum, owners.newest()),
            owners,
            eligibility: Eligibility::default(),
            presence: Presence::default(),
            hedges: Hedges::default(),
            clock_told_at: WallTime(0),
            is_fresh: !votes.is_empty(),
            options,
        };
        orderer.check();
        orderer
    }

    /// Advances by one input. Never blocks and never fails: a late message is normal operation.
    pub fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        if self.is_fresh {
            self.resume(now, fx);
        }
        if let Some(from) = input.sender() {
            self.presence.heard(now, from);
        }
        if input.stamp().is_some_and(Stamp::is_of_the_last_year) {
            // Of a node that is broken: an order that went there could not go on.
            fx.dropped.push(Drop::WildClock);
        } else if input.owner().is_some_and(|owner| self.is_forgotten(owner)) {
            self.on_forgotten(&input, fx);
        } else {
            self.take(now, input, fx);
        }
        fx.writes.extend(self.acceptor.take_ceiling(now));
        if cfg!(debug_assertions) && self.acceptor.len() <= CHECKED_MAX {
            self.check();
        }
    }

    fn take(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        match input {
            Input::GenerateDraft { from, meta } => self.on_generate_draft(now, from, meta, fx),
            Input::PickChallenger { from, meta, ballot, draft, group, accepted } => {
                let pick = Pick { draft, group, accepted, fast: None };
                self.on_pick_challenger(now, from, meta, ballot, pick, fx);
            }
            Input::ElectSegment { from, proposal } => {
                self.on_elect_segment(now, from, proposal, fx);
            }
            Input::Vote { from, proposal } => self.on_vote(now, from, proposal, fx),
            Input::Prepare { from, meta, ballot } => self.on_prepare(now, from, meta, ballot, fx),
            Input::Reject { from: _, segment, promised } => {
                self.on_reject(now, segment, promised, fx);
            }
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
            Input::ProposeFast { from, meta, challenger } => {
                self.on_propose_fast(now, from, meta, challenger, fx);
            }
            Input::VoteFast { from, meta, ballot, challenger } => {
                self.on_vote_fast(now, (from, ballot), meta, challenger, fx);
            }
        }
    }

    /// Takes up what the store gave back: clocks run again, and ballots of this node have its pick.
    fn resume(&mut self, now: WallTime, fx: &mut Effects) {
        self.is_fresh = false;
        let recovered: Vec<SegmentId> = self.acceptor.segments().collect();
        for segment in recovered {
            let Some(vote) = self.acceptor.vote(segment).copied() else { continue };
            if let Some((ballot, challenger)) = vote.accepted {
                // Its own vote counts again: in a cluster of one, nobody else can say it.
                let proposal = Proposal { meta: vote.meta, ballot, challenger };
                self.on_vote(now, self.options.id, proposal, fx);
            } else if let Some(challenger) = vote.fast {
                let own = (self.options.id, vote.promised);
                self.on_vote_fast(now, own, vote.meta, challenger, fx);
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
    pub fn watermark(&self) -> Option<Marks> {
        self.acceptor.watermark()
    }

    /// What feeds were told accepted, and is pending: a new feed tells it before its first watermark.
    pub fn told(&self) -> impl Iterator<Item = Acceptance> {
        self.acceptor.told()
    }

    /// Whether no draft of a pending segment holds the watermark back, nor a start.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.acceptor.is_free()
    }

    /// The highest stamp seen or made.
    #[must_use]
    pub const fn clock(&self) -> Stamp {
        self.acceptor.clock()
    }

    /// Segments known and not known elected.
    #[must_use]
    pub fn pending_segments(&self) -> usize {
        self.acceptor.len()
    }

    /// Which they are.
    pub fn pending_ids(&self) -> impl Iterator<Item = SegmentId> {
        self.acceptor.segments()
    }

    /// The newest stamp known elected.
    #[must_use]
    pub const fn newest_elected(&self) -> Stamp {
        self.bound.elected()
    }

    /// How far the owner's segments are elected without a gap, and the stamp of the last.
    #[must_use]
    pub fn owner_row(&self, owner: OwnerId) -> Option<OwnerRow> {
        self.owners.row(owner)
    }

    /// The highest stamp that this node has accepted or learned elected, and has not learned to be
    /// in vain. What is placed anywhere was accepted by a quorum before: so of any quorum, the
    /// highest answer given afterwards is at or above its stamp. Rises with each election, and falls
    /// only when a segment is elected with another stamp than the one accepted here. Walks all owners.
    #[must_use]
    pub fn reached(&self) -> Stamp {
        let accepted = self.acceptor.votes().flat_map(|vote| {
            let accepted = vote.accepted.map(|(_, challenger)| challenger);
            [accepted, vote.fast].into_iter().flatten()
        });
        let accepted = accepted.map(|challenger| challenger.stamp).max();
        accepted.unwrap_or(Stamp::ZERO).max(self.owners.newest())
    }

    /// Nodes that make a quorum.
    fn quorum(&self) -> usize {
        self.options.membership.quorum()
    }

    const fn members(&self) -> &Membership {
        &self.options.membership
    }

    fn is_elected(&self, segment: SegmentId) -> bool {
        self.owners.is_elected(segment)
    }

    /// Whether something of the owner is pending here.
    fn has_pending(&self, owner: OwnerId) -> bool {
        self.pending_of_owner(owner).next().is_some()
    }

    fn pending_of_owner(&self, owner: OwnerId) -> impl Iterator<Item = SegmentId> {
        let from = SegmentId { owner, seq: Seq(0) };
        let to = SegmentId { owner, seq: Seq(u64::MAX) };
        self.acceptor.segments_of(from, to)
    }

    /// Whether a stamp is too far ahead to be used (rule 8).
    fn is_wild(&mut self, stamp: Stamp, now: WallTime) -> bool {
        !self.bound.admits(now, self.acceptor.clock(), stamp)
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

    /// Takes note of a stamp that is elected.
    fn follow_order(&mut self, elected: Stamp) {
        self.acceptor.pass(elected);
        self.bound.elect(elected);
    }

    /// Whether the segment is elected, so that a peer's message about it is late. Right after an
    /// election that is the rule; a peer that comes later has missed the outcome.
    fn is_late(&self, now: WallTime, from: SyncId, segment: SegmentId, fx: &mut Effects) -> bool {
        if !self.is_elected(segment) {
            return false;
        }
        fx.dropped.push(Drop::Late);
        if from != self.options.id && self.owners.has_missed(now, segment) {
            fx.catch_ups.push((from, segment.owner, segment.seq.before()));
        }
        true
    }

    /// Makes a segment that is not elected one that is pending; `false` if it is known with another
    /// content, on which something depends.
    fn takes(&mut self, meta: SegmentMeta, fx: &mut Effects) -> bool {
        let takes = self.takes_content(meta);
        if !takes {
            fx.dropped.push(Drop::Conflict);
        }
        takes
    }

    fn takes_content(&mut self, meta: SegmentMeta) -> bool {
        assert!(!self.is_elected(meta.id), "V1");
        let is_untold = self.coordinator.picks(meta.id) == 0 && !self.learner.has_votes(meta.id);
        self.acceptor.hear_of(meta, is_untold)
    }

    /// Has feeds told what was accepted last for a segment, once that is durable.
    fn tell_accepted(&mut self, segment: SegmentId, fx: &mut Effects) {
        let accepted = self.acceptor.tell(segment);
        fx.accepted.extend(accepted.map(|acceptance| (acceptance, After::Vote(segment))));
    }

    /// Says something to a peer.
    #[expect(clippy::unused_self, reason = "it reads as what this node does")]
    fn say(&self, to: SyncId, message: Message, after: After, fx: &mut Effects) {
        fx.sends.push(Envelope { to, message, after });
    }

    /// Says something to all peers.
    fn say_to_all(&self, message: &Message, after: After, fx: &mut Effects) {
        for to in self.members().sync_peers(self.options.id) {
            fx.sends.push(Envelope { to, message: message.clone(), after });
        }
    }

    /// Asserts V1, and what the machines assert of all their rows.
    fn check(&self) {
        assert!(self.acceptor.segments().all(|segment| !self.is_elected(segment)), "V1");
        self.acceptor.check();
    }
}

#[cfg(test)]
pub(crate) mod tests;
