//! Acceptor: what this node has drafted, promised and accepted, segment by segment.
//!
//! Source: Lamport, *Paxos Made Simple* (2001), §2.2, phases 1b and 2b; rules 2, 5 and 7. The draft is
//! part of the promise. It owns the clock, from which drafts are made and which acceptances raise,
//! and the watermark, which drafts hold.
//!
//! Invariants:
//! - B1: `promised` never decreases, restarts included.
//! - B2: `accepted` never has a ballot above `promised`.
//! - B3: a draft, once made, never changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Ballot, GroupId, SegmentId, Stamp};
use vixen_core::segment::{Acceptance, Challenger, Proposal, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::Marks;

use super::clock::Clock;
use super::effects::Write;
use super::rules::{GoesBy, Pick};
use super::watermark::Watermark;

/// What must survive a restart of one segment's vote; one row of the database `votes`.
///
/// Source: Lamport, *Paxos Made Simple* (2001), §2.2; `docs/protocol.md` rules 2, 5, 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteState {
    /// The segment.
    pub meta: SegmentMeta,
    /// The stamp this node promises for it, once it is eligible.
    pub draft: Option<Stamp>,
    /// A group of which this node has counted W durable votes.
    pub group: Option<GroupId>,
    /// No lower ballot is answered.
    pub promised: Ballot,
    /// The last value accepted, and its ballot.
    pub accepted: Option<(Ballot, Challenger)>,
    /// The value accepted in the fast round, which comes before all ballots; its stamp is the draft.
    pub fast: Option<Challenger>,
}

impl VoteState {
    /// A segment that was just heard of.
    #[must_use]
    pub const fn new(meta: SegmentMeta) -> Self {
        Self { meta, draft: None, group: None, promised: Ballot(0), accepted: None, fast: None }
    }

    /// Whether nothing was promised, drafted or accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.draft.is_none() && self.accepted.is_none() && self.promised == Ballot(0)
    }

    /// Whether the last value accepted is one of `ballot`.
    #[must_use]
    pub fn has_accepted_at(&self, ballot: Ballot) -> bool {
        self.accepted.is_some_and(|(at, _)| at == ballot)
    }

    /// Who proposed has heard from a node that counted W durable votes of the group. They count here
    /// as well: ndb nodes that know the outcome do not ask again, and this node answers a higher
    /// ballot only if the segment is eligible here.
    fn count_as_proposed(&mut self) {
        let accepted = self.accepted.map(|(_, challenger)| challenger).or(self.fast);
        self.group = self.group.or(accepted.map(|challenger| challenger.group));
    }
}

/// A segment known here and not known elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    /// Durable, once anything depends on it.
    vote: VoteState,
    /// Volatile: the highest ballot that was asked for before the segment was eligible here, ballot 0 as well.
    asked: Option<Ballot>,
    /// Volatile: what was promised in the store when this process began.
    recovered: Option<Ballot>,
    /// Volatile: the lowest stamp that readers were told of, once they were told what was accepted.
    told: Option<Stamp>,
}

impl Row {
    /// What readers are to be told of what was accepted last.
    fn acceptance(&self) -> Option<Acceptance> {
        let vote = &self.vote;
        let at_ballot = vote.accepted.map(|(ballot, value)| (Some(ballot), value));
        let (ballot, challenger) = at_ballot.or(vote.fast.map(|value| (None, value)))?;
        let stamps = [self.told, vote.draft, Some(challenger.stamp)];
        let lowest = stamps.into_iter().flatten().min()?;
        Some(Acceptance { meta: vote.meta, ballot, challenger, lowest })
    }
}

/// See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Acceptor {
    rules: GoesBy,
    rows: BTreeMap<SegmentId, Row>,
    clock: Clock,
    /// The watermark is never above it, and no draft is made at or below it: what is elected, accepted at a ballot,
    /// or was seen before the start. What is accepted in the fast round is not in it before it is
    /// elected, so that proposals of several homes may come in any order.
    floor: Stamp,
    /// Where the clock stood at the start.
    since: Stamp,
    watermark: Watermark,
}

impl Acceptor {
    /// One that finds these rows in its store.
    pub(crate) fn new(rules: GoesBy, clock: Clock, votes: &[VoteState]) -> Self {
        let row = |vote: &VoteState| {
            let mut vote = *vote;
            vote.count_as_proposed();
            (vote.meta.id, Row { vote, asked: None, recovered: Some(vote.promised), told: None })
        };
        let watermark = Watermark::after_restart(votes.iter());
        let (rows, floor) = (votes.iter().map(row).collect(), clock.value());
        let acceptor = Self { rules, rows, clock, floor, since: floor, watermark };
        acceptor.check();
        acceptor
    }

    /// The row of a pending segment.
    pub(crate) fn vote(&self, segment: SegmentId) -> Option<&VoteState> {
        self.rows.get(&segment).map(|row| &row.vote)
    }

    /// All rows, by segment.
    pub(crate) fn votes(&self) -> impl DoubleEndedIterator<Item = &VoteState> + Clone {
        self.rows.values().map(|row| &row.vote)
    }

    /// Pending segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = SegmentId> {
        self.rows.keys().copied()
    }

    /// Those of one owner, by seq.
    pub(crate) fn segments_of(
        &self,
        from: SegmentId,
        to: SegmentId,
    ) -> impl Iterator<Item = SegmentId> {
        self.rows.range(from..=to).map(|(segment, _)| *segment)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Makes the row of a segment that is pending now, if there is none, and takes this for its
    /// content where nothing depends on another: as if what was heard of that had been lost on its way.
    /// Whether it is the content here.
    pub(crate) fn hear_of(&mut self, meta: SegmentMeta, is_untold: bool) -> bool {
        let fresh = Row { vote: VoteState::new(meta), asked: None, recovered: None, told: None };
        let vote = &mut self.rows.entry(meta.id).or_insert(fresh).vote;
        if is_untold && *vote == VoteState::new(vote.meta) {
            vote.meta = meta;
        }
        vote.meta == meta
    }

    /// W nodes of this group have the segment.
    pub(crate) fn count_group(&mut self, segment: SegmentId, group: GroupId) {
        if let Some(row) = self.rows.get_mut(&segment) {
            row.vote.group = Some(group);
        }
    }

    /// A coordinator has counted W nodes of this group.
    pub(crate) fn take_group(&mut self, segment: SegmentId, group: GroupId) {
        if let Some(row) = self.rows.get_mut(&segment) {
            row.vote.group = row.vote.group.or(Some(group));
        }
    }

    /// What was promised of the segment in the store when this process began.
    pub(crate) fn recovered(&self, segment: SegmentId) -> Option<Ballot> {
        self.rows.get(&segment).and_then(|row| row.recovered)
    }

    /// A coordinator asks for a promise that cannot be given yet; the highest so far.
    pub(crate) fn ask(&mut self, segment: SegmentId, ballot: Ballot) {
        if let Some(row) = self.rows.get_mut(&segment) {
            row.asked = row.asked.max(Some(ballot));
        }
    }

    /// The highest ballot that was asked for before the segment was eligible, if any was.
    pub(crate) fn asked(&self, segment: SegmentId) -> Option<Ballot> {
        self.rows.get(&segment).and_then(|row| row.asked)
    }

    /// Phase 1b: promises `ballot`, and a draft, which is made now if there is none. The row, if that
    /// changes it.
    pub(crate) fn promise(
        &mut self,
        now: WallTime,
        segment: SegmentId,
        ballot: Ballot,
    ) -> Option<Write> {
        let row = self.rows.get_mut(&segment)?;
        let vote = &mut row.vote;
        assert!(vote.promised <= ballot, "B1");
        let before = *vote;
        vote.promised = ballot;
        if vote.draft.is_none() {
            let draft = self.clock.make(now, Stamp::ZERO);
            vote.draft = Some(draft);
            self.watermark.hold(draft, row.told.is_some());
        }
        assert!(before.draft.is_none() || before.draft == vote.draft, "B3");
        (*vote != before).then_some(Write::Vote(*vote))
    }

    /// What it says to the coordinator of a ballot that it has promised.
    pub(crate) fn pick(&self, segment: SegmentId) -> Option<Pick> {
        let vote = self.vote(segment)?;
        let fast = vote.fast.filter(|_| vote.accepted.is_none());
        Some(Pick { draft: vote.draft?, group: vote.group?, accepted: vote.accepted, fast })
    }

    /// The fast round: accepts a value, whose stamp becomes the draft, where it [may](super::Rules::is_open). Its
    /// row.
    pub(crate) fn accept_fast(&mut self, segment: SegmentId, value: Challenger) -> Option<Write> {
        let vote = &mut self.rows.get_mut(&segment)?.vote;
        if vote.draft.is_none() {
            self.watermark.hold(value.stamp, false);
            vote.draft = Some(value.stamp);
        }
        vote.fast = Some(value);
        vote.count_as_proposed();
        let vote = *vote;
        self.clock.raise(self.rules.clock_after_accepting(self.clock.value(), value.stamp));
        Some(Write::Vote(vote))
    }

    /// Phase 2b: accepts a proposal that it [may](super::Rules::may_accept). Its row.
    pub(crate) fn accept(&mut self, proposal: &Proposal) -> Option<Write> {
        let vote = &mut self.rows.get_mut(&proposal.meta.id)?.vote;
        assert!(vote.promised <= proposal.ballot, "B1");
        vote.promised = proposal.ballot;
        vote.accepted = Some((proposal.ballot, proposal.challenger));
        vote.count_as_proposed();
        let (vote, stamp) = (*vote, proposal.challenger.stamp);
        self.clock.raise(self.rules.clock_after_accepting(self.clock.value(), stamp));
        self.floor = self.rules.clock_after_accepting(self.floor, stamp);
        Some(Write::Vote(vote))
    }

    /// What readers are told once the row is durable: what was accepted last. From then on they hold back for it, and
    /// the watermark does not.
    pub(crate) fn tell(&mut self, segment: SegmentId) -> Option<Acceptance> {
        let row = self.rows.get_mut(&segment)?;
        let acceptance = row.acceptance()?;
        row.told = Some(acceptance.lowest);
        row.vote.draft.iter().for_each(|draft| self.watermark.tell(*draft));
        Some(acceptance)
    }

    /// What readers were told and do not know elected by it: a new feed tells it again.
    pub(crate) fn told(&self) -> impl Iterator<Item = Acceptance> {
        self.rows.values().filter(|row| row.told.is_some()).filter_map(Row::acceptance)
    }

    /// The segment is pending no more: elected, or nobody's any more. Its row.
    pub(crate) fn settle(&mut self, segment: SegmentId) -> Option<VoteState> {
        let vote = self.rows.remove(&segment)?.vote;
        self.watermark.settle(&vote);
        if self.watermark.is_free() {
            // Whoever waits for what was accepted in vain need not wait for the next election.
            self.floor = self.clock.value();
        }
        Some(vote)
    }

    /// Whether no pending draft, and no start, holds the watermark.
    pub(crate) fn is_free(&self) -> bool {
        self.watermark.is_free()
    }

    /// No draft is made at or below it.
    pub(crate) const fn floor(&self) -> Stamp {
        self.floor
    }

    /// The highest stamp seen or made.
    pub(crate) const fn clock(&self) -> Stamp {
        self.clock.value()
    }

    /// Sees a stamp that this node gives.
    pub(crate) fn see(&mut self, stamp: Stamp) {
        self.clock.raise(stamp);
    }

    /// Sees the stamp of an election.
    pub(crate) fn pass(&mut self, stamp: Stamp) {
        self.clock.raise(stamp);
        self.floor = self.floor.max(stamp);
    }

    /// A stamp of this lane above the clock and `floor`, given to nobody until the clock has [seen](Self::see) it.
    pub(crate) fn next_stamp(&self, now: WallTime, floor: Stamp) -> Stamp {
        self.clock.next(now, floor)
    }

    /// The clock's new ceiling, where it has passed the old one (C2).
    pub(crate) fn take_ceiling(&mut self, now: WallTime) -> Option<Write> {
        self.clock.take_ceiling(now).map(Write::Ceiling)
    }

    /// See [`Orderer::watermark`](super::Orderer::watermark).
    pub(crate) fn watermark(&self) -> Option<Marks> {
        let stamps = (self.floor, self.clock.value(), self.since);
        self.watermark.at(stamps, self.clock.lane(), self.rules.0)
    }

    /// Segments that were pending at the start and are not known elected.
    pub(crate) fn unsettled(&self) -> usize {
        self.watermark.unsettled()
    }

    /// Asserts B2 and V2 of all rows; the others where rows change.
    pub(crate) fn check(&self) {
        let is_promised =
            |vote: &VoteState| vote.accepted.is_none_or(|(ballot, _)| ballot <= vote.promised);
        assert!(self.votes().all(is_promised), "B2");
        self.watermark.check(self.votes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use crate::rules::Proven;
    use vixen_core::id::{Lane, OwnerId, Seq};
    use vixen_core::segment::Elected;

    const NOW: WallTime = WallTime(1_800_000_000_000);

    fn acceptor(votes: &[VoteState]) -> Acceptor {
        let clock = Clock::new(Lane::new(1).expect("a lane"), Stamp::ZERO);
        Acceptor::new(GoesBy(&Proven), clock, votes)
    }

    fn floor(acceptor: &Acceptor) -> Option<Stamp> {
        acceptor.watermark().map(|marks| marks.floor)
    }

    #[test]
    fn a_draft_is_made_with_the_first_promise_and_kept() {
        let (mut acceptor, segment) = (acceptor(&[]), meta(1, 1).id);
        assert_eq!(acceptor.promise(NOW, segment, Ballot(0)), None, "nothing is known of it");
        acceptor.hear_of(meta(1, 1), true);
        let Some(Write::Vote(first)) = acceptor.promise(NOW, segment, Ballot(0)) else {
            panic!("a row")
        };
        assert_eq!(floor(&acceptor), Some(Stamp::ZERO), "nothing is elected");
        acceptor.pass(Stamp::at(NOW.plus_millis(9), Lane::new(2).expect("a lane")));
        assert_eq!(floor(&acceptor), first.draft.map(Stamp::just_below));
        assert_eq!(acceptor.promise(NOW, segment, Ballot(0)), None, "nothing changes");
        let second = VoteState { promised: Ballot(2), ..first };
        assert_eq!(acceptor.promise(NOW, segment, Ballot(2)), Some(Write::Vote(second)));
    }

    #[test]
    fn the_watermark_is_the_last_election_until_nothing_is_pending() {
        let (mut acceptor, at) =
            (acceptor(&[]), |ms| Stamp::at(NOW.plus_millis(ms), Lane::new(2).expect("a lane")));
        for (seq, ms) in [(1, 5), (2, 9)] {
            acceptor.hear_of(meta(1, seq), true);
            let value = Challenger { stamp: at(ms), group: GroupId(0) };
            assert!(acceptor.accept_fast(meta(1, seq).id, value).is_some());
        }
        acceptor.pass(at(5));
        acceptor.settle(meta(1, 1).id);
        assert_eq!((acceptor.clock(), floor(&acceptor)), (at(9), Some(at(5))));
        acceptor.settle(meta(1, 2).id);
        assert_eq!(floor(&acceptor), Some(at(9)), "elected or not");
    }

    /// What readers are told accepted they hold back for themselves; an own draft that they were not told of holds the
    /// clock, and one of another lane does not.
    #[test]
    fn what_is_told_accepted_holds_no_watermark() {
        let (mut acceptor, at) = (acceptor(&[]), |ms, lane| {
            Stamp::at(NOW.plus_millis(ms), Lane::new(lane).expect("a lane"))
        });
        acceptor.pass(at(1, 0));
        for seq in 1..=3 {
            acceptor.hear_of(meta(1, seq), true);
        }
        let value = |stamp| Challenger { stamp, group: GroupId(0) };
        let marks = |acceptor: &Acceptor| {
            acceptor.watermark().map(|marks| (marks.floor, marks.clock)).expect("settled")
        };
        acceptor.accept_fast(meta(1, 1).id, value(at(5, 2)));
        assert_eq!(marks(&acceptor), (at(1, 0), at(5, 2)), "of another's lane");
        let proposal =
            Proposal { meta: meta(1, 2), ballot: Ballot(0), challenger: value(at(9, 2)) };
        acceptor.accept(&proposal);
        assert_eq!(marks(&acceptor), (at(5, 2).just_below(), at(9, 2)), "not told");
        let told = acceptor.tell(meta(1, 1).id).expect("accepted");
        assert_eq!((told.ballot, told.lowest), (None, at(5, 2)));
        assert_eq!(marks(&acceptor), (at(9, 2), at(9, 2)));
        acceptor.promise(NOW.plus_millis(20), meta(1, 3).id, Ballot(0));
        let draft = acceptor.vote(meta(1, 3).id).and_then(|vote| vote.draft).expect("made");
        acceptor.pass(at(40, 2));
        assert_eq!(marks(&acceptor), (draft.just_below(), draft.just_below()));
        assert_eq!(acceptor.tell(meta(1, 3).id), None, "nothing is accepted");
        assert_eq!(acceptor.told().count(), 1);
    }

    /// What readers were told once holds them below whatever the row had: a later value may be higher.
    #[test]
    fn what_is_told_again_is_no_higher_than_before() {
        let (mut acceptor, segment) = (acceptor(&[]), meta(1, 1).id);
        acceptor.hear_of(meta(1, 1), true);
        for (ballot, stamp) in [(1, 900), (2, 950)] {
            let challenger = Challenger { stamp: Stamp(stamp), group: GroupId(1) };
            acceptor.accept(&Proposal { meta: meta(1, 1), ballot: Ballot(ballot), challenger });
            let told = acceptor.tell(segment).expect("accepted");
            assert_eq!((told.ballot, told.lowest), (Some(Ballot(ballot)), Stamp(900)));
        }
        acceptor.promise(NOW, segment, Ballot(3));
        assert_eq!(
            acceptor.watermark().map(|marks| marks.floor),
            Some(Stamp(950)),
            "a draft is told"
        );
        assert_eq!(acceptor.told().map(|told| told.lowest).collect::<Vec<_>>(), [Stamp(900)]);
    }

    #[test]
    #[should_panic(expected = "B1")]
    fn a_promise_does_not_fall() {
        let mut acceptor =
            acceptor(&[VoteState { promised: Ballot(2), ..VoteState::new(meta(1, 1)) }]);
        acceptor.promise(NOW, meta(1, 1).id, Ballot(1));
    }

    #[test]
    fn accepting_promises_and_raises_the_clock() {
        let mut acceptor = acceptor(&[]);
        acceptor.hear_of(meta(1, 1), true);
        let challenger = Challenger { stamp: Stamp(900), group: GroupId(1) };
        let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(3), challenger };
        let Some(Write::Vote(vote)) = acceptor.accept(&proposal) else { panic!("a row") };
        assert_eq!((vote.promised, vote.group), (Ballot(3), Some(GroupId(1))));
        assert!(vote.has_accepted_at(Ballot(3)));
        assert_eq!(acceptor.clock(), Stamp(900));
    }

    /// Golden: what is on disk stays readable.
    #[test]
    fn rows_have_these_bytes() {
        use vixen_core::id::{Digest, MapVersion, Shard};
        let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(0x0102)), seq: Seq(300) };
        let meta = SegmentMeta {
            id,
            shard: Shard(5),
            map: MapVersion(2),
            count: 3,
            bytes: 200,
            digest: Digest([7; 16]),
        };
        let meta_bytes =
            [&[16][..], &[0; 14], &[1, 2, 0xac, 2, 5, 2, 3, 0xc8, 1], &[7; 16]].concat();
        let fresh = [&meta_bytes[..], &[0, 0, 0, 0, 0]].concat();
        assert_eq!(postcard::to_stdvec(&VoteState::new(meta)), Ok(fresh));
        let challenger = Challenger { stamp: Stamp(9), group: GroupId(1) };
        let vote = VoteState {
            meta,
            draft: Some(Stamp(8)),
            group: Some(GroupId(1)),
            promised: Ballot(2),
            accepted: Some((Ballot(1), challenger)),
            fast: Some(Challenger { stamp: Stamp(8), group: GroupId(1) }),
        };
        let voted = [&meta_bytes[..], &[1, 8, 1, 1, 2, 1, 1, 9, 1, 1, 8, 1]].concat();
        assert_eq!(postcard::to_stdvec(&vote), Ok(voted));
        let elected = [&meta_bytes[..], &[9, 1]].concat();
        assert_eq!(postcard::to_stdvec(&Elected { meta, challenger }), Ok(elected));
    }
}
