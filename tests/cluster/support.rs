//! What several tests need.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use vixen_tests::check::{History, Outcome, Subscriber, check};
use vixen_tests::harness::{Cluster, Tier, wait_until};
use vixen_tests::load::{Amount, LoadOptions, LoadResult, Pace, Progress};

use crate::link::stored;

/// Bound on anything that a debug build on a busy machine does at once.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Four publishers on E1 and, if there is one, E2; subscribers on all entries.
pub(crate) fn load_on(cluster: &Cluster, amount: Amount) -> LoadOptions {
    let urls = cluster.urls();
    LoadOptions {
        publishers: 4,
        pace: Pace::Closed { window: 64 },
        amount,
        patience: SOON,
        ..LoadOptions::new(urls.iter().take(2).cloned().collect(), urls)
    }
}

/// Waits until `more` messages are acknowledged from now on: in vain only when none is for long,
/// however slow a busy machine is.
pub(crate) async fn acknowledged(progress: &Arc<Progress>, more: u64) -> anyhow::Result<()> {
    let goal = progress.acknowledged() + more;
    loop {
        let so_far = progress.acknowledged();
        let Some(left) = goal.checked_sub(so_far).filter(|left| *left > 0) else { return Ok(()) };
        let is_news = || async { Ok((progress.acknowledged() > so_far).then_some(())) };
        wait_until(&format!("one of {left} more acknowledgements"), SOON, is_news).await?;
    }
}

/// The lowest and highest acknowledged position.
pub(crate) fn acknowledged_positions(history: &History) -> Option<(u64, u64)> {
    let publications = history.publishers.iter().flat_map(|publisher| &publisher.publications);
    let positions = publications.filter_map(|publication| match publication.outcome {
        Outcome::Acknowledged { position, .. } => Some(position),
        Outcome::Refused | Outcome::Unknown => None,
    });
    positions.map(|position| (position, position)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The position after the last one that ndb node `id` has placed.
pub(crate) async fn next_position(cluster: &Cluster, id: &str) -> anyhow::Result<u64> {
    cluster.status_number(id, "/next_position").await
}

/// Waits until what entries write first into a new order has its place, and all of them have read it: from here on
/// clients publish, and entries again when a day of the order begins. The position after it.
pub(crate) async fn begun(cluster: &Cluster) -> anyhow::Result<u64> {
    let entries = cluster.ids_of(Tier::Entry);
    wait_until("all entries to have begun", SOON, || async {
        let next = next_position(cluster, "D1").await?;
        // A life each, and checkpoints: one, or more where an entry had not heard of the other's.
        let (mut lives, mut checkpoints) = (0, 0.0);
        for id in &entries {
            let view = cluster.status(id).await?["view"].clone();
            let is_read = view["ready"] == true && view["position"] == json!(next - 1);
            anyhow::ensure!(is_read, "{id}, of all below {next}: {view:#}");
            checkpoints += cluster.metric(id, "vixen_entry_view_checkpoints_total").await?;
            lives += 1;
        }
        let written = f64::from(lives) + checkpoints;
        let is_all = checkpoints >= 1.0 && written == f64::from(u32::try_from(next - 1)?);
        anyhow::ensure!(is_all, "{lives} lives and {checkpoints} checkpoints, all below {next}");
        Ok(Some(next))
    })
    .await
}

/// Waits until ndb node `id` has placed everything below `next`: in vain only when it comes no nearer
/// for long.
pub(crate) async fn caught_up(cluster: &Cluster, id: &str, next: u64) -> anyhow::Result<()> {
    let mut so_far = 0;
    while so_far < next {
        so_far = wait_until(&format!("{id} to go on to position {next}"), SOON, || async {
            let at = next_position(cluster, id).await?;
            anyhow::ensure!(at > so_far, "it is at {at}");
            Ok(Some(at))
        })
        .await?;
    }
    Ok(())
}

/// The load went on by itself, without an operator. How fast is for `vixen-bench faults`: a busy machine has pauses of its
/// own.
pub(crate) fn assert_no_long_silence(result: &LoadResult) {
    let silence = result.longest_silence();
    eprintln!("the longest time without an acknowledgement was {silence:?}");
    assert!(silence < SOON, "no acknowledgement for {silence:?}");
}

/// Waits until no sync node that runs has anything left over from earlier.
pub(crate) async fn all_settled(cluster: &Cluster) -> anyhow::Result<()> {
    for id in running(cluster, Tier::Sync) {
        wait_until(&format!("{id} to have nothing pending"), SOON, || async {
            let status = cluster.status(&id).await?;
            let settled = ["pending_total", "unsettled_since_restart"]
                .iter()
                .all(|key| status[*key] == json!(0));
            anyhow::ensure!(settled, "{status:#}");
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

/// Waits until every sync node takes part again: a second fault before would be one too many.
pub(crate) async fn all_joined(cluster: &Cluster) -> anyhow::Result<()> {
    let ids = cluster.ids_of(Tier::Sync);
    for id in &ids {
        wait_until(&format!("{id} to take part with all others"), SOON, || async {
            let status = cluster.status(id).await?;
            let is_joined = status["quorum"]["up"] == json!(ids.len())
                && status["unsettled_since_restart"] == json!(0);
            anyhow::ensure!(is_joined, "{status:#}");
            Ok(Some(()))
        })
        .await?;
    }
    Ok(())
}

/// The home of an entry that publishes, once it has.
pub(crate) async fn home_of(cluster: &Cluster, entry: &str) -> anyhow::Result<String> {
    let what = format!("the home of {entry}");
    wait_until(&what, SOON, || async { cluster.home_of(entry).await.map(Some) }).await
}

/// The nodes of a tier that run.
pub(crate) fn running(cluster: &Cluster, tier: Tier) -> Vec<String> {
    cluster.ids_of(tier).into_iter().filter(|id| cluster.pid(id).is_ok()).collect()
}

/// All ndb nodes hold the same, to the same position, and it is what the clients of `history`
/// were told and saw; returns what they hold.
pub(crate) async fn all_stored(
    cluster: &Cluster,
    topic: &str,
    history: &History,
) -> anyhow::Result<Vec<Subscriber>> {
    let (_first, last) = acknowledged_positions(history).unwrap_or((0, 0));
    let ids = cluster.ids_of(Tier::Ndb);
    let mut next = last + 1;
    for id in &ids {
        caught_up(cluster, id, next).await?;
        next = next.max(next_position(cluster, id).await?);
    }
    let mut judged = history.clone();
    let mut all = Vec::new();
    for (number, id) in (1..).zip(&ids) {
        caught_up(cluster, id, next).await?;
        all.push(stored(cluster, number, topic).await?);
    }
    judged.subscribers.extend(all.iter().cloned());
    check(&judged).assert_ok();
    // The order goes on meanwhile: entries write records of their own.
    wait_until("all ndb nodes to have the same order", SOON, || async {
        let mut chains = Vec::new();
        for id in &ids {
            let status = cluster.status(id).await?;
            chains.push((status["next_position"].clone(), status["chain"].clone()));
        }
        anyhow::ensure!(chains.iter().all(|chain| *chain == chains[0]), "{chains:?}");
        Ok(Some(()))
    })
    .await?;
    Ok(all)
}

/// Waits until a line of a node's log has all these words: what a node does can be seen before what
/// it logs of it.
pub(crate) async fn logged(cluster: &Cluster, id: &str, words: &[&str]) {
    wait_until(&format!("{id} to log {words:?}"), SOON, || async {
        let log = cluster.log(id)?;
        let is_said = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        anyhow::ensure!(is_said, "{log}");
        Ok(Some(()))
    })
    .await
    .expect("logged");
}
