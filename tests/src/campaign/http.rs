//! Publishers and subscribers by HTTP.

use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{FIRST_BY_HTTP, PAYLOAD_BYTES};
use crate::check::{Outcome, Publication, Publisher};
use crate::client::Payload;
use crate::load::{LoadOptions, RunClock};

pub(super) const PUBLISHERS: u32 = 2;
/// Between two messages of a publisher.
const PACE: Duration = Duration::from_millis(50);
/// A request is given up after so long: then nobody knows what became of it.
const PATIENCE: Duration = Duration::from_secs(40);
/// Before the next entry is tried.
const PAUSE: Duration = Duration::from_millis(20);

/// `POST /publish`, one request after the other, each at any entry.
pub(super) struct HttpPublishers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Published>>,
}

/// What publishers by HTTP know in the end.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) publishers: Vec<Publisher>,
    pub(super) acknowledged: u64,
    /// Requests without an answer.
    pub(super) lost: u64,
    /// Answers that are none of success, of an entry that took the message.
    pub(super) refusals: Vec<String>,
}

/// What became of a request.
enum Answer {
    Position(u64),
    /// The entry takes nothing now: it was not published.
    NotNow,
    Refused(String),
}

impl HttpPublishers {
    pub(super) fn start(addresses: Vec<String>, topics: Vec<String>, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = |number: u32| {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(u64::from(number)));
            let id = FIRST_BY_HTTP + number;
            tokio::spawn(publish(id, addresses.clone(), topics.clone(), rng, stopped.clone()))
        };
        Self { stop, tasks: (0..PUBLISHERS).map(task).collect() }
    }

    pub(super) async fn stopped(self) -> anyhow::Result<Published> {
        self.stop.send_replace(true);
        let mut all = Published::default();
        for task in self.tasks {
            let one = task.await?;
            all.publishers.extend(one.publishers);
            all.acknowledged += one.acknowledged;
            all.lost += one.lost;
            all.refusals.extend(one.refusals);
        }
        Ok(all)
    }
}

async fn publish(
    id: u32,
    addresses: Vec<String>,
    topics: Vec<String>,
    mut rng: StdRng,
    stop: watch::Receiver<bool>,
) -> Published {
    let clock = RunClock::start();
    let mut publications = Vec::new();
    let mut published = Published::default();
    while !*stop.borrow() {
        let seq = u32::try_from(publications.len() + 1).unwrap_or(u32::MAX);
        let sent_ns = clock.now_ns();
        let mut args = Vec::new();
        Payload { publisher: id, seq, sent_ns }.write_args(PAYLOAD_BYTES, &mut args);
        let topic = &topics[LoadOptions::turn(topics.len(), seq)];
        let args = String::from_utf8_lossy(&args);
        let body = format!(r#"{{"topic":"{topic}","args":{args}}}"#);
        let address = &addresses[rng.random_range(0..addresses.len())];
        let answer = timeout(PATIENCE, post(address, &body)).await;
        let outcome = match answer {
            Ok(Ok(Answer::Position(position))) => {
                published.acknowledged += 1;
                Outcome::Acknowledged { position, at_ns: clock.now_ns() }
            }
            Ok(Ok(Answer::NotNow)) => {
                sleep(PAUSE).await;
                continue;
            }
            Ok(Ok(Answer::Refused(words))) => {
                published.refusals.push(words);
                Outcome::Unknown
            }
            Ok(Err(_)) | Err(_) => {
                published.lost += 1;
                Outcome::Unknown
            }
        };
        publications.push(Publication { sent_ns, outcome });
        sleep(PACE).await;
    }
    published.publishers.push(Publisher { id, publications });
    published
}

async fn post(address: &str, body: &str) -> anyhow::Result<Answer> {
    let Ok(mut stream) = TcpStream::connect(address).await else { return Ok(Answer::NotNow) };
    let length = body.len();
    let request = format!(
        "POST /publish HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?;
    if status == "200" {
        let body: Value = serde_json::from_str(body)?;
        return Ok(Answer::Position(body["position"].as_u64().context("no position")?));
    }
    // One that begins or stops has taken nothing.
    let is_not_now = status == "503" && !body.contains("not known");
    Ok(if is_not_now { Answer::NotNow } else { Answer::Refused(format!("{status} {body}")) })
}

/// What `/events` says: HTML standard, *Server-sent events*.
#[derive(Debug, Default)]
pub(super) struct ServerSentEvent {
    /// `message` where nothing else is said.
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) data: String,
}

/// Events at `address` from after the id `last` on, or from the first, until the connection ends.
///
/// # Errors
/// When the entry says anything but events.
pub(super) async fn follow(
    address: &str,
    prefix: &str,
    last: Option<&str>,
    mut take: impl FnMut(ServerSentEvent),
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let after = if last.is_none() { "&after=0" } else { "" };
    let header = last.map_or_else(String::new, |last| format!("last-event-id: {last}\r\n"));
    let request = format!(
        "GET /events?topic={prefix}&match=prefix{after} HTTP/1.0\r\nhost: {address}\r\n{header}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next_line().await?.context("no answer")?;
    anyhow::ensure!(status.split(' ').nth(1) == Some("200"), "{status}");
    let mut event = ServerSentEvent::default();
    while let Some(line) = lines.next_line().await? {
        match line.split_once(": ") {
            Some(("id", text)) => text.clone_into(&mut event.id),
            Some(("event", text)) => text.clone_into(&mut event.kind),
            Some(("data", text)) => event.data.push_str(text),
            None if line.is_empty() && !event.data.is_empty() => {
                let mut whole = std::mem::take(&mut event);
                if whole.kind.is_empty() {
                    "message".clone_into(&mut whole.kind);
                }
                take(whole);
            }
            _ => {}
        }
    }
    Ok(())
}
