//! `vixen-bench calls-faults`.

use std::path::PathBuf;
use std::time::Duration;

use vixen_tests::call_faults::{self, Blow, CallFaultOptions, Victim};
use vixen_tests::campaign::in_own_network;

use crate::args::duration;
use crate::interrupt::Interrupts;

const AFTER_HELP: &str = "\
Examples:
  Two hundred rounds of all kinds, as they were run with this seed:
    vixen-bench calls-faults --rounds 200 --seed 7

  Entries alone, killed and paused: takes no packet filter:
    vixen-bench calls-faults --rounds 10 --victim callees-entry --victim callers-entry \\
        --blow kill --blow pause

  More calls that are open when something happens:
    vixen-bench calls-faults --outstanding 8 --work 500ms

Ports are cut by a packet filter in a network namespace that the command makes for itself: that takes
unshare, ip and iptables, and root or user namespaces.

How to read the line of a round: `well after` counts from the blow until every procedure had a result at every
entry, to a call made after the end of the fault. `there` is at the entry that was struck: who calls at one that
stands still waits for as long as it does, and its bound is counted from when it goes on.

Exit codes: 0 all well; 1 a guarantee was broken; 2 it could not be run at all, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CallsFaultsArgs {
    /// Faults, after a round without one.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u32,
    /// Where everything random comes from, apart from the timing of the processes [default: a new one].
    #[arg(long)]
    seed: Option<u64>,
    /// Callers, each with a connection of its own; at least three.
    #[arg(long, value_name = "N", default_value_t = 200)]
    callers: usize,
    /// Callees, likewise; at least four.
    #[arg(long, value_name = "N", default_value_t = 20)]
    callees: usize,
    /// Calls that each caller has open at most.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    outstanding: usize,
    /// Calls per second of all callers together, as long as they may have more open.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1000.0)]
    rate: f64,
    /// The timeout of each call.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    timeout: Duration,
    /// How much later than its timeout a call must be answered.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    grace: Duration,
    /// The longest time from an invocation to its answer.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration)]
    work: Duration,
    /// The longest time that a fault lasts; 100 ms is the shortest.
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = duration)]
    away_max: Duration,
    /// Who is struck; may be given more than once: callee, callees-entry, callers-entry, sync, ndb [default: all].
    #[arg(long = "victim", value_name = "WHO")]
    victims: Vec<Victim>,
    /// What is done, likewise: kill, pause, cut, unplug (an entry, from clients as well) [default: all].
    #[arg(long = "blow", value_name = "WHAT")]
    blows: Vec<Blow>,
    /// Where the cluster keeps its files; a new or empty folder [default: a temporary one, which stays when a
    /// guarantee was broken].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print one JSON object, with every round, instead of the tables.
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("one at least".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

impl CallsFaultsArgs {
    fn options(&self, seed: u64) -> CallFaultOptions {
        let all = CallFaultOptions::new(self.rounds, seed);
        CallFaultOptions {
            callers: self.callers,
            callees: self.callees,
            outstanding: self.outstanding,
            per_second: self.rate,
            timeout: self.timeout,
            grace: self.grace,
            work: self.work,
            away_max: self.away_max,
            victims: if self.victims.is_empty() { all.victims } else { self.victims.clone() },
            blows: if self.blows.is_empty() { all.blows } else { self.blows.clone() },
            dir: self.dir.clone(),
            ..all
        }
    }

    fn cuts(&self) -> bool {
        self.blows.is_empty() || self.blows.iter().any(|blow| blow.cuts())
    }
}

/// Runs it; `true` when every guarantee held.
pub(crate) async fn calls_faults(args: &CallsFaultsArgs) -> anyhow::Result<bool> {
    if args.cuts() {
        in_own_network()?;
    }
    let mut interrupts = Interrupts::new()?;
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    eprintln!("calls-faults, seed {seed}");
    let outcome = interrupts.bound(call_faults::run(args.options(seed))).await?;
    if args.json {
        println!("{}", outcome.to_json());
    } else {
        println!("{outcome}\n");
    }
    Ok(outcome.is_ok())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(words: &str) -> Result<CallsFaultsArgs, clap::Error> {
        match Args::try_parse_from(words.split(' '))?.command {
            Command::CallsFaults(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_happens_to_all_unless_told_otherwise() {
        let args = parse("b calls-faults --rounds 3").expect("ok");
        let options = args.options(7);
        assert_eq!((options.rounds, options.seed, options.callers), (3, 7, 200));
        assert_eq!((options.victims.len(), options.blows.len()), (5, 4));
        assert!(args.cuts());
        let args = parse("b calls-faults --victim sync --blow kill --blow pause").expect("ok");
        let options = args.options(7);
        assert_eq!(
            (options.victims, options.blows),
            (vec![Victim::Sync], vec![Blow::Kill, Blow::Pause])
        );
        assert!(!args.cuts());
        assert!(parse("b calls-faults --victim entry").is_err());
        assert!(parse("b calls-faults --outstanding 0").is_err());
    }
}
