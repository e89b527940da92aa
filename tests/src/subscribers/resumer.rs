//! A client that comes back: it subscribes after the last event that it has, at any entry, however
//! its session ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::stream::{Stream, Wanted};
use crate::client::{ClientError, Connection, ServerMessage};

/// A client is away for no longer than this.
const AWAY_MS_MAX: u64 = 60;
/// Before the next entry is tried, when one takes no sessions.
const PAUSE: Duration = Duration::from_millis(20);

/// A client that loses more sessions than this by no doing of its own gives up.
const LOSSES_MAX: usize = 200;

pub(crate) struct Resumer {
    pub(crate) name: String,
    pub(crate) realm: String,
    pub(crate) urls: Vec<String>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) rng: StdRng,
    /// Cuts to come; none comes any more once the target is known.
    pub(crate) cuts: u32,
    /// A session lasts no longer than this before it is cut.
    pub(crate) cut_ms_max: u64,
    /// Cuts to come, of all clients together.
    pub(crate) cuts_left: Arc<AtomicU64>,
    /// The last position of each topic, once nothing more is published.
    pub(crate) target: watch::Receiver<Option<Vec<u64>>>,
    /// Silence at the end after which missing events are given up.
    pub(crate) patience: Duration,
}

/// How a client fared.
#[derive(Debug, Default)]
pub(crate) struct Fared {
    pub(crate) name: String,
    pub(crate) streams: Vec<Stream>,
    pub(crate) sessions: u64,
    /// Sessions that it cut itself: by a reset, by closing the socket.
    pub(crate) resets: u64,
    pub(crate) closes: u64,
    /// Of them, such that had not got any event.
    pub(crate) before_any_event: u64,
    /// SUBSCRIBE by permanent id.
    pub(crate) by_id: u64,
    /// Why other sessions ended.
    pub(crate) losses: Vec<String>,
    /// What never came.
    pub(crate) trouble: Option<String>,
}

enum End {
    /// Everything is there.
    Complete,
    /// Nothing comes any more.
    GaveUp,
}

impl Resumer {
    /// Receives until everything is there. A client that has cuts to come makes them first.
    pub(crate) async fn run(mut self) -> Fared {
        let mut fared = Fared { name: self.name.clone(), ..Fared::default() };
        loop {
            let is_cut = self.cuts > 0 && self.target.borrow().is_none();
            let cut_in = is_cut
                .then(|| Duration::from_micros(self.rng.random_range(0..self.cut_ms_max * 1_000)));
            let before: usize = self.streams.iter().map(|stream| stream.events.len()).sum();
            let mut connection = None;
            let ended = {
                let session = self.session(&mut connection, &mut fared);
                match cut_in {
                    Some(cut_in) => timeout(cut_in, session).await.ok(),
                    None => Some(session.await),
                }
            };
            match ended {
                Some(Ok(End::Complete)) => break,
                Some(Ok(End::GaveUp)) => {
                    fared.trouble = Some(format!("{}: events did not come in time", self.name));
                    break;
                }
                Some(Err(error)) => {
                    if connection.is_some() {
                        fared.losses.push(format!("{}: {error}", self.name));
                    }
                    if fared.losses.len() >= LOSSES_MAX {
                        fared.trouble = Some(format!("{}: loses every session", self.name));
                        break;
                    }
                    sleep(PAUSE).await;
                }
                None => {
                    self.cuts -= 1;
                    self.cuts_left.fetch_sub(1, Ordering::Relaxed);
                    let after: usize = self.streams.iter().map(|s| s.events.len()).sum();
                    fared.before_any_event += u64::from(before == after);
                    self.cut(connection, &mut fared);
                    let away_ms = self.rng.random_range(0..AWAY_MS_MAX);
                    sleep(Duration::from_millis(away_ms)).await;
                }
            }
        }
        fared.streams = self.streams;
        fared
    }

    fn cut(&mut self, connection: Option<Connection>, fared: &mut Fared) {
        let by_reset = self.rng.random_bool(0.5);
        match connection {
            Some(connection) if by_reset => {
                fared.resets += 1;
                connection.reset();
            }
            // One that was not made yet is closed too.
            Some(_) | None => fared.closes += 1,
        }
    }

    /// One session; it may be cut anywhere, and then everything it got is in the streams.
    async fn session(
        &mut self,
        slot: &mut Option<Connection>,
        fared: &mut Fared,
    ) -> Result<End, ClientError> {
        let number = self.rng.random_range(0..self.urls.len());
        let by_id = self.rng.random_range(0..4) == 0;
        fared.sessions += 1;
        fared.by_id += u64::from(by_id);
        let opened = Connection::open(&self.urls[number], &self.realm).await?;
        let connection = slot.insert(opened);
        for (request, stream) in (1..).zip(&self.streams) {
            connection.send(format!("[32,{request},{}]", stream.subscribe(by_id)).as_bytes());
        }
        let mut subscriptions: Vec<Option<u64>> = vec![None; self.streams.len()];
        loop {
            take_messages(connection, &mut self.streams, &mut subscriptions)?;
            let target = self.target.borrow_and_update().clone();
            if target.as_ref().is_some_and(|last| self.streams.iter().all(|s| has_all(s, last))) {
                return Ok(End::Complete);
            }
            tokio::select! {
                biased;
                exchanged = connection.exchange() => exchanged?,
                _changed = self.target.changed(), if target.is_none() => {}
                () = sleep(self.patience), if target.is_some() => return Ok(End::GaveUp),
            }
        }
    }
}

fn has_all(stream: &Stream, last: &[u64]) -> bool {
    let last = match stream.wanted {
        Wanted::All => last.iter().max(),
        Wanted::Topic(turn) => last.get(turn),
    };
    last.is_none_or(|last| *last <= stream.last())
}

fn take_messages(
    connection: &mut Connection,
    streams: &mut [Stream],
    subscriptions: &mut [Option<u64>],
) -> Result<(), ClientError> {
    while let Some(text) = connection.next_text()? {
        let words = || String::from_utf8_lossy(text).into_owned();
        match ServerMessage::parse(text) {
            Some(ServerMessage::Subscribed { request, subscription }) => {
                let index = usize::try_from(request).unwrap_or(0).wrapping_sub(1);
                let slot = subscriptions.get_mut(index);
                let slot = slot.filter(|slot| slot.is_none());
                *slot.ok_or_else(|| ClientError::protocol(words()))? = Some(subscription);
            }
            Some(ServerMessage::Event { subscription, publication, details, payload }) => {
                // Also when it came before its SUBSCRIBED.
                let at = subscriptions.iter().position(|id| *id == Some(subscription));
                let at = at.ok_or_else(|| ClientError::protocol(words()))?;
                streams[at].take(publication, details, payload, text);
            }
            Some(ServerMessage::Ended { .. }) => {
                return Err(ClientError::Aborted { message: words() });
            }
            Some(ServerMessage::Error { .. }) => {
                return Err(ClientError::Refused { message: words() });
            }
            _unexpected => return Err(ClientError::protocol(words())),
        }
    }
    Ok(())
}
