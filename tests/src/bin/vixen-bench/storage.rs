//! `vixen-bench storage`.

use std::path::PathBuf;

use vixen_tests::harness::Durability;
use vixen_tests::storage::{self, Scenario, StorageOptions};

use crate::interrupt::Interrupts;

const AFTER_HELP: &str = "\
Examples:
  Kill each of six ndb nodes twice:
    vixen-bench storage --scenario kill --rounds 2

  A thousand damages in the files of a node that runs:
    vixen-bench storage --scenario damage

  Five hundred power cuts, with the stores in memory:
    vixen-bench storage --scenario power --rounds 500 --dir /dev/shm/vixen

  Everything, as it was run with this seed:
    vixen-bench storage --scenario kill --scenario pause --scenario wipe --scenario damage \\
        --scenario full --scenario power --seed 7

Scenarios: kill and pause each ndb node for a second; wipe one's directory; damage one's files;
full disks of one group, then of all (small ones in memory, each in a mount namespace: needs root
or user namespaces); power: all nodes are killed at once, and whatever they had not made durable is
lost in part, sector by sector; each 25 rounds of it have a cluster of their own.

Exit codes: 0 all well; 1 a guarantee was broken; 2 it could not be run at all, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct StorageArgs {
    /// What happens; may be given several times.
    #[arg(long = "scenario", value_name = "NAME", required = true)]
    scenarios: Vec<Scenario>,
    /// How often.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where everything random comes from, apart from the timing of the processes [default: a new
    /// one].
    #[arg(long)]
    seed: Option<u64>,
    /// Messages per second of all publishers together, sent when they are due whatever the
    /// answers (open loop), all acknowledged.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1000.0)]
    rate: f64,
    /// Damages in each round of `damage`.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    damages: u32,
    /// In the last round of `power` disks lose what they said was durable: the judge must notice.
    #[arg(long)]
    lying_disks: bool,
    /// What the cluster waits for before it answers: fsync or memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
    /// Where the clusters keep their files, in a folder for each scenario; a new or empty one
    /// [default: temporary folders, which stay when a guarantee was broken].
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl StorageArgs {
    fn options(&self, scenario: Scenario) -> StorageOptions {
        let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        StorageOptions {
            per_second: self.rate,
            damages: self.damages,
            lying_disks: self.lying_disks,
            durability: self.durability,
            dir: self.dir.as_ref().map(|dir| dir.join(scenario.name())),
            ..StorageOptions::new(self.rounds, seed)
        }
    }
}

/// Runs the scenarios; `true` when every guarantee held.
pub(crate) async fn storage(args: &StorageArgs) -> anyhow::Result<bool> {
    let mut interrupts = Interrupts::new()?;
    let mut is_ok = true;
    for scenario in &args.scenarios {
        let options = args.options(*scenario);
        eprintln!("{}, seed {}", scenario.name(), options.seed);
        let outcome = interrupts.bound(storage::run(*scenario, options)).await?;
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

    fn parse(words: &str) -> Result<StorageArgs, clap::Error> {
        match Args::try_parse_from(words.split(' '))?.command {
            Command::Storage(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scenarios_are_named_and_each_has_its_folder() {
        let args =
            parse("b storage --scenario kill --scenario full --seed 7 --dir /x").expect("ok");
        assert_eq!(args.scenarios, [Scenario::Kill, Scenario::Full]);
        let options = args.options(Scenario::Full);
        assert_eq!((options.seed, options.rounds, options.damages), (7, 1, 1_000));
        assert_eq!(options.dir, Some(PathBuf::from("/x/full")));
        assert!(parse("b storage").is_err());
        assert!(parse("b storage --scenario flood").is_err());
    }
}
