//! The operator's tools: subcommands of `vixen-ndb` that look at a store, copy it, or put it aside.
//!
//! Those that read do so beside the running node, through LMDB; those that change a directory take
//! the node's lock. All print their result on stdout, progress and troubles on stderr.

mod backup;
mod dump;
pub mod fault;
mod place;
mod progress;
mod rebuild;
mod restore;
mod stats;
mod text;
mod verify;

use std::process::ExitCode;

use vixen_core::recording::Cast;
use vixen_core::tier::Tier;
use vixen_replica::{CORE, NdbCore};
use vixen_runtime::recording::ReplayArgs;
use vixen_runtime::telemetry::{print, remark};

pub use place::Target;

/// A subcommand of `vixen-ndb`.
#[derive(Debug, clap::Subcommand)]
#[expect(missing_docs, reason = "the doc of each tool's arguments is its help")]
pub enum Tool {
    Verify(verify::Args),
    Dump(dump::Args),
    Stats(stats::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Rebuild(rebuild::Args),
    Replay(ReplayArgs),
}

/// How a tool ended, as the exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Done, and nothing is wrong.
    Good,
    /// Done, and something is wrong with what is stored.
    Problems,
    /// Something could not be read, or was not done.
    Failed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Good => 0,
            Outcome::Problems => 1,
            Outcome::Failed => 2,
        })
    }
}

impl Tool {
    /// Does what was asked for, and says so. Blocking.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let outcome = match self {
            Self::Verify(args) => args.run(),
            Self::Dump(args) => args.run(),
            Self::Stats(args) => args.run(),
            Self::Backup(args) => args.run(),
            Self::Restore(args) => args.run(),
            Self::Rebuild(args) => args.run(),
            Self::Replay(args) => {
                return args.run(Tier::Ndb, &mut Cast::default().with::<NdbCore>(CORE));
            }
        };
        match outcome {
            Ok(outcome) => outcome.into(),
            Err(error) => {
                remark(&format!("vixen-ndb: {error:#}"));
                Outcome::Failed.into()
            }
        }
    }
}

/// Prints what was done; that it cannot be printed changes nothing about that.
fn say(text: &str) {
    if let Err(error) = print(text) {
        remark(&format!("vixen-ndb: {:#}", anyhow::Error::from(error)));
    }
}
