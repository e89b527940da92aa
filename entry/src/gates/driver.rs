//! The client task of all gates: what is between a gate and the broker, and the store.
//!
//! ```text
//!   gate ──> steps ──> (room) ──> broker
//!   gate <── Effects <── Client <── Outgoing <── broker
//!                          ^─────── reads of the store
//! ```
//! A gate owns a connection: it reads what its client says and writes what its client is told. The rest of its
//! task is here. It waits for [`Driver::wake`] beside its own socket and timers, and hands what it gets to
//! [`Driver::on_wake`].
//!
//! - What a client asks for are `steps`, done in order: a batch of publishes goes before the subscribe that
//!   follows it, and before answers that the gate itself has made.
//! - A batch waits for room in the entry's bound. A gate reads nothing while there are steps, nor while the
//!   session has too much unresolved.
//! - The store is read when the client has taken what was read before. What the broker has for it piles up in its
//!   [`Outbound`], up to a bound; then the broker leaves it out, and it gets the rest from the store.

mod ending;

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio::time::{Instant, sleep_until};

use vixen_broker::access::Permissions;
use vixen_broker::api::calls::CallWord;
use vixen_broker::api::{
    Outgoing, Publish, RequestId, SessionId, SessionInfo, Subscribe, SubscriptionId,
};
use vixen_broker::client::{Client, Effects, Told};
use vixen_broker::dealer::Breach;
use vixen_broker::history::HistoryError;
use vixen_broker::meta::Goodbye;
use vixen_broker::replay::ReadPart;

use super::context::SessionContext;
use super::limits::SessionLimits;
use crate::metrics::count_unsayable;
use crate::node::EntryEvent;
use crate::outbound::{OfCalls, Outbound, OutboundReceiver, SessionEvent, outbound};
use crate::reads::{Reader, read};

/// Bytes of messages that are handed over together.
pub(super) const BATCH_BYTES: usize = 256 << 10;

/// The broker of this entry has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// One effect of what a client asks for; `A` is what a gate has to do in its place.
#[derive(Debug)]
enum Step<A> {
    Publish { messages: Vec<Publish>, bytes: usize },
    Calls { words: Vec<CallWord>, bytes: usize },
    Tell(SessionEvent),
    Gate(A),
}

type Room = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;
type Reading = Pin<Box<dyn Future<Output = Result<ReadPart, HistoryError>> + Send>>;

/// What a client task was woken by.
pub(super) enum Wake {
    /// The broker has something for it; the last of it where the broker has stopped.
    Incoming { is_last: bool },
    /// What the first step has waited for.
    Room(Result<OwnedSemaphorePermit, AcquireError>),
    /// A read of the store is back.
    Read(Result<ReadPart, HistoryError>),
    /// The next one may begin.
    ReadDue,
}

/// What a gate does after a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Take what the broker has told: [`Driver::take_incoming`].
    Take,
    /// Do the steps that may be done now: [`Driver::do_steps`].
    Steps,
    /// Nothing.
    Wait,
}

/// See the module.
pub(super) struct Driver<A> {
    session: SessionId,
    limits: Arc<SessionLimits>,
    /// To the broker.
    events: mpsc::Sender<EntryEvent>,
    /// What the whole entry may yet have unacknowledged.
    room: Arc<Semaphore>,
    /// The books, once the session is open.
    client: Option<Client>,
    /// What the client is told of what it asks for, without the broker.
    told: Vec<Told>,
    /// For the broker; it has it once the session is open.
    outbound: Option<Outbound>,
    receiver: OutboundReceiver,
    /// Taken from the broker and not looked at.
    incoming: VecDeque<Outgoing>,
    /// The same of calls, which wait for nothing.
    calls: Vec<OfCalls>,
    /// Looked at, and not written; the bound of [`Outbound`] still counts it.
    unwritten_bytes: usize,
    unwritten_call_bytes: usize,
    /// It has broken the rules of calls.
    breach: Option<Breach>,
    /// It has to do with calls.
    uses_calls: bool,
    /// It has made calls that are judged again where its rights change.
    is_to_be_judged: bool,
    /// Nothing more of calls comes.
    calls_are_over: bool,
    steps: VecDeque<Step<A>>,
    /// The first step waits for room.
    waiting: Option<Room>,
    /// With which it reads the store.
    reader: Reader,
    /// A read of the store that is under way.
    reading: Option<Reading>,
    /// No read begins before.
    read_at: Option<Instant>,
    /// The broker was told of the session, and not of its end.
    is_open: bool,
}

impl<A> Driver<A> {
    /// Of a session that is not open yet.
    pub(super) fn new(context: &SessionContext, session: SessionId, address: IpAddr) -> Self {
        let (outbound, receiver) = outbound(context.limits.subscriber_buffer_bytes_max);
        Self {
            session,
            limits: Arc::clone(&context.limits),
            events: context.events.clone(),
            room: Arc::clone(&context.room),
            client: None,
            told: Vec::new(),
            outbound: Some(outbound),
            receiver,
            incoming: VecDeque::new(),
            calls: Vec::new(),
            unwritten_bytes: 0,
            unwritten_call_bytes: 0,
            breach: None,
            uses_calls: false,
            is_to_be_judged: false,
            calls_are_over: false,
            steps: VecDeque::new(),
            waiting: None,
            reader: context.reads.of(address),
            reading: None,
            read_at: None,
            is_open: false,
        }
    }

    /// Whether the broker knows the session.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether more may be taken from the client.
    pub(super) fn may_read(&self) -> bool {
        let is_below = self.client.as_ref().is_none_or(|client| {
            client.is_below(
                self.limits.session_unacknowledged_messages_max,
                self.limits.session_unacknowledged_bytes_max,
            )
        });
        self.steps.is_empty() && is_below
    }

    /// Whether all that the client asked for is handed over.
    pub(super) fn has_no_steps(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether all messages that were handed to the broker are resolved.
    pub(super) fn is_settled(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_settled)
    }

    /// Whether the session has to do with calls: others may wait for it.
    pub(super) const fn uses_calls(&self) -> bool {
        self.uses_calls
    }

    /// Whether the session answers for this procedure, and may.
    pub(super) fn is_callee_of(&self, procedure: &str) -> bool {
        self.client.as_ref().is_some_and(|client| client.is_callee_of(procedure))
    }

    /// Whether the session may yet be told of calls while the node stops, and answer them.
    pub(super) const fn awaits_calls(&self) -> bool {
        self.uses_calls && !self.calls_are_over
    }

    /// Whether what the client waits for has to be read from the store first.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some() || self.read_at.is_some()
    }

    /// The session is let in.
    pub(super) fn open(&mut self, info: Arc<SessionInfo>, permissions: Permissions) {
        if let Some(outbound) = self.outbound.take() {
            self.client = Some(Client::new(Arc::clone(&info), permissions));
            self.steps.push_back(Step::Tell(SessionEvent::Opened { info, outbound }));
        }
    }

    /// A message is to be published. It joins the batch that is being made, if that has room.
    pub(super) fn publish(&mut self, publish: Publish) {
        let more = publish.counted_bytes();
        let batch_bytes = BATCH_BYTES.min(self.limits.entry_unacknowledged_bytes_max);
        if let Some(Step::Publish { messages, bytes }) = self.steps.back_mut()
            && *bytes + more <= batch_bytes
        {
            messages.push(publish);
            *bytes += more;
            return;
        }
        self.steps.push_back(Step::Publish { messages: vec![publish], bytes: more });
    }

    /// Something of calls. It joins the batch that is being made, if that has room.
    pub(super) fn call(&mut self, word: CallWord) {
        let more = word.counted_bytes();
        if let Some(Step::Calls { words, bytes }) = self.steps.back_mut()
            && *bytes + more <= BATCH_BYTES
        {
            words.push(word);
            *bytes += more;
            return;
        }
        self.steps.push_back(Step::Calls { words: vec![word], bytes: more });
    }

    /// The client subscribes.
    pub(super) fn subscribe(&mut self, request: RequestId, wanted: Subscribe) {
        self.with_client(|client, fx| client.subscribe(request, wanted, fx));
    }

    /// The client unsubscribes.
    pub(super) fn unsubscribe(&mut self, request: RequestId, subscription: SubscriptionId) {
        self.with_client(|client, fx| client.unsubscribe(request, subscription, fx));
    }

    /// The gate has no use for a subscription any more.
    pub(super) fn leave(&mut self, subscription: SubscriptionId) {
        self.with_client(|client, fx| client.leave(subscription, fx));
    }

    /// What the gate itself has to do, after all steps before it.
    pub(super) fn gate(&mut self, answer: A) {
        self.steps.push_back(Step::Gate(answer));
    }

    /// What the gate is to do last, if that is its last step.
    pub(super) fn last(&self) -> Option<&A> {
        match self.steps.back() {
            Some(Step::Gate(answer)) => Some(answer),
            Some(Step::Publish { .. } | Step::Calls { .. } | Step::Tell(_)) | None => None,
        }
    }

    /// Takes what waits for room out of the steps, where `is_out` says so. The rest waits anew: it is less now.
    pub(super) fn refuse(&mut self, is_out: impl Fn(&Publish) -> bool) -> Vec<Publish> {
        let mut refused = Vec::new();
        for step in &mut self.steps {
            let Step::Publish { messages, bytes } = step else { continue };
            for message in messages.extract_if(.., |message| is_out(message)) {
                *bytes -= message.counted_bytes();
                refused.push(message);
            }
        }
        self.steps
            .retain(|step| !matches!(step, Step::Publish { messages, .. } if messages.is_empty()));
        self.waiting = None;
        refused
    }

    /// Judges words of calls that wait behind something else. What `is_out` says is taken out; it may change the
    /// others.
    pub(super) fn refuse_words(
        &mut self,
        mut is_out: impl FnMut(&mut CallWord) -> bool,
    ) -> Vec<CallWord> {
        let mut refused = Vec::new();
        for step in &mut self.steps {
            let Step::Calls { words, .. } = step else { continue };
            refused.extend(words.extract_if(.., |word| is_out(word)));
        }
        self.steps.retain(|step| !matches!(step, Step::Calls { words, .. } if words.is_empty()));
        refused
    }

    /// Takes subscriptions out that wait behind something else, and refuses them: `fx` takes what the client is told.
    pub(super) fn refuse_subscribes(&mut self, fx: &mut Effects) {
        let Some(client) = &mut self.client else { return };
        self.steps.retain(|step| match step {
            Step::Tell(SessionEvent::Subscribe { request, .. }) => {
                client.refuse_subscribe(*request, fx);
                false
            }
            Step::Tell(_) | Step::Publish { .. } | Step::Calls { .. } | Step::Gate(_) => true,
        });
    }

    /// The realms were read again: what the client is told of that.
    pub(super) fn on_reload(&mut self, permissions: &Permissions) -> Effects {
        let mut fx = Effects::default();
        if let Some(client) = &mut self.client {
            client.on_reload(permissions, &mut fx);
        }
        fx
    }

    /// Waits for whatever comes first. Cancel safe.
    pub(super) async fn wake(&mut self) -> Wake {
        self.begin_read();
        let is_blocked = self.client.as_ref().is_some_and(Client::is_blocked);
        let (read_at, now) = (self.read_at, Instant::now());
        tokio::select! {
            alive = self.receiver.receive(!is_blocked, &mut self.incoming, &mut self.calls) => {
                Wake::Incoming { is_last: !alive }
            }
            room = acquired(&mut self.waiting) => Wake::Room(room),
            outcome = done(&mut self.reading) => Wake::Read(outcome),
            () = sleep_until(read_at.unwrap_or(now)), if read_at.is_some() => Wake::ReadDue,
        }
    }

    /// Begins a read of the store, if one is to be made.
    pub(super) fn begin_read(&mut self) {
        if self.reading.is_none()
            && self.read_at.is_none()
            && let Some(request) = self.client.as_mut().and_then(Client::next_read)
        {
            self.reading = Some(Box::pin(read(self.reader.clone(), request)));
        }
    }

    /// Deals with what has woken the task; `fx` takes what the client is told.
    ///
    /// # Errors
    /// The broker has stopped.
    pub(super) async fn on_wake(&mut self, wake: Wake, fx: &mut Effects) -> Result<Next, Stopped> {
        match wake {
            Wake::Incoming { is_last: true } => Err(Stopped),
            Wake::Incoming { is_last: false } => Ok(Next::Take),
            Wake::Room(room) => {
                self.on_room(room.map_err(|_closed| Stopped)?).await?;
                Ok(Next::Steps)
            }
            Wake::Read(outcome) => {
                self.reading = None;
                if let Some(client) = &mut self.client {
                    client.on_read(outcome, fx);
                }
                Ok(Next::Take)
            }
            Wake::ReadDue => {
                self.read_at = None;
                Ok(Next::Wait)
            }
        }
    }

    /// Takes all that the broker has told, as far as it may be taken now.
    pub(super) fn take_incoming(&mut self, fx: &mut Effects) {
        self.take_calls(fx);
        while self.take_one(fx) {}
    }

    /// Takes what the client is told of what it has asked for since, without the broker.
    pub(super) fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Takes one word of the broker; whether there was one that may be taken now.
    pub(super) fn take_one(&mut self, fx: &mut Effects) -> bool {
        let Some(client) = self.client.as_mut().filter(|client| !client.is_blocked()) else {
            return false;
        };
        let Some(outgoing) = self.incoming.pop_front() else { return false };
        self.unwritten_bytes += outgoing.queued_bytes();
        client.on_outgoing(outgoing, fx);
        true
    }

    fn take_calls(&mut self, fx: &mut Effects) {
        let Some(client) = &mut self.client else { return };
        for word in self.calls.drain(..) {
            match word {
                OfCalls::Told(words) => {
                    for told in words {
                        self.unwritten_call_bytes += told.queued_bytes();
                        client.on_call(told, fx);
                    }
                }
                OfCalls::Broken(breach) => self.breach = Some(breach),
                // Its words are where nothing waits before them.
                OfCalls::Killed => {}
                OfCalls::Over => self.calls_are_over = true,
            }
        }
    }

    /// What the client has done that it must not, if it has: its session is to be ended.
    pub(super) const fn breach(&self) -> Option<Breach> {
        self.breach
    }

    /// Resolves when the session is to be ended, also while a write waits: its client leaves unread what it is told of
    /// calls, or somebody has [`killed`](Self::killed) it.
    pub(super) fn must_end(&self) -> impl Future<Output = ()> + Send + use<A> {
        self.receiver.must_end()
    }

    /// What the client is to be told, if somebody has ended its session.
    pub(super) fn killed(&self) -> Option<&Arc<Goodbye>> {
        self.receiver.killed()
    }

    /// Does what effects owe, but for what the client is told.
    ///
    /// # Errors
    /// The broker has stopped.
    pub(super) async fn settle(&mut self, fx: &mut Effects) -> Result<(), Stopped> {
        count_unsayable(std::mem::take(&mut fx.left_out));
        for ask in fx.ask.drain(..) {
            send(&self.events, ask.of(self.session)).await?;
        }
        if let Some(pause) = fx.pause.take() {
            self.read_at = Some(Instant::now() + pause);
        }
        Ok(())
    }

    /// What was taken is written.
    pub(super) fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.unwritten_bytes);
        self.receiver.give_back(bytes, std::mem::take(&mut self.unwritten_call_bytes));
    }

    /// Does the steps in order, until there is none or one has to wait for room. What the gate has to do
    /// is given to `gate`, whose error ends it.
    ///
    /// # Errors
    /// That of `gate`, or the broker has stopped.
    pub(super) async fn do_steps<E: From<Stopped>>(
        &mut self,
        mut gate: impl FnMut(A) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Publish { messages, bytes } => {
                    let permits = permits_of(bytes);
                    match Arc::clone(&self.room).try_acquire_many_owned(permits) {
                        Ok(room) => self.hand_over(messages, bytes, room).await?,
                        Err(TryAcquireError::NoPermits) => {
                            self.steps.push_front(Step::Publish { messages, bytes });
                            let room = Arc::clone(&self.room);
                            self.waiting = Some(Box::pin(room.acquire_many_owned(permits)));
                            return Ok(());
                        }
                        Err(TryAcquireError::Closed) => return Err(Stopped.into()),
                    }
                }
                Step::Calls { words, bytes: _ } => self.hand_over_words(words).await?,
                Step::Tell(event) => self.tell(event).await?,
                Step::Gate(answer) => gate(answer)?,
            }
        }
        Ok(())
    }

    /// The first step has the room that it waited for.
    async fn on_room(&mut self, room: OwnedSemaphorePermit) -> Result<(), Stopped> {
        self.waiting = None;
        match self.steps.pop_front() {
            Some(Step::Publish { messages, bytes }) => self.hand_over(messages, bytes, room).await,
            Some(other) => {
                self.steps.push_front(other);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Hands a batch to the broker, and with it the duty to give back its room.
    async fn hand_over(
        &mut self,
        messages: Vec<Publish>,
        bytes: usize,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Stopped> {
        let count = messages.len();
        self.tell(SessionEvent::Publish { session: self.session, messages }).await?;
        // Only now: whatever ends this task before gives the room back.
        room.forget();
        if let Some(client) = &mut self.client {
            client.on_handed_over(count, bytes);
        }
        Ok(())
    }

    /// Answers of a callee, or for it, which wait for no step before them.
    ///
    /// # Errors
    /// The broker has stopped.
    pub(super) async fn answer(&mut self, answers: Vec<CallWord>) -> Result<(), Stopped> {
        if answers.is_empty() { Ok(()) } else { self.hand_over_words(answers).await }
    }

    async fn hand_over_words(&mut self, mut words: Vec<CallWord>) -> Result<(), Stopped> {
        self.uses_calls = true;
        if let Some(client) = &mut self.client {
            let mut fx = Effects::default();
            client.on_words(&mut words, &mut fx);
            self.told.extend(fx.told);
        }
        if words.is_empty() {
            return Ok(());
        }
        let outlasts = |word: &CallWord| matches!(word, CallWord::Call(call) if call.outlasts());
        self.is_to_be_judged |= words.iter().any(outlasts);
        self.tell(SessionEvent::Calls { session: self.session, words }).await
    }

    /// What the session may do has changed, `None`: it may nothing any more.
    ///
    /// # Errors
    /// The broker has stopped.
    pub(super) async fn tell_rights(
        &mut self,
        permissions: Option<&Permissions>,
    ) -> Result<(), Stopped> {
        if !self.is_to_be_judged || !self.is_open {
            return Ok(());
        }
        let permissions = permissions.cloned();
        self.tell(SessionEvent::Rights { session: self.session, permissions }).await
    }

    async fn tell(&mut self, event: SessionEvent) -> Result<(), Stopped> {
        let is_opening = matches!(event, SessionEvent::Opened { .. });
        send(&self.events, event).await?;
        self.is_open |= is_opening;
        Ok(())
    }

    fn with_client(&mut self, ask: impl FnOnce(&mut Client, &mut Effects)) {
        let Some(client) = &mut self.client else { return };
        let mut fx = Effects::default();
        ask(client, &mut fx);
        self.told.extend(fx.told);
        let session = self.session;
        self.steps.extend(fx.ask.into_iter().map(|ask| Step::Tell(ask.of(session))));
    }
}

/// Waits when the broker is behind. The broker never waits for a session, so this ends.
async fn send(events: &mpsc::Sender<EntryEvent>, event: SessionEvent) -> Result<(), Stopped> {
    events.send(event.into()).await.map_err(|_stopped| Stopped)
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

/// Whether it is of a callee, about a call that is with it.
pub(super) const fn is_answer(word: &CallWord) -> bool {
    matches!(word, CallWord::Yield { .. } | CallWord::Fail { .. })
}

fn permits_of(bytes: usize) -> u32 {
    // `SessionLimits::publish_bytes_max` keeps every batch below.
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
