//! Whether somebody waits for what sync nodes tell a reader, as it has told them (`AwaitFeed`).
//!
//! What somebody waits for is the reader's to say, but for one thing that all have: who has read stored messages may do so
//! again at once (`docs/design/026-fewer-frames.md`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_core::wire::{FeedMessage, Message, PeerId};

use super::{Haste, LinkId, Links};

/// Somebody waits for so long after stored messages were read.
const READ_AWAITS: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Awaited {
    /// What was said last on links to sync nodes.
    told: BTreeMap<LinkId, bool>,
    /// When stored messages were asked for last.
    read_at: Option<Instant>,
}

impl Awaited {
    /// Stored messages are asked for.
    pub const fn read(&mut self, now: Instant) {
        self.read_at = Some(now);
    }

    /// Whether they were, a moment ago.
    #[must_use]
    pub fn is_read(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|at| now.saturating_duration_since(at) < READ_AWAITS)
    }

    /// A link is gone.
    pub fn down(&mut self, link: LinkId) {
        self.told.remove(&link);
    }

    /// Tells sync nodes whether somebody waits, where that has changed.
    pub fn tell(&mut self, links: &Links, is_awaited: bool) {
        let haste = if is_awaited { Haste::Now } else { Haste::Later };
        for (link, linked) in links.iter() {
            if matches!(linked.peer, PeerId::Sync { .. }) && self.is_news(link, is_awaited) {
                let message = Message::Feed(FeedMessage::AwaitFeed { is_awaited });
                let _down_follows = linked.sender.send_all([(message, haste)]);
            }
        }
    }

    /// Nobody has to say that the feed is awaited on a new link.
    fn is_news(&mut self, link: LinkId, is_awaited: bool) -> bool {
        self.told.insert(link, is_awaited).unwrap_or(true) != is_awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_waited_for_a_while() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        assert!(!awaited.is_read(now));
        awaited.read(now);
        assert!(awaited.is_read(now) && !awaited.is_read(now + READ_AWAITS));
    }

    #[test]
    fn a_new_link_is_awaited_until_it_is_told_otherwise() {
        let (mut awaited, link) = (Awaited::default(), LinkId::fresh());
        assert!(!awaited.is_news(link, true));
        assert!(awaited.is_news(link, false) && !awaited.is_news(link, false));
        awaited.down(link);
        assert!(!awaited.is_news(link, true), "another of that number");
    }
}
