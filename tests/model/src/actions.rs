//! What can happen in a state.

use crate::cluster::Cluster;
use crate::instance::NODES;
use crate::state::{Action, State};
use crate::table::Facts;

impl Cluster {
    /// Every action that may be taken, in an order that depends on nothing but the state.
    pub(crate) fn list_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let facts = self.tables.facts(state.nodes);
        let is_up = |node: &usize| facts[*node].is_up;
        for node in (0..NODES).filter(is_up) {
            for segment in 0..self.tables.segments().len() {
                actions.push(Action::Store { node, segment });
                if state.overdues < self.instance.overdues_max {
                    actions.push(Action::Overdue { node, segment });
                }
            }
        }
        if state.overdues > 0 {
            for node in (0..NODES).filter(|node| is_up(node) && facts[*node].settled > 0) {
                let peers = (0..NODES).filter(|peer| *peer != node);
                actions.extend(peers.map(|peer| Action::Hear { node, peer }));
            }
        }
        actions.extend(state.network.iter().map(|number| Action::Deliver(*number)));
        self.link_actions(&facts, actions);
        if state.jumps < self.instance.jumps_max {
            actions.extend((0..NODES).filter(is_up).map(|node| Action::Jump { node }));
        }
        if state.crashes < self.instance.crashes_max {
            self.crash_actions(&facts, actions);
            self.tear_actions(state, actions);
        }
        actions.extend((0..NODES).filter(|n| !is_up(n)).map(|node| Action::Restart { node }));
    }

    fn link_actions(&self, facts: &[Facts; NODES], actions: &mut Vec<Action>) {
        for a in 0..NODES {
            for b in 0..NODES {
                let knows = facts[a].links >> b & 1 == 1;
                let is_known = facts[b].links >> a & 1 == 1;
                let may_come_up = a < b && facts[a].is_up && facts[b].is_up && self.may_link(a, b);
                if may_come_up && !(knows && is_known) {
                    actions.push(Action::LinkUp { a, b });
                }
                if facts[a].is_up && knows && !is_known {
                    actions.push(Action::LinkDown { node: a, peer: b });
                }
            }
        }
    }

    fn tear_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let taken = actions.iter().filter(|action| {
            matches!(action, Action::Store { .. } | Action::Overdue { .. } | Action::Deliver(_))
        });
        let torn = taken.filter_map(|action| {
            let (node, parcel) = self.parcel_of(*action);
            self.tears(state.nodes[node], parcel).then_some(Action::Tear { node, parcel })
        });
        let torn: Vec<Action> = torn.collect();
        actions.extend(torn);
    }

    fn crash_actions(&self, facts: &[Facts; NODES], actions: &mut Vec<Action>) {
        for (node, facts) in facts.iter().enumerate().filter(|(_, facts)| facts.is_up) {
            let (waiting, has_votes) = facts.waiting;
            for elections in 0..=waiting {
                actions.push(Action::Crash { node, elections, votes: true });
                if has_votes {
                    actions.push(Action::Crash { node, elections, votes: false });
                }
            }
        }
    }
}
