//! What the status page tells of the vote.

use vixen_common::id::{Ballot, OwnerId, SegmentId, Stamp, SyncId};

use super::state::Pending;
use super::{Votes, coordinator, home};

/// Pending segments a report lists at most.
const LISTED_MAX: usize = 100;

/// One pending segment, and what it waits for, in words.
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
    /// What must come next.
    pub waits_for: String,
}

/// A snapshot for people.
#[derive(Clone, Debug)]
pub struct VoteReport {
    /// The clock.
    pub clock: Stamp,
    /// See [`Votes::watermark`].
    pub watermark: Option<Stamp>,
    /// Segments pending at a restart and not settled yet; no watermark until there are none.
    pub unsettled: usize,
    /// Number of pending segments.
    pub pending_total: usize,
    /// The first hundred of them.
    pub pending: Vec<PendingReport>,
    /// Owners with pending segments, and their home coordinators.
    pub homes: Vec<(OwnerId, SyncId)>,
    /// Owners ever seen.
    pub owners: usize,
}

impl Votes {
    /// Takes a snapshot of the votes for the status page.
    #[must_use]
    pub fn report(&self) -> VoteReport {
        let members = &self.options.members;
        let pending = self.pending.iter().take(LISTED_MAX).map(|(segment, pending)| {
            let promised = pending.vote.promised;
            PendingReport {
                segment: *segment,
                draft: pending.vote.draft,
                promised,
                coordinator: coordinator(segment.owner, promised, members),
                waits_for: self.waits_for(*segment, pending),
            }
        });
        VoteReport {
            clock: self.clock.value(),
            watermark: self.watermark(),
            unsettled: self.unsettled.len(),
            pending_total: self.pending.len(),
            pending: pending.collect(),
            homes: self
                .owners
                .keys()
                .rev()
                .take(LISTED_MAX)
                .map(|id| (*id, home(*id, members)))
                .collect(),
            owners: self.owners.len(),
        }
    }

    fn waits_for(&self, segment: SegmentId, pending: &Pending) -> String {
        let vote = &pending.vote;
        let members = &self.options.members;
        let missing_of = |has: &dyn Fn(SyncId) -> bool| {
            let missing: Vec<_> =
                members.iter().filter(|id| !has(**id)).map(ToString::to_string).collect();
            missing.join(", ")
        };
        if let Some((ballot, _)) = vote.accepted {
            let voters = pending.votes.get(&ballot).map(|v| v.0).unwrap_or_default();
            return format!(
                "votes of ballot {ballot} from {}",
                missing_of(&|id| voters.contains(id.0))
            );
        }
        if vote.group.is_none() {
            let most = pending.stored_by.values().map(|set| set.len()).max().unwrap_or(0);
            let needed = self.options.write_quorum;
            return format!("durable votes of ndb nodes: {most} of {needed}");
        }
        if self.is_held(segment) {
            return "its first quorum; this node is a reserve".to_owned();
        }
        if vote.draft.is_none() {
            return "draft of the owner's previous segment".to_owned();
        }
        let leader = coordinator(segment.owner, vote.promised, members);
        if leader != self.options.id {
            return format!("proposal from {leader}");
        }
        if pending.picks.len() < self.quorum() {
            return format!("drafts from {}", missing_of(&|id| pending.picks.contains_key(&id)));
        }
        "election of the owner's previous segment".to_owned()
    }
}
