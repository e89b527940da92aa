//! The decisions of a reader, one function each, as the rules of the vote are in `vixen_vote`: [`Proven`] answers as
//! `docs/protocol.md` proves, and tests answer one question wrongly, to see that they notice.

use std::fmt;

use crate::id::Stamp;

/// See the module doc.
pub trait Reads: fmt::Debug + Sync {
    /// Whether a segment is elected that so many nodes have accepted at one ballot.
    fn elects(&self, voters: usize, quorum: usize) -> bool {
        voters >= quorum
    }

    /// Whether a segment is elected that so many nodes have accepted in the fast round.
    fn elects_fast(&self, voters: usize, members: usize) -> bool {
        voters >= members
    }

    /// Up to where a promise holds, where the lowest stamp is `lowest` of what was told accepted and is not known
    /// elected.
    fn held(&self, promise: Stamp, lowest: Option<Stamp>) -> Stamp {
        lowest.map_or(promise, |lowest| promise.min(lowest.just_below()))
    }

    /// Whether a node tells all stamps of its lane above `sigma`, which it does above `since`.
    fn covers(&self, since: Stamp, sigma: Stamp) -> bool {
        since <= sigma
    }
}

/// The rules as they are proved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proven;

impl Reads for Proven {}
