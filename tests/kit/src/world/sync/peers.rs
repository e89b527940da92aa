//! Links of a sync node of the World, and whether this node can do its part.

use vixen_core::id::SyncId;
use vixen_core::wire::{Message, PeerId, VoteMessage};
use vixen_vote::{Effects, Heard, Input, Standing};

use super::{Turn, before};
use crate::world::io::{Counted, Name};

impl Turn<'_> {
    pub(super) fn on_up(&mut self, name: Name, peer: PeerId, fx: &mut Effects) {
        if self.process.linked.insert(name, peer).is_some() {
            // Its old link is dead, and what was sent on it may be lost.
            self.process.feeds.remove(name);
        }
        self.process.silent.remove(&name);
        match peer {
            PeerId::Sync { id, store } => {
                if self.process.peers.link(id).is_some() {
                    self.drop_peer(id, fx);
                }
                let (commits, process) = (self.disk.commits, &mut *self.process);
                process.peers.link_up((id, store), name, commits, &mut process.out);
            }
            PeerId::Ndb { .. } => self.tell_aside(fx),
            PeerId::Entry { .. } => {}
        }
    }

    pub(super) fn on_down(&mut self, name: Name, fx: &mut Effects) {
        let Some(peer) = self.process.linked.remove(&name) else { return };
        self.process.silent.remove(&name);
        self.process.feeds.remove(name);
        self.tell_aside(fx);
        if let PeerId::Sync { id, .. } = peer {
            self.drop_peer(id, fx);
        }
    }

    pub(super) fn drop_peer(&mut self, id: SyncId, fx: &mut Effects) {
        if self.process.peers.remove(id) {
            self.step(Input::PeerDown { peer: id }, fx);
        }
    }

    pub(super) fn on_silence(&mut self, name: Name, is_silent: bool, fx: &mut Effects) {
        let Some(peer) = self.process.linked.get(&name).copied() else { return };
        if is_silent {
            self.process.silent.insert(name);
        } else {
            self.process.silent.remove(&name);
        }
        match peer {
            PeerId::Sync { id, .. } => {
                if self.process.peers.has_taken(id) {
                    self.step(Input::PeerSilent { peer: id, is_silent }, fx);
                }
            }
            PeerId::Ndb { .. } => self.tell_aside(fx),
            PeerId::Entry { .. } => {}
        }
    }

    /// Whether a message of a peer counts; takes those that are about standing itself.
    pub(super) fn takes_from(
        &mut self,
        id: SyncId,
        name: Name,
        message: &Message,
        fx: &mut Effects,
    ) -> bool {
        match self.process.peers.hear(id, name, message) {
            Heard::Counted => return true,
            Heard::Stale | Heard::Uncounted => {}
            Heard::Standing(said) => self.on_standing(id, name, said, fx),
            Heard::Refused(reason) => {
                panic!("standing: {id:?} refuses a store that has lost nothing: {reason:?}")
            }
            Heard::DiskFull(is_taken) => {
                if is_taken {
                    self.step(Input::PeerAside { peer: id, is_aside: true }, fx);
                }
            }
            Heard::Aside(is_aside) => self.step(Input::PeerAside { peer: id, is_aside }, fx),
        }
        false
    }

    fn on_standing(&mut self, id: SyncId, name: Name, said: Standing, fx: &mut Effects) {
        let process = &mut *self.process;
        let taken = process.commits.take_standing(id, said);
        if process.peers.judged(id, taken, &mut process.out) {
            if process.health.is_aside() {
                let aside = Message::Vote(VoteMessage::SyncAside { is_aside: true });
                process.out.push((name, aside));
            }
            self.step(Input::PeerUp { peer: id }, fx);
        }
    }

    /// Tells peers when this node begins or ceases to be one that they need not wait for.
    pub(super) fn tell_aside(&mut self, fx: &mut Effects) {
        let heard: Vec<_> = self.heard().collect();
        let looked = self.process.health.look(heard.into_iter(), &self.options.membership);
        let Some(is_aside) = looked else { return };
        self.step(Input::PeerAside { peer: self.options.id, is_aside }, fx);
        let process = &mut *self.process;
        let told = process.peers.taken();
        let aside = Message::Vote(VoteMessage::SyncAside { is_aside });
        process.out.extend(told.map(|name| (name, aside.clone())));
    }

    /// The node stands aside for a while when its turn comes very late, and then makes the drafts that were
    /// put off.
    pub(super) fn begin_turn(&mut self, fx: &mut Effects) {
        let due = self.process.due_us.and_then(|due_us| before(self.now, due_us));
        let now = self.now.instant;
        if self.process.health.begin_turn(due, now) {
            self.out.count(Counted::SyncStalled);
            self.tell_aside(fx);
        } else if let Some(deferred) = self.process.health.end_stall(now) {
            self.tell_aside(fx);
            deferred.into_iter().for_each(|input| self.step(input, fx));
        }
    }
}
