//! What links bring: ups, downs, and messages into inputs.

use std::sync::Arc;

use tokio::time::Instant;

use vixen_core::id::NdbId;
use vixen_core::order;
use vixen_core::segment::{Blob, TopicPattern};
use vixen_core::wire::{DISK_FULL, Message, PeerId};
use vixen_runtime::link::{LinkEvent, LinkId, Linked};

use super::{NdbError, NdbNode};
use crate::tail::{self, Change, Command, TailContext};
use vixen_replica::{Effects, Input};

impl NdbNode {
    pub(super) fn on_link(&mut self, event: LinkEvent, fx: &mut Effects) -> Result<(), NdbError> {
        match event {
            LinkEvent::Up { link, peer, name, sender } => {
                self.on_up(link, Linked { peer, name, sender }, fx);
            }
            LinkEvent::Messages { link, peer, messages } => {
                if self.links.heard(link, Instant::now().into_std()).is_some() {
                    self.on_silence(link, false, fx);
                }
                self.metrics.messages_received.increment(messages.len() as u64);
                for message in messages {
                    self.on_message(link, peer, message, fx)?;
                }
            }
            LinkEvent::Failed { name, refusal } => {
                self.links.failed(name, refusal);
                self.tell_readiness();
            }
            LinkEvent::Down { link, peer, name, reason } => {
                tracing::info!(peer = %name, reason, "link down");
                self.links.down(link);
                self.tails.remove(&link);
                self.parts.remove(&link);
                // Entries come under any names, and they would add up.
                if !matches!(peer, PeerId::Entry { .. }) {
                    self.last_down.insert(name, reason);
                }
                self.on_down(peer, fx);
                self.tell_readiness();
            }
        }
        Ok(())
    }

    /// A link is gone; another to the same peer may be up.
    fn on_down(&mut self, peer: PeerId, fx: &mut Effects) {
        match peer {
            PeerId::Sync { id, .. } if self.senders_of_sync(id).next().is_none() => {
                self.read_order(order::Input::FeedDown { feed: id }, fx);
                self.skew.forget(id);
            }
            PeerId::Ndb { id, .. } if self.senders_of_peer(id).next().is_none() => {
                self.retaining.gone(id);
                self.note_present();
                self.fetching.peer_down(id, Instant::now());
                self.read_order(order::Input::PeerDown { peer: id }, fx);
            }
            PeerId::Entry { owner } if self.senders_of(owner).next().is_none() => {
                self.awaited.owner_gone(owner);
                self.replica.step(Input::OwnerDown { owner }, fx);
            }
            PeerId::Sync { .. } | PeerId::Ndb { .. } | PeerId::Entry { .. } => {}
        }
    }

    /// On a new link everything unresolved that is the peer's business is said again.
    fn on_up(&mut self, link: LinkId, linked: Linked, fx: &mut Effects) {
        let Linked { peer, sender, .. } = linked.clone();
        self.links.up(link, linked, Instant::now().into_std());
        self.tell_readiness();
        let _down_follows = sender.send(Message::NdbStanding { standing: self.standing });
        if self.nowhere.segments > 0 {
            let _down_follows = sender.send(Message::NdbNowhere { nowhere: self.nowhere });
        }
        match peer {
            PeerId::Sync { id, .. } => {
                self.read_order(order::Input::FeedUp { feed: id }, fx);
                let _down_follows = sender.send(Message::OrderApplied { stamp: self.applied });
                for meta in self.replica.unresolved() {
                    let _down_follows = sender.send(Message::GenerateDraft { meta });
                }
            }
            PeerId::Ndb { id, .. } => {
                self.on_ndb_peer(id, Instant::now());
                self.read_order(order::Input::PeerUp { peer: id }, fx);
                if id.group == self.options.id.group
                    && let Some(retained) = self.told_retained()
                {
                    let _down_follows = sender.send(retained);
                }
            }
            PeerId::Entry { .. } => {}
        }
    }

    /// A peer says that it cannot do its part, or that it can.
    fn on_unable(&mut self, link: LinkId, why: Option<&'static str>) {
        self.links.set_unable(link, why);
        self.tell_readiness();
    }

    /// Another ndb node can be asked for segments.
    pub(super) fn on_ndb_peer(&mut self, id: NdbId, now: Instant) {
        // Other groups hold none of this group's segments.
        if id.group == self.options.id.group {
            self.fetching.peer_up(id, now);
            self.note_present();
        }
    }

    /// What a word about the interest says, with the parts that came before it.
    fn whole_change(
        &mut self,
        link: LinkId,
        add: Vec<TopicPattern>,
        remove: Vec<TopicPattern>,
    ) -> Change {
        let mut change = self.parts.remove(&link).unwrap_or_default();
        change.extend(add, remove);
        change
    }

    fn on_message(
        &mut self,
        link: LinkId,
        peer: PeerId,
        message: Message,
        fx: &mut Effects,
    ) -> Result<(), NdbError> {
        let input = match (peer, message) {
            // It has said so by coming.
            (_, Message::Heartbeat) => return Ok(()),
            (PeerId::Entry { owner: from }, Message::BeginAdvanceSegment { segment, .. }) => {
                Input::Begin { from, segment }
            }
            (
                PeerId::Entry { owner: from },
                Message::KeepAdvanceHistory { segment, offset, topics, count, records },
            ) => Input::Keep { from, segment, offset, topics, count, records },
            (PeerId::Entry { owner: from }, Message::AdvanceSegmentOver { meta }) => {
                Input::Over { from, meta }
            }
            (PeerId::Entry { .. }, Message::AwaitDurable { segment }) => {
                self.on_await_durable(segment);
                return Ok(());
            }
            (PeerId::Entry { .. }, Message::InterestPart { add, remove }) => {
                if self.links.get(link).is_some() {
                    self.parts.entry(link).or_default().extend(add, remove);
                }
                return Ok(());
            }
            (PeerId::Entry { .. }, Message::FollowTail { from, topics }) => {
                let change = self.whole_change(link, topics, Vec::new());
                if let Some(linked) = self.links.get(link) {
                    let context = TailContext {
                        log: Arc::clone(&self.log),
                        store: Arc::clone(&self.store),
                        trouble: self.trouble.clone(),
                        trusted_to: self.trusted(),
                        metrics: self.metrics.tail.clone(),
                    };
                    let before = self.tails.remove(&link);
                    let handle =
                        tail::start(context, linked.sender.clone(), from, change.add, before);
                    self.tails.insert(link, handle);
                }
                return Ok(());
            }
            (PeerId::Entry { .. }, Message::ChangeInterest { version, add, remove }) => {
                let change = self.whole_change(link, add, remove);
                if let Some(tail) = self.tails.get(&link) {
                    tail.tell(Command::Change { version, change });
                }
                return Ok(());
            }
            (PeerId::Ndb { .. }, Message::NdbStanding { standing }) => {
                self.on_unable(link, standing.unable());
                return Ok(());
            }
            (PeerId::Ndb { .. }, Message::NdbNowhere { nowhere }) => {
                self.links.set_nowhere(link, nowhere);
                self.tell_readiness();
                return Ok(());
            }
            (PeerId::Sync { .. }, Message::SyncDiskFull) => {
                self.on_unable(link, Some(DISK_FULL));
                return Ok(());
            }
            (PeerId::Sync { id: from, .. }, Message::AdvanceSegmentResolved { elected }) => {
                self.read_order(order::Input::Resolved { from, elected }, fx);
                return Ok(());
            }
            (PeerId::Sync { id: from, .. }, Message::Watermark { stamp }) => {
                self.read_order(order::Input::Watermark { from, stamp }, fx);
                return Ok(());
            }
            (PeerId::Sync { id: from, .. }, Message::FeedTrimmed { to }) => {
                self.read_order(order::Input::FeedTrimmed { from, to }, fx);
                return Ok(());
            }
            (PeerId::Sync { id, .. }, Message::SyncTime { time, ahead_ms_max }) => {
                self.skew.note(id, time, ahead_ms_max, Instant::now().into_std());
                self.tell_readiness();
                return Ok(());
            }
            (PeerId::Sync { id: from, .. }, Message::DraftAnswered { segment, answer }) => {
                self.on_draft_answered(from, segment, answer, fx);
                return Ok(());
            }
            (PeerId::Ndb { .. } | PeerId::Entry { .. }, Message::FetchOrder { from }) => {
                self.serve_order(link, from);
                return Ok(());
            }
            (PeerId::Ndb { id: from, .. }, Message::OrderRows { first, rows }) => {
                if !self.on_repair_rows(first, &rows)? {
                    self.read_order(order::Input::Rows { from, first, rows }, fx);
                }
                return Ok(());
            }
            (PeerId::Ndb { .. }, Message::FetchSegments { segments }) => {
                self.serve_segments(link, segments);
                return Ok(());
            }
            (PeerId::Ndb { id, .. }, Message::SegmentBlob { segment, blob }) => {
                let refused = fx.refused.len();
                self.replica.step(Input::Fetched { segment, blob: Blob::from_bytes(blob) }, fx);
                if fx.refused.len() > refused {
                    // Damaged there as well: the next peer is asked.
                    self.fetching.lacks(id, &[segment], Instant::now());
                }
                return Ok(());
            }
            (PeerId::Ndb { id, .. }, Message::OfferSegments { segments })
                if id.group == self.options.id.group =>
            {
                Input::Offered { segments }
            }
            (PeerId::Ndb { id, .. }, Message::ChainAt { next, chain }) => {
                self.on_chain(id, next, chain);
                return Ok(());
            }
            (PeerId::Ndb { id, .. }, Message::OrderTrimmed { asked, base }) => {
                return self.on_order_trimmed(id, asked, base, fx);
            }
            (PeerId::Ndb { id, .. }, Message::Retaining { retained })
                if id.group == self.options.id.group =>
            {
                self.on_retaining(id, retained);
                return Ok(());
            }
            (PeerId::Ndb { .. }, Message::FetchOrderBefore { before }) => {
                self.serve_order_before(link, before);
                return Ok(());
            }
            (PeerId::Ndb { .. }, Message::OrderBefore { before, base, rows }) => {
                return self.on_order_before(before, base, rows);
            }
            (PeerId::Entry { .. }, Message::ReadHistory { request, query }) => {
                self.serve_history(link, request, query);
                return Ok(());
            }
            (PeerId::Ndb { id, .. }, Message::SegmentsMissing { segments }) => {
                self.on_segments_missing(id, &segments);
                return Ok(());
            }
            (_, other) => {
                self.metrics.refused_messages.increment(1);
                let peer = self.links.get(link).map(|linked| linked.name.as_str());
                tracing::warn!(peer, message = other.name(), "message is not for an ndb node");
                return Ok(());
            }
        };
        self.replica.step(input, fx);
        Ok(())
    }
}
