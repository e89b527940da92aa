//! The properties that depend only on what readers have heard: judged once for each combination
//! of feeds.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{Ballot, SegmentId, Stamp};
use vixen_core::order::{Frontier, Learned};
use vixen_core::segment::{Acceptance, Elected, SegmentMeta};

use crate::fault::Fault;
use crate::instance::{MEMBERS, NODES, membership};
use crate::node::{Feed, Turn};

/// Which properties hold; see `Cluster::properties` for their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Verdict {
    /// A segment is elected with two values.
    pub(crate) has_two_values: bool,
    /// Two segments are elected at one stamp.
    pub(crate) has_equal_stamps: bool,
    /// A segment is elected below its predecessor.
    pub(crate) breaks_owner_order: bool,
    /// Something is elected below a frontier that does not know it, or a frontier delivers out of
    /// order.
    pub(crate) breaks_frontier: bool,
    /// A watermark fell.
    pub(crate) has_fallen: bool,
    /// An assertion of the vote failed.
    pub(crate) has_panicked: bool,
    /// All segments are elected at all nodes, and a frontier has delivered them.
    pub(crate) is_complete: bool,
}

/// All that is known elected anywhere: at a node, or by a reader who has heard all that was ever told accepted.
pub(crate) fn known(feeds: &[&Feed; NODES], fault: Option<Fault>) -> BTreeSet<Elected> {
    let mut frontier = reader(fault);
    let mut known: BTreeSet<Elected> =
        feeds.iter().flat_map(|feed| feed.elected.iter().copied()).collect();
    for (at, feed) in feeds.iter().enumerate() {
        for acceptance in &feed.votes {
            let counted = accept(&mut frontier, at, acceptance, fault);
            known.extend(counted.map(|(elected, _)| elected));
        }
    }
    known
}

/// Judges what readers have heard of the nodes.
pub(crate) fn judge(
    feeds: &[&Feed; NODES],
    segments: &[SegmentMeta],
    fault: Option<Fault>,
) -> Verdict {
    let elected = known(feeds, fault);
    let stamps: BTreeSet<Stamp> = elected.iter().map(Elected::stamp).collect();
    let values: BTreeMap<SegmentId, Elected> = elected.iter().map(|e| (e.meta.id, *e)).collect();
    let below = |(id, later): (&SegmentId, &Elected)| {
        let previous = id.previous().and_then(|previous| values.get(&previous));
        previous.is_some_and(|earlier| earlier.stamp() >= later.stamp())
    };
    let everywhere = feeds.iter().all(|feed| feed.elected.len() == segments.len());
    let now = majorities().map(|nodes| read(feeds, &nodes, fault));
    let behind = lagging(feeds, fault);
    Verdict {
        has_two_values: values.len() < elected.len(),
        has_equal_stamps: stamps.len() < values.len(),
        breaks_owner_order: values.iter().any(below),
        breaks_frontier: now.chain(behind).any(|frontier| !is_certain(frontier, &elected)),
        has_fallen: feeds.iter().any(|feed| feed.has_fallen),
        has_panicked: feeds.iter().any(|feed| feed.has_panicked),
        is_complete: everywhere
            && delivered(&mut read(feeds, &[0, 1, 2], fault)).len() == segments.len(),
    }
}

/// Every set of nodes that is a majority.
fn majorities() -> impl Iterator<Item = Vec<usize>> {
    let sets = (0..1usize << NODES).map(|bits| (0..NODES).filter(move |at| bits >> at & 1 == 1));
    sets.map(Iterator::collect::<Vec<_>>).filter(|nodes| nodes.len() >= membership().quorum())
}

/// A reader who has heard nothing.
fn reader(fault: Option<Fault>) -> Frontier {
    Frontier::with_rules(Fault::reads(fault), membership(), Stamp::ZERO)
}

fn accept(
    frontier: &mut Frontier,
    at: usize,
    acceptance: &Acceptance,
    fault: Option<Fault>,
) -> Option<(Elected, Learned)> {
    let mut acceptance = *acceptance;
    if fault == Some(Fault::BallotsAddUp) {
        acceptance.ballot = Some(Ballot(0));
    }
    frontier.accept(MEMBERS[at], &acceptance)
}

/// A reader who has heard all that these nodes have told since they started.
fn read(feeds: &[&Feed; NODES], nodes: &[usize], fault: Option<Fault>) -> Frontier {
    let mut frontier = reader(fault);
    for at in nodes {
        let feed = feeds[*at];
        for acceptance in &feed.accepted {
            let _may_count = accept(&mut frontier, *at, acceptance, fault);
        }
        for elected in &feed.elected {
            let _may_be_two_values = frontier.learn(*elected);
        }
    }
    for at in nodes {
        feeds[*at].marks.iter().for_each(|marks| frontier.raise(MEMBERS[*at], *marks));
    }
    frontier
}

/// What somebody has read of a feed.
#[derive(Clone, Copy)]
enum Part {
    /// Its first so many turns.
    First(usize),
    /// Who followed it after so many turns.
    Since(usize),
}

/// Readers who have read each feed up to any moment, of those whose turns are kept.
fn lagging(feeds: &[&Feed; NODES], fault: Option<Fault>) -> impl Iterator<Item = Frontier> {
    let parts = feeds.map(|feed| {
        let count = feed.turns.len();
        let first = (0..=count).map(Part::First);
        first.chain((1..=count).map(Part::Since)).collect::<Vec<_>>()
    });
    let [a, b, c] = parts;
    let has_turns = feeds.iter().any(|feed| !feed.turns.is_empty());
    let all = a.into_iter().filter(move |_| has_turns).flat_map(move |a| {
        let c = c.clone();
        b.clone().into_iter().flat_map(move |b| c.clone().into_iter().map(move |c| [a, b, c]))
    });
    all.map(move |parts| read_parts(feeds, parts, fault))
}

fn read_parts(feeds: &[&Feed; NODES], parts: [Part; NODES], fault: Option<Fault>) -> Frontier {
    let mut frontier = reader(fault);
    let longest = feeds.iter().map(|feed| feed.turns.len()).max().unwrap_or_default();
    for turn in 0..longest {
        for (at, feed) in feeds.iter().enumerate() {
            match parts[at] {
                Part::First(count) if turn < count => {
                    hear(&mut frontier, at, &feed.turns[turn], fault);
                }
                Part::Since(count) if turn + 1 == count => {
                    follow(&mut frontier, at, &feed.turns[..count], fault);
                }
                Part::First(_) | Part::Since(_) => {}
            }
        }
    }
    frontier
}

fn hear(frontier: &mut Frontier, at: usize, turn: &Turn, fault: Option<Fault>) {
    if turn.is_new {
        frontier.restart(MEMBERS[at]);
    }
    for acceptance in &turn.accepted {
        let _may_count = accept(frontier, at, acceptance, fault);
    }
    for elected in &turn.elected {
        let _may_be_two_values = frontier.learn(*elected);
    }
    turn.marks.iter().for_each(|marks| frontier.raise(MEMBERS[at], *marks));
}

/// A feed that begins after these turns: what its node has elected and forgets nothing of, what is pending, and then the
/// watermark.
fn follow(frontier: &mut Frontier, at: usize, turns: &[Turn], fault: Option<Fault>) {
    let elected = turns.iter().flat_map(|turn| &turn.elected);
    let pending = turns.last().into_iter().flat_map(|turn| &turn.pending);
    let of_process = turns.iter().rposition(|turn| turn.is_new).unwrap_or_default();
    let marks = turns[of_process..].iter().rev().find_map(|turn| turn.marks);
    for elected in elected {
        let _may_be_two_values = frontier.learn(*elected);
    }
    for acceptance in pending {
        let _may_count = accept(frontier, at, acceptance, fault);
    }
    marks.iter().for_each(|marks| frontier.raise(MEMBERS[at], *marks));
}

fn delivered(frontier: &mut Frontier) -> Vec<Elected> {
    std::iter::from_fn(|| frontier.take_next()).collect()
}

/// Whether a frontier has, in order, exactly what is elected up to it.
///
/// What other nodes have elected is told before anything is delivered: afterwards a frontier would
/// take a stranger below its last delivery for a repeat.
fn is_certain(mut frontier: Frontier, elected: &BTreeSet<Elected>) -> bool {
    let sigma = frontier.sigma();
    let mut stranger = frontier.clone();
    let is_stable = elected.iter().all(|e| stranger.learn(*e) != Learned::Violation);
    let order = delivered(&mut frontier);
    let rises = order.windows(2).all(|pair| pair[0].stamp() < pair[1].stamp());
    let expected = elected.iter().filter(|e| e.stamp() <= sigma).count();
    is_stable && rises && order.len() == expected
}
