//! `vixen-bench scaling`: what each group writes and what the vote costs, with more and more groups.
//!
//! The same load each time, at a fixed rate. One machine does not get faster by more processes; what
//! each process has to do is counted instead.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, ClusterOptions, Durability, Tier};
use vixen_tests::load::{Amount, Load, LoadOptions, Pace};

use crate::args::duration;

#[derive(Debug, clap::Args)]
pub(crate) struct ScalingArgs {
    /// Numbers of groups to try.
    #[arg(long, num_args = 1.., default_values_t = [1, 2, 4])]
    groups: Vec<usize>,
    /// ndb nodes of each group.
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// Messages per second.
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// For how long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// What the nodes wait for before they answer: fsync or memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
}

/// Measures; `true` when every guarantee held.
pub(crate) async fn scaling(args: &ScalingArgs) -> anyhow::Result<bool> {
    println!(
        "| groups | messages | segments | blob bytes a message, each group's nodes | share of segments \
         by group | messages between sync nodes a segment | a second |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut is_ok = true;
    for groups in &args.groups {
        is_ok &= measure(args, *groups).await?;
    }
    Ok(is_ok)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
async fn measure(args: &ScalingArgs, groups: usize) -> anyhow::Result<bool> {
    let options = ClusterOptions {
        groups,
        ndb: args.replicas,
        entries: 2,
        write_quorum: args.replicas / 2 + 1,
        durability: args.durability,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start(options).await?;
    let urls = cluster.urls();
    let load = LoadOptions {
        pace: Pace::Open { per_second: args.rate },
        amount: Amount::Time(args.duration),
        warmup: Duration::ZERO,
        ..LoadOptions::new(urls.clone(), urls)
    };
    let before = votes(&cluster).await?;
    let result = Load::run(load).await?;
    let report = check(&result.history);
    ensure!(result.troubles.is_empty(), "{:?}", result.troubles);
    let messages = report.acknowledged as f64;
    let votes = votes(&cluster).await? - before;
    let segments = cluster.metric("S1", "vixen_sync_segments_elected_total").await?;
    let mut by_group: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (place, id) in cluster.ids_of(Tier::Ndb).iter().enumerate() {
        let bytes = cluster.metric(id, "vixen_ndb_bytes_stored_total").await?;
        let stored = cluster.metric(id, "vixen_ndb_segments_stored_total").await?;
        let group = by_group.entry(place / args.replicas).or_default();
        *group = (group.0 + bytes / args.replicas as f64, group.1 + stored / args.replicas as f64);
    }
    let bytes: Vec<_> =
        by_group.values().map(|(bytes, _)| format!("{:.0}", bytes / messages)).collect();
    let share: Vec<_> = by_group
        .values()
        .map(|(_, stored)| format!("{:.0} %", stored / segments * 100.0))
        .collect();
    println!(
        "| {groups} | {messages} | {segments} | {} | {} | {:.1} | {:.0} |",
        bytes.join(", "),
        share.join(", "),
        votes / segments,
        votes / args.duration.as_secs_f64()
    );
    cluster.stop_all().await?;
    report.assert_ok();
    Ok(true)
}

/// Messages that sync nodes got from each other.
async fn votes(cluster: &Cluster) -> anyhow::Result<f64> {
    let mut votes = 0.0;
    for id in cluster.ids_of(Tier::Sync) {
        votes +=
            cluster.metric_with(&id, "vixen_sync_messages_received_total", "from=\"sync\"").await?;
    }
    Ok(votes)
}
