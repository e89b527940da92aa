//! Whether somebody waits for the order here: sync nodes tell it at once then, and else at their leisure.
//!
//! Subscribers do, reads of what is stored do, and questions about how far the order goes. Publishers wait for their
//! own segments, of which sync nodes know themselves (`docs/design/026-fewer-frames.md`).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::wire::{FeedMessage, Message, PeerId};
use vixen_runtime::link::{Haste, LinkId};

use super::run::EntryNode;

/// Somebody waits for so long after stored messages were read: more reads may follow.
const READ_AWAITS: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// What was said last on links to sync nodes.
    told: BTreeMap<LinkId, bool>,
    /// When stored messages were asked for last.
    read_at: Option<Instant>,
}

impl Awaited {
    /// Stored messages are asked for.
    pub(super) const fn read(&mut self, now: Instant) {
        self.read_at = Some(now);
    }

    /// A link is gone.
    pub(super) fn down(&mut self, link: LinkId) {
        self.told.remove(&link);
    }

    fn is_read(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|at| now.saturating_duration_since(at) < READ_AWAITS)
    }

    /// Whether the link is to be told: nobody has to say that the feed is awaited on a new one.
    fn tell(&mut self, link: LinkId, is_awaited: bool) -> bool {
        self.told.insert(link, is_awaited).unwrap_or(true) != is_awaited
    }
}

impl EntryNode {
    /// Whether somebody waits for what is not of this entry's own segments.
    pub(super) fn is_awaited(&self) -> bool {
        self.delivery.subscriptions() > 0
            || !self.reads.consumers.is_empty()
            || self.reads.end.is_waiting()
            || self.refused.end.is_waiting()
            || self.awaited.is_read(Instant::now())
    }

    /// Tells sync nodes, where that has changed.
    pub(super) fn tell_awaited(&mut self) {
        let is_awaited = self.is_awaited();
        let haste = if is_awaited { Haste::Now } else { Haste::Later };
        for (link, linked) in self.links.iter() {
            if matches!(linked.peer, PeerId::Sync { .. }) && self.awaited.tell(link, is_awaited) {
                let message = Message::Feed(FeedMessage::AwaitFeed { is_awaited });
                let _down_follows = linked.sender.send_all([(message, haste)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_waited_for_a_while() {
        let mut awaited = Awaited::default();
        let now = Instant::now();
        assert!(!awaited.is_read(now));
        awaited.read(now);
        assert!(awaited.is_read(now) && !awaited.is_read(now + READ_AWAITS));
    }
}
