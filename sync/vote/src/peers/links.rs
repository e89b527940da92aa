//! Links to other sync nodes, whether their messages count (rule 9), and what each was told.
//!
//! ```text
//! link up --standing--> taken: its messages count, the vote knows it --digest--> it has taken this node
//!            |                                                                   of a quorum: joined
//!            +--> refused: wiped, copied or rolled back
//! ```

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Seq, Stamp, StoreId, SyncId};
use vixen_core::segment::Elected;
use vixen_core::wire::{Message, NodeMessage, StandingRefusal, VoteMessage};

use super::catch_up::{CaughtUp, Told, caught_up};
use super::{BATCH, Elections, Outbox, Standing};
use crate::owners::OwnerRow;

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
    /// Owners of which it is being told, from the store: what comes next is beyond this segment.
    catching_up: BTreeMap<OwnerId, Seq>,
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
            catching_up: BTreeMap::new(),
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

    /// A peer is to be told all of an owner beyond `after`, of which elections are known without a gap up to
    /// `contiguous`, but for the part that it was told on this link: [`read_on`](Self::read_on) tells it.
    pub fn catch_up(&mut self, to: SyncId, owner: OwnerId, after: Seq, contiguous: Seq) {
        // To one whose standing was not taken nothing is said: it must not count as told.
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_taken) else { return };
        let before = peer.caught_up.get(&owner).copied();
        let (after, told) = Told::go_on(before, after, contiguous);
        peer.caught_up.insert(owner, told);
        let next = peer.catching_up.entry(owner).or_insert(after);
        *next = after.min(*next);
    }

    /// Whether some peer is not told all of what it missed: call [`read_on`](Self::read_on) again soon.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.peers.values().any(|peer| !peer.catching_up.is_empty())
    }

    /// Tells peers whose links have room the next part of what they missed. Not while a turn is held: what
    /// that elects is neither in the store nor `unwritten`, and would be told as settled.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// While a turn is held.
    pub fn read_on<S: Elections, I: Iterator<Item = Elected>>(
        &mut self,
        known: &Known<'_, S, impl Fn() -> I, impl Fn(OwnerId) -> OwnerRow>,
        has_room: impl Fn(L) -> bool,
        out: &mut Outbox<L>,
    ) -> Result<(), S::Error> {
        assert!(!known.is_holding, "what is held is not told");
        let ids: Vec<SyncId> = self.peers.keys().copied().collect();
        for id in ids {
            let mut rows = 0;
            while rows < BATCH
                && let Some(peer) = self.peers.get_mut(&id).filter(|peer| has_room(peer.link))
                && let Some((owner, after)) = peer.catching_up.pop_first()
            {
                let of_owner = (owner, (known.row)(owner));
                let CaughtUp { told, next } =
                    caught_up(known.store, (known.unwritten)(), of_owner, after, known.trimmed_to)?;
                peer.catching_up.extend(next.map(|next| (owner, next)));
                rows += told.len().max(1);
                for message in told {
                    self.tell(id, message, known.commits, out);
                }
            }
        }
        Ok(())
    }
}

/// What this node knows of elections.
#[derive(Debug)]
pub struct Known<'a, S, U, R> {
    /// Those on its disk.
    pub store: &'a S,
    /// Those that are not on it yet.
    pub unwritten: U,
    /// How far an owner's are known without a gap.
    pub row: R,
    /// Up to where they are forgotten.
    pub trimmed_to: Stamp,
    /// Commits of its store.
    pub commits: u64,
    /// A turn is held ([`Commits::is_holding`](crate::Commits::is_holding)): `row` is ahead of what may be told.
    pub is_holding: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use vixen_core::id::GroupId;
    use vixen_core::segment::Challenger;
    use vixen_core::wire::FeedMessage;

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

    fn owner() -> OwnerId {
        meta(1, 1).id.owner
    }

    /// Elections of one owner up to this one, in a store.
    struct Stored(u64);

    impl Elections for Stored {
        type Error = std::convert::Infallible;

        fn elected_after(&self, _: Stamp, _: usize) -> Result<Vec<Elected>, Self::Error> {
            Ok(Vec::new())
        }

        fn elected_of(
            &self,
            _: OwnerId,
            after: Seq,
            limit: usize,
        ) -> Result<Vec<Elected>, Self::Error> {
            Ok((after.0 + 1..=self.0).take(limit).map(elected).collect())
        }
    }

    fn elected(seq: u64) -> Elected {
        let challenger = Challenger { stamp: Stamp(seq * 10), group: GroupId(0) };
        Elected { meta: meta(1, seq), challenger }
    }

    /// Which elections the peer is told now, of a store up to `stored` and one more that is not in it.
    fn read(peers: &mut Peers<u8>, stored: u64) -> Vec<u64> {
        let row = OwnerRow { contiguous: Seq(stored + 1), stamp: Stamp(stored * 10 + 10) };
        let known = Known {
            store: &Stored(stored),
            unwritten: || std::iter::once(elected(stored + 1)),
            row: |_| row,
            trimmed_to: Stamp::ZERO,
            commits: 10,
            is_holding: false,
        };
        let mut out = Vec::new();
        let Ok(()) = peers.read_on(&known, |_| true, &mut out);
        let told = out.into_iter().map(|(_, message)| match message {
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => elected.meta.id.seq.0,
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    /// All that a peer missed was read and queued in one turn: more than a link may have waiting ended the link,
    /// and the next one, for ever.
    #[test]
    fn what_a_peer_missed_is_told_in_parts() {
        let (mut peers, mut out) = linked();
        peers.judged(PEER, Ok(()), &mut out);
        let stored = u64::try_from(2 * BATCH + 1).expect("few");
        peers.catch_up(PEER, owner(), Seq(0), Seq(stored + 1));
        let mut told = Vec::new();
        for part in [BATCH, BATCH, 2] {
            assert!(peers.is_catching_up());
            let read = read(&mut peers, stored);
            assert_eq!(read.len(), part);
            told.extend(read);
        }
        assert!(!peers.is_catching_up());
        assert!(told.into_iter().eq(1..=stored + 1), "each once, those that are not written last");
    }

    /// Elections of a turn for which the disk has no room were told as settled, though they were nowhere but in memory.
    #[test]
    #[should_panic(expected = "what is held is not told")]
    fn nothing_is_told_while_a_turn_is_held() {
        let (mut peers, _) = linked();
        let known = Known {
            store: &Stored(0),
            unwritten: std::iter::empty,
            row: |_| OwnerRow { contiguous: Seq(2), stamp: Stamp(20) },
            trimmed_to: Stamp::ZERO,
            commits: 10,
            is_holding: true,
        };
        let Ok(()) = peers.read_on(&known, |_| true, &mut Vec::new());
    }

    #[test]
    fn a_link_without_room_is_told_later() {
        let (mut peers, mut out) = linked();
        peers.judged(PEER, Ok(()), &mut out);
        peers.catch_up(PEER, owner(), Seq(2), Seq(4));
        let known = Known {
            store: &Stored(4),
            unwritten: std::iter::empty,
            row: |_| OwnerRow { contiguous: Seq(4), stamp: Stamp(40) },
            trimmed_to: Stamp::ZERO,
            commits: 10,
            is_holding: false,
        };
        let (begun, mut out) = (out.len(), out);
        let Ok(()) = peers.read_on(&known, |_| false, &mut out);
        assert!(out.len() == begun && peers.is_catching_up());
        assert_eq!(read(&mut peers, 3), [3, 4]);
        // Asked for again, it is told what it was not told.
        peers.catch_up(PEER, owner(), Seq(3), Seq(6));
        assert_eq!(read(&mut peers, 5), [5, 6]);
    }

    /// It counted as told, though nothing is said to one whose standing was not taken: its questions for the same
    /// were answered by nothing for as long as the link lasted.
    #[test]
    fn what_was_not_said_to_a_peer_does_not_count_as_told() {
        let (mut peers, mut out) = linked();
        peers.catch_up(PEER, owner(), Seq(3), Seq(9));
        assert!(!peers.is_catching_up());
        peers.judged(PEER, Ok(()), &mut out);
        peers.catch_up(PEER, owner(), Seq(3), Seq(9));
        assert_eq!(read(&mut peers, 8), [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_node_alone_has_joined() {
        assert!(Peers::<u8>::new(1, 1).has_joined());
    }
}
