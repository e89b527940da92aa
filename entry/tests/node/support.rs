//! A cluster that the test plays by hand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use vixen_broker::api::calls::CallFeatures;
use vixen_broker::api::{
    AckLevel, Acknowledged, Answer, Origin, Outgoing, Place, Publish, RequestId, SessionId,
    SessionInfo, SubscribeMode,
};
use vixen_broker::dealer::CancelAnswer;
use vixen_broker::delivery::Numbering;
use vixen_core::id::{GroupId, NdbId, OwnerId, PermanentId, Position, Stamp, StoreId, SyncId};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::segment::{
    Challenger, Elected, Encoding, RecordFlags, SegmentMeta, Topic, TopicPattern,
};
use vixen_core::wire::{
    FeedMessage, Message, NdbStanding, NodeMessage, PeerId, PublishMessage, ReadMessage,
};
use vixen_entry::outbound::{OutboundReceiver, SessionEvent, outbound};
use vixen_entry::{EntryEvent, EntryHandle, EntryNode, EntryOptions};
use vixen_runtime::config::{Durability, Limits};
use vixen_runtime::link::{BEAT_EVERY, End, Inbox, LinkEvent, LinkSender, join};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const SESSION: SessionId = SessionId(7);

/// A node of the cluster, played by the test.
pub(crate) struct Peer {
    pub(crate) events: mpsc::Receiver<LinkEvent>,
    pub(crate) sender: LinkSender,
    pub(crate) link: JoinHandle<()>,
    pub(crate) beating: JoinHandle<()>,
    /// What the entry wants to read, of what has come.
    follows: VecDeque<Message>,
    /// The rest of it, by frames.
    frames: VecDeque<Vec<Message>>,
}

/// What a peer is called.
pub(crate) fn name_of(peer: PeerId) -> NodeName {
    match peer {
        PeerId::Sync { id, .. } => roster(2).sync(id),
        PeerId::Ndb { id, .. } => roster(2).ndb(id),
        PeerId::Entry { .. } => name("E1"),
    }
}

/// A text without for how long somebody has been silent: that is what it is when one looks.
pub(crate) fn undated(text: &str) -> String {
    const SILENT: &str = "silent for ";
    let mut parts = text.split(SILENT);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_seconds, rest) = part.split_once(" s").expect("so many seconds");
        out += "silent";
        out += rest;
    }
    out
}

/// Lets a peer live, until the link ends or the handle is aborted.
pub(crate) fn beat(sender: LinkSender) -> JoinHandle<()> {
    tokio::spawn(async move {
        while sender.send(Message::Node(NodeMessage::Heartbeat)).is_ok() {
            tokio::time::sleep(BEAT_EVERY).await;
        }
    })
}

impl Peer {
    pub(crate) async fn link(peer: PeerId, entry: End<EntryEvent>) -> Self {
        let (inbox, mut events) = mpsc::channel::<LinkEvent>(64);
        let end = End { peer, name: name_of(peer), inbox };
        let link = tokio::spawn(join(end, entry, 64 << 20));
        let Some(LinkEvent::Up { sender, .. }) = events.recv().await else { panic!("no link") };
        let beating = beat(sender.clone());
        let (follows, frames) = (VecDeque::new(), VecDeque::new());
        Self { events, sender, link, beating, follows, frames }
    }

    pub(crate) fn send(&self, message: Message) {
        self.sender.send(message).expect("linked");
    }

    /// Stops speaking, as a process does that is stopped.
    pub(crate) fn hush(&self) {
        self.beating.abort();
    }

    /// What the entry sent next, in one frame, past its beats and what it wants to read: on a busy machine it leaves a
    /// node that it has not heard for long, and follows another.
    pub(crate) async fn receive(&mut self) -> Vec<Message> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            self.take_frame().await;
        }
    }

    /// Waits until the entry wants to read what comes of these.
    pub(crate) async fn until_followed(&mut self, topics: &[TopicPattern]) {
        let wanted = ReadMessage::FollowTail { from: None, topics: topics.to_vec() };
        let wanted = Message::Read(wanted);
        loop {
            match self.follows.pop_front() {
                Some(follow) if follow == wanted => return,
                Some(_another) => {}
                None => self.take_frame().await,
            }
        }
    }

    async fn take_frame(&mut self) {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("in time");
        let Some(LinkEvent::Messages { mut messages, .. }) = event else {
            panic!("unexpected {event:?}");
        };
        // None says anything of the order; nor does what the entry asks for calls, which nobody answers.
        messages.retain(|message| {
            !matches!(
                message,
                Message::Node(NodeMessage::Heartbeat)
                    | Message::Feed(FeedMessage::AwaitFeed { .. } | FeedMessage::AskReached { .. })
                    | Message::Read(ReadMessage::ReadHistory { .. })
            )
        });
        let (follows, frame): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| matches!(message, Message::Read(ReadMessage::FollowTail { .. })));
        self.follows.extend(follows);
        if !frame.is_empty() {
            self.frames.push_back(frame);
        }
    }
}

/// An entry with three sync nodes and groups of three, W = 2; of each, two are there.
pub(crate) struct Cluster {
    pub(crate) owner: OwnerId,
    pub(crate) inbox: Inbox<EntryEvent>,
    pub(crate) handle: EntryHandle,
    pub(crate) room: Arc<tokio::sync::Semaphore>,
    pub(crate) running: JoinHandle<()>,
    pub(crate) sync: Vec<Peer>,
    /// Two of each group, in order.
    pub(crate) ndb: Vec<Peer>,
}

pub(crate) fn ndb(group: u16, member: u8) -> NdbId {
    NdbId { group: GroupId(group), member }
}

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

/// S1 to S3, and D1 to D3 of group 0, D4 to D6 of group 1.
pub(crate) fn roster(groups: u16) -> Roster {
    let members = (0..groups).flat_map(|group| (0..3).map(move |n| ndb(group, n)));
    let number = |id: NdbId| id.group.0 * 3 + u16::from(id.member) + 1;
    Roster::new(
        (0..3).map(|lane| (SyncId(lane), name(&format!("S{}", lane + 1)))),
        members.map(|id| (id, name(&format!("D{}", number(id))))),
    )
}

impl Cluster {
    pub(crate) async fn start(groups: u16, publish_timeout: Duration) -> Self {
        let owner = OwnerId(uuid::Uuid::from_u128(0));
        let node = EntryNode::new(EntryOptions {
            owner,
            name: name("E1"),
            roster: roster(groups),
            membership: Membership::sized(3, (0..groups).map(|_| 3), 2),
            publish_timeout,
            durability: Durability::Fsync,
            limits: Limits::default(),
            cancel_answer: CancelAnswer::Always,
            link_address: None,
            is_alone: true,
            numbering: Numbering::Random([7; 32]),
        });
        let (inbox, handle, room) = (node.inbox(), node.handle(), node.room());
        let running = tokio::spawn(node.run());
        let entry =
            || End { peer: PeerId::Entry { owner }, name: name("E1"), inbox: inbox.clone() };
        let store = StoreId(uuid::Uuid::from_u128(9));
        let (mut sync, mut nodes) = (Vec::new(), Vec::new());
        for n in 0..2 {
            sync.push(Peer::link(PeerId::Sync { id: SyncId(n), store }, entry()).await);
        }
        for id in (0..groups).flat_map(|group| [ndb(group, 0), ndb(group, 1)]) {
            let node = Peer::link(PeerId::Ndb { id, store }, entry()).await;
            node.send(Message::Node(NodeMessage::NdbStanding { standing: NdbStanding::Willing }));
            nodes.push(node);
        }
        Self { owner, inbox, handle, room, running, sync, ndb: nodes }
    }

    /// The order stands at stamp 1,000, position 51.
    pub(crate) async fn open(publish_timeout: Duration) -> Self {
        Self::open_groups(1, publish_timeout).await
    }

    pub(crate) async fn open_groups(groups: u16, publish_timeout: Duration) -> Self {
        let mut cluster = Self::start(groups, publish_timeout).await;
        assert!(cluster.handle.ready().is_err(), "nobody has told where the order stands");
        cluster.ndb[0].until_followed(&[]).await;
        cluster.opened(0);
        for sync in &mut cluster.sync {
            let after = Stamp(1_000);
            assert_eq!(sync.receive().await, [Message::Feed(FeedMessage::FollowFeed { after })]);
        }
        tokio::time::timeout(PATIENCE, cluster.handle.until_ready()).await.expect("ready");
        cluster
    }

    pub(crate) fn opened(&self, member: usize) {
        let (next, head_stamp) = (Position(51), Stamp(1_000));
        self.ndb[member].send(Message::Read(ReadMessage::TailOpened {
            next,
            head_stamp,
            head_next: next,
        }));
    }

    /// Waits until the entry is not ready for this reason, as [`undated`] has it: what it misses comes one after the
    /// other.
    pub(crate) async fn until_not_ready(&self, wanted: &str) {
        let mut last = Ok(());
        let not_ready = async {
            loop {
                last = self.handle.ready().map_err(|reason| undated(&reason));
                if last.as_ref().err().is_some_and(|reason| reason == wanted) {
                    return;
                }
                // The reason has the time in it: there is no event for each of its texts.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, not_ready).await;
        assert!(in_time.is_ok(), "never not ready for {wanted:?}: the last was {last:?}");
    }

    pub(crate) async fn tell(&self, event: SessionEvent) {
        self.inbox.send(event.into()).await.expect("running");
    }

    pub(crate) async fn session(&self, bytes_max: usize) -> OutboundReceiver {
        self.session_of(SESSION, bytes_max).await
    }

    pub(crate) async fn session_of(
        &self,
        session: SessionId,
        bytes_max: usize,
    ) -> OutboundReceiver {
        let (outbound, receiver) = outbound(bytes_max);
        let info = SessionInfo {
            session,
            realm: "realm1".into(),
            authid: "joe".into(),
            authrole: "anonymous".into(),
            authmethod: "anonymous",
            authprovider: "static",
            origin: Origin { client: [127, 0, 0, 1].into(), site: None },
            is_announced: true,
            calls: CallFeatures::default(),
        };
        self.tell(SessionEvent::Opened { info: Arc::new(info), outbound }).await;
        receiver
    }

    pub(crate) async fn subscribe(&self, session: SessionId, pattern: &TopicPattern) {
        let (request, mode) = (RequestId(1), SubscribeMode::Live);
        let pattern = pattern.clone();
        self.tell(SessionEvent::Subscribe { session, request, pattern, mode }).await;
    }

    /// As a session task does: takes room, which the core gives back.
    pub(crate) async fn publish(&self, request: u64) {
        let publish = Publish {
            topic: Topic::new("realm1", "t"),
            content: Encoding::Json.into(),
            payload: Bytes::from_static(b"[1]"),
            attributes: Bytes::new(),
            flags: RecordFlags::default(),
            acknowledge: Some(RequestId(request)),
            level: AckLevel::Canonical,
            wait: false,
        };
        let permits = u32::try_from(publish.counted_bytes()).expect("small");
        self.room.acquire_many(permits).await.expect("open").forget();
        self.tell(SessionEvent::Publish { session: SESSION, messages: vec![publish] }).await;
    }

    pub(crate) async fn stop(self) {
        self.handle.stop().await;
        self.running.await.expect("no panic");
        for peer in self.sync.into_iter().chain(self.ndb) {
            peer.link.abort();
        }
    }
}

/// The segments of a frame, by their OVER.
pub(crate) fn overs(messages: &[Message]) -> Vec<SegmentMeta> {
    let over = |message: &Message| match message {
        Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => Some(*meta),
        _other => None,
    };
    messages.iter().filter_map(over).collect()
}

pub(crate) fn elected(meta: SegmentMeta, stamp: u64) -> Elected {
    Elected { meta, challenger: Challenger { stamp: Stamp(stamp), group: GroupId(0) } }
}

pub(crate) fn resolved(meta: SegmentMeta, stamp: u64) -> Message {
    Message::Feed(FeedMessage::AdvanceSegmentResolved { elected: elected(meta, stamp) })
}

pub(crate) async fn next(receiver: &mut OutboundReceiver) -> Vec<Outgoing> {
    let mut outgoing = VecDeque::new();
    let alive =
        tokio::time::timeout(PATIENCE, receiver.receive(true, &mut outgoing, &mut Vec::new()))
            .await;
    assert!(alive.expect("in time"), "dropped");
    receiver.give_back(outgoing.iter().map(Outgoing::queued_bytes).sum(), 0);
    outgoing.into()
}

/// Request 1 is answered with the first place of a segment.
pub(crate) fn placed(position: u64, stamp: u64) -> Answer {
    let id = PermanentId { stamp: Stamp(stamp), offset: 0 };
    let place = Place { position: Position(position), id };
    (RequestId(1), Ok(Acknowledged::Canonical(place)))
}
