//! Answers peers from the store, outside the loop: bytes of segments, and rows of the order.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use vixen_core::id::{Position, SegmentId};
use vixen_core::segment::Blob;
use vixen_core::wire::{Message, ReplicaMessage};
use vixen_replica::Read;
use vixen_runtime::link::{LinkId, LinkSender};

use super::NdbNode;
use crate::store::{Store, StoreError};

impl NdbNode {
    /// Answers on the link that was asked on.
    pub(super) fn serve(&self, link: LinkId, read: Read) {
        let Some(linked) = self.links.get(link) else { return };
        let (sender, store) = (linked.sender.clone(), Arc::clone(&self.store));
        match read {
            Read::Segments(segments) => {
                tokio::spawn(serve_segments(sender, store, segments));
            }
            Read::Order { from, rows_max } => {
                tokio::spawn(serve_order(sender, store, from, rows_max));
            }
            Read::OrderBefore { before, rows_max } => {
                tokio::spawn(serve_order_before(sender, store, before, rows_max));
            }
        }
    }
}

/// To a peer that lacks segments, from memory or the store.
async fn serve_segments(
    sender: LinkSender,
    store: Arc<Store>,
    segments: Vec<(SegmentId, Option<Blob>)>,
) {
    let mut absent = Vec::new();
    for (segment, held) in segments {
        let blob = match held {
            Some(blob) => Some(blob),
            None => read_blob(&store, segment).await,
        };
        match blob {
            Some(blob) => {
                let blob = blob.as_bytes().clone();
                if sender
                    .send_paced(Message::Replica(ReplicaMessage::SegmentBlob { segment, blob }))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            None => absent.push(segment),
        }
    }
    if !absent.is_empty() {
        let _link_is_down =
            sender.send(Message::Replica(ReplicaMessage::SegmentsMissing { segments: absent }));
    }
}

async fn read_blob(store: &Arc<Store>, segment: SegmentId) -> Option<Blob> {
    let store = Arc::clone(store);
    match spawn_blocking(move || store.any_blob(segment)).await {
        Ok(Ok(blob)) => blob,
        Ok(Err(error)) => {
            tracing::error!(%segment, %error, "cannot read a segment for a peer");
            None
        }
        Err(_node_ended) => None,
    }
}

/// To a reader that is behind.
async fn serve_order(sender: LinkSender, store: Arc<Store>, from: Position, rows_max: usize) {
    let base = store.base();
    let rows = match spawn_blocking(move || store.order_from(from, rows_max)).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(StoreError::Trimmed { .. })) => {
            let trimmed = Message::Replica(ReplicaMessage::OrderTrimmed { asked: from, base });
            let _link_is_down = sender.send_paced(trimmed).await;
            return;
        }
        Ok(Err(error)) => {
            // No rows would say that there are none, and who has none is not waited for: it asks another.
            tracing::error!(position = %from, %error, "cannot read the order for a reader");
            return;
        }
        Err(_node_ended) => return,
    };
    let _link_is_down =
        sender.send_paced(Message::Replica(ReplicaMessage::OrderRows { first: from, rows })).await;
}

/// To a peer that has dropped more than this node.
async fn serve_order_before(
    sender: LinkSender,
    store: Arc<Store>,
    before: Position,
    rows_max: usize,
) {
    let (base, rows) = match spawn_blocking(move || store.order_before(before, rows_max)).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::error!(position = %before, %error, "cannot read the order for a peer");
            return;
        }
        Err(_node_ended) => return,
    };
    let _link_is_down = sender
        .send_paced(Message::Replica(ReplicaMessage::OrderBefore { before, base, rows }))
        .await;
}
