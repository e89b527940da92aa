//! Follower: how one entry comes to its view of the order, and leaves it to those who come later.
//!
//! ```text
//!  Seeking --newest whole checkpoint, or none--> Reading --joined--> Announcing --own LIFE is read--> Ready
//!     ^                                             ^
//!     |                                             | a checkpoint, or 5 s without one
//!   Begin                                          Cut <--what comes next is dropped-- any of them
//!                                                  Over <--its own last word is read, as it stops-- any of them
//! ```
//! A checkpoint that differs from the view is told. The follower keeps beside it the view that the checkpoint is
//! of, and goes over to that when a third writer agrees with it: then it reads on and announces itself again.
//!
//! The driver reads and writes for it. It gives the follower each message of the realm of records once, in the
//! order of positions, from where [`Effect::Follow`] says on; nothing more of what was followed before.
//!
//! Invariants:
//! - W1: a view that is ready has everything up to where it joined, and the record of its own life.
//! - W2: it is made of the newest whole checkpoint that could be read and of all records after its place, or of
//!   all that are left where there is none.
//! - W3: a checkpoint is written by a ready entry alone.
//! - W4: a view is given up for a checkpoint that differs from it only when checkpoints of two other entries
//!   agree with each other, and not with it.
//!
//! Source: `docs/design/027-calls.md`, *How an entry catches up, and when it is ready*.

mod due;
mod rival;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use vixen_core::id::Position;
use vixen_core::time::WallTime;

use crate::record::{
    CheckpointPart, Facts, Gone, GoneWhy, Life, Record, RecordError, STATE_BYTES_MAX, Said,
};
use crate::registrations::{
    Change, Checked, CheckpointError, Compared, Gathered, Ignored, Outcome, Registrations, Verdict,
};
use due::Due;
use rival::{Recent, Rival};

/// A life that lasts so long is followed by the next one at once. Where lives are called gone one after the other, each
/// waits longer than the one before: others cannot hear this entry, and it can hear them. Such a life ends within five
/// seconds, so one that lasts for several times that was heard.
const LASTING: Duration = Duration::from_secs(20);
/// Before the third of such lives; twice as long before each after that.
const PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer than this many times doubled: who was cut off again and again is back within eight seconds, and
/// who is never heard writes its registrations six times a minute at most.
const DOUBLINGS_MAX: u32 = 3;

/// So long a view that lacks a part waits for a checkpoint of another entry.
pub const MENDED_WITHIN: Duration = Duration::from_secs(5);

/// What can happen to a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The entry can read, and is in no view yet.
    Begin,
    /// A message of the topic of checkpoints, read backward.
    Earlier {
        /// Its place.
        position: Position,
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
    /// All messages below a place were given.
    Passed {
        /// Of the order: what stands at it is not given yet.
        below: Position,
        /// Time of the last stamp of the order.
        at: WallTime,
    },
    /// All that is stored was given, and what follows is live.
    Joined,
    /// What comes next is dropped everywhere.
    Dropped,
    /// LIFE was not placed, as far as the entry knows.
    NotWritten,
    /// The entry stops: it says that its life is over, and begins no other.
    Stop,
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
    /// A checkpoint is not of the view that this entry has: one of the two is wrong. Told once for each writer and
    /// as-of.
    Differs(Checked),
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
    /// The entry stops, and all have read that its life is over.
    Over,
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
    recent: Recent,
    /// Of a checkpoint that differs from the view.
    rival: Option<Rival>,
    /// The as-of of the checkpoint that the view began with.
    began_with: Option<Position>,
    /// Most bytes of state in a part of a checkpoint that it writes.
    part_bytes_max: usize,
    /// A record of its life is written: others may count on it.
    has_announced: bool,
    is_stopping: bool,
    is_held_back: bool,
    /// When its present life was read by all.
    ready_since: Option<Instant>,
    /// Lives that have ended soon, one after the other.
    short_lives: u32,
    /// Its next life is announced then.
    announces_at: Option<Instant>,
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
            recent: Recent::default(),
            rival: None,
            began_with: None,
            part_bytes_max: STATE_BYTES_MAX,
            has_announced: false,
            is_stopping: false,
            is_held_back: false,
            ready_since: None,
            short_lives: 0,
            announces_at: None,
        }
    }

    /// The same, whose checkpoints come in parts of at most so many bytes of state.
    #[must_use]
    pub fn with_parts(self, bytes_max: usize) -> Self {
        Self { part_bytes_max: bytes_max.min(STATE_BYTES_MAX), ..self }
    }

    /// Up to where it has the view of a checkpoint, if it began with one.
    #[must_use]
    pub const fn began_with(&self) -> Option<Position> {
        self.began_with
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

    /// While what it has written has no room on its way to the order, it writes no checkpoints.
    pub const fn hold_back(&mut self, is_held_back: bool) {
        self.is_held_back = is_held_back;
    }

    /// Whether nothing of this entry is left in the order, as it stops.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.is_stopping && (self.stage == Stage::Over || !self.has_announced)
    }

    /// When [`Input::Tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Cut(since) => Some(since + MENDED_WITHIN),
            Stage::Announcing => self.announces_at,
            Stage::Ready if !self.is_held_back && !self.is_stopping => self.due.deadline(),
            Stage::Ready | Stage::Seeking | Stage::Reading | Stage::Stopped(_) | Stage::Over => {
                None
            }
        }
    }

    /// Advances by one input.
    pub fn step(&mut self, now: Instant, input: Input, fx: &mut Vec<Effect>) {
        match input {
            Input::Begin => self.seek(fx),
            Input::Earlier { position, at, payload } => {
                self.on_earlier(position, at, &payload, fx);
            }
            Input::EarlierRead { is_all } => self.on_earlier_read(is_all, fx),
            Input::Message { position, at, topic, payload } => {
                self.on_message((now, position, at), &topic, &payload, fx);
            }
            Input::Passed { below, at } => {
                if self.is_in_order() {
                    self.view.pass_below(below);
                    self.rival.iter_mut().for_each(|rival| rival.view.pass_below(below));
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
            Input::Stop => self.stop(fx),
            Input::Tick => {
                if self.stage == Stage::Announcing
                    && self.announces_at.is_some_and(|announces_at| announces_at <= now)
                {
                    self.announce(fx);
                }
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
        (self.recent, self.rival) = (Recent::after(view.position()), None);
        self.began_with = match from {
            From::After(as_of) => Some(as_of),
            From::First | From::Now => None,
        };
        (self.view, self.stage, self.gathered) = (view, Stage::Reading, Gathered::default());
        fx.push(Effect::Follow(from));
    }

    fn announce(&mut self, fx: &mut Vec<Effect>) {
        if self.is_stopping {
            self.stage = Stage::Over;
            return;
        }
        (self.stage, self.has_announced) = (Stage::Announcing, true);
        self.announces_at = None;
        let said = Said::Life(self.facts.clone());
        fx.push(Effect::Write(Record { writer: self.life, said }));
    }

    fn on_earlier(
        &mut self,
        position: Position,
        at: WallTime,
        payload: &[u8],
        fx: &mut Vec<Effect>,
    ) {
        if self.stage != Stage::Seeking {
            return;
        }
        // What is of no or of a later version is no checkpoint for this one.
        if let Ok(record) = Record::read(&Record::checkpoints().uri, payload) {
            self.begin_by(position, at, record, fx);
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
    fn begin_by(&mut self, position: Position, at: WallTime, record: Record, fx: &mut Vec<Effect>) {
        let Said::Checkpoint(part) = record.said else { return };
        let Some(parts) = self.gathered.add(position, at, record.writer, part) else { return };
        if self.differs(&parts) {
            return;
        }
        match Registrations::restore(&parts) {
            Ok(view) => {
                self.due = Due::since(at);
                let as_of = view.position();
                self.follow(view, From::After(as_of), fx);
            }
            Err(error) => fx.push(Effect::Unusable(error)),
        }
    }

    /// Whether it is known that a checkpoint is of another view.
    fn differs(&self, parts: &[CheckpointPart]) -> bool {
        let Some(part) = parts.first() else { return false };
        self.view.chain_at(part.as_of).is_some_and(|own| own != part.chain)
    }

    fn on_message(
        &mut self,
        (now, position, at): (Instant, Position, WallTime),
        topic: &Arc<str>,
        payload: &[u8],
        fx: &mut Vec<Effect>,
    ) {
        let read = Record::read(topic, payload);
        if let Stage::Cut(_) = self.stage {
            if let Ok(record) = read {
                self.begin_by(position, at, record, fx);
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
        let there = self.rival.as_mut().map(|rival| rival.take(position, at, topic, payload));
        self.recent.push(position, at, Arc::clone(topic), payload);
        self.due.at_least(at);
        fx.push(Effect::Told { position, outcome: outcome.clone() });
        match (outcome, read) {
            (Outcome::Applied(applied), Ok(record)) => {
                self.due.applied();
                let is_own = record.writer == self.life && matches!(record.said, Said::Life(_));
                let is_refused = applied.verdict == Verdict::Ignored(Ignored::NotAlive);
                if applied.changes.contains(&Change::Over(self.life)) || is_own && is_refused {
                    self.begin_next_life(now, fx);
                } else if is_own && self.stage == Stage::Announcing {
                    self.stage = Stage::Ready;
                    self.ready_since = Some(now);
                    fx.push(Effect::Ready(self.life));
                }
            }
            (Outcome::Checkpoint(checked), Ok(record)) => {
                if checked.compared == Compared::Differs {
                    fx.push(Effect::Differs(checked));
                }
                if !self.judge(checked, there, fx) {
                    self.on_checkpoint(position, at, record, fx);
                }
            }
            (Outcome::Stopped(error), _) => self.stage = Stage::Stopped(error),
            (Outcome::Applied(_) | Outcome::Checkpoint(_), Err(_))
            | (Outcome::PassedOver(_) | Outcome::Repeated, _) => {}
        }
    }

    /// Ends its life in the order, if it has begun there.
    fn stop(&mut self, fx: &mut Vec<Effect>) {
        let was_stopping = std::mem::replace(&mut self.is_stopping, true);
        if !was_stopping && self.has_announced {
            let gone = Gone { life: self.life, why: GoneWhy::Stops };
            fx.push(Effect::Write(Record { writer: self.life, said: Said::Gone(gone) }));
        }
    }

    fn begin_next_life(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        self.life.number = self.life.number.saturating_add(1);
        if self.stage == Stage::Reading && !self.is_stopping {
            return;
        }
        let lasted = self.ready_since.take().map(|since| now.saturating_duration_since(since));
        if lasted.is_some_and(|lasted| lasted >= LASTING) {
            self.short_lives = 0;
        }
        self.short_lives += 1;
        let doublings = self.short_lives.saturating_sub(2).min(DOUBLINGS_MAX);
        if self.short_lives < 2 || self.is_stopping {
            self.announce(fx);
        } else {
            self.stage = Stage::Announcing;
            self.announces_at = now.checked_add(PAUSE * (1 << doublings));
        }
    }

    /// Which of two views another entry agrees with; whether the own is given up.
    fn judge(&mut self, checked: Checked, there: Option<Outcome>, fx: &mut Vec<Effect>) -> bool {
        let (Some(rival), Some(Outcome::Checkpoint(there))) = (self.rival.take(), there) else {
            return false;
        };
        let (here, begun_by) = (self.life.owner, rival.begun_by);
        if checked.is_outvoted(&there, begun_by, here) {
            let from = From::After(rival.view.position());
            self.follow(rival.view, from, fx);
            return true;
        }
        // The other way round: then it is the other that is wrong.
        if !there.is_outvoted(&checked, begun_by, here) {
            self.rival = Some(rival);
        }
        false
    }

    fn on_checkpoint(
        &mut self,
        position: Position,
        at: WallTime,
        record: Record,
        fx: &mut Vec<Effect>,
    ) {
        let Said::Checkpoint(part) = record.said else { return };
        let writer = record.writer;
        let Some(parts) = self.gathered.add(position, at, writer, part) else { return };
        if !self.differs(&parts) {
            self.due = Due::since(at);
            return;
        }
        let is_of = |rival: &Rival| {
            parts.first().is_some_and(|part| rival.view.chain_at(part.as_of) == Some(part.chain))
        };
        if self.rival.as_ref().is_some_and(is_of) {
            return;
        }
        match Rival::begin(writer, &parts, &self.recent) {
            Ok(rival) => self.rival = rival,
            Err(error) => fx.push(Effect::Unusable(error)),
        }
    }

    fn write_if_due(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        if self.stage == Stage::Ready
            && !self.is_stopping
            && !self.is_held_back
            && self.due.is_now(now, self.life, &self.view)
        {
            let said =
                self.view.checkpoint_in(self.part_bytes_max).into_iter().map(Said::Checkpoint);
            let record = |said| Effect::Write(Record { writer: self.life, said });
            fx.extend(said.map(record));
        }
    }
}
