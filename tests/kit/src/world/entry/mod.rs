//! An entry of the World: the shipped segmenter, delivery, history and reader of the order, and what the
//! entry's driver does about them, as thin as can be.

mod links;
mod order;
mod owner;
mod reads;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use vixen_broker::api::SessionId;
use vixen_broker::delivery::{self, Delivery, DeliveryOptions, Numbering, SubscriptionLimits};
use vixen_broker::history::{self, End, History, HistoryOptions, HistoryRequest, ReadId};
use vixen_broker::segmenter::{self, Segmenter, SegmenterOptions};
use vixen_core::id::{NdbId, OwnerId, Position, SegmentId, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order::{self as core_order, Reader};
use vixen_core::roster::Roster;
use vixen_core::segment::Topic;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, PublishMessage};

use super::client::Client;
use super::io::{Arrived, Counted, Fact, Mark, Name, Now, Out};
use super::mutant::Mutant;

/// As in the driver.
const STALL_MS: u64 = 1_000;
/// As in the driver: questions about owners have numbers from here on.
const FIRST_QUESTION: u64 = 1 << 62;

/// Bounds of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryOptions {
    pub(super) publish_timeout_ms: u64,
    pub(super) messages_max: u32,
    pub(super) waiting_bytes_max: usize,
}

/// See the module.
pub(super) struct EntryNode {
    membership: Membership,
    options: EntryOptions,
    mutant: Option<Mutant>,
    process: Option<Process>,
}

/// What a crash takes: everything.
struct Process {
    /// Its links know it as this.
    owner: OwnerId,
    started_us: u64,
    started_at: WallTime,
    reader: Option<Reader>,
    segmenter: Segmenter,
    delivery: Delivery,
    history: History,
    readers: BTreeMap<ReadId, SessionId>,
    last_read: ReadId,
    /// Reads whose place is not known here.
    ahead: End<(SessionId, HistoryRequest)>,
    refused: End<OwnerId>,
    refused_owner: Option<OwnerId>,
    sync: BTreeSet<SyncId>,
    /// Linked storage nodes, and whether they are silent.
    ndb: BTreeMap<NdbId, bool>,
    clients: BTreeMap<SessionId, Client>,
    /// Messages of segments that are being sent.
    parcels: BTreeMap<SegmentId, (Vec<Topic>, Bytes)>,
    learned_to: Stamp,
}

/// What a turn owes.
#[derive(Default)]
struct Effects {
    order: core_order::Effects,
    segmenter: segmenter::Effects,
    delivery: delivery::Effects,
    history: history::Effects,
}

impl EntryNode {
    pub(super) const fn new(
        membership: Membership,
        options: EntryOptions,
        mutant: Option<Mutant>,
    ) -> Self {
        Self { membership, options, mutant, process: None }
    }

    pub(super) fn start(&mut self, now: Now, owner: OwnerId) {
        let membership = &self.membership;
        let segmenter = Segmenter::new(SegmenterOptions {
            owner,
            membership: membership.clone(),
            stall_ms: STALL_MS,
            publish_timeout_ms: self.options.publish_timeout_ms,
            messages_max: self.options.messages_max,
            bytes_max: 1 << 20,
        });
        let delivery = Delivery::new(&DeliveryOptions {
            owner,
            membership: membership.clone(),
            subscriptions: SubscriptionLimits::UNBOUNDED,
            numbering: Numbering::Counted,
            waiting_bytes_max: self.options.waiting_bytes_max,
        });
        let history = History::new(HistoryOptions {
            owner,
            membership: membership.clone(),
            roster: Roster::default(),
        });
        self.process = Some(Process {
            owner,
            started_us: now.us,
            started_at: now.wall,
            reader: None,
            segmenter,
            delivery,
            history,
            readers: BTreeMap::new(),
            last_read: ReadId(0),
            ahead: End::new(membership),
            refused: End::numbered_from(FIRST_QUESTION, membership),
            refused_owner: None,
            sync: BTreeSet::new(),
            ndb: BTreeMap::new(),
            clients: BTreeMap::new(),
            parcels: BTreeMap::new(),
            learned_to: Stamp::ZERO,
        });
    }

    pub(super) fn crash(&mut self) {
        self.process = None;
    }

    /// As its links know it.
    pub(super) fn owner(&self) -> Option<OwnerId> {
        self.process.as_ref().map(|process| process.owner)
    }

    /// Whether it knows where the order stands.
    pub(super) fn has_base(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.reader.is_some())
    }

    /// Segments that have no place, and where its order ends.
    pub(super) fn standing(&self) -> Option<(usize, Option<Position>)> {
        let process = self.process.as_ref()?;
        let next = process.reader.as_ref().map(Reader::next_position);
        Some((process.segmenter.unresolved(), next))
    }

    pub(super) fn due_us(&self, now: Now) -> Option<u64> {
        let process = self.process.as_ref()?;
        let at = process.segmenter.timeout_at().into_iter().chain(process.delivery.timeout_at());
        let at = at.chain(process.history.timeout_at()).chain(process.ahead.timeout_at());
        let at = at.chain(process.refused.timeout_at()).min();
        let wall = at.map(|at| process.started_us + at.millis_since(process.started_at) * 1_000);
        let order = process.reader.as_ref().and_then(Reader::due_at).map(|at| now.us_of(at));
        wall.into_iter().chain(order).min()
    }

    /// What its sessions and tails wait for, for the trace.
    pub(super) fn describe(&self) -> String {
        let Some(process) = &self.process else { return "down".to_owned() };
        let tails: Vec<_> = process.delivery.tails().collect();
        let waits = process.delivery.waits_for();
        format!(
            "{tails:?}, passed {:?}, waits for {waits:?}, {:?}",
            process.delivery.passed(),
            process.clients
        )
    }

    pub(super) fn client(&mut self, session: SessionId) -> Option<&mut Client> {
        self.process.as_mut()?.clients.get_mut(&session)
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = (&SessionId, &Client)> {
        self.process.iter().flat_map(|process| &process.clients)
    }

    /// A client comes.
    pub(super) fn open(&mut self, session: SessionId, client: Client) {
        if let Some(process) = &mut self.process {
            process.clients.insert(session, client);
        }
    }

    /// One turn of the loop: step all, place, flush, send.
    pub(super) fn turn(&mut self, now: Now, arrived: Vec<Arrived>, out: &mut Out) {
        let Self { membership, process: Some(process), mutant, .. } = self else { return };
        let elapsed_ms = (now.us - process.started_us) / 1_000;
        let wall = process.started_at.plus_millis(elapsed_ms);
        let now = Now { wall, ..now };
        let mut turn = Turn { now, membership, mutant: *mutant, process, out };
        let mut fx = Effects::default();
        turn.renew_if_old(&mut fx);
        for one in arrived {
            turn.take(one, &mut fx);
        }
        turn.on_due(&mut fx);
        turn.settle_order(&mut fx);
        let process = &mut turn.process;
        process.segmenter.step(wall, segmenter::Input::Flush, &mut fx.segmenter);
        process.delivery.step(wall, delivery::Input::Flush, &mut fx.delivery);
        process.delivery.check();
        turn.settle(&mut fx);
        turn.settle_history(&mut fx);
        turn.settle_refused(&mut fx);
        turn.settle(&mut fx);
    }
}

/// An entry at its turn.
struct Turn<'a> {
    now: Now,
    membership: &'a Membership,
    mutant: Option<Mutant>,
    process: &'a mut Process,
    out: &'a mut Out,
}

impl Turn<'_> {
    fn segmenter(&mut self, input: segmenter::Input, fx: &mut Effects) {
        self.process.segmenter.step(self.now.wall, input, &mut fx.segmenter);
    }

    fn delivery(&mut self, input: delivery::Input, fx: &mut Effects) {
        self.process.delivery.step(self.now.wall, input, &mut fx.delivery);
    }

    fn history(&mut self, input: history::Input, fx: &mut Effects) {
        self.process.history.step(self.now.wall, input, &mut fx.history);
    }

    fn on_due(&mut self, fx: &mut Effects) {
        let wall = self.now.wall;
        if self.process.segmenter.timeout_at().is_some_and(|at| at <= wall) {
            let missing = "a quorum".to_owned();
            self.segmenter(segmenter::Input::Timeout { missing }, fx);
        }
        if self.process.delivery.timeout_at().is_some_and(|at| at <= wall) {
            self.delivery(delivery::Input::Timeout, fx);
        }
    }

    /// Does what the steps owe.
    fn settle(&mut self, fx: &mut Effects) {
        let segmenter = std::mem::take(&mut fx.segmenter);
        let delivery = std::mem::take(&mut fx.delivery);
        for (_, message) in &segmenter.sends {
            self.note_parcel(message);
        }
        let sends = segmenter.sends.into_iter().chain(delivery.sends);
        self.out.sends.extend(sends.map(|(to, message)| (Name::Ndb(to), message)));
        for note in &segmenter.notes {
            if let segmenter::Note::Moved { .. } = note {
                self.out.count(Counted::Moved);
            }
        }
        for note in &delivery.notes {
            match note {
                delivery::Note::TailMoved { from: Some(_), .. } => {
                    self.out.count(Counted::TailMoved);
                }
                delivery::Note::Malformed { first } => {
                    panic!("the segment at {first} is malformed")
                }
                _ => {}
            }
        }
        self.tell_all(segmenter.outgoing.into_iter().chain(delivery.outgoing).collect());
    }

    /// For the judge: what the segments that are sent say.
    fn note_parcel(&mut self, message: &Message) {
        match message {
            Message::Publish(PublishMessage::KeepAdvanceHistory {
                segment,
                topics,
                records,
                ..
            }) => {
                self.process.parcels.insert(*segment, (topics.clone(), records.clone()));
            }
            Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => {
                if let Some((topics, records)) = self.process.parcels.remove(&meta.id) {
                    let messages = Mark::all_of(&topics, &records);
                    self.out.facts.push(Fact::Closed { meta: *meta, messages });
                }
            }
            _ => {}
        }
    }
}
