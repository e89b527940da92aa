//! Logs that cannot be written: full disks, readers that are gone or stand still. No node may wait
//! for them or end of them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use vixen_tests::client::Connection;
use vixen_tests::harness::{
    Binaries, Cluster, ClusterOptions, NodeSetup, Ports, Tier, free_ports, get, wait_until,
};

use crate::config::{closed_pipe, ends_into, full_disk, text};
use crate::support::SOON;

const DROPPED: &str = "vixen_common_log_lines_dropped_total";
const NODES: [&str; 3] = ["S1", "D1", "E1"];
/// The smallest pipe there is.
const PIPE_BYTES: i32 = 4096;

/// Named pipes of which this process is the reader.
struct Pipes(TempDir);

impl Pipes {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a pipe, which holds as little as a pipe can, and opens it for reading.
    fn make(&self, name: &str) -> File {
        mkfifo(&self.path(name), Mode::S_IRWXU).expect("a pipe");
        let reader = self.open(name);
        fcntl(&reader, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).expect("a small pipe");
        reader
    }

    fn open(&self, name: &str) -> File {
        let flags = OFlag::O_NONBLOCK.bits();
        File::options().read(true).custom_flags(flags).open(self.path(name)).expect("a reader")
    }
}

/// One node of each tier, with its output at `output(id)`.
async fn start(output: impl Fn(&str) -> PathBuf, filter: &str) -> anyhow::Result<Cluster> {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    Cluster::start_with(options, |id, _store| NodeSetup {
        env: vec![("RUST_LOG".to_owned(), filter.to_owned())],
        output: Some(output(id)),
        ..NodeSetup::default()
    })
    .await
}

async fn publish(url: &str) -> anyhow::Result<()> {
    let mut client = Connection::open(url, "realm1").await?;
    client.publish(1, "com.example.output", "[1]").await?;
    Ok(client.close().await?)
}

/// Waits until `id` has dropped lines for `reason`.
async fn dropped(cluster: &Cluster, id: &str, reason: &str) -> anyhow::Result<()> {
    let label = format!("reason=\"{reason}\"");
    wait_until(&format!("{id} to drop lines"), SOON, || async {
        let lines = cluster.metric_with(id, DROPPED, &label).await?;
        anyhow::ensure!(lines >= 1.0, "{lines} lines");
        Ok(Some(()))
    })
    .await
}

/// Serves, and ends cleanly when it is told to.
async fn lives_and_stops(mut cluster: Cluster) -> anyhow::Result<()> {
    publish(&cluster.url("E1")?).await?;
    for id in NODES {
        assert_eq!(cluster.get(id, "/healthz").await?.status, 200, "{id}");
    }
    cluster.stop_all().await
}

/// Every node has something to say, one at the signal, the others at the loss of their link.
async fn all_say_something(cluster: &Cluster, reason: &str) -> anyhow::Result<()> {
    for id in NODES {
        let pid = Pid::from_raw(i32::try_from(cluster.pid(id)?)?);
        kill(pid, Signal::SIGHUP)?;
        dropped(cluster, id, reason).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nodes_outlive_the_readers_of_their_logs_and_tell_later_what_was_lost() -> anyhow::Result<()>
{
    let pipes = Pipes::new();
    let readers = NODES.map(|id| pipes.make(id));
    let cluster = start(|id| pipes.path(id), "info").await?;
    drop(readers);
    all_say_something(&cluster, "closed").await?;
    for id in NODES {
        let mut reader = pipes.open(id);
        let mut said = Vec::new();
        wait_until(&format!("{id} to tell what was lost"), SOON, || {
            let _nothing_yet = reader.read_to_end(&mut said);
            let text = String::from_utf8_lossy(&said);
            let told = text.contains("log lines were dropped").then_some(());
            async move { Ok(told) }
        })
        .await?;
        let text = String::from_utf8_lossy(&said);
        assert!(text.contains(&format!("[{id}] ")) && text.contains("closed: "), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    lives_and_stops(cluster).await
}

#[tokio::test]
async fn nodes_outlive_a_full_disk_under_their_logs() -> anyhow::Result<()> {
    let cluster = start(|_id| "/dev/full".into(), "info").await?;
    all_say_something(&cluster, "no_space").await?;
    lives_and_stops(cluster).await
}

#[tokio::test]
async fn an_entry_outlives_the_largest_size_that_its_log_may_have() -> anyhow::Result<()> {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::start_with(options, |id, _store| {
        // A block is 512 bytes. Nodes with a store need more than that for it.
        let words: &[&str] =
            if id == "E1" { &["sh", "-c", "ulimit -f 1; exec \"$0\" \"$@\""] } else { &[] };
        let wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        let env = vec![("RUST_LOG".to_owned(), "debug".to_owned())];
        NodeSetup { env, wrapper, ..NodeSetup::default() }
    })
    .await?;
    dropped(&cluster, "E1", "no_space").await?;
    publish(&cluster.url("E1")?).await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn tools_of_a_store_end_in_order_when_their_output_does() -> anyhow::Result<()> {
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        entries: 1,
        write_quorum: 1,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).await?;
    publish(&cluster.url("E1")?).await?;
    // What is acknowledged gets its row a moment later, and `dump` lists rows.
    wait_until("the message to have its row", SOON, || async {
        Ok((!cluster.ndb_tool("D1", &["dump"]).await?.stdout.is_empty()).then_some(()))
    })
    .await?;
    let config = cluster.config_file().to_str().expect("a path of the test").to_owned();
    for tool in ["verify", "stats", "dump"] {
        let args = [tool, "--config", &config, "--node", "D1"];
        let closed = ends_into(closed_pipe(), Tier::Ndb, &args).await;
        anyhow::ensure!(closed.status.success(), "{args:?}: {}", text(&closed));
        let full = ends_into(full_disk(), Tier::Ndb, &args).await;
        let words = text(&full);
        anyhow::ensure!(full.status.code() == Some(2), "{args:?}: {}: {words}", full.status);
        anyhow::ensure!(words.contains("No space left on device"), "{args:?}: {words}");
    }
    // What is told beside the result is told to nobody, and the result is there.
    let copy = cluster.dir().join("copy");
    let binaries = tokio::task::spawn_blocking(Binaries::find).await??;
    let status = Command::new(binaries.program(Tier::Ndb))
        .args(["backup", "--config", &config, "--node", "D1", "--to"])
        .arg(&copy)
        .stdin(Stdio::null())
        .stdout(closed_pipe())
        .stderr(closed_pipe())
        .kill_on_drop(true)
        .status();
    let status = tokio::time::timeout(SOON, status).await??;
    anyhow::ensure!(status.success() && copy.is_dir(), "{status}");
    Ok(())
}

fn terminal() -> (PtyMaster, PathBuf) {
    // No node may inherit the other end: it would keep its own terminal open.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let path = ptsname_r(&master).expect("its name").into();
    (master, path)
}

#[tokio::test]
async fn nodes_outlive_their_terminal() -> anyhow::Result<()> {
    let terminals = NODES.map(|_id| terminal());
    let path = |id: &str| {
        let at = NODES.iter().position(|known| *known == id).expect("a node");
        terminals[at].1.clone()
    };
    let cluster = start(path, "info").await?;
    drop(terminals);
    all_say_something(&cluster, "error").await?;
    lives_and_stops(cluster).await
}

#[tokio::test]
async fn nodes_serve_and_stop_while_the_readers_of_their_logs_stand_still() -> anyhow::Result<()> {
    let pipes = Pipes::new();
    let readers = NODES.map(|id| pipes.make(id));
    // There is no room in them for a word of the nodes.
    for reader in &readers {
        fill(reader);
    }
    let cluster = start(|id| pipes.path(id), "trace").await?;
    for mut reader in readers.iter().map(|reader| reader.try_clone().expect("a copy")) {
        assert!(is_full(&reader), "this pipe is not full");
        // What waited for the reader comes as soon as it reads.
        let mut said = vec![0; 1 << 16];
        let mut bytes = 0;
        wait_until("more than the pipe holds", SOON, || {
            bytes += reader.read(&mut said).unwrap_or_default();
            let is_more = i32::try_from(bytes).is_ok_and(|bytes| bytes > PIPE_BYTES);
            async move { Ok(is_more.then_some(())) }
        })
        .await?;
    }
    lives_and_stops(cluster).await?;
    drop(readers);
    Ok(())
}

fn writer_of(reader: &File) -> File {
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(reader));
    let flags = OFlag::O_NONBLOCK.bits();
    File::options().write(true).custom_flags(flags).open(path).expect("a writer")
}

/// Writes as much as the pipe holds.
fn fill(reader: &File) {
    let written = nix::unistd::write(writer_of(reader), &[b'\n'; PIPE_BYTES as usize]);
    assert_eq!(written, Ok(PIPE_BYTES as usize));
}

/// Whether a writer of the pipe would wait now.
fn is_full(reader: &File) -> bool {
    let writer = writer_of(reader);
    let error = nix::unistd::write(&writer, &[b'\n'; PIPE_BYTES as usize]);
    error == Err(nix::errno::Errno::EAGAIN)
}

/// Nearcast, with its banner and its log at `output`.
async fn nearcast(
    dir: &Path,
    output: &Path,
    filter: &str,
) -> anyhow::Result<(Child, String, Ports)> {
    let binaries = tokio::task::spawn_blocking(Binaries::find).await??;
    let port = free_ports(1)?;
    let address = format!("127.0.0.1:{}", port[0]);
    let out = File::options().append(true).open(output)?;
    let child = Command::new(binaries.program(Tier::Entry))
        .args(["--listen", &address, "--data-dir"])
        .arg(dir.join("data"))
        .env("RUST_LOG", filter)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, address, port))
}

async fn serves(address: &str) -> anyhow::Result<()> {
    wait_until("nearcast to be ready", SOON, || async {
        let answer = get(address, "/readyz").await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(Some(()))
    })
    .await?;
    publish(&format!("ws://{address}/ws")).await
}

async fn stops(mut child: Child) -> anyhow::Result<()> {
    let pid = child.id().expect("it runs");
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
    let status = tokio::time::timeout(SOON, child.wait()).await??;
    anyhow::ensure!(status.success(), "nearcast ended with {status}");
    Ok(())
}

#[tokio::test]
async fn nearcast_serves_and_stops_whatever_becomes_of_its_output() -> anyhow::Result<()> {
    let pipes = Pipes::new();
    let dir = tempfile::tempdir()?;
    for (name, is_read, filter) in [("closed", false, "info"), ("stalled", true, "trace")] {
        let reader = pipes.make(name);
        let (child, address, _port) = nearcast(dir.path(), &pipes.path(name), filter).await?;
        let reader = is_read.then_some(reader);
        serves(&address).await?;
        if let Some(reader) = &reader {
            assert!(is_full(reader), "the pipe is not full");
        } else {
            let metrics = get(&address, "/metrics").await?.body;
            assert!(metrics.contains(&format!("{DROPPED}{{reason=\"closed\"}}")), "{metrics}");
        }
        stops(child).await?;
    }
    let (child, address, _port) = nearcast(dir.path(), Path::new("/dev/full"), "info").await?;
    serves(&address).await?;
    stops(child).await
}
