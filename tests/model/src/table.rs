//! Tables that make the states of the cluster small and its steps cheap.
//!
//! A node of the model steps as a function of its own state and one event, and there are far fewer
//! states of one node than of the cluster. So each state of a node, each event and each feed is
//! kept once, under a number; a state of the cluster is a handful of numbers; and each step of the
//! vote is computed once, whatever the rest of the cluster does meanwhile. Numbers are equal
//! exactly when what they stand for is, so this loses nothing.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::FxHashMap;
use vixen_core::id::Ballot;
use vixen_core::segment::SegmentMeta;
use vixen_vote::Input;

use crate::cache;
use crate::event::{Event, ballot_of};
use crate::fault::Fault;
use crate::instance::NODES;
use crate::node::{Feed, Node, Sends};
use crate::verdict::{Verdict, judge};

/// Number of a kept thing.
pub(crate) type Number = u32;

/// Things kept once each.
#[derive(Debug)]
struct Kept<T> {
    numbers: FxHashMap<Arc<T>, Number>,
    things: Vec<Arc<T>>,
}

impl<T: Eq + Hash> Kept<T> {
    fn new() -> Self {
        Self { numbers: FxHashMap::default(), things: Vec::new() }
    }

    /// The number of the thing, and whether it is new.
    fn keep(&mut self, thing: T) -> (Number, bool) {
        if let Some(number) = self.numbers.get(&thing) {
            return (*number, false);
        }
        let number = Number::try_from(self.things.len()).expect("fewer than 2^32 things");
        let thing = Arc::new(thing);
        self.things.push(Arc::clone(&thing));
        self.numbers.insert(thing, number);
        (number, true)
    }

    fn thing(&self, number: Number) -> Arc<T> {
        Arc::clone(&self.things[number as usize])
    }
}

/// An event on its way to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parcel {
    pub(crate) to: usize,
    pub(crate) event: Event,
}

/// What the cluster must know of a node's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) is_up: bool,
    pub(crate) is_settled: bool,
    /// Segments known elected by a node that cannot crash any more.
    pub(crate) settled: u8,
    /// Bit `n`: it has a link to node `n`, as it knows.
    pub(crate) links: u8,
    /// Election rows, and whether vote rows, that a crash may lose.
    pub(crate) waiting: (u8, bool),
    pub(crate) feed: Number,
}

/// What comes of an event at a node.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) node: Number,
    /// Parcels that leave.
    pub(crate) sends: Option<Arc<[Number]>>,
    /// The highest ballot of a message that leaves.
    pub(crate) ballot: Ballot,
    /// A vote for a ballot above 0 leaves: with three nodes its sender and its coordinator are a
    /// quorum.
    pub(crate) is_taken_over: bool,
    /// What comes of it when the node dies in the commit of the step: that node, and what left before.
    pub(crate) torn: Option<(Number, Arc<[Number]>)>,
    /// The parcel never changes anything any more.
    pub(crate) is_inert: bool,
    /// Nothing changes at the node, and nothing leaves.
    pub(crate) changes_nothing: bool,
}

static TABLES: AtomicU64 = AtomicU64::new(0);

/// See the module doc.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Tells these tables from others of the process.
    id: u64,
    fault: Option<Fault>,
    segments: Vec<SegmentMeta>,
    nodes: RwLock<(Kept<Node>, Vec<Facts>)>,
    parcels: RwLock<Kept<Parcel>>,
    feeds: RwLock<Kept<Feed>>,
    steps: RwLock<FxHashMap<(Number, Number), Outcome>>,
    verdicts: RwLock<FxHashMap<[Number; NODES], Verdict>>,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Tables {
    pub(crate) fn new(segments: Vec<SegmentMeta>, fault: Option<Fault>) -> Self {
        Self {
            id: TABLES.fetch_add(1, Ordering::Relaxed),
            fault,
            segments,
            nodes: RwLock::new((Kept::new(), Vec::new())),
            parcels: RwLock::new(Kept::new()),
            feeds: RwLock::new(Kept::new()),
            steps: RwLock::default(),
            verdicts: RwLock::default(),
        }
    }

    pub(crate) const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(crate) fn segments(&self) -> &[SegmentMeta] {
        &self.segments
    }

    pub(crate) fn keep_node(&self, node: Node) -> Number {
        let mut nodes = write(&self.nodes);
        let feed = write(&self.feeds).keep(node.feed.clone()).0;
        let (elections, votes) = node.waiting();
        let facts = Facts {
            is_up: node.is_up(),
            is_settled: node.is_settled(),
            settled: u8::try_from(node.settled()).expect("few segments"),
            links: node.links().iter().fold(0, |links, peer| links | 1 << peer.0),
            waiting: (u8::try_from(elections).expect("few segments"), votes),
            feed,
        };
        let (number, is_new) = nodes.0.keep(node);
        if is_new {
            nodes.1.push(facts);
        }
        number
    }

    pub(crate) fn node(&self, number: Number) -> Arc<Node> {
        read(&self.nodes).0.thing(number)
    }

    /// What the cluster must know of the nodes.
    pub(crate) fn facts(&self, nodes: [Number; NODES]) -> [Facts; NODES] {
        nodes.map(|node| cache::facts(self.id, node, || read(&self.nodes).1[node as usize]))
    }

    pub(crate) fn keep_parcel(&self, to: usize, event: Event) -> Number {
        write(&self.parcels).keep(Parcel { to, event }).0
    }

    pub(crate) fn parcel(&self, number: Number) -> Arc<Parcel> {
        read(&self.parcels).thing(number)
    }

    /// The node that the parcel goes to.
    pub(crate) fn receiver(&self, number: Number) -> usize {
        cache::receiver(self.id, number, || read(&self.parcels).things[number as usize].to)
    }

    pub(crate) fn feed(&self, number: Number) -> Arc<Feed> {
        read(&self.feeds).thing(number)
    }

    /// What comes of the parcel at the node, which is its receiver.
    pub(crate) fn step(&self, node: Number, parcel: Number) -> cache::Step {
        cache::step(self.id, node, parcel, || self.shared_step(node, parcel))
    }

    fn shared_step(&self, node: Number, parcel: Number) -> Outcome {
        if let Some(outcome) = read(&self.steps).get(&(node, parcel)) {
            return outcome.clone();
        }
        let before = self.node(node);
        let event = &self.parcel(parcel).event;
        let torn = before.torn(event, self.fault).map(|torn| {
            let sends = self.keep_sends(torn.sends);
            (self.keep_node(torn.node), sends)
        });
        let mut next = Node::clone(&before);
        let sends = next.step(event, self.fault);
        let changes_nothing = sends.is_empty() && next == *before;
        let is_inert = match event {
            Event::Input(input) => before.is_inert(input),
            _ => false,
        };
        let ballot = sends.iter().map(|(_, input)| ballot_of(input)).max().unwrap_or_default();
        let is_late_vote = |(_, input): &(_, Input)| {
            matches!(input, Input::Vote { .. }) && ballot_of(input) > Ballot(0)
        };
        let is_taken_over = sends.iter().any(is_late_vote);
        let sends = self.keep_sends(sends);
        let node_after = self.keep_node(next);
        let sends = (!sends.is_empty()).then_some(sends);
        let outcome = Outcome {
            node: node_after,
            sends,
            ballot,
            is_taken_over,
            torn,
            is_inert,
            changes_nothing,
        };
        write(&self.steps).insert((node, parcel), outcome.clone());
        outcome
    }

    fn keep_sends(&self, sends: Sends) -> Arc<[Number]> {
        let parcels = sends.into_iter();
        parcels.map(|(to, input)| self.keep_parcel(to.0.into(), Event::Input(input))).collect()
    }

    /// Judges the feeds of all nodes.
    pub(crate) fn verdict(&self, feeds: [Number; NODES]) -> Verdict {
        if let Some(verdict) = read(&self.verdicts).get(&feeds) {
            return *verdict;
        }
        let kept = feeds.map(|number| self.feed(number));
        let verdict = judge(&[&kept[0], &kept[1], &kept[2]], &self.segments, self.fault);
        write(&self.verdicts).insert(feeds, verdict);
        verdict
    }

    /// How many states of single nodes and how many messages were met.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (read(&self.nodes).0.things.len(), read(&self.parcels).things.len())
    }
}
