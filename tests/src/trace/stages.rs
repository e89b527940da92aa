//! From marks to stages: what each segment waited for, and for whom.

use vixen_core::id::SegmentId;
use vixen_core::tier::Tier;

use super::node::{Mark, NodeTrace, WallNs};

/// One after the other, in this order. A segment may lack some: it was elected by a ballot, or a mark is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The segment before it had no place yet.
    Wait,
    /// From the entry to the W-th ndb node that had it durable.
    ToNdb,
    /// Until it was on that node's disk.
    Journal,
    /// Until the home knew of W.
    ToHome,
    /// Until the last sync node had the home's proposal.
    Propose,
    /// Until some sync node had the votes of all.
    Vote,
    /// It went by a ballot: from the home, or from W, to its place.
    Ballot,
    /// Until the entry knew its place.
    Tell,
}

impl Stage {
    pub(super) const ALL: [Self; 8] = [
        Self::Wait,
        Self::ToNdb,
        Self::Journal,
        Self::ToHome,
        Self::Propose,
        Self::Vote,
        Self::Ballot,
        Self::Tell,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait for the segment before",
            Self::ToNdb => "to the W-th ndb node",
            Self::Journal => "its journal",
            Self::ToHome => "to the home",
            Self::Propose => "proposal to the last sync node",
            Self::Vote => "votes of all",
            Self::Ballot => "ballot",
            Self::Tell => "told, and its turn in the order",
        }
    }
}

/// One stage of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waited {
    pub(super) stage: Stage,
    pub(super) ns: u64,
    /// Whom it waited for.
    pub(super) node: String,
    /// How long that node took no input meanwhile, at most.
    pub(super) still_ns: u64,
    /// Whether it was writing then.
    pub(super) was_writing: bool,
}

/// A segment from its first message to its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stages {
    pub(super) segment: SegmentId,
    pub(super) entry: String,
    pub(super) total_ns: u64,
    pub(super) waited: Vec<Waited>,
}

/// How far a segment was, when, and which node had brought it there.
type Point<'a> = (Stage, &'a NodeTrace, WallNs);

impl Stages {
    /// Of all segments that have got their place.
    pub(super) fn of_all(nodes: &[NodeTrace], write_quorum: usize) -> Vec<Self> {
        let entries = nodes.iter().filter(|node| node.tier == Tier::Entry);
        entries
            .flat_map(|entry| {
                let placed = entry.all(Mark::Placed);
                placed.filter_map(move |(segment, at)| {
                    Self::of(nodes, entry, (segment, at), write_quorum)
                })
            })
            .collect()
    }

    fn of(
        nodes: &[NodeTrace],
        entry: &NodeTrace,
        (segment, placed): (SegmentId, WallNs),
        write_quorum: usize,
    ) -> Option<Self> {
        let opened = entry.times(segment, Mark::Opened).next()?;
        let closed = entry.times(segment, Mark::Closed).next()?;
        let mut points: Vec<Point<'_>> = vec![(Stage::Wait, entry, closed)];
        points.extend(of_ndb(nodes, segment, write_quorum));
        points.extend(of_sync(nodes, segment, write_quorum));
        let last = if is_elected_fast(&points) { Stage::Tell } else { Stage::Ballot };
        points.push((last, entry, placed));
        let mut from = opened;
        let mut waited = Vec::new();
        for (stage, node, at) in points {
            // Marks of two nodes may be a little out of order: clocks tell whole milliseconds.
            let to = at.clamp(from, placed.max(from));
            let (still_ns, was_writing) = node.standstill(from, to);
            let node = node.name.clone();
            waited.push(Waited { stage, ns: to - from, node, still_ns, was_writing });
            from = to;
        }
        let entry = entry.name.clone();
        Some(Self { segment, entry, total_ns: placed.saturating_sub(opened), waited })
    }

    /// What it waited longest for.
    pub(super) fn longest(&self) -> Option<&Waited> {
        self.waited.iter().max_by_key(|waited| waited.ns)
    }
}

fn is_elected_fast(points: &[Point<'_>]) -> bool {
    points.iter().any(|(stage, ..)| *stage == Stage::Vote)
}

fn of_tier(nodes: &[NodeTrace], tier: Tier) -> impl Iterator<Item = &NodeTrace> {
    nodes.iter().filter(move |node| node.tier == tier)
}

/// The ndb node whose disk made W of them.
fn of_ndb(nodes: &[NodeTrace], segment: SegmentId, write_quorum: usize) -> Vec<Point<'_>> {
    let first = |node: &NodeTrace, mark| node.times(segment, mark).next();
    let mut durable: Vec<_> = of_tier(nodes, Tier::Ndb)
        .filter_map(|node| Some((first(node, Mark::Durable)?, first(node, Mark::Whole)?, node)))
        .collect();
    durable.sort_by_key(|(durable, ..)| *durable);
    let Some(&(durable, whole, node)) = durable.get(write_quorum.saturating_sub(1)) else {
        return Vec::new();
    };
    vec![(Stage::ToNdb, node, whole), (Stage::Journal, node, durable)]
}

/// The home, the last node to have its proposal, and the last whose vote was counted where all were.
fn of_sync(nodes: &[NodeTrace], segment: SegmentId, write_quorum: usize) -> Vec<Point<'_>> {
    let count = of_tier(nodes, Tier::Sync).count();
    let proposed = |node: &NodeTrace| node.times(segment, Mark::Proposed).next();
    let others = of_tier(nodes, Tier::Sync).filter_map(|node| Some((proposed(node)?, node)));
    let last = others.max_by_key(|(at, _)| *at);
    let mut points = Vec::new();
    // Who proposes does not hear it: a vote of one node has neither.
    let home = of_tier(nodes, Tier::Sync)
        .find(|node| proposed(node).is_none() && (last.is_some() || count == 1));
    let kept = home.and_then(|home| {
        let mut kept = home.times(segment, Mark::Kept);
        Some((home, kept.nth(write_quorum.saturating_sub(1))?))
    });
    points.extend(kept.map(|(home, at)| (Stage::ToHome, home, at)));
    let Some((at, node)) = last else { return points };
    points.push((Stage::Propose, node, at));
    if of_tier(nodes, Tier::Sync).any(|node| node.times(segment, Mark::Balloted).next().is_some()) {
        return points;
    }
    let counted = of_tier(nodes, Tier::Sync).filter_map(|node| {
        let mut voters: Vec<_> = node.votes(segment).map(|(_, from)| from).collect();
        voters.sort_unstable();
        voters.dedup();
        // Its own is not heard.
        (voters.len() + 1 >= count).then_some(node.votes(segment).max()?)
    });
    if let Some((at, voter)) = counted.min() {
        let voter = of_tier(nodes, Tier::Sync).find(|node| node.sync == Some(voter));
        points.extend(voter.map(|voter| (Stage::Vote, voter, at)));
    }
    points
}
