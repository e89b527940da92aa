//! A session of an entry of the World: what an entry's client task does for one client, over the shipped
//! subscriber.
//!
//! To be replaced by the one client machine of `entry/broker` when there is one.

use std::collections::{BTreeMap, VecDeque};

use vixen_broker::api::{
    AckLevel, Acknowledged, JoinId, Outgoing, QueueRoom, RequestId, Sent, SessionId, Subscribe,
    SubscriptionId,
};
use vixen_broker::event::EventBatch;
use vixen_broker::history::{
    HistoryError, HistoryItem, HistoryRequest, ReadId, end_of, messages_of,
};
use vixen_broker::replay::{Effects, ReadPart, Subscriber};
use vixen_core::id::Position;
use vixen_core::segment::{Receiver, TopicPattern};
use vixen_core::wire::TailSegment;

use super::io::{Counted, Fact, Mark, Out};
use super::mutant::Mutant;

/// What it takes from its queue at a time.
const BATCH: usize = 16;
/// Of the UNSUBSCRIBE that follows a subscription that could not begin.
const OWN_REQUEST: RequestId = RequestId(0);

/// What it tells the core.
#[derive(Debug)]
pub(super) enum Word {
    Subscribe(RequestId, Subscribe),
    Join(JoinId, Vec<SubscriptionId>),
    Unsubscribe(RequestId, SubscriptionId),
    Read(HistoryRequest),
    Took(ReadId),
    Cancel(ReadId),
}

/// A read that is under way.
#[derive(Debug)]
struct Reading {
    limit: Option<u64>,
    read: Option<ReadId>,
    segments: Vec<TailSegment>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    session: SessionId,
    mutant: Option<Mutant>,
    /// Whose messages it publishes.
    publisher: u32,
    subscriber: Subscriber,
    room: QueueRoom,
    /// From the core.
    queue: VecDeque<Outgoing>,
    items: VecDeque<(ReadId, HistoryItem)>,
    unwritten_bytes: usize,
    pub(super) to_core: VecDeque<Word>,
    /// What is asked for, and for which plant.
    subscribing: BTreeMap<RequestId, (Subscribe, usize)>,
    /// Which plant a subscription is of.
    plants: BTreeMap<SubscriptionId, usize>,
    reading: Option<Reading>,
    pauses_until_us: u64,
    /// Segments after which a read stops.
    read_max: usize,
    /// What the client is owed next is gone, or cannot be had: it has to come again.
    pub(super) is_over: bool,
}

impl Client {
    pub(super) fn new(
        session: SessionId,
        publisher: u32,
        queue_bytes_max: usize,
        read_max: usize,
        mutant: Option<Mutant>,
    ) -> Self {
        Self {
            session,
            mutant,
            publisher,
            subscriber: Subscriber::default(),
            room: QueueRoom::new(queue_bytes_max),
            queue: VecDeque::new(),
            items: VecDeque::new(),
            unwritten_bytes: 0,
            to_core: VecDeque::new(),
            subscribing: BTreeMap::new(),
            plants: BTreeMap::new(),
            reading: None,
            pauses_until_us: 0,
            read_max,
            is_over: false,
        }
    }

    pub(super) fn subscribe(&mut self, plant: usize, wanted: Subscribe) {
        let request = RequestId(1 + plant as u64);
        self.subscribing.insert(request, (wanted.clone(), plant));
        self.to_core.push_back(Word::Subscribe(request, wanted));
    }

    /// What the core sends: queued, unless it is events without room.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Sent {
        if matches!(outgoing, Outgoing::Events(_)) {
            if self.room.admit(&outgoing) == Sent::Full {
                return Sent::Full;
            }
        } else {
            self.room.take(&outgoing);
        }
        self.queue.push_back(outgoing);
        Sent::Queued
    }

    pub(super) fn hand(&mut self, read: ReadId, item: HistoryItem) {
        self.items.push_back((read, item));
    }

    /// The core has begun to read.
    pub(super) const fn opened(&mut self, read: ReadId) {
        if let Some(reading) = &mut self.reading {
            reading.read = Some(read);
        }
    }

    fn may_take(&self) -> bool {
        !self.subscriber.is_blocked() || self.mutant == Some(Mutant::LiveBeforeLast)
    }

    /// Whether there is anything to do, now or at a time.
    pub(super) fn due_us(&self, now_us: u64) -> Option<u64> {
        let has_words = !self.queue.is_empty() && self.may_take();
        let is_busy = has_words || !self.items.is_empty() || self.unwritten_bytes > 0;
        let waits = self.pauses_until_us > now_us && self.reading.is_none();
        match (is_busy, waits) {
            (true, _) => Some(now_us),
            (false, true) => Some(self.pauses_until_us),
            (false, false) => None,
        }
    }

    /// Goes on: takes what has come, and reads what is stored.
    pub(super) fn pump(&mut self, now_us: u64, out: &mut Out) {
        let bytes = std::mem::take(&mut self.unwritten_bytes);
        self.room.give_back(bytes);
        for _ in 0..BATCH {
            if !self.may_take() {
                break;
            }
            let Some(outgoing) = self.queue.pop_front() else { break };
            self.unwritten_bytes += outgoing.queued_bytes();
            self.on_outgoing(outgoing, out);
        }
        while let Some((read, item)) = self.items.pop_front() {
            self.on_item(now_us, read, item, out);
        }
        if self.reading.is_none()
            && self.pauses_until_us <= now_us
            && let Some(request) = self.subscriber.next_read()
        {
            let limit = request.limit;
            self.reading = Some(Reading { limit, read: None, segments: Vec::new() });
            self.to_core.push_back(Word::Read(request));
        }
    }

    fn on_outgoing(&mut self, outgoing: Outgoing, out: &mut Out) {
        match outgoing {
            Outgoing::Events(batch) => self.put_events(&batch, true, out),
            Outgoing::Subscribed { request, subscription, live_from, end } => {
                let Some((wanted, plant)) = self.subscribing.remove(&request) else { return };
                let is_live = self.subscriber.subscribed(subscription, &wanted, live_from, end);
                self.plants.insert(subscription, plant);
                if is_live {
                    out.facts.push(Fact::Begins { plant, from: live_from });
                }
            }
            Outgoing::Joined { join, from } => {
                out.count(Counted::Joined);
                let from = match self.mutant {
                    Some(Mutant::JoinedTooEarly) => Position(from.0.saturating_sub(1).max(1)),
                    _ => from,
                };
                self.subscriber.on_joined(join, from);
            }
            Outgoing::Lagging { from, subscriptions } => {
                if !subscriptions.is_empty() {
                    out.count(Counted::Lagged);
                }
                self.subscriber.on_lagging(from, &subscriptions);
            }
            Outgoing::Resolved { answers, .. } => {
                for (request, answer) in answers {
                    let number = u32::try_from(request.0).expect("a number of a message");
                    let mark = Mark { publisher: self.publisher, number };
                    out.facts.push(match answer {
                        Ok(Acknowledged::Canonical(place)) => Fact::Answered {
                            mark,
                            level: AckLevel::Canonical,
                            place: Some((self.told(place.position), place.id)),
                        },
                        Ok(Acknowledged::Durable { .. }) => {
                            Fact::Answered { mark, level: AckLevel::Durable, place: None }
                        }
                        Err(_no_quorum) => Fact::NotAnswered { mark },
                    });
                }
            }
            Outgoing::Unsubscribed { .. } | Outgoing::Refused { request: OWN_REQUEST, .. } => {}
            Outgoing::Refused { error, .. } => panic!("nothing is bounded here: {error}"),
        }
    }

    fn told(&self, position: Position) -> Position {
        match self.mutant {
            Some(Mutant::AnswersOneOff) => position.plus(1),
            _ => position,
        }
    }

    fn on_item(&mut self, now_us: u64, read: ReadId, item: HistoryItem, out: &mut Out) {
        let Some(reading) = self.reading.as_mut().filter(|one| one.read == Some(read)) else {
            return;
        };
        let outcome = match item {
            HistoryItem::Segments(more) => {
                reading.segments.extend(more);
                if reading.segments.len() < self.read_max {
                    self.to_core.push_back(Word::Took(read));
                    return;
                }
                self.to_core.push_back(Word::Cancel(read));
                let segments = std::mem::take(&mut reading.segments);
                let next = segments.last().map(end_of).expect("at least one");
                Ok(ReadPart { segments, next, is_complete: false })
            }
            HistoryItem::End { next } => {
                let segments = std::mem::take(&mut reading.segments);
                let messages = segments.iter().map(messages_of).sum::<u64>();
                let is_complete = reading.limit.is_none_or(|limit| messages < limit);
                Ok(ReadPart { segments, next, is_complete })
            }
            HistoryItem::Failed(error) => Err(error),
        };
        self.reading = None;
        self.on_read(now_us, outcome, out);
    }

    fn on_read(&mut self, now_us: u64, outcome: Result<ReadPart, HistoryError>, out: &mut Out) {
        let fx: Effects = self.subscriber.on_read(outcome);
        for batch in &fx.batches {
            self.put_events(batch, false, out);
        }
        for (subscription, error) in fx.refused {
            if let Some(plant) = self.plants.remove(&subscription) {
                note_dropped(plant, &error, out);
            }
            self.to_core.push_back(Word::Unsubscribe(OWN_REQUEST, subscription));
            self.is_over = true;
        }
        if let Some(error) = fx.lost {
            // All that it was to get next is gone.
            for plant in self.plants.values() {
                note_dropped(*plant, &error, out);
            }
            self.is_over = true;
        }
        if let Some((join, subscriptions)) = fx.join {
            self.to_core.push_back(Word::Join(join, subscriptions));
        }
        if let Some(pause) = fx.pause {
            let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX / 2);
            self.pauses_until_us = now_us + pause_us;
        }
    }

    fn put_events(&mut self, batch: &EventBatch, is_live: bool, out: &mut Out) {
        let receiver = Receiver { session: self.session.0, authid: "a", authrole: "anonymous" };
        let mut ended = Vec::new();
        for index in self.subscriber.take(batch, is_live, &receiver, &mut ended) {
            let event = &batch.events()[index];
            let plant = self.plants.get(&event.subscription).copied();
            let plant = plant.expect("events come of subscriptions that are known");
            let (position, mark) = (event.position, Mark::of(&event.payload));
            out.facts.push(Fact::Event { plant, position, mark });
        }
    }
}

/// Retention has dropped what comes next.
fn note_dropped(plant: usize, error: &HistoryError, out: &mut Out) {
    match error {
        HistoryError::Trimmed { first } => out.facts.push(Fact::Dropped { plant, first: *first }),
        HistoryError::Busy { .. }
        | HistoryError::NotReady
        | HistoryError::Unavailable { .. }
        | HistoryError::EndUnknown { .. }
        | HistoryError::Stopped => {}
        HistoryError::Beyond { .. } | HistoryError::NotOfThisOrder { .. } => {
            panic!("a place that a client was told is called another order's: {error}")
        }
    }
}

/// Subscribes one pattern of the realm of all.
pub(super) fn pattern(uri: &str, matching: vixen_core::segment::Match) -> TopicPattern {
    TopicPattern::new("r", uri, matching)
}
