//! `vixen-sync`: one node of the vote.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_runtime::bound::MemoryBound;
use vixen_runtime::clock::wall_time;
use vixen_runtime::config::{NodeArgs, parse_args};
use vixen_runtime::health::HealthTarget;
use vixen_runtime::recording::ReplayArgs;
use vixen_runtime::telemetry::{exit_code, init_tracing, print, remark};
use vixen_runtime::tls::Tls;
use vixen_vote::VotePlayer;

/// A sync node of a vixen cluster: takes part in the vote that gives every message its place in
/// the one order.
#[derive(Debug, Parser)]
#[command(name = "vixen-sync", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    node: NodeArgs,
    /// Take peer ID with another store from now on, and exit without starting. Only for a peer
    /// whose store is lost, and while no segment is pending anywhere: see "A sync node lost its
    /// store" in docs/operations.md.
    #[arg(long, value_name = "ID")]
    forget_peer: Option<NodeName>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    let args: Args = parse_args();
    match &args.command {
        Some(Command::Replay(replay)) => replay.run(Tier::Sync, &mut VotePlayer::default()),
        None => exit_code("vixen-sync", run(&args)),
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let (config, name) = args.node.load_required("sync")?;
    if args.node.health {
        print(&format!("{}\n", HealthTarget::of_node(&config, &name, None)?.ask()?))?;
        return Ok(());
    }
    config.sync_member(&name)?;
    if args.node.check_config {
        let links = Tls::of_links(&config)?;
        for concern in config.secret_and_name_concerns(Tier::Sync, &name, links.as_deref()) {
            remark(&format!("warning: {concern}"));
        }
        for concern in links.iter().flat_map(|tls| tls.concerns(wall_time())) {
            remark(&format!("warning: {concern}"));
        }
        let cluster = &config.cluster.name;
        print(&format!("configuration is good: {name} is a sync node of {cluster}\n"))?;
        print(&format!("{}\n", MemoryBound::of(&config, Tier::Sync)))?;
        return Ok(());
    }
    if let Some(peer) = &args.forget_peer {
        print(&format!("{}\n", vixen_sync::forget_peer(&config, &name, peer)?))?;
        return Ok(());
    }
    init_tracing(&config.log, name.as_str());
    // One thread: the node's loop commits on it, and everything else waits for the commit anyway.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = args.node.reloader("sync");
    runtime.block_on(vixen_sync::serve(&config, &name, &args.node.recording, load))
}
