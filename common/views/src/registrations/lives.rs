//! Lives of entries: which are alive, and which were called gone.

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Position};
use vixen_core::time::WallTime;

use super::KEPT_MS;
use crate::record::{Facts, Life};

/// A life that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// It.
    pub life: Life,
    /// As its entry told last.
    pub facts: Facts,
    /// Where it did.
    pub told_at: Position,
}

/// By owner; each has one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Alive(Living),
    /// This number and all before it are over; forgotten some time after.
    Over {
        number: u32,
        at: WallTime,
    },
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lives {
    pub(super) by_owner: BTreeMap<OwnerId, Standing>,
}

impl Lives {
    pub(super) fn living(&self, owner: OwnerId) -> Option<&Living> {
        match self.by_owner.get(&owner)? {
            Standing::Alive(living) => Some(living),
            Standing::Over { .. } => None,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Living> {
        self.by_owner.values().filter_map(|standing| match standing {
            Standing::Alive(living) => Some(living),
            Standing::Over { .. } => None,
        })
    }

    pub(super) fn is_alive(&self, life: Life) -> bool {
        self.living(life.owner).is_some_and(|living| living.life == life)
    }

    /// Whether it is not over, and none after it has begun: it may begin, tell its facts anew, or end.
    pub(super) fn is_open(&self, life: Life) -> bool {
        match self.by_owner.get(&life.owner) {
            None => true,
            Some(Standing::Alive(living)) => living.life.number <= life.number,
            Some(Standing::Over { number, .. }) => *number < life.number,
        }
    }

    pub(super) fn live(&mut self, living: Living) {
        self.by_owner.insert(living.life.owner, Standing::Alive(living));
    }

    /// Ends it and all before it; the one that was alive.
    pub(super) fn end(&mut self, life: Life, at: WallTime) -> Option<Life> {
        let was = self.living(life.owner).map(|living| living.life);
        self.by_owner.insert(life.owner, Standing::Over { number: life.number, at });
        was
    }

    /// When those that are over were ended.
    pub(super) fn times_over(&self) -> impl Iterator<Item = WallTime> {
        self.by_owner.values().filter_map(|standing| match standing {
            Standing::Alive(_) => None,
            Standing::Over { at, .. } => Some(*at),
        })
    }

    /// Forgets those that have been over for long.
    pub(super) fn forget(&mut self, now: WallTime) {
        self.by_owner.retain(|_owner, standing| match standing {
            Standing::Alive(_) => true,
            Standing::Over { at, .. } => now.millis_since(*at) <= KEPT_MS,
        });
    }
}
