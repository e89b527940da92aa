//! A session of an entry of the World: the shipped books of a session, over a queue with the bound that
//! ships, as the client task of `entry/src/gates/driver.rs` drives them.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use vixen_broker::access::Permissions;
use vixen_broker::api::calls::CallFeatures;
use vixen_broker::api::{
    AckLevel, Acknowledged, Answer, Origin, Outgoing, Publish, QueueRoom, RequestId, Sent,
    SessionId, SessionInfo, Subscribe, SubscriptionId,
};
use vixen_broker::client::{Ask, Client as Books, Effects, RequestError, Told};
use vixen_broker::history::{
    HistoryError, HistoryItem, HistoryRequest, ReadId, end_of, messages_of,
};
use vixen_broker::replay::ReadPart;
use vixen_core::id::Position;
use vixen_core::wire::TailSegment;

use super::io::{Counted, Fact, Mark, Out};
use super::mutant::Mutant;

/// What it takes from its queue at a time.
const BATCH: usize = 16;

/// What it tells the core.
#[derive(Debug)]
pub(super) enum Word {
    Ask(Ask),
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

/// A subscribe, and which plant of the judge it is for.
#[derive(Debug)]
struct Asked {
    plant: usize,
    /// As the core has answered.
    live_from: Position,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    books: Books,
    mutant: Option<Mutant>,
    /// Whose messages it publishes.
    publisher: u32,
    room: QueueRoom,
    /// From the core.
    queue: VecDeque<Outgoing>,
    items: VecDeque<(ReadId, HistoryItem)>,
    unwritten_bytes: usize,
    pub(super) to_core: VecDeque<Word>,
    asked: BTreeMap<RequestId, Asked>,
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
            books: Books::new(Arc::new(info_of(session)), Permissions::OPEN),
            mutant,
            publisher,
            room: QueueRoom::new(queue_bytes_max),
            queue: VecDeque::new(),
            items: VecDeque::new(),
            unwritten_bytes: 0,
            to_core: VecDeque::new(),
            asked: BTreeMap::new(),
            plants: BTreeMap::new(),
            reading: None,
            pauses_until_us: 0,
            read_max,
            is_over: false,
        }
    }

    /// Who it is.
    pub(super) fn info(&self) -> &SessionInfo {
        self.books.info()
    }

    pub(super) fn subscribe(&mut self, plant: usize, wanted: Subscribe) {
        let request = RequestId(1 + plant as u64);
        self.asked.insert(request, Asked { plant, live_from: Position::FIRST });
        let mut fx = Effects::default();
        self.books.subscribe(request, wanted, &mut fx);
        self.to_core.extend(fx.ask.into_iter().map(Word::Ask));
    }

    /// Its messages are handed to the core.
    pub(super) fn handed_over(&mut self, messages: &[Publish]) {
        let bytes = messages.iter().map(Publish::counted_bytes).sum();
        self.books.on_handed_over(messages.len(), bytes);
    }

    /// What the core sends: queued, unless it is events without room.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> Sent {
        if matches!(outgoing, Outgoing::Events(_)) {
            if self.room.admit(&outgoing) == Sent::Full {
                return Sent::Full;
            }
        } else {
            self.room.take(outgoing.queued_bytes());
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
        !self.books.is_blocked() || self.mutant == Some(Mutant::LiveBeforeLast)
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
            self.on_outgoing(now_us, outgoing, out);
        }
        while let Some((read, item)) = self.items.pop_front() {
            self.on_item(now_us, read, item, out);
        }
        if self.reading.is_none()
            && self.pauses_until_us <= now_us
            && let Some(request) = self.books.next_read()
        {
            let limit = request.limit;
            self.reading = Some(Reading { limit, read: None, segments: Vec::new() });
            self.to_core.push_back(Word::Read(request));
        }
    }

    fn on_outgoing(&mut self, now_us: u64, mut outgoing: Outgoing, out: &mut Out) {
        match &mut outgoing {
            Outgoing::Subscribed { request, live_from, .. } => {
                if let Some(asked) = self.asked.get_mut(request) {
                    asked.live_from = *live_from;
                }
            }
            Outgoing::Joined { from, .. } => {
                out.count(Counted::Joined);
                if self.mutant == Some(Mutant::JoinedTooEarly) {
                    *from = Position(from.0.saturating_sub(1).max(1));
                }
            }
            Outgoing::Lagging { subscriptions, .. } if !subscriptions.is_empty() => {
                out.count(Counted::Lagged);
            }
            Outgoing::Lagging { .. }
            | Outgoing::Events(_)
            | Outgoing::Resolved { .. }
            | Outgoing::Unsubscribed { .. }
            | Outgoing::Refused { .. } => {}
        }
        let mut fx = Effects::default();
        self.books.on_outgoing(outgoing, &mut fx);
        self.settle(now_us, fx, out);
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
        let mut fx = Effects::default();
        self.books.on_read(outcome, &mut fx);
        self.settle(now_us, fx, out);
    }

    /// Does what the books owe: the core is told, then the client.
    fn settle(&mut self, now_us: u64, fx: Effects, out: &mut Out) {
        assert_eq!(fx.left_out, 0, "all messages are of this version");
        self.to_core.extend(fx.ask.into_iter().map(Word::Ask));
        fx.told.into_iter().for_each(|told| self.on_told(told, out));
        if let Some(error) = fx.lost {
            // All that it was to get next is gone.
            for plant in self.plants.values() {
                note_dropped(*plant, &error, out);
            }
            self.is_over = true;
        }
        if let Some(pause) = fx.pause {
            let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX / 2);
            self.pauses_until_us = now_us + pause_us;
        }
    }

    fn on_told(&mut self, told: Told, out: &mut Out) {
        match told {
            Told::Events { batch, taken } => {
                for index in taken {
                    let event = &batch.events()[index];
                    let plant = self.plants.get(&event.subscription).copied();
                    let plant = plant.expect("C2: events come of what stands");
                    let (position, mark) = (event.position, Mark::of(&event.payload));
                    out.facts.push(Fact::Event { plant, position, mark });
                }
            }
            Told::Resolved(answers) => {
                out.facts.extend(answers.into_iter().map(|answer| self.answered(answer)));
            }
            Told::Subscribed { request, subscription, .. } => {
                let Asked { plant, live_from } =
                    self.asked.remove(&request).expect("C1: each request is answered once");
                self.plants.insert(subscription, plant);
                out.facts.push(Fact::Begins { plant, from: live_from });
            }
            Told::Refused { request, error: RequestError::History(error), .. } => {
                let asked = self.asked.remove(&request).expect("C1: each request is answered once");
                note_dropped(asked.plant, &error, out);
                self.is_over = true;
            }
            Told::Refused { error, .. } => panic!("nothing is bounded here: {error}"),
            Told::Call(_) => panic!("nobody calls: {told:?}"),
            Told::Unsubscribed { .. } | Told::Ended { .. } => {
                panic!("nobody has asked for the end of a subscription: {told:?}")
            }
        }
    }

    fn answered(&self, (request, answer): Answer) -> Fact {
        let number = u32::try_from(request.0).expect("a number of a message");
        let mark = Mark { publisher: self.publisher, number };
        match answer {
            Ok(Acknowledged::Canonical(place)) => {
                let position = match self.mutant {
                    Some(Mutant::AnswersOneOff) => place.position.plus(1),
                    _ => place.position,
                };
                let place = Some((position, place.id));
                Fact::Answered { mark, level: AckLevel::Canonical, place }
            }
            Ok(Acknowledged::Durable { .. }) => {
                Fact::Answered { mark, level: AckLevel::Durable, place: None }
            }
            Err(_no_quorum) => Fact::NotAnswered { mark },
        }
    }
}

/// An anonymous session of the realm of all.
fn info_of(session: SessionId) -> SessionInfo {
    SessionInfo {
        session,
        realm: "r".into(),
        authid: "a".into(),
        authrole: "anonymous".into(),
        authmethod: "anonymous",
        authprovider: "static",
        origin: Origin { client: IpAddr::from([10, 0, 0, 1]), site: None },
        is_announced: false,
        calls: CallFeatures::default(),
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
