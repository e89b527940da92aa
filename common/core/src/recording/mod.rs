//! Recordings: what the pure machines of a node were given, in order and with the time, so that they can be
//! given it again.
//!
//! ```text
//!  running:   input --record--> machine --> effects --digest--> record
//!  replaying: record --> input --> machine --> effects --digest--> the same?
//! ```
//! A machine has no clock, no randomness and no I/O: the same start and the same inputs make the same effects.
//! So a recording needs none of them, only what tells whether they are the same: their number and their digest.
//!
//! [`format`](Recording) is the file, [`Replay`] gives it to machines, and [`Player`] says which ones: each tier
//! has its own. Who records is in `vixen_runtime::recording`. See `docs/design/023-record-and-replay.md`.

mod effects;
mod format;
mod machine;
mod replay;
#[cfg(test)]
mod tests;

pub use effects::{Effects, Sum, Summer, Tell, tell_all};
pub use format::{
    EndReason, Entry, EntryEncoder, FORMAT, Head, Header, Moment, Recording, RecordingError,
};
pub use machine::{Cast, Machine, Now, PlayError, Played, Player, Told, read};
pub use replay::{Ending, Listener, Replay, ReplayError, Summary, Verdict};
