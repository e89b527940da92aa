//! What peers and ndb nodes are told of elections that they missed.

use vixen_core::id::{NdbId, OwnerId, SegmentId, Seq, SyncId};
use vixen_core::segment::Elected;
use vixen_core::wire::{DraftAnswer, Message, PeerId};

use super::SyncNode;
use super::settle::elected_of;
use crate::store::StoreError;
use vixen_vote::OwnerRow;

/// Rows of the store sent to a peer in one go while it catches up.
const CATCH_UP_BATCH: usize = 4_096;

/// Of an owner, what a peer was told on its link: all beyond `from`, up to `to`, without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    from: Seq,
    to: Seq,
}

impl Told {
    /// What is told to a peer that wants all beyond `after`, when elections are known here without
    /// a gap up to `contiguous`: the place to go on from, and what it has been told then. Who wants
    /// what is beyond a segment does not say that it has that segment.
    fn go_on(before: Option<Self>, after: Seq, contiguous: Seq) -> (Seq, Self) {
        match before.filter(|told| (told.from..=told.to).contains(&after)) {
            Some(told) => (told.to, Self { from: told.from, to: contiguous.max(told.to) }),
            None => (after, Self { from: after, to: contiguous.max(after) }),
        }
    }
}

impl SyncNode {
    /// Sends to a peer whose standing was taken; before what depends on a commit, the standing of
    /// this node.
    pub(super) fn tell_peer(&mut self, to: SyncId, message: Message) {
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_taken) else { return };
        let commits = self.store.commits();
        if peer.told_commits < commits {
            peer.told_commits = commits;
            let _down_follows = peer.sender.send(Message::SyncStanding { run: self.run, commits });
        }
        let _down_follows = peer.sender.send(message);
    }

    /// Answers an ndb node that seems to have missed an election.
    pub(super) fn answer(
        &self,
        to: NdbId,
        segment: SegmentId,
        answer: DraftAnswer,
    ) -> Result<(), StoreError> {
        let before = segment.seq.before();
        let stored = self.store.elected_of(segment.owner, before, 1)?;
        let known = stored.into_iter().chain(elected_of(&self.elections));
        let message = match known.into_iter().find(|elected| elected.meta.id == segment) {
            Some(elected) => Message::AdvanceSegmentResolved { elected },
            None => Message::DraftAnswered { segment, answer },
        };
        for linked in self.links.values() {
            if matches!(linked.peer, PeerId::Ndb { id, .. } if id == to) {
                let _down_follows = linked.sender.send(message.clone());
            }
        }
        Ok(())
    }

    /// Sends a peer everything of an owner beyond `after` that it was not sent on this link: the
    /// elections that are still known, and where there is a gap before them, that all up to it are
    /// settled.
    pub(super) fn catch_up(
        &mut self,
        to: SyncId,
        owner: OwnerId,
        after: Seq,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&to) else { return Ok(()) };
        let row = self.votes.owner_row(owner).unwrap_or_default();
        let before = peer.caught_up.get(&owner).copied();
        let (after, told) = Told::go_on(before, after, row.contiguous);
        let mut read_to = after;
        let mut first: Option<Elected> = None;
        loop {
            let batch = self.store.elected_of(owner, read_to, CATCH_UP_BATCH)?;
            let Some(last) = batch.last().map(|elected| elected.meta.id.seq) else { break };
            read_to = last;
            for elected in batch {
                first.get_or_insert(elected);
                self.tell_peer(to, Message::AdvanceSegmentResolved { elected });
            }
        }
        let unwritten: Vec<_> = elected_of(&self.elections)
            .filter(|e| e.meta.id.owner == owner && e.meta.id.seq > after)
            .collect();
        for elected in unwritten {
            if first.is_none_or(|first| elected.meta.id.seq < first.meta.id.seq) {
                first = Some(elected);
            }
            self.tell_peer(to, Message::AdvanceSegmentResolved { elected });
        }
        if let Some(OwnerRow { contiguous, stamp }) = OwnerRow::forgotten(after, first, row) {
            let trimmed_to = self.trimmed_to();
            self.tell_peer(to, Message::OwnerSettled { owner, contiguous, stamp, trimmed_to });
        }
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.caught_up.insert(owner, told);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go_on(told: Option<(u64, u64)>, after: u64, contiguous: u64) -> (u64, (u64, u64)) {
        let told = told.map(|(from, to)| Told { from: Seq(from), to: Seq(to) });
        let (from, Told { from: begin, to }) = Told::go_on(told, Seq(after), Seq(contiguous));
        (from.0, (begin.0, to.0))
    }

    #[test]
    fn a_peer_is_told_what_it_was_not_told_and_nothing_twice() {
        assert_eq!(go_on(None, 3, 9), (3, (3, 9)));
        assert_eq!(go_on(Some((3, 9)), 3, 9), (9, (3, 9)));
        assert_eq!(go_on(Some((3, 9)), 5, 12), (9, (3, 12)));
        // It wants what is before all that it was told.
        assert_eq!(go_on(Some((3, 9)), 1, 12), (1, (1, 12)));
        // It had what lies between by other ways, or will ask.
        assert_eq!(go_on(Some((3, 9)), 10, 12), (10, (10, 12)));
        // Beyond a gap: these elections are sent, and counted when the gap is closed.
        assert_eq!(go_on(None, 7, 5), (7, (7, 7)));
    }
}
