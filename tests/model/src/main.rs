//! Model checker of the vote: visits every state of small instances, on the shipped code.

mod actions;
mod cache;
mod cluster;
mod describe;
mod event;
mod fault;
mod instance;
mod node;
mod parcels;
mod run;
mod sets;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use fault::Fault;
use run::Search;

#[derive(Debug, Parser)]
#[command(name = "vixen-model", about, version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Visits all states, and prints what holds. Ends with 1 on a violation, with its path.
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// `small`, `large`, or instances by name: `SHAPE-bN-cN-oN-cutXY-aheadN-lateN-order-wildN-jN-lag-dN` with the shapes
    /// one, chain, apart, together and mixed; at most ballot b, c crashes, o ends of hedge delays;
    /// without a link between X and Y; the clock of node N ahead; clocks or wall times of nodes far
    /// ahead, or the order; wall times set so many times; readers that have read each feed up to any moment; bounded to N actions.
    #[arg(long = "set", value_name = "small|large|NAME", num_args = 1.., default_value = "small")]
    sets: Vec<String>,
    /// Stops each instance after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    time_max: Option<u64>,
    /// Breadth first: needs more memory and finds short paths.
    #[arg(long)]
    breadth: bool,
    /// Breaks a rule on purpose.
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
}

fn main() -> ExitCode {
    let Command::Check(args) = Args::parse().command;
    match check(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vixen-model: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// `true` when nothing is violated.
fn check(args: &Check) -> anyhow::Result<bool> {
    let fault = args.fault.as_deref().map(fault_of).transpose()?;
    let search = if args.breadth { Search::Breadth } else { Search::Depth };
    let time_max = args.time_max.map(Duration::from_secs);
    let mut holds = true;
    for name in &args.sets {
        for instance in sets::named(name)? {
            let mut report = run::check(instance, fault, search, time_max);
            if report.is_violated() && search == Search::Depth {
                // The same, by a shorter path.
                report = run::check(instance, fault, Search::Breadth, time_max);
            }
            print!("{report}");
            holds &= !report.is_violated();
        }
    }
    Ok(holds)
}

fn fault_of(name: &str) -> anyhow::Result<Fault> {
    let faults = Fault::all();
    let known = faults.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault);
    known.with_context(|| {
        let names: Vec<_> = faults.iter().map(|(name, _)| *name).collect();
        format!("`{name}` is no fault; there are {}", names.join(", "))
    })
}
