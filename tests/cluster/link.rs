//! The nodes' own links, spoken by tests: to read what an ndb node holds, and to say what no node
//! would.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::sync::mpsc;

use vixen_common::id::{GroupId, NdbId, OwnerId, PermanentId, Position};
use vixen_common::link::{DialTarget, Expected, Identity, LinkEvent, dial};
use vixen_common::segment::{Records, Topic};
use vixen_common::wire::{Message, PeerId, TailSegment};
use vixen_tests::check::{Event, IdKey, Subscriber};
use vixen_tests::client::Payload;
use vixen_tests::harness::Cluster;

use crate::support::SOON;

/// As the harness writes them into the configuration.
pub(crate) const CLUSTER: &str = "test";
pub(crate) const SECRET: &[u8] = b"test-secret-123";

/// Everything that `topic` ever held, from ndb node D*`number`*, as if it were a subscriber.
pub(crate) async fn stored(
    cluster: &Cluster,
    number: u8,
    topic: &str,
) -> anyhow::Result<Subscriber> {
    let name = format!("D{number}");
    let identity = Identity {
        cluster: CLUSTER.into(),
        secret: SECRET.into(),
        peer: PeerId::Entry { owner: OwnerId::generate() },
        queue_bytes_max: 1 << 20,
        admit: Arc::new(|_peer| true),
    };
    let expected = Expected::Ndb(NdbId { group: GroupId(0), member: number - 1 });
    let target = DialTarget { address: cluster.address(&name)?, expected };
    let (inbox, mut events) = mpsc::channel::<LinkEvent>(16);
    let dialling = tokio::spawn(dial(identity, target, inbox));
    let topic = Topic::new("realm1", topic);
    let read = tokio::time::timeout(SOON, read(&mut events, &topic)).await;
    dialling.abort();
    let events = read.with_context(|| format!("{name} did not send its whole tail"))??;
    Ok(Subscriber { name, from: 0, events, complete: true, damaged: (0, None) })
}

/// Reads the tail from position 1 to where the node's order ended when it was opened.
async fn read(link: &mut mpsc::Receiver<LinkEvent>, topic: &Topic) -> anyhow::Result<Vec<Event>> {
    let mut found = Vec::new();
    let mut end = None;
    let mut next = Position::FIRST;
    // The sender goes with its clones: it is kept until the tail is read.
    let mut open = None;
    while end.is_none_or(|end| next < end) {
        match link.recv().await.context("the dialler ended")? {
            LinkEvent::Up { sender, .. } => {
                let topics = vec![topic.clone()];
                sender.send(Message::FollowTail { from: Some(Position::FIRST), topics })?;
                open = Some(sender);
            }
            LinkEvent::Down { reason, .. } => anyhow::bail!("the link went down: {reason}"),
            LinkEvent::Messages { messages, .. } => {
                for message in messages {
                    match message {
                        Message::TailOpened { next: first, head_next, .. } => {
                            ensure!(first == Position::FIRST, "the tail begins at {first}");
                            end = Some(head_next);
                        }
                        Message::TailSegment(segment) => {
                            ensure!(
                                next <= segment.first,
                                "the tail went back to {}",
                                segment.first
                            );
                            next = segment.first.plus(segment.count);
                            open_segment(&segment, topic, &mut found)?;
                        }
                        Message::TailPosition { next: position } => next = position,
                        other => anyhow::bail!("{} on a tail", other.name()),
                    }
                }
            }
        }
    }
    drop(open);
    Ok(found)
}

/// Appends the messages of `topic` in the segment.
fn open_segment(
    segment: &TailSegment,
    topic: &Topic,
    found: &mut Vec<Event>,
) -> anyhow::Result<()> {
    let mut records = Records::new(&segment.records);
    for (index, record) in (0u32..).zip(&mut records) {
        let offset = match segment.offsets.get(usize::try_from(index)?) {
            Some(offset) => *offset,
            None => {
                ensure!(segment.offsets.is_empty(), "more records than offsets");
                index
            }
        };
        let of = segment.topics.get(usize::from(record.topic)).context("no such topic")?;
        if of != topic {
            continue;
        }
        let payload = Payload::parse_args(record.payload).context("not a generated payload")?;
        let id = PermanentId { stamp: segment.stamp, offset }.to_string();
        found.push(Event {
            position: segment.first.plus(offset).0,
            id: IdKey::new(id.as_bytes()).with_context(|| format!("id {id}"))?,
            publisher: payload.publisher,
            seq: payload.seq,
        });
    }
    ensure!(records.is_complete(), "malformed records at {}", segment.first);
    Ok(())
}
