//! The driver of an entry's core: events into inputs, effects into sends.
//!
//! One loop: drain the inbox, step everything, place what the frontier has made certain, flush,
//! then send. Everything that came together leaves together, and nothing here waits for anybody:
//! links and sessions are bounded queues that end instead of blocking.

mod awaited;
mod calls;
mod clock;
mod deciders;
mod from_ndb;
mod history;
mod limits;
mod meta;
mod notes;
mod order;
mod owner;
mod peers;
mod quorum;
mod readiness;
mod reading;
mod reads;
mod recorded;
mod refused;
mod run;
mod settle;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use vixen_broker::api::calls::MetaError;
use vixen_broker::dealer::{CallNumber, CancelAnswer, MetaResult};
use vixen_broker::delivery::Numbering;
use vixen_core::id::OwnerId;
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::words::Words;
use vixen_runtime::config::{Durability, Limits};
use vixen_runtime::link::{INBOX_FRAMES_MAX, Inbox, LinkEvent};
use vixen_runtime::telemetry::Readiness;

use crate::authority::AuthorityEvent;
use crate::outbound::SessionEvent;

pub use calls::ViewEvent;
pub use history::{HistoryEvent, HistoryStream};
pub use recorded::recorded_machines;
pub use run::EntryNode;
pub(crate) use run::fresh_seed;

/// How an entry runs.
#[derive(Clone, Debug)]
pub struct EntryOptions {
    /// This incarnation.
    pub owner: OwnerId,
    /// Its name in the configuration, for people.
    pub name: NodeName,
    /// What sync and ndb nodes are called.
    pub roster: Roster,
    /// Who votes and who stores; at least one group.
    pub membership: Membership,
    /// How long an acknowledged publish waits for a quorum.
    pub publish_timeout: Duration,
    /// What the cluster's nodes wait for before they answer; for the status page.
    pub durability: Durability,
    /// Bounds of segments, subscriptions and unacknowledged bytes.
    pub limits: Limits,
    /// Whether callers that cancel are answered.
    pub cancel_answer: CancelAnswer,
    /// Where other entries dial it, if they do.
    pub link_address: Option<Arc<str>>,
    /// No other entry can join: all that is registered is registered here.
    pub is_alone: bool,
    /// How subscriptions are numbered.
    pub numbering: Numbering,
}

/// Everything that reaches an entry's core.
#[derive(Debug)]
pub enum EntryEvent {
    /// From its links.
    Link(LinkEvent),
    /// From its client sessions.
    Session(SessionEvent),
    /// From consumers of stored messages.
    History(HistoryEvent),
    /// From tasks of its own reader of registrations.
    View(ViewEvent),
    /// From reads for callers of the router's own procedures.
    Meta(MetaEvent),
    /// To procedures that decide.
    Authority(AuthorityEvent),
    /// Answer with the status page.
    Status(oneshot::Sender<serde_json::Value>),
    /// The end is near: no new calls, and an answer to those that are open.
    Drain,
    /// End. What is not acknowledged stays so.
    Stop,
}

/// What comes of what a caller has asked the router itself.
#[derive(Debug)]
pub enum MetaEvent {
    /// The answer is there.
    Answered {
        /// The call.
        number: CallNumber,
        /// The result, or why there is none.
        answer: Result<MetaResult, MetaError>,
    },
}

impl From<LinkEvent> for EntryEvent {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

impl From<SessionEvent> for EntryEvent {
    fn from(event: SessionEvent) -> Self {
        Self::Session(event)
    }
}

/// What readers and subscribers cannot get at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Groups of which nobody is there, with their nodes.
    pub(crate) gone: Option<Words>,
    /// The next message of the order is in one of them, as it must be when there is no other: live
    /// events wait for it.
    pub(crate) holds_up: bool,
    /// Live events wait for a message that no node of its group has: what is so.
    pub(crate) nowhere: Option<Words>,
}

/// A look at a running entry from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EntryHandle {
    inbox: Inbox<EntryEvent>,
    ready: Arc<watch::Sender<Readiness>>,
    waits: Arc<watch::Sender<Waits>>,
    was_ready: Arc<AtomicBool>,
}

impl EntryHandle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<EntryEvent>) {
        let (inbox, receiver) = mpsc::channel(INBOX_FRAMES_MAX);
        let (ready, _) = watch::channel(Readiness::starting());
        (
            Self {
                inbox,
                ready: Arc::new(ready),
                waits: Arc::new(watch::channel(Waits::default()).0),
                was_ready: Arc::default(),
            },
            receiver,
        )
    }

    /// Whether the entry can acknowledge; else what it waits for.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn ready(&self) -> Result<(), String> {
        self.readiness().check()
    }

    /// Whether it can, and what it misses.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.ready.borrow().clone()
    }

    /// Whether clients may come: from the first readiness on. See `docs/design/002-entry-port.md`.
    ///
    /// # Errors
    /// What the entry waits for, for people.
    pub fn was_ready(&self) -> Result<(), String> {
        if self.was_ready.load(Ordering::Acquire) { Ok(()) } else { self.ready() }
    }

    /// Whether clients were let in once.
    fn has_been_ready(&self) -> bool {
        self.was_ready.load(Ordering::Acquire)
    }

    /// Waits until the entry cannot acknowledge; what it waits for.
    pub async fn until_not_ready(&self) -> String {
        let mut ready = self.ready.subscribe();
        let not_ready = ready.wait_for(|ready| !ready.is_ready()).await;
        not_ready.ok().and_then(|ready| ready.check().err()).unwrap_or_default()
    }

    /// Waits until the entry can acknowledge.
    pub async fn until_ready(&self) {
        // The sender lives in `self`, so the wait ends with readiness and nothing else.
        let mut ready = self.ready.subscribe();
        let _ready = ready.wait_for(Readiness::is_ready).await;
    }

    /// The status page; `null` while the node stops.
    pub async fn status(&self) -> serde_json::Value {
        let (answer, answered) = oneshot::channel();
        if self.inbox.send(EntryEvent::Status(answer)).await.is_err() {
            return serde_json::Value::Null;
        }
        answered.await.unwrap_or_default()
    }

    /// Ends all calls: at once if there is none, and else when they have their answers, or an error. Sessions that
    /// have to do with calls wait for it.
    pub async fn drain(&self) {
        let _stopped_already = self.inbox.send(EntryEvent::Drain).await;
    }

    /// Ends the node.
    pub async fn stop(&self) {
        let _stopped_already = self.inbox.send(EntryEvent::Stop).await;
    }

    /// What cannot be got at present, now and from now on.
    pub(crate) fn waits(&self) -> watch::Receiver<Waits> {
        self.waits.subscribe()
    }

    fn tell_waits(&self, waits: Waits) {
        self.waits.send_if_modified(|told| {
            let is_news = *told != waits;
            *told = waits;
            is_news
        });
    }

    /// Says whether the entry is ready, in the log too where this is news.
    pub(crate) fn tell(&self, ready: Readiness) {
        self.was_ready.fetch_or(ready.is_ready(), Ordering::AcqRel);
        if *self.ready.borrow() != ready {
            ready.say_change(&self.ready.borrow());
            self.ready.send_replace(ready);
        }
    }
}

/// All permits of an entry: bytes that may be unacknowledged at once.
fn room_of(limits: &Limits) -> Arc<Semaphore> {
    let bytes = limits.entry_unacknowledged_bytes_max.min(Semaphore::MAX_PERMITS);
    Arc::new(Semaphore::new(bytes))
}
