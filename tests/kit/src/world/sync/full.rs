//! A sync node of the World whose disk has no room: it does not vote, keeps what its last steps owe, and
//! says so. When there is room, that is written, and all links are made anew.

use vixen_core::wire::{Message, NodeMessage, PeerId};
use vixen_vote::Effects;

use super::Turn;
use crate::world::io::{Arrived, Counted, Room};

/// Between two looks at the room, as in the driver.
const ROOM_LOOK_US: u64 = 200_000;

impl Turn<'_> {
    /// Looks at the room when that is due: ceases to vote, or goes on.
    pub(super) fn look_at_disk(&mut self) {
        if self.process.room_look_us > self.now.us {
            return;
        }
        self.process.room_look_us = self.now.us + ROOM_LOOK_US;
        match (self.process.is_full, self.disk.room == Room::Enough) {
            (false, false) => {
                self.cease();
                self.deliver();
            }
            (true, true) => self.go_on(),
            (false, true) | (true, false) => {}
        }
    }

    /// Ceases to vote, and says so.
    pub(super) fn cease(&mut self) {
        if !std::mem::replace(&mut self.process.is_full, true) {
            self.out.count(Counted::SyncFull);
            let process = &mut *self.process;
            let full = || Message::Node(NodeMessage::SyncDiskFull);
            process.out.extend(process.linked.keys().map(|name| (*name, full())));
        }
    }

    /// Writes what waited, if it can.
    fn go_on(&mut self) {
        let now = self.now.instant;
        let (commits, mut writer) = self.writer();
        let Ok(held) = commits.go_on(now, &mut writer);
        let Some(held) = held else { return };
        self.process.is_full = false;
        self.leave(held);
        self.deliver();
        let (mut fx, options) = (Effects::default(), self.options);
        for id in options.membership.sync() {
            self.drop_peer(*id, &mut fx);
        }
        self.out.unlinks = true;
        self.settle(fx);
    }

    /// One turn of the loop while there is no room.
    pub(super) fn turn_while_full(&mut self, arrived: Vec<Arrived>) {
        for one in arrived {
            match one {
                Arrived::Up { name, peer } => {
                    self.process.feeds.remove(name);
                    self.process.linked.insert(name, peer);
                    self.process.silent.remove(&name);
                    let full = Message::Node(NodeMessage::SyncDiskFull);
                    self.process.out.push((name, full));
                }
                Arrived::Down { name } => {
                    self.process.feeds.remove(name);
                    self.process.linked.remove(&name);
                    self.process.silent.remove(&name);
                }
                Arrived::Silent { name, is_silent: true } => {
                    self.process.silent.insert(name);
                }
                Arrived::Silent { name, is_silent: false } => {
                    self.process.silent.remove(&name);
                }
                Arrived::Message { from, message } => {
                    let peer = self.process.linked.get(&from).copied();
                    if let Some(peer @ (PeerId::Ndb { .. } | PeerId::Entry { .. })) = peer {
                        self.takes_aside_from_votes(from, &peer, &message);
                    }
                }
                Arrived::ExpireOwners { .. } => {}
                Arrived::Written { .. } | Arrived::Asked { .. } => {
                    unreachable!("not of a sync node")
                }
            }
        }
        self.read_feeds();
        self.deliver();
    }
}
