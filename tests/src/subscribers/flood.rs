//! Publishers that send as fast as they can and want no answers: they are slowed, not buffered.

use std::time::Duration;

use super::memory::{MemoryWatch, course, highest};
use super::trial::{SOON, Trial};
use crate::harness::wait_until;
use crate::load::{Load, LoadOptions, Pace, Progress};

const ENTRY: &str = "E1";
const PUBLISHERS: usize = 2;
/// A majority of the group: without it nothing is acknowledged.
const PAUSED: [&str; 2] = ["D1", "D2"];
/// Nothing was taken for so long: the publishers stand still.
const STILL: Duration = Duration::from_secs(2);
/// Bytes that a publisher may get rid of while nothing is acknowledged:
/// `limits.session-unacknowledged-bytes-max` in the entry, and the buffers of its connection in the
/// two kernels.
const TAKEN_BYTES_MAX: u64 = 48 << 20;
/// The entry may grow by this: `limits.entry-unacknowledged-bytes-max`, and some for the links.
const GROWTH_MIB_MAX: f64 = 160.0;

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let time = trial.options.time;
    trial.setup = format!(
        "{PUBLISHERS} publishers at E1 that send whatever their sockets take, without \
         acknowledgements, for {time:?}; then the storage stands still (SIGSTOP of two of three ndb \
         nodes) until the publishers do"
    );
    let url = trial.cluster.url(ENTRY)?;
    let subscribe = vec![trial.cluster.url("E2")?];
    let options = LoadOptions {
        publishers: PUBLISHERS,
        pace: Pace::Closed { window: 1 },
        acknowledge: false,
        subscribers: 1,
        subscribe,
        ..trial.load_options(vec![url])
    };
    let bytes = options.payload_bytes as u64;
    let memory = MemoryWatch::start(trial.cluster.pid(ENTRY)?);
    let alone_mib = memory.now_mib();
    let load = Load::start(options).await?;
    let progress = load.progress();
    tokio::time::sleep(time).await;
    let sent = progress.sent();
    let flood_mib = memory.take_mib();
    for id in PAUSED {
        trial.cluster.pause(id)?;
    }
    let at_pause = progress.sent();
    let stood = still(&progress).await;
    let taken = progress.sent() - at_pause;
    let still_mib = memory.take_mib();
    for id in PAUSED {
        trial.cluster.resume(id)?;
    }
    stood?;
    let goal = progress.sent() + 1_000;
    wait_until("the publishers to go on", SOON, || async {
        Ok((progress.sent() >= goal).then_some(()))
    })
    .await?;
    load.stop();
    let result = load.finish().await?;
    let after_mib = memory.take_mib();
    result.troubles.iter().for_each(|trouble| trial.broken(trouble.clone()));
    if let Some(error) = &result.first_error {
        trial.broken(format!("a publish was refused: {error}"));
    }
    let seconds = time.as_secs_f64();
    trial.fact("messages/s taken", format!("{:.0}", sent as f64 / seconds));
    trial.fact("messages taken", sent);
    trial.fact("MiB of them", (sent * bytes) >> 20);
    trial.fact("E1 resident MiB, before", format!("{alone_mib:.1}"));
    trial.fact("E1 resident MiB, in the flood", course(&flood_mib));
    trial.fact("MiB taken after the storage stood still", (taken * bytes) >> 20);
    trial.fact("E1 resident MiB, standing still", course(&still_mib));
    trial.fact("E1 resident MiB, afterwards", course(&after_mib));
    if taken * bytes > TAKEN_BYTES_MAX * PUBLISHERS as u64 {
        trial.broken(format!("{} bytes were taken with the storage standing still", taken * bytes));
    }
    let growth_mib = highest(&[flood_mib, still_mib, after_mib].concat()) - alone_mib;
    if growth_mib > GROWTH_MIB_MAX {
        trial.broken(format!("E1 grew by {growth_mib:.1} MiB"));
    }
    let missing = crate::check::check(&result.history).never_appeared;
    if missing > 0 {
        trial.broken(format!("{missing} messages never appeared, though no session was lost"));
    }
    trial.history = result.history;
    Ok(())
}

/// Waits until nothing more is sent.
async fn still(progress: &Progress) -> anyhow::Result<()> {
    let mut last = (progress.sent(), std::time::Instant::now());
    let begin = last.1;
    while last.1.elapsed() < STILL {
        anyhow::ensure!(begin.elapsed() < SOON, "the publishers were not held up");
        tokio::time::sleep(STILL / 20).await;
        let sent = progress.sent();
        if sent != last.0 {
            last = (sent, std::time::Instant::now());
        }
    }
    Ok(())
}
