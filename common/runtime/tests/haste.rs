//! What lies in the queues of a node's links goes when one of them goes down or its peer falls silent.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use vixen_core::id::{OwnerId, Stamp, StoreId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::wire::{FeedMessage, Marks, Message, NodeMessage, PeerId};
use vixen_runtime::link::{
    BEAT_EVERY, End, Haste, Inbox, LinkEvent, LinkId, Linked, Links, SILENT_AFTER, join,
};

/// A beat is due so much later than its node began, at most: links come up one after the other.
const LATE: Duration = Duration::from_millis(300);
/// Below the patience of what is said later.
const NO_TIME: Duration = Duration::from_millis(100);

const fn word(stamp: u64) -> Message {
    Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(stamp)) })
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

fn end(peer: PeerId, named: &str, inbox: Inbox<LinkEvent>) -> End<LinkEvent> {
    End { peer, name: name(named), inbox }
}

/// A node with links to two others, and what one of these hears.
struct Node {
    links: Links,
    one: LinkId,
    other: LinkId,
    heard: mpsc::Receiver<LinkEvent>,
    _inboxes: Vec<mpsc::Receiver<LinkEvent>>,
}

async fn node(now: Instant) -> Node {
    let sync = PeerId::Sync { id: SyncId(0), store: StoreId(uuid::Uuid::nil()) };
    let entry = |id| PeerId::Entry { owner: OwnerId(uuid::Uuid::from_u128(id)) };
    let (inbox, mut events) = mpsc::channel(16);
    let (one_inbox, mut heard) = mpsc::channel(16);
    let (other_inbox, other_events) = mpsc::channel(16);
    let mut links = Links::new(name("S1"), Roster::default(), now);
    let mut ids = Vec::new();
    for (named, id, far) in [("E1", 1, one_inbox), ("E2", 2, other_inbox)] {
        let (near, far) = (end(sync, "S1", inbox.clone()), end(entry(id), named, far));
        tokio::spawn(join(near, far, 1 << 20));
        let Some(LinkEvent::Up { link, peer, name, sender, .. }) = events.recv().await else {
            panic!("the link comes up first");
        };
        links.up(link, Linked { peer, name, sender }, now);
        ids.push(link);
    }
    assert!(matches!(heard.recv().await, Some(LinkEvent::Up { .. })));
    let _inboxes = vec![events, other_events];
    Node { links, one: ids[0], other: ids[1], heard, _inboxes }
}

impl Node {
    /// What the one hears while others have their turns, and no time goes by.
    async fn hears(&mut self) -> Option<Vec<Message>> {
        for _turn in 0..50 {
            tokio::task::yield_now().await;
            if let Ok(LinkEvent::Messages { messages, .. }) = self.heard.try_recv() {
                return Some(messages);
            }
        }
        None
    }

    async fn say_later(&mut self, stamp: u64) {
        let begun = Instant::now();
        let linked = self.links.get(self.one).expect("up");
        linked.sender.send_all([(word(stamp), Haste::Later)]).expect("up");
        let heard = self.hears().await;
        // A machine that stood still for so long has let it go.
        assert!(heard.is_none() || begun.elapsed() >= NO_TIME, "it waits for company");
    }
}

#[tokio::test]
async fn what_waits_goes_when_another_link_goes_down() {
    let mut node = node(Instant::now()).await;
    node.say_later(1).await;
    node.links.down(node.other);
    let begun = Instant::now();
    let heard = node.hears().await;
    assert!(heard == Some(vec![word(1)]) || begun.elapsed() >= NO_TIME, "{heard:?}");
}

#[tokio::test]
async fn what_waits_goes_when_a_peer_falls_silent() {
    let begun = Instant::now();
    let mut node = node(begun).await;
    let silent_at = begun + SILENT_AFTER;
    assert!(node.links.heard(node.one, silent_at).is_none());
    // With the last beat on both, so that none comes with the silence.
    assert_eq!(node.links.take_due(begun + BEAT_EVERY + LATE), []);
    let beat = Some(vec![Message::Node(NodeMessage::Heartbeat)]);
    assert_eq!(node.hears().await, beat);
    node.say_later(1).await;
    assert_eq!(node.links.take_due(silent_at), [node.other]);
    let begun = Instant::now();
    let heard = node.hears().await;
    assert!(heard == Some(vec![word(1)]) || begun.elapsed() >= NO_TIME, "{heard:?}");
}
