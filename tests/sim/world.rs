//! The world: sync nodes, owners whose segments ndb nodes have stored, and readers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_core::id::{Digest, GroupId, MapVersion, NdbId, SegmentId, Shard, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order;
use vixen_core::segment::{Elected, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, VoteMessage};
use vixen_vote::Input;

use crate::clocks::Clocks;
use crate::entry::Entry;
use crate::faults::Notice;
use crate::mutant::Mutant;
use crate::network::{Faults, Network, Parcel};
use crate::node::{Crash, Node};
use crate::reader::Reader;
use crate::trace;

const START_MS: u64 = 1_800_000_000_000;
pub(crate) const START: WallTime = WallTime(START_MS);
const FAULTY_MS: u64 = 4_000;
/// When faults have stopped, everything must be placed within this. Nobody waits for clocks that
/// were ahead, whatever they were.
const CALM_MS: u64 = 30_000;
const NDB_NODES: u8 = 3;
/// One segment in so many is held by two groups, and the vote decides which counts.
const MOVES_EACH: u64 = 4;
/// Of one segment in so many a node has another content than its peers.
const LIES_EACH: u64 = 5;
const WRITE_QUORUM: u8 = 2;
/// How often ndb nodes ask again for drafts, as links that come and go make them do.
const ASK_AGAIN_MS: u64 = 100;
/// Readers that count for retention, as ndb nodes do; one more may be far behind.
pub(crate) const READERS: usize = 2;

pub(crate) struct Segment {
    pub(crate) meta: SegmentMeta,
    pub(crate) stored_by: Vec<NdbId>,
    /// Of the other group: it was moved there, while its own group was slow.
    moved_to: Vec<NdbId>,
    /// The highest stamp known elected anywhere when it was submitted: it must come after.
    after: Stamp,
}

impl Segment {
    /// What an ndb node asks for. The first to have a segment of a lying owner has another content.
    pub(crate) fn ask(&self, from: NdbId) -> Input {
        let has_other = self.meta.id.seq.0.is_multiple_of(LIES_EACH);
        let is_first = self.stored_by.first() == Some(&from);
        let count = if has_other && is_first { self.meta.count + 1 } else { self.meta.count };
        Input::GenerateDraft { from, meta: SegmentMeta { count, ..self.meta } }
    }

    /// Whether a node has the content that may be elected.
    fn is_held_by(&self, ndb: NdbId) -> bool {
        matches!(self.ask(ndb), Input::GenerateDraft { meta, .. } if meta == self.meta)
    }
}

/// What happened, for the sum at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) simulated_ms: u64,
    pub(crate) segments: u64,
    pub(crate) crashes: u64,
    pub(crate) restarts: u64,
    pub(crate) cuts: u64,
    pub(crate) ballots: u64,
    pub(crate) trims: u64,
    /// Segments that readers placed by rows of another one.
    pub(crate) by_rows: u64,
    /// Owners that entries took because the order had left the one before behind.
    pub(crate) renewed: u64,
    /// Segments that were refused, and went on under another owner.
    pub(crate) sent_again: u64,
    /// Times that a node ended what it had pending, because a quorum's owners were forgotten.
    pub(crate) ended: u64,
}

impl Stats {
    pub(crate) fn add(&mut self, other: &Self) {
        self.simulated_ms += other.simulated_ms;
        self.segments += other.segments;
        self.crashes += other.crashes;
        self.restarts += other.restarts;
        self.cuts += other.cuts;
        self.ballots += other.ballots;
        self.trims += other.trims;
        self.by_rows += other.by_rows;
        self.renewed += other.renewed;
        self.sent_again += other.sent_again;
        self.ended += other.ended;
    }
}

impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { simulated_ms, segments, crashes, restarts, cuts, ballots, trims, .. } = self;
        let Self { by_rows, renewed, sent_again, ended, .. } = self;
        let minutes = simulated_ms / 60_000;
        write!(
            f,
            "{minutes} simulated minutes, {segments} segments elected, {crashes} crashes, \
             {restarts} restarts, {cuts} partitions, {ballots} ballots above 0, {trims} trims, \
             {by_rows} places by rows, {renewed} owners renewed, {sent_again} segments sent again, {ended} votes ended"
        )
    }
}

pub(crate) struct World {
    pub(crate) rng: StdRng,
    /// When it began, for machines whose time is the monotonic clock's.
    begin: Instant,
    pub(crate) now_ms: u64,
    faults: Faults,
    pub(crate) is_faulty: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) clocks: Clocks,
    pub(crate) healed_at_ms: u64,
    pub(crate) notice: Notice,
    /// Nodes that both run, one of which started while it could not reach the other.
    pub(crate) unlinked: BTreeSet<(usize, usize)>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) entries: Vec<Entry>,
    /// Places that the entries know of.
    pub(crate) told: usize,
    /// Segments whose messages go on under another owner: none of them may be elected.
    pub(crate) given_up: BTreeSet<SegmentId>,
    pub(crate) segments: BTreeMap<SegmentId, Segment>,
    /// Segments that are not stored everywhere, or not known elected.
    pub(crate) open: BTreeSet<SegmentId>,
    elected: BTreeMap<SegmentId, Elected>,
    stamps: BTreeMap<Stamp, SegmentId>,
    pub(crate) order: Vec<SegmentId>,
    forgets: bool,
    is_traced: bool,
    pub(crate) trace: Vec<String>,
    pub(crate) stats: Stats,
}

impl World {
    /// Runs one seed to its end; panics on the first violation.
    pub(crate) fn run(seed: u64, mutant: Option<Mutant>, is_traced: bool) -> Self {
        let mut world = Self::new(seed, mutant, is_traced);
        world.live();
        world
    }

    /// A world before its first millisecond.
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>, is_traced: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let n: u8 = if rng.random_range(0..3) == 0 { 5 } else { 3 };
        let membership = Membership::sized(n, [3], WRITE_QUORUM);
        let faults = Faults {
            loss: rng.random_range(0..25),
            repeat: rng.random_range(0..20),
            delay_ms_max: rng.random_range(1..40),
        };
        let node = |id: &SyncId| Node::new(*id, membership.clone(), mutant);
        let mut world = Self {
            begin: Instant::now(),
            now_ms: START_MS,
            faults,
            is_faulty: true,
            nodes: membership.sync().iter().map(node).collect(),
            network: Network::default(),
            clocks: Clocks::new(seed, n.into(), &mut rng),
            entries: Vec::new(),
            told: 0,
            given_up: BTreeSet::new(),
            healed_at_ms: 0,
            notice: Notice::Nothing,
            unlinked: BTreeSet::new(),
            readers: (0..=READERS).map(|_| Reader::new(&membership)).collect(),
            segments: BTreeMap::new(),
            open: BTreeSet::new(),
            elected: BTreeMap::new(),
            stamps: BTreeMap::new(),
            order: Vec::new(),
            forgets: rng.random_range(0..2) == 0,
            is_traced,
            trace: Vec::new(),
            stats: Stats::default(),
            rng,
        };
        let clocks = format!("{:?}", world.clocks);
        world.note(|| format!("{n} nodes, {faults:?}, {clocks}"));
        world
    }

    pub(crate) fn live(&mut self) {
        for at in 0..self.nodes.len() {
            self.link_up(at);
        }
        let owners = self.rng.random_range(1..9);
        let made = |number| match self.clocks.leap_weeks() {
            true => Entry::made(number, START),
            false => Entry::without_time(number),
        };
        self.entries = (0..owners).map(made).collect();
        while self.now_ms < START_MS + FAULTY_MS {
            self.tick();
        }
        self.calm();
        self.stats.simulated_ms = self.now_ms - START_MS;
        self.stats.segments = self.segments.len() as u64;
        self.stats.by_rows = self.readers.iter().map(|reader| reader.by_rows).sum();
    }

    pub(crate) fn instant(&self) -> Instant {
        self.begin + Duration::from_millis(self.now_ms - START_MS)
    }

    /// A line of the trace, where one is kept.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.is_traced {
            self.trace.push(format!("{:>6} ms  {}", self.now_ms - START_MS, line()));
        }
    }

    /// Faults stop: everything must be placed within the bound.
    fn calm(&mut self) {
        self.note(|| "faults stop".to_owned());
        self.heal();
        self.is_faulty = false;
        self.faults = Faults::NONE;
        let skew_ms = self.clocks.calm_ms();
        for node in &mut self.nodes {
            node.skew_ms = skew_ms;
            node.drift_ms = 0;
            node.paused_until_ms = 0;
            node.restart_at_ms = self.now_ms;
        }
        let end = self.now_ms + CALM_MS;
        while self.now_ms < end {
            self.tick();
            let is_placed = |reader: &Reader| reader.placed.len() == self.segments.len();
            if self.readers.iter().all(is_placed) && self.nodes.iter().all(Node::holds_nothing_up) {
                return;
            }
        }
        let placed: Vec<_> = self.readers.iter().map(|reader| reader.placed.len()).collect();
        let hold_up: Vec<_> = self.nodes.iter().map(|node| !node.holds_nothing_up()).collect();
        panic!(
            "{placed:?} of {} segments placed when faults had stopped; watermarks held: {hold_up:?}",
            self.segments.len()
        );
    }

    fn tick(&mut self) {
        self.now_ms += 1;
        if self.is_faulty && self.rng.random_range(0..25) == 0 {
            self.submit();
        }
        self.disturb_network();
        self.disturb_clocks();
        let asks = self.store_and_ask();
        for at in 0..self.nodes.len() {
            self.disturb(at);
            self.run_node(at, &asks);
        }
        self.run_readers();
        if self.clocks.leap_weeks() {
            self.forget_owners();
            self.run_entries();
        }
        if (self.forgets || self.clocks.leap_weeks()) && self.now_ms.is_multiple_of(300) {
            let applied = self.readers[..READERS].iter().map(Reader::delivered).min();
            for node in self.nodes.iter_mut().filter(|node| node.is_up()) {
                node.forget(applied.unwrap_or_default());
            }
        }
    }

    fn submit(&mut self) {
        let at = self.rng.random_range(0..self.entries.len());
        let id = self.entries[at].submit();
        self.add_segment(id);
    }

    pub(crate) fn add_segment(&mut self, id: SegmentId) {
        let meta = SegmentMeta {
            id,
            shard: Shard(u32::try_from(id.seq.0 % 2).expect("small")),
            map: MapVersion(2),
            count: 1,
            bytes: 1,
            digest: Digest([0; 16]),
        };
        self.note(|| format!("submit {}", trace::segment(id)));
        let after = self.stamps.last_key_value().map_or(Stamp::ZERO, |(stamp, _)| *stamp);
        self.segments
            .insert(id, Segment { meta, stored_by: Vec::new(), moved_to: Vec::new(), after });
        self.open.insert(id);
    }

    /// Segments reach disks one by one; who has one asks all sync nodes, and again now and then
    /// until it hears the outcome.
    fn store_and_ask(&mut self) -> Vec<Input> {
        let mut asks = Vec::new();
        let is_repeat = self.now_ms.is_multiple_of(ASK_AGAIN_MS);
        let mut done = Vec::new();
        for id in &self.open {
            let Some(segment) = self.segments.get_mut(id) else { continue };
            let meta = segment.meta;
            let stored = u8::try_from(segment.stored_by.len()).expect("few");
            let own = meta.map.group_of(meta.shard);
            if stored < NDB_NODES && self.rng.random_range(0..4) == 0 {
                let from = NdbId { group: own, member: stored };
                segment.stored_by.push(from);
                asks.push(segment.ask(from));
            }
            // Some are sent to the other group as well, and reach a part of it.
            let moved = u8::try_from(segment.moved_to.len()).expect("few");
            let moves = id.seq.0.is_multiple_of(MOVES_EACH) && moved < NDB_NODES;
            if moves && self.rng.random_range(0..6) == 0 {
                let from = NdbId { group: GroupId(1 - own.0), member: moved };
                segment.moved_to.push(from);
                asks.push(segment.ask(from));
            }
            if is_repeat {
                let again = segment.stored_by.iter().chain(&segment.moved_to);
                asks.extend(again.map(|from| segment.ask(*from)));
                if stored == NDB_NODES && self.elected.contains_key(id) {
                    done.push(*id);
                }
            }
        }
        for id in done {
            self.open.remove(&id);
        }
        asks
    }

    fn run_node(&mut self, at: usize, asks: &[Input]) {
        if !self.nodes[at].is_up() || self.nodes[at].paused_until_ms > self.now_ms {
            return;
        }
        let mut inputs = Vec::new();
        for ask in asks {
            if !self.chance(self.faults.loss * 10) {
                inputs.push(ask.clone());
            }
        }
        for parcel in self.network.arrived(self.now_ms, id_of(at)) {
            if let Message::Vote(VoteMessage::OwnerSettled { trimmed_to, .. })
            | Message::Vote(VoteMessage::OwnerForgotten { trimmed_to, .. }) = parcel.message
            {
                self.nodes[at].trim(trimmed_to);
            }
            inputs.extend(Input::from_peer(parcel.from, parcel.message));
        }
        if (self.now_ms + at as u64 * 37).is_multiple_of(1_000) {
            inputs.push(Input::Retry);
        }
        let crash = self.crash_of_batch(&inputs);
        if !inputs.is_empty() || self.nodes[at].is_due(self.instant()) {
            self.step(at, inputs, crash);
        }
        if crash.is_some() {
            self.note(|| format!("crash {at}, {crash:?}"));
            self.note_crash(at);
        }
        if self.nodes[at].has_ended_owners() {
            self.stats.ended += 1;
            self.expire_owners(at);
        }
        // Each changes what is overdue; a node that was paused may have many.
        while let Some(segment) = self.nodes[at].overdue(self.now_ms) {
            self.step(at, vec![Input::Overdue { segment }], None);
        }
    }

    pub(crate) fn step(&mut self, at: usize, inputs: Vec<Input>, crash: Option<Crash>) {
        if !self.nodes[at].is_up() {
            return;
        }
        if self.is_traced {
            for input in inputs.iter().filter(|input| !matches!(input, Input::Retry)) {
                self.note(|| format!("node {at} takes {}", trace::input(input, START)));
            }
        }
        let flush = self.rng.random_range(0..50) == 0;
        let now = (self.now_ms, self.instant());
        let output = self.nodes[at].batch(now, inputs, crash, flush);
        self.stats.ballots += output.ballots;
        if output.ends_feeds {
            self.stats.trims += 1;
            self.end_feeds(at);
        }
        for id in output.refused {
            let entry = self.entries.iter_mut().find(|entry| entry.owner == id.owner);
            entry.into_iter().for_each(|entry| entry.refused(id_of(at)));
        }
        for (to, message) in output.sends {
            let parcel = Parcel { from: id_of(at), to, message };
            self.network.send(self.now_ms, &parcel, self.faults, &mut self.rng);
        }
        for elected in output.elected {
            self.check_elected(at, elected);
            for reader in &mut self.readers {
                reader.tell(id_of(at), order::Input::Resolved { from: id_of(at), elected });
            }
        }
        if let Some(stamp) = output.watermark {
            for reader in &mut self.readers {
                reader.tell(id_of(at), order::Input::Watermark { from: id_of(at), stamp });
            }
        }
    }

    fn check_elected(&mut self, at: usize, elected: Elected) {
        let (id, stamp) = (elected.meta.id, elected.stamp());
        assert!(!self.given_up.contains(&id), "{id} is elected, and goes on under another owner");
        if let Some(known) = self.elected.get(&id) {
            assert_eq!(*known, elected, "{id} is elected with two values");
            return;
        }
        self.note(|| {
            format!("node {at} elects {} at {}", trace::segment(id), trace::stamp(stamp, START))
        });
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
        let holders = segment.stored_by.iter().chain(&segment.moved_to);
        let group = elected.challenger.group;
        assert_eq!(elected.meta, segment.meta, "a content that W nodes do not have is elected");
        let holders = holders.filter(|ndb| segment.is_held_by(**ndb));
        let durable = holders.filter(|ndb| ndb.group == group).count();
        assert!(
            durable >= usize::from(WRITE_QUORUM),
            "{id} is elected into {group}, where {durable} nodes have it"
        );
        self.clocks.check(self.now_ms, stamp);
        assert!(stamp > segment.after, "{id} was submitted after {} was elected", segment.after);
    }
}

pub(crate) fn id_of(at: usize) -> SyncId {
    SyncId(u8::try_from(at).expect("few nodes"))
}
