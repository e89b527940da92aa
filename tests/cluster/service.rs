//! What nodes tell the service manager, as systemd would hear it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup};

use crate::support::SOON;

const NODES: [&str; 3] = ["S1", "D1", "E1"];

/// Stands in for the service manager of one node.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(SOON)).expect("a bound on waiting");
        Self { socket, heard: Vec::new() }
    }

    /// Waits until a message has this line, and returns all that came since the last one.
    fn hear(&mut self, line: &str) -> Vec<String> {
        loop {
            let mut message = [0; 4096];
            let length = self.socket.recv(&mut message);
            let length =
                length.unwrap_or_else(|error| panic!("no {line}: {error}: {:?}", self.heard));
            let text = String::from_utf8_lossy(&message[..length]);
            let is_it = text.lines().any(|found| found == line);
            self.heard.extend(text.lines().map(str::to_owned));
            if is_it {
                return std::mem::take(&mut self.heard);
            }
        }
    }
}

#[tokio::test]
async fn nodes_tell_the_service_manager_when_they_are_ready_reload_and_stop() -> anyhow::Result<()>
{
    let dir = tempfile::tempdir()?;
    let path = |id: &str| dir.path().join(id);
    let mut managers = NODES.map(|id| Manager::listen(&path(id)));
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start_with(options, |id, _store| NodeSetup {
        env: vec![
            ("NOTIFY_SOCKET".to_owned(), path(id).display().to_string()),
            ("WATCHDOG_USEC".to_owned(), "2000000".to_owned()),
        ],
        ..NodeSetup::default()
    })
    .await?;
    for (id, manager) in NODES.iter().zip(&mut managers) {
        let before = manager.hear("READY=1");
        if *id == "E1" {
            // It needs the others, so it has had to wait.
            let waits = before.iter().any(|line| line.starts_with("STATUS=not ready: "));
            assert!(waits && before.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")));
        }
        manager.hear("WATCHDOG=1");
        let pid = Pid::from_raw(i32::try_from(cluster.pid(id)?)?);
        kill(pid, Signal::SIGHUP)?;
        let reloading = manager.hear("RELOADING=1");
        assert!(reloading.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading:?}");
        manager.hear("READY=1");
    }
    for (id, manager) in NODES.iter().zip(&mut managers).rev() {
        cluster.stop(id).await?;
        manager.hear("STOPPING=1");
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_waits_for_the_others_is_not_started_and_asks_for_time() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("S1");
    let mut manager = Manager::listen(&path);
    let options = ClusterOptions { entries: 1, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await?;
    for id in ["S1", "S2", "S3"] {
        cluster.stop(id).await?;
    }
    let env = vec![("NOTIFY_SOCKET".to_owned(), path.display().to_string())];
    cluster.set_up("S1", NodeSetup { env, ..NodeSetup::default() })?;
    cluster.spawn("S1")?;
    let more_time = "EXTEND_TIMEOUT_USEC=60000000";
    let mut heard = manager.hear(more_time);
    heard.extend(manager.hear(more_time));
    assert!(heard.iter().any(|line| line.starts_with("STATUS=not ready: 1 of 2")), "{heard:?}");
    assert!(!heard.contains(&"READY=1".to_owned()), "{heard:?}");
    cluster.spawn("S2")?;
    manager.hear("READY=1");
    assert!(cluster.is_ready("S1").await?);
    Ok(())
}
