//! What can happen to the stores of ndb nodes, done to a cluster of two groups under load, and
//! judged: by what the clients saw, and by what `vixen-ndb verify` and `vixen-ndb dump` say of
//! every store in the end.
//!
//! ```text
//!   publishers, subscribers ──> E1 E2 ──> D1 D2 D3 | D4 D5 D6     <- killed, wiped, damaged, full
//!                                              |
//!   judge: settle ──> verify ──> dump ──> one order out of both groups ──> the checker
//! ```
//! A round is a turn of the fault; what is random comes from the seed, apart from the timing of
//! the processes.

mod damage;
mod dump;
mod full;
mod judge;
mod kill;
mod power;
mod readings;
mod tail;
mod trial;
mod wipe;

use std::path::PathBuf;
use std::str::FromStr;

use crate::harness::Durability;

pub use crate::outcome::Outcome;
pub(crate) use dump::{parse, read_history};
pub(crate) use judge::common_prefix;
pub use judge::{Stored, judge_stored, wait_settled};
pub use tail::{CLUSTER, SECRET, StoredMessage, link_to, read_messages, read_tail};

use trial::Trial;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Each ndb node in turn is killed, started after a second, and catches up.
    Kill,
    /// The same with SIGSTOP and SIGCONT.
    Pause,
    /// A node loses its directory and becomes complete again.
    Wipe,
    /// The files of a node that runs are damaged.
    Damage,
    /// The disks of one group, then of all groups, are full for a while.
    Full,
    /// The power of all nodes is cut at once, and what was not durable is lost, in part.
    Power,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Kill, Self::Pause, Self::Wipe, Self::Damage, Self::Full, Self::Power];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Wipe => "wipe",
            Self::Damage => "damage",
            Self::Full => "full",
            Self::Power => "power",
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == text);
        found
            .ok_or_else(|| format!("a scenario is one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// How a scenario is run.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// How often.
    pub rounds: u32,
    /// Where everything random comes from.
    pub seed: u64,
    /// Messages per second of all publishers together.
    pub per_second: f64,
    /// Of [`Scenario::Damage`], in each round.
    pub damages: u32,
    /// [`Scenario::Power`]: in the last round disks say that what they were given is durable, and
    /// lose it. The judge must notice.
    pub lying_disks: bool,
    /// What answers wait for.
    pub durability: Durability,
    /// Where configuration, logs and stores go; `None`: a temporary folder, which stays when a
    /// guarantee was broken.
    pub dir: Option<PathBuf>,
}

impl StorageOptions {
    /// 1,000 messages/s, 1,000 damages, fsync.
    #[must_use]
    pub const fn new(rounds: u32, seed: u64) -> Self {
        let durability = Durability::Fsync;
        Self {
            rounds,
            seed,
            per_second: 1_000.0,
            damages: 1_000,
            lying_disks: false,
            durability,
            dir: None,
        }
    }
}

/// Runs a scenario and judges it.
///
/// # Errors
/// When the cluster or the load cannot be started; whatever goes wrong later is in the outcome.
pub async fn run(scenario: Scenario, options: StorageOptions) -> anyhow::Result<Outcome> {
    if scenario == Scenario::Power && options.rounds > power::ROUNDS_MAX {
        return power::run_on_several(options).await;
    }
    run_on_one(scenario, options).await
}

async fn run_on_one(scenario: Scenario, options: StorageOptions) -> anyhow::Result<Outcome> {
    let mut trial = Trial::start(scenario, options).await?;
    let ran = match scenario {
        Scenario::Kill => kill::run(&mut trial, kill::Fault::Kill).await,
        Scenario::Pause => kill::run(&mut trial, kill::Fault::Pause).await,
        Scenario::Wipe => wipe::run(&mut trial).await,
        Scenario::Damage => damage::run(&mut trial).await,
        Scenario::Full => full::run(&mut trial).await,
        Scenario::Power => power::run(&mut trial).await,
    };
    trial.finish(ran).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_go_by_their_names() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
        }
        assert!("flood".parse::<Scenario>().is_err_and(|error| error.contains("kill, pause")));
    }
}
