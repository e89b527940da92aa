//! Follower: how one entry comes to its view of the order, and leaves it to those who come later.
//!
//! ```text
//!  Seeking --newest whole checkpoint, or none--> Reading --joined--> Announcing --own LIFE is read--> Ready
//!     ^                                             ^
//!     | a checkpoint differs                        | a checkpoint, or 5 s without one
//!   any of those on the right                      Cut <--what comes next is dropped-- any of them
//! ```
//! The driver reads and writes for it. It gives the follower each message of the realm of records once, in the
//! order of positions, from where [`Effect::Follow`] says on; nothing more of what was followed before.
//!
//! Invariants:
//! - W1: a view that is ready has everything up to where it joined, and the record of its own life.
//! - W2: it is made of the newest whole checkpoint that could be read and of all records after its place, or of
//!   all that are left where there is none.
//! - W3: a checkpoint is written by a ready entry alone.
//!
//! Source: `docs/design/027-calls.md`, *How an entry catches up, and when it is ready*.

mod due;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use vixen_core::id::Position;
use vixen_core::time::WallTime;

use crate::record::{Facts, Life, Record, RecordError, Said};
use crate::registrations::{
    Change, CheckpointError, Compared, Gathered, Ignored, Outcome, Registrations, Verdict,
};
use due::Due;

/// So long a view that lacks a part waits for a checkpoint of another entry.
pub const MENDED_WITHIN: Duration = Duration::from_secs(5);

/// What can happen to a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The entry can read, and is in no view yet.
    Begin,
    /// A message of the topic of checkpoints, read backward.
    Earlier {
        /// Time of its stamp.
        at: WallTime,
        /// Its payload.
        payload: Bytes,
    },
    /// What [`Effect::ReadEarlier`] asked for was given.
    EarlierRead {
        /// There is nothing before it.
        is_all: bool,
    },
    /// A message of the realm of records, stored or live.
    Message {
        /// Its place.
        position: Position,
        /// Time of its stamp.
        at: WallTime,
        /// Its topic.
        topic: Arc<str>,
        /// Its payload.
        payload: Bytes,
    },
    /// All messages up to here were given.
    Passed {
        /// Of the order.
        position: Position,
        /// Time of the last stamp of the order.
        at: WallTime,
    },
    /// All that is stored was given, and what follows is live.
    Joined,
    /// What comes next is dropped everywhere.
    Dropped,
    /// LIFE was not placed, as far as the entry knows.
    NotWritten,
    /// It is [`Follower::deadline`].
    Tick,
}

/// What a step owes, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read messages of the topic of checkpoints backward: from the end, or on from the last one given.
    ReadEarlier {
        /// Not on from the last one.
        from_end: bool,
    },
    /// The view is another: nothing that was told of it before holds. Give messages from here on.
    Follow(From),
    /// What became of a message.
    Told {
        /// Its place.
        position: Position,
        /// As the view has it.
        outcome: Outcome,
    },
    /// Write this, durably.
    Write(Record),
    /// This life is read by all from here on: the view is ready.
    Ready(Life),
    /// A checkpoint that was read is of no view; an older one is looked for.
    Unusable(CheckpointError),
    /// A checkpoint at this place is not of the view that this entry had: one of the two is wrong.
    Differs(Position),
    /// What comes next is dropped: the view is not ready until a checkpoint mends it.
    Cut,
}

/// From where on messages are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// After this place.
    After(Position),
    /// The first that is left.
    First,
    /// What comes live.
    Now,
}

/// How far a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It looks for a checkpoint.
    Seeking,
    /// It reads what is stored.
    Reading,
    /// It waits for the record of its own life.
    Announcing,
    /// Its view is complete.
    Ready,
    /// A part of the order cannot be read, since then.
    Cut(Instant),
    /// What has to be known is of a later version.
    Stopped(RecordError),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Follower {
    life: Life,
    facts: Facts,
    view: Registrations,
    stage: Stage,
    /// Parts of the checkpoint that is read, or of those that come.
    gathered: Gathered,
    due: Due,
    /// What differed up to here is known.
    differed_at: Position,
}

impl Follower {
    /// Of an entry with this life, which no view has yet.
    #[must_use]
    pub fn new(life: Life, facts: Facts) -> Self {
        Self {
            life,
            facts,
            view: Registrations::new(),
            stage: Stage::Seeking,
            gathered: Gathered::default(),
            due: Due::default(),
            differed_at: Position(0),
        }
    }

    /// As far as it is.
    #[must_use]
    pub const fn view(&self) -> &Registrations {
        &self.view
    }

    /// How far it is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The entry's life: the one that all read, if the view is ready.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.life
    }

    /// When [`Input::Tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Cut(since) => Some(since + MENDED_WITHIN),
            Stage::Ready => self.due.deadline(),
            Stage::Seeking | Stage::Reading | Stage::Announcing | Stage::Stopped(_) => None,
        }
    }

    /// Advances by one input.
    pub fn step(&mut self, now: Instant, input: Input, fx: &mut Vec<Effect>) {
        match input {
            Input::Begin => self.seek(fx),
            Input::Earlier { at, payload } => self.on_earlier(at, &payload, fx),
            Input::EarlierRead { is_all } => self.on_earlier_read(is_all, fx),
            Input::Message { position, at, topic, payload } => {
                self.on_message(position, at, &topic, &payload, fx);
            }
            Input::Passed { position, at } => {
                if self.is_in_order() {
                    self.view.pass(position);
                    self.due.at_least(at);
                }
            }
            Input::Joined => {
                if self.stage == Stage::Reading {
                    self.announce(fx);
                }
            }
            Input::Dropped => {
                if self.is_in_order() {
                    (self.stage, self.gathered) = (Stage::Cut(now), Gathered::default());
                    fx.extend([Effect::Cut, Effect::Follow(From::Now)]);
                }
            }
            Input::NotWritten => {
                if self.stage == Stage::Announcing {
                    self.announce(fx);
                }
            }
            Input::Tick => {
                if let Stage::Cut(since) = self.stage
                    && now.saturating_duration_since(since) >= MENDED_WITHIN
                {
                    self.due = Due::default();
                    self.follow(Registrations::new(), From::First, fx);
                }
            }
        }
        self.write_if_due(now, fx);
    }

    /// Whether messages are applied.
    const fn is_in_order(&self) -> bool {
        matches!(self.stage, Stage::Reading | Stage::Announcing | Stage::Ready)
    }

    fn seek(&mut self, fx: &mut Vec<Effect>) {
        (self.stage, self.gathered) = (Stage::Seeking, Gathered::default());
        fx.push(Effect::ReadEarlier { from_end: true });
    }

    fn follow(&mut self, view: Registrations, from: From, fx: &mut Vec<Effect>) {
        (self.view, self.stage, self.gathered) = (view, Stage::Reading, Gathered::default());
        fx.push(Effect::Follow(from));
    }

    fn announce(&mut self, fx: &mut Vec<Effect>) {
        self.stage = Stage::Announcing;
        let said = Said::Life(self.facts.clone());
        fx.push(Effect::Write(Record { writer: self.life, said }));
    }

    fn on_earlier(&mut self, at: WallTime, payload: &[u8], fx: &mut Vec<Effect>) {
        if self.stage != Stage::Seeking {
            return;
        }
        // What is of no or of a later version is no checkpoint for this one.
        if let Ok(record) = Record::read(&Record::checkpoints().uri, payload) {
            self.begin_by(at, record, fx);
        }
    }

    fn on_earlier_read(&mut self, is_all: bool, fx: &mut Vec<Effect>) {
        if self.stage != Stage::Seeking {
            return;
        }
        if is_all {
            self.due = Due::default();
            self.follow(Registrations::new(), From::First, fx);
        } else {
            fx.push(Effect::ReadEarlier { from_end: false });
        }
    }

    /// Takes a part of a checkpoint; if that is whole now, the view begins with it.
    fn begin_by(&mut self, at: WallTime, record: Record, fx: &mut Vec<Effect>) {
        let Said::Checkpoint(part) = record.said else { return };
        let Some(parts) = self.gathered.add(record.writer, part) else { return };
        match Registrations::restore(&parts) {
            Ok(view) => {
                self.due = Due::since(at);
                let as_of = view.position();
                self.follow(view, From::After(as_of), fx);
            }
            Err(error) => fx.push(Effect::Unusable(error)),
        }
    }

    fn on_message(
        &mut self,
        position: Position,
        at: WallTime,
        topic: &str,
        payload: &[u8],
        fx: &mut Vec<Effect>,
    ) {
        let read = Record::read(topic, payload);
        if let Stage::Cut(_) = self.stage {
            if let Ok(record) = read {
                self.begin_by(at, record, fx);
            }
            return;
        }
        if !self.is_in_order() {
            return;
        }
        let outcome = match &read {
            Ok(record) => self.view.apply(position, at, record),
            Err(_) => self.view.apply_message(position, at, topic, payload),
        };
        self.due.at_least(at);
        fx.push(Effect::Told { position, outcome: outcome.clone() });
        match (outcome, read) {
            (Outcome::Applied(applied), Ok(record)) => {
                self.due.applied();
                let is_own = record.writer == self.life && matches!(record.said, Said::Life(_));
                let is_refused = applied.verdict == Verdict::Ignored(Ignored::NotAlive);
                if applied.changes.contains(&Change::Over(self.life)) || is_own && is_refused {
                    self.begin_next_life(fx);
                } else if is_own && self.stage == Stage::Announcing {
                    self.stage = Stage::Ready;
                    fx.push(Effect::Ready(self.life));
                }
            }
            (Outcome::Checkpoint(compared), Ok(record)) => {
                self.on_checkpoint(position, at, compared, record, fx);
            }
            (Outcome::Stopped(error), _) => self.stage = Stage::Stopped(error),
            (Outcome::Applied(_) | Outcome::Checkpoint(_), Err(_))
            | (Outcome::PassedOver(_) | Outcome::Repeated, _) => {}
        }
    }

    fn begin_next_life(&mut self, fx: &mut Vec<Effect>) {
        self.life.number = self.life.number.saturating_add(1);
        if self.stage != Stage::Reading {
            self.announce(fx);
        }
    }

    fn on_checkpoint(
        &mut self,
        position: Position,
        at: WallTime,
        compared: Compared,
        record: Record,
        fx: &mut Vec<Effect>,
    ) {
        if compared == Compared::Differs && position > self.differed_at {
            // Once for each place: an unfinished one would be met again and again.
            self.differed_at = position;
            fx.push(Effect::Differs(position));
            return self.seek(fx);
        }
        let Said::Checkpoint(part) = record.said else { return };
        if self.gathered.add(record.writer, part).is_some() {
            self.due = Due::since(at);
        }
    }

    fn write_if_due(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        if self.stage == Stage::Ready && self.due.is_now(now, self.life, &self.view) {
            let said = self.view.checkpoint().into_iter().map(Said::Checkpoint);
            let record = |said| Effect::Write(Record { writer: self.life, said });
            fx.extend(said.map(record));
        }
    }
}
