//! Stores that lose what they had not made durable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, wait_until};
use vixen_tests::load::{Amount, Load, LoadOptions};
use vixen_tests::power_cut::{Disk, Fate, PowerSupply};
use vixen_tests::storage::{Scenario, StorageOptions, run};

use crate::support::{SOON, acknowledged, load_on};

/// More changes and syncs than a store needs to be made.
const STEPS_MAX: u32 = 200;

/// The power of a node that makes its store is cut at one step after the other: with what is left it
/// starts by itself.
async fn starts_wherever_the_making_of_its_store_was_cut(id: &str) {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let supply = PowerSupply::new(&cluster.dir().join("power")).expect("a library");
    let store = cluster.store_dir(id);
    for step in 1..STEPS_MAX {
        cluster.kill(id).await.expect("killed");
        std::fs::remove_dir_all(&store).expect("removed");
        let disk = Disk { cut_at: step, ..Disk::default() };
        cluster.set_up(id, supply.setup(id, &store, disk).expect("a setup")).expect("a node");
        cluster.spawn(id).expect("started");
        let mut is_made = false;
        while cluster.has_ended(id).expect("a node").is_none() && !is_made {
            is_made = cluster.is_ready(id).await.unwrap_or(false);
        }
        if is_made {
            cluster.kill(id).await.expect("killed");
        }
        let fate = if step % 4 == 3 { Fate::Drawn } else { Fate::Emptied };
        let mut rng = StdRng::seed_from_u64(u64::from(step));
        let losses = supply.cut(id, &store, fate, &mut rng).expect("notes");
        assert_eq!(losses.escapes, Vec::<String>::new());
        cluster.set_up(id, NodeSetup::default()).expect("a node");
        let again = cluster.restart(id).await;
        again.unwrap_or_else(|error| panic!("cut at step {step}, {fate:?}, {losses:?}: {error:#}"));
        if is_made {
            eprintln!("{id} makes its store in fewer than {step} steps");
            return;
        }
    }
    panic!("a store needs more than {STEPS_MAX} steps");
}

#[tokio::test]
async fn a_sync_node_starts_wherever_the_making_of_its_store_was_cut() {
    starts_wherever_the_making_of_its_store_was_cut("S1").await;
}

#[tokio::test]
async fn an_ndb_node_starts_wherever_the_making_of_its_store_was_cut() {
    starts_wherever_the_making_of_its_store_was_cut("D1").await;
}

/// Its peers remember it.
#[tokio::test]
async fn a_store_that_has_been_told_of_is_there_after_a_power_cut() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    cluster.kill_all().await.expect("killed");
    let supply = PowerSupply::new(&cluster.dir().join("power")).expect("a library");
    let ids: Vec<String> = cluster.ids().into_iter().filter(|id| !id.starts_with('E')).collect();
    for id in &ids {
        let store = cluster.store_dir(id);
        std::fs::remove_dir_all(&store).expect("removed");
        let setup = supply.setup(id, &store, Disk::default()).expect("a setup");
        cluster.set_up(id, setup).expect("a node");
    }
    cluster.start_all().await.expect("a new cluster");
    cluster.kill_all().await.expect("killed");
    for id in &ids {
        let mut rng = StdRng::seed_from_u64(0);
        supply.cut(id, &cluster.store_dir(id), Fate::Lost, &mut rng).expect("notes");
        assert!(cluster.store_dir(id).exists(), "the store of {id} is lost");
    }
    cluster.start_all().await.expect("the same cluster");
    wait_until("no store to be taken for another", SOON, || async {
        for id in &ids {
            anyhow::ensure!(cluster.is_ready(id).await?, "{id} is not ready");
        }
        Ok(Some(()))
    })
    .await
    .expect("all ready");
}

/// Every file below a directory.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).expect("a file"));
        }
    }
    files
}

/// Undoing all that was noted gives back what was there before: nothing goes past the library.
#[tokio::test]
async fn every_change_of_a_store_is_noted() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let some = LoadOptions { first_publisher: 10, ..load_on(&cluster, Amount::Messages(500)) };
    Load::run(some).await.expect("a load");
    cluster.stop_all().await.expect("clean exits");
    let supply = PowerSupply::new(&cluster.dir().join("power")).expect("a library");
    let ids: Vec<String> = cluster.ids().into_iter().filter(|id| !id.starts_with('E')).collect();
    let mut before = Vec::new();
    for id in &ids {
        let store = cluster.store_dir(id);
        before.push(files(&store));
        let setup = supply.setup(id, &store, Disk::default()).expect("a setup");
        cluster.set_up(id, setup).expect("a node");
    }
    cluster.start_all().await.expect("the same cluster");
    let load = Load::start(load_on(&cluster, Amount::UntilStopped)).await.expect("a load");
    acknowledged(&load.progress(), 2_000).await.expect("traffic");
    cluster.kill_all().await.expect("killed");
    load.finish().await.expect("the load ends with its connections");
    for (id, before) in ids.iter().zip(before) {
        let store = cluster.store_dir(id);
        assert_ne!(files(&store), before, "{id} changed nothing");
        let losses = supply.cut(id, &store, Fate::Undone, &mut StdRng::seed_from_u64(0));
        assert_eq!(losses.expect("notes").escapes, Vec::<String>::new());
        let after = files(&store);
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{id}");
        for (path, bytes) in after {
            // Not by `assert_eq`, which would print them.
            assert!(before[&path] == bytes, "{} is not as it was", path.display());
        }
    }
}

#[tokio::test]
async fn disks_that_lie_are_noticed() {
    let options = StorageOptions { lying_disks: true, ..StorageOptions::new(2, 7) };
    let outcome = Box::pin(run(Scenario::Power, options)).await.expect("it can be run");
    let missing = "history at E1 misses position";
    assert!(outcome.broken.iter().any(|broken| broken.contains(missing)), "{outcome}");
}
