//! An entry of the World: the shipped segmenter, delivery, history and reader of the order, and what the
//! entry's driver does about them, as thin as can be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;

use vixen_broker::api::{Origin, Outgoing, Sent, SessionId};
use vixen_broker::delivery::{
    self, Delivery, DeliveryOptions, Numbering, Slot, SubscriptionLimits,
};
use vixen_broker::history::{
    self, End, History, HistoryError, HistoryItem, HistoryOptions, HistoryRequest, Known, ReadId,
    RefPoint, Verdict,
};
use vixen_broker::segmenter::{self, Segmenter, SegmenterOptions};
use vixen_core::id::{NdbId, OwnerId, Position, SegmentId, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order::{self, Placed, Reader};
use vixen_core::roster::Roster;
use vixen_core::segment::Topic;
use vixen_core::time::WallTime;
use vixen_core::wire::{
    DraftAnswer, DraftMessage, FeedMessage, Message, NodeMessage, PublishMessage, ReadMessage,
    ReplicaMessage,
};

use super::client::{Client, Word};
use super::io::{Arrived, Ask, Counted, Fact, Name, Now, Out};
use super::mutant::Mutant;
use super::tail;

/// As in the driver.
const STALL_MS: u64 = 1_000;
/// As in the driver: an owner is used for this long after its last segment, by the order's clock.
const OWNER_FRESH_MS: u64 = 24 * 60 * 60 * 1_000;
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
    order: order::Effects,
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
        let order = process.reader.as_ref().and_then(Reader::due_at).map(|at| {
            let wait = at.saturating_duration_since(now.instant).as_micros();
            now.us + u64::try_from(wait).unwrap_or(u64::MAX / 2)
        });
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
    fn take(&mut self, arrived: Arrived, fx: &mut Effects) {
        match arrived {
            Arrived::Up { peer: Name::Sync(feed), .. } => {
                self.process.sync.insert(feed);
                self.read_order(order::Input::FeedUp { feed }, fx);
            }
            Arrived::Down { peer: Name::Sync(feed) } => {
                self.process.sync.remove(&feed);
                self.read_order(order::Input::FeedDown { feed }, fx);
            }
            Arrived::Up { peer: Name::Ndb(ndb), .. } => self.on_ndb_up(ndb, fx),
            Arrived::Down { peer: Name::Ndb(ndb) } => {
                self.process.ndb.remove(&ndb);
                self.segmenter(segmenter::Input::NdbDown { ndb }, fx);
                self.delivery(delivery::Input::NdbDown { ndb }, fx);
                self.history(history::Input::NdbDown { ndb }, fx);
                self.read_order(order::Input::PeerDown { peer: ndb }, fx);
            }
            Arrived::Silent { peer: Name::Ndb(ndb), is_silent } => {
                self.process.ndb.insert(ndb, is_silent);
                self.segmenter(segmenter::Input::NdbSilent { ndb, is_silent }, fx);
                self.delivery(delivery::Input::NdbSilent { ndb, is_silent }, fx);
                self.history(
                    match is_silent {
                        true => history::Input::NdbDown { ndb },
                        false => history::Input::NdbUp { ndb },
                    },
                    fx,
                );
                self.read_order(order::Input::PeerSilent { peer: ndb, is_silent }, fx);
            }
            Arrived::Message { from: Name::Sync(from), message } => self.on_sync(from, message, fx),
            Arrived::Message { from: Name::Ndb(from), message } => self.on_ndb(from, message, fx),
            Arrived::Asked { session, ask } => self.on_asked(session, ask, fx),
            Arrived::Silent { .. } => {}
            Arrived::Up { .. } | Arrived::Down { .. } | Arrived::Message { .. } => {
                unreachable!("entries have no links to each other")
            }
            Arrived::Written { .. }
            | Arrived::DiskFull { .. }
            | Arrived::TooOld { .. }
            | Arrived::ExpireOwners { .. } => unreachable!("not of an entry"),
        }
    }

    fn segmenter(&mut self, input: segmenter::Input, fx: &mut Effects) {
        self.process.segmenter.step(self.now.wall, input, &mut fx.segmenter);
    }

    fn delivery(&mut self, input: delivery::Input, fx: &mut Effects) {
        self.process.delivery.step(self.now.wall, input, &mut fx.delivery);
    }

    fn history(&mut self, input: history::Input, fx: &mut Effects) {
        self.process.history.step(self.now.wall, input, &mut fx.history);
    }

    fn on_ndb_up(&mut self, ndb: NdbId, fx: &mut Effects) {
        self.process.ndb.insert(ndb, false);
        let sent = fx.segmenter.sends.len();
        self.segmenter(segmenter::Input::NdbUp { ndb }, fx);
        if self.mutant == Some(Mutant::NothingIsSentAgain) {
            fx.segmenter.sends.truncate(sent);
        }
        self.delivery(delivery::Input::NdbUp { ndb }, fx);
        self.history(history::Input::NdbUp { ndb }, fx);
        self.read_order(order::Input::PeerUp { peer: ndb }, fx);
    }

    fn on_asked(&mut self, session: SessionId, ask: Ask, fx: &mut Effects) {
        match ask {
            Ask::Publish(messages) => {
                self.segmenter(segmenter::Input::Publish { session, messages }, fx);
            }
            Ask::Close => {
                self.process.clients.remove(&session);
                let of_session = self.process.readers.extract_if(.., |_, of| *of == session);
                for (read, _) in of_session.collect::<Vec<_>>() {
                    self.history(history::Input::Cancel { read }, fx);
                }
                self.delivery(delivery::Input::SessionClosed { session }, fx);
            }
            Ask::Turn => {
                let client = self.process.clients.get_mut(&session);
                let words = client.map(|client| std::mem::take(&mut client.to_core));
                for word in words.unwrap_or_default() {
                    self.on_word(session, word, fx);
                }
            }
        }
    }

    fn on_word(&mut self, session: SessionId, word: Word, fx: &mut Effects) {
        let input = match word {
            Word::Subscribe(request, wanted) => {
                let origin = Origin { client: IpAddr::from([10, 0, 0, 1]), site: None };
                let (mode, pattern) = (wanted.mode(), wanted.pattern);
                delivery::Input::Subscribe { session, origin, request, pattern, mode }
            }
            Word::Join(join, subscriptions) => {
                delivery::Input::Join { session, join, subscriptions }
            }
            Word::Unsubscribe(request, subscription) => {
                delivery::Input::Unsubscribe { session, request, subscription }
            }
            Word::Read(request) => return self.open_read(session, request, fx),
            Word::Took(read) => return self.history(history::Input::Took { read }, fx),
            Word::Cancel(read) => {
                self.process.readers.remove(&read);
                return self.history(history::Input::Cancel { read }, fx);
            }
        };
        self.delivery(input, fx);
    }

    fn on_sync(&mut self, from: SyncId, message: Message, fx: &mut Effects) {
        let input = match message {
            Message::Feed(FeedMessage::Reached { request, stamp }) => {
                self.process.refused.answered(from, request, stamp);
                return self.process.ahead.answered(from, request, stamp);
            }
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                order::Input::Resolved { from, elected }
            }
            Message::Feed(FeedMessage::Watermark { stamp }) => {
                order::Input::Watermark { from, stamp }
            }
            Message::Feed(FeedMessage::FeedTrimmed { to }) => {
                order::Input::FeedTrimmed { from, to }
            }
            other => panic!("a sync node says {} to an entry", other.name()),
        };
        self.read_order(input, fx);
    }

    fn on_ndb(&mut self, from: NdbId, message: Message, fx: &mut Effects) {
        match message {
            Message::Publish(PublishMessage::TrimAdvanceSegment { segment }) => {
                self.segmenter(segmenter::Input::Trim { from, segment }, fx);
            }
            Message::Publish(PublishMessage::SegmentDurable { segment }) => {
                self.segmenter(segmenter::Input::Durable { from, segment }, fx);
            }
            Message::Draft(DraftMessage::DraftAnswered {
                segment,
                answer: DraftAnswer::OwnerExpired,
            }) => {
                self.on_owner_refused(segment);
            }
            Message::Publish(PublishMessage::RefuseAdvanceSegment { segment, reason }) => {
                self.segmenter(segmenter::Input::Refused { from, segment, reason }, fx);
            }
            Message::Node(NodeMessage::NdbStanding { standing }) => {
                self.segmenter(segmenter::Input::Standing { from, standing }, fx);
            }
            Message::Read(ReadMessage::TailOpened { next, head_stamp, head_next }) => {
                self.begin(head_stamp, head_next, fx);
                self.delivery(delivery::Input::TailOpened { from, next }, fx);
            }
            Message::Read(ReadMessage::InterestChanged { version, next }) => {
                self.delivery(delivery::Input::InterestChanged { from, version, next }, fx);
            }
            Message::Replica(ReplicaMessage::OrderRows { first, rows }) => {
                self.read_order(order::Input::Rows { from, first, rows }, fx);
            }
            Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }) => {
                self.read_order(order::Input::OrderTrimmed { from, asked, base }, fx);
            }
            Message::Read(ReadMessage::TailSegment(segment)) => {
                let from = self.followed_for(from);
                self.delivery(delivery::Input::Segment { from, segment }, fx);
            }
            Message::Read(ReadMessage::TailPosition { next }) => {
                let from = self.followed_for(from);
                let more = u32::from(self.mutant == Some(Mutant::TailGoesBy));
                let next = next.plus(more);
                self.delivery(delivery::Input::TailPosition { from, next }, fx);
            }
            Message::Read(ReadMessage::HistorySegment { request, segment }) => {
                self.history(history::Input::Segment { from, request, segment }, fx);
            }
            Message::Read(ReadMessage::HistoryEnd { request, end }) => {
                self.history(history::Input::End { from, request, end }, fx);
            }
            other => panic!("an ndb node says {} to an entry", other.name()),
        }
    }

    /// Whose tail it is, but for the mutant that takes any for the one that is followed.
    fn followed_for(&self, from: NdbId) -> NdbId {
        let mut tails = self.process.delivery.tails();
        let followed = tails.find(|tail| tail.group == from.group).and_then(|tail| tail.at);
        match self.mutant {
            Some(Mutant::StaleTailCounts) => followed.unwrap_or(from),
            _ => from,
        }
    }

    /// The first tail tells where the order stands: from there on it is read.
    fn begin(&mut self, after: Stamp, next: Position, fx: &mut Effects) {
        if self.process.reader.is_some() {
            return;
        }
        self.process.reader = Some(Reader::new(self.membership, after, next));
        let feeds = self.process.sync.iter().map(|feed| order::Input::FeedUp { feed: *feed });
        let ndb = self.process.ndb.iter();
        let peers = ndb.clone().map(|(peer, _)| order::Input::PeerUp { peer: *peer });
        let silent = ndb.filter(|(_, is_silent)| **is_silent);
        let silent =
            silent.map(|(peer, _)| order::Input::PeerSilent { peer: *peer, is_silent: true });
        for input in feeds.chain(peers).chain(silent).collect::<Vec<_>>() {
            self.read_order(input, fx);
        }
    }

    /// Before the base is known there is nothing to read.
    fn read_order(&mut self, input: order::Input, fx: &mut Effects) {
        if let Some(reader) = &mut self.process.reader {
            reader.step(input, self.now.instant, &mut fx.order);
        }
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

    fn settle_order(&mut self, fx: &mut Effects) {
        self.read_order(order::Input::Tick { takes_rows: true }, fx);
        let read = std::mem::take(&mut fx.order);
        let learned = read.learned.iter().map(|elected| elected.stamp()).max();
        self.process.learned_to = self.process.learned_to.max(learned.unwrap_or_default());
        for (feed, after) in read.follows {
            let after = match self.mutant {
                Some(Mutant::FollowsFromAhead) => after.max(self.process.learned_to),
                _ => after,
            };
            self.out.send(Name::Sync(feed), Message::Feed(FeedMessage::FollowFeed { after }));
        }
        for (peer, from) in read.fetches {
            self.out.send(Name::Ndb(peer), Message::Replica(ReplicaMessage::FetchOrder { from }));
        }
        super::note_order(&read.notes, self.out);
        if read.left_behind.is_some() {
            // What became of this entry's messages cannot be told any more.
            self.out.count(Counted::LeftBehind);
            self.out.ends = true;
        }
        self.on_placed(read.placed, fx);
    }

    fn on_placed(&mut self, placed: Vec<Placed>, fx: &mut Effects) {
        if placed.is_empty() {
            return;
        }
        let slots = placed.iter().map(|placed| Slot {
            first: placed.first,
            count: placed.elected.meta.count,
            group: placed.elected.challenger.group,
        });
        let slots = slots.collect();
        for placed in placed {
            self.out.facts.push(Fact::Placed(placed));
            let segment = placed.elected.meta.id;
            if segment.owner == self.process.segmenter.owner() {
                let (first, stamp) = (placed.first, placed.elected.stamp());
                self.segmenter(segmenter::Input::Placed { segment, first, stamp }, fx);
            }
        }
        self.delivery(delivery::Input::Placed { slots }, fx);
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
                    let messages = tail::open(&topics, &records);
                    self.out.facts.push(Fact::Closed { meta: *meta, messages });
                }
            }
            _ => {}
        }
    }

    /// Hands everything to its session, as the driver does.
    fn tell_all(&mut self, outgoing: Vec<(SessionId, Outgoing)>) {
        let mut lagging: BTreeMap<SessionId, Position> = BTreeMap::new();
        for (session, outgoing) in outgoing {
            let Some(client) = self.process.clients.get_mut(&session) else { continue };
            match outgoing {
                Outgoing::Events(batch) => {
                    let first = batch.first_position();
                    let is_left_out = lagging.contains_key(&session);
                    if !is_left_out && client.send(Outgoing::Events(batch)) == Sent::Queued {
                        continue;
                    }
                    if let Some(first) = first {
                        lagging.entry(session).or_insert(first);
                    }
                }
                Outgoing::Lagging { from, subscriptions } => {
                    let from = lagging.get(&session).map_or(from, |missed| from.min(*missed));
                    client.send(Outgoing::Lagging { from, subscriptions });
                }
                other => {
                    client.send(other);
                }
            }
        }
        if self.mutant == Some(Mutant::LagUnsaid) {
            return;
        }
        for (session, from) in lagging {
            let mut fx = delivery::Effects::default();
            let input = delivery::Input::Lag { session, from };
            self.process.delivery.step(self.now.wall, input, &mut fx);
            for (_, outgoing) in fx.outgoing {
                if let Some(client) = self.process.clients.get_mut(&session) {
                    client.send(outgoing);
                }
            }
        }
    }

    fn known(&self) -> Option<Known> {
        let reader = self.process.reader.as_ref()?;
        let frontier = reader.frontier();
        let next = Some(reader.next_position()).max(self.process.delivery.passed());
        Some(Known {
            next: next.unwrap_or_default(),
            delivered: frontier.delivered(),
            sigma: frontier.sigma(),
        })
    }

    fn open_read(&mut self, session: SessionId, request: HistoryRequest, fx: &mut Effects) {
        let Some(known) = self.known() else {
            return self.refuse(session, HistoryError::NotReady);
        };
        match request.named.filter(|named| !known.holds(*named)) {
            None => self.begin_read(session, request, &known, fx),
            Some(named) => {
                let waits = self.process.ahead.wait(self.now.wall, named, (session, request));
                assert!(waits.is_ok(), "few reads wait");
            }
        }
    }

    fn begin_read(
        &mut self,
        session: SessionId,
        request: HistoryRequest,
        known: &Known,
        fx: &mut Effects,
    ) {
        let read = self.next_read(session);
        self.history(history::Input::Open { read, request, next: known.next }, fx);
    }

    fn refuse(&mut self, session: SessionId, error: HistoryError) {
        let read = self.next_read(session);
        self.hand(read, HistoryItem::Failed(error));
    }

    fn next_read(&mut self, session: SessionId) -> ReadId {
        self.process.last_read = ReadId(self.process.last_read.0 + 1);
        let read = self.process.last_read;
        if let Some(client) = self.process.clients.get_mut(&session) {
            client.opened(read);
            self.process.readers.insert(read, session);
        }
        read
    }

    fn hand(&mut self, read: ReadId, item: HistoryItem) {
        let Some(session) = self.process.readers.get(&read).copied() else { return };
        if !matches!(item, HistoryItem::Segments(_)) {
            self.process.readers.remove(&read);
        }
        if let Some(client) = self.process.clients.get_mut(&session) {
            client.hand(read, item);
        }
    }

    fn settle_history(&mut self, fx: &mut Effects) {
        if let Some(known) = self.known() {
            let (told, question) = self.process.ahead.poll(self.now.wall, &known);
            for ((session, request), verdict) in told {
                match verdict {
                    Verdict::Within => self.begin_read(session, request, &known, fx),
                    Verdict::Beyond => {
                        self.refuse(session, HistoryError::Beyond { end: known.end() });
                    }
                    Verdict::Unknown { waited_ms } => {
                        self.refuse(session, HistoryError::EndUnknown { waited_ms });
                    }
                }
            }
            self.ask_reached(question);
        }
        self.history(history::Input::Flush, fx);
        let history::Effects { sends, items, .. } = std::mem::take(&mut fx.history);
        self.out.sends.extend(sends.into_iter().map(|(to, message)| (Name::Ndb(to), message)));
        for (read, item) in items {
            self.hand(read, item);
        }
    }

    fn ask_reached(&mut self, question: Option<u64>) {
        let Some(request) = question else { return };
        for id in &self.process.sync {
            self.out
                .sends
                .push((Name::Sync(*id), Message::Feed(FeedMessage::AskReached { request })));
        }
    }

    fn order_at(&self) -> Option<WallTime> {
        Some(self.process.reader.as_ref()?.frontier().sigma().wall_time())
    }

    fn renew_if_old(&mut self, fx: &mut Effects) {
        let Some(seen) = self.process.segmenter.owner_seen_at() else { return };
        let is_old = self.order_at().is_some_and(|at| at.millis_since(seen) > OWNER_FRESH_MS);
        if is_old && self.process.segmenter.unresolved() == 0 {
            self.out.count(Counted::Renewed);
            self.renew(fx);
        }
    }

    fn renew(&mut self, fx: &mut Effects) {
        let before = self.process.segmenter.owner();
        let made = before.made_at().unwrap_or_default().plus_millis(1);
        let order = self.order_at().unwrap_or_default();
        let owner = before.made_anew(self.now.wall.max(order).max(made));
        self.out.facts.push(Fact::GivenUp { owner: before });
        self.segmenter(segmenter::Input::Renew { owner }, fx);
    }

    fn ask_about(&mut self, owner: OwnerId) {
        let beyond = RefPoint::Position(Position(u64::MAX));
        let _one_waits = self.process.refused.wait(self.now.wall, beyond, owner);
    }

    fn on_owner_refused(&mut self, segment: SegmentId) {
        let owner = self.process.segmenter.owner();
        if segment.owner == owner && self.process.refused_owner.replace(owner) != Some(owner) {
            self.ask_about(owner);
        }
    }

    fn settle_refused(&mut self, fx: &mut Effects) {
        let Some(known) = self.known() else { return };
        let (told, question) = self.process.refused.poll(self.now.wall, &known);
        let present = self.process.segmenter.owner();
        for (owner, verdict) in told.into_iter().filter(|(owner, _)| *owner == present) {
            match verdict {
                Verdict::Beyond => {
                    self.out.count(Counted::SentAgain);
                    self.renew(fx);
                }
                Verdict::Within | Verdict::Unknown { .. } => self.ask_about(owner),
            }
        }
        self.ask_reached(question);
    }
}
