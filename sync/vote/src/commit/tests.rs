//! What waits for which commit.

use super::*;
use crate::effects::{Election, Envelope};
use crate::orderer::tests::meta;
use crate::owners::OwnerRow;
use vixen_core::id::{GroupId, Seq, StoreId};
use vixen_core::segment::Challenger;
use vixen_core::wire::{Message, NodeMessage};

/// A disk of which all commits are kept, with room or without.
#[derive(Default)]
struct Kept {
    batches: Vec<Batch>,
    is_full: bool,
}

impl Disk for Kept {
    type Error = std::convert::Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Self::Error> {
        if !self.is_full {
            self.batches.push(batch.clone());
        }
        Ok(!self.is_full)
    }
}

fn vote(seq: u64) -> Write {
    Write::Vote(VoteState::new(meta(1, seq)))
}

fn send(after: After) -> Envelope {
    Envelope { to: SyncId(1), message: Message::Node(NodeMessage::Heartbeat), after }
}

fn election(seq: u64, after: After) -> Election {
    let challenger = Challenger { stamp: Stamp(seq), group: GroupId(0) };
    let owner = OwnerRow { contiguous: Seq(seq), stamp: Stamp(seq) };
    Election { elected: Elected { meta: meta(1, seq), challenger }, owner, after }
}

fn id(seq: u64) -> SegmentId {
    meta(1, seq).id
}

/// The writes of the commits that a turn makes.
fn turn(commits: &mut Commits, now: Instant, fx: Effects) -> Vec<Vec<Write>> {
    let mut disk = Kept::default();
    let left = commits.turn(now, fx, false, &mut disk).expect("never fails");
    assert!(left.is_some());
    disk.batches.into_iter().map(|batch| batch.writes).collect()
}

#[test]
fn a_row_that_nobody_waits_for_rides_with_the_next_that_somebody_does() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let draft = Effects { writes: vec![vote(1)], ..Effects::default() };
    assert!(turn(&mut commits, now, draft).is_empty());
    let other = Effects { sends: vec![send(After::Nothing)], ..Effects::default() };
    assert!(turn(&mut commits, now, other).is_empty());
    let sends = vec![send(After::Vote(id(2)))];
    let pick = Effects { writes: vec![vote(2)], sends, ..Effects::default() };
    assert_eq!(turn(&mut commits, now, pick), [[vote(1), vote(2)]]);
    assert_eq!(commits.due_at(), None);
}

#[test]
fn a_send_waits_for_a_row_that_an_earlier_turn_left() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    turn(&mut commits, now, Effects { writes: vec![vote(1)], ..Effects::default() });
    let again = Effects { sends: vec![send(After::Vote(id(1)))], ..Effects::default() };
    assert_eq!(turn(&mut commits, now, again), [[vote(1)]]);
}

#[test]
fn a_ceiling_does_not_wait_for_the_watermark_follows() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let ceiling = Write::Ceiling(Stamp(9));
    let fx = Effects { writes: vec![vote(1), ceiling], ..Effects::default() };
    assert_eq!(turn(&mut commits, now, fx), [[vote(1), ceiling]]);
}

#[test]
fn elections_wait_together_and_a_row_of_the_vote_is_before_them() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let after = After::Vote(id(1));
    let voted =
        Effects { writes: vec![vote(1)], elected: vec![election(1, after)], ..Effects::default() };
    assert_eq!(turn(&mut commits, now, voted), [[vote(1)]], "its own vote is in it");
    let told = Effects { elected: vec![election(2, After::Nothing)], ..Effects::default() };
    assert!(turn(&mut commits, now, told).is_empty());
    let known: Vec<_> = commits.elections().map(|elected| elected.meta.id).collect();
    assert_eq!(known, [id(1), id(2)]);
    let later = now + LAZY_WRITE;
    assert_eq!(commits.due_at(), Some(later));
    let all = [election(1, after).write(), election(2, After::Nothing).write()];
    assert_eq!(turn(&mut commits, later, Effects::default()), [all]);
    assert_eq!((commits.due_at(), commits.rows()), (None, 0));
}

#[test]
fn what_is_forgotten_for_good_is_on_disk_with_all_before_it_before_anything_leaves() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let owner = id(1).owner;
    let told = Effects { elected: vec![election(1, After::Nothing)], ..Effects::default() };
    turn(&mut commits, now, told);
    let drop = Write::DropOwner(owner);
    let fx = Effects {
        elected: vec![election(2, After::Nothing)],
        later: vec![drop],
        ..Effects::default()
    };
    let elected = |seq| election(seq, After::Nothing).write();
    assert_eq!(turn(&mut commits, now, fx), [[elected(1), elected(2), drop]]);
    assert_eq!(commits.rows(), 0);
}

#[test]
fn what_finds_no_room_is_held_whole_and_leaves_when_there_is() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let mut disk = Kept { is_full: true, ..Kept::default() };
    let sends = vec![send(After::Vote(id(1)))];
    let elected = vec![election(2, After::Nothing)];
    let fx = Effects { writes: vec![vote(1)], sends, elected, ..Effects::default() };
    let Ok(left) = commits.turn(now, fx, false, &mut disk);
    assert_eq!(left, None);
    assert_eq!(commits.elections().count(), 0, "nobody is told of it yet");
    let Ok(left) = commits.go_on(now, &mut disk);
    assert_eq!(left, None);
    disk.is_full = false;
    let Ok(left) = commits.go_on(now, &mut disk);
    let left = left.expect("there is room");
    assert_eq!((left.sends.len(), left.elected.len()), (1, 1));
    assert_eq!(disk.batches.len(), 1);
    assert_eq!(disk.batches[0].writes, [vote(1), election(2, After::Nothing).write()]);
}

#[test]
fn a_stranger_is_remembered_before_anything_is_said_to_it() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let standing = Standing { store: StoreId(uuid::Uuid::from_u128(7)), run: 1, commits: 5 };
    assert_eq!(commits.take_standing(SyncId(1), standing), Ok(()));
    let mut disk = Kept::default();
    let Ok(_left) = commits.turn(now, Effects::default(), false, &mut disk);
    assert_eq!(disk.batches[0].standings, [(SyncId(1), standing)]);
    let Ok(_left) = commits.turn(now, Effects::default(), false, &mut disk);
    assert_eq!(disk.batches.len(), 1);
}

/// What leaves before the commit of a turn that owes this, by its place among the sends.
fn early(commits: &Commits, writes: Vec<Write>, afters: &[After]) -> Vec<usize> {
    let numbered =
        afters.iter().zip(1..).map(|(after, at)| Envelope { to: SyncId(at), ..send(*after) });
    let mut fx = Effects { writes, sends: numbered.collect(), ..Effects::default() };
    let early = commits.early(&mut fx);
    assert_eq!(early.len() + fx.sends.len(), afters.len());
    early.iter().map(|sent| usize::from(sent.to.0) - 1).collect()
}

#[test]
fn what_rests_on_no_row_of_the_turn_leaves_before_its_commit() {
    let (mut commits, now) = (Commits::default(), Instant::now());
    let (row, promise) = (After::Vote(id(1)), After::Promise(id(1)));
    let all = [After::Nothing, row, promise, After::Clock, After::Vote(id(2)), After::All];
    assert_eq!(early(&commits, vec![vote(1)], &all), [0, 2, 3, 4], "the promise is on disk");
    assert_eq!(early(&commits, vec![vote(1), vote(1)], &all), [0, 3, 4], "both are of this turn");
    assert_eq!(early(&commits, vec![], &all), [0, 1, 2, 3, 4, 5]);
    assert!(early(&commits, vec![Write::Ceiling(Stamp(9))], &all).is_empty());
    // One that an earlier turn left.
    turn(&mut commits, now, Effects { writes: vec![vote(1)], ..Effects::default() });
    assert_eq!(early(&commits, vec![vote(1)], &all), [0, 3, 4]);
}

/// Found by reading: an election by this node's own vote, with that vote's row, is no floor for the next one yet.
#[test]
fn what_follows_an_election_waits_for_the_vote_that_it_rests_on() {
    let (first, second) = (id(1), id(1).next());
    let afters = [After::Promise(second), After::Vote(first)];
    assert!(early(&Commits::default(), vec![vote(1)], &afters).is_empty());
    assert_eq!(early(&Commits::default(), vec![], &afters), [0, 1]);
}
