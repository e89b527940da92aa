//! `vixen-bench cluster`.

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use vixen_tests::harness::{Cluster, ClusterOptions};

use crate::args::ClusterArgs;
use crate::interrupt::Interrupts;

/// Starts a cluster, says where it is, and stops it when told to.
pub(crate) async fn hold(args: &ClusterArgs) -> anyhow::Result<()> {
    let extra = match &args.config_append {
        Some(file) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
        None => String::new(),
    };
    let options = ClusterOptions {
        dir: Some(args.dir.clone()),
        durability: args.durability,
        linked_entries: args.linked_entries,
        extra,
        ..ClusterOptions::parse_size(&args.size)?
    };
    let mut interrupts = Interrupts::new()?;
    let mut cluster = Cluster::start(options).await?;
    write_ports(args, &cluster)?;
    eprintln!(
        "ready: {}; stops with SIGTERM or the end of standard input",
        cluster.urls().join(" ")
    );
    tokio::select! {
        _how = interrupts.told() => {}
        () = end_of_input() => {}
    }
    cluster.stop_all().await
}

/// Whole or not at all: somebody waits for this file.
fn write_ports(args: &ClusterArgs, cluster: &Cluster) -> anyhow::Result<()> {
    let nodes: serde_json::Map<String, Value> = cluster
        .ids()
        .into_iter()
        .map(|id| cluster.address(&id).map(|address| (id, json!(address))))
        .collect::<anyhow::Result<_>>()?;
    let ports = json!({ "entries": cluster.urls(), "nodes": nodes });
    let unfinished = args.ports_file.with_extension("part");
    std::fs::write(&unfinished, format!("{ports:#}\n"))
        .and_then(|()| std::fs::rename(&unfinished, &args.ports_file))
        .with_context(|| args.ports_file.display().to_string())
}

async fn end_of_input() {
    let mut input = tokio::io::stdin();
    let mut buffer = [0; 1024];
    while matches!(input.read(&mut buffer).await, Ok(1..)) {}
}
