//! The scrub's driver: reads everything within a period, and rests in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::Position;

use crate::store::{ScrubStep, Store, StoreError};
use crate::tail::{Trouble, TroubleReport};

/// Bytes read at a time.
const STEP_BYTES: u64 = 1 << 20;
/// A small store is read faster than its period asks for, and then rests.
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;
/// It is to be through before the period ends.
const HASTE: f64 = 1.25;
/// Between two looks at an idle store.
const REST_MAX: Duration = Duration::from_secs(60);

/// Where the scrub is, for the status page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Times everything was read.
    pub(super) passes: u64,
    /// Of the present pass.
    pub(super) position: Position,
    /// Bytes of blobs read in all.
    pub(super) bytes: u64,
    /// Segments looked at in all.
    pub(super) segments: u64,
    /// What was found, in all.
    pub(super) findings: u64,
}

/// Shared with the status page.
pub(super) type SharedProgress = Arc<Mutex<Progress>>;

/// Runs until the node ends.
pub(super) async fn run(
    store: Arc<Store>,
    period: Duration,
    trouble: TroubleReport,
    shared: SharedProgress,
) {
    loop {
        let begun = Instant::now();
        if pass(&store, period, &trouble, &shared).await.is_none() {
            return;
        }
        let rest = period.saturating_sub(begun.elapsed()).min(REST_MAX.max(period / 2));
        tokio::select! {
            () = tokio::time::sleep(rest.max(Duration::from_millis(200))) => {}
            () = trouble.closed() => return,
        }
    }
}

/// Reads everything once; `None` when the node or the store has ended.
async fn pass(
    store: &Arc<Store>,
    period: Duration,
    trouble: &TroubleReport,
    shared: &SharedProgress,
) -> Option<()> {
    let mut next = Some(store.base().next);
    let mut chain = None;
    while let Some(from) = next {
        let begun = Instant::now();
        let reader = Arc::clone(store);
        let read = tokio::task::spawn_blocking(move || reader.scrub(from, chain, STEP_BYTES));
        let step = taken(read.await.ok()?, trouble)?;
        note(&step, shared, trouble)?;
        (next, chain) = (step.next, step.chain);
        let pause = pace(store, period, step.bytes).saturating_sub(begun.elapsed());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = trouble.closed() => return None,
        }
    }
    let reader = Arc::clone(store);
    let read = tokio::task::spawn_blocking(move || reader.scrub_temporary()).await.ok()?;
    for finding in taken(read, trouble)? {
        trouble.send(Trouble::Found(finding)).ok()?;
    }
    shared.lock().unwrap_or_else(PoisonError::into_inner).passes += 1;
    Some(())
}

/// The time that reading so many bytes may take.
fn pace(store: &Store, period: Duration, bytes: u64) -> Duration {
    let total: u64 = store.day_bytes().iter().map(|(_, bytes)| bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = (total as f64 / period.as_secs_f64() * HASTE).max(BYTES_PER_SECOND_MIN as f64);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Duration::from_secs_f64(bytes as f64 / rate)
}

fn taken<T>(read: Result<T, StoreError>, trouble: &TroubleReport) -> Option<T> {
    match read {
        Ok(step) => Some(step),
        Err(error) => {
            let _node_has_ended = trouble.send(Trouble::Failed(error));
            None
        }
    }
}

fn note(step: &ScrubStep, shared: &SharedProgress, trouble: &TroubleReport) -> Option<()> {
    {
        let mut progress = shared.lock().unwrap_or_else(PoisonError::into_inner);
        progress.bytes += step.bytes;
        progress.segments += step.segments;
        progress.findings += step.findings.len() as u64;
        progress.position = step.next.unwrap_or_default();
    }
    for finding in &step.findings {
        trouble.send(Trouble::Found(finding.clone())).ok()?;
    }
    Some(())
}
