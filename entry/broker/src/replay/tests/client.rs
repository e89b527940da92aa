//! A session with the books that ship, and what its client must get, over a queue with the bound that ships.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use vixen_core::id::PermanentId;

use super::*;
use crate::access::Permissions;
use crate::api::calls::CallFeatures;
use crate::api::{Outgoing, QueueRoom, RequestId, RequestKind, Sent, SessionId, SessionInfo};
use crate::client::{self, Ask, EndReason, RequestError, Told};
use crate::delivery::Input;
use crate::delivery::tests::address_of;
use crate::delivery::tests::cluster::{Cluster, Row};

/// What it takes at a time.
const BATCH: usize = 256;

/// How often what is worth proving happened, over all runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) events: u64,
    pub(super) live: u64,
    pub(super) replays: u64,
    pub(super) snapshots: u64,
    pub(super) limits: u64,
    pub(super) patterns: u64,
    /// Subscribed from beyond what is delivered.
    pub(super) ahead: u64,
    /// Left out with something live.
    pub(super) lags: u64,
    /// Joined beyond what was read.
    pub(super) gaps: u64,
    /// The order was behind the tails when the last part was read.
    pub(super) behind: u64,
    pub(super) refused: u64,
    pub(super) ended: u64,
    pub(super) failed: u64,
    /// Asked again, because the answer named what is over.
    pub(super) again: u64,
    pub(super) tail_moves: u64,
}

/// A subscription that the client has, and what it got.
struct Held {
    wanted: Subscribe,
    live_from: Position,
    until: Option<Position>,
    received: Vec<Position>,
}

/// A subscribe without an answer.
struct Asked {
    wanted: Subscribe,
    /// As the core has answered.
    live_from: Position,
}

/// A read of the store that is under way.
pub(super) struct Reading {
    request: HistoryRequest,
    /// The end of the order when the core took it.
    pub(super) end: Option<Position>,
}

pub(super) struct Client {
    pub(super) session: SessionId,
    books: client::Client,
    room: QueueRoom,
    /// On its way from the core.
    queue: VecDeque<Outgoing>,
    incoming: VecDeque<Outgoing>,
    unwritten_bytes: usize,
    /// On its way to the core.
    pub(super) to_core: VecDeque<Input>,
    subscribing: BTreeMap<RequestId, Asked>,
    unsubscribing: BTreeMap<RequestId, SubscriptionId>,
    pub(super) reading: Option<Reading>,
    is_pausing: bool,
    held: BTreeMap<SubscriptionId, Held>,
    last_request: u64,
}

impl Client {
    pub(super) fn new(session: SessionId, queue_bytes_max: usize) -> Self {
        Self {
            session,
            books: client::Client::new(info_of(session), Permissions::OPEN),
            room: QueueRoom::new(queue_bytes_max),
            queue: VecDeque::new(),
            incoming: VecDeque::new(),
            unwritten_bytes: 0,
            to_core: VecDeque::new(),
            subscribing: BTreeMap::new(),
            unsubscribing: BTreeMap::new(),
            reading: None,
            is_pausing: false,
            held: BTreeMap::new(),
            last_request: 0,
        }
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    pub(super) fn subscribe(&mut self, wanted: Subscribe) {
        let request = self.next_request();
        let mut fx = client::Effects::default();
        self.books.subscribe(request, wanted.clone(), &mut fx);
        self.subscribing.insert(request, Asked { wanted, live_from: Position::FIRST });
        self.ask(fx.ask);
    }

    /// Subscriptions that the client knows of.
    pub(super) fn known(&self) -> Vec<SubscriptionId> {
        self.held.keys().copied().collect()
    }

    pub(super) fn unsubscribe(&mut self, subscription: SubscriptionId) {
        let request = self.next_request();
        let mut fx = client::Effects::default();
        self.books.unsubscribe(request, subscription, &mut fx);
        self.unsubscribing.insert(request, subscription);
        self.ask(fx.ask);
    }

    fn ask(&mut self, asked: Vec<Ask>) {
        let (session, origin) = (self.session, address_of(0));
        self.to_core.extend(asked.into_iter().map(|ask| match ask {
            Ask::Subscribe { request, pattern, mode } => {
                Input::Subscribe { session, origin, request, pattern, mode }
            }
            Ask::Join { join, subscriptions } => Input::Join { session, join, subscriptions },
            Ask::Unsubscribe { request, subscription } => {
                Input::Unsubscribe { session, request, subscription }
            }
            Ask::LeaveRegistration { .. } | Ask::HideRegistration { .. } => {
                panic!("nobody registers")
            }
        }));
    }

    /// What the core sends: queued, unless it is events without room.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Sent {
        let is_events = matches!(outgoing, Outgoing::Events(_));
        if is_events && self.room.admit(&outgoing) == Sent::Full {
            return Sent::Full;
        }
        if !is_events {
            self.room.take(outgoing.queued_bytes());
        }
        self.queue.push_back(outgoing);
        Sent::Queued
    }

    /// Takes what the core has sent.
    pub(super) fn receive(&mut self) -> bool {
        let before = self.incoming.len();
        if !self.books.is_blocked() {
            let batch = self.queue.len().min(BATCH);
            self.incoming.extend(self.queue.drain(..batch));
        }
        self.incoming.len() > before
    }

    /// Deals with one word of the core, if it may.
    pub(super) fn take_incoming(&mut self, cluster: &Cluster, seen: &mut Seen) -> bool {
        if self.books.is_blocked() {
            return false;
        }
        let Some(outgoing) = self.incoming.pop_front() else { return false };
        self.unwritten_bytes += outgoing.queued_bytes();
        self.on_outgoing(outgoing, cluster, seen);
        true
    }

    /// The client has taken what was written.
    pub(super) fn write(&mut self) -> bool {
        let bytes = std::mem::take(&mut self.unwritten_bytes);
        self.room.give_back(bytes);
        bytes > 0
    }

    pub(super) fn begin_read(&mut self) -> bool {
        if self.reading.is_none() && !self.is_pausing {
            let request = self.books.next_read();
            self.reading = request.map(|request| Reading { request, end: None });
            return self.reading.is_some();
        }
        false
    }

    pub(super) fn resume(&mut self) -> bool {
        std::mem::take(&mut self.is_pausing)
    }

    fn on_outgoing(&mut self, outgoing: Outgoing, cluster: &Cluster, seen: &mut Seen) {
        match &outgoing {
            Outgoing::Subscribed { request, live_from, .. } => {
                let asked = self.subscribing.get_mut(request).expect("asked for");
                asked.live_from = *live_from;
            }
            Outgoing::Lagging { subscriptions, .. } => {
                seen.lags += u64::from(!subscriptions.is_empty());
            }
            Outgoing::Resolved { .. } => panic!("not of delivery"),
            Outgoing::Events(_)
            | Outgoing::Joined { .. }
            | Outgoing::Unsubscribed { .. }
            | Outgoing::Refused { .. } => {}
        }
        let is_joined = matches!(outgoing, Outgoing::Joined { .. });
        let mut fx = client::Effects::default();
        self.books.on_outgoing(outgoing, &mut fx);
        seen.gaps += u64::from(is_joined && self.books.is_blocked());
        let again = fx.ask.iter().filter(|ask| matches!(ask, Ask::Subscribe { .. }));
        seen.again += again.count() as u64;
        self.settle(fx, cluster, seen);
    }

    /// The read ends: as `segments` of the store, or in vain.
    pub(super) fn on_read(
        &mut self,
        outcome: Result<ReadPart, HistoryError>,
        cluster: &Cluster,
        seen: &mut Seen,
    ) {
        seen.failed += u64::from(outcome.is_err());
        let mut fx = client::Effects::default();
        self.books.on_read(outcome, &mut fx);
        assert_eq!(fx.lost, None, "nothing is trimmed here");
        seen.behind += u64::from(fx.pause == Some(PAUSE_BEHIND));
        self.is_pausing = fx.pause.is_some();
        self.settle(fx, cluster, seen);
    }

    fn settle(&mut self, fx: client::Effects, cluster: &Cluster, seen: &mut Seen) {
        self.ask(fx.ask);
        for told in fx.told {
            match told {
                Told::Events { batch, taken } => {
                    for index in taken {
                        let event = &batch.events()[index];
                        let held = self.held.get_mut(&event.subscription).expect("a subscription");
                        held.received.push(event.position);
                        seen.events += 1;
                    }
                }
                Told::Subscribed { request, subscription, end } => {
                    let Asked { wanted, live_from } = self.answered(request);
                    let until = wanted.is_snapshot.then_some(end);
                    let held = Held { wanted, live_from, until, received: Vec::new() };
                    self.held.entry(subscription).or_insert(held);
                }
                Told::Unsubscribed { request } => {
                    let subscription = self.unsubscribing.remove(&request).expect("asked for");
                    self.forget(subscription, cluster, false);
                }
                Told::Refused { request, kind: RequestKind::Subscribe, error } => {
                    self.answered(request);
                    seen.refused += u64::from(matches!(error, RequestError::History(_)));
                }
                Told::Refused { request, kind: RequestKind::Unsubscribe, .. } => {
                    self.unsubscribing.remove(&request).expect("asked for");
                }
                Told::Ended { subscription, reason } => {
                    assert_eq!(reason, EndReason::Complete);
                    seen.ended += 1;
                    self.forget(subscription, cluster, true);
                }
                Told::Resolved(_) | Told::Call(_) => panic!("nothing is published or called"),
            }
        }
    }

    /// C1: each request is answered once.
    fn answered(&mut self, request: RequestId) -> Asked {
        self.subscribing.remove(&request).expect("asked for, and not answered")
    }

    fn forget(&mut self, subscription: SubscriptionId, cluster: &Cluster, is_complete: bool) {
        if let Some(held) = self.held.remove(&subscription) {
            held.check(subscription, self.session, cluster, is_complete);
        }
    }

    /// Asserts that everything came in order and once; if all is said, nothing is missing.
    pub(super) fn check(&self, cluster: &Cluster, is_complete: bool) {
        for (id, held) in &self.held {
            held.check(*id, self.session, cluster, is_complete);
        }
        if is_complete {
            assert!(self.books.is_quiet(), "{:?} {:?}", self.session, self.books);
            assert!(self.subscribing.is_empty() && self.unsubscribing.is_empty());
        }
    }
}

fn info_of(session: SessionId) -> Arc<SessionInfo> {
    Arc::new(SessionInfo {
        session,
        realm: "r".into(),
        authid: "a".into(),
        authrole: "anonymous".into(),
        authmethod: "anonymous",
        authprovider: "static",
        origin: address_of(0),
        is_announced: true,
        calls: CallFeatures::default(),
    })
}

impl Held {
    fn check(&self, id: SubscriptionId, session: SessionId, cluster: &Cluster, is_complete: bool) {
        let start = match self.wanted.after {
            None if self.wanted.is_snapshot => Position::FIRST,
            None => self.live_from,
            Some(After::Beginning) => Position::FIRST,
            Some(After::Point(point)) => match point.after() {
                Bound::Position(position) => position,
                Bound::Id(id) => position_of(cluster, id),
            },
        };
        let messages = cluster.order.iter().flat_map(Row::messages);
        let wanted = messages.filter(|(position, (uri, publisher))| {
            *position >= start
                && self.until.is_none_or(|until| *position < until)
                && *publisher != session.0
                && self.wanted.pattern.matches(&vixen_core::segment::Topic::new("r", uri))
        });
        let limit = self.wanted.limit.map_or(usize::MAX, |limit| limit.try_into().expect("small"));
        let wanted: Vec<Position> = wanted.map(|(position, _)| position).take(limit).collect();
        let what = || format!("{session:?} {id:?} {:?} from {start}", self.wanted);
        assert!(wanted.starts_with(&self.received), "{}: {self:?} {wanted:?}", what());
        assert!(!is_complete || wanted == self.received, "{}: {self:?} {wanted:?}", what());
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "live from {}, got {:?}", self.live_from, self.received)
    }
}

impl Reading {
    /// What a read of the store brings, where it ends before `cut`.
    pub(super) fn part(&self, cluster: &Cluster, cut: impl FnOnce(Range<u64>) -> u64) -> ReadPart {
        let start = match self.request.start {
            Start::Anywhere => Position::FIRST,
            Start::At(HistoryPlace::Position(position)) => position,
            Start::At(HistoryPlace::Id { stamp, offset }) => {
                position_of(cluster, PermanentId { stamp, offset })
            }
            Start::At(HistoryPlace::End) => panic!("replays read forward"),
        };
        let end = self.end.expect("taken by the core");
        let end = match self.request.until {
            Some(Bound::Position(until)) => end.min(until),
            None => end,
            Some(Bound::Id(_)) => panic!("replays end at positions"),
        };
        let next = if start < end { Position(cut(start.0 + 1..end.0 + 1)) } else { end };
        let rows = cluster.order.iter().filter(|row| row.slot.first < next);
        let part = |row: &Row| row.part(&self.request.topics, &(start..next));
        ReadPart { segments: rows.filter_map(part).collect(), next, is_complete: next == end }
    }
}

/// The first position of a message with this permanent id or a later one; after all there are when
/// all are earlier.
fn position_of(cluster: &Cluster, id: PermanentId) -> Position {
    let at = cluster.order.partition_point(|row| row.whole.stamp < id.stamp);
    match cluster.order.get(at) {
        Some(row) if row.whole.stamp == id.stamp => {
            row.slot.first.plus(id.offset.min(row.slot.count))
        }
        Some(row) => row.slot.first,
        None => cluster.end(),
    }
}
