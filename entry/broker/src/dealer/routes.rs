//! Routes: who may be called, and which of them is.
//!
//! Source: WAMP spec *Shared Registration*; what routers really do, and what is left of it here, is in
//! `docs/design/027-calls.md`.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustc_hash::FxHasher;

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

    /// All records up to this position are in the view.
    fn applied(&self) -> Position;
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

    /// Chooses among those who `may` be called.
    pub(super) fn choose(
        &mut self,
        routes: &impl Routes,
        route: &Route,
        routing_key: Option<&str>,
        may: impl Fn(&Callee) -> bool,
    ) -> Option<Callee> {
        let all = || routes.callees(route.registration).map(|(_, callee)| callee).filter(&may);
        if let Some(key) = routing_key.filter(|_| route.policy != Policy::Single) {
            return all().max_by_key(|callee| weight(key, callee));
        }
        match route.policy {
            Policy::Single | Policy::First => all().next(),
            Policy::Last => all().next_back(),
            Policy::RoundRobin => {
                let last = self.turns.get(&route.registration).copied().unwrap_or_default();
                let mut after = routes.callees_after(route.registration, last);
                let (place, callee) = after.find(|(_, callee)| may(callee))?;
                self.turns.insert(route.registration, place);
                Some(callee)
            }
            Policy::Random => {
                let able = all().count();
                let nth = (able > 0).then(|| self.random.random_range(0..able))?;
                all().nth(nth)
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

/// Rendezvous: all entries find the same callee for a key, and one that leaves moves only its own keys.
fn weight(key: &str, callee: &Callee) -> (u64, OwnerId, SessionId) {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    let (high, low) = callee.owner.0.as_u64_pair();
    let mixed = mix(mix(mix(hasher.finish()) ^ high) ^ low);
    (mix(mixed ^ callee.session.0), callee.owner, callee.session)
}

/// The finalizer of SplitMix64 (Steele et al., *Fast Splittable Pseudorandom Number Generators*, 2014).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
