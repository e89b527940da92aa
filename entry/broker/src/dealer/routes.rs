//! Routes: who may be called, and which of them is.
//!
//! Source: WAMP spec *Shared Registration*; what routers really do, and what is left of it here, is in
//! `docs/design/027-calls.md`.

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::Topic;

use crate::api::SessionId;
use crate::api::calls::Invoke as Policy;

/// The view of the registrations, as the dealer asks it.
pub trait Routes {
    /// The registration that serves a procedure.
    ///
    /// # Errors
    /// Where the view cannot tell yet: why.
    fn find(&self, procedure: &Topic) -> Result<Option<Route>, Arc<str>>;

    /// The callees of a registration in the order of their places.
    fn callees(
        &self,
        registration: Position,
    ) -> impl DoubleEndedIterator<Item = (Position, Callee)>;

    /// The same, beginning with the one after a place, which may be nobody's any more.
    fn callees_after(
        &self,
        registration: Position,
        place: Position,
    ) -> impl Iterator<Item = (Position, Callee)>;

    /// How many callees a registration has.
    fn number_of_callees(&self, registration: Position) -> usize {
        self.callees(registration).count()
    }

    /// Whether the callee at a place gives up calls itself when their time is over.
    fn keeps_timeouts(&self, _registration: Position, _place: Position) -> bool {
        false
    }

    /// What people call an entry, where the view has that.
    fn name_of(&self, entry: OwnerId) -> Option<Arc<str>>;

    /// Whether what the view does not know is registered nowhere: where nobody but this entry writes records.
    fn is_complete(&self) -> bool {
        true
    }

    /// All records up to this position are in the view.
    fn applied(&self) -> Position;

    /// Why a callee of this entry may not be invoked yet by this registration, if it may not.
    fn hold(&self, _now: Instant, _registration: Position) -> Option<Hold> {
        None
    }
}

/// What keeps a call from its only callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Another entry may still invoke whoever had the procedure before.
    HandOver,
    /// It is invoked under a lease alone: while the view was complete a moment ago.
    Lease,
}

/// A registration, as calls need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The position of the record that made it.
    pub registration: Position,
    /// It is a pattern: its callees are told what was called.
    pub is_pattern: bool,
    /// Which callee is called.
    pub policy: Policy,
}

/// A callee, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Callee {
    /// Its entry.
    pub owner: OwnerId,
    /// Its session there.
    pub session: SessionId,
}

/// What a look at a callee tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It may be called.
    Able,
    /// It was tried before, or its entry cannot be reached.
    Away,
    /// It is of this entry, and takes no more now.
    Busy,
    /// The same, and no other is called in its place.
    Stop,
}

/// Callees of this entry that a call finds busy before it gives up: a look costs more than a step does.
const LOOKS_MAX: usize = 1024;

/// Draws of the policy `random` before it asks who is able at all.
const DRAWS_MAX: usize = 16;

/// What is remembered of how callees were chosen.
#[derive(Debug)]
pub(super) struct Chooser {
    /// Of registrations with round robin: the place that was taken last.
    turns: BTreeMap<Position, Position>,
    random: StdRng,
}

impl Chooser {
    /// With a secret, so that nobody can tell which callee comes next.
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { turns: BTreeMap::new(), random: StdRng::from_seed(seed) }
    }

    /// Chooses among those of whom `look` says that they are able.
    pub(super) fn choose(
        &mut self,
        routes: &impl Routes,
        route: &Route,
        routing_key: Option<RoutingKey>,
        mut look: impl FnMut(&Callee) -> Look,
    ) -> Option<(Position, Callee)> {
        let Route { registration, policy, .. } = *route;
        let all = || routes.callees(registration);
        if let Some(key) = routing_key.filter(|_| policy != Policy::Single) {
            let weights = all().map(|(place, callee)| (key.weight(callee), place));
            let mut weights: BinaryHeap<_> = weights.collect();
            let pop = || weights.pop().map(|((_, callee), place)| (place, callee));
            return walk(std::iter::from_fn(pop), &mut look).found;
        }
        match policy {
            Policy::Single | Policy::First => walk(all(), &mut look).found,
            Policy::Last => walk(all().rev(), &mut look).found,
            Policy::RoundRobin => {
                let last = self.turns.get(&registration).copied().unwrap_or_default();
                let walked = walk(routes.callees_after(registration, last), &mut look);
                // Whom this call has looked at in vain, the next one does not look at first.
                if let Some(place) = walked.last {
                    self.turns.insert(registration, place);
                }
                walked.found
            }
            Policy::Random => {
                let callees = routes.number_of_callees(registration);
                for _ in 0..DRAWS_MAX.min(callees) {
                    let nth = self.random.random_range(0..callees);
                    let (place, callee) = all().nth(nth)?;
                    if look(&callee) == Look::Able {
                        return Some((place, callee));
                    }
                }
                // Few are able: any of those.
                let mut able = Vec::new();
                let is_able = |(place, callee): (Position, Callee)| match look(&callee) {
                    Look::Able => {
                        able.push((place, callee));
                        Look::Busy
                    }
                    not @ (Look::Away | Look::Busy | Look::Stop) => not,
                };
                walk_places(all(), is_able);
                let nth = (!able.is_empty()).then(|| self.random.random_range(0..able.len()))?;
                able.get(nth).copied()
            }
        }
    }

    /// A registration is no more.
    pub(super) fn forget(&mut self, registration: Position) {
        self.turns.remove(&registration);
    }

    /// How many registrations are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.turns.len()
    }
}

/// How far callees were looked at, by their places.
struct Walk {
    last: Option<Position>,
    found: Option<(Position, Callee)>,
}

/// Looks at callees up to the first that is able.
fn walk(
    all: impl Iterator<Item = (Position, Callee)>,
    mut look: impl FnMut(&Callee) -> Look,
) -> Walk {
    walk_places(all, |(_, callee)| look(&callee))
}

/// The same, with their places.
fn walk_places(
    all: impl Iterator<Item = (Position, Callee)>,
    mut look: impl FnMut((Position, Callee)) -> Look,
) -> Walk {
    let (mut last, mut busy) = (None, 0);
    for (place, callee) in all {
        last = Some(place);
        match look((place, callee)) {
            Look::Able => return Walk { last, found: Some((place, callee)) },
            Look::Away => {}
            Look::Busy => {
                busy += 1;
                if busy == LOOKS_MAX {
                    break;
                }
            }
            Look::Stop => break,
        }
    }
    Walk { last, found: None }
}

/// What a caller chooses a callee by, as a hash of it: the text need not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoutingKey(u64);

impl RoutingKey {
    pub(super) fn new(key: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(key.as_bytes()).as_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Rendezvous: all entries, of whatever version, find the same callee for a key, and one that leaves moves only
    /// its own keys.
    fn weight(self, callee: Callee) -> (u64, Callee) {
        let (high, low) = callee.owner.0.as_u64_pair();
        let mixed = mix(mix(mix(self.0) ^ high) ^ low);
        (mix(mixed ^ callee.session.0), callee)
    }
}

/// The finalizer of SplitMix64 (Steele et al., *Fast Splittable Pseudorandom Number Generators*, 2014).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of all versions send a key to the same callee: what this says never changes.
    #[test]
    fn weights_of_routing_keys_are_golden() {
        let callee = |owner: u128, session| Callee {
            owner: OwnerId(uuid::Uuid::from_u128(owner)),
            session: SessionId(session),
        };
        let weight = |(key, callee)| RoutingKey::new(key).weight(callee).0;
        let asked = [
            ("", callee(1, 1)),
            ("key", callee(1, 1)),
            ("key", callee(1, 2)),
            ("key", callee(u128::MAX, 1)),
        ];
        let golden = [
            10_963_261_064_954_876_315,
            9_397_824_726_441_493_872,
            11_201_997_352_552_976_897,
            13_797_103_272_693_473_866,
        ];
        assert_eq!(asked.map(weight), golden);
    }
}
