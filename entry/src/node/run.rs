//! The loop of an entry's core.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use vixen_broker::api::{Publish, SessionId, SessionInfo};
use vixen_broker::delivery::{self, Delivery, DeliveryOptions};
use vixen_broker::meta::{Goodbye, Meta};
use vixen_broker::segmenter::{self, Segmenter, SegmenterOptions};
use vixen_core::id::{NdbId, OwnerId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::order::{self, Reader};
use vixen_core::skew::Skew;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, NodeMessage, PeerId};
use vixen_runtime::link::{
    Awaited, INBOX_FRAMES_MAX, Inbox, LinkEvent, LinkId, LinkSender, Linked, Links,
};
use vixen_runtime::recording::Recorder;

use super::calls::{CallEffects, Calls, Entries};
use super::clock::Clock;
use super::deciders::Deciders;
use super::limits::{subscription_limits, testament_limits};
use super::meta::{Across, Event, Removals, Tasks};
use super::peers::Peers;
use super::reads::Reads;
use super::recorded;
use super::refused::Refused;
use super::{EntryEvent, EntryHandle, EntryOptions, MetaEvent, room_of};
use crate::authority::AuthorityEvent;
use crate::metrics::Metrics;
use crate::outbound::{Outbound, SessionEvent};
use crate::reads::ReadContext;

/// A group that takes no segment for so long is passed over. Well above what a loaded group needs to
/// answer from memory, well below what publishers wait for.
const STALL_MS: u64 = 1_000;

/// For so long, as the node stops, what sessions have left to be published at their end may still get its place.
const LAST_WORDS_TIME: Duration = Duration::from_secs(1);

/// One entry: its core, which sessions and links talk to.
pub struct EntryNode {
    pub(super) options: EntryOptions,
    pub(super) handle: EntryHandle,
    inbox: mpsc::Receiver<EntryEvent>,
    pub(super) room: Arc<Semaphore>,
    pub(super) clock: Clock,
    /// All links, and who is silent.
    pub(super) links: Links,
    pub(super) sync: Peers<SyncId>,
    pub(super) ndb: Peers<NdbId>,
    pub(super) entries: Entries,
    /// Unknown until the first tail is open: positions count from somewhere.
    pub(super) reader: Option<Reader>,
    pub(super) segmenter: Segmenter,
    pub(super) delivery: Delivery,
    pub(super) recorder: Recorder,
    pub(super) reads: Box<Reads>,
    /// With which clients read the store.
    pub(super) store: ReadContext,
    /// Whose stamps are left out.
    pub(super) skew: Skew,
    /// Sync nodes have forgotten owners of the age of this one's.
    pub(super) refused: Refused,
    pub(super) awaited: Awaited,
    /// Boxed: the future of a whole process would be too large for a stack.
    pub(super) calls: Box<Calls>,
    /// Procedures that decide.
    pub(super) deciders: Box<Deciders>,
    /// Who others hear of.
    pub(super) meta: Box<Meta>,
    pub(super) removals: Removals,
    /// What is read of the store for calls that are open.
    pub(super) reads_of_calls: Tasks,
    pub(super) across: Box<Across>,
    /// What was published without room for it, as nobody could wait: it is not given back.
    pub(super) owed_room: usize,
    /// When sessions last left something to be published.
    pub(super) last_words_at: Option<Instant>,
    /// The node ends then, or when what it has taken has its place.
    stop_by: Option<Instant>,
    pub(super) sessions: FxHashMap<SessionId, Client>,
    /// Numbers of meta events: they tell nobody how many there are.
    pub(super) meta_numbers: StdRng,
    /// When each unresolved segment closed, in seq order.
    pub(super) closed_at: VecDeque<Instant>,
    pub(super) metrics: Metrics,
}

/// An open session.
pub(super) struct Client {
    info: Arc<SessionInfo>,
    pub(super) outbound: Outbound,
}

/// What a batch of events owes.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) order: order::Effects,
    pub(super) segmenter: segmenter::Effects,
    pub(super) delivery: delivery::Effects,
    /// So many notes of delivery were looked at for changes of subscriptions.
    pub(super) noted: usize,
    pub(super) meta: Vec<Event>,
    pub(super) calls: CallEffects,
}

impl EntryNode {
    /// An entry that knows nobody yet.
    #[must_use]
    pub fn new(options: EntryOptions) -> Self {
        Self::recorded(options, Recorder::off())
    }

    /// The same, and records what its machines are given.
    #[must_use]
    pub fn recorded(options: EntryOptions, mut recorder: Recorder) -> Self {
        let (handle, inbox) = EntryHandle::new();
        let timeout = options.publish_timeout.as_millis();
        let of_segmenter = SegmenterOptions {
            owner: options.owner,
            membership: options.membership.clone(),
            stall_ms: STALL_MS,
            publish_timeout_ms: u64::try_from(timeout).unwrap_or(u64::MAX),
            messages_max: options.limits.segment_messages_max,
            bytes_max: options.limits.segment_bytes_max,
        };
        let of_delivery = DeliveryOptions {
            owner: options.owner,
            membership: options.membership.clone(),
            subscriptions: subscription_limits(&options.limits),
            numbering: options.numbering.clone(),
            waiting_bytes_max: options.limits.link_queue_bytes_max,
        };
        recorded::begin(&mut recorder, &of_segmenter, &of_delivery);
        let calls = Box::new(Calls::new(&options, &handle));
        Self {
            room: room_of(&options.limits),
            links: Links::new(
                options.name.clone(),
                options.roster.clone(),
                Instant::now().into_std(),
            ),
            sync: Peers::new(options.membership.sync().iter().copied()),
            ndb: Peers::new(options.membership.ndb()),
            entries: Entries::new(options.owner),
            store: ReadContext::new(handle.clone()),
            handle,
            inbox,
            clock: Clock::start(),
            reader: None,
            segmenter: Segmenter::new(of_segmenter),
            delivery: Delivery::new(&of_delivery),
            recorder,
            reads: Box::new(Reads::new(&options)),
            skew: Skew::default(),
            refused: Refused::new(&options.membership),
            awaited: Awaited::default(),
            calls,
            deciders: Box::new(Deciders::new()),
            meta: Box::new(Meta::new(testament_limits(&options.limits))),
            removals: Removals::default(),
            reads_of_calls: Tasks::default(),
            across: Box::new(Across::new()),
            owed_room: 0,
            last_words_at: None,
            stop_by: None,
            sessions: FxHashMap::default(),
            meta_numbers: StdRng::from_seed(fresh_seed()),
            closed_at: VecDeque::new(),
            metrics: Metrics::new(),
            options,
        }
    }

    /// Where links and sessions put their events.
    #[must_use]
    pub fn inbox(&self) -> Inbox<EntryEvent> {
        self.handle.inbox.clone()
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &NodeName {
        &self.options.name
    }

    /// This incarnation, as its links know it.
    #[must_use]
    pub const fn owner(&self) -> OwnerId {
        self.options.owner
    }

    /// A look at the node from outside.
    #[must_use]
    pub fn handle(&self) -> EntryHandle {
        self.handle.clone()
    }

    /// With which its clients read the store.
    pub(crate) fn store(&self) -> ReadContext {
        self.store.clone()
    }

    /// Who an open session is.
    pub(super) fn info_of(&self, session: SessionId) -> Option<&Arc<SessionInfo>> {
        self.sessions.get(&session).map(|client| &client.info)
    }

    /// Bytes that may still be published: sessions take and forget permits, and the core gives
    /// them back when messages have their place.
    #[must_use]
    pub fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.room)
    }

    /// Runs until [`EntryEvent::Stop`]. Sessions see their [`Outbound`] end with it.
    pub async fn run(mut self) {
        let mut events = Vec::with_capacity(INBOX_FRAMES_MAX);
        self.tell_readiness();
        let mut is_stopping = false;
        while !is_stopping {
            let due = self.due();
            tokio::select! {
                biased;
                _taken = self.inbox.recv_many(&mut events, INBOX_FRAMES_MAX) => {}
                () = sleep_until(due) => {}
            }
            is_stopping = self.turn(&mut events);
        }
        self.recorder.finish();
        if self.calls.follow.unsent() > 0 || self.segmenter.unacknowledged_bytes() > 0 {
            tracing::warn!(
                bytes = self.segmenter.unacknowledged_bytes(),
                "the entry stops before all that it has written has a place: what was registered here may stay until an entry of its name begins"
            );
        }
        tracing::info!(unresolved = self.segmenter.unresolved(), "entry stopped");
    }

    /// Steps what has come and what is due, and does what that owes; whether the node is to stop.
    pub(super) fn turn(&mut self, events: &mut Vec<EntryEvent>) -> bool {
        let now = self.clock.now();
        let mut fx = Effects::default();
        let mut is_stopping = false;
        let at = Instant::now();
        let late = self.links.stalled(at.into_std());
        if late.is_some() {
            self.metrics.stalls.increment(1);
        }
        self.across.turn(at, late);
        self.renew_if_old(now, &mut fx);
        self.note_written(&mut fx.calls);
        self.note_waiting(&mut fx.calls);
        for event in events.drain(..) {
            self.on_event(now, event, &mut fx);
            is_stopping |= fx.order.left_behind.is_some();
        }
        self.note_silence(now, at, &mut fx);
        self.on_due(now, &mut fx);
        self.settle_order(now, &mut fx);
        self.settle_view(now, &mut fx);
        self.settle_removals(&mut fx);
        self.step_segmenter(now, segmenter::Input::Flush, &mut fx.segmenter);
        self.step_delivery(now, delivery::Input::Flush, &mut fx.delivery);
        self.settle_hearing(now, &mut fx);
        self.settle(now, fx);
        self.settle_history(now);
        self.settle_refused(now);
        self.tell_awaited();
        self.tell_waits();
        is_stopping || self.has_stopped()
    }

    /// Whether the node was to stop, and nothing keeps it.
    fn has_stopped(&self) -> bool {
        let is_done = self.segmenter.unacknowledged_bytes() == 0 && self.calls.follow.unsent() == 0;
        self.stop_by.is_some_and(|by| is_done || by <= Instant::now())
    }

    /// The next moment at which something is to be done without an event.
    fn due(&self) -> Option<Instant> {
        let segmenter = self.segmenter.timeout_at();
        let at = segmenter.into_iter().chain(self.delivery.timeout_at());
        let at = at.chain(self.refused.timeout_at()).chain(self.calls.complete.timeout_at()).min();
        let at = at.map(|at| self.clock.instant_of(at));
        let beat = Some(Instant::from_std(self.links.due_at()));
        let calls = self.calls.due_at().into_iter().chain(self.entries.due_at());
        let calls = calls.chain(self.removals.due_at());
        let calls = calls.chain(self.across.due_at()).min();
        let calls = calls.into_iter().chain(self.deciders.due_at()).min();
        let due = [at, self.order_due_at(), self.history_due_at(), calls, beat, self.stop_by];
        due.into_iter().flatten().min()
    }

    fn on_due(&mut self, now: WallTime, fx: &mut Effects) {
        if self.segmenter.timeout_at().is_some_and(|at| at <= now) {
            let missing = self.missing();
            let input = segmenter::Input::Timeout { missing };
            self.step_segmenter(now, input, &mut fx.segmenter);
        }
        if self.delivery.timeout_at().is_some_and(|at| at <= now) {
            self.step_delivery(now, delivery::Input::Timeout, &mut fx.delivery);
        }
        self.on_registrar_due(fx);
        self.on_surveys_due(&mut fx.calls);
    }

    fn on_event(&mut self, now: WallTime, event: EntryEvent, fx: &mut Effects) {
        match event {
            EntryEvent::Session(event) => self.on_session(now, event, fx),
            EntryEvent::Link(event) => self.on_link(now, event, fx),
            EntryEvent::History(event) => self.on_history(now, event),
            EntryEvent::View(event) => self.on_view(event, fx),
            EntryEvent::Meta(MetaEvent::Answered { number, answer }) => {
                self.calls.answered(number, answer, &mut fx.calls);
            }
            EntryEvent::Authority(AuthorityEvent(asking)) => self.deciders.on_asking(asking),
            EntryEvent::Status(answer) => {
                let _asker_gone = answer.send(self.status(now));
            }
            EntryEvent::Drain => {
                self.calls.drain(&mut fx.calls);
                self.end_registrations(fx);
            }
            EntryEvent::Stop => {
                self.end_registrations(fx);
                let by = self.last_words_at.map(|at| at + LAST_WORDS_TIME);
                self.stop_by = Some(by.unwrap_or_else(Instant::now));
            }
        }
    }

    /// What is registered here ends in the order, and that is waited for, for a while.
    fn end_registrations(&mut self, fx: &mut Effects) {
        let before = self.calls.follow.unsent();
        self.calls.stop(&mut fx.calls);
        if self.calls.follow.unsent() > before {
            self.last_words_at = Some(Instant::now());
        }
    }

    fn on_session(&mut self, now: WallTime, event: SessionEvent, fx: &mut Effects) {
        let input = match event {
            SessionEvent::Opened { info, outbound } => {
                self.tell_session(now, &info, false, fx);
                self.calls.opened(&info, &mut fx.calls);
                if self.calls.are_over() {
                    outbound.send_calls_over();
                }
                self.meta.open(&info);
                self.sessions.insert(info.session, Client { info, outbound });
                return;
            }
            SessionEvent::Publish { session, messages } => {
                if !self.sessions.contains_key(&session) {
                    // It was ended before it knew: what it has said since is not taken.
                    let bytes = messages.iter().map(Publish::counted_bytes).sum();
                    return self.room.add_permits(bytes);
                }
                let input = segmenter::Input::Publish { session, messages };
                return self.step_segmenter(now, input, &mut fx.segmenter);
            }
            SessionEvent::Subscribe { session, request, pattern, mode } => {
                // One that is gone wants no answer.
                let Some(client) = self.sessions.get(&session) else { return };
                let origin = client.info.origin;
                delivery::Input::Subscribe { session, origin, request, pattern, mode }
            }
            SessionEvent::Join { session, join, subscriptions } => {
                delivery::Input::Join { session, join, subscriptions }
            }
            SessionEvent::Unsubscribe { session, request, subscription } => {
                delivery::Input::Unsubscribe { session, request, subscription }
            }
            SessionEvent::Calls { session, words } => {
                self.calls.words(session, words, &mut fx.calls);
                return self.answer_meta(now, fx);
            }
            SessionEvent::Rights { session, permissions } => {
                if let Some(permissions) = &permissions {
                    self.calls.rights(session, permissions, &mut fx.calls);
                }
                return self.meta.judge_testaments(session, permissions.as_ref());
            }
            SessionEvent::Closed { session } => {
                // One that was ended before is over already.
                if let Some(client) = self.sessions.remove(&session) {
                    self.on_closed(now, &client.info, fx);
                }
                return;
            }
        };
        self.step_delivery(now, input, &mut fx.delivery);
    }

    /// Ends a session at once; its client hears why as soon as its task has read that.
    pub(super) fn end_session(
        &mut self,
        now: WallTime,
        session: SessionId,
        goodbye: Arc<Goodbye>,
        fx: &mut Effects,
    ) {
        if let Some(Client { info, outbound }) = self.sessions.remove(&session) {
            tracing::info!(session = session.0, realm = %info.realm, "session killed");
            outbound.send_killed(goodbye);
            self.on_closed(now, &info, fx);
        }
    }

    /// A session is over.
    fn on_closed(&mut self, now: WallTime, info: &SessionInfo, fx: &mut Effects) {
        let session = info.session;
        self.calls.closed(session, &mut fx.calls);
        self.publish_last(now, session, fx);
        self.tell_session(now, info, true, fx);
        let input = delivery::Input::SessionClosed { session };
        self.step_delivery(now, input, &mut fx.delivery);
    }

    fn on_link(&mut self, now: WallTime, event: LinkEvent, fx: &mut Effects) {
        match event {
            LinkEvent::Up { link, peer, name, sender, is_dialled } => {
                tracing::debug!(peer = %name, %link, "link is mine");
                let linked = Linked { peer, name, sender: sender.clone() };
                self.links.up(link, linked, Instant::now().into_std());
                self.on_up(now, link, (peer, is_dialled), sender, fx);
            }
            LinkEvent::Messages { link, peer, messages } => {
                if self.links.heard(link, Instant::now().into_std()).is_some() {
                    self.on_silence(now, link, peer, false, fx);
                }
                match peer {
                    PeerId::Sync { id, .. } if self.sync.is_current(id, link) => {
                        for message in messages {
                            self.on_sync(link, id, message, fx);
                        }
                    }
                    PeerId::Ndb { id, .. } if self.ndb.is_current(id, link) => {
                        for message in messages {
                            if let Message::Node(NodeMessage::NdbNowhere { nowhere }) = message {
                                self.links.set_nowhere(link, nowhere);
                                self.tell_readiness();
                            } else {
                                self.on_ndb(now, id, message, fx);
                            }
                        }
                    }
                    PeerId::Entry { owner } => self.on_entry(now, owner, link, messages, fx),
                    // Of a link that a newer one has replaced.
                    PeerId::Sync { .. } | PeerId::Ndb { .. } => {}
                }
            }
            LinkEvent::Failed { name, refusal } => {
                self.links.failed(name, refusal);
                self.tell_readiness();
            }
            LinkEvent::Down { link, peer, name, reason } => {
                match peer {
                    PeerId::Entry { owner } if self.entries.is_spare(owner, link) => {
                        tracing::info!(peer = %name, reason, "spare link down, another one stays");
                    }
                    _only_one => tracing::info!(peer = %name, reason, "link down"),
                }
                self.links.down(link);
                self.awaited.down(link);
                self.on_down(now, link, peer, reason, fx);
            }
        }
    }

    fn on_up(
        &mut self,
        now: WallTime,
        link: LinkId,
        (peer, is_dialled): (PeerId, bool),
        sender: LinkSender,
        fx: &mut Effects,
    ) {
        match peer {
            PeerId::Sync { id, .. } => {
                if self.sync.up(id, link, sender) {
                    self.read_order(order::Input::FeedUp { feed: id }, fx);
                }
            }
            PeerId::Ndb { id: ndb, .. } => {
                if self.ndb.up(ndb, link, sender) {
                    let input = segmenter::Input::NdbUp { ndb };
                    self.step_segmenter(now, input, &mut fx.segmenter);
                    self.step_delivery(now, delivery::Input::NdbUp { ndb }, &mut fx.delivery);
                    self.reads.ndb_up(now, ndb);
                    self.read_order(order::Input::PeerUp { peer: ndb }, fx);
                }
            }
            PeerId::Entry { owner } => {
                self.on_entry_up(now, (owner, link), sender, is_dialled, fx);
            }
        }
        self.tell_readiness();
    }

    fn on_down(
        &mut self,
        now: WallTime,
        link: LinkId,
        peer: PeerId,
        reason: String,
        fx: &mut Effects,
    ) {
        match peer {
            PeerId::Sync { id, .. } => {
                if self.sync.down(id, link, reason) {
                    self.read_order(order::Input::FeedDown { feed: id }, fx);
                    self.skew.forget(id);
                }
            }
            PeerId::Ndb { id: ndb, .. } => {
                if self.ndb.down(ndb, link, reason) {
                    let input = segmenter::Input::NdbDown { ndb };
                    self.step_segmenter(now, input, &mut fx.segmenter);
                    self.step_delivery(now, delivery::Input::NdbDown { ndb }, &mut fx.delivery);
                    self.reads.ndb_down(now, ndb);
                    self.read_order(order::Input::PeerDown { peer: ndb }, fx);
                }
            }
            PeerId::Entry { owner } => self.on_entry_down(now, (owner, link), reason, fx),
        }
        self.tell_readiness();
    }
}

/// 32 bytes of the system's randomness.
pub(crate) fn fresh_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        // Numbers that others could foretell would be told to them all the same.
        tracing::error!(%error, "the system gives no randomness");
        vixen_runtime::telemetry::flush();
        std::process::abort();
    }
    seed
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
