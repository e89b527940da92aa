//! Honest clients: at each entry one that publishes at its pace, and one that gets everything.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::check::{Event, History, IdKey, Outcome, Publication, Publisher, Subscriber};
use crate::client::{Connection, Payload, ServerMessage, write_publish};
use crate::load::RunClock;

const TOPIC: &str = "com.example.honest";
const REALM: &str = "realm1";
const PAYLOAD_BYTES: usize = 96;
/// Between two messages of a publisher.
const PACE: Duration = Duration::from_millis(50);
/// The publisher at the entry that is attacked.
const ATTACKED: u32 = 1;
/// An acknowledgement that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Latencies at one entry, in µs.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    acknowledged: Histogram<u64>,
    delivered: Histogram<u64>,
}

/// What of it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50, p99, max } = self;
        write!(f, "p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?} of {count}")
    }
}

fn summary(of: &Histogram<u64>) -> Summary {
    let at = |quantile| Duration::from_micros(of.value_at_quantile(quantile));
    Summary { count: of.len(), p50: at(0.5), p99: at(0.99), max: Duration::from_micros(of.max()) }
}

impl Latencies {
    fn new() -> anyhow::Result<Self> {
        // From 1 µs to the longest that anything is waited for.
        let none = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Self { acknowledged: none.clone(), delivered: none })
    }

    pub(super) fn acknowledged(&self) -> Summary {
        summary(&self.acknowledged)
    }

    pub(super) fn delivered(&self) -> Summary {
        summary(&self.delivered)
    }
}

type Shared = Arc<Mutex<Latencies>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Latencies> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module doc.
pub(super) struct Honest {
    latencies: Vec<Shared>,
    publishing: watch::Sender<bool>,
    publishers: Vec<JoinHandle<anyhow::Result<Publisher>>>,
    subscribing: watch::Sender<u64>,
    subscribers: Vec<JoinHandle<anyhow::Result<Subscriber>>>,
}

impl Honest {
    /// Joins all of them. What the publisher at the first entry, which is attacked, has sent counts
    /// there wherever it is delivered: others cannot get it before it is out.
    pub(super) async fn start(urls: &[String]) -> anyhow::Result<Self> {
        let latencies: Result<Vec<Shared>, _> =
            urls.iter().map(|_| Latencies::new().map(|new| Arc::new(Mutex::new(new)))).collect();
        let latencies = latencies?;
        let latencies_of_attacked = Arc::clone(latencies.first().context("no entry")?);
        let (publishing, is_publishing) = watch::channel(true);
        // The last position that must have come before a subscriber ends.
        let (subscribing, until) = watch::channel(u64::MAX);
        let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
        for (n, (url, latencies)) in (1..).zip(urls.iter().zip(&latencies)) {
            let mut subscriber = Connection::open(url, REALM).await?;
            subscriber.subscribe(1, TOPIC).await?;
            let name = format!("subscriber {n}");
            let shared = (Arc::clone(latencies), Arc::clone(&latencies_of_attacked));
            let task = subscribe(name, subscriber, shared, until.clone());
            subscribers.push(tokio::spawn(task));
        }
        for (n, (url, latencies)) in (1..).zip(urls.iter().zip(&latencies)) {
            let publisher = Connection::open(url, REALM).await?;
            let task = publish(n, publisher, Arc::clone(latencies), is_publishing.clone());
            publishers.push(tokio::spawn(task));
        }
        Ok(Self { latencies, publishing, publishers, subscribing, subscribers })
    }

    /// The latencies since the last call, by entry.
    pub(super) fn take(&self) -> Vec<Latencies> {
        let take = |shared: &Shared| {
            let mut latencies = lock(shared);
            let taken = latencies.clone();
            latencies.acknowledged.reset();
            latencies.delivered.reset();
            taken
        };
        self.latencies.iter().map(take).collect()
    }

    /// Ends the publishers, then, when they have everything, the subscribers. What went wrong is told
    /// in words.
    pub(super) async fn stopped(self) -> anyhow::Result<(History, Vec<String>)> {
        let mut history = History::default();
        let mut troubles = Vec::new();
        self.publishing.send_replace(false);
        for publisher in self.publishers {
            match publisher.await? {
                Ok(publisher) => history.publishers.push(publisher),
                Err(error) => troubles.push(format!("an honest publisher: {error:#}")),
            }
        }
        let published = history.publishers.iter().flat_map(|publisher| &publisher.publications);
        let positions = published.filter_map(|publication| match publication.outcome {
            Outcome::Acknowledged { position, .. } => Some(position),
            Outcome::Refused | Outcome::Unknown => None,
        });
        self.subscribing.send_replace(positions.max().unwrap_or(0));
        for subscriber in self.subscribers {
            match subscriber.await? {
                Ok(subscriber) => history.subscribers.push(subscriber),
                Err(error) => troubles.push(format!("an honest subscriber: {error:#}")),
            }
        }
        Ok((history, troubles))
    }
}

async fn publish(
    id: u32,
    mut connection: Connection,
    latencies: Shared,
    mut goes_on: watch::Receiver<bool>,
) -> anyhow::Result<Publisher> {
    let clock = RunClock::start();
    let mut publications = Vec::new();
    let mut due = Instant::now();
    while *goes_on.borrow_and_update() {
        let seq = u32::try_from(publications.len() + 1)?;
        let sent_ns = clock.now_ns();
        connection.send_with(|out| {
            write_publish(u64::from(seq), true, TOPIC, out);
            Payload { publisher: id, seq, sent_ns }.write_args(PAYLOAD_BYTES, out);
            out.push(b']');
        });
        let position = timeout(PATIENCE, acknowledged(&mut connection, u64::from(seq)))
            .await
            .with_context(|| format!("publisher {id}: message {seq} is not acknowledged"))??;
        let at_ns = clock.now_ns();
        lock(&latencies).acknowledged.saturating_record((at_ns - sent_ns) / 1000);
        publications
            .push(Publication { sent_ns, outcome: Outcome::Acknowledged { position, at_ns } });
        due = (due + PACE).max(Instant::now());
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            _changed = goes_on.changed() => {}
        }
    }
    Ok(Publisher { id, publications })
}

async fn acknowledged(connection: &mut Connection, seq: u64) -> anyhow::Result<u64> {
    loop {
        while let Some(text) = connection.next_text()? {
            match ServerMessage::parse(text) {
                Some(ServerMessage::Published { request, publication }) if request == seq => {
                    return Ok(publication);
                }
                Some(ServerMessage::Error { text, .. } | ServerMessage::Ended { text }) => {
                    anyhow::bail!("{}", String::from_utf8_lossy(text));
                }
                _ => {}
            }
        }
        connection.exchange().await?;
    }
}

async fn subscribe(
    name: String,
    mut connection: Connection,
    (own, attacked): (Shared, Shared),
    mut until: watch::Receiver<u64>,
) -> anyhow::Result<Subscriber> {
    let clock = RunClock::start();
    let mut events: Vec<Event> = Vec::new();
    let mut overdue = None;
    loop {
        while let Some(text) = connection.next_text()? {
            let now_ns = clock.now_ns();
            let Some((event, sent_ns)) = event_of(text) else {
                anyhow::bail!("{name}: {}", String::from_utf8_lossy(text));
            };
            let waited_ns = now_ns.saturating_sub(sent_ns);
            let latencies = if event.publisher == ATTACKED { &attacked } else { &own };
            lock(latencies).delivered.saturating_record(waited_ns / 1000);
            events.push(event);
        }
        let last = *until.borrow_and_update();
        if events.last().is_some_and(|event| event.position >= last) || last == 0 {
            return Ok(Subscriber { name, from: 0, events, complete: true, damaged: (0, None) });
        }
        if last < u64::MAX {
            let overdue = *overdue.get_or_insert_with(|| Instant::now() + PATIENCE);
            anyhow::ensure!(Instant::now() < overdue, "{name}: position {last} has not come");
        }
        let waits_until = overdue.unwrap_or_else(|| Instant::now() + PATIENCE);
        tokio::select! {
            exchanged = connection.exchange() => exchanged?,
            _changed = until.changed() => {}
            () = tokio::time::sleep_until(waits_until) => {}
        }
    }
}

/// An EVENT of an honest publisher, and when it was sent.
fn event_of(text: &[u8]) -> Option<(Event, u64)> {
    let ServerMessage::Event { publication, details, payload, .. } = ServerMessage::parse(text)?
    else {
        return None;
    };
    let id = crate::client::permanent_id(details).and_then(IdKey::new)?;
    let Payload { publisher, seq, sent_ns } = Payload::parse_args(payload)?;
    Some((Event { position: publication, id, publisher, seq }, sent_ns))
}
