//! What can happen to one node.

use vixen_core::id::{Ballot, SyncId};
use vixen_vote::Input;

/// Everything that can happen to one node of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// The vote takes an input: a message, a stored segment, the end of a hedge delay.
    Input(Input),
    /// A link to the peer comes up, and the peer is heard on it.
    LinkUp(SyncId),
    /// The link to the peer goes down.
    LinkDown(SyncId),
    /// The process dies.
    Crash {
        /// The first so many of the election rows that wait are on disk.
        elections: u8,
        /// Whether the vote rows that wait are.
        votes: bool,
    },
    /// It starts again from its disk.
    Restart,
    /// Its wall time is set far ahead, or right again.
    Jump,
    /// It cannot crash any more: nobody will read its disk again.
    Settle,
}

/// The ballot that a message belongs to; 0 where it has none.
pub(crate) fn ballot_of(input: &Input) -> Ballot {
    match input {
        Input::PickChallenger { ballot, .. }
        | Input::Prepare { ballot, .. }
        | Input::VoteFast { ballot, .. } => *ballot,
        Input::ElectSegment { proposal, .. } | Input::Vote { proposal, .. } => proposal.ballot,
        Input::Reject { promised, .. } => *promised,
        // Nothing else belongs to a ballot.
        _ => Ballot(0),
    }
}
