//! Registrations: who is callee of which procedure, as a view of the order.
//!
//! ```text
//!   record, position, time --> apply --> verdict and changes; chain
//!   realm, procedure --> lookup --> registration, with its callees in the order of their places
//!   everything --> checkpoint, in parts --> restore --> the same view
//! ```
//! | REGISTER finds | outcome |
//! |---|---|
//! | writer's life not alive | ignored |
//! | nothing under (realm, URI, match) | a registration; its id is the position of this record |
//! | `single`, no force; also one's own, also where the second asks for another policy | refused |
//! | shared, another policy, no force | refused |
//! | shared, same policy | the callee is appended; one that is in it already stays, with the same id |
//! | anything, force | all callees leave; a registration with a new id |
//!
//! Source: `docs/design/027-calls.md`, *Registrations, a view of the order*.
//!
//! Invariants:
//! - G1: views that have applied the same position are equal, and so are their chains, wherever they began: at
//!   the first record, or with a checkpoint that is true. Another is noticed by its chain ([`Checked`]).
//! - G2: `single` has at most one callee; no callee stands twice in a registration, and none is of a life
//!   that is not alive.
//! - G3: ids are positions of the records that made them, and rise.

mod apply;
mod chain;
mod check;
mod checkpoint;
mod ends;
mod gather;
mod limits;
mod lives;
mod lookup;
mod outcome;
mod over;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use vixen_core::id::{Digest, OwnerId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

use crate::record::{Life, RecordError, Register, RegistrationId};
use chain::Chain;
use ends::Ends;
use lives::Lives;
use over::Clock;
use table::Table;

pub use check::Broken;
pub use checkpoint::CheckpointError;
pub use ends::End;
pub use gather::Gathered;
pub use limits::{NoRoom, RealmLimits};
pub use lives::Living;
pub use lookup::Listed;
pub use outcome::{
    Applied, Change, Checked, Compared, Ignored, LeftWhy, Outcome, Refusal, Verdict,
};
pub use over::{KEPT_MAX, KEPT_MS, KEPT_RECORDS, Moment};
pub use table::{Callee, Callees, Registration};

/// See the module.
#[derive(Clone, Debug)]
pub struct Registrations {
    /// Everything up to here is applied.
    position: Position,
    /// The highest time of a record so far, and their number.
    clock: Clock,
    chain: Chain,
    lives: Lives,
    table: Table,
    ends: Ends,
    /// As of what the last checkpoint was that was compared, by the entry that wrote it.
    compared: BTreeMap<OwnerId, Position>,
    stopped: Option<RecordError>,
}

impl Default for Registrations {
    fn default() -> Self {
        Self::new()
    }
}

/// What both know of the order is equal. Not compared: how far back their chains are known, and which checkpoints
/// they have compared.
impl PartialEq for Registrations {
    fn eq(&self, other: &Self) -> bool {
        let facts = |view: &Self| (view.position, view.clock, view.chain(), view.stopped);
        facts(self) == facts(other)
            && self.lives == other.lives
            && self.table.by_id == other.table.by_id
            && self.ends == other.ends
    }
}

impl Eq for Registrations {}

impl Registrations {
    /// The view before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self {
            position: Position(0),
            clock: Clock { time: WallTime(0), records: 0 },
            chain: Chain::new(Position(0), Digest::default()),
            lives: Lives::default(),
            table: Table::default(),
            ends: Ends::default(),
            compared: BTreeMap::new(),
            stopped: None,
        }
    }

    /// Everything up to here is applied, itself included.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Everything below is applied, and nothing else: as links and deliveries tell it.
    #[must_use]
    pub const fn applied_below(&self) -> Position {
        Position(self.position.0.saturating_add(1))
    }

    /// How many records are applied.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.clock.records
    }

    /// The time of the order as far as it is applied; it never falls.
    #[must_use]
    pub const fn time(&self) -> WallTime {
        self.clock.time
    }

    /// Hash over all that was applied.
    #[must_use]
    pub fn chain(&self) -> Digest {
        self.chain.now()
    }

    /// The chain when everything up to `position` was applied, itself included; `None` if that is to come, or long
    /// ago.
    #[must_use]
    pub fn chain_at(&self, position: Position) -> Option<Digest> {
        if position > self.position { None } else { self.chain.at(position) }
    }

    /// Why the view stands still: what it cannot be without is of a later version.
    #[must_use]
    pub const fn stopped(&self) -> Option<RecordError> {
        self.stopped
    }

    /// A registration of any realm, by its id.
    #[must_use]
    pub fn get(&self, registration: RegistrationId) -> Option<&Registration> {
        self.table.by_id.get(&registration)
    }

    /// The registration of just this pattern.
    #[must_use]
    pub fn find(&self, pattern: &TopicPattern) -> Option<&Registration> {
        self.table.find(pattern)
    }

    /// All registrations, by rising ids.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.table.by_id.values()
    }

    /// Number of registrations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.by_id.is_empty()
    }

    /// Number of callees, one that serves several registrations counted in each.
    #[must_use]
    pub const fn callees(&self) -> usize {
        self.table.callees
    }

    /// Where a session is callee, in the order of its places there.
    #[must_use]
    pub fn served_by(&self, callee: &Callee) -> Vec<(Position, RegistrationId)> {
        self.table.places_of(callee)
    }

    /// Where all sessions of a life are callees, in the order of their places there.
    #[must_use]
    pub fn served_by_life(&self, life: Life) -> Vec<(Position, RegistrationId)> {
        if self.lives.is_alive(life) {
            self.table.places_of_lives(life.owner, life.number)
        } else {
            Vec::new()
        }
    }

    /// Why REGISTER would be refused by the view as it is, if it would be.
    #[must_use]
    pub fn refuses(&self, register: &Register) -> Option<Refusal> {
        let there = self.find(&register.pattern).filter(|_| !register.is_forced)?;
        if there.invoke == crate::record::Invoke::Single {
            Some(Refusal::AlreadyExists)
        } else {
            (there.invoke != register.invoke).then_some(Refusal::OtherPolicy)
        }
    }

    /// Who held `pattern` alone before, and may not know yet that they do not: one end an owner.
    pub fn ends_of(&self, pattern: &TopicPattern) -> impl Iterator<Item = &End> {
        self.ends.of(pattern)
    }

    /// All ends of holders that are remembered, by pattern and owner.
    pub fn ends(&self) -> impl Iterator<Item = (&TopicPattern, &End)> {
        self.ends.iter()
    }

    /// All lives that are alive, by owner.
    pub fn lives(&self) -> impl Iterator<Item = &Living> {
        self.lives.all()
    }

    /// The life of an owner that is alive.
    #[must_use]
    pub fn living(&self, owner: OwnerId) -> Option<&Living> {
        self.lives.living(owner)
    }

    /// Whether a life has begun and is not over.
    #[must_use]
    pub fn is_alive(&self, life: Life) -> bool {
        self.lives.is_alive(life)
    }

    /// Whether all that are alive read a version of records, and there is one at least: before that, no operator
    /// is to bring it into force.
    #[must_use]
    pub fn all_read(&self, version: u8) -> bool {
        let mut all = self.lives.all().map(|living| living.facts.reads.has(version)).peekable();
        all.peek().is_some() && all.all(|reads| reads)
    }
}
