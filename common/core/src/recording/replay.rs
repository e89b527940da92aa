//! A recording, played from its beginning.

use std::fmt::Debug;
use std::io::Read;
use std::time::Instant;

use super::effects::{Sum, Summer};
use super::format::{EndReason, Entry, Head, Moment, Recording, RecordingError};
use super::machine::{Now, PlayError, Player, Told};

/// Who watches a replay.
pub trait Listener {
    /// A machine begins.
    fn begins(&mut self, machine: &'static str, at: Moment);
    /// The input with this number, from 1, is about to be taken.
    fn input(&mut self, number: u64, machine: &'static str, at: Moment, input: &dyn Debug);
    /// An effect of it.
    fn effect(&mut self, kind: &'static str, effect: &dyn Debug);
}

/// Nobody watches.
impl Listener for () {
    fn begins(&mut self, _machine: &'static str, _at: Moment) {}
    fn input(&mut self, _: u64, _: &'static str, _: Moment, _: &dyn Debug) {}
    fn effect(&mut self, _kind: &'static str, _effect: &dyn Debug) {}
}

/// Why a replay cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recording is not whole.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// An entry cannot be played.
    #[error("entry {number} is {problem}")]
    Play {
        /// Which one.
        number: u64,
        /// What it is.
        problem: PlayError,
    },
    /// Effects without an input.
    #[error("entry {number} tells of effects, and no input is before it")]
    Stray {
        /// Which one.
        number: u64,
    },
}

/// Whether the machines did what they had done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They did.
    Agrees,
    /// At this input they did something else for the first time. What follows it says nothing.
    Diverges {
        /// Its number.
        input: u64,
        /// What was recorded of its effects.
        recorded: Sum,
        /// What they are.
        replayed: Sum,
    },
}

/// How a recording ends.
#[derive(Debug)]
pub enum Ending {
    /// It says why.
    Said(EndReason),
    /// It was played up to where it was to be.
    Enough,
    /// With a whole entry, and without a word: the node was killed, or had not ended yet.
    Cut,
    /// With an input whose effects are not told: the node has ended in that step, or was killed there.
    InStep,
    /// It is not whole from here on, or cannot be played.
    Broken(ReplayError),
}

impl Ending {
    /// Whether it is one that a node can leave, however it ends.
    #[must_use]
    pub const fn is_natural(&self) -> bool {
        match self {
            Self::Said(_) | Self::Enough | Self::Cut | Self::InStep => true,
            Self::Broken(ReplayError::Recording(RecordingError::Torn { .. })) => true,
            Self::Broken(_) => false,
        }
    }
}

/// What came of a replay.
#[derive(Debug)]
pub struct Summary {
    /// Inputs that were taken.
    pub inputs: u64,
    /// Their effects.
    pub effects: u64,
    /// Whether these were those of the running node.
    pub verdict: Verdict,
    /// How the recording ends.
    pub ending: Ending,
}

/// Plays a recording.
pub struct Replay<'a, R> {
    recording: Recording<R>,
    player: &'a mut dyn Player,
    base: Instant,
    inputs: u64,
    effects: u64,
    summer: Summer,
    /// What the last input has led to, until it was compared.
    open: Option<Sum>,
}

impl<'a, R: Read> Replay<'a, R> {
    /// A replay whose clock begins at `base`: which moment that is does not matter.
    pub fn new(recording: Recording<R>, player: &'a mut dyn Player, base: Instant) -> Self {
        let summer = Summer::default();
        Self { recording, player, base, inputs: 0, effects: 0, summer, open: None }
    }

    /// Plays to the end, to the first input that has other effects, or to input `to`.
    pub fn run(mut self, to: Option<u64>, listener: &mut dyn Listener) -> Summary {
        let mut verdict = Verdict::Agrees;
        let ending = loop {
            if self.open.is_none() && to.is_some_and(|to| self.inputs >= to) {
                break Ending::Enough;
            }
            let entry = match self.recording.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) if self.open.is_some() => break Ending::InStep,
                Ok(None) => break Ending::Cut,
                Err(error) => break Ending::Broken(error.into()),
            };
            match self.take(&entry, listener) {
                Ok(Taken::Nothing) => {}
                Ok(Taken::End(reason)) => break Ending::Said(reason),
                Ok(Taken::Other { recorded, replayed }) => {
                    verdict = Verdict::Diverges { input: self.inputs, recorded, replayed };
                    break Ending::Enough;
                }
                Err(error) => break Ending::Broken(error),
            }
        };
        Summary { inputs: self.inputs, effects: self.effects, verdict, ending }
    }

    fn take(&mut self, entry: &Entry, listener: &mut dyn Listener) -> Result<Taken, ReplayError> {
        let number = entry.number;
        let unplayable = |problem| ReplayError::Play { number, problem };
        match entry.head {
            Head::Start { machine, at } => {
                let now = Now::of(self.base, at);
                let name = self.player.begin(machine, now, entry.body()).map_err(unplayable)?;
                listener.begins(name, at);
            }
            Head::Input { machine, at } => {
                self.inputs += 1;
                let number = self.inputs;
                let mut told = Telling { number, at, summer: &mut self.summer, listener };
                let now = Now::of(self.base, at);
                let taken = self.player.advance(machine, now, entry.body(), &mut told);
                taken.map_err(unplayable)?;
                let sum = self.summer.take();
                self.effects += u64::from(sum.count);
                self.open = Some(sum);
            }
            Head::Effects(recorded) => {
                let replayed = self.open.take().ok_or(ReplayError::Stray { number })?;
                if recorded != replayed {
                    return Ok(Taken::Other { recorded, replayed });
                }
            }
            Head::End(reason) => return Ok(Taken::End(reason)),
        }
        Ok(Taken::Nothing)
    }
}

enum Taken {
    Nothing,
    End(EndReason),
    Other { recorded: Sum, replayed: Sum },
}

/// Sums up what is told, and passes it on.
struct Telling<'a> {
    number: u64,
    at: Moment,
    summer: &'a mut Summer,
    listener: &'a mut dyn Listener,
}

impl Told for Telling<'_> {
    fn input(&mut self, machine: &'static str, input: &dyn Debug) {
        self.listener.input(self.number, machine, self.at, input);
    }

    fn effect(&mut self, kind: &'static str, effect: &dyn Debug) {
        self.summer.add(kind, effect);
        self.listener.effect(kind, effect);
    }
}
