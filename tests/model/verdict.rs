//! The properties that depend only on what readers have heard: judged once for each combination
//! of feeds.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{SegmentId, Stamp};
use vixen_core::order::{Frontier, Learned};
use vixen_core::segment::{Elected, SegmentMeta};

use crate::instance::{MEMBERS, NODES, membership};
use crate::node::Feed;

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

/// All that is elected anywhere.
pub(crate) fn union(feeds: &[&Feed; NODES]) -> BTreeSet<Elected> {
    feeds.iter().flat_map(|feed| feed.elected.iter().copied()).collect()
}

/// Judges what readers have heard of the nodes.
pub(crate) fn judge(feeds: &[&Feed; NODES], segments: &[SegmentMeta]) -> Verdict {
    let elected = union(feeds);
    let stamps: BTreeSet<Stamp> = elected.iter().map(Elected::stamp).collect();
    let values: BTreeMap<SegmentId, Elected> = elected.iter().map(|e| (e.meta.id, *e)).collect();
    let below = |(id, later): (&SegmentId, &Elected)| {
        let previous = id.previous().and_then(|previous| values.get(&previous));
        previous.is_some_and(|earlier| earlier.stamp() >= later.stamp())
    };
    let everywhere = feeds.iter().all(|feed| feed.elected.len() == segments.len());
    Verdict {
        has_two_values: values.len() < elected.len(),
        has_equal_stamps: stamps.len() < values.len(),
        breaks_owner_order: values.iter().any(below),
        breaks_frontier: majorities().any(|nodes| !is_certain(feeds, &nodes, &elected)),
        has_fallen: feeds.iter().any(|feed| feed.has_fallen),
        has_panicked: feeds.iter().any(|feed| feed.has_panicked),
        is_complete: everywhere && delivered(&mut read(feeds, &[0, 1, 2])).len() == segments.len(),
    }
}

/// Every set of nodes that is a majority.
fn majorities() -> impl Iterator<Item = Vec<usize>> {
    let sets = (0..1usize << NODES).map(|bits| (0..NODES).filter(move |at| bits >> at & 1 == 1));
    sets.map(Iterator::collect::<Vec<_>>).filter(|nodes| nodes.len() >= membership().quorum())
}

/// A reader who has heard all that these nodes have told.
fn read(feeds: &[&Feed; NODES], nodes: &[usize]) -> Frontier {
    let mut frontier = Frontier::new(membership(), Stamp::ZERO);
    for at in nodes {
        for elected in &feeds[*at].elected {
            let _may_be_two_values = frontier.learn(*elected);
        }
    }
    for at in nodes {
        frontier.raise(MEMBERS[*at], feeds[*at].told);
    }
    frontier
}

fn delivered(frontier: &mut Frontier) -> Vec<Elected> {
    std::iter::from_fn(|| frontier.take_next()).collect()
}

/// Whether the frontier of these nodes has, in order, exactly what is elected up to it.
///
/// What other nodes have elected is told before anything is delivered: afterwards a frontier would
/// take a stranger below its last delivery for a repeat.
fn is_certain(feeds: &[&Feed; NODES], nodes: &[usize], elected: &BTreeSet<Elected>) -> bool {
    let mut frontier = read(feeds, nodes);
    let sigma = frontier.sigma();
    let mut stranger = frontier.clone();
    let is_stable = elected.iter().all(|e| stranger.learn(*e) != Learned::Violation);
    let order = delivered(&mut frontier);
    let rises = order.windows(2).all(|pair| pair[0].stamp() < pair[1].stamp());
    let expected = elected.iter().filter(|e| e.stamp() <= sigma).count();
    is_stable && rises && order.len() == expected
}
