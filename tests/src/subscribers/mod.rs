//! What can happen to subscribers, done to a cluster under load, and judged: by what each of them
//! got, and by what it cost the entry.
//!
//! ```text
//!   publishers ──> E1 E2 E3 ──> resumers: cut, and back with `after`      <- killed, stopped
//!                          └──> a crowd, of which some do not read
//! ```
//! What is random comes from the seed, apart from the timing of the processes.

mod crowd;
mod drain;
mod flood;
mod memory;
mod resume;
mod resumer;
mod sessions;
mod stalled;
mod stream;
mod trial;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::harness::Durability;
pub use crate::outcome::Outcome;
pub(crate) use resumer::{Fared, Resumer};
pub(crate) use stream::{Stream, Wanted};

use trial::Trial;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Subscribers are cut off at random moments, and come back where they were, at any entry.
    Resume,
    /// Some of very many subscribers do not read for a while.
    Stalled,
    /// Very many sessions that do nothing, and a message for all of them now and then.
    Sessions,
    /// Each entry in turn is stopped as an operator would, and started.
    Drain,
    /// Publishers send as fast as they can and want no answers.
    Flood,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Resume, Self::Stalled, Self::Sessions, Self::Drain, Self::Flood];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Stalled => "stalled",
            Self::Sessions => "sessions",
            Self::Drain => "drain",
            Self::Flood => "flood",
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

/// How a scenario is run. Not every one uses everything.
#[derive(Clone, Debug)]
pub struct SubscriberOptions {
    /// Where everything random comes from.
    pub seed: u64,
    /// Messages per second of all publishers together; not of [`Scenario::Sessions`] and
    /// [`Scenario::Flood`].
    pub per_second: f64,
    /// Bytes of the args of each message.
    pub payload_bytes: usize,
    /// [`Scenario::Resume`]: how often each subscriber is cut off.
    pub cuts: u32,
    /// [`Scenario::Resume`]: how often meanwhile an entry is killed and started.
    pub kills: u32,
    /// [`Scenario::Stalled`]: subscribers; [`Scenario::Sessions`]: sessions.
    pub sessions: usize,
    /// [`Scenario::Stalled`]: how many of them stop reading.
    pub stalled: usize,
    /// [`Scenario::Stalled`]: and for how long at least, and before that everybody reads;
    /// [`Scenario::Flood`]: how long it lasts.
    pub time: Duration,
    /// [`Scenario::Stalled`]: they stop for so many bytes of messages at least.
    pub missed_bytes: u64,
    /// [`Scenario::Sessions`]: messages to all; [`Scenario::Drain`]: turns.
    pub rounds: u32,
    /// What answers wait for.
    pub durability: Durability,
    /// Where configuration, logs and stores go; `None`: a temporary folder, which stays when a
    /// guarantee was broken.
    pub dir: Option<PathBuf>,
}

impl SubscriberOptions {
    /// The full size of a scenario, with fsync.
    #[must_use]
    pub const fn new(scenario: Scenario, seed: u64) -> Self {
        let (per_second, payload_bytes) = match scenario {
            Scenario::Resume => (5_000.0, 128),
            // So many bytes that the kernel's buffers are full, and a write waits for the client, long
            // before `limits.keep-alive-timeout` takes its silence for its end.
            Scenario::Stalled => (25.0, 4_096),
            Scenario::Sessions => (0.0, 128),
            Scenario::Drain => (2_000.0, 128),
            Scenario::Flood => (0.0, 1_024),
        };
        Self {
            seed,
            per_second,
            payload_bytes,
            cuts: 100,
            kills: 3,
            sessions: match scenario {
                Scenario::Sessions => 10_000,
                Scenario::Resume | Scenario::Stalled | Scenario::Drain | Scenario::Flood => 1_000,
            },
            stalled: 1,
            time: match scenario {
                Scenario::Stalled => Duration::from_secs(120),
                Scenario::Resume | Scenario::Sessions | Scenario::Drain | Scenario::Flood => {
                    Duration::from_secs(10)
                }
            },
            missed_bytes: 4 << 20,
            rounds: match scenario {
                Scenario::Sessions => 11,
                Scenario::Resume | Scenario::Stalled | Scenario::Drain | Scenario::Flood => 1,
            },
            durability: Durability::Fsync,
            dir: None,
        }
    }
}

/// Runs a scenario and judges it.
///
/// # Errors
/// When the cluster or the load cannot be started; whatever goes wrong later is in the outcome.
pub async fn run(scenario: Scenario, options: SubscriberOptions) -> anyhow::Result<Outcome> {
    let mut trial = Trial::start(scenario, options).await?;
    let ran = match scenario {
        Scenario::Resume => resume::run(&mut trial).await,
        Scenario::Stalled => stalled::run(&mut trial).await,
        Scenario::Sessions => sessions::run(&mut trial).await,
        Scenario::Drain => drain::run(&mut trial).await,
        Scenario::Flood => flood::run(&mut trial).await,
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
        assert!("kill".parse::<Scenario>().is_err_and(|error| error.contains("resume, stalled")));
    }
}
