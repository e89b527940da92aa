//! `vixen-bench campaign`.

use std::path::PathBuf;
use std::time::Duration;

use vixen_tests::campaign::{self, CampaignOptions, in_own_network};

use crate::args::duration;
use crate::interrupt::Interrupts;

const AFTER_HELP: &str = "\
Example:
  Ten minutes, as they were run with this seed:
    vixen-bench campaign --time 10m --seed 7

Ports are cut by a packet filter in a network namespace that the command makes for itself: that takes
unshare, ip and iptables, and root or user namespaces.

Exit codes: 0 all well; 1 a guarantee was broken; 2 it could not be run at all, or was interrupted.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CampaignArgs {
    /// How long faults go on.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    time: Duration,
    /// Where everything random comes from, apart from the timing of the processes [default: a new
    /// one].
    #[arg(long)]
    seed: Option<u64>,
    /// Messages per second of all WAMP publishers together, sent when they are due whatever the
    /// answers (open loop), all acknowledged.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 200.0)]
    rate: f64,
    /// Where the cluster keeps its files; a new or empty folder [default: a temporary one, which stays
    /// when a guarantee was broken].
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs it; `true` when every guarantee held.
pub(crate) async fn campaign(args: &CampaignArgs) -> anyhow::Result<bool> {
    in_own_network()?;
    let mut interrupts = Interrupts::new()?;
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    eprintln!("campaign, seed {seed}");
    let options =
        CampaignOptions { time: args.time, seed, per_second: args.rate, dir: args.dir.clone() };
    let outcome = interrupts.bound(campaign::run(options)).await?;
    println!("{outcome}\n");
    Ok(outcome.is_ok())
}
