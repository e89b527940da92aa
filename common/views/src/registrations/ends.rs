//! Ends: holders of `single` that lost it by another's word and may not know yet, as far as whoever holds it
//! next has to care.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::TopicPattern;

use super::over::{Aged, Clock, Moment};
use crate::record::{Life, RegistrationId};

/// The end of a registration that had one callee, by a record of another entry than the callee's.
///
/// Whoever holds the lease of the next holder back counts it from when it has applied the end, by its own clock:
/// the view may forget the end before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// It.
    pub registration: RegistrationId,
    /// Of the callee that held it.
    pub holder: Life,
    /// When it ended.
    pub over: Moment,
}

impl End {
    /// Whether an entry knows of it that has applied everything below a position, and not the record at it.
    #[must_use]
    pub fn is_known_below(&self, applied_below: Position) -> bool {
        self.over.at < applied_below
    }
}

/// See the module. Of one owner the latest end is kept: who knows of that knows of those before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    by_pattern: BTreeMap<TopicPattern, BTreeMap<OwnerId, End>>,
    aged: Aged<(TopicPattern, OwnerId)>,
}

impl Ends {
    pub(super) fn len(&self) -> usize {
        self.aged.len()
    }

    pub(super) fn of(&self, pattern: &TopicPattern) -> impl Iterator<Item = &End> {
        self.by_pattern.get(pattern).into_iter().flat_map(BTreeMap::values)
    }

    /// By pattern and owner.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicPattern, &End)> {
        let all = self.by_pattern.iter();
        all.flat_map(|(pattern, ends)| ends.values().map(move |end| (pattern, end)))
    }

    pub(super) fn keep(&mut self, pattern: TopicPattern, end: End) {
        let owner = end.holder.owner;
        let before = self.by_pattern.entry(pattern.clone()).or_default().insert(owner, end);
        if let Some(before) = before {
            self.aged.remove(before.over, (pattern.clone(), owner));
        }
        self.aged.insert(end.over, (pattern, owner));
    }

    /// Forgets those that are long past.
    pub(super) fn forget(&mut self, clock: &Clock) {
        while let Some((pattern, owner)) = self.aged.pop(clock) {
            let Some(ends) = self.by_pattern.get_mut(&pattern) else { continue };
            ends.remove(&owner);
            if ends.is_empty() {
                self.by_pattern.remove(&pattern);
            }
        }
    }

    /// Whether what is to be forgotten is what there is, in its order.
    pub(super) fn is_whole(&self) -> bool {
        self.iter().count() == self.aged.len() && self.aged.is_rising()
    }
}
