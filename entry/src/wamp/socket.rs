//! The task of one client connection: WebSocket, [`Session`], core.
//!
//! One loop, one socket, no lock: it waits for whatever comes first and deals with all of it that
//! is at hand, so that work goes by batches under load and at once without.
//!
//! ```text
//! socket -> frames -> Session -> steps -> (room) -> core
//! socket <- flush  <- Outbox  <- Outgoing          <-
//! ```
//! - Frames are read until none is at hand or a batch is full. Their effects are `steps`, done in
//!   order: a batch of publishes goes before the SUBSCRIBE or GOODBYE that follows it.
//! - A batch waits for room in the entry's bound. Nothing is read meanwhile, nor while the session
//!   has too much unresolved; events and answers go on.
//! - Nothing is read while the client does not take what is written. What the core has for it piles
//!   up in its [`Outbound`], whose bound decides when the client is too slow.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::error::{Ending, Violation};
use super::limits::SessionLimits;
use super::message::ID_MAX;
use super::metrics::{SessionMetrics, count_refusal, count_violation};
use super::outbox::Outbox;
use super::session::{Action, Session};
use crate::broker::{
    Outbound, OutboundReceiver, Outgoing, Publish, SessionEvent, SessionId, outbound,
};

/// Frames read in one go: enough to make a batch worth it, few enough to keep answers flowing.
const BATCH_FRAMES: usize = 256;
const BATCH_BYTES: usize = 256 << 10;

/// How long a stopping node waits for the answers of a session, and for a client to take them.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// How long a client may take for its part of closing.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// What all sessions of an entry share. `E` is what the core receives.
#[derive(Debug)]
pub struct SessionContext<E> {
    /// To the core.
    pub events: mpsc::Sender<E>,
    /// Bounds of each session.
    pub limits: Arc<SessionLimits>,
    /// Bytes that the whole entry may yet have unacknowledged, with
    /// [`SessionLimits::entry_unacknowledged_bytes_max`] permits in all. Sessions only take: the
    /// core gives back a message's [`Publish::counted_bytes`] when it is resolved.
    pub room: Arc<Semaphore>,
    /// True, or dropped, once the node stops.
    pub stopping: watch::Receiver<bool>,
}

impl<E> Clone for SessionContext<E> {
    fn clone(&self) -> Self {
        Self {
            events: self.events.clone(),
            limits: Arc::clone(&self.limits),
            room: Arc::clone(&self.room),
            stopping: self.stopping.clone(),
        }
    }
}

/// Serves one client until its session ends, for whatever reason.
pub async fn serve_session<E>(socket: WebSocket, context: SessionContext<E>)
where
    E: From<SessionEvent> + Send + 'static,
{
    let mut connection = match random_ids() {
        Ok((id, authid)) => Connection::new(socket, context, id, authid),
        Err(error) => {
            tracing::error!(%error, "no randomness for a session id");
            let mut socket = socket;
            let _gone = socket.send(close_frame(Ending::NoSessionId)).await;
            return;
        }
    };
    let ending = connection.run().await;
    connection.close(ending).await;
}

fn random_ids() -> Result<(SessionId, u64), getrandom::Error> {
    let id = getrandom::u64()? % ID_MAX + 1;
    Ok((SessionId(id), getrandom::u64()?))
}

fn close_frame(ending: Ending) -> Message {
    // A control frame holds 125 bytes; the whole reason is in the WAMP message before it.
    let reason = Utf8Bytes::from_static(ending.uri().unwrap_or_default());
    Message::Close(Some(CloseFrame { code: ending.close_code(), reason }))
}

/// One effect of the client's frames, to be done in order.
enum Step {
    Publish { messages: Vec<Publish>, bytes: usize },
    Tell(SessionEvent),
    Write(Utf8Bytes),
    End(Ending),
}

type Room = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

struct Connection<E> {
    socket: WebSocket,
    context: SessionContext<E>,
    session: Session,
    outbox: Outbox,
    metrics: SessionMetrics,
    /// For the core; it has it once the session is open.
    outbound: Option<Outbound>,
    receiver: OutboundReceiver,
    /// Taken from the core and not written; the bound of [`Outbound`] still counts it.
    outgoing: Vec<Outgoing>,
    steps: VecDeque<Step>,
    /// The first step waits for room.
    waiting: Option<Room>,
    was_opened: bool,
}

impl<E> Connection<E>
where
    E: From<SessionEvent> + Send + 'static,
{
    fn new(socket: WebSocket, context: SessionContext<E>, id: SessionId, authid: u64) -> Self {
        let (outbound, receiver) = outbound(context.limits.subscriber_buffer_bytes_max);
        Self {
            socket,
            session: Session::new(id, authid, Arc::clone(&context.limits)),
            context,
            outbox: Outbox::new(id),
            metrics: SessionMetrics::new(),
            outbound: Some(outbound),
            receiver,
            outgoing: Vec::new(),
            steps: VecDeque::new(),
            waiting: None,
            was_opened: false,
        }
    }

    async fn run(&mut self) -> Ending {
        let mut stopping = self.context.stopping.clone();
        let hello_deadline = Instant::now() + self.context.limits.hello_timeout;
        loop {
            let step = tokio::select! {
                message = self.socket.next(), if self.may_read() => self.on_message(message).await,
                alive = self.receiver.receive(&mut self.outgoing) => self.on_outgoing(alive).await,
                room = acquired(&mut self.waiting) => self.on_room(room).await,
                () = stopped(&mut stopping) => return self.drain().await,
                () = sleep_until(hello_deadline), if !self.was_opened => Err(Ending::HelloTimeout),
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    fn may_read(&self) -> bool {
        self.steps.is_empty() && self.outbox.is_below(&self.context.limits)
    }

    /// Deals with a frame and all further ones at hand.
    async fn on_message(
        &mut self,
        first: Option<Result<Message, axum::Error>>,
    ) -> Result<(), Ending> {
        let mut message = first;
        let mut publishes = 0;
        let (mut frames, mut bytes) = (0, 0);
        loop {
            frames += 1;
            let action = match message {
                Some(Ok(Message::Text(text))) => {
                    bytes += text.len();
                    self.session.on_text(text)
                }
                Some(Ok(Message::Binary(_))) => self.session.on_binary(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
                Some(Ok(Message::Close(_))) | None => Some(Action::End(Ending::Disconnected)),
                Some(Err(error)) => Some(Action::End(ending_of(&error))),
            };
            publishes += u64::from(matches!(action, Some(Action::Publish(_))));
            let is_over = matches!(action, Some(Action::End(_)));
            if let Some(action) = action {
                self.take_action(action);
            }
            if is_over || frames >= BATCH_FRAMES || bytes >= BATCH_BYTES {
                break;
            }
            match self.socket.next().now_or_never() {
                Some(next) => message = next,
                None => break,
            }
        }
        self.metrics.publishes.increment(publishes);
        self.do_steps().await
    }

    /// Turns what the session wants into steps.
    fn take_action(&mut self, action: Action) {
        let session = self.session.id();
        let step = match action {
            Action::Publish(publish) => return self.take_publish(publish),
            Action::PublishRefused { refusal, answer } => {
                count_refusal(refusal.label());
                match answer {
                    Some(answer) => Step::Write(answer),
                    None => return,
                }
            }
            Action::Open(welcome) => {
                if let Some(outbound) = self.outbound.take() {
                    self.steps.push_back(Step::Tell(SessionEvent::Opened { session, outbound }));
                }
                Step::Write(welcome)
            }
            Action::Subscribe { request, topic } => {
                Step::Tell(SessionEvent::Subscribe { session, request, topic })
            }
            Action::Unsubscribe { request, subscription } => {
                self.outbox.on_unsubscribing(request, subscription);
                Step::Tell(SessionEvent::Unsubscribe { session, request, subscription })
            }
            Action::Answer(answer) => Step::Write(answer),
            Action::End(ending) => Step::End(ending),
        };
        self.steps.push_back(step);
    }

    /// Adds to the batch that is being made, if it has room.
    fn take_publish(&mut self, publish: Publish) {
        let more = publish.counted_bytes();
        let batch_bytes = BATCH_BYTES.min(self.context.limits.entry_unacknowledged_bytes_max);
        if let Some(Step::Publish { messages, bytes }) = self.steps.back_mut()
            && *bytes + more <= batch_bytes
        {
            messages.push(publish);
            *bytes += more;
            return;
        }
        self.steps.push_back(Step::Publish { messages: vec![publish], bytes: more });
    }

    /// Does the steps in order, until there is none or one has to wait for room.
    async fn do_steps(&mut self) -> Result<(), Ending> {
        let mut answers = Vec::new();
        let mut outcome = Ok(());
        while let Some(step) = self.steps.pop_front() {
            outcome = match step {
                Step::Publish { messages, bytes } => {
                    let permits = permits_of(bytes);
                    match Arc::clone(&self.context.room).try_acquire_many_owned(permits) {
                        Ok(room) => self.hand_over(messages, bytes, room).await,
                        Err(TryAcquireError::NoPermits) => {
                            self.steps.push_front(Step::Publish { messages, bytes });
                            let room = Arc::clone(&self.context.room);
                            self.waiting = Some(Box::pin(room.acquire_many_owned(permits)));
                            break;
                        }
                        Err(TryAcquireError::Closed) => Err(Ending::Shutdown),
                    }
                }
                Step::Tell(event) => self.tell(event).await,
                Step::Write(text) => {
                    answers.push(text);
                    Ok(())
                }
                Step::End(ending) => Err(ending),
            };
            if outcome.is_err() {
                break;
            }
        }
        if !answers.is_empty() {
            self.write(answers).await?;
        }
        outcome
    }

    /// The first step has the room that it waited for.
    async fn on_room(
        &mut self,
        room: Result<OwnedSemaphorePermit, AcquireError>,
    ) -> Result<(), Ending> {
        self.waiting = None;
        let room = room.map_err(|_closed| Ending::Shutdown)?;
        match self.steps.pop_front() {
            Some(Step::Publish { messages, bytes }) => {
                self.hand_over(messages, bytes, room).await?
            }
            Some(other) => self.steps.push_front(other),
            None => {}
        }
        self.do_steps().await
    }

    /// Hands a batch to the core, and with it the duty to give back its room.
    async fn hand_over(
        &mut self,
        messages: Vec<Publish>,
        bytes: usize,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Ending> {
        let count = messages.len();
        self.tell(SessionEvent::Publish { session: self.session.id(), messages }).await?;
        // Only now: whatever ends this task before gives the room back.
        room.forget();
        self.outbox.on_handed_over(count, bytes);
        Ok(())
    }

    async fn tell(&mut self, event: SessionEvent) -> Result<(), Ending> {
        let is_opening = matches!(event, SessionEvent::Opened { .. });
        // Waits when the core is behind. The core never waits for a session, so this ends.
        self.context.events.send(E::from(event)).await.map_err(|_stopped| Ending::Shutdown)?;
        if is_opening {
            self.was_opened = true;
            self.metrics.sessions.increment(1.0);
            self.metrics.sessions_total.increment(1);
            tracing::debug!(session = self.session.id().0, "session opened");
        }
        Ok(())
    }

    async fn on_outgoing(&mut self, alive: bool) -> Result<(), Ending> {
        if alive { self.write(Vec::new()).await } else { Err(self.dropped()) }
    }

    /// Why the core let go of this session.
    fn dropped(&self) -> Ending {
        if *self.context.stopping.borrow() { Ending::Shutdown } else { Ending::SlowSubscriber }
    }

    /// Writes `answers` and all outgoing, and flushes. While the client does not take it, watches
    /// whether the core gives the session up.
    async fn write(&mut self, answers: Vec<Utf8Bytes>) -> Result<(), Ending> {
        let mut answers = answers;
        loop {
            let mut more = Vec::new();
            let written = tokio::select! {
                biased;
                written = write_all(
                    &mut self.socket,
                    std::mem::take(&mut answers),
                    &mut self.outbox,
                    &self.outgoing,
                ) => written.map_err(|_gone| Ending::Disconnected),
                () = dropped(&mut self.receiver, &mut more) => {
                    return Err(self.dropped());
                }
                () = grace_over(&self.context.stopping) => Err(Ending::Shutdown),
            };
            self.metrics.events.increment(self.outbox.take_events_sent());
            self.receiver.written(&self.outgoing);
            self.outgoing.clear();
            written?;
            if more.is_empty() {
                return Ok(());
            }
            self.outgoing = more;
        }
    }

    /// The node stops: nothing more is read, but what was taken is answered if it can be.
    async fn drain(&mut self) -> Ending {
        self.steps.clear();
        self.waiting = None;
        let deadline = Instant::now() + DRAIN_TIME;
        while !self.outbox.is_settled() {
            let receiving = self.receiver.receive(&mut self.outgoing);
            match timeout_at(deadline, receiving).await {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
            if let Err(ending) = self.write(Vec::new()).await {
                return ending;
            }
        }
        Ending::Shutdown
    }

    /// Says why, and lets the client read it.
    async fn close(mut self, ending: Ending) {
        if let Ending::Violation(violation) = ending {
            count_violation(violation);
        }
        let session = self.session.id();
        let last = self.session.farewell(ending);
        tracing::debug!(session = session.0, reason = %ending, "session over");
        if self.was_opened {
            self.metrics.sessions.decrement(1.0);
            let closed = E::from(SessionEvent::Closed { session });
            let _stopped = self.context.events.send(closed).await;
        }
        // What the core still had for the session is of no use to anyone.
        drop(self.receiver);
        let _in_time = timeout(CLOSE_TIME, say_goodbye(&mut self.socket, last, ending)).await;
    }
}

/// Resolves once the room is there; never without a wait for it.
async fn acquired(waiting: &mut Option<Room>) -> Result<OwnedSemaphorePermit, AcquireError> {
    match waiting {
        Some(room) => room.await,
        None => std::future::pending().await,
    }
}

/// Collects what the core sends into `more`; ends when the core drops the session.
async fn dropped(receiver: &mut OutboundReceiver, more: &mut Vec<Outgoing>) {
    while receiver.receive(more).await {}
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

async fn write_all(
    socket: &mut WebSocket,
    answers: Vec<Utf8Bytes>,
    outbox: &mut Outbox,
    outgoing: &[Outgoing],
) -> Result<(), axum::Error> {
    for answer in answers {
        socket.feed(Message::Text(answer)).await?;
    }
    for outgoing in outgoing {
        outbox.feed(socket, outgoing).await?;
    }
    socket.flush().await
}

async fn say_goodbye(socket: &mut WebSocket, last: Option<Utf8Bytes>, ending: Ending) {
    if let Some(last) = last
        && socket.feed(Message::Text(last)).await.is_err()
    {
        return;
    }
    if ending != Ending::Disconnected && socket.send(close_frame(ending)).await.is_err() {
        return;
    }
    // Reading on until the client closes: closing with unread input would reset the connection,
    // and the client would not see what was written.
    while let Some(Ok(_ignored)) = socket.next().await {}
}

fn permits_of(bytes: usize) -> u32 {
    // `SessionLimits::publish_bytes_max` keeps every batch below.
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What a failed read means.
fn ending_of(error: &axum::Error) -> Ending {
    // The error inside is of a crate that axum does not export, so only its text tells its kind; a
    // test holds it.
    let text = error.to_string();
    if text.starts_with("Space limit exceeded") {
        Ending::FrameTooLarge
    } else if text.starts_with("UTF-8") || text.starts_with("WebSocket protocol error") {
        Violation::Framing.into()
    } else {
        Ending::Disconnected
    }
}
