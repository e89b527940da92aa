//! Follow: the entry's own reader of the records of calls, and writer of them.
//!
//! ```text
//!   registrar <──messages, Joined, Passed── Follow <──Outgoing── delivery
//!   registrar ──what to read, records─────> Follow ──reads────> the store (tasks, which come back as events)
//!                                             └──Publish──────> segmenter
//! ```
//! It holds a [`Client`], as the task of a client does: session 0 of a realm that no client can name, announced to
//! nobody. What delivery has for it is taken in the same turn, so it never lags; at the end of a turn the view has
//! everything below [`Delivery::passed`](vixen_broker::delivery::Delivery::passed), once it reads live.
//!
//! Interest in records makes nobody wait for the order (`docs/design/026-fewer-frames.md`), except while somebody
//! here is callee, or is to be: then it wants the topic `waits` as well.

#[cfg(test)]
mod tests;
mod turn;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use vixen_broker::access::Permissions;
use vixen_broker::api::calls::CallFeatures;
use vixen_broker::api::{
    AckLevel, After, Origin, Outgoing, Publish, RequestId, SessionId, SessionInfo, Subscribe,
    SubscriptionId,
};
use vixen_broker::client::{Ask, Client, Effects as ClientEffects, RequestError, Told};
use vixen_broker::event::{Event, Target, build};
use vixen_broker::history::{
    Direction, HistoryError, HistoryRequest, Page, Pages, RefPoint, Start,
};
use vixen_broker::registrar::Read;
use vixen_broker::replay::ReadPart;
use vixen_core::id::{Position, Stamp};
use vixen_core::segment::{CALLS_REALM, Content, Match, RecordFlags, TopicPattern};
use vixen_core::time::WallTime;
use vixen_core::wire::{HistoryPlace, TailSegment};
use vixen_runtime::link::Inbox;
use vixen_views::follower::{From, Input};
use vixen_views::record::Record;

use super::super::{EntryEvent, EntryHandle};
use crate::reads::{ReadContext, Reader, read, read_page};

/// The session of the entry itself: those of clients are from 1 on.
pub(in crate::node) const OWN_SESSION: SessionId = SessionId(0);

/// Before what has failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Checkpoints, or parts of them, that are read at a time.
const EARLIER_MESSAGES: u64 = 8;

/// Of the subscription of the topic `waits`; those of records are numbered from 1.
const WAITS: RequestId = RequestId(u64::MAX);

/// The entry's clients are kept out for the view so long at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What comes back of a task of the entry's own reader.
#[derive(Debug)]
pub struct ViewEvent(pub(super) Came);

/// See [`ViewEvent`].
#[derive(Debug)]
pub(super) enum Came {
    /// What is stored of records, forward.
    Read(Result<ReadPart, HistoryError>),
    /// Checkpoints, backward.
    Earlier(Result<Page, HistoryError>),
    /// What waited has room in the entry's bound, which it has taken.
    Room,
}

impl std::convert::From<ViewEvent> for EntryEvent {
    fn from(event: ViewEvent) -> Self {
        Self::View(event)
    }
}

/// The subscription of records that counts.
#[derive(Debug)]
struct Wanted {
    from: From,
    request: RequestId,
    subscription: Option<SubscriptionId>,
    /// It was refused: asked for anew then.
    retry_at: Option<Instant>,
    /// What is stored was given, and what follows is live.
    has_joined: bool,
}

/// Whether the topic `waits` is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    No,
    Asked,
    Held(SubscriptionId),
}

/// See the module.
pub(in crate::node) struct Follow {
    client: Client,
    reader: Reader,
    inbox: Inbox<EntryEvent>,
    /// What delivery has for it, and it may not take yet.
    incoming: VecDeque<Outgoing>,
    asks: Vec<Ask>,
    /// All is there that the entry needs.
    may_begin: bool,
    has_begun: bool,
    wanted: Option<Wanted>,
    last_request: u64,
    /// Subscriptions that it has no use for any more, as soon as it is sure that they are others.
    stale: Vec<SubscriptionId>,
    is_reading: bool,
    read_at: Option<Instant>,
    /// Checkpoints that are read.
    earlier: Option<Pages>,
    earlier_at: Option<Instant>,
    /// Everything below is given.
    passed: Position,
    waiting: Waiting,
    /// Records that are to be published.
    unsent: VecDeque<Publish>,
    /// The first of them has its room, or waits for it.
    is_paid: bool,
    waits_for_room: bool,
    /// Since when clients are kept out for the view alone.
    keeps_out_since: Option<Instant>,
}

impl Follow {
    pub(super) fn new(handle: &EntryHandle) -> Self {
        let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let info = SessionInfo {
            session: OWN_SESSION,
            realm: CALLS_REALM.into(),
            authid: "".into(),
            authrole: "".into(),
            authmethod: "internal",
            authprovider: "internal",
            origin: Origin { client: address, site: None },
            is_announced: false,
            calls: CallFeatures::default(),
        };
        Self {
            client: Client::new(Arc::new(info), Permissions::OPEN),
            reader: ReadContext::new(handle.clone()).of(address),
            inbox: handle.inbox.clone(),
            incoming: VecDeque::new(),
            asks: Vec::new(),
            may_begin: false,
            has_begun: false,
            wanted: None,
            last_request: 0,
            stale: Vec::new(),
            is_reading: false,
            read_at: None,
            earlier: None,
            earlier_at: None,
            passed: Position(0),
            waiting: Waiting::No,
            unsent: VecDeque::new(),
            is_paid: false,
            waits_for_room: false,
            keeps_out_since: None,
        }
    }

    /// The next moment at which something is to be done without an event.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let now = || Instant::now();
        let has_more = !self.incoming.is_empty() && !self.client.is_blocked();
        let retry_at = self.wanted.as_ref().and_then(|wanted| wanted.retry_at);
        let keeps_out = self.keeps_out_since.map(|since| since + PATIENCE);
        let all = [has_more.then(now), self.read_at, self.earlier_at, retry_at, keeps_out];
        all.into_iter().flatten().min()
    }

    /// Delivery has something for it.
    pub(in crate::node) fn tell(&mut self, outgoing: Outgoing) {
        self.incoming.push_back(outgoing);
    }

    /// This is to be read.
    pub(super) fn read(&mut self, read: Read) {
        match read {
            Read::Earlier { from_end } => {
                if from_end || self.earlier.is_none() {
                    self.earlier = Some(Pages::new(checkpoints(), EARLIER_MESSAGES));
                }
                self.earlier_at = Some(Instant::now());
            }
            Read::Follow(from) => self.follow(from),
        }
    }

    /// This is to be published.
    pub(super) fn write(&mut self, record: &Record) {
        self.unsent.push_back(Publish {
            topic: record.topic(),
            content: Content::Raw,
            payload: Bytes::from(record.to_bytes()),
            attributes: Bytes::new(),
            flags: RecordFlags::default(),
            acknowledge: None,
            level: AckLevel::Canonical,
            wait: true,
        });
    }

    fn follow(&mut self, from: From) {
        let before = self.wanted.take();
        self.stale.extend(before.and_then(|wanted| wanted.subscription));
        self.last_request += 1;
        let request = RequestId(self.last_request);
        let after = match from {
            From::After(place) => Some(After::Point(RefPoint::Position(place))),
            From::First => Some(After::Beginning),
            From::Now => None,
        };
        let mut fx = ClientEffects::default();
        // A client shares one subscription among all that want the same: the one before is left first.
        for subscription in std::mem::take(&mut self.stale) {
            self.client.leave(subscription, &mut fx);
        }
        let pattern = TopicPattern::all(CALLS_REALM);
        let wanted = Subscribe { pattern, after, limit: None, is_snapshot: false };
        self.client.subscribe(request, wanted, &mut fx);
        self.asks.append(&mut fx.ask);
        let (subscription, retry_at, has_joined) = (None, None, false);
        self.wanted = Some(Wanted { from, request, subscription, retry_at, has_joined });
        (self.passed, self.read_at) = (Position(0), None);
    }

    /// A subscription stands.
    fn subscribed(&mut self, request: RequestId, subscription: SubscriptionId) {
        match &mut self.wanted {
            Some(wanted) if wanted.request == request => wanted.subscription = Some(subscription),
            Some(_) | None => self.stale.push(subscription),
        }
        let current = self.wanted.as_ref().and_then(|wanted| wanted.subscription);
        if current.is_some() {
            let mut fx = ClientEffects::default();
            for stale in std::mem::take(&mut self.stale) {
                if Some(stale) != current {
                    self.client.leave(stale, &mut fx);
                }
            }
            self.asks.append(&mut fx.ask);
        }
    }

    /// What the client tells, as inputs of the view.
    fn take(&mut self, fx: ClientEffects, inputs: &mut Vec<Input>) {
        let ClientEffects { ask, told, lost, pause, failed, left_out: _ } = fx;
        self.asks.extend(ask);
        for told in told {
            match told {
                Told::Subscribed { request, subscription, .. } => {
                    self.subscribed(request, subscription);
                }
                Told::Events { batch, taken } => {
                    let Some(at) = batch.stamp().map(Stamp::wall_time) else { continue };
                    let current = self.wanted.as_ref().and_then(|wanted| wanted.subscription);
                    let events = taken.into_iter().filter_map(|index| batch.events().get(index));
                    let events = events.filter(|event| Some(event.subscription) == current);
                    inputs.extend(events.filter_map(|event| message(event, at)));
                }
                Told::Refused { request, error, .. } => self.on_refused(request, &error, inputs),
                Told::Ended { .. }
                | Told::Resolved(_)
                | Told::Unsubscribed { .. }
                | Told::Call(_) => {}
            }
        }
        if let Some(error) = failed {
            tracing::debug!(%error, "records of calls are read again");
        }
        if let Some(pause) = pause {
            self.read_at = Some(Instant::now() + pause);
        }
        if matches!(lost, Some(HistoryError::Trimmed { .. })) {
            inputs.push(Input::Dropped);
        }
    }

    fn on_refused(&mut self, request: RequestId, error: &RequestError, inputs: &mut Vec<Input>) {
        let Some(wanted) = self.wanted.as_mut().filter(|wanted| wanted.request == request) else {
            return;
        };
        if matches!(error, RequestError::History(HistoryError::Trimmed { .. })) {
            inputs.push(Input::Dropped);
        } else {
            tracing::debug!(%error, "records of calls cannot be followed yet");
            wanted.retry_at = Some(Instant::now() + PAUSE);
        }
    }

    /// What a page of checkpoints has brought.
    fn take_earlier(&mut self, page: Result<Page, HistoryError>, inputs: &mut Vec<Input>) {
        let Some(pages) = &mut self.earlier else { return };
        match page {
            Ok(page) => {
                for segment in pages.take(page) {
                    inputs.extend(earlier(&segment));
                }
                inputs.push(Input::EarlierRead { is_all: pages.next().is_none() });
            }
            Err(error) => {
                tracing::debug!(%error, "checkpoints of calls cannot be read yet");
                self.earlier_at = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Begins the reads that are to be made now.
    fn begin_reads(&mut self, now: Instant) {
        self.read_at = self.read_at.filter(|at| now < *at);
        if self.read_at.is_none()
            && !self.is_reading
            && let Some(request) = self.client.next_read()
        {
            self.is_reading = true;
            let reader = self.reader.clone();
            self.come_back(async move { Came::Read(read(reader, request).await) });
        }
        if self.earlier_at.is_some_and(|at| at <= now) {
            self.earlier_at = None;
            if let Some(request) = self.earlier.as_ref().and_then(Pages::next) {
                let reader = self.reader.clone();
                self.come_back(async move { Came::Earlier(read_page(reader, request).await) });
            }
        }
        let retry =
            self.wanted.as_mut().filter(|wanted| wanted.retry_at.is_some_and(|at| at <= now));
        if let Some(from) = retry.map(|wanted| wanted.from) {
            self.follow(from);
        }
    }

    fn come_back(&self, task: impl Future<Output = Came> + Send + 'static) {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let _stopped = inbox.send(ViewEvent(task.await).into()).await;
        });
    }

    /// Which of the subscriptions of records counts: another number each time.
    pub(super) const fn followed(&self) -> u64 {
        self.last_request
    }

    /// Records that wait for room.
    pub(in crate::node) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// What waits to be published.
    #[cfg(test)]
    pub(super) fn take_unsent(&mut self) -> VecDeque<Publish> {
        std::mem::take(&mut self.unsent)
    }

    /// Whether all that is stored was given, and all that came was taken.
    fn is_live(&self) -> bool {
        let has_it = self.wanted.as_ref().is_some_and(|wanted| wanted.subscription.is_some());
        has_it && self.client.is_live() && self.incoming.is_empty()
    }
}

/// All checkpoints, the newest first.
fn checkpoints() -> HistoryRequest {
    let topic = Record::checkpoints();
    HistoryRequest {
        start: Start::At(HistoryPlace::End),
        direction: Direction::Backward,
        until: None,
        topics: vec![TopicPattern::new(&topic.realm, &topic.uri, Match::Exact)],
        limit: None,
        named: None,
    }
}

fn message(event: &Event, at: WallTime) -> Option<Input> {
    let topic = Arc::clone(&event.topic.as_ref()?.uri);
    Some(Input::Message { position: event.position, at, topic, payload: event.payload.clone() })
}

/// The checkpoints of a segment, the last first.
fn earlier(segment: &TailSegment) -> Vec<Input> {
    let target = Target { subscription: SubscriptionId(0), names_topic: true };
    let targets = vec![vec![target]; segment.topics.len()];
    let at = segment.stamp.wall_time();
    let built = build(segment, &targets);
    let events = built.batch.events().iter().rev();
    let one = |event: &Event| Input::Earlier {
        position: event.position,
        at,
        payload: event.payload.clone(),
    };
    events.map(one).collect()
}
