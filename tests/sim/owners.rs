//! Owners that nodes forget, and entries that go on under others.

use rand::RngExt;

use vixen_core::id::Stamp;
use vixen_core::time::WallTime;

use crate::node::Node;
use crate::trace;
use crate::world::World;

impl World {
    pub(crate) fn expire_owners(&mut self, at: usize) {
        let linked = self.entries.iter().filter(|_| self.clocks.links_entries(at));
        let keep = linked.map(|entry| entry.owner).collect();
        let inputs = vec![self.nodes[at].expire_owners(keep)];
        let crash = self.crash_of_batch(&inputs);
        self.step(at, inputs, crash);
        if crash.is_some() {
            self.note(|| format!("crash {at}, {crash:?}"));
            self.note_crash(at);
        }
    }

    /// Each node forgets owners that are idle, by itself, also of which another has something
    /// pending; and late drafts come of what was elected long ago.
    pub(crate) fn forget_owners(&mut self) {
        for at in 0..self.nodes.len() {
            if self.chance(10) && self.nodes[at].is_up() {
                self.expire_owners(at);
            }
        }
        if self.chance(30) && !self.order.is_empty() {
            let old = self.order[self.rng.random_range(0..self.order.len())];
            let segment = &self.segments[&old];
            let asks: Vec<_> = segment.stored_by.iter().map(|from| segment.ask(*from)).collect();
            (0..self.nodes.len()).for_each(|at| self.step(at, asks.clone(), None));
        }
    }

    /// Entries learn what has its place, and take new owners.
    pub(crate) fn run_entries(&mut self) {
        let (now, now_ms) = (WallTime(self.now_ms), self.now_ms);
        for placed in &self.readers[0].placed[self.told..] {
            let (id, stamp) = (placed.elected.meta.id, placed.elected.stamp());
            self.entries.iter_mut().for_each(|entry| entry.placed(id, stamp));
        }
        self.told = self.readers[0].placed.len();
        let mut reached: Vec<Stamp> = self.nodes.iter().filter_map(Node::reached).collect();
        reached.sort_unstable();
        let quorum = self.nodes.len() / 2 + 1;
        // The quorum that knows least.
        let reached = reached.get(quorum - 1).copied();
        let passed = self.readers[0].passed();
        let mut lost = Vec::new();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            if let Some(reached) = reached.filter(|_| entry.asks(now_ms, quorum)) {
                entry.answered(now_ms, reached);
            }
            let ids = entry.take_refused(now, passed);
            if !ids.is_empty() {
                lost.push((at, ids));
            } else if entry.renew_if_old(now, passed.wall_time()) {
                self.stats.renewed += 1;
            }
        }
        for (at, ids) in lost {
            self.stats.sent_again += ids.len() as u64;
            for id in ids {
                self.note(|| format!("{} goes on under another owner", trace::segment(id)));
                self.segments.remove(&id);
                self.open.remove(&id);
                self.given_up.insert(id);
                let id = self.entries[at].submit();
                self.add_segment(id);
            }
        }
    }
}
