//! Disks without room: of one group, then of all.
//!
//! Each ndb node has a small disk of its own, in memory. A ballast file takes the room: all but
//! half of the reserve in the first round, everything in the second, and so on in turn.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use tokio::time::sleep;

use super::dump::read_history;
use super::judge::common_prefix;
use super::readings::node_of;
use super::tail::read_tail;
use super::trial::{DISK_RESERVE_MIB, GROUP_SIZE, GROUPS, SOON, Trial, longest_and_median};
use crate::client::Connection;
use crate::harness::{Tier, wait_until};

const BETWEEN: u64 = 500;
/// Between two looks at a status page.
const LOOK: Duration = Duration::from_millis(20);
/// Written at a time.
const BALLAST_BYTES: usize = 256 << 10;

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    trial.may_refuse = true;
    trial.start_load().await?;
    trial.acknowledged(BETWEEN).await.context("traffic before the first fault")?;
    let (mut resumed, mut refused) = (Vec::new(), 0);
    for round in 1..=trial.options.rounds {
        let is_hard = round % 2 == 0;
        let how = if is_hard { "without a byte left" } else { "with half of the reserve left" };
        let what = format!("round {round}, {how}");
        eprintln!("{what}");
        let done = once(trial, is_hard).await.context(what);
        if done.is_err() {
            // So that what is there can be judged.
            for id in trial.ndb_ids() {
                let _gone_with_its_node = make_room(trial, &id);
            }
        }
        let (time, errors) = done?;
        eprintln!("round {round}: resumed after {time:.2?}, {errors} publishes refused");
        resumed.push(time);
        refused += errors;
    }
    trial.fact("times that all disks were full", resumed.len());
    trial.fact("publishes refused meanwhile", refused);
    trial.fact("from room on all disks to traffic", longest_and_median(resumed));
    Ok(())
}

async fn once(trial: &mut Trial, is_hard: bool) -> anyhow::Result<(Duration, u64)> {
    let ids = trial.ndb_ids();
    let first = trial.rng.random_range(0..ids.len() / GROUP_SIZE);
    let (full, others): (Vec<_>, Vec<_>) =
        ids.iter().cloned().enumerate().partition::<Vec<_>, _>(|(at, _)| at / GROUP_SIZE == first);
    let names = |nodes: Vec<(usize, String)>| nodes.into_iter().map(|(_, id)| id).collect();
    let (full, others): (Vec<String>, Vec<String>) = (names(full), names(others));
    let progress = trial.progress()?;

    // One group: nobody waits, nobody is refused, everything goes to the other.
    let before = progress.errors();
    fill(trial, &full, is_hard).await?;
    trial.acknowledged(BETWEEN).await.context("one group is full")?;
    let stored = async |nodes: &[String]| -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for id in nodes {
            sum += trial.cluster.metric(id, "vixen_ndb_segments_stored_total").await?;
        }
        Ok(sum)
    };
    let (full_then, others_then) = (stored(&full).await?, stored(&others).await?);
    let delivered = progress.delivered();
    trial.acknowledged(2 * BETWEEN).await.context("one group is full")?;
    let (full_now, others_now) = (stored(&full).await?, stored(&others).await?);
    ensure!(full_now <= full_then, "{full:?} are full and have stored {}", full_now - full_then);
    ensure!(others_now > others_then, "{others:?} have stored nothing");
    wait_until("deliveries with one group full", SOON, || async {
        Ok((progress.delivered() >= delivered + 2 * BETWEEN).then_some(()))
    })
    .await?;
    let errors = progress.errors() - before;
    if errors > 0 {
        trial.broken(format!("{errors} publishes were refused while one group only was full"));
    }
    reads_go_on(trial, &ids).await.context("one group is full")?;

    // All groups.
    let before = progress.errors();
    fill(trial, &others, is_hard).await?;
    is_refused(trial).await?;
    wait_until("publishes to be refused", SOON, || async {
        Ok((progress.errors() > before).then_some(()))
    })
    .await?;
    reads_go_on(trial, &ids).await.context("all groups are full")?;

    // Room again.
    let begin = Instant::now();
    for id in &ids {
        make_room(trial, id)?;
    }
    standing(trial, &ids, false).await?;
    trial.acknowledged(BETWEEN).await.context("there is room again")?;
    let time = begin.elapsed();
    for id in &ids {
        trial.caught_up(id).await?;
    }
    // What waited for too long is answered before the next round counts errors.
    let url = trial.cluster.urls().into_iter().next().context("no entry")?;
    let mut connection = Connection::open(&url, &trial.realm()).await?;
    connection.publish(1, "vixen.storage.beside", "[1]").await?;
    tokio::time::timeout(SOON, quiet(&progress)).await.context("publishes are still refused")?;
    Ok((time, progress.errors() - before))
}

/// Waits until a second goes by without a refusal.
async fn quiet(progress: &crate::load::Progress) {
    loop {
        let before = progress.errors();
        sleep(Duration::from_secs(1)).await;
        if progress.errors() == before {
            return;
        }
    }
}

fn ballast(trial: &Trial, id: &str) -> anyhow::Result<PathBuf> {
    Ok(trial.cluster.store_dir_inside(id)?.join("ballast"))
}

fn make_room(trial: &Trial, id: &str) -> anyhow::Result<()> {
    let path = ballast(trial, id)?;
    std::fs::remove_file(&path).with_context(|| path.display().to_string())
}

/// Takes the room of these nodes, and waits until they say so.
async fn fill(trial: &mut Trial, ids: &[String], is_hard: bool) -> anyhow::Result<()> {
    let leave = if is_hard { 0 } else { (u64::from(DISK_RESERVE_MIB) << 20) / 2 };
    for id in ids {
        let path = ballast(trial, id)?;
        let mut file = File::create(&path).with_context(|| path.display().to_string())?;
        let zeros = vec![0; BALLAST_BYTES];
        loop {
            let disk = nix::sys::statvfs::statvfs(&path)?;
            let free = disk.blocks_available() * disk.fragment_size();
            if free <= leave && !is_hard {
                break;
            }
            let some = usize::try_from(free.saturating_sub(leave)).unwrap_or(usize::MAX);
            match file.write(&zeros[..some.clamp(1, BALLAST_BYTES)]) {
                Ok(_some) => {}
                Err(full) if full.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("ballast"),
            }
        }
    }
    standing(trial, ids, true).await
}

/// Waits until these nodes say that their disks are full, or are not.
async fn standing(trial: &mut Trial, ids: &[String], is_full: bool) -> anyhow::Result<()> {
    let wanted = if is_full { "disk full" } else { "willing" };
    let deadline = Instant::now() + SOON;
    for id in ids {
        loop {
            trial.all_alive()?;
            let status = trial.cluster.status(id).await?;
            let (disk, standing) = (&status["disk"], &status["standing"]);
            if disk["is_full"] == is_full && *standing == wanted {
                break;
            }
            ensure!(Instant::now() < deadline, "{id} is {standing}, its disk {disk}");
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// A publisher is told which disks are full.
async fn is_refused(trial: &mut Trial) -> anyhow::Result<()> {
    let url = trial.cluster.urls().into_iter().next().context("no entry")?;
    let mut connection = Connection::open(&url, &trial.realm()).await?;
    let published = connection.publish(1, "vixen.storage.beside", "[1]");
    let published =
        tokio::time::timeout(SOON, published).await.context("no answer to a publish")?;
    let Err(error) = published else {
        trial.broken("all disks are full, and a publish was acknowledged");
        return Ok(());
    };
    let text = format!("{error:#}");
    for word in ["vixen.error.no_quorum", "disk full"] {
        if !text.contains(word) {
            trial
                .broken(format!("all disks are full, and the error does not say {word:?}: {text}"));
        }
    }
    Ok(())
}

/// Every node serves what it has: its tail, its store to the tools, and history by the entries.
async fn reads_go_on(trial: &mut Trial, ids: &[String]) -> anyhow::Result<()> {
    let mut complete = [0; GROUPS];
    for id in ids {
        let (node, group) = node_of(trial, id)?;
        // What a node has not got while its disk was full comes later: others have it.
        if trial.cluster.status_number(id, "/missing_segments").await? > 0 {
            continue;
        }
        complete[group] += 1;
        let mut events = Vec::new();
        let address = trial.cluster.address(id)?;
        let (realm, topics) = (trial.realm(), trial.topics());
        let terms = trial.cluster.terms()?;
        read_tail((id, &address, &terms), node, &realm, &topics, SOON, &mut events).await?;
        let name = format!("tail of {id}, with full disks");
        trial.readings_of(&name, Some(group)).add(events);
        let dump = trial.cluster.ndb_tool(id, &["dump"]).await?;
        ensure!(dump.status.success(), "dump of {id}: {}", dump.words());
        ensure!(!dump.stdout.is_empty(), "dump of {id} is empty");
    }
    // Each segment has W copies, on any W nodes: what misses one may have what another misses.
    ensure!(!complete.contains(&0), "complete nodes of the groups: {complete:?}");
    let (realm, topics) = (trial.realm(), trial.topics());
    for id in trial.cluster.ids_of(Tier::Entry) {
        let address = trial.cluster.address(&id)?;
        let (dumped, error) =
            read_history(&address, &realm, common_prefix(&topics), &topics, SOON).await?;
        ensure!(error.is_none() && !dumped.events.is_empty(), "history at {id}: {error:?}");
        let name = format!("history at {id}, with full disks");
        trial.readings_of(&name, None).add_history(Ok((dumped, error)));
    }
    Ok(())
}
