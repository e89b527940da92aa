//! The task of one client connection: WebSocket, [`Session`], [`Driver`].
//!
//! One loop, one socket, no lock: it waits for whatever comes first and deals with all of it that
//! is at hand, so that work goes by batches under load and at once without.
//!
//! ```text
//! socket -> frames -> Session -> Driver -> broker
//! socket <- flush  <- Encoder <- Driver <- broker, store
//! ```
//! - Frames are read until none is at hand or a batch is full. Their effects are steps of the [`Driver`],
//!   done in order: a batch of publishes goes before the SUBSCRIBE or GOODBYE that follows it.
//! - What a role's authorizer is asked about waits for its answer, and all behind it waits too, but for CANCEL
//!   (`asking`).
//! - Nothing is read while there are steps, or as much waits for an authorizer as may, or the session has too much
//!   unresolved; events and answers go on.
//! - Nothing is read while the client does not take what is written, and the store is not read for
//!   it either.

mod asking;
mod closing;
mod steps;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use vixen_broker::api::SessionId;
use vixen_broker::client::Effects;
use vixen_runtime::clock::wall_time;
use vixen_runtime::server::{Meter, Over};

use super::alive::{Alive, Silence};
use super::error::Ending;
use super::frames::Frames;
use super::metrics::{SessionMetrics, count_ending};
use super::serializer::Serializer;
use super::session::{Action, Remote, Session};
use super::told::Encoder;
use crate::admission::Permit;
use crate::gates::context::SessionContext;
use crate::gates::driver::{BATCH_BYTES, Driver, Next, Stopped, Wake, is_answer};
use crate::gates::ids::random_session;
use asking::{Answered, Asking};
use closing::{close_frame, ending_of, say_goodbye};

/// Frames read in one go: enough to make a batch worth it, few enough to keep answers flowing.
const BATCH_FRAMES: usize = 256;

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

/// What a connection waits for.
enum Event {
    /// The next frame of the client, or its end.
    Message(Option<Result<Message, axum::Error>>),
    /// Something of the broker, or of the store.
    Wake(Wake),
    /// What was asked is answered.
    Answered(Answered),
    /// The realms were read again.
    Reload,
    UnfinishedDue,
    /// The time of a call is over of which nobody knows yet whether it may be made.
    CallsDue,
    AliveDue,
}

/// What is done in its place among the effects of a client's frames.
#[derive(Debug)]
enum Own {
    /// A WAMP message as JSON.
    Write(Bytes),
    End(Ending),
}

struct Connection {
    socket: WebSocket,
    /// What is unfinished of it.
    meter: Meter,
    /// When to look whether that has been so for too long.
    unfinished_at: Instant,
    context: SessionContext,
    session: Session,
    driver: Driver<Own>,
    /// What waits for an authorizer.
    asking: Asking,
    encoder: Encoder,
    frames: Frames,
    metrics: SessionMetrics,
    was_opened: bool,
    /// Until then HELLO has to come, or the answer to CHALLENGE.
    login_by: Instant,
    alive: Alive,
}

impl From<Stopped> for Ending {
    fn from(Stopped: Stopped) -> Self {
        Self::Shutdown
    }
}

impl Connection {
    fn new(
        (socket, meter): (WebSocket, Meter),
        context: SessionContext,
        serializer: Serializer,
        id: SessionId,
        remote: Remote,
    ) -> Self {
        let (now, hello_timeout) = (Instant::now(), context.limits.hello_timeout);
        let alive = Alive::new(&context.limits, now);
        let driver = Driver::new(&context, id, remote.address);
        let asking = Asking::new(&context);
        Self {
            socket,
            meter,
            unfinished_at: now + context.limits.unfinished_timeout,
            session: Session::new(id, remote, serializer, Arc::clone(&context.limits)),
            context,
            driver,
            asking,
            encoder: Encoder::default(),
            frames: Frames::new(serializer),
            metrics: SessionMetrics::new(),
            was_opened: false,
            login_by: now + hello_timeout,
            alive,
        }
    }

    async fn run(&mut self) -> Ending {
        let mut stopping = self.context.stopping.clone();
        let mut reloads = self.context.admission.reloads();
        loop {
            let may_read = self.driver.may_read()
                && self.asking.may_read()
                && !self.session.has_rest()
                && !self.is_ending();
            let alive_at = self.alive.due_at();
            let overdue_at = self.asking.due_at(&self.context.limits.call_timeouts);
            let begun = Instant::now();
            let event = tokio::select! {
                message = self.socket.next(), if may_read => Event::Message(message),
                wake = self.driver.wake() => Event::Wake(wake),
                Some(answered) = self.asking.next() => Event::Answered(answered),
                () = stopped(&mut stopping) => return self.drain().await,
                Ok(()) = reloads.changed() => Event::Reload,
                over = self.meter.over() => return ending_of_input(over),
                () = sleep_until(self.unfinished_at) => Event::UnfinishedDue,
                () = sleep_until(overdue_at.unwrap_or(begun)), if overdue_at.is_some() => {
                    Event::CallsDue
                }
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
            Event::Wake(Wake::Room(_stale)) => Ok(()),
            event => self.on_event(event).await,
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Message(message) => self.on_message(message).await,
            Event::Wake(wake) => self.on_wake(wake).await,
            Event::Answered(answered) => self.on_answered(answered).await,
            Event::Reload => self.on_reload().await,
            Event::UnfinishedDue => {
                self.check_unfinished();
                Ok(())
            }
            Event::CallsDue => self.end_overdue().await,
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
        let mut fx = self.driver.on_reload(&permissions);
        self.driver.tell_rights(Some(&permissions)).await?;
        let asks_another = self.asking.asks_another(&permissions);
        if asks_another {
            // Nobody has asked it about these.
            self.driver.refuse_subscribes(&mut fx);
        }
        self.settle(fx, |connection| connection.refuse_steps(&permissions, asks_another)).await?;
        self.ask_anew(&permissions);
        self.go_on().await
    }

    async fn keep_alive(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        match self.alive.due(now) {
            Silence::Ask => {
                self.put(vec![Message::Ping(Bytes::new())]).await?;
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
            actions.drain(..).for_each(|action| self.take(action));
            self.take_rest();
            if self.is_ending()
                || self.session.has_rest()
                || !self.asking.may_take()
                || frames >= BATCH_FRAMES
                || bytes >= BATCH_BYTES
            {
                break;
            }
            match self.socket.next().now_or_never() {
                Some(next) => message = next,
                None => break,
            }
        }
        self.do_steps().await
    }

    async fn on_wake(&mut self, wake: Wake) -> Result<(), Ending> {
        let mut fx = Effects::default();
        match self.driver.on_wake(wake, &mut fx).await? {
            Next::Take => {
                self.settle(fx, |_| {}).await?;
                let mut fx = Effects::default();
                self.driver.take_incoming(&mut fx);
                self.settle(fx, |_| {}).await?;
                self.pass_own().await
            }
            Next::Steps => self.do_steps().await,
            Next::Wait => Ok(()),
        }
    }

    /// Writes all frames, and flushes.
    async fn write(&mut self) -> Result<(), Ending> {
        if !self.frames.is_empty() {
            let begun = Instant::now();
            let frames = self.frames.take();
            self.put(frames).await?;
            self.excuse(begun);
            self.metrics.events.increment(self.encoder.take_events_sent());
        }
        self.driver.give_back();
        Ok(())
    }

    /// Writes these, and flushes.
    async fn put(&mut self, frames: Vec<Message>) -> Result<(), Ending> {
        // Nothing is read meanwhile, and callers wait for what a callee does not read.
        let patience = self.driver.uses_calls().then_some(self.context.limits.keep_alive_timeout);
        let writing = write_all(&mut self.socket, frames, patience);
        // Its client may not read for long, and is not to get it then.
        tokio::select! {
            biased;
            written = while_running(writing, &self.context.stopping, &self.meter) => written,
            () = self.session.gone() => Err(Ending::RoleGone),
            () = self.driver.must_end() => Err(match self.driver.killed() {
                Some(_goodbye) => Ending::Killed,
                None => Ending::CallsUnread,
            }),
        }
    }

    /// The node stops: what was taken is answered if it can be, and nothing more is read but what callees answer,
    /// as long as there are calls.
    async fn drain(&mut self) -> Ending {
        let deadline = Instant::now() + DRAIN_TIME;
        if self.begin_drain().await.is_err() {
            return Ending::Shutdown;
        }
        while !self.driver.is_settled() || self.driver.awaits_calls() {
            let done = tokio::select! {
                alive = self.driver.more() => {
                    if !alive {
                        break;
                    }
                    self.write_rest().await
                }
                message = self.socket.next(), if self.driver.awaits_calls() => {
                    self.take_answers(message).await
                }
                () = sleep_until(deadline) => break,
            };
            if let Err(ending) = done {
                return ending;
            }
        }
        Ending::Shutdown
    }

    async fn begin_drain(&mut self) -> Result<(), Stopped> {
        self.driver.begin_drain().await?;
        self.driver.answer(self.asking.take_answers()).await?;
        let mut actions = Vec::new();
        self.take_all_rest(&mut actions);
        let answers = actions.into_iter().filter_map(|action| match action {
            Action::Call(word) if is_answer(&word) => Some(word),
            _too_late => None,
        });
        self.driver.answer(answers.collect()).await
    }

    /// Of the last frame.
    fn take_all_rest(&mut self, actions: &mut Vec<Action>) {
        while self.session.has_rest() {
            self.session.on_rest(wall_time(), actions);
        }
    }

    /// Writes what the broker has told while the node stops.
    async fn write_rest(&mut self) -> Result<(), Ending> {
        let mut fx = Effects::default();
        self.driver.take_rest(&mut fx);
        for told in fx.told {
            self.encoder.put(told, &mut self.frames);
        }
        self.driver.answer(self.encoder.take_unsaid()).await?;
        self.write().await?;
        match self.driver.killed() {
            Some(_goodbye) => Err(Ending::Killed),
            None => Ok(()),
        }
    }

    /// What a client says while the node stops: of it, answers of a callee are taken.
    async fn take_answers(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<(), Ending> {
        let mut actions = Vec::new();
        match message {
            Some(Ok(Message::Text(text))) => {
                self.meter.settle();
                self.session.on_text(wall_time(), &text, &mut actions);
            }
            Some(Ok(Message::Binary(data))) => {
                self.meter.settle();
                self.session.on_binary(wall_time(), &data, &mut actions);
            }
            Some(Ok(Message::Ping(bytes) | Message::Pong(bytes))) => {
                self.meter.settle_part(CONTROL_HEADER_BYTES + bytes.len());
            }
            Some(Ok(Message::Close(_))) | None => return Err(Ending::Disconnected),
            Some(Err(error)) => return Err(ending_of(&error)),
        }
        self.take_all_rest(&mut actions);
        let (mut answers, mut ending) = (Vec::new(), Ok(()));
        for action in actions {
            match action {
                Action::Call(word) if is_answer(&word) => answers.push(word),
                Action::End(end) => ending = Err(end),
                _too_late => {}
            }
        }
        self.driver.answer(answers).await?;
        ending
    }

    /// Says why, and lets the client read it.
    async fn close(mut self: Box<Self>, ending: Ending) {
        count_ending(ending);
        let session = self.session.id();
        let last = match (ending, self.driver.killed()) {
            (Ending::Killed, Some(goodbye)) => self.session.killed(goodbye),
            (ending, _) => self.session.farewell(ending),
        };
        tracing::debug!(session = session.0, reason = %ending, "session over");
        if self.was_opened {
            self.metrics.sessions.decrement(1.0);
        }
        if ending == Ending::RoleGone {
            let _stopped = self.driver.tell_rights(None).await;
        }
        self.driver.close().await;
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

/// Writes, unless the node has been stopping for [`DRAIN_TIME`], or the client's input is over.
async fn while_running(
    writing: impl Future<Output = Result<(), Ending>>,
    stopping: &watch::Receiver<bool>,
    meter: &Meter,
) -> Result<(), Ending> {
    tokio::select! {
        biased;
        written = writing => written,
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

/// Writes them all; with `patience`, none of them may wait for longer than that until the client takes it.
async fn write_all(
    socket: &mut WebSocket,
    frames: Vec<Message>,
    patience: Option<Duration>,
) -> Result<(), Ending> {
    for frame in frames {
        in_time(socket.feed(frame), patience).await?;
    }
    in_time(socket.flush(), patience).await
}

async fn in_time(
    writing: impl Future<Output = Result<(), axum::Error>>,
    patience: Option<Duration>,
) -> Result<(), Ending> {
    let written = match patience {
        Some(patience) => {
            timeout(patience, writing).await.map_err(|_elapsed| Ending::KeepAliveTimeout)?
        }
        None => writing.await,
    };
    written.map_err(|_gone| Ending::Disconnected)
}

/// Of its payload.
fn bytes_of(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}
