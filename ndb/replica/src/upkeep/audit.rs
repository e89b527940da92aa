//! Audit: whether this node's order is that of the others.
//!
//! Every node tells the others its chain at the end of its order on disk, again and again. Two
//! nodes with the same chain at a position agree on everything before it; a difference is an alarm
//! that stays. A node that most others contradict does not give out the order from where it last
//! agreed with them.

use std::collections::BTreeMap;

use vixen_core::id::{Digest, NdbId, Position};

/// What the comparisons with one peer said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The highest position up to which the orders agree; 0 before any comparison.
    pub agreed_to: Position,
    /// The lowest position at which they differ.
    pub differs_at: Option<Position>,
}

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    peers: BTreeMap<NdbId, Compared>,
    /// Chains at positions that this node has not reached.
    ahead: BTreeMap<NdbId, (Position, Digest)>,
}

impl Audit {
    /// Takes a peer's chain. `Some` when it can be compared now, with this node's order ending at
    /// `head`.
    pub(crate) fn heard(
        &mut self,
        peer: NdbId,
        next: Position,
        chain: Digest,
        head: Position,
    ) -> Option<(Position, Digest)> {
        if next <= head {
            return Some((next, chain));
        }
        // The first that was ahead is the first that is reached.
        self.ahead.entry(peer).or_insert((next, chain));
        None
    }

    /// What can be compared now that the order ends at `head`.
    pub(crate) fn take_reached(&mut self, head: Position) -> Vec<(NdbId, Position, Digest)> {
        let reached = self.ahead.iter().filter(|(_, (next, _))| *next <= head);
        let reached: Vec<_> = reached.map(|(peer, (next, chain))| (*peer, *next, *chain)).collect();
        for (peer, _, _) in &reached {
            self.ahead.remove(peer);
        }
        reached
    }

    /// Takes the outcome of a comparison; whether it is a new difference.
    pub(crate) fn compared(&mut self, peer: NdbId, next: Position, agrees: bool) -> bool {
        let compared = self.peers.entry(peer).or_default();
        if agrees {
            compared.agreed_to = compared.agreed_to.max(next);
            // Agreement beyond a difference: it has been mended.
            if compared.differs_at.is_some_and(|at| at <= next) {
                compared.differs_at = None;
            }
            return false;
        }
        let is_new = compared.differs_at.is_none_or(|at| next < at);
        if is_new {
            compared.differs_at = Some(next);
        }
        is_new
    }

    /// The peers whose order differs.
    pub(crate) fn differing(&self) -> impl Iterator<Item = (NdbId, Position)> {
        self.peers.iter().filter_map(|(peer, compared)| Some((*peer, compared.differs_at?)))
    }

    /// All that was compared.
    pub(crate) const fn peers(&self) -> &BTreeMap<NdbId, Compared> {
        &self.peers
    }

    /// From here on most nodes have another order; `None` while this node is not in the minority.
    pub(crate) fn distrusted_from(&self) -> Option<Position> {
        let differing = self.differing().count();
        let agreeing = self.peers.values().filter(|c| c.differs_at.is_none()).count();
        // This node is one of those that agree with it.
        if differing <= agreeing + 1 {
            return None;
        }
        let agreed = self.peers.values().filter(|c| c.differs_at.is_some()).map(|c| c.agreed_to);
        agreed.max().map(|agreed| agreed.max(Position::FIRST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::GroupId;

    fn peer(member: u8) -> NdbId {
        NdbId { group: GroupId(0), member }
    }

    #[test]
    fn a_node_that_most_others_contradict_is_distrusted_from_where_they_agreed() {
        let mut audit = Audit::default();
        assert!(!audit.compared(peer(1), Position(10), true));
        assert!(!audit.compared(peer(2), Position(12), true));
        assert!(audit.compared(peer(1), Position(20), false));
        assert_eq!(audit.distrusted_from(), None, "one against one");
        assert!(audit.compared(peer(2), Position(21), false));
        assert_eq!(audit.distrusted_from(), Some(Position(12)));
        assert!(!audit.compared(peer(2), Position(25), false), "known");
        assert_eq!(audit.differing().count(), 2);
        audit.compared(peer(2), Position(30), true);
        assert_eq!(audit.distrusted_from(), None);
    }

    #[test]
    fn one_peer_with_another_order_is_the_minority_itself() {
        let mut audit = Audit::default();
        for other in 1..=3 {
            audit.compared(peer(other), Position(10), true);
        }
        assert!(audit.compared(peer(1), Position(20), false));
        assert_eq!(audit.distrusted_from(), None);
    }

    #[test]
    fn a_chain_that_is_ahead_is_compared_when_it_is_reached() {
        let mut audit = Audit::default();
        let chain = Digest([1; 16]);
        assert_eq!(
            audit.heard(peer(1), Position(5), chain, Position(5)),
            Some((Position(5), chain))
        );
        assert_eq!(audit.heard(peer(1), Position(9), chain, Position(5)), None);
        assert_eq!(audit.heard(peer(1), Position(99), chain, Position(5)), None);
        assert!(audit.take_reached(Position(8)).is_empty());
        assert_eq!(audit.take_reached(Position(9)), [(peer(1), Position(9), chain)]);
        assert!(audit.take_reached(Position(200)).is_empty());
    }
}
