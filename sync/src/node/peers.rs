//! Links to other sync nodes, and whether their messages count (DESIGN §4 rule 9).

use tokio::time::Instant;

use vixen_core::id::{StoreId, SyncId};
use vixen_core::time::WallTime;
use vixen_core::wire::{DISK_FULL, Message, PeerId, StandingRefusal, VoteMessage};
use vixen_runtime::link::LinkId;

use super::{SyncError, SyncNode};
use vixen_vote::{Effects, Heard, Input, Standing};

impl SyncNode {
    /// A link to a peer came up: each side says its standing first.
    pub(super) fn on_peer_link(
        &mut self,
        now: WallTime,
        link: LinkId,
        id: SyncId,
        store: StoreId,
        fx: &mut Effects,
    ) {
        if self.peers.link(id).is_some() {
            // Its old link is dead, and what was sent on it may be lost.
            self.drop_peer(now, id, fx);
        }
        self.peers.link_up((id, store), link, self.store.commits(), &mut self.out);
    }

    pub(super) fn drop_peer(&mut self, now: WallTime, id: SyncId, fx: &mut Effects) {
        self.clocks.skew.forget(id);
        if self.peers.remove(id) {
            self.step(now, Input::PeerDown { peer: id }, fx);
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
        match self.peers.hear(id, link, message) {
            Heard::Counted => return true,
            Heard::Stale => {}
            Heard::Uncounted => self.metrics.refused_messages.increment(1),
            Heard::Standing(said) => self.on_standing(now, id, said, fx),
            Heard::Refused(reason) => {
                self.refused = Some(SyncError::Refused {
                    peer: self.options.roster.sync(id),
                    store: self.store.store_id(),
                    problem: problem_of(reason, self.store.commits()),
                });
            }
            Heard::DiskFull(is_taken) => {
                // Until the end of this link: it does not vote.
                self.links.set_unable(link, Some(DISK_FULL));
                if is_taken {
                    let input = Input::PeerAside { peer: id, is_aside: true };
                    self.step(now, input, fx);
                }
                self.tell_readiness();
            }
            Heard::Aside(is_aside) => {
                self.step(now, Input::PeerAside { peer: id, is_aside }, fx);
            }
        }
        false
    }

    fn on_standing(&mut self, now: WallTime, id: SyncId, said: Standing, fx: &mut Effects) {
        let Some(link) = self.peers.link(id) else { return };
        let taken = self.take_standing(now, id, said);
        let is_changed = self.peers.judged(id, taken, &mut self.out);
        if taken.is_err() {
            self.tell_refused(id, said);
        }
        if is_changed && taken.is_ok() {
            if self.health.is_aside() {
                self.out.push((link, Message::Vote(VoteMessage::SyncAside { is_aside: true })));
            }
            self.step(now, Input::PeerUp { peer: id }, fx);
        } else if is_changed {
            self.step(now, Input::PeerDown { peer: id }, fx);
        }
        self.tell_readiness();
    }

    fn tell_refused(&self, id: SyncId, said: Standing) {
        let known = self.commits.standing(id);
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
    }

    /// Tells peers when this node begins or ceases to be one that they need not wait for.
    pub(super) fn tell_aside(&mut self, now: WallTime, fx: &mut Effects) {
        let heard = self.links.heard_values().filter_map(|linked| match linked.peer {
            PeerId::Ndb { id, .. } => Some(id),
            PeerId::Sync { .. } | PeerId::Entry { .. } => None,
        });
        let Some(is_aside) = self.health.look(heard, &self.options.membership) else { return };
        self.step(now, Input::PeerAside { peer: self.options.id, is_aside }, fx);
        self.out.extend(
            self.peers
                .taken()
                .map(|link| (link, Message::Vote(VoteMessage::SyncAside { is_aside }))),
        );
    }

    /// A turn begins that was due at `due`, or was not: the node stands aside for a while when it comes
    /// very late, and then makes the drafts that were put off.
    pub(super) fn begin_turn(&mut self, due: Option<Instant>, wall: WallTime, fx: &mut Effects) {
        let now = Instant::now().into_std();
        if self.health.begin_turn(due.map(Instant::into_std), now) {
            self.metrics.stalls.increment(1);
            self.tell_aside(wall, fx);
        } else if let Some(deferred) = self.health.end_stall(now) {
            self.tell_aside(wall, fx);
            for input in deferred {
                self.step(wall, input, fx);
            }
        }
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
