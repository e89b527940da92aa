//! Reads of stored messages through an entry's core; the test plays the ndb nodes by hand, over
//! memory links.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use vixen_broker::dealer::CancelAnswer;
use vixen_broker::delivery::Numbering;
use vixen_broker::history::{Direction, HistoryError, HistoryRequest, Start};
use vixen_core::id::{GroupId, NdbId, OwnerId, Position, Stamp, StoreId};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::segment::{Encoding, Record, RecordFlags, Topic, TopicPattern};
use vixen_core::wire::{
    HistoryEnd, HistoryPlace, HistoryQuery, Message, NodeMessage, PeerId, ReadMessage, TailSegment,
};
use vixen_entry::{EntryHandle, EntryNode, EntryOptions, HistoryStream};
use vixen_runtime::config::{Durability, Limits};
use vixen_runtime::link::{BEAT_EVERY, End, LinkEvent, LinkSender, join};

const PATIENCE: Duration = Duration::from_secs(60);

struct Ndb {
    events: mpsc::Receiver<LinkEvent>,
    sender: LinkSender,
}

impl Ndb {
    fn send(&self, message: Message) {
        self.sender.send(message).expect("linked");
    }

    /// The next query, past whatever else the entry wants.
    async fn asked(&mut self) -> (u64, HistoryQuery) {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("in time");
            let Some(LinkEvent::Messages { messages, .. }) = event else { panic!("{event:?}") };
            for message in messages {
                if let Message::Read(ReadMessage::ReadHistory { request, query }) = message {
                    return (request, query);
                }
            }
        }
    }

    /// Sends single messages at these positions, and the end of the batch.
    fn answer(&self, request: u64, positions: &[u64], next: u64, is_end: bool) {
        for position in positions {
            let segment = message_at(*position);
            self.send(Message::Read(ReadMessage::HistorySegment { request, segment }));
        }
        let end = HistoryEnd::Next { next: Position(next), is_end };
        self.send(Message::Read(ReadMessage::HistoryEnd { request, end }));
    }
}

fn message_at(position: u64) -> TailSegment {
    let mut records = Vec::new();
    let (content, flags) = (Encoding::Json.into(), RecordFlags::default());
    let record = Record { topic: 0, content, flags, session: 1, attributes: &[], payload: b"[1]" };
    record.write_to(&mut records);
    TailSegment {
        first: Position(position),
        count: 1,
        stamp: Stamp(position),
        topics: vec![Topic::new("realm1", "t")],
        offsets: vec![],
        records: records.into(),
    }
}

fn ndb(group: u16) -> NdbId {
    NdbId { group: GroupId(group), member: 0 }
}

/// An entry with two groups of one.
struct Cluster {
    handle: EntryHandle,
    running: JoinHandle<()>,
    groups: Vec<Ndb>,
}

/// Lets a peer live, until its link ends.
async fn beat(sender: LinkSender) {
    while sender.send(Message::Node(NodeMessage::Heartbeat)).is_ok() {
        tokio::time::sleep(BEAT_EVERY).await;
    }
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

impl Cluster {
    async fn start() -> Self {
        let owner = OwnerId(uuid::Uuid::from_u128(0));
        let node = EntryNode::new(EntryOptions {
            owner,
            name: name("E1"),
            roster: Roster::default(),
            membership: Membership::sized(1, [1, 1], 1),
            publish_timeout: PATIENCE,
            durability: Durability::Fsync,
            limits: Limits::default(),
            cancel_answer: CancelAnswer::Always,
            link_address: None,
            is_alone: true,
            numbering: Numbering::Random([7; 32]),
        });
        let (inbox, handle) = (node.inbox(), node.handle());
        let running = tokio::spawn(node.run());
        let mut groups = Vec::new();
        for group in 0..2 {
            let store = StoreId(uuid::Uuid::from_u128(9));
            let peer = PeerId::Ndb { id: ndb(group), store };
            let (to, mut events) = mpsc::channel::<LinkEvent>(64);
            let entry = PeerId::Entry { owner };
            let entry = End { peer: entry, name: name("E1"), inbox: inbox.clone() };
            tokio::spawn(join(End { peer, name: name("D1"), inbox: to }, entry, 64 << 20));
            let Some(LinkEvent::Up { sender, .. }) = events.recv().await else { panic!("no link") };
            tokio::spawn(beat(sender.clone()));
            groups.push(Ndb { events, sender });
        }
        Self { handle, running, groups }
    }

    /// The order stands at position 9.
    async fn open() -> Self {
        let cluster = Self::start().await;
        let (next, head_stamp) = (Position(9), Stamp(1_000));
        for group in &cluster.groups {
            group.send(Message::Read(ReadMessage::TailOpened {
                next,
                head_stamp,
                head_next: next,
            }));
        }
        // Known once the status page tells; each turn of it is one of the core.
        while cluster.handle.status().await["positions"].is_null() {}
        cluster
    }

    async fn read(&self, direction: Direction) -> HistoryStream {
        let request = HistoryRequest {
            named: None,
            start: Start::Anywhere,
            direction,
            until: None,
            topics: vec![TopicPattern::all("realm1")],
            limit: None,
        };
        self.handle.history(request).await.expect("running")
    }

    async fn stop(self) {
        self.handle.stop().await;
        self.running.await.expect("no panic");
    }
}

/// Positions of all that comes, and where the next message can stand.
async fn positions(mut stream: HistoryStream) -> (Vec<u64>, Option<Position>) {
    let mut positions = Vec::new();
    loop {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time");
        let Some(segments) = next.expect("no failure") else {
            return (positions, stream.end());
        };
        positions.extend(segments.iter().map(|segment| segment.first.0));
    }
}

#[tokio::test]
async fn a_read_merges_all_groups_up_to_the_end_of_the_order() {
    let mut cluster = Cluster::open().await;
    let stream = cluster.read(Direction::Forward).await;
    let reading = tokio::spawn(positions(stream));
    let (request, query) = cluster.groups[0].asked().await;
    assert_eq!(query.from, HistoryPlace::Position(Position(1)));
    assert_eq!((query.until, query.is_backward), (Some(Position(9)), false));
    cluster.groups[0].answer(request, &[1, 4, 5], 6, false);
    let (request, _) = cluster.groups[1].asked().await;
    cluster.groups[1].answer(request, &[2, 3, 6, 8], 9, true);
    let (request, query) = cluster.groups[0].asked().await;
    assert_eq!(query.from, HistoryPlace::Position(Position(6)));
    cluster.groups[0].answer(request, &[7], 9, true);
    let (positions, end) = reading.await.expect("no panic");
    assert_eq!((positions, end), ((1..9).collect(), Some(Position(9))));
    cluster.stop().await;
}

#[tokio::test]
async fn a_backward_read_asks_first_whether_the_node_has_the_newest() {
    let mut cluster = Cluster::open().await;
    let stream = cluster.read(Direction::Backward).await;
    let reading = tokio::spawn(positions(stream));
    for (group, stored) in [(0, &[6, 2][..]), (1, &[8, 1])] {
        let group = &mut cluster.groups[group];
        // It is behind, and then it is not.
        for next in [8, 9] {
            let (request, query) = group.asked().await;
            assert!(!query.is_backward && query.topics.is_empty());
            assert_eq!(query.from, HistoryPlace::Position(Position(8)));
            group.answer(request, &[], next, true);
        }
        let (request, query) = group.asked().await;
        assert!(query.is_backward);
        group.answer(request, stored, 0, true);
    }
    let (positions, _) = reading.await.expect("no panic");
    assert_eq!(positions, [8, 6, 2, 1]);
    cluster.stop().await;
}

#[tokio::test]
async fn consumers_that_are_gone_free_their_places() {
    let cluster = Cluster::open().await;
    let mut streams = Vec::new();
    for _place in 0..64 {
        streams.push(cluster.read(Direction::Forward).await);
    }
    let mut refused = cluster.read(Direction::Forward).await;
    assert_eq!(refused.next().await, Err(HistoryError::Busy { max: 64 }));
    streams.truncate(63);
    streams.push(cluster.read(Direction::Forward).await);
    cluster.stop().await;
    for mut stream in streams {
        assert_eq!(stream.next().await, Err(HistoryError::Stopped));
    }
}

#[tokio::test]
async fn an_entry_that_does_not_know_the_order_says_so() {
    let cluster = Cluster::start().await;
    let mut stream = cluster.read(Direction::Forward).await;
    assert_eq!(stream.next().await, Err(HistoryError::NotReady));
    cluster.stop().await;
}
