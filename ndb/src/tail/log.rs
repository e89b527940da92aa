//! The recent end of the order, shared by the node and its tails.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use vixen_core::id::{Position, Stamp};
use vixen_replica::tail::{Change, EntryBody, Found, RecentOrder};

use crate::store::Recent;

/// See the module doc.
#[derive(Debug)]
pub(crate) struct TailLog {
    recent: Mutex<RecentOrder>,
    changes: watch::Sender<u64>,
}

impl TailLog {
    /// Starts at the head of the stored order.
    pub(crate) fn new(next: Position, stamp: Stamp, bytes_max: usize) -> Self {
        let recent = Mutex::new(RecentOrder::new(next, stamp, bytes_max));
        Self { recent, changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, RecentOrder> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes, and wakes the tails.
    pub(crate) fn apply(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut recent = self.lock();
        changes.iter().for_each(|change| recent.apply(change));
        drop(recent);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The head of the order: the next position, and the last stamp before it.
    pub(crate) fn head(&self) -> (Position, Stamp) {
        self.lock().head()
    }

    /// Nothing from here on is given out.
    pub(crate) fn trusted_to(&self) -> Position {
        self.lock().trusted_to()
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// What stands at `position`, at most `limit` segments of it; and the head of the order.
    pub(crate) fn find(&self, position: Position, limit: usize) -> (Found, Position) {
        let recent = self.lock();
        (recent.find(position, limit), recent.head().0)
    }

    /// All segments from `position` on that are kept, for readers of history.
    pub(crate) fn recent(&self, position: Position) -> Vec<Recent> {
        let recent = self.lock();
        let entries = recent.entries_from(position).map(|entry| {
            let body = match &entry.body {
                EntryBody::Open(topics, records) => Some((topics.clone(), records.clone())),
                EntryBody::Stored | EntryBody::Missing | EntryBody::Elsewhere => None,
            };
            Recent { first: entry.first, row: entry.row, body }
        });
        entries.collect()
    }

    /// Wakes on every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
