//! The readers' links: what sync nodes and other readers say on them, and what breaks.

use rand::RngExt;

use vixen_core::id::{NdbId, Position, Stamp};
use vixen_core::order::Input;

use crate::node::Node;
use crate::reader::{Wishes, ndb_of};
use crate::trace;
use crate::world::{READERS, START, World, id_of};

/// Rows in one answer at most.
const ROWS_MAX: usize = 16;

impl World {
    pub(crate) fn run_readers(&mut self) {
        for which in 0..self.readers.len() {
            for at in 0..self.nodes.len() {
                self.run_feed(which, at);
            }
            for other in (0..self.readers.len()).filter(|other| *other != which) {
                self.run_peer(which, other);
            }
            if self.readers[which].is_due(self.instant()) {
                let takes_rows = !self.chance(100);
                self.step_reader(which, Input::Tick { takes_rows });
            }
        }
        self.check_order();
    }

    /// The last one is away for long, so that feeds are trimmed before it comes back.
    const fn is_away(&self, which: usize) -> bool {
        which == READERS && self.is_faulty && (self.now_ms / 700).is_multiple_of(2)
    }

    /// A reader's link to a sync node.
    fn run_feed(&mut self, which: usize, at: usize) {
        let node = id_of(at);
        let is_away = self.is_away(which);
        if self.readers[which].is_linked(node) {
            if is_away || self.chance(2) {
                self.unlink(which, at);
            } else if self.readers[which].has_news(node) {
                for _ in 0..self.rng.random_range(0..20) {
                    let Some(told) = self.readers[which].take_told(node) else { break };
                    self.step_reader(which, told);
                }
            }
        } else if self.nodes[at].is_up() && !is_away && !self.chance(900) {
            self.readers[which].link(node);
            self.step_reader(which, Input::FeedUp { feed: node });
        }
    }

    /// A reader's link to another one, which it asks for rows of the order.
    fn run_peer(&mut self, which: usize, other: usize) {
        let peer = ndb_of(other);
        let is_away = self.is_away(which) || self.is_away(other);
        if !self.readers[which].has_peer(peer) {
            if !is_away && !self.chance(980) {
                let input = self.readers[which].set_peer(peer, true);
                self.step_reader(which, input);
            }
            return;
        }
        if is_away || self.chance(2) {
            let input = self.readers[which].set_peer(peer, false);
            return self.step_reader(which, input);
        }
        let is_silent = self.readers[which].is_silent(peer);
        if (is_silent && !self.chance(990)) || (!is_silent && self.chance(2)) {
            let input = self.readers[which].set_silent(peer, !is_silent);
            self.step_reader(which, input);
        }
        while let Some(answer) = self.readers[which].take_answer(peer, self.now_ms) {
            self.step_reader(which, answer);
        }
    }

    /// The link of a reader to a sync node breaks.
    pub(crate) fn unlink(&mut self, which: usize, at: usize) {
        if self.readers[which].unlink(id_of(at)) {
            self.step_reader(which, Input::FeedDown { feed: id_of(at) });
        }
    }

    /// A sync node ends its feeds.
    pub(crate) fn end_feeds(&mut self, at: usize) {
        let trimmed_to = self.nodes[at].trimmed_to();
        for reader in self.readers.iter_mut().filter(|reader| reader.follows(id_of(at))) {
            reader.end(id_of(at), trimmed_to);
        }
    }

    fn step_reader(&mut self, which: usize, input: Input) {
        let now = self.instant();
        let Wishes { follows, fetches } = self.readers[which].step(input, now);
        for (node, after) in follows {
            self.follow(which, usize::from(node.0), after);
        }
        for (peer, from) in fetches {
            self.fetch(which, peer, from);
        }
    }

    /// A sync node is asked for its feed.
    fn follow(&mut self, which: usize, at: usize, after: Stamp) {
        match self.nodes[at].elected_after(after) {
            Ok(begin) => {
                let watermark = self.nodes[at].watermark();
                self.readers[which].open(id_of(at), begin, watermark);
            }
            Err(trimmed_to) => {
                self.note(|| {
                    let to = trace::stamp(trimmed_to, START);
                    format!("reader {which} is behind node {at}, which has forgotten up to {to}")
                });
                // Another has placed it: that is why it is forgotten.
                let has_it = self.readers.iter().any(|reader| reader.delivered() >= trimmed_to);
                assert!(has_it, "forgotten before it was read");
                self.readers[which].end(id_of(at), trimmed_to);
            }
        }
    }

    /// Another reader is asked for rows of the order; some answers are lost.
    fn fetch(&mut self, which: usize, peer: NdbId, first: Position) {
        let other = usize::from(peer.member);
        self.note(|| format!("reader {which} asks reader {other} for the order from {first}"));
        if self.chance(100) {
            return;
        }
        let count = self.rng.random_range(1..=ROWS_MAX);
        let at_ms = self.now_ms + self.rng.random_range(1..20);
        let rows = self.readers[other].rows(first, count);
        self.readers[which].answered(peer, at_ms, Input::Rows { from: peer, first, rows });
    }

    fn check_order(&mut self) {
        for reader in &mut self.readers {
            for placed in &reader.placed[self.order.len().min(reader.placed.len())..] {
                self.order.push(placed.elected.meta.id);
            }
        }
        for reader in &self.readers {
            let Some(last) = reader.placed.last() else { continue };
            let at = reader.placed.len() - 1;
            assert_eq!(self.order[at], last.elected.meta.id, "two readers place differently");
            assert_eq!(last.first.0, at as u64 + 1, "positions are dense");
        }
        self.check_reached();
    }

    /// Whatever was placed, any quorum that is asked from now on knows how far that is.
    fn check_reached(&self) {
        let Some(placed) = self.readers.iter().map(|reader| reader.delivered()).max() else {
            return;
        };
        let reached = self.nodes.iter().filter_map(Node::reached);
        let behind = reached.filter(|reached| *reached < placed).count();
        let quorum = self.nodes.len() / 2 + 1;
        assert!(behind < quorum, "{behind} nodes do not know of {placed}");
    }
}
