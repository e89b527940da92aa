//! What links bring: ups, downs, and messages into inputs.

use std::time::Instant;

use vixen_core::wire::{DISK_FULL, FeedMessage, Message, NodeMessage, PeerId, ReadMessage};
use vixen_replica::{Effects, Input};
use vixen_runtime::link::{LinkEvent, LinkId, Linked};

use super::NdbNode;

impl NdbNode {
    pub(super) fn on_link(&mut self, event: LinkEvent, fx: &mut Effects) {
        match event {
            LinkEvent::Up { link, peer, name, sender, .. } => {
                self.links.up(link, Linked { peer, name, sender }, Instant::now());
                self.step(Input::Up { peer }, fx);
                // Before the greeting, which tells others that the link counts here.
                self.tell_readiness();
                // It is for this link: the next of the same turn may be another to the same peer.
                self.send_all(fx);
            }
            LinkEvent::Messages { link, peer, messages } => {
                if self.links.heard(link, Instant::now()).is_some() {
                    self.on_silence(link, fx);
                }
                // Its beats say nothing of whether it can do its part.
                let is_outcome = |message: &Message| {
                    matches!(
                        message,
                        Message::Feed(
                            FeedMessage::AdvanceSegmentResolved { .. }
                                | FeedMessage::SegmentAccepted { .. }
                        )
                    )
                };
                if let PeerId::Sync { id, .. } = peer
                    && messages.iter().any(is_outcome)
                {
                    self.homes.heard(id);
                }
                self.metrics.messages_received.increment(messages.len() as u64);
                for message in messages {
                    self.on_message(link, peer, message, fx);
                }
            }
            LinkEvent::Failed { name, refusal } => {
                self.links.failed(name, refusal);
                self.tell_readiness();
            }
            LinkEvent::Down { link, peer, name, reason } => {
                tracing::info!(peer = %name, reason, "link down");
                self.links.down(link);
                self.tails.end(link);
                self.awaited.down(link);
                if let PeerId::Sync { id, .. } = peer {
                    self.homes.heard(id);
                }
                // Entries come under any names, and they would add up.
                if !matches!(peer, PeerId::Entry { .. }) {
                    self.last_down.insert(name, reason);
                }
                self.on_down(peer, fx);
                self.tell_readiness();
            }
        }
    }

    /// A link is gone; another to the same peer may be up.
    fn on_down(&mut self, peer: PeerId, fx: &mut Effects) {
        if !self.is_linked(&peer) {
            if let PeerId::Sync { id, .. } = peer {
                self.skew.forget(id);
            }
            self.step(Input::Down { peer }, fx);
        } else if !self.is_heard(&peer) {
            self.step(Input::Silent { peer, is_silent: true }, fx);
        }
    }

    fn on_message(&mut self, link: LinkId, peer: PeerId, message: Message, fx: &mut Effects) {
        match (peer, message) {
            (PeerId::Entry { .. }, message) if is_of_readers(&message) => {
                self.on_reader(link, message);
            }
            (_, message) if is_of_health(&message) => self.on_health(link, peer, message, fx),
            (from, message) => {
                self.step(Input::Said { from, message }, fx);
                for read in std::mem::take(&mut fx.reads) {
                    self.serve(link, read);
                }
            }
        }
    }

    /// What an entry says of its tail, and its reads of what is stored.
    fn on_reader(&mut self, link: LinkId, message: Message) {
        let Some(linked) = self.links.get(link) else { return };
        match message {
            Message::Read(ReadMessage::InterestPart { add, remove }) => {
                self.tails.part(link, add, remove)
            }
            Message::Read(ReadMessage::FollowTail { from, topics }) => {
                self.tails.follow(link, linked.sender.clone(), from, topics);
            }
            Message::Read(ReadMessage::ChangeInterest { version, add, remove }) => {
                self.tails.change(link, version, add, remove);
            }
            Message::Read(ReadMessage::ReadHistory { request, query }) => {
                self.serve_history(link, request, query)
            }
            _not_of_readers => {}
        }
    }

    /// What a peer says of how it is, for people.
    fn on_health(&mut self, link: LinkId, peer: PeerId, message: Message, fx: &mut Effects) {
        match (peer, message) {
            // It has said so by coming.
            (_, Message::Node(NodeMessage::Heartbeat)) => return,
            (PeerId::Ndb { .. }, Message::Node(NodeMessage::NdbStanding { standing })) => {
                self.links.set_unable(link, standing.unable());
            }
            (PeerId::Ndb { .. }, Message::Node(NodeMessage::NdbNowhere { nowhere })) => {
                self.links.set_nowhere(link, nowhere);
            }
            (PeerId::Sync { .. }, Message::Node(NodeMessage::SyncDiskFull)) => {
                self.links.set_unable(link, Some(DISK_FULL));
            }
            (
                PeerId::Sync { id, .. },
                Message::Node(NodeMessage::SyncTime { time, ahead_ms_max }),
            ) => {
                self.skew.note(id, time, ahead_ms_max, Instant::now());
            }
            (from, message) => return self.step(Input::Said { from, message }, fx),
        }
        self.tell_readiness();
    }
}

const fn is_of_readers(message: &Message) -> bool {
    matches!(
        message,
        Message::Read(ReadMessage::InterestPart { .. })
            | Message::Read(ReadMessage::FollowTail { .. })
            | Message::Read(ReadMessage::ChangeInterest { .. })
            | Message::Read(ReadMessage::ReadHistory { .. })
    )
}

const fn is_of_health(message: &Message) -> bool {
    matches!(
        message,
        Message::Node(NodeMessage::Heartbeat)
            | Message::Node(NodeMessage::NdbStanding { .. })
            | Message::Node(NodeMessage::NdbNowhere { .. })
            | Message::Node(NodeMessage::SyncDiskFull)
            | Message::Node(NodeMessage::SyncTime { .. })
    )
}
