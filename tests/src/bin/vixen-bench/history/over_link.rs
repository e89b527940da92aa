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

/// Reads positions 1 to `total` of D1, and checks that none is left out.
pub(super) async fn read_all(cluster: &Cluster, total: u64) -> anyhow::Result<Reading> {
    let node = NdbId { group: GroupId(0), member: 0 };
    let (dialling, mut events) = link_to(("D1", &cluster.address("D1")?, &cluster.terms()?), node);
    let reading = read(&mut events, total).await;
    dialling.abort();
    reading
}

async fn read(events: &mut mpsc::Receiver<LinkEvent>, total: u64) -> anyhow::Result<Reading> {
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
                            ensure!(segment.first == next, "{} after {next}", segment.first);
                            let count = Records::new(&segment.records).count();
                            ensure!(count == segment.count as usize, "a whole segment");
                            next = segment.first.plus(segment.count);
                            reading.messages += u64::from(segment.count);
                            reading.bytes += segment.records.len() as u64;
                        }
                        Message::Read(ReadMessage::HistoryEnd { end, .. }) => match end {
                            HistoryEnd::Next { next, .. } if next.0 > total => {
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
