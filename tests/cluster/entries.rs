//! Entries that are linked with each other: who is, once a pair, and again after each fault; and who is not let in.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use vixen_core::id::{GroupId, NdbId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::{PeerId, Refusal, Welcome};
use vixen_runtime::ids::new_store_id;
use vixen_tests::harness::{self, Cluster, ClusterOptions, NodeSetup, free_ports, get, wait_until};

use crate::config::{ends, text};
use crate::refusals::{REFUSED, Words, counted, greet_at, honest};
use crate::silence::publish;
use crate::support::{SOON, begun, logged};
use crate::tls::Certificates;

pub(crate) const ENTRIES: [&str; 3] = ["E1", "E2", "E3"];

fn options(linked_entries: usize) -> ClusterOptions {
    let default = ClusterOptions::default();
    ClusterOptions { sync: 1, ndb: 1, write_quorum: 1, entries: 3, linked_entries, ..default }
}

/// Waits until an entry hears so many others.
async fn hears(cluster: &Cluster, id: &str, others: f64) {
    counted(cluster, id, "vixen_entry_entries_linked", others).await;
}

pub(crate) async fn all_linked(cluster: &Cluster) {
    for id in ENTRIES {
        hears(cluster, id, 2.0).await;
    }
}

/// Waits until `is_it` holds of what the status page of an entry says of another one, and returns that.
async fn sees(
    cluster: &Cluster,
    id: &str,
    other: &str,
    is_it: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    wait_until(&format!("{id} to see {other} so"), SOON, || async {
        let status = cluster.status(id).await?;
        let entries = status["entries"].as_array().cloned().unwrap_or_default();
        let found = entries.into_iter().find(|entry| entry["peer"] == other);
        let found = found.ok_or_else(|| anyhow::anyhow!("{status:#}"))?;
        anyhow::ensure!(is_it(&found), "{found:#}");
        Ok(Some(found))
    })
    .await
}

/// Entries link for calls alone: all else goes on without.
async fn is_well(cluster: &Cluster) -> anyhow::Result<()> {
    wait_until("E1 to be ready, with everybody there", SOON, || async {
        let ready = cluster.get("E1", "/readyz").await?;
        anyhow::ensure!(ready.body == "ready\n", "{ready:?}");
        Ok(Some(()))
    })
    .await?;
    publish(cluster).await.map_err(anyhow::Error::msg)?;
    Ok(())
}

#[tokio::test]
async fn entries_are_linked_once_a_pair_and_again_when_one_comes_back() -> anyhow::Result<()> {
    // E3 has no address: it dials the others.
    let mut cluster = Cluster::start(options(2)).await?;
    all_linked(&cluster).await;
    begun(&cluster).await?;
    let lives = cluster.status("E1").await?["lives"].clone();
    let told_at = |life: &Value| life["told_at"].as_u64();
    let last = lives.as_array().into_iter().flatten().filter_map(told_at).max();
    for (one, other) in [("E1", "E2"), ("E1", "E3"), ("E2", "E3")] {
        let stands = |seen: &Value| {
            let standing = &seen["standing"];
            let is_serving = standing["ready"] == true && standing["draining"] == false;
            let has_read = last.is_some() && standing["applied_below"].as_u64() > last;
            let lives = standing["life"].as_u64() >= Some(1);
            seen["up"] == true && lives && is_serving && has_read
        };
        let there = sees(&cluster, other, one, stands).await?;
        // Where both have dialled, they agree on the link that stays.
        let by_one = |seen: &Value| stands(seen) && seen["dialled"] != there["dialled"];
        let here = sees(&cluster, one, other, by_one).await?;
        if other == "E3" {
            assert_eq!((&here["dialled"], &there["dialled"]), (&json!(false), &json!(true)));
        }
    }
    logged(&cluster, "E1", &["link accepted", "peer=E3"]).await;
    let before = sees(&cluster, "E1", "E2", |_| true).await?["owner"].clone();

    cluster.kill("E2").await?;
    for id in ["E1", "E3"] {
        hears(&cluster, id, 1.0).await;
        let gone = sees(&cluster, id, "E2", |seen| seen["up"] == false).await?;
        assert_eq!(gone["last_down"], "closed by the peer", "{id}: {gone:#}");
    }
    is_well(&cluster).await?;
    cluster.restart("E2").await?;
    all_linked(&cluster).await;
    let after = sees(&cluster, "E1", "E2", |seen| seen["up"] == true).await?["owner"].clone();
    assert_ne!(before, after, "another process");

    cluster.pause("E3")?;
    for id in ["E1", "E2"] {
        hears(&cluster, id, 1.0).await;
        sees(&cluster, id, "E3", |seen| seen["up"] == true && seen["silent"] == true).await?;
    }
    is_well(&cluster).await?;
    cluster.resume("E3")?;
    all_linked(&cluster).await;

    cluster.stop("E1").await?;
    hears(&cluster, "E2", 1.0).await;
    Ok(())
}

#[tokio::test]
async fn entries_link_by_tls_as_all_nodes_do() -> anyhow::Result<()> {
    let certificates = Certificates::new();
    let tls = Some(Arc::clone(&certificates.client));
    let options = ClusterOptions { extra: certificates.tables(), tls, ..options(3) };
    let mut cluster = Cluster::start(options).await?;
    all_linked(&cluster).await;
    let links = cluster.link_address("E1")?;
    assert_eq!(get(&links, "/link").await?.status, 400, "plain HTTP");
    let mut stream = certificates.connect(&links).await?;
    stream.write_all(b"GET /link HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 403 "), "without a certificate: {answer}");
    assert!(answer.contains("links need a certificate of this cluster"), "{answer}");
    cluster.kill("E1").await?;
    hears(&cluster, "E2", 1.0).await;
    cluster.restart("E1").await?;
    all_linked(&cluster).await;
    Ok(())
}

/// What stands between an entry and those that dial it.
pub(crate) struct Wire {
    is_cut: watch::Sender<bool>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    task: JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn between(listen: &str, to: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let (is_cut, cut) = watch::channel(false);
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let known = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((near, _from)) = listener.accept().await {
                let carried = tokio::spawn(carry(near, to.clone(), cut.clone()));
                known.lock().expect("sound").push(carried.abort_handle());
            }
        });
        Ok(Self { is_cut, connections, task })
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// Ends all connections.
    pub(crate) fn reset(&self) {
        let ended: Vec<_> = self.connections.lock().expect("sound").drain(..).collect();
        ended.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
        self.reset();
    }
}

async fn carry(near: TcpStream, to: String, is_cut: watch::Receiver<bool>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(from_near, to_far, is_cut.clone()) => {}
        () = pump(from_far, to_near, is_cut) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_cut: watch::Receiver<bool>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        // Nothing passes, and nobody is told: as where a network is cut.
        if is_cut.wait_for(|is_cut| !is_cut).await.is_err()
            || to.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn entries_that_are_cut_off_from_each_other_are_linked_again_when_that_heals()
-> anyhow::Result<()> {
    let listens = free_ports(3)?;
    let listen = |id: &str| -> String {
        let at = ENTRIES.iter().position(|entry| *entry == id);
        at.map(|at| format!("127.0.0.1:{}", listens[at])).unwrap_or_default()
    };
    let cluster = Cluster::start_with(options(3), |id, _store| NodeSetup {
        env: if id.starts_with('E') {
            vec![("VIXEN_LINK_LISTEN".to_owned(), listen(id))]
        } else {
            Vec::new()
        },
        ..NodeSetup::default()
    })
    .await?;
    is_well(&cluster).await?;
    hears(&cluster, "E1", 0.0).await;
    let mut wires = Vec::new();
    for id in ENTRIES {
        wires.push(Wire::between(&cluster.link_address(id)?, listen(id)).await?);
    }
    all_linked(&cluster).await;

    // All ways between E1 and E2, whoever has dialled.
    wires[..2].iter().for_each(|wire| wire.cut(true));
    for (id, other) in [("E1", "E2"), ("E2", "E1")] {
        sees(&cluster, id, other, |seen| seen["silent"] == true).await?;
    }
    is_well(&cluster).await?;
    wires.iter().for_each(|wire| wire.cut(false));
    all_linked(&cluster).await;

    wires.iter().for_each(Wire::reset);
    for id in ENTRIES {
        for other in ENTRIES.into_iter().filter(|other| *other != id) {
            let again = |seen: &Value| seen["up"] == true && !seen["last_down"].is_null();
            sees(&cluster, id, other, again).await?;
        }
    }
    all_linked(&cluster).await;
    Ok(())
}

#[tokio::test]
async fn nobody_but_entries_with_the_secret_is_linked_and_not_on_the_port_of_clients()
-> anyhow::Result<()> {
    let cluster = Cluster::start(options(3)).await?;
    all_linked(&cluster).await;
    let links = cluster.link_address("E1")?;
    let name = |text: &str| -> NodeName { text.parse().expect("a name") };
    let by = name("E1");
    let sync = PeerId::Sync { id: SyncId(0), store: new_store_id() };
    let id = NdbId { group: GroupId(0), member: 0 };
    let ndb = PeerId::Ndb { id, store: new_store_id() };
    let alone = || Refusal::EntriesAlone { by: by.clone() };
    let owner = cluster.status("E2").await?["owner"].clone();
    let owner = vixen_core::id::OwnerId(owner.as_str().expect("an owner").parse()?);
    let of_e2 = PeerId::Entry { owner };
    let mut expected = cluster.metric("E1", REFUSED).await?;
    for (words, reason) in [
        (Words { secret: b"test-secret-124", ..honest() }, Refusal::Proof),
        (Words { cluster: "other", ..honest() }, Refusal::Cluster),
        (Words { peer: sync, name: "S1", ..honest() }, alone()),
        (Words { peer: ndb, name: "D1", ..honest() }, alone()),
        (Words { name: "S1", ..honest() }, Refusal::NameTaken { by: by.clone(), name: name("S1") }),
        (
            Words { peer: of_e2, ..honest() },
            Refusal::OwnerTaken { by: by.clone(), name: name("E9") },
        ),
    ] {
        let (_socket, welcome) = greet_at(&links, Tier::Entry, &words).await;
        assert_eq!(welcome, Welcome::Refused { reason });
        expected += 1.0;
        counted(&cluster, "E1", REFUSED, expected).await;
    }
    logged(&cluster, "E1", &["link refused", "other entries alone dial"]).await;
    let (_socket, welcome) = greet_at(&links, Tier::Entry, &honest()).await;
    assert!(matches!(welcome, Welcome::Accepted { .. }), "{welcome:?}");
    hears(&cluster, "E1", 3.0).await;

    assert_eq!(cluster.get("E1", "/link").await?.status, 404, "on the port of clients");
    for path in ["/ws", "/status", "/metrics", "/healthz", "/publish", "/"] {
        assert_eq!(get(&links, path).await?.status, 404, "{path} on the port of links");
    }
    Ok(())
}

#[tokio::test]
async fn arguments_that_give_no_port_for_links_stop_the_start_with_the_fix() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions { entries: 1, ..options(0) }).await?;
    let config = cluster.config_file().to_str().expect("a path of the test");
    let clients = cluster.address("E1")?;
    let node = ["--config", config, "--node", "E1"];
    for (arguments, words) in [
        (vec!["--link-listen", "127.0.0.1:1"], "means nothing without an address that other"),
        (vec!["--link-address", clients.as_str()], "is also that of listen: links need their own"),
        (vec!["--link-address", "0.0.0.0:9061"], "a host and port such as"),
    ] {
        let all = [&node[..], &["--check-config"], &arguments].concat();
        let said = ends(harness::Tier::Entry, &all).await;
        assert!(!said.status.success(), "{arguments:?}");
        assert!(text(&said).contains(words), "{arguments:?}: {}", text(&said));
    }
    let alone = ends(harness::Tier::Entry, &["--link-address", "e1.example:9061"]).await;
    assert!(text(&alone).contains("nearcast has no other entries"), "{}", text(&alone));
    Ok(())
}
