//! What several tests need.

use std::sync::Arc;
use std::time::Duration;

use vixen_tests::check::{History, Outcome};
use vixen_tests::harness::{Cluster, wait_until};
use vixen_tests::load::{Amount, LoadOptions, Pace, Progress};

/// Bound on anything that a debug build on a busy machine does at once.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Four publishers on E1 and E2, subscribers on all entries.
pub(crate) fn load_on(cluster: &Cluster, amount: Amount) -> LoadOptions {
    let urls = cluster.urls();
    LoadOptions {
        publishers: 4,
        pace: Pace::Closed { window: 64 },
        amount,
        patience: SOON,
        ..LoadOptions::new(urls[..2].to_vec(), urls)
    }
}

/// Waits until `more` messages are acknowledged from now on.
pub(crate) async fn acknowledged(progress: &Arc<Progress>, more: u64) -> anyhow::Result<()> {
    let goal = progress.acknowledged() + more;
    let what = format!("{more} more acknowledgements");
    wait_until(&what, SOON, || async { Ok((progress.acknowledged() >= goal).then_some(())) }).await
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

/// Waits until ndb node `id` has placed everything below `next`.
pub(crate) async fn caught_up(cluster: &Cluster, id: &str, next: u64) -> anyhow::Result<()> {
    let what = format!("{id} to reach position {next}");
    wait_until(&what, SOON, || async {
        let at = next_position(cluster, id).await?;
        anyhow::ensure!(at >= next, "it is at {at}");
        Ok(Some(()))
    })
    .await
}
