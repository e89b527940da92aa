//! The task of one client connection: WebSocket, [`Session`], core.
//!
//! One loop, one socket, no lock: it waits for whatever comes first and deals with all of it that
//! is at hand, so that work goes by batches under load and at once without.
//!
//! ```text
//! socket -> frames -> Session -> steps -> (room) -> core
//! socket <- flush  <- Outbox  <- Outgoing          <-
//!                             <- reads of the store
//! ```
//! - Frames are read until none is at hand or a batch is full. Their effects are `steps`, done in
//!   order: a batch of publishes goes before the SUBSCRIBE or GOODBYE that follows it.
//! - A batch waits for room in the entry's bound. Nothing is read meanwhile, nor while the session
//!   has too much unresolved; events and answers go on.
//! - Nothing is read while the client does not take what is written, and the store is not read for
//!   it either. What the core has for it piles up in its [`Outbound`], up to a bound; then the core
//!   leaves it out, and it gets the rest from the store.

mod steps;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use vixen_broker::api::{Outgoing, SessionId};
use vixen_broker::history::HistoryError;
use vixen_broker::replay::ReadPart;
use vixen_runtime::clock::wall_time;
use vixen_runtime::server::{Meter, Over};

use super::alive::{Alive, Silence};
use super::error::{Ending, Violation};
use super::frames::Frames;
use super::metrics::{SessionMetrics, count_ending};
use super::outbox::{Outbox, Owed};
use super::serializer::Serializer;
use super::session::{Remote, Session};
use crate::admission::Permit;
use crate::gates::context::SessionContext;
use crate::gates::ids::random_session;
use crate::outbound::{Outbound, OutboundReceiver, SessionEvent, outbound};
use crate::reads::{Reader, read};
use steps::Step;

/// Frames read in one go: enough to make a batch worth it, few enough to keep answers flowing.
const BATCH_FRAMES: usize = 256;
const BATCH_BYTES: usize = 256 << 10;

/// A frame or message before WELCOME: HELLO and AUTHENTICATE need a small part of it.
pub(crate) const LOGIN_BYTES_MAX: usize = 16 << 10;

/// Of a client's ping or pong, before its payload: two bytes and the mask (RFC 6455 §5.2).
const CONTROL_HEADER_BYTES: usize = 6;

/// How long a stopping node waits for the answers of a session, and for a client to take them.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// How long a client may take for its part of closing.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Serves one client until its session ends, for whatever reason.
pub(crate) async fn serve_session(
    socket: WebSocket,
    context: SessionContext,
    serializer: Serializer,
    permit: Permit,
    meter: Meter,
) {
    meter.allow(LOGIN_BYTES_MAX);
    let mut connection = match random_session() {
        Ok((id, nonce)) => {
            let remote = Remote {
                address: permit.address(),
                nonce,
                admission: Arc::clone(&context.admission),
                node: context.node.clone(),
            };
            Box::new(Connection::new((socket, meter), context, serializer, id, remote))
        }
        Err(error) => {
            tracing::error!(%error, "no randomness for a session id");
            let mut socket = socket;
            let _gone = socket.send(close_frame(Ending::NoSessionId)).await;
            return;
        }
    };
    let ending = connection.run().await;
    connection.close(ending).await;
    drop(permit);
}

fn close_frame(ending: Ending) -> Message {
    // A control frame holds 125 bytes; the whole reason is in the WAMP message before it.
    let reason = Utf8Bytes::from_static(ending.uri().unwrap_or_default());
    Message::Close(Some(CloseFrame { code: ending.close_code(), reason }))
}

type Room = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;
type Reading = Pin<Box<dyn Future<Output = Result<ReadPart, HistoryError>> + Send>>;

/// What a connection waits for.
enum Event {
    /// The next frame of the client, or its end.
    Message(Option<Result<Message, axum::Error>>),
    /// Something of the core waits in `incoming`; the last of it where the core has stopped.
    Incoming {
        is_last: bool,
    },
    /// What the first step has waited for.
    Room(Result<OwnedSemaphorePermit, AcquireError>),
    /// A read of the store is back.
    Read(Result<ReadPart, HistoryError>),
    /// The next one may begin.
    ReadDue,
    /// The realms were read again.
    Reload,
    UnfinishedDue,
    AliveDue,
}

struct Connection {
    socket: WebSocket,
    /// What is unfinished of it.
    meter: Meter,
    /// When to look whether that has been so for too long.
    unfinished_at: Instant,
    context: SessionContext,
    session: Session,
    outbox: Outbox,
    frames: Frames,
    metrics: SessionMetrics,
    /// For the core; it has it once the session is open.
    outbound: Option<Outbound>,
    receiver: OutboundReceiver,
    /// Taken from the core and not looked at.
    incoming: VecDeque<Outgoing>,
    /// Made frames of, and not written; the bound of [`Outbound`] still counts it.
    unwritten_bytes: usize,
    steps: VecDeque<Step>,
    /// The first step waits for room.
    waiting: Option<Room>,
    /// With which it reads the store.
    reader: Reader,
    /// A read of the store that is under way.
    reading: Option<Reading>,
    /// No read begins before.
    read_at: Option<Instant>,
    was_opened: bool,
    /// Until then HELLO has to come, or the answer to CHALLENGE.
    login_by: Instant,
    alive: Alive,
}

impl Connection {
    fn new(
        (socket, meter): (WebSocket, Meter),
        context: SessionContext,
        serializer: Serializer,
        id: SessionId,
        remote: Remote,
    ) -> Self {
        let (outbound, receiver) = outbound(context.limits.subscriber_buffer_bytes_max);
        let (now, hello_timeout) = (Instant::now(), context.limits.hello_timeout);
        let alive = Alive::new(&context.limits, now);
        let reader = context.reads.of(remote.address);
        Self {
            socket,
            meter,
            unfinished_at: now + context.limits.unfinished_timeout,
            session: Session::new(id, remote, serializer, Arc::clone(&context.limits)),
            context,
            outbox: Outbox::new(id),
            frames: Frames::new(serializer),
            metrics: SessionMetrics::new(),
            outbound: Some(outbound),
            receiver,
            incoming: VecDeque::new(),
            unwritten_bytes: 0,
            steps: VecDeque::new(),
            waiting: None,
            reader,
            reading: None,
            read_at: None,
            was_opened: false,
            login_by: now + hello_timeout,
            alive,
        }
    }

    async fn run(&mut self) -> Ending {
        let mut stopping = self.context.stopping.clone();
        let mut reloads = self.context.admission.reloads();
        loop {
            self.begin_read();
            let may_read = self.steps.is_empty() && self.outbox.is_below(&self.context.limits);
            let alive_at = self.alive.due_at();
            let begun = Instant::now();
            let event = tokio::select! {
                message = self.socket.next(), if may_read => Event::Message(message),
                alive = self.receiver.receive(&mut self.incoming), if !self.outbox.is_blocked() => {
                    Event::Incoming { is_last: !alive }
                }
                room = acquired(&mut self.waiting) => Event::Room(room),
                outcome = done(&mut self.reading) => Event::Read(outcome),
                () = sleep_until(self.read_at.unwrap_or(alive_at)), if self.read_at.is_some() => {
                    Event::ReadDue
                }
                () = stopped(&mut stopping) => return self.drain().await,
                Ok(()) = reloads.changed() => Event::Reload,
                over = self.meter.over() => return ending_of_input(over),
                () = sleep_until(self.unfinished_at) => Event::UnfinishedDue,
                () = sleep_until(self.login_by), if !self.was_opened => {
                    return Ending::HelloTimeout;
                }
                // A client that may not send cannot answer either.
                () = sleep_until(alive_at), if self.was_opened && may_read => Event::AliveDue,
            };
            // Much may have happened while a write waited for the client, and any of it comes first
            // here: nothing is given out, or taken, by rights that were lost before.
            let step = if reloads.has_changed().unwrap_or(false) {
                reloads.mark_unchanged();
                self.on_late_reload(event).await
            } else {
                self.on_event(event).await
            };
            if let Err(ending) = step {
                return ending;
            }
            if !may_read {
                self.excuse(begun);
            }
        }
    }

    /// The realms were read again before this came to be looked at.
    async fn on_late_reload(&mut self, event: Event) -> Result<(), Ending> {
        self.on_reload().await?;
        match event {
            // What waited for it waits anew, for it may be less now.
            Event::Room(_stale) => Ok(()),
            event => self.on_event(event).await,
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Message(message) => self.on_message(message).await,
            Event::Incoming { is_last: false } => self.take_incoming().await,
            Event::Incoming { is_last: true } => Err(Ending::Shutdown),
            Event::Room(room) => self.on_room(room).await,
            Event::Read(outcome) => self.on_read(outcome).await,
            Event::ReadDue => {
                self.read_at = None;
                Ok(())
            }
            Event::Reload => self.on_reload().await,
            Event::UnfinishedDue => {
                self.check_unfinished();
                Ok(())
            }
            Event::AliveDue => self.keep_alive().await,
        }
    }

    /// Nothing was read since `begun`, which is not the client's time.
    fn excuse(&mut self, begun: Instant) {
        let now = Instant::now();
        self.alive.excuse(begun, now);
        self.meter.excuse(now.saturating_duration_since(begun));
    }

    /// Ends what has been unfinished for too long. Whatever else is heard meanwhile does not help it.
    fn check_unfinished(&mut self) {
        let (now, time) = (Instant::now(), self.context.limits.unfinished_timeout);
        self.unfinished_at = self.meter.unfinished_since().unwrap_or(now) + time;
        if self.unfinished_at <= now {
            self.meter.end(Over::Late);
            self.unfinished_at = now + time;
        }
    }

    /// The realms were read again.
    async fn on_reload(&mut self) -> Result<(), Ending> {
        let Some(permissions) = self.session.on_reload()?.cloned() else { return Ok(()) };
        let mut owed = Owed::default();
        self.outbox.on_reload(&permissions, &mut self.frames, &mut owed);
        self.refuse_steps(&permissions);
        self.settle(owed).await?;
        self.do_steps().await
    }

    async fn keep_alive(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        match self.alive.due(now) {
            Silence::Ask => {
                let ping = self.socket.send(Message::Ping(Bytes::new()));
                while_running(ping, &self.context.stopping, &self.meter).await?;
                self.alive.asked(now, Instant::now());
                Ok(())
            }
            // The answer may have come together with the end of its time.
            Silence::Gone => match self.socket.next().now_or_never() {
                Some(message) => self.on_message(message).await,
                None => Err(Ending::KeepAliveTimeout),
            },
        }
    }

    /// Deals with a frame and all further ones at hand.
    async fn on_message(
        &mut self,
        first: Option<Result<Message, axum::Error>>,
    ) -> Result<(), Ending> {
        self.alive.heard(Instant::now());
        let now = wall_time();
        let mut actions = Vec::new();
        let mut message = first;
        let (mut frames, mut bytes) = (0, 0);
        loop {
            frames += 1;
            match message {
                // Read in one go, so that it was never unfinished.
                Some(Ok(whole)) if !self.was_opened && bytes_of(&whole) > LOGIN_BYTES_MAX => {
                    self.take_end(Ending::HelloTooLarge);
                }
                Some(Ok(Message::Text(text))) => {
                    self.meter.settle();
                    bytes += text.len();
                    self.session.on_text(now, &text, &mut actions);
                }
                Some(Ok(Message::Binary(data))) => {
                    self.meter.settle();
                    bytes += data.len();
                    self.session.on_binary(now, &data, &mut actions);
                }
                // It may have come between the parts of a message, and makes that no more whole.
                Some(Ok(Message::Ping(bytes) | Message::Pong(bytes))) => {
                    self.meter.settle_part(CONTROL_HEADER_BYTES + bytes.len());
                }
                Some(Ok(Message::Close(_))) | None => self.take_end(Ending::Disconnected),
                Some(Err(error)) => self.take_end(ending_of(&error)),
            }
            for action in actions.drain(..) {
                self.take_action(action);
            }
            if self.is_ending() || frames >= BATCH_FRAMES || bytes >= BATCH_BYTES {
                break;
            }
            match self.socket.next().now_or_never() {
                Some(next) => message = next,
                None => break,
            }
        }
        self.do_steps().await
    }

    /// Begins a read of the store, if one is to be made.
    fn begin_read(&mut self) {
        if self.reading.is_none()
            && self.read_at.is_none()
            && let Some(request) = self.outbox.next_read()
        {
            self.reading = Some(Box::pin(read(self.reader.clone(), request)));
        }
    }

    async fn on_read(&mut self, outcome: Result<ReadPart, HistoryError>) -> Result<(), Ending> {
        self.reading = None;
        let mut owed = Owed::default();
        self.outbox.on_read(outcome, &mut self.frames, &mut owed);
        self.settle(owed).await?;
        // What waited while the read was under way.
        self.take_incoming().await
    }

    /// Makes frames of what the core has sent, and writes them.
    async fn take_incoming(&mut self) -> Result<(), Ending> {
        let mut owed = Owed::default();
        while !self.outbox.is_blocked()
            && let Some(outgoing) = self.incoming.pop_front()
        {
            self.unwritten_bytes += outgoing.queued_bytes();
            self.outbox.on_outgoing(outgoing, &mut self.frames, &mut owed);
        }
        self.settle(owed).await
    }

    /// Does what the outbox owes, and writes what it has made.
    async fn settle(&mut self, owed: Owed) -> Result<(), Ending> {
        let Owed { tell, ending, pause } = owed;
        for event in tell {
            self.tell(event).await?;
        }
        if let Some(pause) = pause {
            self.read_at = Some(Instant::now() + pause);
        }
        self.write().await?;
        ending.map_or(Ok(()), Err)
    }

    /// Writes all frames, and flushes.
    async fn write(&mut self) -> Result<(), Ending> {
        if !self.frames.is_empty() {
            let begun = Instant::now();
            let writing = write_all(&mut self.socket, self.frames.take());
            // Its client may not read for long, and is not to get it then.
            tokio::select! {
                biased;
                written = while_running(writing, &self.context.stopping, &self.meter) => written?,
                () = self.session.gone() => return Err(Ending::RoleGone),
            }
            self.excuse(begun);
            self.metrics.events.increment(self.outbox.take_events_sent());
        }
        self.receiver.give_back(std::mem::take(&mut self.unwritten_bytes));
        Ok(())
    }

    async fn tell(&mut self, event: SessionEvent) -> Result<(), Ending> {
        let is_opening = matches!(event, SessionEvent::Opened { .. });
        // Waits when the core is behind. The core never waits for a session, so this ends.
        self.context.events.send(event.into()).await.map_err(|_stopped| Ending::Shutdown)?;
        if is_opening {
            self.was_opened = true;
            self.meter.allow(usize::MAX);
            self.metrics.sessions.increment(1.0);
            self.metrics.sessions_total.increment(1);
            tracing::debug!(session = self.session.id().0, "session opened");
        }
        Ok(())
    }

    /// The node stops: nothing more is read, but what was taken is answered if it can be.
    async fn drain(&mut self) -> Ending {
        self.steps.clear();
        self.waiting = None;
        let deadline = Instant::now() + DRAIN_TIME;
        while !self.outbox.is_settled() {
            let receiving = self.receiver.receive(&mut self.incoming);
            match timeout_at(deadline, receiving).await {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
            let mut owed = Owed::default();
            while let Some(outgoing) = self.incoming.pop_front() {
                self.unwritten_bytes += outgoing.queued_bytes();
                self.outbox.on_outgoing(outgoing, &mut self.frames, &mut owed);
            }
            if let Err(ending) = self.write().await {
                return ending;
            }
        }
        Ending::Shutdown
    }

    /// Says why, and lets the client read it.
    async fn close(mut self: Box<Self>, ending: Ending) {
        count_ending(ending);
        let session = self.session.id();
        let last = self.session.farewell(ending);
        tracing::debug!(session = session.0, reason = %ending, "session over");
        if self.was_opened {
            self.metrics.sessions.decrement(1.0);
            let closed = SessionEvent::Closed { session };
            let _stopped = self.context.events.send(closed.into()).await;
        }
        // What the core still had for the session is of no use to anyone.
        drop(self.receiver);
        let last = last.map(|last| {
            self.frames.text(last);
            self.frames.take()
        });
        let last = last.unwrap_or_default();
        let is_over = self.meter.is_over().is_some();
        let goodbye = say_goodbye(&mut self.socket, last, ending, is_over);
        let _in_time = timeout(CLOSE_TIME, goodbye).await;
    }
}

/// Resolves once the room is there; never without a wait for it.
async fn acquired(waiting: &mut Option<Room>) -> Result<OwnedSemaphorePermit, AcquireError> {
    match waiting {
        Some(room) => room.await,
        None => std::future::pending().await,
    }
}

/// Resolves once the read is done; never without one.
async fn done(reading: &mut Option<Reading>) -> Result<ReadPart, HistoryError> {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}

/// Writes, unless the node has been stopping for [`DRAIN_TIME`], or the client's input is over.
async fn while_running(
    writing: impl Future<Output = Result<(), axum::Error>>,
    stopping: &watch::Receiver<bool>,
    meter: &Meter,
) -> Result<(), Ending> {
    tokio::select! {
        biased;
        written = writing => written.map_err(|_gone| Ending::Disconnected),
        () = grace_over(stopping) => Err(Ending::Shutdown),
        over = meter.over() => Err(ending_of_input(over)),
    }
}

const fn ending_of_input(over: Over) -> Ending {
    match over {
        Over::TooLarge => Ending::HelloTooLarge,
        Over::Crowded => Ending::UnfinishedCrowded,
        Over::Late => Ending::UnfinishedTimeout,
    }
}

/// Ends when the node has been stopping for [`DRAIN_TIME`].
async fn grace_over(stopping: &watch::Receiver<bool>) {
    let mut stopping = stopping.clone();
    stopped(&mut stopping).await;
    tokio::time::sleep(DRAIN_TIME).await;
}

/// Ends once the node stops, or is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _or_gone = stopping.wait_for(|stopping| *stopping).await;
}

async fn write_all(socket: &mut WebSocket, frames: Vec<Message>) -> Result<(), axum::Error> {
    for frame in frames {
        socket.feed(frame).await?;
    }
    socket.flush().await
}

async fn say_goodbye(socket: &mut WebSocket, last: Vec<Message>, ending: Ending, is_over: bool) {
    for frame in last {
        if socket.feed(frame).await.is_err() {
            return;
        }
    }
    if ending != Ending::Disconnected && socket.send(close_frame(ending)).await.is_err() {
        return;
    }
    if is_over {
        // What it has unfinished goes at once; what still comes is dropped behind it.
        return;
    }
    // Reading on until the client closes: closing with unread input would reset the connection,
    // and the client would not see what was written.
    while let Some(Ok(_ignored)) = socket.next().await {}
}

/// Of its payload.
fn bytes_of(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

/// What a failed read means.
fn ending_of(error: &axum::Error) -> Ending {
    // The error inside is of a crate that axum does not export, so only its text tells its kind; a
    // test holds it.
    let text = error.to_string();
    if text.ends_with("without closing handshake") {
        // A client that is gone, which its network may be to blame for.
        Ending::Disconnected
    } else if text.starts_with("Space limit exceeded") {
        Ending::FrameTooLarge
    } else if text.starts_with("UTF-8") || text.starts_with("WebSocket protocol error") {
        Violation::Framing.into()
    } else {
        Ending::Disconnected
    }
}
