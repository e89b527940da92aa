//! What goes wrong in the world, and how it ends.

use std::collections::BTreeSet;

use rand::RngExt;

use vixen_vote::Input;

use crate::node::Crash;
use crate::world::{World, id_of};

/// What the nodes see of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Links go down, and come up again when it ends.
    LinksDown,
    /// Peers fall silent, and are heard again.
    Silence,
    /// Nothing: what is said is lost.
    Nothing,
}

impl World {
    /// Whether something with this chance, in a thousandth, happens; never when faults have ended.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.is_faulty && self.rng.random_range(0..1000) < per_mille
    }

    /// Stops, slows, sets the clock of, or restarts a node.
    pub(crate) fn disturb(&mut self, at: usize) {
        self.nodes[at].skew_ms += self.nodes[at].drift_ms;
        if !self.nodes[at].is_up() {
            if self.nodes[at].restart_at_ms <= self.now_ms {
                self.note(|| format!("restart {at}"));
                self.nodes[at].restart();
                self.stats.restarts += 1;
                self.link_up(at);
            }
            return;
        }
        match self.is_faulty.then(|| self.rng.random_range(0..2_000)) {
            Some(0..4) => {
                self.note(|| format!("crash {at}"));
                self.nodes[at].crash();
                self.note_crash(at);
            }
            Some(4..8) => {
                let pause_ms = self.rng.random_range(1..300);
                self.note(|| format!("pause {at} for {pause_ms} ms"));
                self.nodes[at].paused_until_ms = self.now_ms + pause_ms;
            }
            Some(8..12) => self.set_clock(at),
            _ => {}
        }
    }

    fn set_clock(&mut self, at: usize) {
        let (skew_ms, drift_ms) = self.clocks.set_one(at, &mut self.rng);
        self.note(|| format!("clock {at} off by {skew_ms} ms, drifting {drift_ms} ms/ms"));
        self.nodes[at].skew_ms = skew_ms;
        self.nodes[at].drift_ms = drift_ms;
    }

    /// Sets all clocks at once, if this is the kind of seed.
    pub(crate) fn disturb_clocks(&mut self) {
        if self.is_faulty && self.clocks.set_all(&mut self.nodes, &mut self.rng) {
            self.note(|| "all clocks are set".to_owned());
        }
    }

    /// Where a batch is cut off, if it is.
    pub(crate) fn crash_of_batch(&mut self, inputs: &[Input]) -> Option<Crash> {
        if inputs.is_empty() || !self.chance(3) {
            return None;
        }
        Some(match self.rng.random_range(0..2) {
            0 => Crash::BeforeCommit,
            _ => Crash::AfterCommit(self.rng.random_range(0..4)),
        })
    }

    /// Cuts the network in two, or mends it.
    pub(crate) fn disturb_network(&mut self) {
        if self.network.has_cut() {
            if self.now_ms >= self.healed_at_ms {
                self.heal();
            }
        } else if self.chance(2) {
            let nodes = self.nodes.len();
            let count = self.rng.random_range(1..nodes);
            let first = self.rng.random_range(0..nodes);
            let side: BTreeSet<_> = (0..count).map(|step| id_of((first + step) % nodes)).collect();
            self.healed_at_ms = self.now_ms + self.rng.random_range(1..600);
            self.notice = match self.rng.random_range(0..3) {
                0 => Notice::LinksDown,
                1 => Notice::Silence,
                _ => Notice::Nothing,
            };
            self.note(|| format!("cut {side:?} off"));
            self.network.cut(side);
            self.stats.cuts += 1;
            match self.notice {
                Notice::LinksDown => self.tell_cut(|peer| Input::PeerDown { peer }),
                Notice::Silence => {
                    self.tell_cut(|peer| Input::PeerSilent { peer, is_silent: true });
                }
                Notice::Nothing => {}
            }
        }
    }

    /// The network is whole again.
    pub(crate) fn heal(&mut self) {
        if !self.network.has_cut() {
            return;
        }
        self.note(|| "heal".to_owned());
        let pairs = self.cut_pairs();
        self.network.heal();
        let unlinked = std::mem::take(&mut self.unlinked);
        for (a, b) in pairs {
            let peer = id_of(b);
            let input = match self.notice {
                _ if unlinked.contains(&(a.min(b), a.max(b))) => Input::PeerUp { peer },
                Notice::LinksDown => Input::PeerUp { peer },
                // What was cut off is lost all the same: who was silent hears of it by retries.
                Notice::Silence => Input::PeerSilent { peer, is_silent: false },
                Notice::Nothing => continue,
            };
            self.step(a, vec![input], None);
        }
    }

    fn tell_cut(&mut self, input: fn(vixen_core::id::SyncId) -> Input) {
        for (a, b) in self.cut_pairs() {
            self.step(a, vec![input(id_of(b))], None);
        }
    }

    /// Nodes that run and cannot reach each other, both ways.
    fn cut_pairs(&self) -> Vec<(usize, usize)> {
        let nodes = 0..self.nodes.len();
        nodes
            .clone()
            .flat_map(|a| nodes.clone().map(move |b| (a, b)))
            .filter(|(a, b)| self.network.is_cut(id_of(*a), id_of(*b)))
            .filter(|(a, b)| self.nodes[*a].is_up() && self.nodes[*b].is_up())
            .collect()
    }

    /// The node's links to all peers that run and can be reached come up.
    pub(crate) fn link_up(&mut self, at: usize) {
        for peer in (0..self.nodes.len()).filter(|peer| *peer != at) {
            if !self.nodes[peer].is_up() {
                continue;
            }
            if self.network.is_cut(id_of(at), id_of(peer)) {
                // They dial each other until the cut is over.
                self.unlinked.insert((at.min(peer), at.max(peer)));
                continue;
            }
            self.step(at, vec![Input::PeerUp { peer: id_of(peer) }], None);
            self.step(peer, vec![Input::PeerUp { peer: id_of(at) }], None);
        }
    }

    /// The node is gone: links to it break, sooner or later, and it will come back.
    pub(crate) fn note_crash(&mut self, at: usize) {
        self.stats.crashes += 1;
        self.nodes[at].restart_at_ms = self.now_ms + self.rng.random_range(1..400);
        (0..self.readers.len()).for_each(|which| self.unlink(which, at));
        for peer in (0..self.nodes.len()).filter(|peer| *peer != at) {
            if !self.chance(300) {
                self.step(peer, vec![Input::PeerDown { peer: id_of(at) }], None);
            }
        }
    }
}
