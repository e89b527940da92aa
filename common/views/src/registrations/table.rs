//! Registrations and their callees, by everything that they are looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::id::{OwnerId, Position};
use vixen_core::patterns::PatternIndex;
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

use super::limits::Counts;
use crate::record::{Invoke, Life, RegistrationId};

/// A session that serves a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Callee {
    /// Of its entry.
    pub life: Life,
    /// It.
    pub session: u64,
}

/// Who serves a procedure, or all of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// It; the position at which it was made.
    pub id: RegistrationId,
    /// What it serves: exact, prefix or wildcard, in a realm.
    pub pattern: TopicPattern,
    /// Who of its callees is called.
    pub invoke: Invoke,
    /// When it was made, by the order.
    pub created: WallTime,
    /// In the order of their places; at least one.
    pub callees: Callees,
}

/// Callees of a registration in the order of their places: the positions of the records by which they joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callees {
    pub(super) by_place: BTreeMap<Position, Callee>,
    /// Places of those that keep timeouts.
    keeping: BTreeSet<Position>,
}

impl Callees {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether there is none: never so in a view.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// All of them with their places.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Position, Callee)> {
        self.by_place.iter().map(|(place, callee)| (*place, *callee))
    }

    /// Whether the callee at a place gives up calls itself when their time is over.
    #[must_use]
    pub fn keeps_timeouts(&self, place: Position) -> bool {
        self.keeping.contains(&place)
    }

    /// All of them, beginning with the one after `place`, which may be nobody's any more: whose turn it is.
    pub fn after(&self, place: Position) -> impl Iterator<Item = (Position, Callee)> {
        let (up_to, after) =
            (..=place, (std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded));
        let wrapped = self.by_place.range(after).chain(self.by_place.range(up_to));
        wrapped.map(|(place, callee)| (*place, *callee))
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) by_id: BTreeMap<RegistrationId, Registration>,
    pub(super) by_pattern: BTreeMap<TopicPattern, RegistrationId>,
    pub(super) by_callee: BTreeMap<Callee, BTreeMap<RegistrationId, Position>>,
    pub(super) index: PatternIndex<RegistrationId>,
    /// Number of all callees.
    pub(super) callees: usize,
    /// Of each realm that has registrations.
    pub(super) realms: BTreeMap<Arc<str>, Counts>,
}

/// A callee that has left.
pub(super) struct Departed {
    pub(super) callee: Callee,
    pub(super) pattern: TopicPattern,
    pub(super) invoke: Invoke,
    /// The registration has ended with it.
    pub(super) was_last: bool,
}

impl Table {
    pub(super) fn find(&self, pattern: &TopicPattern) -> Option<&Registration> {
        self.by_id.get(self.by_pattern.get(pattern)?)
    }

    /// Puts in a registration; its callees are to follow.
    pub(super) fn create(&mut self, registration: Registration) {
        let counts = self.realms.entry(Arc::clone(&registration.pattern.realm)).or_default();
        counts.all += 1;
        counts.patterns += usize::from(!registration.pattern.is_exact());
        self.by_pattern.insert(registration.pattern.clone(), registration.id);
        self.index.insert(&registration.pattern, registration.id);
        self.by_id.insert(registration.id, registration);
    }

    pub(super) fn join(
        &mut self,
        id: RegistrationId,
        place: Position,
        callee: Callee,
        keeps_timeouts: bool,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else { return };
        registration.callees.by_place.insert(place, callee);
        if keeps_timeouts {
            registration.callees.keeping.insert(place);
        }
        self.by_callee.entry(callee).or_default().insert(id, place);
        self.callees += 1;
    }

    pub(super) fn is_callee(&self, id: RegistrationId, callee: &Callee) -> bool {
        self.place_in(id, callee).is_some()
    }

    /// Takes a callee out, and with the last one its registration; `None` if nobody has that place.
    pub(super) fn leave(&mut self, id: RegistrationId, place: Position) -> Option<Departed> {
        let registration = self.by_id.get_mut(&id)?;
        let callee = registration.callees.by_place.remove(&place)?;
        registration.callees.keeping.remove(&place);
        let (pattern, invoke) = (registration.pattern.clone(), registration.invoke);
        let was_last = registration.callees.is_empty();
        if was_last {
            self.by_id.remove(&id);
            self.by_pattern.remove(&pattern);
            self.index.remove(&pattern);
            self.uncount(&pattern);
        }
        if let Some(all) = self.by_callee.get_mut(&callee) {
            all.remove(&id);
            if all.is_empty() {
                self.by_callee.remove(&callee);
            }
        }
        self.callees -= 1;
        Some(Departed { callee, pattern, invoke, was_last })
    }

    pub(super) fn counts(&self, realm: &str) -> Counts {
        self.realms.get(realm).copied().unwrap_or_default()
    }

    fn uncount(&mut self, pattern: &TopicPattern) {
        let Some(counts) = self.realms.get_mut(&pattern.realm) else { return };
        counts.all -= 1;
        counts.patterns -= usize::from(!pattern.is_exact());
        if counts.all == 0 {
            self.realms.remove(&pattern.realm);
        }
    }

    /// The place of a session in a registration.
    pub(super) fn place_in(&self, id: RegistrationId, callee: &Callee) -> Option<Position> {
        self.by_callee.get(callee)?.get(&id).copied()
    }

    /// Where a session is callee, in the order of its places.
    pub(super) fn places_of(&self, callee: &Callee) -> Vec<(Position, RegistrationId)> {
        let all = self.by_callee.get(callee).into_iter().flatten();
        let mut places: Vec<_> = all.map(|(id, place)| (*place, *id)).collect();
        places.sort_unstable();
        places
    }

    /// Where sessions of an owner's lives up to a number are callees, in the order of their places.
    pub(super) fn places_of_lives(
        &self,
        owner: OwnerId,
        up_to: u32,
    ) -> Vec<(Position, RegistrationId)> {
        let callee = |number, session| Callee { life: Life { owner, number }, session };
        let all = self.by_callee.range(callee(0, 0)..=callee(up_to, u64::MAX));
        let places = all.flat_map(|(_callee, all)| all.iter().map(|(id, place)| (*place, *id)));
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        places
    }
}
