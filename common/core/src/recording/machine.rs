//! Machines that can be given a recording again.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::effects::{Effects, Tell as _};
use super::format::Moment;
use crate::time::WallTime;

/// The time of a step, by both clocks. A machine takes the one it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time.
    pub wall: WallTime,
    /// The clock that never goes back.
    pub instant: Instant,
}

impl Now {
    /// The moment of a recording that began at `base`.
    #[must_use]
    pub fn of(base: Instant, at: Moment) -> Self {
        let since = Duration::from_nanos(at.since_ns);
        Self { wall: at.wall, instant: base.checked_add(since).unwrap_or(base) }
    }

    /// How a recording that began at `base` keeps it: before, there is nothing.
    #[must_use]
    pub fn since(self, base: Instant) -> Moment {
        let since = self.instant.saturating_duration_since(base).as_nanos();
        Moment { wall: self.wall, since_ns: u64::try_from(since).unwrap_or(u64::MAX) }
    }
}

/// A pure machine that can be recorded.
pub trait Machine: Sized {
    /// What people call it.
    const NAME: &'static str;
    /// What it begins with.
    type Start: Serialize + DeserializeOwned;
    /// What can happen to it.
    type Input: Serialize + DeserializeOwned + Debug;
    /// What a step owes.
    type Effects: Effects;

    /// The machine, as it began.
    fn begin(start: Self::Start, now: Now) -> Self;

    /// One step.
    fn advance(&mut self, input: Self::Input, now: Now, fx: &mut Self::Effects);
}

/// Who is told what a replay does, as it does it: what goes in before the step, what came out after.
pub trait Told {
    /// A machine is given this.
    fn input(&mut self, machine: &'static str, input: &dyn Debug);
    /// One of its effects.
    fn effect(&mut self, kind: &'static str, effect: &dyn Debug);
}

/// Why an entry cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// There is no such machine.
    #[error("of a machine that this version does not know, number {0}")]
    Unknown(u8),
    /// An input of a machine that has not begun.
    #[error("an input of the {0}, which has not begun")]
    NotBegun(&'static str),
    /// It does not read as what the machine takes.
    #[error("not what this version's {0} takes")]
    Malformed(&'static str),
}

/// The machines of a tier.
pub trait Player {
    /// A machine begins, or begins anew.
    ///
    /// # Errors
    /// When it cannot.
    fn begin(&mut self, machine: u8, now: Now, body: &[u8]) -> Result<&'static str, PlayError>;

    /// A machine takes an input.
    ///
    /// # Errors
    /// When it cannot.
    fn advance(
        &mut self,
        machine: u8,
        now: Now,
        body: &[u8],
        told: &mut dyn Told,
    ) -> Result<(), PlayError>;
}

/// A machine, once it has begun.
#[derive(Debug)]
pub struct Played<M>(Option<M>);

impl<M> Default for Played<M> {
    fn default() -> Self {
        Self(None)
    }
}

impl<M: Machine> Played<M> {
    /// See [`Player::begin`].
    ///
    /// # Errors
    /// When the body does not read as a start.
    pub fn begin(&mut self, now: Now, body: &[u8]) -> Result<&'static str, PlayError> {
        let start = read(M::NAME, body)?;
        self.0 = Some(M::begin(start, now));
        Ok(M::NAME)
    }

    /// See [`Player::advance`]. What the step owes.
    ///
    /// # Errors
    /// When the machine has not begun, or the body does not read as an input.
    pub fn advance(
        &mut self,
        now: Now,
        body: &[u8],
        told: &mut dyn Told,
    ) -> Result<M::Effects, PlayError> {
        let machine = self.0.as_mut().ok_or(PlayError::NotBegun(M::NAME))?;
        let input = read::<M::Input>(M::NAME, body)?;
        told.input(M::NAME, &input);
        let mut fx = M::Effects::default();
        machine.advance(input, now, &mut fx);
        fx.tell(&mut |kind, effect| told.effect(kind, effect));
        Ok(fx)
    }

    /// The machine, if it has begun.
    pub const fn get(&self) -> Option<&M> {
        self.0.as_ref()
    }
}

/// What all of a body says to the machine with this name.
///
/// # Errors
/// When it does not read as that.
pub fn read<T: DeserializeOwned>(machine: &'static str, body: &[u8]) -> Result<T, PlayError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(PlayError::Malformed(machine)),
    }
}

trait Part {
    fn begin(&mut self, now: Now, body: &[u8]) -> Result<&'static str, PlayError>;
    fn advance(&mut self, now: Now, body: &[u8], told: &mut dyn Told) -> Result<(), PlayError>;
}

impl<M: Machine> Part for Played<M> {
    fn begin(&mut self, now: Now, body: &[u8]) -> Result<&'static str, PlayError> {
        self.begin(now, body)
    }

    fn advance(&mut self, now: Now, body: &[u8], told: &mut dyn Told) -> Result<(), PlayError> {
        self.advance(now, body, told).map(|_told| ())
    }
}

/// Machines that know nothing of each other, by their numbers.
#[derive(Default)]
pub struct Cast(Vec<(u8, Box<dyn Part>)>);

impl Cast {
    /// With another machine.
    #[must_use]
    pub fn with<M: Machine + 'static>(mut self, number: u8) -> Self {
        self.0.push((number, Box::new(Played::<M>::default())));
        self
    }

    fn part(&mut self, machine: u8) -> Result<&mut dyn Part, PlayError> {
        match self.0.iter_mut().find(|(number, _)| *number == machine) {
            Some((_, part)) => Ok(part.as_mut()),
            None => Err(PlayError::Unknown(machine)),
        }
    }
}

impl Player for Cast {
    fn begin(&mut self, machine: u8, now: Now, body: &[u8]) -> Result<&'static str, PlayError> {
        self.part(machine)?.begin(now, body)
    }

    fn advance(
        &mut self,
        machine: u8,
        now: Now,
        body: &[u8],
        told: &mut dyn Told,
    ) -> Result<(), PlayError> {
        self.part(machine)?.advance(now, body, told)
    }
}
