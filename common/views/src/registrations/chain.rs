//! The chain: a hash over all that was applied. Views with the same chain at a position are equal there.

use std::collections::VecDeque;

use serde::Serialize;

use vixen_core::id::{Digest, Digester, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

use super::outcome::{Applied, Change, LeftWhy};
use super::table::Callee;
use crate::record::{Invoke, Life, RegistrationId};

/// As many places are kept at which the chain of a checkpoint can be compared: more than there are records
/// between two checkpoints, and between one's as-of and its place. Some 24 bytes each.
pub(super) const KEPT: usize = 65_536;

/// See the module; never empty.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// Where it changed, in rising order, and to what.
    links: VecDeque<(Position, Digest)>,
}

/// A change as it is hashed: patterns are large, and told once, where their registration gets its id. Variants
/// are only ever added, at the end, and with a new version; so are those of what they have.
#[derive(Serialize)]
enum Hashed<'a> {
    Alive(Life),
    Over(Life),
    Created {
        registration: RegistrationId,
        pattern: &'a TopicPattern,
        invoke: Invoke,
        created: WallTime,
    },
    Joined {
        registration: RegistrationId,
        callee: Callee,
    },
    Left {
        registration: RegistrationId,
        callee: Callee,
        why: LeftWhy,
    },
    Deleted {
        registration: RegistrationId,
    },
    /// As [`Self::Joined`], of one that keeps timeouts.
    JoinedKeeping {
        registration: RegistrationId,
        callee: Callee,
    },
}

impl<'a> From<&'a Change> for Hashed<'a> {
    fn from(change: &'a Change) -> Self {
        match change {
            Change::Alive(life) => Self::Alive(*life),
            Change::Over(life) => Self::Over(*life),
            Change::Created { registration, pattern, invoke, created } => Self::Created {
                registration: *registration,
                pattern,
                invoke: *invoke,
                created: *created,
            },
            Change::Joined { registration, pattern: _, callee, keeps_timeouts } => {
                let (registration, callee) = (*registration, *callee);
                if *keeps_timeouts {
                    Self::JoinedKeeping { registration, callee }
                } else {
                    Self::Joined { registration, callee }
                }
            }
            Change::Left { registration, pattern: _, callee, why } => {
                Self::Left { registration: *registration, callee: *callee, why: *why }
            }
            Change::Deleted { registration, pattern: _ } => {
                Self::Deleted { registration: *registration }
            }
        }
    }
}

impl Chain {
    /// As it is at a position, with nothing known of before.
    pub(super) fn new(at: Position, chain: Digest) -> Self {
        Self { links: VecDeque::from([(at, chain)]) }
    }

    /// As it is now.
    pub(super) fn now(&self) -> Digest {
        self.links.back().map_or_else(Digest::default, |(_, chain)| *chain)
    }

    pub(super) fn push(&mut self, position: Position, applied: &Applied) {
        let Applied { verdict, changes } = applied;
        let mut digester = Digester::default();
        digester.update(&self.now().0);
        digester.update(&position.0.to_le_bytes());
        // A digester takes everything: this has no way to fail.
        let _infallible = postcard::to_io(&(verdict, changes.len() as u64), &mut digester);
        for change in changes {
            let _infallible = postcard::to_io(&Hashed::from(change), &mut digester);
        }
        if self.links.len() == KEPT {
            self.links.pop_front();
        }
        self.links.push_back((position, digester.finish()));
    }

    /// As it was when everything up to `position` was applied; `None` where that is not known any more.
    pub(super) fn at(&self, position: Position) -> Option<Digest> {
        let after = self.links.partition_point(|(at, _)| *at <= position);
        Some(self.links.get(after.checked_sub(1)?)?.1)
    }
}
