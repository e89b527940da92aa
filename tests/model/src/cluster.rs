//! The cluster as `stateright` sees it: states, actions, properties.
//!
//! What is reduced, and why no violation is lost by it:
//!
//! - *The network* is the set of all messages ever sent, and any may be delivered at any time to a
//!   node that is up: that is loss, repetition, reordering and delay without bound, also across
//!   restarts and broken links. A delivery that changes nothing is no step.
//! - *Submitting* happens with the first delivery to a sync node: nothing depends on it before,
//!   and a later submission only asks for more (what it must come after grows with time).
//! - *Real time* is judged when a segment is elected: its stamp is final then, if it has one value,
//!   which is judged on its own.
//! - *Disks* are not part of a state when no crash is left: nobody reads them again but for the
//!   elections that peers ask for.
//! - *Late messages* leave the network when no crash is left and their receiver knows the segment
//!   elected: it stays so, and then all that such a message does is to let its sender be heard.
//!   Therefore such a node may hear any peer at any time (`Action::Hear`), which is more than can
//!   happen. PREPARE and digests stay: they are answered.
//! - *Who was heard* makes no difference while wall time stands still, but that it ends a
//!   suspicion: see `Node::link_up`.
//! - *A crash in a commit* (`Action::Tear`) is taken where something leaves before that. The node is blocked in it, so
//!   whatever others do meanwhile may as well come after.
//! - *The crash* that loses some rows chooses any prefix of the waiting elections, with or without
//!   the waiting votes: more than a driver that writes them together can lose.
//!
//! *Readers* have heard all that each node of a majority has told, or nothing of it; where they may be behind, each
//! feed up to any moment, from its beginning or from there on.
//!
//! What is not in the model: wall times that pass (retries, suspicions that last, a reach that runs),
//! several groups, retention, peers that stand aside. The simulation has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stateright::{Model, Property};
use vixen_core::id::{Ballot, Lane, Stamp, SyncId};
use vixen_core::segment::{Elected, Proposal};
use vixen_vote::Input;

use crate::cache::Step;
use crate::event::Event;
use crate::fault::Fault;
use crate::instance::{Instance, MEMBERS, NODES, membership};
use crate::node::{AHEAD_MS_MAX, LATE, Node, WALL};
use crate::parcels::Parcels;
use crate::state::{Action, Note, State, Submitted};
use crate::table::{Number, Outcome, Tables};
use crate::verdict::Verdict;

/// What a restart puts a clock ahead by.
const AHEAD_MS: u64 = 500;

/// A stamp of the hour that clocks were ahead by.
fn late(lane: u8) -> Stamp {
    Lane::new(lane).map_or(Stamp::ZERO, |lane| Stamp::at(LATE, lane))
}

/// One instance, checked with one fault or none.
pub(crate) struct Cluster {
    pub(crate) instance: Instance,
    pub(crate) tables: Tables,
    parcels: Parcels,
    completed: AtomicBool,
    taken_over: AtomicBool,
}

impl Cluster {
    pub(crate) fn new(instance: Instance, fault: Option<Fault>) -> Self {
        let tables = Tables::new(instance.segments(), fault);
        Self {
            instance,
            parcels: Parcels::new(&tables),
            tables,
            completed: AtomicBool::new(false),
            taken_over: AtomicBool::new(false),
        }
    }

    /// A node at the beginning.
    fn first_node(&self, id: SyncId) -> Node {
        let newest = if self.instance.order { late(0) } else { Stamp::ZERO };
        let ceiling = if self.instance.late >> id.0 & 1 == 1 {
            late(id.0)
        } else {
            let lane = Lane::new(id.0).filter(|_| self.instance.ahead == Some(id.0));
            lane.map_or(newest, |lane| Stamp::at(WALL.plus_millis(AHEAD_MS), lane))
        };
        let is_wild = self.instance.wild >> id.0 & 1 == 1;
        Node::new(id, ceiling, newest, (is_wild, self.instance.lags), self.tables.fault())
    }

    /// Whether a stamp may be elected by rule 8: no quorum's clocks were ahead of it.
    fn is_bounded(&self, state: &State, stamp: Stamp) -> bool {
        // Of any quorum one node was always right.
        let is_right = NODES - state.were_ahead.count_ones() as usize >= membership().quorum();
        let right = if self.instance.order { LATE } else { WALL.plus_millis(AHEAD_MS_MAX) };
        !is_right || stamp.wall_time() <= right
    }

    pub(crate) fn may_link(&self, a: usize, b: usize) -> bool {
        self.instance.cut.is_none_or(|(x, y)| (usize::from(x), usize::from(y)) != (a, b))
    }

    /// The node of an action, and what reaches it; of a link the end `a`.
    pub(crate) fn parcel_of(&self, action: Action) -> (usize, Number) {
        let parcels = &self.parcels;
        match action {
            Action::Deliver(number) => (self.tables.receiver(number), number),
            Action::Store { node, segment } => (node, parcels.store[node][segment]),
            Action::Overdue { node, segment } => (node, parcels.overdue[node][segment]),
            Action::Hear { node, peer } => (node, parcels.hear[node][peer]),
            Action::Crash { node, elections, votes } => {
                (node, parcels.crash[node][usize::from(elections)][usize::from(votes)])
            }
            Action::Tear { node, parcel } => (node, parcel),
            Action::Restart { node } => (node, parcels.restart[node]),
            Action::Jump { node } => (node, parcels.jump[node]),
            Action::LinkUp { a, b } => (a, parcels.link_up[a][b]),
            Action::LinkDown { node, peer } => (node, parcels.link_down[node][peer]),
        }
    }

    /// Puts the outcome of a step at a node into the state. `false` when it begins a ballot beyond
    /// the bound.
    fn put(&self, state: &mut State, node: usize, outcome: &Outcome) -> bool {
        if outcome.ballot > Ballot(self.instance.ballot_max) {
            return false;
        }
        state.nodes[node] = outcome.node;
        state.is_taken_over.0 |= outcome.is_taken_over;
        let mut new = outcome.sends.as_deref().unwrap_or_default().to_vec();
        new.retain(|parcel| {
            state.network.binary_search(parcel).is_err() && self.is_live(state.nodes, *parcel)
        });
        state.has_two_proposals.0 |= self.has_two_proposals(&state.network, &new);
        if !new.is_empty() {
            new.extend_from_slice(&state.network);
            new.sort_unstable();
            new.dedup();
            state.network = new.into();
        }
        true
    }

    /// Whether one of the new messages proposes another value than one before, in the same ballot.
    fn has_two_proposals(&self, network: &[Number], new: &[Number]) -> bool {
        let proposal = |parcel: &Number| match &self.tables.parcel(*parcel).event {
            Event::Input(Input::ElectSegment { proposal, .. }) => Some(*proposal),
            _ => None,
        };
        let ballot = |proposal: &Proposal| (proposal.meta.id, proposal.ballot);
        new.iter().filter_map(proposal).any(|one| {
            let mut others = network.iter().chain(new).filter_map(proposal);
            others.any(|other| ballot(&other) == ballot(&one) && other != one)
        })
    }

    /// Whether something leaves before the commit of the step.
    pub(crate) fn tears(&self, node: Number, parcel: Number) -> bool {
        match self.tables.step(node, parcel) {
            Step::Change(outcome) => outcome.torn.is_some(),
            Step::Nothing { .. } => false,
        }
    }

    /// Takes the action after its first step, which has this outcome.
    fn take(&self, state: &mut State, action: Action, node: usize, outcome: &Outcome) -> bool {
        match action {
            Action::Store { segment, .. } => self.submit(state, segment),
            Action::Overdue { .. } => state.overdues += 1,
            Action::Crash { .. } => state.crashes += 1,
            Action::Tear { parcel, .. } => {
                state.crashes += 1;
                return self.tear(state, node, parcel, outcome);
            }
            Action::Jump { node } => {
                state.jumps += 1;
                state.were_ahead |= 1 << node;
            }
            Action::LinkUp { a, b } => return self.link_other_end(state, (a, b), outcome),
            Action::Deliver(_)
            | Action::Hear { .. }
            | Action::Restart { .. }
            | Action::LinkDown { .. } => {}
        }
        self.put(state, node, outcome)
    }

    /// The node dies in the commit of the step: what left before has left.
    fn tear(&self, state: &mut State, node: usize, parcel: Number, outcome: &Outcome) -> bool {
        let Some((after, sends)) = &outcome.torn else { return false };
        if let Event::Input(Input::GenerateDraft { meta, .. }) = &self.tables.parcel(parcel).event {
            let at = self.tables.segments().iter().position(|segment| segment == meta);
            at.into_iter().for_each(|at| self.submit(state, at));
        }
        if matches!(&self.tables.parcel(parcel).event, Event::Input(Input::Overdue { .. })) {
            state.overdues += 1;
        }
        let torn = Outcome {
            node: *after,
            sends: Some(Arc::clone(sends)),
            torn: None,
            is_taken_over: false,
            ..outcome.clone()
        };
        self.put(state, node, &torn)
    }

    fn submit(&self, state: &mut State, segment: usize) {
        if state.submitted[segment] == Submitted::No {
            let after = self.elected(state).iter().map(Elected::stamp).max();
            state.submitted[segment] = Submitted::After(after.unwrap_or(Stamp::ZERO));
        }
    }

    fn link_other_end(&self, state: &mut State, (a, b): (usize, usize), first: &Outcome) -> bool {
        if !self.put(state, a, first) {
            return false;
        }
        match self.tables.step(state.nodes[b], self.parcels.link_up[b][a]) {
            Step::Nothing { .. } => true,
            Step::Change(second) => self.put(state, b, &second),
        }
    }

    /// All that is known elected anywhere, by readers as well.
    fn elected(&self, state: &State) -> Vec<Elected> {
        let feeds = self.tables.facts(state.nodes).map(|facts| self.tables.feed(facts.feed));
        let known = crate::verdict::known(&[&feeds[0], &feeds[1], &feeds[2]], self.tables.fault());
        known.into_iter().collect()
    }

    /// Forgets the disks of nodes that are up, when no crash is left.
    fn settle(&self, state: &mut State) {
        if state.crashes < self.instance.crashes_max {
            return;
        }
        for (node, facts) in self.tables.facts(state.nodes).iter().enumerate() {
            if facts.is_up && !facts.is_settled {
                let step = self.tables.step(state.nodes[node], self.parcels.settle[node]);
                if let Step::Change(outcome) = step {
                    state.nodes[node] = outcome.node;
                }
            }
        }
    }

    /// Whether the parcel may still change something at its receiver.
    fn is_live(&self, nodes: [Number; NODES], parcel: Number) -> bool {
        let node = nodes[self.tables.receiver(parcel)];
        !matches!(self.tables.step(node, parcel), Step::Nothing { is_inert: true })
    }

    /// Takes late messages out of the network, when a node has learned an outcome.
    fn forget(&self, before: &State, state: &mut State) {
        let settled = |state: &State| self.tables.facts(state.nodes).map(|facts| facts.settled);
        if settled(before) != settled(state) {
            let nodes = state.nodes;
            let live = state.network.iter().filter(|parcel| self.is_live(nodes, **parcel));
            state.network = live.copied().collect();
        }
    }

    fn judge(&self, before: &State, state: &mut State) {
        let feeds = self.tables.facts(state.nodes).map(|facts| facts.feed);
        if feeds == self.tables.facts(before.nodes).map(|facts| facts.feed) {
            return;
        }
        state.verdict = self.tables.verdict(feeds);
        for elected in self.elected(state) {
            let segments = self.tables.segments();
            let Some(at) = segments.iter().position(|meta| *meta == elected.meta) else { continue };
            if let Submitted::After(after) = state.submitted[at] {
                let is_above = elected.stamp() > after;
                state.submitted[at] = if is_above { Submitted::Elected } else { Submitted::TooLow };
            }
        }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut nodes = MEMBERS.map(|id| self.first_node(id));
        for (a, node) in nodes.iter_mut().enumerate() {
            for b in (0..NODES).filter(|b| *b != a && self.may_link(a.min(*b), a.max(*b))) {
                // Digests of nothing: they say nothing.
                let _digests = node.step(&Event::LinkUp(MEMBERS[b]), None);
            }
        }
        let mut state = State {
            nodes: nodes.map(|node| self.tables.keep_node(node)),
            network: Box::default(),
            crashes: 0,
            overdues: 0,
            jumps: 0,
            were_ahead: self.instance.wild | self.instance.late,
            submitted: vec![Submitted::No; self.tables.segments().len()].into(),
            verdict: Verdict::default(),
            is_taken_over: Note(false),
            has_two_proposals: Note(false),
        };
        self.settle(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.list_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let (node, parcel) = self.parcel_of(action);
        let Step::Change(outcome) = self.tables.step(last.nodes[node], parcel) else { return None };
        let sends = outcome.sends.as_deref().unwrap_or_default();
        let is_same = !matches!(action, Action::LinkUp { .. } | Action::Tear { .. })
            && outcome.node == last.nodes[node]
            && sends.iter().all(|parcel| last.network.binary_search(parcel).is_ok());
        if is_same {
            return None;
        }
        let mut state = last.clone();
        state.is_taken_over = Note(false);
        state.has_two_proposals = Note(false);
        if !self.take(&mut state, action, node, &outcome) {
            return None;
        }
        self.settle(&mut state);
        self.forget(last, &mut state);
        self.judge(last, &mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one value a segment", |_, s: &State| !s.verdict.has_two_values),
            Property::always("one value a ballot", |_, s: &State| !s.has_two_proposals.0),
            Property::always("unique stamps", |_, s: &State| !s.verdict.has_equal_stamps),
            Property::always("one owner's order", |_, s: &State| !s.verdict.breaks_owner_order),
            Property::always("real-time order", |_, s: &State| {
                !s.submitted.contains(&Submitted::TooLow)
            }),
            Property::always("no wrong clock is followed", |cluster: &Self, s: &State| {
                cluster.elected(s).iter().all(|e| cluster.is_bounded(s, e.stamp()))
            }),
            Property::always("the frontier is certain", |_, s: &State| !s.verdict.breaks_frontier),
            Property::always("watermarks never fall", |_, s: &State| !s.verdict.has_fallen),
            Property::always("no assertion of the vote fails", |_, s: &State| {
                !s.verdict.has_panicked
            }),
            // An example is enough, and costs: the first one found is the only one told.
            Property::sometimes("everything is delivered", |cluster: &Self, s: &State| {
                s.verdict.is_complete && !cluster.completed.swap(true, Ordering::Relaxed)
            }),
            Property::sometimes("a ballot above 0 elects", |cluster: &Self, s: &State| {
                s.is_taken_over.0 && !cluster.taken_over.swap(true, Ordering::Relaxed)
            }),
        ]
    }
}
