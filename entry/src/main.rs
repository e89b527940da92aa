//! `vixen-entry`: an entry of a cluster, or, without a configuration file, the whole of vixen.

// They panic where nobody reads, and wait where somebody reads slowly: `telemetry::print`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod passwd;
mod welcome;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use vixen_core::tier::Tier;
use vixen_entry::{Listens, Nearcast, recorded_machines};
use vixen_runtime::bound::MemoryBound;
use vixen_runtime::clock::wall_time;
use vixen_runtime::config::{
    AllowedHosts, AllowedOrigins, Config, ConfigError, NodeArgs, parse_address, parse_args,
    parse_listen,
};
use vixen_runtime::health::HealthTarget;
use vixen_runtime::recording::ReplayArgs;
use vixen_runtime::reload::Load;
use vixen_runtime::telemetry::{announce, exit_code, init_tracing, print, remark, shutdown_signal};
use vixen_runtime::tls::Tls;

/// The entry of a vixen cluster: WAMP clients connect here. Without --node it is "nearcast": all
/// three tiers in this one process, with data in ./vixen-data; --config then is a file with realms and users.
#[derive(Debug, Parser)]
#[command(name = "vixen-entry", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    node: NodeArgs,
    /// Where clients connect; wins over the configuration file. Nearcast: 127.0.0.1:9031
    #[arg(long, env = "VIXEN_LISTEN", value_name = "ADDR", value_parser = parse_listen)]
    listen: Option<SocketAddr>,
    /// Where operators find /status and /metrics, and then not where clients connect; wins over the
    /// configuration file
    #[arg(long, env = "VIXEN_ADMIN_LISTEN", value_name = "ADDR", value_parser = parse_listen)]
    admin_listen: Option<SocketAddr>,
    #[command(flatten)]
    links: LinkArgs,
    /// Where nearcast keeps its data. An entry of a cluster keeps none
    #[arg(long, env = "VIXEN_DATA_DIR", value_name = "DIR", default_value = "./vixen-data")]
    data_dir: PathBuf,
    #[command(flatten)]
    web: WebArgs,
    /// Threads that serve clients; when not given, half as many as there are processors
    #[arg(long, env = "VIXEN_WORKER_THREADS", value_name = "N")]
    worker_threads: Option<NonZeroUsize>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How other entries link to this one; these win over the configuration file.
#[derive(Clone, Debug, clap::Args)]
struct LinkArgs {
    /// Host and port that other entries dial; without one they do not dial this entry. Wins over the
    /// configuration file
    #[arg(long, env = "VIXEN_LINK_ADDRESS", value_name = "HOST:PORT", value_parser = parse_address)]
    link_address: Option<String>,
    /// Where it listens for them; when not given, at the port of the link address on all networks. Wins over
    /// the configuration file
    #[arg(long, env = "VIXEN_LINK_LISTEN", value_name = "ADDR", value_parser = parse_listen)]
    link_listen: Option<SocketAddr>,
}

/// Which web pages may use the entry; these win over the configuration file.
#[derive(Clone, Debug, clap::Args)]
struct WebArgs {
    /// Web pages of other hosts that may use the entry, by their origin, with commas between them, or
    /// `*`; wins over the configuration file. Pages of its own host always may
    #[arg(long, env = "VIXEN_WEB_ALLOWED_ORIGINS", value_name = "ORIGINS")]
    allowed_origins: Option<AllowedOrigins>,
    /// Names that the entry is known by, with commas between them, or `*`; wins over the configuration
    /// file. It always goes by `localhost` and its addresses
    #[arg(long, env = "VIXEN_WEB_ALLOWED_HOSTS", value_name = "HOSTS")]
    allowed_hosts: Option<AllowedHosts>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Passwd(passwd::Passwd),
    Replay(ReplayArgs),
}

impl WebArgs {
    fn apply(&self, config: &mut Config) {
        if let Some(origins) = &self.allowed_origins {
            config.web.allowed_origins = origins.clone();
        }
        if let Some(hosts) = &self.allowed_hosts {
            config.web.allowed_hosts = hosts.clone();
        }
    }
}

fn main() -> ExitCode {
    let args: Args = parse_args();
    let outcome = match &args.command {
        Some(Command::Passwd(passwd)) => passwd.run(),
        Some(Command::Replay(replay)) => return replay.run(Tier::Entry, &mut recorded_machines()),
        None => run(&args),
    };
    exit_code("vixen-entry", outcome)
}

fn run(args: &Args) -> anyhow::Result<()> {
    if args.node.node.is_none() {
        return run_nearcast(args);
    }
    let (mut config, name) = args.node.load_required("entry")?;
    if args.node.health {
        print(&format!("{}\n", HealthTarget::of_node(&config, &name, args.listen)?.ask()?))?;
        return Ok(());
    }
    args.web.apply(&mut config);
    let listens = Listens {
        clients: args.listen,
        admin: args.admin_listen,
        link_address: args.links.link_address.clone(),
        links: args.links.link_listen,
    };
    let member = listens.member_of(&config, &name)?;
    config.check_access()?;
    if args.node.check_config {
        let links = Tls::of_links(&config)?;
        for concern in config.secret_and_name_concerns(Tier::Entry, &name, links.as_deref()) {
            remark(&format!("warning: {concern}"));
        }
        if let Some(concern) = config.link_concern(&member) {
            remark(&format!("warning: {concern}"));
        }
        let tables = [Tls::of_clients(&config)?, links];
        for concern in tables.iter().flatten().flat_map(|tls| tls.concerns(wall_time())) {
            remark(&format!("warning: {concern}"));
        }
        let cluster = &config.cluster.name;
        print(&format!("configuration is good: {name} is an entry of {cluster}\n"))?;
        print(&format!("{}\n", MemoryBound::of(&config, Tier::Entry)))?;
        return Ok(());
    }
    init_tracing(&config.log, name.as_str());
    let (load, web) = (args.node.reloader("entry"), args.web.clone());
    let load: Load = Arc::new(move || {
        let mut config = load()?;
        web.apply(&mut config);
        Ok(config)
    });
    runtime(args)?.block_on(vixen_entry::serve(&config, &name, listens, &args.node.recording, load))
}

fn run_nearcast(args: &Args) -> anyhow::Result<()> {
    let has_file = args.node.config.is_some();
    ensure!(
        !args.node.check_config || has_file,
        "--check-config needs --config FILE, and --node ID for a node of a cluster"
    );
    let LinkArgs { link_address, link_listen } = &args.links;
    ensure!(
        link_address.is_none() && link_listen.is_none(),
        "nearcast has no other entries: --link-address and --link-listen need --config FILE and --node ID"
    );
    let listen = args.listen.unwrap_or(welcome::LISTEN);
    if args.node.health {
        let (node, address) = ("nearcast".to_owned(), listen.to_string());
        print(&format!("{}\n", HealthTarget { node, address, has_tls: false }.ask()?))?;
        return Ok(());
    }
    let load = nearcast_config(args, listen);
    let config = load()?;
    if args.node.check_config {
        let realms = config.realms.len();
        print(&format!(
            "configuration is good: nearcast, all of vixen here, with {realms} realms\n"
        ))?;
        return Ok(());
    }
    init_tracing(&config.log, "nearcast");
    runtime(args)?.block_on(async {
        let (data_dir, durability) = (args.data_dir.clone(), config.cluster.durability);
        let realms: Vec<_> = config.realms.iter().map(|realm| realm.name.clone()).collect();
        let nearcast = Nearcast::open_recorded(config, &args.node.recording).await?;
        if has_file {
            let load = move || load().map_err(|error| error.to_string());
            nearcast.reload_on_hangup(Arc::new(load));
        }
        let (address, handle) = (nearcast.address()?, nearcast.handle());
        let greeting = tokio::spawn(async move {
            handle.until_ready().await;
            announce(welcome::text(address, &data_dir, durability, &realms));
        });
        let outcome = Box::pin(nearcast.run(shutdown_signal())).await;
        greeting.abort();
        outcome
    })
}

/// Reads the configuration of nearcast at this address, whenever it is called.
fn nearcast_config(
    args: &Args,
    listen: SocketAddr,
) -> impl Fn() -> Result<Config, ConfigError> + Send + Sync + use<> {
    let (file, data_dir) = (args.node.config.clone(), args.data_dir.clone());
    let (web, admin_listen) = (args.web.clone(), args.admin_listen);
    move || {
        let data_dir = data_dir.clone();
        let mut config = match &file {
            Some(file) => Config::nearcast_load(file, data_dir, listen)?,
            None => Config::nearcast_of_process(data_dir, listen)?,
        };
        web.apply(&mut config);
        for entry in &mut config.entries {
            entry.admin_listen = admin_listen;
        }
        Ok(config)
    }
}

fn runtime(args: &Args) -> anyhow::Result<Runtime> {
    // Half of them: the core's hand-overs between threads cost more than they gain on few
    // processors, and the others have links, storage and the system to serve.
    let half = || available_parallelism().map_or(1, |all| all.get().div_ceil(2));
    let threads = args.worker_threads.map_or_else(half, NonZeroUsize::get);
    let mut builder =
        if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().context("no runtime")
}
