//! Links to other sync nodes, whether their messages count (rule 9), and what each was told.
//!
//! ```text
//! link up --standing--> taken: its messages count, the vote knows it --digest--> it has taken this node
//!            |                                                                   of a quorum: joined
//!            +--> refused: wiped, copied or rolled back
//! ```

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Seq, StoreId, SyncId};
use vixen_core::wire::{Message, NodeMessage, StandingRefusal, VoteMessage};

use super::catch_up::Told;
use super::{Outbox, Standing};

#[derive(Debug)]
struct Peer<L> {
    link: L,
    store: StoreId,
    /// Its standing was taken: its messages count.
    is_taken: bool,
    /// It has taken this node's standing.
    has_taken: bool,
    /// Commits of this node that it was told.
    told_commits: u64,
    /// What it was told of each owner's elections on this link: not twice without need.
    caught_up: BTreeMap<OwnerId, Told>,
}

/// What a message on a peer's link is to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: of a link that a newer one has replaced.
    Stale,
    /// Of a peer whose standing was not taken.
    Uncounted,
    /// How far its store is: [`Peers::judged`] is to be told whether that is believed.
    Standing(Standing),
    /// It refuses this node's store.
    Refused(StandingRefusal),
    /// Its disk is full until the end of the link; and whether its messages count.
    DiskFull(bool),
    /// Whether others need not wait for it.
    Aside(bool),
    /// One that counts.
    Counted,
}

/// All peers that are linked.
#[derive(Debug)]
pub struct Peers<L> {
    /// Random number of this process.
    run: u64,
    quorum: usize,
    peers: BTreeMap<SyncId, Peer<L>>,
    /// Enough peers have taken this node's standing: its promises stand.
    has_joined: bool,
}

impl<L: Copy + Eq> Peers<L> {
    /// No peers yet, for a node of which a quorum is so many.
    #[must_use]
    pub const fn new(run: u64, quorum: usize) -> Self {
        Self { run, quorum, peers: BTreeMap::new(), has_joined: quorum <= 1 }
    }

    /// A link came up; the standing of this node, whose store has so many commits, goes first.
    pub fn link_up(
        &mut self,
        (id, store): (SyncId, StoreId),
        link: L,
        commits: u64,
        out: &mut Outbox<L>,
    ) {
        out.push((link, self.standing(commits)));
        let peer = Peer {
            link,
            store,
            is_taken: false,
            has_taken: false,
            told_commits: commits,
            caught_up: BTreeMap::new(),
        };
        self.peers.insert(id, peer);
    }

    /// Its link is gone; whether its messages counted.
    pub fn remove(&mut self, id: SyncId) -> bool {
        self.peers.remove(&id).is_some_and(|peer| peer.is_taken)
    }

    const fn standing(&self, commits: u64) -> Message {
        Message::Vote(VoteMessage::SyncStanding { run: self.run, commits })
    }

    /// The link of a peer.
    #[must_use]
    pub fn link(&self, id: SyncId) -> Option<L> {
        self.peers.get(&id).map(|peer| peer.link)
    }

    /// The store that a peer came with.
    #[must_use]
    pub fn store(&self, id: SyncId) -> Option<StoreId> {
        self.peers.get(&id).map(|peer| peer.store)
    }

    /// Whether the peer is linked and its messages count.
    #[must_use]
    pub fn has_taken(&self, id: SyncId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.is_taken)
    }

    /// The links of peers whose messages count.
    pub fn taken(&self) -> impl Iterator<Item = L> {
        self.peers.values().filter(|peer| peer.is_taken).map(|peer| peer.link)
    }

    /// Whether this node's promises stand.
    #[must_use]
    pub const fn has_joined(&self) -> bool {
        self.has_joined
    }

    /// Takes note of a message on a peer's link, and tells what it is.
    pub fn hear(&mut self, id: SyncId, link: L, message: &Message) -> Heard {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.link == link) else {
            return Heard::Stale;
        };
        match message {
            Message::Vote(VoteMessage::SyncStanding { run, commits }) => {
                Heard::Standing(Standing { store: peer.store, run: *run, commits: *commits })
            }
            Message::Vote(VoteMessage::SyncRefused { reason }) => Heard::Refused(*reason),
            Message::Node(NodeMessage::SyncDiskFull) => Heard::DiskFull(peer.is_taken),
            _ if !peer.is_taken => Heard::Uncounted,
            Message::Vote(VoteMessage::SyncAside { is_aside }) => Heard::Aside(*is_aside),
            Message::Vote(VoteMessage::SyncDigest { .. }) => {
                peer.has_taken = true;
                let taken_by = self.peers.values().filter(|peer| peer.has_taken).count();
                self.has_joined |= taken_by + 1 >= self.quorum;
                Heard::Counted
            }
            _ => Heard::Counted,
        }
    }

    /// A peer's standing was taken, or refused. Whether that changes if its messages count.
    pub fn judged(
        &mut self,
        id: SyncId,
        taken: Result<(), StandingRefusal>,
        out: &mut Outbox<L>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        if let Err(reason) = taken {
            out.push((peer.link, Message::Vote(VoteMessage::SyncRefused { reason })));
        }
        std::mem::replace(&mut peer.is_taken, taken.is_ok()) != taken.is_ok()
    }

    /// Says something to a peer whose standing was taken; before what may depend on a commit, how many
    /// of them this node's store has.
    pub fn tell(&mut self, to: SyncId, message: Message, commits: u64, out: &mut Outbox<L>) {
        let standing = self.standing(commits);
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_taken) else { return };
        if peer.told_commits < commits {
            peer.told_commits = commits;
            out.push((peer.link, standing));
        }
        out.push((peer.link, message));
    }

    /// A peer is told all of an owner beyond `after`, of which elections are known without a gap up to
    /// `contiguous`: where to begin, since it was told a part on this link. Nothing where it has none.
    pub fn catch_up(
        &mut self,
        to: SyncId,
        owner: OwnerId,
        after: Seq,
        contiguous: Seq,
    ) -> Option<Seq> {
        // To one whose standing was not taken nothing is said: it must not count as told.
        let peer = self.peers.get_mut(&to).filter(|peer| peer.is_taken)?;
        let before = peer.caught_up.get(&owner).copied();
        let (after, told) = Told::go_on(before, after, contiguous);
        peer.caught_up.insert(owner, told);
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SyncId = SyncId(1);
    const STORE: StoreId = StoreId(uuid::Uuid::from_u128(7));

    fn digest() -> Message {
        Message::Vote(VoteMessage::SyncDigest { owners: Vec::new() })
    }

    /// A node of three, and one link.
    fn linked() -> (Peers<u8>, Outbox<u8>) {
        let (mut peers, mut out) = (Peers::new(9, 2), Vec::new());
        peers.link_up((PEER, STORE), 4, 10, &mut out);
        (peers, out)
    }

    #[test]
    fn a_peer_counts_once_its_standing_is_taken_and_joins_once_it_answers() {
        let (mut peers, mut out) = linked();
        assert_eq!(out, [(4, Message::Vote(VoteMessage::SyncStanding { run: 9, commits: 10 }))]);
        assert_eq!(peers.hear(PEER, 4, &digest()), Heard::Uncounted);
        let standing = Message::Vote(VoteMessage::SyncStanding { run: 1, commits: 5 });
        let said = Standing { store: STORE, run: 1, commits: 5 };
        assert_eq!(peers.hear(PEER, 4, &standing), Heard::Standing(said));
        assert!(peers.judged(PEER, Ok(()), &mut out) && !peers.judged(PEER, Ok(()), &mut out));
        assert!(!peers.has_joined());
        assert_eq!(peers.hear(PEER, 4, &digest()), Heard::Counted);
        assert!(peers.has_joined());
        assert_eq!(peers.hear(PEER, 3, &digest()), Heard::Stale, "of an older link");
    }

    #[test]
    fn a_refused_peer_is_told_so_and_counts_no_more() {
        let (mut peers, mut out) = linked();
        peers.judged(PEER, Ok(()), &mut out);
        let reason = StandingRefusal::OlderStore { remembered: 9 };
        assert!(peers.judged(PEER, Err(reason), &mut out));
        assert_eq!(out.last(), Some(&(4, Message::Vote(VoteMessage::SyncRefused { reason }))));
        assert!(!peers.has_taken(PEER));
    }

    #[test]
    fn what_may_depend_on_a_commit_comes_after_the_count_of_commits() {
        let (mut peers, mut out) = linked();
        peers.tell(PEER, digest(), 11, &mut out);
        assert_eq!(out.len(), 1, "it is not taken");
        peers.judged(PEER, Ok(()), &mut out);
        peers.tell(PEER, digest(), 11, &mut out);
        peers.tell(PEER, digest(), 11, &mut out);
        let standing = Message::Vote(VoteMessage::SyncStanding { run: 9, commits: 11 });
        assert_eq!(out[1..], [(4, standing), (4, digest()), (4, digest())]);
    }

    /// It counted as told, though nothing is said to one whose standing was not taken: its questions for the same
    /// were answered by nothing for as long as the link lasted.
    #[test]
    fn what_was_not_said_to_a_peer_does_not_count_as_told() {
        let (mut peers, mut out) = linked();
        let (owner, contiguous) = (OwnerId(uuid::Uuid::from_u128(1)), Seq(9));
        assert_eq!(peers.catch_up(PEER, owner, Seq(3), contiguous), None);
        peers.judged(PEER, Ok(()), &mut out);
        assert_eq!(peers.catch_up(PEER, owner, Seq(3), contiguous), Some(Seq(3)));
    }

    #[test]
    fn a_node_alone_has_joined() {
        assert!(Peers::<u8>::new(1, 1).has_joined());
    }
}
