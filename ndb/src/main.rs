//! `vixen-ndb`: one storage node, and the tools for its store.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use vixen_core::tier::Tier;
use vixen_ndb::tools::{Tool, fault};
use vixen_ndb::{NdbError, StartError};
use vixen_runtime::bound::MemoryBound;
use vixen_runtime::clock::wall_time;
use vixen_runtime::config::{NodeArgs, parse_args};
use vixen_runtime::health::HealthTarget;
use vixen_runtime::telemetry::{exit_code, init_tracing, print, remark};
use vixen_runtime::tls::Tls;

/// Reads that are under way when the node stops have so long.
const READS_MAX: Duration = Duration::from_secs(1);

/// Exit code when LMDB is led astray by damaged pages: EX_SOFTWARE of sysexits.h.
const EXIT_FAULT: i32 = 70;

/// A storage node of a vixen cluster: keeps messages on disk, in their order, and streams them to
/// the entries.
///
/// Without a command it runs the node, until SIGTERM or SIGINT.
#[derive(Debug, Parser)]
#[command(
    name = "vixen-ndb",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true
)]
struct Args {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    tool: Option<Tool>,
}

fn main() -> ExitCode {
    let args: Args = parse_args();
    if let Some(tool) = &args.tool {
        return tool.run();
    }
    exit_code("vixen-ndb", run(&args.node))
}

fn run(args: &NodeArgs) -> anyhow::Result<()> {
    let (config, name) = args.load_required("ndb")?;
    if args.health {
        print(&format!("{}\n", HealthTarget::of_node(&config, &name, None)?.ask()?))?;
        return Ok(());
    }
    config.ndb_member(&name)?;
    if args.check_config {
        let links = Tls::of_links(&config)?;
        for concern in config.secret_and_name_concerns(Tier::Ndb, &name, links.as_deref()) {
            remark(&format!("warning: {concern}"));
        }
        for concern in links.iter().flat_map(|tls| tls.concerns(wall_time())) {
            remark(&format!("warning: {concern}"));
        }
        let cluster = &config.cluster.name;
        print(&format!("configuration is good: {name} is an ndb node of {cluster}\n"))?;
        print(&format!("{}\n", MemoryBound::of(&config, Tier::Ndb)))?;
        return Ok(());
    }
    init_tracing(&config.log, name.as_str());
    let file = args.config.clone().unwrap_or_default();
    let arguments = format!("--config {} --node {name}", file.display());
    let problem =
        format!("{name}: the store in {} cannot be read", config.node_dir(&name).display());
    let remedy = format!(
        "Stop {name}, then `vixen-ndb verify {arguments}`, and `vixen-ndb rebuild {arguments}` to \
         fetch everything from the peers"
    );
    fault::answer_for(&problem, &remedy, EXIT_FAULT);
    // One thread for the node and its links; the writer and slow reads have their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = args.reloader("ndb");
    let served = runtime.block_on(vixen_ndb::serve(&config, &name, &args.recording, load));
    // A read of a damaged store may never end: the process does not wait for it.
    runtime.shutdown_timeout(READS_MAX);
    served.map_err(|error| {
        if is_damage(&error) { error.context(format!("{problem}. {remedy}")) } else { error }
    })
}

/// Whether the node stopped because of what is in its store.
fn is_damage(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<NdbError>() {
        Some(NdbError::Store(error) | NdbError::Start(StartError::Store(error))) => {
            error.is_damage()
        }
        Some(NdbError::Start(StartError::Thread(_)) | NdbError::Lock(_) | NdbError::WriterGone)
        | None => false,
    }
}
