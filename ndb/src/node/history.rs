//! Answers readers of stored messages, one batch a request, outside the loop.

use std::sync::Arc;
use std::time::Instant;

use vixen_core::wire::{HistoryEnd, HistoryQuery, Message, ReadMessage};
use vixen_runtime::link::LinkId;

use super::NdbNode;
use crate::store::StoreError;
use crate::tail::Trouble;
use vixen_replica::{Finding, Lost};

/// Whatever a reader asks for, a batch has not more bytes.
const BYTES_MAX: u32 = 4 << 20;

impl NdbNode {
    pub(super) fn serve_history(&mut self, link: LinkId, request: u64, mut query: HistoryQuery) {
        let Some(linked) = self.links.get(link) else { return };
        self.awaited.read(Instant::now());
        let (sender, store, trouble) =
            (linked.sender.clone(), Arc::clone(&self.store), self.tails.trouble().clone());
        let log = Arc::clone(self.tails.log());
        self.metrics.history_batches.increment(1);
        query.bytes_max = query.bytes_max.min(BYTES_MAX);
        let trusted_to = self.core.trusted_to();
        if trusted_to.0 < u64::MAX && !query.is_backward {
            query.until = Some(query.until.map_or(trusted_to, |until| until.min(trusted_to)));
        }
        let metrics = self.metrics.history.clone();
        tokio::spawn(async move {
            let read = tokio::task::spawn_blocking(move || {
                // What is placed and not on disk yet.
                let recent = log.recent(store.head().next);
                store.history(&query, &recent)
            });
            let read = read.await;
            let end = match read {
                Ok(Ok(batch)) => {
                    if let Some((first, row)) = batch.damaged {
                        let (meta, stamp) = (row.elected.meta, row.elected.stamp());
                        let found = Finding::Blob(Lost { meta, first, stamp });
                        let _node_has_ended = trouble.send(Trouble::Found(found));
                    }
                    if let Some(day) = batch.at_odds {
                        let _node_has_ended = trouble.send(Trouble::Found(Finding::AtOdds(day)));
                    }
                    let is_trusted =
                        batch.segments.iter().all(|s| s.first.plus(s.count) <= trusted_to);
                    if is_trusted {
                        for segment in batch.segments {
                            metrics.segments.increment(1);
                            metrics.bytes.increment(segment.records.len() as u64);
                            let message =
                                Message::Read(ReadMessage::HistorySegment { request, segment });
                            if sender.send_paced(message).await.is_err() {
                                return;
                            }
                        }
                        batch.end
                    } else {
                        HistoryEnd::Failed
                    }
                }
                Ok(Err(StoreError::Order(at))) => {
                    let _node_has_ended = trouble.send(Trouble::Found(Finding::Row { at }));
                    HistoryEnd::Failed
                }
                Ok(Err(StoreError::Trimmed { first })) => HistoryEnd::Trimmed { first },
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot read stored messages");
                    let _node_has_ended = trouble.send(Trouble::Failed(error));
                    HistoryEnd::Failed
                }
                Err(_node_ended) => return,
            };
            let _link_is_down =
                sender.send_paced(Message::Read(ReadMessage::HistoryEnd { request, end })).await;
        });
    }
}
