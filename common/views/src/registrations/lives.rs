//! Lives of entries: which are alive, and which were called gone.

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Position};

use super::over::{Aged, Clock, Moment};
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
        over: Moment,
    },
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lives {
    pub(super) by_owner: BTreeMap<OwnerId, Standing>,
    /// Owners of those that are over.
    aged: Aged<OwnerId>,
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
        self.stand(living.life.owner, Standing::Alive(living));
    }

    /// Ends it and all before it; the one that was alive.
    pub(super) fn end(&mut self, life: Life, over: Moment) -> Option<Life> {
        let was = self.living(life.owner).map(|living| living.life);
        self.stand(life.owner, Standing::Over { number: life.number, over });
        self.aged.insert(over, life.owner);
        was
    }

    fn stand(&mut self, owner: OwnerId, standing: Standing) {
        if let Some(Standing::Over { over, .. }) = self.by_owner.insert(owner, standing) {
            self.aged.remove(over, owner);
        }
    }

    /// Forgets those that have been over for long.
    pub(super) fn forget(&mut self, clock: &Clock) {
        while let Some(owner) = self.aged.pop(clock) {
            self.by_owner.remove(&owner);
        }
    }

    /// Whether what is to be forgotten is what is over, in its order.
    pub(super) fn is_whole(&self) -> bool {
        let over = self.by_owner.len() - self.all().count();
        over == self.aged.len() && self.aged.is_rising()
    }
}
