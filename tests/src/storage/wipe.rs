//! A node loses everything and gets it back from the others.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use tokio::time::sleep;

use super::readings::Readers;
use super::trial::{SOON, Trial, longest_and_median};

/// Before the first loss, as fast as it goes: there must be something to fetch.
const BURST: u64 = 20_000;
const BURST_BYTES: usize = 1_024;
const BETWEEN: u64 = 200;
/// Between two looks at the status page.
const LOOK: Duration = Duration::from_millis(20);
/// The log and the page have a word on catching up once a second, the log from so many segments on; a node that waits
/// for a processor has it later.
const SAID_WITHIN: Duration = Duration::from_secs(5);
const WORTH_A_LINE: u64 = 64;

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    trial.burst(BURST, BURST_BYTES).await?;
    trial.start_load().await?;
    trial.acknowledged(BETWEEN).await.context("traffic before the first loss")?;
    let (mut times, mut most, mut fetched, mut said) = (Vec::new(), 0, 0.0, 0);
    for round in 1..=trial.options.rounds {
        let ids = trial.ndb_ids();
        let victim = ids[trial.rng.random_range(0..ids.len())].clone();
        trial.cluster.kill(&victim).await?;
        std::fs::remove_dir_all(trial.cluster.store_dir(&victim))?;
        trial.acknowledged(BETWEEN).await.context("while it was away")?;
        let seen = trial.cluster.log(&victim)?.len();
        // Who is not complete yet must not be read as if it were.
        let readers = Readers::start(trial, std::slice::from_ref(&victim))?;
        let begin = Instant::now();
        trial.cluster.spawn(&victim)?;
        let back =
            watch(trial, &victim).await.with_context(|| format!("round {round}, {victim}"))?;
        trial.cluster.wait_ready().await?;
        trial.caught_up(&victim).await?;
        times.push(begin.elapsed());
        readers.stop(trial).await?;
        most = back.most.max(most);
        fetched += trial.cluster.metric(&victim, "vixen_ndb_segments_fetched_total").await?;
        let log = trial.cluster.log(&victim)?.split_off(seen);
        let is_said = log.contains("catching up");
        said += u64::from(is_said && back.to_go > 0);
        if back.many_for > SAID_WITHIN && !is_said {
            trial.broken(format!(
                "round {round}: {victim} has missed {} segments, and its log does not say that it \
                 is catching up",
                back.most
            ));
        }
        if back.missing_for > SAID_WITHIN && back.to_go == 0 {
            trial.broken(format!(
                "round {round}: {victim} missed {} segments for {:?}, and segments_to_go was 0",
                back.most, back.missing_for
            ));
        }
        let verified = trial.cluster.ndb_tool(&victim, &["verify"]).await?;
        ensure!(verified.status.success(), "verify of {victim}: {}", verified.words());
        eprintln!(
            "round {round}, {victim}: complete again after {:.2?}, at most {} segments missing",
            begin.elapsed(),
            back.most
        );
        trial.acknowledged(BETWEEN).await.context("after it came back")?;
    }
    trial.fact("stores lost", times.len());
    trial.fact("complete again", longest_and_median(times));
    trial.fact("segments fetched", fetched);
    trial.fact("segments missing at once, at most", most);
    trial.fact("times that progress was on the page and in the log", said);
    Ok(())
}

/// How catching up showed.
#[derive(Clone, Copy, Debug, Default)]
struct Back {
    most: u64,
    to_go: u64,
    /// From the first to the last look at which segments were missing.
    missing_for: Duration,
    /// The same for as many as are worth a line in the log.
    many_for: Duration,
}

/// Looks at the node until it has all that the others have.
async fn watch(trial: &Trial, id: &str) -> anyhow::Result<Back> {
    let others: Vec<_> = trial.ndb_ids().into_iter().filter(|other| other != id).collect();
    let goal = trial.cluster.status_number(&others[0], "/next_position").await?;
    let mut back = Back::default();
    let (mut missing_since, mut many_since) = (None, None);
    let deadline = Instant::now() + SOON;
    loop {
        ensure!(Instant::now() < deadline, "it is not complete after {SOON:?}: {back:?}");
        sleep(LOOK).await;
        // It may not listen yet.
        let Ok(status) = trial.cluster.status(id).await else { continue };
        let number = |pointer| status.pointer(pointer).and_then(serde_json::Value::as_u64);
        let missing = number("/missing_segments").context("no missing_segments")?;
        let to_go = number("/catch_up/segments_to_go").context("no segments_to_go")?;
        back.most = back.most.max(missing);
        back.to_go = back.to_go.max(to_go);
        let now = Instant::now();
        if missing > 0 {
            back.missing_for = now - *missing_since.get_or_insert(now);
        }
        if missing >= WORTH_A_LINE {
            back.many_for = now - *many_since.get_or_insert(now);
        }
        if number("/next_position") >= Some(goal) && missing == 0 && to_go == 0 {
            return Ok(back);
        }
    }
}
