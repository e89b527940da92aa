//! Some of very many subscribers do not read for a while.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::crowd::{Crowd, CrowdOptions, Digest};
use super::memory::{MemoryWatch, course, highest};
use super::trial::{SOON, Trial};
use crate::harness::wait_until;
use crate::load::{Load, LoadOptions, Progress};

const ENTRY: &str = "E1";
/// Messages at least for a measurement.
const MEASURED: u64 = 200;
/// What the entry may hold for all of its sessions together and grow by: its buffers, and what the
/// allocator keeps.
const GROWTH_MIB_MAX: f64 = 48.0;
/// Of each that stands still, in the entry: `limits.subscriber-buffer-bytes-max` and what is
/// written of it.
const STALLED_MIB: f64 = 4.0;

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let (sessions, stalled) = (trial.options.sessions, trial.options.stalled);
    ensure!(stalled < sessions, "of {sessions} subscribers {stalled} cannot stand still");
    let (time, missed_bytes) = (trial.options.time, trial.options.missed_bytes);
    trial.setup = format!(
        "open loop, {} messages/s in all of four publishers at E2; {sessions} subscribers of the \
         topic at E1, of which {stalled} stop reading for {time:?} and {missed_bytes} bytes",
        trial.options.per_second
    );
    let (entry, other) = (trial.cluster.url(ENTRY)?, trial.cluster.url("E2")?);
    let options = trial.load_options(vec![other.clone()]);
    let crowd = Crowd::start(CrowdOptions {
        url: &entry,
        realm: &options.realm,
        topic: &options.topic,
        payload_bytes: options.payload_bytes,
        steady: sessions - stalled,
        stalling: stalled,
        patience: SOON,
    })
    .await?;
    // At the other entry, where nothing happens to anybody.
    let options = LoadOptions { subscribe: vec![other], subscribers: 1, ..options };
    let payload_bytes = options.payload_bytes as u64;
    let load = Load::start(options).await?;
    let progress = load.progress();
    pass(&progress, Duration::ZERO, MEASURED).await?;
    crowd.take_latency();
    let memory = MemoryWatch::start(trial.cluster.pid(ENTRY)?);
    pass(&progress, time / 4, MEASURED).await?;
    let (before, before_mib) = (crowd.take_latency(), memory.take_mib());
    crowd.set_reading(false);
    let missed = missed_bytes.div_ceil(payload_bytes).max(MEASURED);
    pass(&progress, time, missed).await?;
    let (while_stalled, stalled_mib) = (crowd.take_latency(), memory.take_mib());
    crowd.set_reading(true);
    let begin = Instant::now();
    pass(&progress, Duration::ZERO, MEASURED).await?;
    load.stop();
    let result = load.finish().await?;
    result.troubles.iter().for_each(|trouble| trial.broken(trouble.clone()));
    let ends = result.history.subscribers.iter().filter_map(|s| s.events.last());
    let last = ends.map(|event| event.position).max();
    let crowd = crowd.finish(last.unwrap_or(0)).await?;
    trial.fact("all had everything, after they read again", format!("{:.1?}", begin.elapsed()));
    trial.fact("delivery to the others, before", &before);
    trial.fact("delivery to the others, meanwhile", &while_stalled);
    trial.fact("E1 resident MiB, before", course(&before_mib));
    trial.fact("E1 resident MiB, meanwhile", course(&stalled_mib));
    trial.fact("E1 resident MiB, highest when they read again", {
        format!("{:.1}", highest(&memory.take_mib()))
    });
    let growth_mib = highest(&stalled_mib) - highest(&before_mib);
    let allowed_mib = GROWTH_MIB_MAX + STALLED_MIB * stalled as f64;
    if growth_mib > allowed_mib {
        trial.broken(format!("E1 grew by {growth_mib:.1} MiB while some did not read"));
    }
    crowd.troubles.iter().for_each(|trouble| trial.broken(trouble.clone()));
    trial.history = result.history;
    let reference = trial.history.subscribers.first().map(|s| Digest::of(&s.events));
    let other = crowd.steady.iter().filter(|digest| Some(**digest) != reference).count();
    if other > 0 {
        trial.broken(format!("{other} of the others did not get what the one at E2 got"));
    }
    trial.fact("events of each subscriber", reference.unwrap_or_default().count);
    trial.fact("subscribers that read all the time", crowd.steady.len());
    trial.fact("subscribers that stood still", crowd.stalling.len());
    for (number, stream) in crowd.stalling.into_iter().enumerate() {
        let name = format!("one that stood still, {number}");
        trial.history.subscribers.push(stream.into_subscriber(name));
    }
    Ok(())
}

/// Waits until `time` has gone by and `messages` more are acknowledged.
async fn pass(progress: &Progress, time: Duration, messages: u64) -> anyhow::Result<()> {
    let (begin, goal) = (Instant::now(), progress.acknowledged() + messages);
    let what = format!("{time:?} and {messages} more acknowledgements");
    wait_until(&what, time + 5 * SOON, || async {
        let is_done = begin.elapsed() >= time && progress.acknowledged() >= goal;
        Ok(is_done.then_some(()))
    })
    .await
}
