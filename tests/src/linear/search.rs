//! The search for an order (L1, L2): the state with most operations placed is looked at first, and of these the one with
//! the fewest steps that nobody has told; none is looked at twice, nor one that is like another and has less to come.
//!
//! What changes nothing is done as soon as it may: if it can be done now, any order that has it later can have it now.
//! Everything else is a choice, but for what nobody has told and [nothing wants](super::wanted).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::FxBuildHasher;

use super::history::Operation;
use super::joined::Set;
use super::places::{Origin, Places};
use super::problem::{Alike, Node, Problem, What};
use super::violation::{Place, Violation};
use super::wanted::Wanted;

/// Finds an order of a set, with positions as they are known; the number of states it took.
pub(super) fn order_of(
    history: &[Operation],
    places: &Places,
    set: &Set,
    states_max: usize,
) -> Result<usize, Violation> {
    let problem = Problem::new(history, places, set);
    let mut search = Search {
        problem: &problem,
        seen: HashMap::default(),
        nodes: Vec::new(),
        next: BinaryHeap::new(),
    };
    search.run(states_max)
}

struct Search<'a> {
    problem: &'a Problem<'a>,
    /// What was used up of what may be, in all states that are alike.
    seen: HashMap<Alike, Vec<Vec<bool>>, FxBuildHasher>,
    /// Not looked at yet, with how far times reach; `None`: looked at.
    nodes: Vec<Option<(Node, u64)>>,
    /// The next one is the last.
    next: BinaryHeap<(usize, Reverse<usize>, usize)>,
}

impl Search<'_> {
    fn run(&mut self, states_max: usize) -> Result<usize, Violation> {
        let mut furthest = self.problem.begin();
        if self.add(self.problem.begin()) {
            return Ok(1);
        }
        let mut states = 0;
        while let Some((_, _, place)) = self.next.pop() {
            let Some((node, reach)) = self.nodes[place].take() else { continue };
            if furthest.placed() < node.placed() {
                furthest = node.clone();
            }
            states += 1;
            if states >= states_max {
                let (placed, operations) = (furthest.placed(), self.problem.must.len());
                return Err(Violation::NotJudged { states, placed, operations });
            }
            let Some(wanted) = Wanted::of(self.problem, &node, reach) else { continue };
            for next in self.problem.steps(&node, reach, &wanted) {
                if self.add(next) {
                    return Ok(states);
                }
            }
        }
        Err(self.no_order(furthest))
    }

    /// Adds a state, if it is worth it; whether all is done in it.
    fn add(&mut self, mut node: Node) -> bool {
        let reach = self.problem.settle(&mut node);
        if self.problem.is_over(&node) {
            return true;
        }
        let seen = self.seen.entry(self.problem.alike(&node, reach)).or_default();
        let has_less =
            |used: &Vec<bool>| used.iter().zip(&node.maybe).all(|(used, of_node)| !used | of_node);
        if seen.iter().any(has_less) {
            return false;
        }
        seen.push(node.maybe.clone());
        self.next.push((node.placed(), Reverse(node.untold), self.nodes.len()));
        self.nodes.push(Some((node, reach)));
        false
    }

    fn no_order(&self, mut node: Node) -> Violation {
        let reach = self.problem.settle(&mut node);
        let place = |must: usize| match self.problem.must[must].what {
            What::Operation(operation) | What::Ending(Origin { operation, .. }) => {
                Place::of(self.problem.history, operation)
            }
        };
        Violation::NoOrder {
            placed: node.placed(),
            operations: self.problem.must.len(),
            state: self.problem.model.said(&node.cells),
            next: self.problem.open(&node, reach).map(place).collect(),
        }
    }
}
