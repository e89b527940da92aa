//! Reached: how far the order can go, as this node knows it.

use vixen_core::id::Stamp;

use super::Votes;
use super::state::Owner;

impl Votes {
    /// The highest stamp that this node has accepted or learned elected, and has not learned to be
    /// in vain. What is placed anywhere was accepted by a quorum before: so of any quorum, the
    /// highest answer given afterwards is at or above its stamp. Rises with each election, and falls
    /// only when a segment is elected with another stamp than the one accepted here. Walks all owners.
    #[must_use]
    pub fn reached(&self) -> Stamp {
        let pending = self.pending.values().filter_map(|pending| pending.vote.accepted);
        let accepted = pending.map(|(_, challenger)| challenger.stamp);
        accepted.chain(self.owners.values().map(Owner::newest)).max().unwrap_or(Stamp::ZERO)
    }
}
