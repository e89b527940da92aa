//! Room on the disk: what a node does that cannot write its votes.
//!
//! A vote is durable before it is sent, so a node without room sends none: it takes no input of the
//! vote, keeps what its last steps owe, and says `disk full` to all. It serves its feed, and its status.
//! When there is room, what waited is written, and all links are made anew: on each, what is
//! unresolved is said again, so nothing that came meanwhile needs to be kept. To its peers it is like
//! a node that was cut off.

use std::path::PathBuf;

use tokio::time::Instant;

use vixen_core::time::WallTime;
use vixen_core::wire::{DISK_FULL, Message, NodeMessage, PeerId};
use vixen_runtime::disk::{DISK_LOOK, Room};
use vixen_runtime::link::LinkEvent;

use super::{SyncError, SyncEvent, SyncNode};
use vixen_vote::Effects;

/// The room on the disk, and whether this node does without.
#[derive(Debug)]
pub(super) struct DiskRoom {
    room: Room,
    look_at: Instant,
    /// It does not vote: its disk has no room.
    is_full: bool,
}

impl DiskRoom {
    /// Of the disk that `dir` is on, of which `reserve` bytes are to stay free.
    pub(super) fn new(dir: PathBuf, reserve: u64) -> Self {
        Self { room: Room::new(dir, reserve), look_at: Instant::now(), is_full: false }
    }

    /// Whether the node does not vote for want of room.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// When to look again.
    pub(super) const fn due_at(&self) -> Instant {
        self.look_at
    }

    pub(super) fn report(&self) -> serde_json::Value {
        serde_json::json!({
            "free_bytes": self.room.free(),
            "reserve_bytes": self.room.reserve(),
            "is_full": self.is_full,
        })
    }
}

impl SyncNode {
    /// Looks at the room when that is due: ceases to vote, or goes on.
    pub(super) async fn look_at_disk(&mut self, now: WallTime) -> Result<(), SyncError> {
        let clock = Instant::now();
        self.store.tend(clock.into_std())?;
        if self.room.look_at > clock {
            return Ok(());
        }
        self.room.look_at = clock + DISK_LOOK;
        self.room.room.look();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.metrics.disk_free.set(self.room.room.free() as f64);
        // While the journal still takes commits: what it has at the end is what must find room.
        let has_no_room = self.room.room.is_low() || self.store.lacks_room();
        match (self.room.is_full, has_no_room) {
            (false, true) => {
                self.cease();
                self.deliver();
            }
            (true, false) => self.go_on(now).await?,
            (false, false) | (true, true) => {}
        }
        Ok(())
    }

    /// Ceases to vote, and says so.
    pub(super) fn cease(&mut self) {
        if std::mem::replace(&mut self.room.is_full, true) {
            return;
        }
        self.room.room.look();
        tracing::error!(
            path = %self.options.dir.display(),
            free_bytes = self.room.room.free(),
            reserve_bytes = self.room.room.reserve(),
            "the disk is full: this node does not vote until there is room"
        );
        self.out.extend(
            self.links.iter().map(|(link, _)| (link, Message::Node(NodeMessage::SyncDiskFull))),
        );
        self.tell_readiness();
    }

    /// Writes what waited, if it can.
    async fn go_on(&mut self, now: WallTime) -> Result<(), SyncError> {
        let Some(held) = self.try_again()? else { return Ok(()) };
        self.room.is_full = false;
        self.leave(held)?;
        self.deliver();
        tracing::info!(
            path = %self.options.dir.display(),
            free_bytes = self.room.room.free(),
            "the disk has room again: this node votes"
        );
        let mut fx = Effects::default();
        for id in self.options.membership.clone().sync() {
            self.drop_peer(now, *id, &mut fx);
        }
        for linked in self.links.values() {
            linked.sender.close("its disk was full and has room again");
        }
        self.tell_readiness();
        self.settle(fx, false).await
    }

    /// One turn of the loop, begun at `at`, while there is no room; whether the node is to end.
    pub(super) fn turn_while_full(
        &mut self,
        at: Instant,
        events: &mut Vec<SyncEvent>,
    ) -> Result<bool, SyncError> {
        let mut stop = false;
        for event in events.drain(..) {
            match event {
                SyncEvent::Link(event) => self.on_link_while_full(event),
                SyncEvent::Status(answer) => {
                    let _asker_left = answer.send(self.status());
                }
                SyncEvent::Stop => stop = true,
            }
        }
        if !self.links.take_due(at.into_std()).is_empty() {
            self.tell_readiness();
        }
        self.read_feeds()?;
        self.deliver();
        if stop {
            if self.try_again()?.is_none() {
                tracing::warn!(
                    "what waits for room on the disk is given up: nothing that was said counts on it"
                );
            }
            self.close_store();
            self.recorder.finish();
            tracing::info!(node = %self.options.name, "sync node stopped");
        }
        Ok(stop)
    }

    fn on_link_while_full(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { link, peer, name, sender, .. } => {
                self.out.push((link, Message::Node(NodeMessage::SyncDiskFull)));
                if let PeerId::Entry { owner } = peer {
                    self.hearing.up(link, owner, Instant::now().into_std());
                }
                let linked = vixen_runtime::link::Linked { peer, name, sender };
                self.links.up(link, linked, Instant::now().into_std());
            }
            LinkEvent::Messages { link, peer, messages } => {
                self.metrics.received(&peer, messages.len());
                self.hearing.heard(link, Instant::now().into_std());
                let change = self.links.heard(link, Instant::now().into_std());
                for message in messages {
                    let is_taken = self.takes_aside_from_votes(link, &peer, &message);
                    if !is_taken && matches!(message, Message::Node(NodeMessage::SyncDiskFull)) {
                        self.links.set_unable(link, Some(DISK_FULL));
                        self.tell_readiness();
                    }
                }
                if change.is_none() {
                    return;
                }
            }
            LinkEvent::Failed { name, refusal } => self.links.failed(name, refusal),
            LinkEvent::Down { link, peer, name, reason } => {
                self.links.down(link);
                self.feeds.remove(link);
                self.hastes.remove(link);
                self.hearing.down(link, Instant::now().into_std());
                tracing::info!(peer = %name, reason, "link down");
                if let PeerId::Sync { id, .. } = peer {
                    self.last_down.insert(id, reason);
                }
            }
        }
        self.tell_readiness();
    }
}
