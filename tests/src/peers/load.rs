//! The generator's loads for a peer: publishers, their window or rate, and answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Client;
use crate::harness::Usage;
use crate::load::ticker::{Schedule, ticker_of};
use crate::load::{Latency, Pace};

/// What is published, and how.
#[derive(Clone, Debug)]
pub struct PeerLoad {
    /// Number of publishers, a connection each.
    pub publishers: usize,
    /// When messages are sent.
    pub pace: Pace,
    /// Bytes of each.
    pub payload_bytes: usize,
    /// Traffic before that, not measured.
    pub warmup: Duration,
    /// How long it is measured.
    pub duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct PeerResult {
    /// Answers a second.
    pub acknowledged_per_second: f64,
    /// Seconds that were measured.
    pub seconds: f64,
    /// From send (closed loop) or due time (open loop) to the answer.
    pub acknowledge: Latency,
    /// Processor seconds of each node, while it was measured.
    pub cpu_seconds: Vec<f64>,
}

/// What tasks write down.
#[derive(Clone, Debug)]
struct Book {
    from: Instant,
    to: Instant,
    latency: Arc<Mutex<Latency>>,
}

impl Book {
    /// Notes a message that was due at `due` and is answered now. Counts what is answered while it is measured.
    fn answered(&self, due: Instant) {
        let now = Instant::now();
        if self.from <= now && now < self.to {
            let ns = u64::try_from((now - due).as_nanos()).unwrap_or(u64::MAX);
            self.latency.lock().unwrap_or_else(PoisonError::into_inner).record(ns);
        }
    }
}

pub(super) async fn run(
    load: &PeerLoad,
    clients: Vec<Arc<Client>>,
    usage: impl Fn() -> Vec<Usage>,
) -> anyhow::Result<PeerResult> {
    let from = Instant::now() + load.warmup;
    let book = Book { from, to: from + load.duration, latency: Arc::default() };
    let payload = Bytes::from(vec![b'x'; load.payload_bytes]);
    let mut tasks = JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        match load.pace {
            Pace::Closed { window } => {
                for _outstanding in 0..window {
                    tasks.spawn(closed(Arc::clone(client), payload.clone(), book.clone()));
                }
            }
            Pace::Open { per_second } => {
                let schedule = Schedule::new(0, index, clients.len(), per_second);
                tasks.spawn(open(Arc::clone(client), schedule, payload.clone(), book.clone()));
            }
        }
    }
    sleep_until(book.from).await;
    let before = usage();
    sleep_until(book.to).await;
    let after = usage();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let used = before.iter().zip(&after);
    let latency = book.latency.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let seconds = load.duration.as_secs_f64();
    Ok(PeerResult {
        acknowledged_per_second: latency.count() as f64 / seconds,
        seconds,
        acknowledge: latency,
        cpu_seconds: used.map(|(before, after)| after.cpu_seconds - before.cpu_seconds).collect(),
    })
}

/// One message after the other.
async fn closed(client: Arc<Client>, payload: Bytes, book: Book) -> anyhow::Result<()> {
    while Instant::now() < book.to {
        let sent = Instant::now();
        client.publish(payload.clone()).await?;
        book.answered(sent);
    }
    Ok(())
}

/// Each when it is due, whatever the answers.
async fn open(
    client: Arc<Client>,
    schedule: Schedule,
    payload: Bytes,
    book: Book,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let due = |seq| begun + Duration::from_nanos(schedule.due_ns(seq));
    let mut ticker = ticker_of(&schedule, 0)?;
    let mut seq = 1;
    let mut answers: JoinSet<anyhow::Result<()>> = JoinSet::new();
    while Instant::now() < book.to {
        ticker.tick().await;
        while due(seq) <= Instant::now() {
            let (client, payload, book, due) =
                (Arc::clone(&client), payload.clone(), book.clone(), due(seq));
            answers.spawn(async move {
                client.publish(payload).await?;
                book.answered(due);
                Ok(())
            });
            seq += 1;
        }
        while let Some(answered) = answers.try_join_next() {
            answered??;
        }
    }
    while let Some(answered) = answers.join_next().await {
        answered??;
    }
    Ok(())
}
