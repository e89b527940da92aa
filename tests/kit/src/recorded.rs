//! Recordings of real nodes (`--record`), stepped through by the machines that the World runs.

use std::io::Read;
use std::time::Instant;

use vixen_core::recording::{
    Now, PlayError, Played, Player, Recording, RecordingError, Replay, Summary, Told,
};
use vixen_replica::{CORE, NdbCore};
use vixen_vote::{Orderer, VotePlayer};

/// The core of an ndb node, as it is after a recording.
#[derive(Default)]
struct CorePlayer(Played<NdbCore>);

impl Player for CorePlayer {
    fn begin(&mut self, machine: u8, now: Now, body: &[u8]) -> Result<&'static str, PlayError> {
        if machine == CORE { self.0.begin(now, body) } else { Err(PlayError::Unknown(machine)) }
    }

    fn advance(
        &mut self,
        machine: u8,
        now: Now,
        body: &[u8],
        told: &mut dyn Told,
    ) -> Result<(), PlayError> {
        if machine == CORE {
            self.0.advance(now, body, told).map(|_owed| ())
        } else {
            Err(PlayError::Unknown(machine))
        }
    }
}

/// Steps through the recording of an ndb node, on a clock that begins at `base`; looks at its core afterwards.
///
/// # Errors
/// When it is no recording.
pub fn core_after<T>(
    recording: impl Read,
    base: Instant,
    look: impl FnOnce(&NdbCore) -> T,
) -> Result<(Summary, Option<T>), RecordingError> {
    let mut player = CorePlayer::default();
    let summary = Replay::new(Recording::open(recording)?, &mut player, base).run(None, &mut ());
    Ok((summary, player.0.get().map(look)))
}

/// The same of a sync node and its vote.
///
/// # Errors
/// When it is no recording.
pub fn vote_after<T>(
    recording: impl Read,
    base: Instant,
    look: impl FnOnce(&Orderer) -> T,
) -> Result<(Summary, Option<T>), RecordingError> {
    let mut player = VotePlayer::default();
    let summary = Replay::new(Recording::open(recording)?, &mut player, base).run(None, &mut ());
    Ok((summary, player.orderer().map(look)))
}
