//! Clients that nobody knows, and what they can take: memory, descriptors, lines of the log. Against
//! real processes; memory is what the kernel counts as theirs alone (`RssAnon`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use vixen_core::wire::{Hello, PeerId, SPOKEN};
use vixen_runtime::ids::new_owner_id;
use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, Usage, wait_until};

use crate::support::SOON;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// `limits.frame-bytes-max` and `limits.unfinished-bytes-max` of the defaults.
const FRAME_BYTES_MAX: usize = 4 * MIB;
const UNFINISHED_BYTES_MAX: usize = 64 * MIB;
/// What a connection costs before anything is known of it: buffers of the socket, of HTTP and of
/// WebSocket, and its task.
const CONNECTION_BYTES: usize = 64 * KIB;
/// What the process needs meanwhile for itself.
const OWN_BYTES: usize = 16 * MIB;

/// What is not taken by then is not taken at all.
const TAKEN_TIME: Duration = Duration::from_secs(10);

/// Nobody honest is there.
const HOSTILE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));

async fn start() -> anyhow::Result<Cluster> {
    Cluster::start(small()).await
}

fn small() -> ClusterOptions {
    ClusterOptions { sync: 1, ndb: 1, entries: 1, write_quorum: 1, ..ClusterOptions::default() }
}

/// A connection from the address of those who mean harm.
async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(HOSTILE, 0))?;
    Ok(socket.connect(address.parse()?).await?)
}

/// What one that sends `begin`, and then zeros until `length`, hears until the end, or until nothing
/// more comes.
struct Sender {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Sender {
    /// Sends as far as the other end takes it; a part is read meanwhile, if there is any.
    async fn send(address: &str, begin: &[u8], length: usize) -> anyhow::Result<Self> {
        let mut sender = Self { stream: connect(address).await?, heard: Vec::new() };
        sender.push(begin, length).await;
        Ok(sender)
    }

    async fn push(&mut self, begin: &[u8], length: usize) {
        let chunk = vec![0; 64 * KIB];
        let (mut reading, mut writing) = self.stream.split();
        let write = async {
            writing.write_all(begin).await?;
            let mut left = length;
            while left > 0 {
                left -= writing.write(&chunk[..chunk.len().min(left)]).await?;
            }
            Ok::<_, std::io::Error>(())
        };
        let heard = &mut self.heard;
        let read = async {
            let mut bytes = vec![0; KIB];
            while let Ok(read) = reading.read(&mut bytes).await
                && read > 0
            {
                heard.extend(&bytes[..read]);
            }
        };
        tokio::select! {
            _sent_or_cut = timeout(TAKEN_TIME, write) => {}
            () = read => {}
        }
    }

    /// All that it was told, as soon as there is something.
    async fn told(&mut self) -> String {
        let mut bytes = vec![0; 4 * KIB];
        while let Ok(Ok(read)) = timeout(SOON, self.stream.read(&mut bytes)).await
            && read > 0
        {
            self.heard.extend(&bytes[..read]);
        }
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}

/// As many at once as `begin` and `length` say, and what the process has more of than before, at
/// most, once all have sent what they could.
async fn flood(
    cluster: &Cluster,
    node: &str,
    count: usize,
    begin: &[u8],
    length: usize,
) -> anyhow::Result<(Vec<Sender>, usize)> {
    let (address, before) = (cluster.address(node)?, anonymous(cluster, node)?);
    let mut sending = JoinSet::new();
    for _ in 0..count {
        let (address, begin) = (address.clone(), begin.to_vec());
        sending.spawn(async move { Sender::send(&address, &begin, length).await });
    }
    let (mut senders, mut most) = (Vec::new(), 0);
    while let Some(sender) = sending.join_next().await {
        // Some are not even let in.
        senders.extend(sender?);
        most = most.max(anonymous(cluster, node)?.saturating_sub(before));
    }
    Ok((senders, most))
}

fn anonymous(cluster: &Cluster, node: &str) -> anyhow::Result<usize> {
    Usage::anonymous_bytes(cluster.pid(node)?).context("no RssAnon")
}

fn check(what: &str, grown: usize, allowed: usize) {
    eprintln!("{what}: {} of {} MiB", grown / MIB, allowed / MIB);
    assert!(grown <= allowed, "{what}: {} MiB more, {} allowed", grown / MIB, allowed / MIB);
}

/// What is unfinished is kept in buffers that double, and are copied then; and what has been ended for
/// it is there until its task has had its turn.
const fn unfinished(connections: usize) -> usize {
    4 * UNFINISHED_BYTES_MAX + connections * CONNECTION_BYTES + OWN_BYTES
}

/// Somebody else is served as before.
async fn serves(cluster: &Cluster, node: &str) -> anyhow::Result<()> {
    let answer = cluster.get(node, "/healthz").await?;
    ensure!(answer.status == 200, "{node}: {}", answer.body);
    Ok(())
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: wamp.2.json\r\n\r\n";
const UPGRADE_LINK: &[u8] = b"GET /link HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The header of a masked frame; with the mask of zeros the payload is as it is.
fn header(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend((length as u64).to_be_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&header(0x81, payload.len()), payload].concat()
}

#[tokio::test]
async fn unfinished_bodies_take_bounded_memory_and_are_told() -> anyhow::Result<()> {
    let cluster = start().await?;
    let begin = format!(
        "POST /publish HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {FRAME_BYTES_MAX}\r\n\r\n"
    );
    let (senders, grown) =
        flood(&cluster, "E1", 150, begin.as_bytes(), FRAME_BYTES_MAX - 1).await?;
    check("150 unfinished bodies", grown, unfinished(150));
    serves(&cluster, "E1").await?;
    let honest = Connection::open(&cluster.url("E1")?, "realm1").await;
    drop(honest.context("an honest client is let in")?);
    // Some are told while they send, some only when they look, and some are still listened to.
    let told = senders.into_iter().map(|mut sender| async move { sender.told().await });
    let mut told: JoinSet<String> = told.collect();
    let told = loop {
        let one = told.join_next().await.context("nobody was told")??;
        if !one.is_empty() {
            break one;
        }
    };
    ensure!(told.starts_with("HTTP/1.1 503"), "{told}");
    ensure!(told.contains("vixen.error.unfinished_input"), "{told}");
    let ended = cluster.metric("E1", "vixen_common_unfinished_inputs_ended_total").await?;
    ensure!(ended > 0.0, "not counted");
    Ok(())
}

#[tokio::test]
async fn unfinished_frames_take_bounded_memory_before_welcome_and_after() -> anyhow::Result<()> {
    let cluster = start().await?;
    // Before anybody said HELLO.
    let first = [UPGRADE, &header(0x81, FRAME_BYTES_MAX)].concat();
    let (mut senders, grown) = flood(&cluster, "E1", 150, &first, FRAME_BYTES_MAX - 1).await?;
    check("150 first frames", grown, 150 * CONNECTION_BYTES + OWN_BYTES);
    let told = senders.first_mut().context("somebody")?.told().await;
    ensure!(told.contains("wamp.error.payload_size_exceeded"), "{told}");
    drop(senders);
    // Of a message that never ends, by sessions that say pong.
    let hello = frame(br#"[1,"realm1",{"roles":{"publisher":{}}}]"#);
    let fragment = [UPGRADE, &hello].concat();
    let (mut sessions, _) = flood(&cluster, "E1", 100, &fragment, 0).await?;
    let before = anonymous(&cluster, "E1")?;
    let mut pushing = JoinSet::new();
    for mut session in sessions.drain(..) {
        pushing.spawn(async move {
            session.push(&header(0x01, FRAME_BYTES_MAX), FRAME_BYTES_MAX).await;
            session.push(&[0x8a, 0x80, 0, 0, 0, 0], 0).await;
            session
        });
    }
    let mut most = 0;
    while let Some(session) = pushing.join_next().await {
        sessions.push(session?);
        most = most.max(anonymous(&cluster, "E1")?.saturating_sub(before));
    }
    check("100 fragments with pongs", most, unfinished(100));
    serves(&cluster, "E1").await
}

#[tokio::test]
async fn a_link_without_a_proof_takes_little_memory_and_few_lines() -> anyhow::Result<()> {
    let cluster = start().await?;
    let length = 48 * MIB;
    let frame = [UPGRADE_LINK, &header(0x82, length)].concat();
    for node in ["S1", "D1"] {
        let (senders, grown) = flood(&cluster, node, 12, &frame, length - 1).await?;
        check("12 links", grown, 12 * 4 * CONNECTION_BYTES + OWN_BYTES);
        drop(senders);
        // Each under another name, with a proof that is none.
        let lines = |cluster: &Cluster| -> anyhow::Result<usize> {
            Ok(cluster.log(node)?.lines().filter(|line| line.contains("link refused")).count())
        };
        let begun = Instant::now();
        for number in 0..200 {
            let mut stream = connect(&cluster.address(node)?).await?;
            stream.write_all(&[UPGRADE_LINK, &false_hello(number)?].concat()).await?;
            // Told, and closed.
            let _or_reset = timeout(SOON, stream.read_to_end(&mut Vec::new())).await?;
        }
        serves(&cluster, node).await?;
        // Four a second, at most.
        let most = 40 + 4 * usize::try_from(begun.elapsed().as_secs())?;
        ensure!(lines(&cluster)? <= most, "{} lines, at most {most}", lines(&cluster)?);
        let log = cluster.log(node)?;
        let line = log.lines().find(|line| line.contains("link refused")).context("a line")?;
        ensure!(line.contains("from=127.0.0.66"), "{line}");
        let page = String::from_utf8(UPGRADE_LINK.to_vec())?
            .replace("connection: upgrade", "origin: http://127.0.0.1\r\nconnection: upgrade");
        let mut of_page = connect(&cluster.address(node)?).await?;
        of_page.write_all(page.as_bytes()).await?;
        let mut answer = vec![0; KIB];
        let read = timeout(SOON, of_page.read(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer[..read]);
        ensure!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    Ok(())
}

fn false_hello(number: u32) -> anyhow::Result<Vec<u8>> {
    let hello = Hello {
        version: SPOKEN.newest,
        cluster: "test".to_owned(),
        peer: PeerId::Entry { owner: new_owner_id() },
        name: format!("E{number}").parse()?,
        nonce: [0; 32],
        proof: [0; 32],
        offers: Vec::new(),
    };
    let hello = postcard::to_stdvec(&hello)?;
    Ok([header(0x82, hello.len()), hello].concat())
}

/// As few descriptors as a process can be given, and as many connections as there are descriptors.
const FILES: usize = 300;
const IDLE: usize = 400;

#[tokio::test]
async fn idle_connections_make_room_for_others_at_every_port() -> anyhow::Result<()> {
    let few = |_id: &str, _store: &std::path::Path| NodeSetup {
        wrapper: ["prlimit", &format!("--nofile={FILES}:{FILES}")].map(str::to_owned).to_vec(),
        ..NodeSetup::default()
    };
    let cluster = Cluster::start_with(small(), few).await?;
    for node in ["E1", "D1", "S1"] {
        let address = cluster.address(node)?;
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            // One that cannot be served does no harm either.
            let Ok(mut stream) = connect(&address).await else { break };
            let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
            let mut answer = [0; 512];
            let asked = async {
                stream.write_all(request.as_bytes()).await?;
                stream.read(&mut answer).await
            };
            let _or_not = timeout(Duration::from_secs(2), asked).await;
            idle.push(stream);
            if idle.len() > FILES && serves(&cluster, node).await.is_err() {
                break;
            }
        }
        let served = || async { serves(&cluster, node).await.map(Some) };
        wait_until("others are served", SOON, served).await.with_context(|| node.to_owned())?;
        let closed = cluster.metric(node, "vixen_common_idle_connections_closed_total").await?;
        ensure!(closed > 0.0, "{node} has closed none");
        let errors = cluster.log(node)?.lines().filter(|line| line.contains("accept")).count();
        ensure!(errors <= 2, "{node} says {errors} times that it cannot accept");
    }
    Ok(())
}
