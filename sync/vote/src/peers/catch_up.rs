//! What peers and ndb nodes are told of elections that they missed.

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp};
use vixen_core::segment::Elected;
use vixen_core::wire::{DraftAnswer, DraftMessage, FeedMessage, Message, VoteMessage};

use super::{BATCH, Elections};
use crate::owners::OwnerRow;

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
    pub(super) fn go_on(before: Option<Self>, after: Seq, contiguous: Seq) -> (Seq, Self) {
        match before.filter(|told| (told.from..=told.to).contains(&after)) {
            Some(told) => (told.to, Self { from: told.from, to: contiguous.max(told.to) }),
            None => (after, Self { from: after, to: contiguous.max(after) }),
        }
    }
}

/// A part of what a peer is told of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// What it is told.
    pub told: Vec<Message>,
    /// Beyond which segment there is more to tell; `None` at the end.
    pub next: Option<Seq>,
}

/// What is known of an owner beyond `after`, `BATCH` elections of the store at a time: those of them that are
/// still known, in the store or `unwritten`, and where some are forgotten, that all up to the last of these
/// are settled. `row` is how far the owner is elected, and elections up to `trimmed_to` are forgotten.
///
/// # Errors
/// When the store cannot be read.
pub fn caught_up<S: Elections>(
    store: &S,
    unwritten: impl Iterator<Item = Elected>,
    (owner, row): (OwnerId, OwnerRow),
    after: Seq,
    trimmed_to: Stamp,
) -> Result<CaughtUp, S::Error> {
    let mut known = store.elected_of(owner, after, BATCH)?;
    let last = known.last().filter(|_| known.len() == BATCH).copied();
    let next = last.map(|last| last.meta.id.seq);
    let part = |seq: Seq| seq > after && next.is_none_or(|next| seq <= next);
    known.extend(unwritten.filter(|e| e.meta.id.owner == owner && part(e.meta.id.seq)));
    let row = match last {
        Some(last) if last.meta.id.seq <= row.contiguous => {
            OwnerRow { contiguous: last.meta.id.seq, stamp: last.stamp() }
        }
        Some(_) | None => row,
    };
    let forgotten = OwnerRow::forgotten(after, &known, row);
    let resolved = |elected| Message::Feed(FeedMessage::AdvanceSegmentResolved { elected });
    let mut told: Vec<Message> = known.into_iter().map(resolved).collect();
    if let Some(OwnerRow { contiguous, stamp }) = forgotten {
        told.push(Message::Vote(VoteMessage::OwnerSettled {
            owner,
            contiguous,
            stamp,
            trimmed_to,
        }));
    }
    Ok(CaughtUp { told, next })
}

/// Answers an ndb node that asks for a draft of a segment that needs none: with its election, where that
/// is known.
///
/// # Errors
/// When the store cannot be read.
pub fn answer<S: Elections>(
    store: &S,
    unwritten: impl Iterator<Item = Elected>,
    segment: SegmentId,
    answer: DraftAnswer,
) -> Result<Message, S::Error> {
    let stored = store.elected_of(segment.owner, segment.seq.before(), 1)?;
    let mut known = stored.into_iter().chain(unwritten);
    Ok(match known.find(|elected| elected.meta.id == segment) {
        Some(elected) => Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }),
        None => Message::Draft(DraftMessage::DraftAnswered { segment, answer }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use vixen_core::id::GroupId;
    use vixen_core::segment::Challenger;

    /// Elections of an owner, by seq, at these stamps; a store that has them.
    struct Stored(Vec<Elected>);

    impl Elections for Stored {
        type Error = std::convert::Infallible;

        fn elected_after(&self, _: Stamp, _: usize) -> Result<Vec<Elected>, Self::Error> {
            unreachable!("an owner is caught up with")
        }

        fn elected_of(
            &self,
            _: OwnerId,
            after: Seq,
            limit: usize,
        ) -> Result<Vec<Elected>, Self::Error> {
            let beyond = self.0.iter().filter(|elected| elected.meta.id.seq > after);
            Ok(beyond.take(limit).copied().collect())
        }
    }

    /// The World, seed 551: two groups, of which one was behind. Its peers had forgotten the last
    /// election, not the one before, and told of that alone; a node held its watermark for ever.
    #[test]
    fn a_peer_is_told_that_all_is_settled_where_only_the_last_is_forgotten() {
        let known = Elected {
            meta: meta(1, 41),
            challenger: Challenger { stamp: Stamp(141), group: GroupId(1) },
        };
        let (owner, row) =
            (known.meta.id.owner, OwnerRow { contiguous: Seq(42), stamp: Stamp(142) });
        let store = Stored(vec![known]);
        let Ok(CaughtUp { told, next: None }) =
            caught_up(&store, std::iter::empty(), (owner, row), Seq(40), row.stamp)
        else {
            panic!("one part");
        };
        let (contiguous, stamp, trimmed_to) = (row.contiguous, row.stamp, row.stamp);
        let settled = VoteMessage::OwnerSettled { owner, contiguous, stamp, trimmed_to };
        let resolved = FeedMessage::AdvanceSegmentResolved { elected: known };
        assert_eq!(told, [Message::Feed(resolved), Message::Vote(settled)]);
    }

    #[test]
    fn a_part_tells_what_is_forgotten_in_it_and_not_what_is_not_written_yet() {
        let elected = |seq: u64| Elected {
            meta: meta(1, seq),
            challenger: Challenger { stamp: Stamp(100 + seq), group: GroupId(0) },
        };
        let owner = meta(1, 1).id.owner;
        let end = 5 + u64::try_from(BATCH).expect("few");
        // 1 is forgotten, 3 is not on disk yet; 4,099 is forgotten as well.
        let store =
            Stored((2..=end).filter(|seq| ![3, 4_099].contains(seq)).map(elected).collect());
        let row = OwnerRow { contiguous: Seq(end), stamp: Stamp(100 + end) };
        let part = |after| {
            let unwritten = std::iter::once(elected(3));
            let Ok(part) = caught_up(&store, unwritten, (owner, row), after, row.stamp);
            let settled = part.told.iter().find_map(|message| match message {
                Message::Vote(VoteMessage::OwnerSettled { contiguous, .. }) => Some(contiguous.0),
                _ => None,
            });
            (part.told.len(), settled, part.next)
        };
        let (told, settled, next) = part(Seq(0));
        assert_eq!((told, settled, next), (BATCH + 2, Some(1), Some(Seq(4_098))));
        assert_eq!(part(Seq(4_098)), (3, Some(4_099), None));
    }

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
