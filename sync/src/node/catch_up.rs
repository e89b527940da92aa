//! What peers and ndb nodes are told of elections that they missed.

use vixen_common::id::{NdbId, OwnerId, SegmentId, Seq, SyncId};
use vixen_common::segment::Elected;
use vixen_common::wire::{DraftAnswer, Message, PeerId};

use super::SyncNode;
use super::settle::elected_of;
use crate::store::StoreError;
use crate::vote::OwnerRow;

/// Rows of the store sent to a peer in one go while it catches up.
const CATCH_UP_BATCH: usize = 4_096;

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
        let after = peer.caught_up.get(&owner).copied().unwrap_or_default().max(after);
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
        let row = self.votes.owner_row(owner).unwrap_or_default();
        if let Some(OwnerRow { contiguous, stamp }) = forgotten(after, first, row) {
            let trimmed_to = self.trimmed_to();
            self.tell_peer(to, Message::OwnerSettled { owner, contiguous, stamp, trimmed_to });
        }
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.caught_up.insert(owner, row.contiguous.max(after));
        }
        Ok(())
    }
}

/// What of an owner's elections beyond `after` is forgotten: up to the `first` that is remembered,
/// never more, since what is remembered must reach the peer's feeds, and not beyond a gap. Its
/// stamp is an upper bound then; the one after it is elected, so nothing is proposed above it.
fn forgotten(after: Seq, first: Option<Elected>, row: OwnerRow) -> Option<OwnerRow> {
    let row = match first {
        Some(first) => {
            OwnerRow { contiguous: first.meta.id.seq.before(), stamp: first.stamp().just_below() }
        }
        None => row,
    };
    (row.contiguous > after).then_some(row)
}
