//! The core of an ndb node: its machines, put together.
//!
//! The driver's loop, and a simulation's: give it all inputs that wait, each with the time, then
//! [`Input::Tick`]; answer the looks; do the effects; and come back at [`NdbCore::due_at`] at the latest.
//!
//! Invariants, beside those of the machines:
//! - N1: the order that is read, the order of the replica and that of the write buffer end alike.
//! - N2: the order on disk does not go back, and is not ahead of the one in memory.

mod io;
mod peers;
mod reading;
mod receive;
mod recorded;
mod state;
#[cfg(test)]
mod tests;
mod upkeep;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use vixen_core::id::{NdbId, OwnerId, Position, SegmentId, Stamp};
use vixen_core::membership::Membership;
use vixen_core::order::{self, Reader};
use vixen_core::wire::{Message, NdbStanding, NodeMessage, OrderBase, PeerId, ReplicaMessage};

use crate::awaiting::Awaiting;
use crate::disk::{DiskRoom, DiskWait};
use crate::durable::Durable;
use crate::replica::{self, Body, Place, Replica, ReplicaOptions};
use crate::rows::Recovered;
use crate::storage::{Committed, Job};
use crate::tail::Change;
use crate::upkeep::RetentionPolicy;
use crate::write_buffer::WriteBuffer;
pub use io::{Effects, Input, Look, Note, Read, To};
use peers::Peers;
pub use recorded::{CORE, CoreStart};
pub use state::RetentionState;
use upkeep::Upkeep;

/// Bytes of incomplete segments, as a multiple of the largest segment.
const INCOMING_SEGMENTS: usize = 64;

/// What an ndb node is, and its bounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoreOptions {
    /// This node: its group and its place in it.
    pub id: NdbId,
    /// Who votes, and who stores: this node included.
    pub membership: Membership,
    /// Largest segment taken, in bytes of its blob.
    pub segment_bytes_max: usize,
    /// How long days stay, by this node's settings.
    pub retention: RetentionPolicy,
    /// Between two looks at the room on the disk.
    pub room_look: Duration,
}

/// What one ndb node knows and decides. See the module doc.
#[derive(Debug)]
pub struct NdbCore {
    id: NdbId,
    membership: Membership,
    peers: Peers,
    reader: Reader,
    replica: Replica,
    buffer: WriteBuffer,
    awaiting: Awaiting,
    room: DiskRoom,
    disk_wait: DiskWait,
    /// What the others were told last that this node can do.
    standing: NdbStanding,
    /// Where the order on disk begins, and where it ends.
    stored: Ends,
    /// Stamp of the last row of the order that is on disk.
    applied: Durable<Stamp>,
    upkeep: Upkeep,
}

/// Where an order begins, and where it ends.
#[derive(Clone, Copy, Debug)]
struct Ends {
    base: OrderBase,
    head: OrderBase,
}

impl NdbCore {
    /// Starts from what the store holds, without a link.
    #[must_use]
    pub fn new(options: CoreOptions, recovered: Recovered, now: Instant) -> Self {
        let CoreOptions { id, membership, segment_bytes_max, retention, room_look } = options;
        let of_replica = ReplicaOptions {
            group: id.group,
            segment_bytes_max,
            incoming_bytes_max: segment_bytes_max.saturating_mul(INCOMING_SEGMENTS),
        };
        let stored = Ends { base: recovered.base, head: recovered.head };
        let OrderBase { next, stamp, .. } = stored.head;
        let replica = Replica::new(of_replica, recovered);
        let mut upkeep =
            Upkeep::new(retention, room_look, membership.group_majority(id.group), now);
        replica.missing().keys().for_each(|segment| upkeep.fetch.want(*segment, now));
        Self {
            id,
            peers: Peers::default(),
            reader: Reader::new(&membership, stamp, next),
            replica,
            buffer: WriteBuffer::new(id, membership.clone(), next),
            awaiting: Awaiting::default(),
            room: DiskRoom::default(),
            disk_wait: DiskWait::default(),
            standing: NdbStanding::NoFeeds,
            stored,
            applied: Durable::committed(stamp),
            upkeep,
            membership,
        }
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, input: Input, now: Instant, fx: &mut Effects) {
        match input {
            Input::Up { peer } => self.on_up(peer, now, fx),
            Input::Down { peer } => self.on_down(peer, now, fx),
            Input::Silent { peer, is_silent } => self.on_silent(peer, is_silent, now, fx),
            Input::Said { from, message } => self.on_message(from, message, now, fx),
            Input::Committed(committed) => self.on_committed(committed, now, fx),
            Input::Found(finding) => self.on_found(finding, now, fx),
            Input::Compared { peer, next, agrees } => self.on_compared(peer, next, agrees, fx),
            Input::Room(room) => self.on_room(room, fx),
            Input::Days { days, now: wall } => self.on_days(&days, wall, now, fx),
            Input::Tick => self.on_tick(now, fx),
            Input::Stop => self.flush(now, true, fx),
        }
        self.tell_standing(fx);
        self.check();
    }

    fn check(&self) {
        let next = self.replica.head().next;
        assert_eq!(next, self.reader.next_position(), "N1: what is read is what the replica has");
        assert_eq!(next, self.buffer.next(), "N1: what the replica has is written");
        assert!(self.stored.head.next <= next, "N2: the disk is not ahead of the memory");
    }

    fn on_tick(&mut self, now: Instant, fx: &mut Effects) {
        self.order_due(now, fx);
        let news = self.disk_wait.look(now);
        fx.notes.extend(news.map(Note::Disk));
        self.flush(now, false, fx);
        self.fetch_due(now, fx);
        self.upkeep_due(now, fx);
    }

    /// Whether W other nodes that are there store the owner's segments before this one does.
    #[must_use]
    pub fn is_spare_of(&self, owner: OwnerId) -> bool {
        self.buffer.is_spare_of(owner)
    }

    /// When [`Input::Tick`] has something to do.
    #[must_use]
    pub fn due_at(&self) -> Instant {
        let fetch = self.upkeep.fetch.due_at().filter(|_| self.room.may_fetch());
        let due = [self.buffer.due_at(), fetch, self.order_due_at(), self.disk_wait.due_at()];
        due.into_iter().flatten().fold(self.upkeep.timers.due_at(), Instant::min)
    }

    /// Hands what is due to the writer, or everything.
    fn flush(&mut self, now: Instant, everything: bool, fx: &mut Effects) {
        let jobs = self.buffer.take_due(now, everything);
        self.hand_over(jobs, now, fx);
    }

    /// Hands jobs to the writer.
    fn hand_over(&mut self, jobs: impl IntoIterator<Item = Job>, now: Instant, fx: &mut Effects) {
        let begun = fx.jobs.len();
        fx.jobs.extend(jobs);
        let jobs = &fx.jobs[begun..];
        self.buffer.handed_over(jobs);
        self.disk_wait.handed_over(jobs.len(), now);
    }

    /// A commit is on disk: what waited for it leaves now.
    fn on_committed(&mut self, committed: Committed, now: Instant, fx: &mut Effects) {
        let news = self.disk_wait.answered(committed.jobs, now);
        fx.notes.extend(news.map(Note::Disk));
        self.buffer.committed(&committed);
        let Committed { base, head, bytes, repaired, elapsed, .. } = committed;
        assert!(head.next >= self.stored.head.next, "N2: the order on disk does not go back");
        self.stored = Ends { base, head };
        let segments = committed.stored.len();
        fx.notes.push(Note::Committed { segments, bytes, repaired, elapsed });
        for segment in committed.stored {
            self.step_replica(replica::Input::Committed { segment }, now, fx);
        }
        if let Some(first) = committed.trimmed_to {
            self.on_trimmed_to(first, fx);
        }
        if let Some((stamp, position)) = committed.placed_to {
            fx.changes.push(Change::Written(position));
            self.tell_applied(Durable::committed(stamp), fx);
        } else if committed.filled || repaired > 0 {
            fx.changes.push(Change::Filled);
        }
        for day in committed.index_begun {
            fx.looks.push(Look::Index { day });
        }
        self.on_index_ended(&committed.index_ended, now, fx);
        for day in committed.index_at_odds {
            self.index_anew(day, now, fx);
        }
        if repaired > 0 {
            self.look_up_again(fx);
        }
        for extended in committed.extended {
            self.on_extended(extended, now, fx);
        }
    }

    /// The order is on disk up to here: sync nodes may forget it.
    fn tell_applied(&mut self, stamp: Durable<Stamp>, fx: &mut Effects) {
        self.applied = stamp;
        fx.sends.push((To::AllSync, stamp.order_applied()));
    }

    /// Steps the replica, and does what that asks for; whether it took the input.
    fn step_replica(&mut self, input: replica::Input, now: Instant, fx: &mut Effects) -> bool {
        let mut asked = replica::Effects::default();
        self.replica.step(input, &mut asked);
        let is_taken = asked.refused.is_empty();
        self.settle(asked, now, fx);
        is_taken
    }

    fn settle(&mut self, asked: replica::Effects, now: Instant, fx: &mut Effects) {
        fx.notes.extend(asked.refused.into_iter().map(Note::Refused));
        for place in asked.placed {
            self.on_placed(place, now, fx);
        }
        for segment in asked.wanted {
            self.upkeep.fetch.want(segment, now);
        }
        for segment in asked.unwanted {
            self.upkeep.fetch.got(segment);
        }
        for segment in asked.arrived {
            let stored = asked.stores.iter().find(|store| store.meta.id == segment);
            let blob = stored.map(|store| store.blob.clone());
            self.on_arrived(segment, blob, fx);
        }
        self.buffer.add_stores(asked.stores, now);
        self.drop_segments(asked.dropped, now, fx);
        let answers = asked.answers.into_iter();
        fx.sends.extend(answers.map(|(owner, message)| (To::Entry(owner), message)));
        for meta in asked.drafts {
            if self.awaiting.take(meta.get().id) {
                self.say_durable(meta.id(), fx);
            }
            fx.sends.push((To::AllSync, meta.generate_draft()));
        }
    }

    fn on_placed(&mut self, place: Place, now: Instant, fx: &mut Effects) {
        let meta = place.row.elected.meta;
        fx.notes.push(Note::Placed { messages: u64::from(meta.count) });
        self.buffer.add_row(place.clone(), now);
        self.awaiting.placed(meta.id);
        self.upkeep.expiry.settled(meta.id);
        if place.body == Body::Missing {
            self.upkeep.fetch.want(meta.id, now);
        } else {
            // It was offered, and is of no use, or came by itself.
            self.upkeep.fetch.got(meta.id);
        }
        fx.changes.push(Change::Placed(place));
    }

    fn drop_segments(&mut self, dropped: Vec<SegmentId>, now: Instant, fx: &mut Effects) {
        if dropped.is_empty() {
            return;
        }
        fx.notes.push(Note::Dropped { segments: dropped.len() });
        for segment in &dropped {
            self.awaiting.take(*segment);
            self.buffer.forget(*segment);
            self.upkeep.expiry.settled(*segment);
        }
        self.hand_over(dropped.into_iter().map(Job::Drop), now, fx);
    }

    /// An entry wants to know when a segment is on disk.
    fn on_await_durable(&mut self, segment: SegmentId, fx: &mut Effects) {
        if let Some(meta) = self.replica.durable(segment) {
            self.say_durable(meta.id(), fx);
        } else if !self.replica.is_placed(segment) {
            self.awaiting.wait_for(segment);
        }
    }

    fn say_durable(&self, segment: Durable<SegmentId>, fx: &mut Effects) {
        let owner: OwnerId = segment.get().owner;
        fx.sends.push((To::Entry(owner), segment.segment_durable()));
    }

    /// On a new link everything unresolved that is the peer's business is said again.
    fn on_up(&mut self, peer: PeerId, now: Instant, fx: &mut Effects) {
        self.peers.up(&peer);
        self.tell_standing(fx);
        let greet = |message| (To::Newest(peer), message);
        fx.sends.push(greet(Message::Node(NodeMessage::NdbStanding { standing: self.standing })));
        let nowhere = self.upkeep.nowhere;
        if nowhere.segments > 0 {
            fx.sends.push(greet(Message::Node(NodeMessage::NdbNowhere { nowhere })));
        }
        match peer {
            PeerId::Sync { id, .. } => {
                self.read_order(order::Input::FeedUp { feed: id }, now, fx);
                fx.sends.push(greet(self.applied.order_applied()));
                let unresolved = self.replica.unresolved();
                fx.sends.extend(unresolved.map(|meta| greet(meta.generate_draft())));
            }
            PeerId::Ndb { id, .. } => {
                self.on_ndb_peer(id, now);
                self.read_order(order::Input::PeerUp { peer: id }, now, fx);
                let told = self.upkeep.retention.told().filter(|_| id.group == self.id.group);
                fx.sends.extend(told.map(|retained| {
                    greet(Message::Replica(ReplicaMessage::Retaining { retained }))
                }));
            }
            PeerId::Entry { .. } => {}
        }
    }

    fn on_down(&mut self, peer: PeerId, now: Instant, fx: &mut Effects) {
        self.peers.down(&peer);
        match peer {
            PeerId::Sync { id, .. } => {
                self.read_order(order::Input::FeedDown { feed: id }, now, fx);
            }
            PeerId::Ndb { id, .. } => {
                self.upkeep.retention.gone(id);
                self.buffer.set_present(self.peers.present(self.id.group));
                self.upkeep.fetch.peer_down(id, now);
                self.read_order(order::Input::PeerDown { peer: id }, now, fx);
            }
            PeerId::Entry { owner } => {
                self.awaiting.owner_gone(owner);
                self.step_replica(replica::Input::OwnerDown { owner }, now, fx);
            }
        }
    }

    /// The peer fell silent, or is heard again: nothing is asked of who is silent.
    fn on_silent(&mut self, peer: PeerId, is_silent: bool, now: Instant, fx: &mut Effects) {
        self.peers.silent(&peer, is_silent);
        if let PeerId::Ndb { id, .. } = peer {
            if is_silent {
                self.upkeep.fetch.peer_down(id, now);
                self.buffer.set_present(self.peers.present(self.id.group));
            } else {
                self.on_ndb_peer(id, now);
            }
            self.read_order(order::Input::PeerSilent { peer: id, is_silent }, now, fx);
        }
    }

    /// Another ndb node can be asked for segments.
    fn on_ndb_peer(&mut self, id: NdbId, now: Instant) {
        // Other groups hold none of this group's segments.
        if id.group == self.id.group {
            self.upkeep.fetch.peer_up(id, now);
            self.buffer.set_present(self.peers.present(self.id.group));
        }
    }

    fn on_room(&mut self, room: DiskRoom, fx: &mut Effects) {
        let before = std::mem::replace(&mut self.room, room);
        if before.is_low != room.is_low {
            fx.notes.push(Note::DiskRoom(room));
        }
    }

    /// What this node can do at present.
    fn standing_now(&self) -> NdbStanding {
        if self.room.is_low {
            NdbStanding::DiskFull
        } else if self.peers.feeds() < self.membership.quorum() {
            NdbStanding::NoFeeds
        } else if self.disk_wait.is_stalled() {
            NdbStanding::DiskStalled
        } else {
            NdbStanding::Willing
        }
    }

    /// Tells all whether new segments are taken, where that has changed.
    fn tell_standing(&mut self, fx: &mut Effects) {
        let standing = self.standing_now();
        if standing != self.standing {
            self.standing = standing;
            self.replica.set_willing(standing != NdbStanding::DiskFull);
            fx.sends.push((To::All, Message::Node(NodeMessage::NdbStanding { standing })));
        }
    }

    /// Whether what is placed here may be given out from this position on.
    fn is_trusted(&self, position: Position) -> bool {
        position < self.upkeep.trusted_to
    }
}
