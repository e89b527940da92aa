//! `vixen-ndb`: one storage node.

use std::process::ExitCode;

use clap::Parser;

use vixen_common::config::NodeArgs;
use vixen_common::telemetry::init_tracing;

/// A storage node of a vixen cluster: keeps messages on disk, in their order, and streams them to
/// the entries.
#[derive(Debug, Parser)]
#[command(name = "vixen-ndb", version)]
struct Args {
    #[command(flatten)]
    node: NodeArgs,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vixen-ndb: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let (config, name) = args.node.load_required("ndb")?;
    config.ndb_member(&name)?;
    if args.node.check_config {
        println!("configuration is good: {name} is an ndb node of {}", config.cluster.name);
        return Ok(());
    }
    init_tracing(&config.log, name.as_str());
    // One thread for the node and its links; the writer and slow reads have their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(vixen_ndb::serve(&config, &name))
}
