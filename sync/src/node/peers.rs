//! Links to other sync nodes, and whether their messages count (DESIGN §4 rule 9).

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId, StoreId, SyncId};
use vixen_core::time::WallTime;
use vixen_core::wire::{DISK_FULL, Message, PeerId, StandingRefusal};
use vixen_runtime::link::{LinkId, LinkSender};

use super::standing::Standing;
use super::{Peer, SyncError, SyncNode};
use vixen_vote::{Effects, Input};

impl SyncNode {
    /// A link to a peer came up: each side says its standing first.
    pub(super) fn on_peer_link(
        &mut self,
        now: WallTime,
        link: LinkId,
        id: SyncId,
        store: StoreId,
        sender: LinkSender,
        fx: &mut Effects,
    ) {
        if self.peers.contains_key(&id) {
            // Its old link is dead, and what was sent on it may be lost.
            self.drop_peer(now, id, fx);
        }
        let commits = self.store.commits();
        let _down_follows = sender.send(Message::SyncStanding { run: self.run, commits });
        let peer = Peer {
            link,
            store,
            sender,
            is_taken: false,
            has_taken: false,
            told_commits: commits,
            caught_up: BTreeMap::new(),
        };
        self.peers.insert(id, peer);
    }

    pub(super) fn drop_peer(&mut self, now: WallTime, id: SyncId, fx: &mut Effects) {
        self.skew.forget(id);
        if self.peers.remove(&id).is_some_and(|peer| peer.is_taken) {
            self.votes.step(now, Input::PeerDown { peer: id }, fx);
        }
        self.tell_readiness();
    }

    /// Whether a message of a peer counts; takes those that are about standing itself.
    pub(super) fn takes_from(
        &mut self,
        now: WallTime,
        link: LinkId,
        id: SyncId,
        message: &Message,
        fx: &mut Effects,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.link == link) else {
            // Of a link that a newer one has replaced.
            return false;
        };
        match message {
            Message::SyncStanding { run, commits } => {
                let said = Standing { store: peer.store, run: *run, commits: *commits };
                self.on_standing(now, id, said, fx);
                false
            }
            Message::SyncRefused { reason } => {
                self.refused = Some(SyncError::Refused {
                    peer: self.options.roster.sync(id),
                    store: self.store.store_id(),
                    problem: problem_of(*reason, self.store.commits()),
                });
                false
            }
            Message::SyncDiskFull => {
                // Until the end of this link: it does not vote.
                self.links.set_unable(link, Some(DISK_FULL));
                if peer.is_taken {
                    self.votes.step(now, Input::PeerAside { peer: id, is_aside: true }, fx);
                }
                self.tell_readiness();
                false
            }
            Message::SyncAside { is_aside } if peer.is_taken => {
                self.votes.step(now, Input::PeerAside { peer: id, is_aside: *is_aside }, fx);
                false
            }
            Message::SyncDigest { .. } if peer.is_taken => {
                peer.has_taken = true;
                let taken_by = self.peers.values().filter(|peer| peer.has_taken).count();
                self.has_joined |= taken_by + 1 >= self.options.membership.quorum();
                true
            }
            _ => {
                if !peer.is_taken {
                    self.metrics.refused_messages.increment(1);
                }
                peer.is_taken
            }
        }
    }

    fn on_standing(&mut self, now: WallTime, id: SyncId, said: Standing, fx: &mut Effects) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let known = self.standings.get(id).copied();
        let taken = self.standings.take(id, said);
        match taken {
            Ok(()) if peer.is_taken => {}
            Ok(()) => {
                peer.is_taken = true;
                if self.is_aside {
                    let _down_follows = peer.sender.send(Message::SyncAside { is_aside: true });
                }
                self.tell_readiness();
                self.votes.step(now, Input::PeerUp { peer: id }, fx);
            }
            Err(reason) => {
                self.metrics.peers_refused.increment(1);
                tracing::error!(
                    peer = %self.options.roster.sync(id),
                    store = %said.store,
                    commits = said.commits,
                    remembered_store = known.map(|known| known.store.to_string()),
                    remembered_commits = known.map(|known| known.commits),
                    "this peer's store was wiped, copied or rolled back: it must not vote; see \
                     \"A sync node lost its store\" in docs/operations.md"
                );
                let _down_follows = peer.sender.send(Message::SyncRefused { reason });
                if peer.is_taken {
                    peer.is_taken = false;
                    self.votes.step(now, Input::PeerDown { peer: id }, fx);
                }
                self.tell_readiness();
            }
        }
    }

    /// Tells peers when this node begins or ceases to be one that they need not wait for.
    pub(super) fn tell_aside(&mut self, now: WallTime, fx: &mut Effects) {
        let mut groups: BTreeMap<GroupId, BTreeSet<NdbId>> = BTreeMap::new();
        for linked in self.links.heard_values() {
            if let PeerId::Ndb { id, .. } = linked.peer {
                groups.entry(id.group).or_default().insert(id);
            }
        }
        let quorum = self.options.membership.write_quorum();
        let is_aside =
            self.stalled_until.is_some() || groups.values().all(|nodes| nodes.len() < quorum);
        if is_aside == self.is_aside {
            return;
        }
        self.is_aside = is_aside;
        self.votes.step(now, Input::PeerAside { peer: self.options.id, is_aside }, fx);
        for peer in self.peers.values().filter(|peer| peer.is_taken) {
            let _down_follows = peer.sender.send(Message::SyncAside { is_aside });
        }
    }

    /// Whether the peer is linked and its messages count.
    pub(super) fn has_taken(&self, id: SyncId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.is_taken)
    }
}

/// For people.
fn problem_of(reason: StandingRefusal, commits: u64) -> String {
    match reason {
        StandingRefusal::OtherStore { remembered } => {
            format!("it knows this node by another store, {remembered}")
        }
        StandingRefusal::OlderStore { remembered } => format!(
            "it has seen {remembered} commits of this store, which now counts {commits}, or a \
             copy of it runs elsewhere"
        ),
    }
}
