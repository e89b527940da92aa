//! Repairs: rows of the order that are damaged here are asked of peers, each in its turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_core::id::{NdbId, Position};

/// A peer that was asked for rows of the order for a repair has so long to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Damaged rows of the order that are asked for in one round: each answer is some 300 KiB.
const ASKED_MAX: usize = 8;

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Where rows of the order are damaged, and when a peer was asked for them.
    damaged: BTreeMap<Position, Option<Instant>>,
    /// Whose turn it is to be asked.
    turn: usize,
}

impl Repairs {
    /// A row is damaged; whether that is news. It is asked for with the next round: readers come
    /// across it again and again.
    pub(crate) fn found(&mut self, at: Position) -> bool {
        let is_new = !self.damaged.contains_key(&at);
        self.damaged.entry(at).or_insert(None);
        is_new
    }

    /// Whom to ask for which rows now, of these peers.
    pub(crate) fn take_due(&mut self, now: Instant, peers: &[NdbId]) -> Vec<(NdbId, Position)> {
        if peers.is_empty() {
            return Vec::new();
        }
        let is_due = |asked: &Option<Instant>| asked.is_none_or(|at| at + ANSWER_MAX <= now);
        let due = self.damaged.iter_mut().filter(|(_, asked)| is_due(asked)).take(ASKED_MAX);
        let mut requests = Vec::new();
        for (at, asked) in due {
            *asked = Some(now);
            self.turn = self.turn.wrapping_add(1);
            requests.push((peers[self.turn % peers.len()], *at));
        }
        requests
    }

    /// Rows came; whether they were asked for here.
    pub(crate) fn answered(&mut self, first: Position) -> bool {
        self.damaged.remove(&first).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.damaged.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::GroupId;

    #[test]
    fn a_damaged_row_is_asked_of_each_peer_in_turn_until_it_comes() {
        let peers = [1, 2].map(|member| NdbId { group: GroupId(0), member });
        let (mut repairs, t0, at) = (Repairs::default(), Instant::now(), Position(7));
        assert!(repairs.found(at) && !repairs.found(at));
        assert_eq!(repairs.take_due(t0, &[]), [], "nobody to ask");
        assert_eq!(repairs.take_due(t0, &peers), [(peers[1], at)]);
        assert_eq!(repairs.take_due(t0, &peers), [], "it has its time");
        assert_eq!(repairs.take_due(t0 + ANSWER_MAX, &peers), [(peers[0], at)]);
        assert!(repairs.answered(at) && !repairs.answered(at));
        assert_eq!((repairs.take_due(t0 + 2 * ANSWER_MAX, &peers), repairs.len()), (vec![], 0));
    }

    #[test]
    fn only_so_many_are_asked_for_in_a_round() {
        let peers = [NdbId { group: GroupId(0), member: 1 }];
        let (mut repairs, now) = (Repairs::default(), Instant::now());
        assert!((1..=20).all(|at| repairs.found(Position(at))));
        let rounds = [(); 3].map(|()| repairs.take_due(now, &peers).len());
        assert_eq!(rounds, [ASKED_MAX, ASKED_MAX, 20 - 2 * ASKED_MAX]);
    }
}
