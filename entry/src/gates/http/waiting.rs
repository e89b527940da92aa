//! What a stream of events waits for, when that is not the next publisher.

use tokio::sync::watch;

use vixen_broker::history::HistoryError;
use vixen_core::words::Words;

use crate::node::{EntryHandle, Waits};

/// Tells once what holds a stream up, and again when that changes.
pub(super) struct Waiting {
    core: watch::Receiver<Waits>,
    /// Why what is stored was not to be had, since it was last.
    failed: Option<Words>,
    told: Option<Words>,
}

impl Waiting {
    pub(super) fn new(core: &EntryHandle) -> Self {
        Self { core: core.waits(), failed: None, told: None }
    }

    /// Resolves when there may be news. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.core.changed().await.is_err() {
            // The core is gone, and the stream learns it otherwise.
            std::future::pending::<()>().await;
        }
    }

    /// What is stored was read, or was not to be had.
    pub(super) fn read(&mut self, failed: Option<&HistoryError>) {
        match failed {
            None => self.failed = None,
            // The first time: it is tried again and again.
            Some(error) => _ = self.failed.get_or_insert_with(|| Words::new(error.to_string())),
        }
    }

    /// What to tell the stream now; `reads` while it waits for what is stored.
    pub(super) fn news(&mut self, reads: bool) -> Option<String> {
        let waits = self.core.borrow_and_update();
        let gone = waits.gone.clone().filter(|_| reads || waits.holds_up);
        if gone.is_some() {
            self.failed = None;
        }
        let nowhere = || if reads { self.failed.clone() } else { waits.nowhere.clone() };
        let why = gone.or_else(nowhere);
        if why == self.told {
            return None;
        }
        self.told = why;
        let text = self.told.as_ref()?.text(std::time::Instant::now());
        let message = format!("what comes next waits: {text}");
        Some(serde_json::json!({ "message": message }).to_string())
    }
}
