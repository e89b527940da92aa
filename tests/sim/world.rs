//! The world: sync nodes, owners whose segments ndb nodes have stored, and readers.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_common::id::{Digest, GroupId, NdbId, OwnerId, SegmentId, Seq, Shard, Stamp, SyncId};
use vixen_common::segment::{Elected, SegmentMeta};
use vixen_common::wire::Message;
use vixen_sync::vote::Input;

use crate::network::{Faults, Network, Parcel};
use crate::node::{Crash, Node};
use crate::reader::{Reader, Told};

const START_MS: u64 = 1_800_000_000_000;
const FAULTY_MS: u64 = 4_000;
const CALM_MS: u64 = 60_000;
const NDB_NODES: u8 = 3;
const WRITE_QUORUM: u8 = 2;

struct Segment {
    meta: SegmentMeta,
    stored_by: Vec<NdbId>,
    /// Stamps that were placed at some reader when it was submitted: it must come after them.
    after: Stamp,
}

pub(crate) struct World {
    rng: StdRng,
    now_ms: u64,
    faults: Faults,
    is_faulty: bool,
    nodes: Vec<Node>,
    network: Network,
    readers: Vec<Reader>,
    segments: BTreeMap<SegmentId, Segment>,
    /// Segments that are not stored everywhere, or not known elected.
    open: BTreeSet<SegmentId>,
    elected: BTreeMap<SegmentId, Elected>,
    stamps: BTreeMap<Stamp, SegmentId>,
    order: Vec<SegmentId>,
    placed_max: Stamp,
    pub(crate) trace: Vec<String>,
}

impl World {
    /// Runs one seed to its end; panics on the first violation.
    pub(crate) fn run(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let n: u8 = if rng.random_range(0..4) == 0 { 5 } else { 3 };
        let members: Vec<_> = (0..n).map(SyncId).collect();
        let faults = Faults {
            loss: rng.random_range(0..25),
            repeat: rng.random_range(0..20),
            delay_ms_max: rng.random_range(1..40),
        };
        let node = |id: &SyncId| Node::new(*id, members.clone(), WRITE_QUORUM);
        let mut world = Self {
            now_ms: START_MS,
            faults,
            is_faulty: true,
            nodes: members.iter().map(node).collect(),
            network: Network::default(),
            readers: (0..2).map(|_| Reader::new(n.into())).collect(),
            segments: BTreeMap::new(),
            open: BTreeSet::new(),
            elected: BTreeMap::new(),
            stamps: BTreeMap::new(),
            order: Vec::new(),
            placed_max: Stamp::ZERO,
            trace: Vec::new(),
            rng,
        };
        for at in 0..world.nodes.len() {
            world.link_up(at);
        }
        let owners = world.rng.random_range(1..6);
        let mut next = vec![Seq::FIRST; owners];
        while world.now_ms < START_MS + FAULTY_MS {
            world.tick(&mut next);
        }
        world.calm(&mut next);
        world
    }

    /// Faults stop: everything must be placed within the bound.
    fn calm(&mut self, next: &mut [Seq]) {
        self.is_faulty = false;
        self.faults = Faults::NONE;
        for at in 0..self.nodes.len() {
            self.nodes[at].skew_ms = 0;
            self.nodes[at].paused_until_ms = 0;
            self.nodes[at].restart_at_ms = self.now_ms;
        }
        let end = self.now_ms + CALM_MS;
        while self.now_ms < end {
            self.tick(next);
            if self.readers.iter().all(|reader| reader.placed.len() == self.segments.len()) {
                return;
            }
        }
        let placed: Vec<_> = self.readers.iter().map(|reader| reader.placed.len()).collect();
        panic!("{placed:?} of {} segments placed when faults had stopped", self.segments.len());
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        self.is_faulty && self.rng.random_range(0..1000) < per_mille
    }

    fn tick(&mut self, next: &mut [Seq]) {
        self.now_ms += 1;
        if self.is_faulty && self.rng.random_range(0..20) == 0 {
            self.submit(next);
        }
        self.store_and_ask();
        for at in 0..self.nodes.len() {
            self.disturb(at);
            self.run_node(at);
        }
        self.run_readers();
    }

    fn submit(&mut self, next: &mut [Seq]) {
        let at = self.rng.random_range(0..next.len());
        let owner = OwnerId(uuid::Uuid::from_u128(0x1000 + at as u128));
        let id = SegmentId { owner, seq: next[at] };
        next[at] = next[at].next();
        let meta = SegmentMeta { id, shard: Shard(0), count: 1, bytes: 1, digest: Digest([0; 16]) };
        self.trace.push(format!("{} submit {id}", self.now_ms - START_MS));
        let segment = Segment { meta, stored_by: Vec::new(), after: self.placed_max };
        self.segments.insert(id, segment);
        self.open.insert(id);
    }

    /// Segments reach disks one by one; who has one asks all sync nodes, and again now and then
    /// until it hears the outcome, as a link that comes and goes makes it do.
    fn store_and_ask(&mut self) {
        let now_ms = self.now_ms;
        let mut asks = Vec::new();
        let mut done = Vec::new();
        for id in &self.open {
            let Some(segment) = self.segments.get_mut(id) else { continue };
            let stored = u8::try_from(segment.stored_by.len()).expect("few");
            if stored < NDB_NODES && self.rng.random_range(0..4) == 0 {
                let from = NdbId { group: GroupId(0), member: stored };
                segment.stored_by.push(from);
                asks.push((from, segment.meta));
            }
            if now_ms.is_multiple_of(50) {
                asks.extend(segment.stored_by.iter().map(|from| (*from, segment.meta)));
                if stored == NDB_NODES && self.elected.contains_key(id) {
                    done.push(*id);
                }
            }
        }
        done.iter().for_each(|id| {
            self.open.remove(id);
        });
        for (from, meta) in asks {
            for at in 0..self.nodes.len() {
                if !self.chance(self.faults.loss * 10) {
                    self.step(at, vec![Input::GenerateDraft { from, meta }], None);
                }
            }
        }
    }

    fn disturb(&mut self, at: usize) {
        if self.nodes[at].is_up() {
            if self.chance(2) {
                self.trace.push(format!("{} crash {at}", self.now_ms - START_MS));
                self.nodes[at].crash();
                self.note_crash(at);
            } else if self.chance(2) {
                self.nodes[at].paused_until_ms = self.now_ms + self.rng.random_range(1..200);
            } else if self.chance(2) {
                self.nodes[at].skew_ms = match self.rng.random_range(0..10) {
                    0 => 30_000,
                    1 => -30_000,
                    _ => self.rng.random_range(-500..500),
                };
            }
        } else if self.nodes[at].restart_at_ms <= self.now_ms {
            self.trace.push(format!("{} restart {at}", self.now_ms - START_MS));
            self.nodes[at].restart();
            self.link_up(at);
        }
    }

    /// The node's links to all peers come up.
    fn link_up(&mut self, at: usize) {
        for peer in (0..self.nodes.len()).filter(|peer| *peer != at) {
            self.step(at, vec![Input::PeerUp { peer: id_of(peer) }], None);
            self.step(peer, vec![Input::PeerUp { peer: id_of(at) }], None);
        }
    }

    /// The node is gone: links to it break, sooner or later, and it will come back.
    fn note_crash(&mut self, at: usize) {
        self.nodes[at].restart_at_ms = self.now_ms + self.rng.random_range(1..300);
        self.readers.iter_mut().for_each(|reader| reader.close(id_of(at)));
        for peer in (0..self.nodes.len()).filter(|peer| *peer != at) {
            if !self.chance(300) {
                self.step(peer, vec![Input::PeerDown { peer: id_of(at) }], None);
            }
        }
    }

    fn run_node(&mut self, at: usize) {
        if !self.nodes[at].is_up() || self.nodes[at].paused_until_ms > self.now_ms {
            return;
        }
        let parcels = self.network.arrived(self.now_ms, id_of(at));
        let mut inputs: Vec<_> =
            parcels.into_iter().filter_map(|p| input_of(p.from, p.message)).collect();
        if (self.now_ms + at as u64 * 37).is_multiple_of(1_000) {
            inputs.push(Input::Retry);
        }
        let crash =
            (!inputs.is_empty() && self.chance(3)).then(|| match self.rng.random_range(0..2) {
                0 => Crash::BeforeCommit,
                _ => Crash::AfterCommit(self.rng.random_range(0..4)),
            });
        self.step(at, inputs, crash);
        // Each changes what is overdue; a node that was paused may have many.
        while let Some(segment) = self.nodes[at].overdue(self.now_ms) {
            self.step(at, vec![Input::Overdue { segment }], None);
        }
        if crash.is_some() {
            self.note_crash(at);
        }
    }

    fn step(&mut self, at: usize, inputs: Vec<Input>, crash: Option<Crash>) {
        if !self.nodes[at].is_up() {
            return;
        }
        let flush = self.rng.random_range(0..200) == 0;
        let output = self.nodes[at].batch(self.now_ms, inputs, crash, flush);
        for (to, message) in output.sends {
            let parcel = Parcel { from: id_of(at), to, message };
            self.network.send(self.now_ms, parcel, self.faults, &mut self.rng);
        }
        for elected in output.elected {
            self.note(at, elected);
            for reader in &mut self.readers {
                reader.tell(id_of(at), Told::Resolved(elected));
            }
        }
        if let Some(watermark) = output.watermark {
            for reader in &mut self.readers {
                reader.tell(id_of(at), Told::Watermark(watermark));
            }
        }
    }

    fn note(&mut self, at: usize, elected: Elected) {
        let (id, stamp) = (elected.meta.id, elected.stamp());
        if let Some(known) = self.elected.get(&id) {
            assert_eq!(*known, elected, "{id} is elected with two values");
            return;
        }
        self.trace.push(format!("{} node {at} elects {id} {stamp}", self.now_ms - START_MS));
        let other = self.stamps.insert(stamp, id);
        assert_eq!(other, None, "{id} and another are elected at {stamp}");
        // A coordinator may learn an election, propose the next segment, and crash before it told
        // anyone: so the next one can be heard of first.
        let neighbours = [id.previous().map(|previous| (previous, id)), Some((id, id.next()))];
        self.elected.insert(id, elected);
        for (earlier, later) in neighbours.into_iter().flatten() {
            if let (Some(a), Some(b)) = (self.elected.get(&earlier), self.elected.get(&later)) {
                assert!(a.stamp() < b.stamp(), "{later} is elected below its predecessor");
            }
        }
        let segment = &self.segments[&id];
        assert!(stamp > segment.after, "{id} was submitted after {} was placed", segment.after);
    }

    fn run_readers(&mut self) {
        for which in 0..self.readers.len() {
            for at in 0..self.nodes.len() {
                let node = id_of(at);
                let is_up = self.nodes[at].is_up();
                if self.readers[which].follows(node) && self.chance(2) {
                    self.readers[which].close(node);
                } else if is_up && !self.readers[which].follows(node) && !self.chance(900) {
                    let begin = self.nodes[at].elected_after(self.readers[which].resume());
                    let watermark = self.nodes[at].watermark();
                    self.readers[which].open(node, begin, watermark);
                }
                let count = self.rng.random_range(0..20);
                self.readers[which].read(node, count);
            }
        }
        self.check_order();
    }

    fn check_order(&mut self) {
        for reader in &mut self.readers {
            for (at, placed) in reader.placed.iter().enumerate().skip(self.order.len()) {
                assert_eq!(at, self.order.len());
                self.order.push(placed.elected.meta.id);
                self.placed_max = self.placed_max.max(placed.elected.stamp());
            }
        }
        for reader in &self.readers {
            let Some(last) = reader.placed.last() else { continue };
            let at = reader.placed.len() - 1;
            assert_eq!(self.order[at], last.elected.meta.id, "two readers place differently");
            assert_eq!(last.first.0, at as u64 + 1, "positions are dense");
        }
    }
}

fn id_of(at: usize) -> SyncId {
    SyncId(u8::try_from(at).expect("few nodes"))
}

fn input_of(from: SyncId, message: Message) -> Option<Input> {
    Some(match message {
        Message::PickChallenger { meta, ballot, draft, group, accepted } => {
            Input::PickChallenger { from, meta, ballot, draft, group, accepted }
        }
        Message::ElectSegment { proposal } => Input::ElectSegment { from, proposal },
        Message::Vote { proposal } => Input::Vote { from, proposal },
        Message::Prepare { meta, ballot } => Input::Prepare { from, meta, ballot },
        Message::Reject { segment, promised } => Input::Reject { from, segment, promised },
        Message::SyncDigest { owners } => Input::Digest { from, owners },
        Message::AdvanceSegmentResolved { elected } => Input::Resolved { elected },
        _ => return None,
    })
}
