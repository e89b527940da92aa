//! A session with the real subscriber, and what its client must get. It keeps the books that
//! `wamp::outbox` keeps, over a queue with the bound that ships.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use vixen_core::id::PermanentId;

use super::*;
use crate::api::{Outgoing, QueueRoom, RequestId, Sent, SessionId};
use crate::delivery::Input;
use crate::delivery::tests::address_of;
use crate::delivery::tests::cluster::{Cluster, Row};

/// Of an UNSUBSCRIBE that the session makes itself.
const OWN_REQUEST: RequestId = RequestId(0);

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
    wish: Wish,
    live_from: Position,
    until: Option<Position>,
    received: Vec<Position>,
}

/// A read of the store that is under way.
pub(super) struct Reading {
    request: HistoryRequest,
    /// The end of the order when the core took it.
    pub(super) end: Option<Position>,
}

pub(super) struct Client {
    pub(super) session: SessionId,
    feed: Subscriber,
    room: QueueRoom,
    /// On its way from the core.
    queue: VecDeque<Outgoing>,
    incoming: VecDeque<Outgoing>,
    unwritten_bytes: usize,
    /// On its way to the core.
    pub(super) to_core: VecDeque<Input>,
    subscribing: Vec<(RequestId, Wish)>,
    unsubscribing: Vec<(RequestId, SubscriptionId)>,
    /// Unsubscribed by the session itself, without an answer.
    leaving: VecDeque<SubscriptionId>,
    pub(super) reading: Option<Reading>,
    is_pausing: bool,
    held: BTreeMap<SubscriptionId, Held>,
    last_request: u64,
}

impl Client {
    pub(super) fn new(session: SessionId, queue_bytes_max: usize) -> Self {
        Self {
            session,
            feed: Subscriber::default(),
            room: QueueRoom::new(queue_bytes_max),
            queue: VecDeque::new(),
            incoming: VecDeque::new(),
            unwritten_bytes: 0,
            to_core: VecDeque::new(),
            subscribing: Vec::new(),
            unsubscribing: Vec::new(),
            leaving: VecDeque::new(),
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

    pub(super) fn subscribe(&mut self, wish: Wish) {
        let request = self.next_request();
        self.ask(request, wish);
    }

    fn ask(&mut self, request: RequestId, wish: Wish) {
        let (session, pattern, mode) = (self.session, wish.pattern.clone(), wish.mode());
        let origin = address_of(0);
        self.to_core.push_back(Input::Subscribe { session, origin, request, pattern, mode });
        self.subscribing.push((request, wish));
    }

    /// Subscriptions that the client knows of.
    pub(super) fn known(&self) -> Vec<SubscriptionId> {
        self.held.keys().copied().filter(|id| self.is_announced(*id)).collect()
    }

    fn is_announced(&self, id: SubscriptionId) -> bool {
        self.feed.subscriptions.get(&id).is_some_and(|known| known.is_announced)
    }

    pub(super) fn unsubscribe(&mut self, subscription: SubscriptionId) {
        let (session, request) = (self.session, self.next_request());
        self.unsubscribing.push((request, subscription));
        self.to_core.push_back(Input::Unsubscribe { session, request, subscription });
    }

    /// What the core sends: queued, unless it is events without room.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Sent {
        let is_events = matches!(outgoing, Outgoing::Events(_));
        if is_events && self.room.admit(&outgoing) == Sent::Full {
            return Sent::Full;
        }
        if !is_events {
            self.room.take(&outgoing);
        }
        self.queue.push_back(outgoing);
        Sent::Queued
    }

    /// Takes what the core has sent.
    pub(super) fn receive(&mut self) -> bool {
        let before = self.incoming.len();
        if !self.feed.is_blocked() {
            let batch = self.queue.len().min(BATCH);
            self.incoming.extend(self.queue.drain(..batch));
        }
        self.incoming.len() > before
    }

    /// Deals with one word of the core, if it may.
    pub(super) fn take_incoming(&mut self, cluster: &Cluster, seen: &mut Seen) -> bool {
        if self.feed.is_blocked() {
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
            let request = self.feed.next_read();
            self.reading = request.map(|request| Reading { request, end: None });
            return self.reading.is_some();
        }
        false
    }

    pub(super) fn resume(&mut self) -> bool {
        std::mem::take(&mut self.is_pausing)
    }

    fn on_outgoing(&mut self, outgoing: Outgoing, cluster: &Cluster, seen: &mut Seen) {
        match outgoing {
            Outgoing::Events(batch) => self.put_events(&batch, true, cluster, seen),
            Outgoing::Subscribed { request, subscription, live_from, end } => {
                let asked = self.subscribing.iter().position(|(asked, _)| *asked == request);
                let (_, wish) = self.subscribing.remove(asked.expect("asked for"));
                if self.leaving.contains(&subscription) {
                    seen.again += 1;
                    return self.ask(request, wish);
                }
                self.feed.subscribed(subscription, &wish, live_from, end);
                let until = wish.is_snapshot.then_some(end);
                let held = Held { wish, live_from, until, received: Vec::new() };
                self.held.entry(subscription).or_insert(held);
            }
            Outgoing::Joined { join, from } => {
                self.feed.on_joined(join, from);
                seen.gaps += u64::from(self.feed.is_blocked());
            }
            Outgoing::Lagging { from, subscriptions } => {
                seen.lags += u64::from(!subscriptions.is_empty());
                self.feed.on_lagging(from, &subscriptions);
            }
            Outgoing::Unsubscribed { request: OWN_REQUEST }
            | Outgoing::Refused { request: OWN_REQUEST, .. } => {
                self.leaving.pop_front();
            }
            Outgoing::Unsubscribed { request } => {
                let at = self.unsubscribing.iter().position(|(asked, _)| *asked == request);
                let (_, subscription) = self.unsubscribing.remove(at.expect("asked for"));
                self.feed.remove(subscription);
                self.forget(subscription, cluster, false);
            }
            Outgoing::Refused { request, .. } => {
                self.subscribing.retain(|(asked, _)| *asked != request);
                self.unsubscribing.retain(|(asked, _)| *asked != request);
            }
            Outgoing::Resolved { .. } => panic!("not of delivery"),
        }
    }

    /// The read ends: as `segments` of the store, or in vain.
    pub(super) fn on_read(
        &mut self,
        outcome: Result<ReadPart, HistoryError>,
        cluster: &Cluster,
        seen: &mut Seen,
    ) {
        seen.failed += u64::from(outcome.is_err());
        let Effects {
            announce,
            batches,
            join,
            ended,
            refused,
            lost,
            pause,
            failed: _,
            left_out: _,
        } = self.feed.on_read(outcome);
        assert_eq!(lost, None, "nothing is trimmed here");
        assert!(announce.iter().all(|id| self.is_announced(*id)));
        for batch in &batches {
            self.put_events(batch, false, cluster, seen);
        }
        for subscription in ended {
            self.put_end(subscription, cluster, seen);
        }
        for (subscription, _error) in refused {
            seen.refused += 1;
            self.held.remove(&subscription);
            self.leave(subscription);
        }
        let session = self.session;
        if let Some((join, subscriptions)) = join {
            self.to_core.push_back(Input::Join { session, join, subscriptions });
        }
        seen.behind += u64::from(pause == Some(PAUSE_BEHIND));
        self.is_pausing = pause.is_some();
    }

    fn put_events(
        &mut self,
        batch: &EventBatch,
        is_live: bool,
        cluster: &Cluster,
        seen: &mut Seen,
    ) {
        let receiver = Receiver { session: self.session.0, authid: "a", authrole: "anonymous" };
        let mut ended = Vec::new();
        for index in self.feed.take(batch, is_live, &receiver, &mut ended) {
            let event = &batch.events()[index];
            let held = self.held.get_mut(&event.subscription).expect("a subscription");
            held.received.push(event.position);
            seen.events += 1;
        }
        for subscription in ended {
            self.put_end(subscription, cluster, seen);
        }
    }

    fn put_end(&mut self, subscription: SubscriptionId, cluster: &Cluster, seen: &mut Seen) {
        if self.feed.remove(subscription) {
            seen.ended += 1;
            self.forget(subscription, cluster, true);
            self.leave(subscription);
        }
    }

    fn leave(&mut self, subscription: SubscriptionId) {
        let (session, request) = (self.session, OWN_REQUEST);
        self.leaving.push_back(subscription);
        self.to_core.push_back(Input::Unsubscribe { session, request, subscription });
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
            assert!(self.feed.replays.is_empty(), "{:?} {:?}", self.session, self.feed);
            assert!(self.subscribing.is_empty(), "{:?} {:?}", self.session, self.subscribing);
            assert_eq!(self.known().len(), self.held.len(), "{:?}", self.session);
            assert!(self.unsubscribing.is_empty() && self.leaving.is_empty());
        }
    }
}

impl Held {
    fn check(&self, id: SubscriptionId, session: SessionId, cluster: &Cluster, is_complete: bool) {
        let start = match self.wish.after {
            None if self.wish.is_snapshot => Position::FIRST,
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
                && self.wish.pattern.matches(&vixen_core::segment::Topic::new("r", uri))
        });
        let limit = self.wish.limit.map_or(usize::MAX, |limit| limit.try_into().expect("small"));
        let wanted: Vec<Position> = wanted.map(|(position, _)| position).take(limit).collect();
        let what = || format!("{session:?} {id:?} {:?} from {start}", self.wish);
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
