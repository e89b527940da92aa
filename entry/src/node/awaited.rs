//! Whether somebody waits for the order here: sync nodes tell it at once then, and else at their leisure.
//!
//! Subscribers do, callees, reads of what is stored, and questions about how far the order goes. Publishers wait for their
//! own segments, of which sync nodes know themselves (`docs/design/026-fewer-frames.md`).

use std::time::Instant;

use super::run::EntryNode;

impl EntryNode {
    /// Whether somebody waits for what is not of this entry's own segments.
    pub(super) fn is_awaited(&self) -> bool {
        self.delivery.subscriptions() > 0
            || self.calls.is_awaited()
            || !self.reads.consumers.is_empty()
            || self.reads.end.is_waiting()
            || self.refused.end.is_waiting()
            || self.awaited.is_read(Instant::now())
    }

    /// Tells sync nodes, where that has changed.
    pub(super) fn tell_awaited(&mut self) {
        let is_awaited = self.is_awaited();
        self.awaited.tell(&self.links, is_awaited);
    }
}
