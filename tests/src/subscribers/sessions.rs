//! Very many sessions that do nothing, each with a subscription of one topic, and a message for
//! all of them now and then.

use anyhow::{Context as _, ensure};

use vixen_runtime::process::raise_open_files;

use super::crowd::{Crowd, CrowdOptions};
use super::memory::MemoryWatch;
use super::trial::{SOON, Trial};
use crate::client::{Connection, Payload};
use crate::harness::Usage;
use crate::load::RunClock;

const ENTRY: &str = "E1";
/// Files of an entry or of this process beside those of the sessions.
const OTHER_FILES: u64 = 200;

/// Takes as many files as this process may have; nodes that it starts have the same.
pub(super) fn raise_files(sessions: usize) -> anyhow::Result<()> {
    let files = raise_open_files().context("cannot raise the number of open files")?;
    let needed = sessions as u64 + OTHER_FILES;
    ensure!(
        files >= needed,
        "{sessions} sessions need {needed} open files, and this process may have {files}: raise \
         `ulimit -Hn`"
    );
    Ok(())
}

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let (sessions, rounds) = (trial.options.sessions, trial.options.rounds);
    trial.setup = format!(
        "{sessions} sessions at E1, each with a subscription of one topic; {rounds} messages to \
         all, one by one, from a publisher at E1"
    );
    let url = trial.cluster.url(ENTRY)?;
    let options = trial.load_options(vec![url.clone()]);
    let mut publisher = Connection::open(&url, &options.realm).await?;
    // What the first message costs is not counted for the sessions.
    publisher.publish(1, "vixen.subscribers.warm", "[]").await?;
    let memory = MemoryWatch::start(trial.cluster.pid(ENTRY)?);
    let alone_mib = memory.now_mib();
    let clock = RunClock::start();
    let begin_ns = clock.now_ns();
    let crowd = Crowd::start(CrowdOptions {
        url: &url,
        realm: &options.realm,
        topic: &options.topic,
        payload_bytes: options.payload_bytes,
        steady: sessions,
        stalling: 0,
        patience: SOON,
    })
    .await?;
    let opened_s = (clock.now_ns() - begin_ns) as f64 / 1e9;
    let idle_mib = memory.now_mib();
    let mut times_ms = Vec::new();
    let mut last = 0;
    for seq in 1..=rounds {
        let sent_ns = clock.now_ns();
        let mut args = Vec::new();
        Payload { publisher: 0, seq, sent_ns }.write_args(options.payload_bytes, &mut args);
        let args = String::from_utf8(args)?;
        last = publisher.publish(u64::from(seq) + 1, &options.topic, &args).await?;
        let goal = u64::from(seq) * sessions as u64;
        let last_ns = tokio::time::timeout(SOON, crowd.until_received(goal))
            .await
            .with_context(|| format!("{} of {goal} events came", crowd.received()))?;
        times_ms.push(last_ns.saturating_sub(sent_ns) as f64 / 1e6);
    }
    let latency = crowd.take_latency();
    let after_mib = memory.now_mib();
    let crowd = crowd.finish(last).await?;
    crowd.troubles.iter().for_each(|trouble| trial.broken(trouble.clone()));
    let complete = crowd.steady.iter().filter(|digest| **digest == crowd.steady[0]);
    let complete = complete.filter(|digest| digest.count == u64::from(rounds)).count();
    if complete != sessions {
        trial.broken(format!("{complete} of {sessions} got each message once, in one order"));
    }
    times_ms.sort_by(f64::total_cmp);
    let per_kib = |mib: f64| (mib - alone_mib) * 1024.0 / sessions as f64;
    trial.fact("sessions that got everything", complete);
    trial.fact("opened and subscribed in", format!("{opened_s:.1} s"));
    trial.fact("E1 resident MiB, without sessions", format!("{alone_mib:.1}"));
    trial.fact("E1 resident MiB, with them", format!("{idle_mib:.1}"));
    trial.fact("KiB a session", format!("{:.1}", per_kib(idle_mib)));
    trial.fact("E1 resident MiB, after the messages", format!("{after_mib:.1}"));
    trial.fact("KiB a session, after the messages", format!("{:.1}", per_kib(after_mib)));
    trial.fact(
        "from PUBLISH to the last EVENT",
        format!(
            "median {:.1} ms, fastest {:.1} ms, slowest {:.1} ms",
            times_ms.get(times_ms.len() / 2).copied().unwrap_or_default(),
            times_ms.first().copied().unwrap_or_default(),
            times_ms.last().copied().unwrap_or_default()
        ),
    );
    trial.fact("from PUBLISH to EVENT", latency);
    let own = Usage::of_this_process().map_or(0.0, |usage| usage.resident_mib);
    trial.fact("resident MiB of the clients' process", format!("{own:.1}"));
    Ok(())
}
