//! Reads what is stored from one ndb node, by the messages between nodes.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use tokio::sync::mpsc;

use vixen_core::id::{GroupId, NdbId, Position};
use vixen_core::segment::{Records, TopicPattern};
use vixen_core::wire::{HistoryEnd, HistoryPlace, HistoryQuery, Message, NodeMessage, ReadMessage};
use vixen_runtime::link::{LinkEvent, LinkSender};
use vixen_tests::harness::Cluster;
use vixen_tests::storage::link_to;

use super::Reading;

/// As an entry asks.
const BATCH_BYTES: u32 = 1 << 20;

/// Reads all that D1 has below `end`, and checks that `total` messages come, each once, in order.
pub(super) async fn read_all(
    cluster: &Cluster,
    total: u64,
    end: Position,
) -> anyhow::Result<Reading> {
    let node = NdbId { group: GroupId(0), member: 0 };
    let (dialling, mut events) = link_to(("D1", &cluster.address("D1")?, &cluster.terms()?), node);
    let reading = read(&mut events, total, end).await;
    dialling.abort();
    reading
}

async fn read(
    events: &mut mpsc::Receiver<LinkEvent>,
    total: u64,
    end: Position,
) -> anyhow::Result<Reading> {
    let mut link: Option<LinkSender> = None;
    let mut next = Position::FIRST;
    let mut reading = Reading { messages: 0, bytes: 0, elapsed: std::time::Duration::ZERO };
    let begun = Instant::now();
    loop {
        match events.recv().await.context("the dialler ended")? {
            LinkEvent::Up { sender, .. } => {
                ask(&sender, Position::FIRST)?;
                link = Some(sender);
            }
            LinkEvent::Failed { .. } => {}
            LinkEvent::Down { reason, .. } => bail!("the link went down: {reason}"),
            LinkEvent::Messages { messages, .. } => {
                for message in messages {
                    match message {
                        Message::Read(ReadMessage::HistorySegment { segment, .. }) => {
                            ensure!(segment.first >= next, "{} below {next}", segment.first);
                            let count = Records::new(&segment.records).count();
                            // Others may be of the entry that has made it.
                            let told = match segment.offsets.len() {
                                0 => segment.count as usize,
                                some => some,
                            };
                            ensure!(count == told, "{count} messages of {told} in a segment");
                            next = segment.first.plus(segment.count);
                            reading.messages += count as u64;
                            reading.bytes += segment.records.len() as u64;
                        }
                        Message::Read(ReadMessage::HistoryEnd { end: how, .. }) => match how {
                            HistoryEnd::Next { next, .. } if next >= end => {
                                ensure!(reading.messages == total, "{} messages", reading.messages);
                                reading.elapsed = begun.elapsed();
                                return Ok(reading);
                            }
                            HistoryEnd::Next { next, .. } => {
                                ask(link.as_ref().context("a link")?, next)?;
                            }
                            other => bail!("the reading ended: {other:?}"),
                        },
                        Message::Node(NodeMessage::NdbStanding { .. })
                        | Message::Node(NodeMessage::NdbNowhere { .. })
                        | Message::Node(NodeMessage::Heartbeat) => {}
                        other => bail!("{} for a reader", other.name()),
                    }
                }
            }
        }
    }
}

fn ask(link: &LinkSender, from: Position) -> anyhow::Result<()> {
    let query = HistoryQuery {
        from: HistoryPlace::Position(from),
        is_backward: false,
        until: None,
        topics: vec![TopicPattern::all("realm1")],
        messages_max: u32::MAX,
        bytes_max: BATCH_BYTES,
    };
    link.send(Message::Read(ReadMessage::ReadHistory { request: from.0, query }))?;
    Ok(())
}
