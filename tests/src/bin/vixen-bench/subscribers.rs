//! `vixen-bench subscribers`.

use std::path::PathBuf;
use std::time::Duration;

use vixen_tests::harness::Durability;
use vixen_tests::subscribers::{self, Scenario, SubscriberOptions};

use crate::args::duration;
use crate::interrupt::Interrupts;

const AFTER_HELP: &str = "\
Examples:
  Subscribers that are cut off a hundred times each, and come back:
    vixen-bench subscribers --scenario resume --seed 7

  One of a thousand does not read for ten minutes:
    vixen-bench subscribers --scenario stalled --time 10m

  Ten thousand idle sessions (needs as many open files: `ulimit -n`):
    vixen-bench subscribers --scenario sessions

Scenarios: resume: cut off and back with `after`, while entries are killed; stalled: some do not
read; sessions: very many that do nothing; drain: every entry in turn is stopped and started;
flood: publishers without acknowledgements, as fast as they can.

Exit codes: 0 all well; 1 a guarantee was broken; 2 it could not be run at all, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct SubscribersArgs {
    /// What happens; may be given several times.
    #[arg(long = "scenario", value_name = "NAME", required = true)]
    scenarios: Vec<Scenario>,
    /// Where everything random comes from, apart from the timing of the processes [default: a new
    /// one].
    #[arg(long)]
    seed: Option<u64>,
    /// Messages per second of all publishers together, sent when they are due whatever the
    /// answers (open loop), all acknowledged [default: 5000 in resume, 25 in stalled, 2000 in
    /// drain].
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Bytes of the arguments of each message, at least 48 [default: 128; 4096 in stalled, 1024
    /// in flood].
    #[arg(long, value_name = "BYTES")]
    payload: Option<usize>,
    /// How often each subscriber of `resume` is cut off.
    #[arg(long, value_name = "N", default_value_t = 100)]
    cuts: u32,
    /// How often an entry is killed in `resume`.
    #[arg(long, value_name = "N", default_value_t = 3)]
    kills: u32,
    /// Number of subscribers in `stalled`, of sessions in `sessions` [default: 1000, 10000].
    #[arg(long, value_name = "N")]
    sessions: Option<usize>,
    /// How many of them do not read in `stalled`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    stalled: usize,
    /// For how long they do not, or the flood lasts [default: 2m, 10s].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Messages to all in `sessions`, turns of `drain` [default: 11, 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// What the cluster waits for before it answers: fsync or memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
    /// Where the clusters keep their files, in a folder for each scenario; a new or empty one
    /// [default: temporary folders, which stay when a guarantee was broken].
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl SubscribersArgs {
    fn options(&self, scenario: Scenario) -> SubscriberOptions {
        let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let full = SubscriberOptions::new(scenario, seed);
        SubscriberOptions {
            per_second: self.rate.unwrap_or(full.per_second),
            payload_bytes: self.payload.unwrap_or(full.payload_bytes),
            cuts: self.cuts,
            kills: self.kills,
            sessions: self.sessions.unwrap_or(full.sessions),
            stalled: self.stalled,
            time: self.time.unwrap_or(full.time),
            rounds: self.rounds.unwrap_or(full.rounds),
            durability: self.durability,
            dir: self.dir.as_ref().map(|dir| dir.join(scenario.name())),
            ..full
        }
    }
}

/// Runs the scenarios; `true` when every guarantee held.
pub(crate) async fn subscribers(args: &SubscribersArgs) -> anyhow::Result<bool> {
    let mut interrupts = Interrupts::new()?;
    let mut is_ok = true;
    for scenario in &args.scenarios {
        let options = args.options(*scenario);
        eprintln!("{}, seed {}", scenario.name(), options.seed);
        let outcome = interrupts.bound(subscribers::run(*scenario, options)).await?;
        println!("{outcome}\n");
        is_ok &= outcome.is_ok();
    }
    Ok(is_ok)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(words: &str) -> Result<SubscribersArgs, clap::Error> {
        match Args::try_parse_from(words.split(' '))?.command {
            Command::Subscribers(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scenarios_have_their_size_unless_told_otherwise() {
        let words = "b subscribers --scenario sessions --scenario stalled --seed 7 --dir /x";
        let args = parse(words).expect("ok");
        assert_eq!(args.scenarios, [Scenario::Sessions, Scenario::Stalled]);
        let options = args.options(Scenario::Sessions);
        assert_eq!((options.seed, options.sessions, options.rounds), (7, 10_000, 11));
        assert_eq!(options.dir, Some(PathBuf::from("/x/sessions")));
        assert_eq!(args.options(Scenario::Stalled).sessions, 1_000);
        let args = parse("b subscribers --scenario stalled --sessions 9 --time 10m").expect("ok");
        let options = args.options(Scenario::Stalled);
        assert_eq!((options.sessions, options.time), (9, Duration::from_secs(600)));
        assert!(parse("b subscribers").is_err());
        assert!(parse("b subscribers --scenario kill").is_err());
    }
}
