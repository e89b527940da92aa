//! Bytes of segments, from and for the peers of the group.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use vixen_core::id::{NdbId, SegmentId};
use vixen_core::segment::Blob;
use vixen_core::wire::Message;
use vixen_runtime::link::LinkId;

use super::NdbNode;
use crate::store::Store;

/// A segment without a place is asked for so often, at nodes that turn out not to have it.
const OFFERED_TRIES_MAX: u32 = 10;

impl NdbNode {
    pub(super) fn fetch_due(&mut self) {
        let now = Instant::now();
        if !self.may_fetch() || self.fetching.due_at().is_none_or(|at| at > now) {
            return;
        }
        for (to, segments) in self.fetching.take_due(now) {
            let peer = self.options.roster.ndb(to);
            tracing::debug!(%peer, segments = segments.len(), "asking for missing segments");
            if let Some(sender) = self.senders_of_peer(to).next() {
                let _down_follows = sender.send(Message::FetchSegments { segments });
            }
        }
    }

    /// Segments that a peer does not have. One without a place that nobody has any more is not asked
    /// for for ever: it is elected, or offered again, or gone.
    pub(super) fn on_segments_missing(&mut self, from: NdbId, segments: &[SegmentId]) {
        self.fetching.lacks(from, segments, Instant::now());
        for segment in segments {
            let is_placed = self.replica.missing().contains_key(segment);
            if !is_placed && self.fetching.tries_of(*segment) >= OFFERED_TRIES_MAX {
                self.fetching.got(*segment);
                self.replica.unwant(*segment);
            }
        }
    }

    /// Answers a peer that lacks segments, from memory or the store, outside the loop.
    pub(super) fn serve_segments(&self, link: LinkId, segments: Vec<SegmentId>) {
        let Some(linked) = self.links.get(link) else { return };
        let (sender, store) = (linked.sender.clone(), Arc::clone(&self.store));
        let held: BTreeMap<_, _> =
            segments.iter().filter_map(|id| Some((*id, self.replica.blob_of(*id)?))).collect();
        tokio::spawn(async move {
            let mut absent = Vec::new();
            for segment in segments {
                let blob = match held.get(&segment) {
                    Some(blob) => Some(blob.clone()),
                    None => read_blob(&store, segment).await,
                };
                match blob {
                    Some(blob) => {
                        let blob = blob.as_bytes().clone();
                        if sender.send_paced(Message::SegmentBlob { segment, blob }).await.is_err()
                        {
                            return;
                        }
                    }
                    None => absent.push(segment),
                }
            }
            if !absent.is_empty() {
                let _link_is_down = sender.send(Message::SegmentsMissing { segments: absent });
            }
        });
    }
}

async fn read_blob(store: &Arc<Store>, segment: SegmentId) -> Option<Blob> {
    let store = Arc::clone(store);
    let read = tokio::task::spawn_blocking(move || store.any_blob(segment)).await;
    match read {
        Ok(Ok(blob)) => blob,
        Ok(Err(error)) => {
            tracing::error!(%segment, %error, "cannot read a segment for a peer");
            None
        }
        Err(_node_ended) => None,
    }
}
