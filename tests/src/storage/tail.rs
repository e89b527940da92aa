//! The tail of one ndb node, read over the nodes' own link: what is served from its store.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use vixen_core::id::{NdbId, PermanentId, Position};
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::segment::{Records, Topic};
use vixen_core::wire::{Message, NodeMessage, PeerId, ReadMessage, TailSegment, Terms};
use vixen_runtime::ids::new_owner_id;
use vixen_runtime::link::{DialTarget, Expected, Identity, LinkEvent, Owners, dial};

use crate::check::{Event, IdKey};
use crate::client::Payload;

/// The cluster's name as the harness writes it into the configuration.
pub const CLUSTER: &str = "test";
/// Its secret.
pub const SECRET: &[u8] = b"test-secret-123";

/// A message as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredMessage<'a> {
    /// Its place.
    pub position: Position,
    /// Its permanent id.
    pub id: PermanentId,
    /// Its topic.
    pub topic: &'a Topic,
    /// What was published.
    pub payload: &'a [u8],
}

/// Reads everything that `topics` ever held from the node of this name at this address, whose cluster has these terms, up to where its order ended
/// when the tail was opened. What was read before an error is in `found` as well.
///
/// # Errors
/// When the link goes down, the node sends what no node may, or it takes longer than `timeout`.
pub async fn read_tail(
    at: (&str, &str, &Terms),
    node: NdbId,
    realm: &str,
    topics: &[String],
    timeout: Duration,
    found: &mut Vec<Event>,
) -> anyhow::Result<()> {
    let topics: Vec<_> = topics.iter().map(|topic| Topic::new(realm, topic)).collect();
    read_messages(at, node, &topics, timeout, |message| {
        let StoredMessage { position, id, payload, .. } = message;
        let payload = Payload::parse_args(payload).context("not a generated payload")?;
        let id = id.to_string();
        found.push(Event {
            position: position.0,
            id: IdKey::new(id.as_bytes()).with_context(|| format!("id {id}"))?,
            publisher: payload.publisher,
            seq: payload.seq,
        });
        Ok(())
    })
    .await
}

/// As [`read_tail`], whatever was published: each message is given to `take`, in the order.
///
/// # Errors
/// As for [`read_tail`], and those of `take`.
pub async fn read_messages(
    (name, address, terms): (&str, &str, &Terms),
    node: NdbId,
    topics: &[Topic],
    timeout: Duration,
    take: impl FnMut(StoredMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (dialling, mut events) = link_to((name, address, terms), node);
    let read = tokio::time::timeout(timeout, read(&mut events, topics, take)).await;
    dialling.abort();
    read.with_context(|| format!("{name} did not send its whole tail in {timeout:?}"))?
}

/// Dials the ndb node of this name at this address, whose cluster has these terms, as an entry would, until the handle is aborted.
///
/// # Panics
/// When no node can have the name.
#[must_use]
pub fn link_to(
    (name, address, terms): (&str, &str, &Terms),
    node: NdbId,
) -> (JoinHandle<()>, mpsc::Receiver<LinkEvent>) {
    let identity = Identity {
        cluster: CLUSTER.into(),
        secrets: SECRET.into(),
        peer: PeerId::Entry { owner: new_owner_id() },
        name: NodeName::from_str("reader").expect("a name"),
        roster: Roster::new([], [(node, name.parse().expect("a name"))]),
        terms: terms.clone(),
        queue_bytes_max: 1 << 20,
        tls: None,
        admit: Arc::new(|_peer| true),
        owners: Owners::default(),
    };
    let target = DialTarget { address: address.to_owned(), expected: Expected::Ndb(node) };
    let (inbox, events) = mpsc::channel::<LinkEvent>(16);
    (tokio::spawn(dial(identity, target, inbox)), events)
}

/// From position 1 to where the node's order ended when the tail was opened.
async fn read(
    link: &mut mpsc::Receiver<LinkEvent>,
    topics: &[Topic],
    mut take: impl FnMut(StoredMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut end = None;
    let mut next = Position::FIRST;
    // The sender goes with its clones: it is kept until the tail is read.
    let mut open = None;
    while end.is_none_or(|end| next < end) {
        match link.recv().await.context("the dialler ended")? {
            LinkEvent::Up { sender, .. } => {
                let topics = topics.iter().cloned().map(Into::into).collect();
                sender.send(Message::Read(ReadMessage::FollowTail {
                    from: Some(Position::FIRST),
                    topics,
                }))?;
                open = Some(sender);
            }
            LinkEvent::Failed { .. } => {}
            LinkEvent::Down { reason, .. } => anyhow::bail!("the link went down: {reason}"),
            LinkEvent::Messages { messages, .. } => {
                for message in messages {
                    match message {
                        Message::Read(ReadMessage::TailOpened {
                            next: first, head_next, ..
                        }) => {
                            ensure!(first == Position::FIRST, "the tail begins at {first}");
                            end = Some(head_next);
                        }
                        Message::Read(ReadMessage::TailSegment(segment)) => {
                            let first = segment.first;
                            ensure!(next <= first, "the tail went back from {next} to {first}");
                            next = first.plus(segment.count);
                            open_segment(&segment, topics, &mut take)?;
                        }
                        Message::Read(ReadMessage::TailPosition { next: position }) => {
                            next = position
                        }
                        // For who places segments.
                        Message::Node(NodeMessage::NdbStanding { .. })
                        | Message::Node(NodeMessage::NdbNowhere { .. })
                        | Message::Node(NodeMessage::Heartbeat) => {}
                        other => anyhow::bail!("{} on a tail", other.name()),
                    }
                }
            }
        }
    }
    drop(open);
    Ok(())
}

/// Gives on the messages of `topics` in the segment.
fn open_segment(
    segment: &TailSegment,
    topics: &[Topic],
    take: &mut impl FnMut(StoredMessage<'_>) -> anyhow::Result<()>,
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
        let topic = segment.topics.get(usize::from(record.topic)).context("no such topic")?;
        if topics.contains(topic) {
            let position = segment.first.plus(offset);
            let id = PermanentId { stamp: segment.stamp, offset };
            take(StoredMessage { position, id, topic, payload: record.payload })?;
        }
    }
    ensure!(records.is_complete(), "malformed records at {}", segment.first);
    Ok(())
}
