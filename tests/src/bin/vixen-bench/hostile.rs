//! `vixen-bench hostile`.

use std::path::PathBuf;
use std::time::Duration;

use vixen_tests::hostile::{self, HostileOptions};

use crate::args::duration;
use crate::interrupt::Interrupts;

const AFTER_HELP: &str = "\
Examples:
  Ten minutes of it, judged by its latencies and memory:
    vixen-bench hostile

  A short one on a machine that does other things: latencies are told and not judged:
    vixen-bench hostile --time 20s --no-latency

Exit codes: 0 all well; 1 a promise was broken; 2 it could not be run at all, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct HostileArgs {
    /// How long the hostile clients stay.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    time: Duration,
    /// Tell the latencies of honest clients, and do not judge by them.
    #[arg(long)]
    no_latency: bool,
    /// Where the cluster keeps its files; a new or empty folder [default: a temporary one, which stays
    /// when a promise was broken].
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs it; `true` when every promise held.
pub(crate) async fn hostile(args: &HostileArgs) -> anyhow::Result<bool> {
    let mut interrupts = Interrupts::new()?;
    let options =
        HostileOptions { time: args.time, judges_latency: !args.no_latency, dir: args.dir.clone() };
    let outcome = interrupts.bound(hostile::run(options)).await?;
    println!("{outcome}\n");
    Ok(outcome.is_ok())
}
