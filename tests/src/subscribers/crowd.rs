//! Very many subscribers of one topic at one entry, each of which keeps next to nothing: a digest
//! of what it got, to be compared with what one of them wrote down.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::stream::{Stream, Wanted};
use crate::check::Event;
use crate::client::{ClientError, Connection, Payload, ServerMessage, SocketOptions};
use crate::load::{Latency, RunClock};

/// Connections that are made at the same time.
const OPENING_MAX: usize = 64;
/// Of a member that reads: a few events.
const INPUT_BYTES: usize = 8 << 10;
/// Of one that may stop reading: as little as the kernel allows waits before the entry.
const KERNEL_RECEIVE_BYTES: u32 = 4 << 10;

/// Number, last position and hash of a sequence of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) count: u64,
    pub(super) last: u64,
    hash: u64,
}

impl Digest {
    fn add(&mut self, position: u64, content: &Payload) {
        // FNV-1a over words; every one counts, and so does their order.
        for word in [position, u64::from(content.publisher), u64::from(content.seq)] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        }
        self.count += 1;
        self.last = position;
    }

    /// Of events that were written down.
    pub(super) fn of(events: &[Event]) -> Self {
        let mut digest = Self::default();
        for event in events {
            let Event { position, publisher, seq, .. } = *event;
            digest.add(position, &Payload { publisher, seq, sent_ns: 0 });
        }
        digest
    }
}

/// What all members share.
#[derive(Debug)]
struct Shared {
    clock: RunClock,
    /// From due time to EVENT, in the present phase, of all that read all the time.
    latency: Mutex<Latency>,
    /// Events at all members together.
    received: AtomicU64,
    /// When the last of them came, in ns of the clock.
    last_ns: AtomicU64,
    /// `received` to wake somebody at.
    goal: AtomicU64,
    reached: Notify,
}

/// A crowd that has subscribed.
#[derive(Debug)]
pub(super) struct Crowd {
    shared: Arc<Shared>,
    target: watch::Sender<Option<u64>>,
    reads: watch::Sender<bool>,
    steady: Vec<JoinHandle<Result<Digest, String>>>,
    stalling: Vec<JoinHandle<Result<Stream, String>>>,
}

/// What each member has in the end.
#[derive(Debug, Default)]
pub(super) struct CrowdResult {
    pub(super) steady: Vec<Digest>,
    pub(super) stalling: Vec<Stream>,
    /// Members that lost their session, or did not get everything.
    pub(super) troubles: Vec<String>,
}

/// What a crowd is.
pub(super) struct CrowdOptions<'a> {
    pub(super) url: &'a str,
    pub(super) realm: &'a str,
    pub(super) topic: &'a str,
    pub(super) payload_bytes: usize,
    /// Members that read all the time.
    pub(super) steady: usize,
    /// Members that read unless told otherwise, and write down what they get.
    pub(super) stalling: usize,
    pub(super) patience: Duration,
}

struct Member {
    connection: Connection,
    subscription: u64,
    shared: Arc<Shared>,
    target: watch::Receiver<Option<u64>>,
    patience: Duration,
}

impl Crowd {
    /// Connects and subscribes all.
    pub(super) async fn start(options: CrowdOptions<'_>) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            clock: RunClock::start(),
            latency: Mutex::new(Latency::new()),
            received: AtomicU64::new(0),
            last_ns: AtomicU64::new(0),
            goal: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
        });
        let (target, _) = watch::channel(None);
        let (reads, _) = watch::channel(true);
        let small = SocketOptions { input_bytes: INPUT_BYTES, ..SocketOptions::default() };
        let opened = open_all(&options, options.steady, small).await?;
        let member = |(connection, subscription)| Member {
            connection,
            subscription,
            shared: Arc::clone(&shared),
            target: target.subscribe(),
            patience: options.patience,
        };
        let steady = opened.into_iter().map(member).map(|one| tokio::spawn(one.run())).collect();
        let narrow = Some(KERNEL_RECEIVE_BYTES);
        let narrow = SocketOptions {
            input_bytes: INPUT_BYTES,
            kernel_receive_bytes: narrow,
            ..SocketOptions::default()
        };
        let opened = open_all(&options, options.stalling, narrow).await?;
        let topics = vec![options.topic.to_owned()];
        let stream = Stream::new(Wanted::Topic(0), topics, options.payload_bytes);
        let stalling = opened.into_iter().map(member);
        let stalling = stalling
            .map(|one| tokio::spawn(one.run_stalling(stream.clone(), reads.subscribe())))
            .collect();
        Ok(Self { shared, target, reads, steady, stalling })
    }

    /// Whether those that may stall read.
    pub(super) fn set_reading(&self, reads: bool) {
        self.reads.send_replace(reads);
    }

    /// Latencies since the last call.
    pub(super) fn take_latency(&self) -> Latency {
        let mut latency = self.shared.latency.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *latency)
    }

    /// Events at all members so far.
    pub(super) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Waits until so many events came in all, and says when the last of them did, in ns of the
    /// clock.
    pub(super) async fn until_received(&self, goal: u64) -> u64 {
        self.shared.goal.store(goal, Ordering::Relaxed);
        while self.received() < goal {
            self.shared.reached.notified().await;
        }
        self.shared.last_ns.load(Ordering::Relaxed)
    }

    /// Waits until every member has all up to the position `last`, or gave up.
    pub(super) async fn finish(self, last: u64) -> anyhow::Result<CrowdResult> {
        self.target.send_replace(Some(last));
        let mut result = CrowdResult::default();
        for member in self.steady {
            match member.await? {
                Ok(digest) => result.steady.push(digest),
                Err(trouble) => result.troubles.push(trouble),
            }
        }
        for member in self.stalling {
            match member.await? {
                Ok(stream) => result.stalling.push(stream),
                Err(trouble) => result.troubles.push(format!("one that stood still: {trouble}")),
            }
        }
        Ok(result)
    }
}

async fn open_all(
    options: &CrowdOptions<'_>,
    count: usize,
    socket: SocketOptions,
) -> anyhow::Result<Vec<(Connection, u64)>> {
    let turns = Arc::new(Semaphore::new(OPENING_MAX));
    let mut opening = JoinSet::new();
    for number in 0..count {
        let (turns, url) = (Arc::clone(&turns), options.url.to_owned());
        let (realm, topic) = (options.realm.to_owned(), options.topic.to_owned());
        opening.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let mut connection = Connection::open_with(&url, &realm, socket)
                .await
                .with_context(|| format!("session {number} of {count}"))?;
            let subscription = connection.subscribe(1, &topic).await?;
            anyhow::Ok((connection, subscription))
        });
    }
    let mut opened = Vec::with_capacity(count);
    while let Some(one) = opening.join_next().await {
        opened.push(one??);
    }
    Ok(opened)
}

impl Member {
    async fn run(mut self) -> Result<Digest, String> {
        let mut digest = Digest::default();
        loop {
            let before = digest.count;
            self.take_events(&mut digest).map_err(|error| error.to_string())?;
            self.count(digest.count - before);
            if !self.next(digest.last).await? {
                return Ok(digest);
            }
        }
    }

    async fn run_stalling(
        mut self,
        mut stream: Stream,
        mut reads: watch::Receiver<bool>,
    ) -> Result<Stream, String> {
        loop {
            while let Some(text) = self.connection.next_text().map_err(|error| error.to_string())? {
                let (publication, details, payload) = event_of(text, self.subscription)?;
                stream.take(publication, details, payload, text);
            }
            if reads.wait_for(|reads| *reads).await.is_err() {
                return Err("the crowd is gone".to_owned());
            }
            let last = stream.last();
            let goes_on = tokio::select! {
                biased;
                // Looked at before the socket: nothing is read once it says so.
                _stopped = reads.wait_for(|reads| !*reads) => true,
                goes_on = self.next(last) => goes_on?,
            };
            if !goes_on {
                return Ok(stream);
            }
        }
    }

    fn count(&self, events: u64) {
        if events == 0 {
            return;
        }
        let shared = &self.shared;
        shared.last_ns.store(shared.clock.now_ns(), Ordering::Relaxed);
        let received = shared.received.fetch_add(events, Ordering::Relaxed) + events;
        if received >= shared.goal.load(Ordering::Relaxed) {
            shared.reached.notify_one();
        }
    }

    /// Waits for more; `false` when there is nothing more to wait for.
    async fn next(&mut self, last: u64) -> Result<bool, String> {
        let target = *self.target.borrow_and_update();
        if target.is_some_and(|target| target <= last) {
            return Ok(false);
        }
        tokio::select! {
            biased;
            exchanged = self.connection.exchange() => {
                exchanged.map_err(|error| error.to_string())?;
            }
            changed = self.target.changed() => {
                changed.map_err(|_dropped| "the crowd is gone".to_owned())?;
            }
            () = tokio::time::sleep(self.patience), if target.is_some() => {
                return Err(format!("nothing came after position {last}"));
            }
        }
        Ok(true)
    }

    fn take_events(&mut self, digest: &mut Digest) -> Result<(), ClientError> {
        let mut at_ns = None;
        while let Some(text) = self.connection.next_text()? {
            let event = event_of(text, self.subscription).map_err(ClientError::protocol)?;
            let (publication, _details, payload) = event;
            let content = Payload::parse_args(payload);
            let content = content
                .filter(|_| publication > digest.last)
                .ok_or_else(|| ClientError::protocol(String::from_utf8_lossy(text)))?;
            digest.add(publication, &content);
            let at_ns = *at_ns.get_or_insert_with(|| self.shared.clock.now_ns());
            let mut latency = self.shared.latency.lock().unwrap_or_else(PoisonError::into_inner);
            latency.record(at_ns.saturating_sub(content.sent_ns));
        }
        Ok(())
    }
}

/// Position, details and payload of an EVENT of this subscription.
fn event_of(text: &[u8], wanted: u64) -> Result<(u64, &[u8], &[u8]), String> {
    match ServerMessage::parse(text) {
        Some(ServerMessage::Event { subscription, publication, details, payload })
            if subscription == wanted =>
        {
            Ok((publication, details, payload))
        }
        _other => Err(String::from_utf8_lossy(text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::IdKey;

    #[test]
    fn a_digest_tells_sequences_apart() {
        let event = |position: u64, publisher: u32, seq: u32| Event {
            position,
            id: IdKey::default(),
            publisher,
            seq,
        };
        let good = [event(1, 0, 1), event(2, 1, 1), event(3, 0, 2)];
        let whole = Digest::of(&good);
        assert_eq!((whole.count, whole.last), (3, 3));
        assert_eq!(Digest::of(&good), whole);
        for other in [
            vec![event(1, 0, 1), event(3, 0, 2)],
            vec![event(2, 1, 1), event(1, 0, 1), event(3, 0, 2)],
            vec![event(1, 1, 1), event(2, 0, 1), event(3, 0, 2)],
            vec![event(1, 0, 1), event(2, 1, 1), event(2, 1, 1), event(3, 0, 2)],
        ] {
            assert_ne!(Digest::of(&other), whole, "{other:?}");
        }
    }
}
