//! A running node, and the fakes around it: entry, sync nodes, peers, all over memory links.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use vixen_core::id::{
    GroupId, MapVersion, NdbId, OwnerId, Position, SegmentId, Seq, Shard, Stamp, StoreId, SyncId,
};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::segment::{
    Challenger, Chunk, Elected, Encoding, Record, RecordFlags, Records, SegmentBuilder,
    SegmentMeta, Topic, TopicPattern,
};
use vixen_core::wire::{
    DraftMessage, FeedMessage, HistoryEnd, HistoryPlace, HistoryQuery, Marks, Message, NdbStanding,
    NodeMessage, PeerId, PublishMessage, ReadMessage, ReplicaMessage, TailSegment,
};
use vixen_ndb::{NdbEvent, NdbHandle, NdbNode, NdbOptions};
use vixen_runtime::link::{BEAT_EVERY, End, Inbox, LinkEvent, LinkSender, join};

/// Bounds every wait, so that a broken node fails a test instead of hanging it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const QUEUE_BYTES_MAX: usize = 64 << 20;

pub(crate) fn owner(n: u128) -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(n))
}

pub(crate) fn topic(uri: &str) -> Topic {
    Topic::new("realm", uri)
}

/// A segment of `owner(1)` with one message for each of `uris`.
pub(crate) fn chunk(seq: u64, uris: &[&str]) -> Chunk {
    chunk_of(seq, uris, b"[1]")
}

pub(crate) fn chunk_of(seq: u64, uris: &[&str], payload: &[u8]) -> Chunk {
    let id = SegmentId { owner: owner(1), seq: Seq(seq) };
    let mut builder = SegmentBuilder::new(id, Shard(0), MapVersion(1));
    for uri in uris {
        let record = Record {
            topic: 0,
            content: Encoding::Json.into(),
            flags: RecordFlags::default(),
            session: seq,
            attributes: &[],
            payload,
        };
        builder.push(&topic(uri), record);
    }
    builder.close()
}

pub(crate) fn elected(meta: SegmentMeta, stamp: u64) -> Elected {
    Elected { meta, challenger: Challenger { stamp: Stamp(stamp), group: GroupId(0) } }
}

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

/// S0, S1 and S2, and D0, D1 and D2 of the only group.
pub(crate) fn roster() -> Roster {
    let id = |member| NdbId { group: GroupId(0), member };
    Roster::new(
        (0..3).map(|lane| (SyncId(lane), name(&format!("S{lane}")))),
        (0..3).map(|member| (id(member), name(&format!("D{member}")))),
    )
}

/// What a peer is called.
fn name_of(peer: PeerId) -> NodeName {
    match peer {
        PeerId::Sync { id, .. } => roster().sync(id),
        PeerId::Ndb { id, .. } => roster().ndb(id),
        PeerId::Entry { .. } => name("E1"),
    }
}

pub(crate) fn options(dir: &Path, member: u8) -> NdbOptions {
    NdbOptions {
        id: NdbId { group: GroupId(0), member },
        name: name(&format!("D{member}")),
        roster: roster(),
        membership: Membership::sized(3, [3], 2),
        dir: dir.to_owned(),
        fsync: true,
        store_bytes_max: 1 << 30,
        retention_age: None,
        retention_bytes: None,
        disk_reserve: 0,
        scrub_period: Duration::from_secs(60 * 60),
        tail_cache_bytes_max: 16 << 20,
        segment_bytes_max: 1 << 20,
    }
}

/// A node on a thread and runtime of its own, as nearcast runs it.
pub(crate) struct Running {
    pub(crate) peer: PeerId,
    pub(crate) inbox: Inbox<NdbEvent>,
    pub(crate) handle: NdbHandle,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(options: NdbOptions) -> Self {
        let (opened, is_open) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let id = options.id;
                let node = NdbNode::open(options).expect("the node opens");
                let peer = PeerId::Ndb { id, store: node.store_id() };
                opened.send((peer, node.inbox(), node.handle())).expect("the test waits");
                node.run().await.expect("the node runs to its stop");
            });
        });
        let (peer, inbox, handle) = is_open.recv().expect("the node opened");
        Self { peer, inbox, handle, thread }
    }

    /// Stops it and waits until it has let go of its directory.
    pub(crate) async fn stop(self) {
        self.inbox.send(NdbEvent::Stop).await.expect("the node runs");
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        joined.expect("no panic here").expect("no panic there");
    }

    /// Links two nodes.
    pub(crate) fn link(&self, other: &Self) {
        tokio::spawn(join(self.end(), other.end(), QUEUE_BYTES_MAX));
    }

    fn end(&self) -> End<NdbEvent> {
        End { peer: self.peer, name: name_of(self.peer), inbox: self.inbox.clone() }
    }

    /// Waits for a number of the status page.
    pub(crate) async fn wait_for(&self, key: &str, wanted: u64) {
        self.wait_until(|page| page[key] == wanted).await;
    }

    /// Waits for what the status page is to show.
    pub(crate) async fn wait_until(&self, is_shown: impl Fn(&serde_json::Value) -> bool) {
        let poll = async {
            loop {
                // The page itself is the event that is waited for; there is no other.
                if is_shown(&self.handle.status().await) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, poll).await;
        assert!(waited.is_ok(), "never shown: {:#}", self.handle.status().await);
    }
}

/// The test's end of a link to a node.
pub(crate) struct Fake {
    events: mpsc::Receiver<LinkEvent>,
    sender: LinkSender,
    beating: tokio::task::JoinHandle<()>,
    waiting: VecDeque<Message>,
    /// How far the node says it has the order on disk.
    applied: Stamp,
    /// What it said last of whether it takes segments.
    standing: Option<NdbStanding>,
}

/// Lets a peer live, until its link ends.
async fn beat(sender: LinkSender) {
    while sender.send(Message::Node(NodeMessage::Heartbeat)).is_ok() {
        tokio::time::sleep(BEAT_EVERY).await;
    }
}

impl Fake {
    /// Stops speaking, as a process does that is stopped.
    pub(crate) fn hush(&self) {
        self.beating.abort();
    }

    /// Speaks again.
    pub(crate) fn speak(&mut self) {
        self.beating = tokio::spawn(beat(self.sender.clone()));
    }

    /// Links as `peer`; `frames` may wait unread before the node's queue fills.
    pub(crate) async fn link(node: &Running, peer: PeerId, frames: usize) -> Self {
        let (inbox, mut events) = mpsc::channel::<LinkEvent>(frames);
        let end = End { peer, name: name_of(peer), inbox };
        tokio::spawn(join(end, node.end(), QUEUE_BYTES_MAX));
        let up = tokio::time::timeout(PATIENCE, events.recv()).await.expect("in time");
        let Some(LinkEvent::Up { sender, .. }) = up else { panic!("expected Up, got {up:?}") };
        let beating = tokio::spawn(beat(sender.clone()));
        Self {
            events,
            sender,
            beating,
            waiting: VecDeque::new(),
            applied: Stamp::ZERO,
            standing: None,
        }
    }

    pub(crate) async fn entry(node: &Running) -> Self {
        Self::entry_of(node, 1, 64).await
    }

    /// An entry that owns no segments of the tests, with room for `frames`.
    pub(crate) async fn reader(node: &Running, frames: usize) -> Self {
        Self::entry_of(node, 2, frames).await
    }

    /// The first word on a link to an entry is the node's standing.
    async fn entry_of(node: &Running, n: u128, frames: usize) -> Self {
        let mut fake = Self::link(node, PeerId::Entry { owner: owner(n) }, frames).await;
        match fake.take().await {
            Message::Node(NodeMessage::NdbStanding { standing }) => fake.standing = Some(standing),
            other => panic!("expected NdbStanding, got {other:?}"),
        }
        fake
    }

    pub(crate) async fn sync(node: &Running, lane: u8) -> Self {
        let store = StoreId(uuid::Uuid::from_u128(u128::from(lane)));
        Self::link(node, PeerId::Sync { id: SyncId(lane), store }, 64).await
    }

    pub(crate) async fn peer(node: &Running, member: u8) -> Self {
        Self::peer_of(node, GroupId(0), member).await
    }

    pub(crate) async fn peer_of(node: &Running, group: GroupId, member: u8) -> Self {
        let id = NdbId { group, member };
        let store = StoreId(uuid::Uuid::from_u128(99));
        Self::link(node, PeerId::Ndb { id, store }, 64).await
    }

    pub(crate) fn send(&self, message: Message) {
        self.sender.send(message).expect("the link is up");
    }

    /// Sends a whole segment.
    pub(crate) fn send_segment(&self, chunk: &Chunk) {
        let segment = chunk.meta.id;
        self.send(Message::Publish(PublishMessage::BeginAdvanceSegment {
            segment,
            shard: chunk.meta.shard,
        }));
        self.send(Message::Publish(PublishMessage::KeepAdvanceHistory {
            segment,
            offset: 0,
            topics: chunk.topics.clone(),
            count: chunk.meta.count,
            records: chunk.records.clone(),
        }));
        self.send(Message::Publish(PublishMessage::AdvanceSegmentOver { meta: chunk.meta }));
    }

    /// Says as a sync node that the segment is elected, and that nothing below it follows.
    pub(crate) fn elect(&self, meta: SegmentMeta, stamp: u64) {
        self.send(Message::Feed(FeedMessage::AdvanceSegmentResolved {
            elected: elected(meta, stamp),
        }));
        self.send(Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(stamp)) }));
    }

    pub(crate) fn follow(&self, from: Option<u64>, uris: &[&str]) {
        let topics = uris.iter().map(|uri| topic(uri).into()).collect();
        self.send(Message::Read(ReadMessage::FollowTail { from: from.map(Position), topics }));
    }

    /// The next message of the node, past news of what it has on disk and takes, and what it tells
    /// its peers every second.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            match self.take().await {
                Message::Draft(DraftMessage::OrderApplied { stamp }) => self.applied = stamp,
                Message::Node(NodeMessage::NdbStanding { standing }) => {
                    self.standing = Some(standing)
                }
                Message::Replica(ReplicaMessage::ChainAt { .. })
                | Message::Replica(ReplicaMessage::OfferSegments { .. })
                | Message::Replica(ReplicaMessage::Retaining { .. }) => {}
                message => return message,
            }
        }
    }

    /// The next message that is `wanted`, past all others.
    pub(crate) async fn next_where(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.take().await;
            if wanted(&message) {
                return message;
            }
        }
    }

    pub(crate) async fn expect_standing(&mut self, wanted: NdbStanding) {
        while self.standing != Some(wanted) {
            if let Message::Node(NodeMessage::NdbStanding { standing }) = self.take().await {
                self.standing = Some(standing);
            }
        }
    }

    /// Asks for one batch of history: positions, topics and seqs of its messages, and its end.
    pub(crate) async fn history(
        &mut self,
        query: HistoryQuery,
    ) -> (Vec<(u64, String, u64)>, HistoryEnd) {
        let request = 7;
        self.send(Message::Read(ReadMessage::ReadHistory { request, query }));
        let mut got = Vec::new();
        loop {
            match self.next().await {
                Message::Read(ReadMessage::HistorySegment { request: of, segment })
                    if of == request =>
                {
                    got.extend(messages_of(&segment));
                }
                Message::Read(ReadMessage::HistoryEnd { request: of, end }) if of == request => {
                    return (got, end);
                }
                other => panic!("expected history, got {other:?}"),
            }
        }
    }

    async fn take(&mut self) -> Message {
        while self.waiting.is_empty() {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            match event.expect("the node says something in time") {
                Some(LinkEvent::Messages { messages, .. }) => {
                    let words = messages.into_iter();
                    // Neither says anything of the order.
                    let is_said = |word: &Message| {
                        !matches!(
                            word,
                            Message::Node(NodeMessage::Heartbeat)
                                | Message::Feed(FeedMessage::AwaitFeed { .. })
                        )
                    };
                    self.waiting.extend(words.filter(is_said));
                }
                other => panic!("expected messages, got {other:?}"),
            }
        }
        self.waiting.pop_front().expect("checked")
    }

    pub(crate) async fn expect_trim(&mut self, meta: SegmentMeta) {
        assert_eq!(
            self.next().await,
            Message::Publish(PublishMessage::TrimAdvanceSegment { segment: meta.id })
        );
    }

    pub(crate) async fn expect_draft(&mut self, meta: SegmentMeta) {
        assert_eq!(self.next().await, Message::Draft(DraftMessage::GenerateDraft { meta }));
    }

    pub(crate) async fn expect_feed(&mut self, after: u64) {
        assert_eq!(
            self.next().await,
            Message::Feed(FeedMessage::FollowFeed { after: Stamp(after) })
        );
    }

    /// The order is on the node's disk up to `stamp`, and that is what it says next.
    pub(crate) async fn expect_applied(&mut self, stamp: u64) {
        while self.applied < Stamp(stamp) {
            match self.take().await {
                Message::Draft(DraftMessage::OrderApplied { stamp }) => self.applied = stamp,
                Message::Node(NodeMessage::NdbStanding { standing }) => {
                    self.standing = Some(standing)
                }
                other => panic!("expected OrderApplied, got {other:?}"),
            }
        }
        assert_eq!(self.applied, Stamp(stamp));
    }

    /// Next and head of the opened tail.
    pub(crate) async fn expect_opened(&mut self) -> (u64, u64) {
        match self.next().await {
            Message::Read(ReadMessage::TailOpened { next, head_next, .. }) => (next.0, head_next.0),
            other => panic!("expected TailOpened, got {other:?}"),
        }
    }

    /// The next segment of the tail, past news of its position.
    pub(crate) async fn next_segment(&mut self) -> TailSegment {
        loop {
            match self.next().await {
                Message::Read(ReadMessage::TailSegment(segment)) => return segment,
                Message::Read(ReadMessage::TailPosition { .. }) => {}
                other => panic!("expected TailSegment, got {other:?}"),
            }
        }
    }

    /// Reads messages of the tail until `count` have come: position, topic, and the session,
    /// which is the seq of the segment.
    pub(crate) async fn messages(&mut self, count: usize) -> Vec<(u64, String, u64)> {
        let mut got = Vec::new();
        while got.len() < count {
            let tail = self.next_segment().await;
            got.extend(messages_of(&tail));
        }
        got
    }
}

/// Position, topic and session of each message; the session is the seq of the segment.
fn messages_of(segment: &TailSegment) -> Vec<(u64, String, u64)> {
    let records = Records::new(&segment.records).enumerate();
    let message = |(n, record): (usize, Record<'_>)| {
        let offset = segment.offsets.get(n).copied();
        let offset = offset.unwrap_or_else(|| u32::try_from(n).expect("small"));
        let uri = segment.topics[usize::from(record.topic)].uri.to_string();
        (segment.first.plus(offset).0, uri, record.session)
    };
    records.map(message).collect()
}

/// All topics of the realm, from a position.
pub(crate) fn query(from: u64, is_backward: bool) -> HistoryQuery {
    HistoryQuery {
        from: HistoryPlace::Position(Position(from)),
        is_backward,
        until: None,
        topics: vec![TopicPattern::all("realm")],
        messages_max: 1_000,
        bytes_max: 1 << 20,
    }
}

pub(crate) fn said(position: u64, uri: &str, seq: u64) -> (u64, String, u64) {
    (position, uri.to_owned(), seq)
}

/// Two feeds: a majority of three.
pub(crate) struct Feeds(pub(crate) Fake, pub(crate) Fake);

impl Feeds {
    pub(crate) async fn up(node: &Running) -> Self {
        Self(Fake::sync(node, 0).await, Fake::sync(node, 1).await)
    }

    pub(crate) fn elect(&self, meta: SegmentMeta, stamp: u64) {
        self.0.elect(meta, stamp);
        self.1.elect(meta, stamp);
    }
}
