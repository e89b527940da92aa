//! Checkpoints: a whole view as records, for those who begin.
//!
//! The state is a run of items in postcard, cut into parts between items:
//!
//! ```text
//!   lives and ends of lives, by owner | registrations by id, each with its callees | ends of holders
//! ```
//! A view has one form in bytes, whatever the size of the parts; what is in another form is none.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

use super::chain::Chain;
use super::ends::{End, Ends};
use super::lives::{Lives, Living, Standing};
use super::over::{Clock, Moment};
use super::table::{Callee, Callees, Registration, Table};
use super::{Broken, Registrations};
use crate::record::{
    CheckpointPart, Facts, Invoke, Life, POSITION_END, RegistrationId, SESSION_MAX,
    STATE_BYTES_MAX, VERSION, check_pattern,
};

/// One of the things that a view is made of. Variants are stored: they are only ever added, at the end, and
/// with a new version. Each fits in a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Item {
    Alive {
        life: Life,
        facts: Facts,
        told_at: Position,
    },
    Over {
        life: Life,
        over: Moment,
    },
    Registration {
        id: RegistrationId,
        pattern: TopicPattern,
        invoke: Invoke,
        created: WallTime,
    },
    /// Of the registration before it.
    Callee {
        place: Position,
        callee: Callee,
    },
    End {
        pattern: TopicPattern,
        end: End,
    },
    /// As [`Self::Callee`], of one that keeps timeouts.
    KeepingCallee {
        place: Position,
        callee: Callee,
    },
}

/// Why parts are no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// They are not all parts of one checkpoint, in their order.
    #[error("they are not all parts of one checkpoint")]
    Parts,
    /// It rests on a version of records that is not read here.
    #[error("the checkpoint rests on records of version {0}, which is not read here")]
    Version(u8),
    /// A part is no run of items.
    #[error("part {0} of the checkpoint is malformed")]
    Malformed(u32),
    /// What they say cannot be of a view.
    #[error("the checkpoint is of no view: {0}")]
    Wrong(&'static str),
    /// What they say breaks an invariant.
    #[error("the checkpoint is of no view")]
    Broken(#[from] Broken),
}

impl Registrations {
    /// The view as it is, in parts; never none.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<CheckpointPart> {
        self.checkpoint_in(STATE_BYTES_MAX)
    }

    /// Number of things that a checkpoint has, itself included: what it costs.
    #[must_use]
    pub fn size(&self) -> usize {
        let (lives, registrations) = (self.lives.by_owner.len(), self.table.by_id.len());
        1 + lives + registrations + self.table.callees + self.ends.len()
    }

    /// In parts of at most so many bytes of state, one item at least.
    #[must_use]
    pub fn checkpoint_in(&self, bytes_max: usize) -> Vec<CheckpointPart> {
        let mut states = vec![Vec::new()];
        self.for_each_item(|item| {
            // Writing to a growing buffer has no way to fail.
            let bytes = postcard::to_stdvec(&item).unwrap_or_default();
            match states.last_mut() {
                Some(state) if state.is_empty() || state.len() + bytes.len() <= bytes_max => {
                    state.extend_from_slice(&bytes);
                }
                _ => states.push(bytes),
            }
        });
        let Clock { time, records } = self.clock;
        let (as_of, chain) = (self.position, self.chain());
        let parts = u32::try_from(states.len()).unwrap_or(u32::MAX);
        let part = |(part, state)| {
            let (version, state) = (VERSION, Bytes::from(state));
            CheckpointPart { version, as_of, time, records, chain, part, parts, state }
        };
        (0..parts).zip(states).map(part).collect()
    }

    fn for_each_item(&self, mut put: impl FnMut(Item)) {
        for (owner, standing) in &self.lives.by_owner {
            put(match standing {
                Standing::Alive(Living { life, facts, told_at }) => {
                    Item::Alive { life: *life, facts: facts.clone(), told_at: *told_at }
                }
                Standing::Over { number, over } => {
                    Item::Over { life: Life { owner: *owner, number: *number }, over: *over }
                }
            });
        }
        for Registration { id, pattern, invoke, created, callees } in self.table.by_id.values() {
            let (id, pattern) = (*id, pattern.clone());
            put(Item::Registration { id, pattern, invoke: *invoke, created: *created });
            callees.iter().for_each(|(place, callee)| {
                put(if callees.keeps_timeouts(place) {
                    Item::KeepingCallee { place, callee }
                } else {
                    Item::Callee { place, callee }
                });
            });
        }
        for (pattern, end) in self.ends.iter() {
            put(Item::End { pattern: pattern.clone(), end: *end });
        }
    }

    /// The view that was written: with all parts of a checkpoint in their order.
    ///
    /// # Errors
    /// When they are something else. Then an older checkpoint may do.
    pub fn restore(parts: &[CheckpointPart]) -> Result<Self, CheckpointError> {
        let first = parts.first().ok_or(CheckpointError::Parts)?;
        let is_of_it = |(number, part): (usize, &CheckpointPart)| {
            part.is_of_one_with(first)
                && usize::try_from(part.part) == Ok(number)
                && usize::try_from(part.parts) == Ok(parts.len())
        };
        if !parts.iter().enumerate().all(is_of_it) {
            return Err(CheckpointError::Parts);
        }
        if first.version != VERSION {
            return Err(CheckpointError::Version(first.version));
        }
        let is_possible = first.as_of < POSITION_END && first.records <= first.as_of.0;
        sure(is_possible, "its place, or the number of its records")?;
        let mut restored = Restored::default();
        for part in parts {
            let mut rest = &part.state[..];
            while !rest.is_empty() {
                let (item, after) = postcard::take_from_bytes(rest)
                    .map_err(|_malformed| CheckpointError::Malformed(part.part))?;
                restored.take(item, first)?;
                rest = after;
            }
        }
        let view = restored.finish(first);
        view.verify()?;
        let written = parts.iter().flat_map(|part| &part.state);
        let again = view.checkpoint();
        if !written.eq(again.iter().flat_map(|part| &part.state)) {
            return Err(CheckpointError::Wrong("it is not in its one form"));
        }
        Ok(view)
    }
}

/// A view in the making. Items that come twice or out of order make no view that is written alike.
#[derive(Default)]
struct Restored {
    lives: Lives,
    table: Table,
    ends: Ends,
    places: BTreeSet<Position>,
    last: Option<RegistrationId>,
}

const fn sure(is_so: bool, or_else: &'static str) -> Result<(), CheckpointError> {
    if is_so { Ok(()) } else { Err(CheckpointError::Wrong(or_else)) }
}

const fn clock_of(part: &CheckpointPart) -> Clock {
    Clock { time: part.time, records: part.records }
}

impl Restored {
    fn take(&mut self, item: Item, part: &CheckpointPart) -> Result<(), CheckpointError> {
        let (as_of, clock) = (part.as_of, clock_of(part));
        let is_kept = |over: &Moment| {
            let is_past = over.at <= as_of && over.time <= clock.time;
            is_past && (1..=clock.records).contains(&over.records) && clock.is_kept(over)
        };
        match item {
            Item::Alive { life, facts, told_at } => {
                let is_one = life.number > 0 && facts.wrong().is_none() && told_at <= as_of;
                sure(is_one, "facts of a life")?;
                self.lives.live(Living { life, facts, told_at });
            }
            Item::Over { life, over } => {
                sure(life.number > 0 && is_kept(&over), "a life that was to be forgotten")?;
                self.lives.end(life, over);
            }
            Item::Registration { id, pattern, invoke, created } => {
                let is_one = check_pattern(&pattern).is_ok() && created <= clock.time;
                sure(is_one, "what is registered")?;
                sure(self.table.find(&pattern).is_none(), "registered twice")?;
                let callees = Callees::default();
                self.table.create(Registration { id, pattern, invoke, created, callees });
                self.last = Some(id);
            }
            Item::Callee { place, callee } => self.join(place, callee, false)?,
            Item::KeepingCallee { place, callee } => self.join(place, callee, true)?,
            Item::End { pattern, end } => {
                let is_one = end.holder.number > 0 && check_pattern(&pattern).is_ok();
                let is_past = end.registration.0 < end.over.at.0;
                sure(is_one && is_past && is_kept(&end.over), "an end")?;
                self.ends.keep(pattern, end);
            }
        }
        Ok(())
    }

    fn join(
        &mut self,
        place: Position,
        callee: Callee,
        keeps_timeouts: bool,
    ) -> Result<(), CheckpointError> {
        let id = self.last.ok_or(CheckpointError::Wrong("a callee of nothing"))?;
        let is_one = (1..=SESSION_MAX).contains(&callee.session);
        sure(is_one && self.places.insert(place), "who has a place")?;
        sure(!self.table.is_callee(id, &callee), "a callee that stands twice")?;
        self.table.join(id, place, callee, keeps_timeouts);
        Ok(())
    }

    fn finish(self, part: &CheckpointPart) -> Registrations {
        Registrations {
            position: part.as_of,
            clock: clock_of(part),
            chain: Chain::new(part.as_of, part.chain),
            lives: self.lives,
            table: self.table,
            ends: self.ends,
            compared: BTreeMap::new(),
            stopped: None,
        }
    }
}
