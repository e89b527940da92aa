use std::time::{Duration, Instant};

use super::*;
use crate::rows::{BEGINNING, Lost};
use crate::sample::{self, chunk, elected, owner};
use crate::storage::Finding;
use vixen_core::id::{Digest, GroupId, Seq, StoreId, SyncId};
use vixen_core::segment::{Chunk, Elected};
use vixen_core::time::UtcDay;
use vixen_core::wire::{
    DraftAnswer, DraftMessage, FeedMessage, Marks, NodeMessage, PublishMessage, ReplicaMessage,
};

const ENTRY: PeerId = PeerId::Entry { owner: owner() };
const STORE: StoreId = StoreId(uuid::Uuid::from_u128(1));

const fn ndb(group: u16, member: u8) -> PeerId {
    PeerId::Ndb { id: NdbId { group: GroupId(group), member }, store: STORE }
}

const fn sync(id: u8) -> PeerId {
    PeerId::Sync { id: SyncId(id), store: STORE }
}

/// The core of one node of three in group 0, and a store that commits when it is told to.
struct Node {
    core: NdbCore,
    now: Instant,
    /// Handed over, and not on disk.
    jobs: Vec<Job>,
    head: OrderBase,
}

impl Node {
    fn new(member: u8) -> Self {
        let now = Instant::now();
        let options = CoreOptions {
            id: NdbId { group: GroupId(0), member },
            membership: Membership::sized(3, [3, 3], 2),
            segment_bytes_max: 1 << 20,
            retention: RetentionPolicy::default(),
            room_look: Duration::from_millis(200),
        };
        let core = NdbCore::new(options, Recovered::default(), now);
        Self { core, now, jobs: Vec::new(), head: BEGINNING }
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.core.step(input, self.now, &mut fx);
        self.jobs.extend(std::mem::take(&mut fx.jobs));
        fx
    }

    fn said(&mut self, from: PeerId, message: Message) -> Effects {
        self.step(Input::Said { from, message })
    }

    fn up(&mut self, peers: &[PeerId]) {
        peers.iter().for_each(|peer| drop(self.step(Input::Up { peer: *peer })));
    }

    fn tick_after(&mut self, pause: Duration) -> Effects {
        self.now += pause;
        self.step(Input::Tick)
    }

    /// BEGIN, KEEP, OVER.
    fn send(&mut self, chunk: &Chunk) -> Effects {
        let (segment, shard) = (chunk.meta.id, chunk.meta.shard);
        self.said(ENTRY, Message::Publish(PublishMessage::BeginAdvanceSegment { segment, shard }));
        let keep = Message::Publish(PublishMessage::KeepAdvanceHistory {
            segment,
            offset: 0,
            topics: chunk.topics.clone(),
            count: chunk.meta.count,
            records: chunk.records.clone(),
        });
        self.said(ENTRY, keep);
        self.said(ENTRY, Message::Publish(PublishMessage::AdvanceSegmentOver { meta: chunk.meta }))
    }

    /// It is elected, and two feeds are past it.
    fn place(&mut self, elected: Elected) -> Vec<Effects> {
        let mut all = vec![
            self.said(sync(0), Message::Feed(FeedMessage::AdvanceSegmentResolved { elected })),
        ];
        for feed in 0..2 {
            let watermark =
                Message::Feed(FeedMessage::Watermark { marks: Marks::at(elected.stamp()) });
            all.push(self.said(sync(feed), watermark));
        }
        all
    }

    /// All that was handed over is on disk.
    fn commit(&mut self) -> Effects {
        let mut committed = Committed { jobs: self.jobs.len(), ..Committed::default() };
        for job in self.jobs.drain(..) {
            committed.mending += usize::from(job.is_mending());
            match job {
                Job::Store(store) => {
                    committed.bytes += store.blob.as_bytes().len();
                    committed.stored.push(store.meta.id);
                }
                Job::Place(place) => {
                    let (stamp, meta) = (place.row.elected.stamp(), place.row.elected.meta);
                    let next = place.first.plus(meta.count);
                    committed.rows += 1;
                    committed.placed_to = Some((stamp, next));
                    self.head = OrderBase { next, stamp, chain: place.row.chain };
                }
                Job::Rebase(base) => {
                    self.head = base;
                    committed.trimmed_to = Some(base.next);
                    committed.placed_to = Some((base.stamp, base.next));
                }
                Job::Lose(_) => {}
                Job::IndexAnew { day, begins: true } => committed.index_begun.push(day),
                Job::IndexAnew { day, begins: false } => committed.index_ended.push(day),
                other => panic!("this store does not know {other:?}"),
            }
        }
        committed.head = self.head;
        self.step(Input::Committed(committed))
    }
}

fn names(fx: &Effects) -> Vec<&'static str> {
    fx.sends.iter().map(|(_, message)| message.name()).collect()
}

#[test]
fn a_draft_leaves_with_the_commit_and_what_waits_for_it_as_well() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ENTRY]);
    let chunk = chunk(1, 2);
    assert_eq!(names(&node.send(&chunk)), ["trim_advance_segment"]);
    assert!(
        node.said(ENTRY, Message::Publish(PublishMessage::AwaitDurable { segment: chunk.meta.id }))
            .sends
            .is_empty()
    );
    let fx = node.tick_after(Duration::ZERO);
    assert!(matches!(node.jobs[..], [Job::Store(_)]) && names(&fx).is_empty());
    let draft = (To::AllSync, Message::Draft(DraftMessage::GenerateDraft { meta: chunk.meta }));
    let durable = (
        To::Entry(owner()),
        Message::Publish(PublishMessage::SegmentDurable { segment: chunk.meta.id }),
    );
    assert_eq!(node.commit().sends, [durable.clone(), draft]);
    let again =
        node.said(ENTRY, Message::Publish(PublishMessage::AwaitDurable { segment: chunk.meta.id }));
    assert_eq!(again.sends, [durable], "it is on disk already");
}

#[test]
fn what_is_applied_is_told_when_it_is_on_disk() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1)]);
    let all = node.place(elected(chunk(1, 2).meta, 9));
    assert!(all.iter().all(|fx| !names(fx).contains(&"order_applied")));
    assert!(node.jobs.is_empty(), "rows go with others");
    node.tick_after(Duration::from_millis(100));
    assert_eq!(
        node.commit().sends,
        [(To::AllSync, Message::Draft(DraftMessage::OrderApplied { stamp: Stamp(9) }))]
    );
    assert_eq!((node.core.applied(), node.core.stored_head().next), (Stamp(9), Position(3)));
}

/// More than so many are not waited for: they would have been told of early no more.
#[test]
fn however_many_are_placed_before_their_own_commit_the_next_one_is_told_of_early() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ENTRY]);
    for seq in 1..=70_000 {
        let meta = sample::meta(1, seq, 1);
        node.said(ENTRY, Message::Publish(PublishMessage::AwaitDurable { segment: meta.id }));
        node.place(elected(meta, seq));
    }
    assert_eq!(node.core.awaited(), 0);
    let next = chunk(70_001, 1);
    node.send(&next);
    node.said(ENTRY, Message::Publish(PublishMessage::AwaitDurable { segment: next.meta.id }));
    assert_eq!(node.core.awaited(), 1);
    node.tick_after(Duration::ZERO);
    node.jobs.retain(|job| matches!(job, Job::Store(_)));
    let told = Message::Publish(PublishMessage::SegmentDurable { segment: next.meta.id });
    let committed = Committed { jobs: 1, stored: vec![next.meta.id], ..Committed::default() };
    assert!(node.step(Input::Committed(committed)).sends.contains(&(To::Entry(owner()), told)));
}

#[test]
fn what_is_dropped_is_not_awaited_nor_written_any_more() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), sync(2), ENTRY]);
    let chunk = chunk(1, 2);
    let segment = chunk.meta.id;
    node.send(&chunk);
    node.said(ENTRY, Message::Publish(PublishMessage::AwaitDurable { segment }));
    let answer = DraftAnswer::OwnerExpired;
    let answered = Message::Draft(DraftMessage::DraftAnswered { segment, answer });
    assert!(node.said(sync(0), answered.clone()).sends.is_empty());
    assert!(node.core.is_expiring(segment));
    let fx = node.said(sync(2), answered.clone());
    assert_eq!(fx.sends, [(To::Entry(owner()), answered)]);
    node.tick_after(Duration::from_millis(3));
    assert!(matches!(node.jobs[..], [Job::Drop(dropped)] if dropped == segment));
    assert_eq!((node.core.awaited(), node.core.is_expiring(segment)), (0, false));
}

#[test]
fn a_spare_waits_for_the_others_and_for_nobody_who_is_silent_or_gone() {
    let at_once = |member: u8, other: fn(u8) -> Option<Input>| {
        let mut node = Node::new(member);
        let others: Vec<_> = (0..3).filter(|of| *of != member).collect();
        others.iter().for_each(|of| node.up(&[ndb(0, *of), ndb(1, *of)]));
        others.iter().filter_map(|of| other(*of)).for_each(|input| drop(node.step(input)));
        node.send(&chunk(1, 1));
        node.tick_after(Duration::ZERO);
        !node.jobs.is_empty()
    };
    let count = |other: fn(u8) -> Option<Input>| (0..3).filter(|of| at_once(*of, other)).count();
    assert_eq!(count(|_| None), 2, "two of three are enough");
    assert_eq!(count(|of| Some(Input::Silent { peer: ndb(0, of), is_silent: true })), 3);
    assert_eq!(count(|of| Some(Input::Down { peer: ndb(0, of) })), 3);
    assert_eq!(count(|of| Some(Input::Down { peer: ndb(1, of) })), 2, "of another group");
}

#[test]
fn what_a_node_can_do_is_said_first_on_each_link_and_to_all_when_it_changes() {
    let mut node = Node::new(0);
    let standing = |standing| Message::Node(NodeMessage::NdbStanding { standing });
    let fx = node.step(Input::Up { peer: sync(0) });
    assert_eq!(fx.sends[0], (To::Newest(sync(0)), standing(NdbStanding::NoFeeds)));
    let fx = node.step(Input::Up { peer: sync(1) });
    assert_eq!(fx.sends[0], (To::All, standing(NdbStanding::Willing)));
    assert_eq!(fx.sends[1], (To::Newest(sync(1)), standing(NdbStanding::Willing)));
    let low = DiskRoom { free: 1, reserve: 100, is_low: true };
    let fx = node.step(Input::Room(low));
    assert_eq!(fx.sends, [(To::All, standing(NdbStanding::DiskFull))]);
    assert_eq!(fx.notes, [Note::DiskRoom(low)]);
    assert!(names(&node.send(&chunk(1, 1))).contains(&"refuse_advance_segment"));
    let fx = node.step(Input::Room(DiskRoom { is_low: false, ..low }));
    assert_eq!(fx.sends, [(To::All, standing(NdbStanding::Willing))]);
    let fx = node.step(Input::Silent { peer: sync(1), is_silent: true });
    assert_eq!(fx.sends, [(To::All, standing(NdbStanding::NoFeeds))]);
}

#[test]
fn a_disk_that_does_not_answer_is_told_of() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ENTRY]);
    node.send(&chunk(1, 1));
    node.tick_after(Duration::ZERO);
    let stalled = Message::Node(NodeMessage::NdbStanding { standing: NdbStanding::DiskStalled });
    assert!(node.tick_after(Duration::from_secs(2)).sends.contains(&(To::All, stalled)));
    let back = Message::Node(NodeMessage::NdbStanding { standing: NdbStanding::Willing });
    assert!(node.commit().sends.contains(&(To::All, back)));
}

#[test]
fn a_new_link_hears_again_what_is_unresolved() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ENTRY]);
    let chunk = chunk(1, 2);
    node.send(&chunk);
    node.tick_after(Duration::ZERO);
    node.commit();
    let fx = node.step(Input::Up { peer: sync(0) });
    let drafts = |fx: &Effects| names(fx).iter().filter(|name| **name == "generate_draft").count();
    assert_eq!((drafts(&fx), fx.sends.len()), (1, 4));
    node.place(elected(chunk.meta, 9));
    assert_eq!(drafts(&node.step(Input::Up { peer: sync(0) })), 0, "it has its place");
}

#[test]
fn an_order_that_is_left_behind_goes_on_after_what_was_placed_is_written() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ndb(0, 1)]);
    node.place(elected(chunk(1, 2).meta, 9));
    let base = OrderBase { next: Position(50), stamp: Stamp(40), chain: Digest([7; 16]) };
    let trimmed = Message::Replica(ReplicaMessage::OrderTrimmed { asked: Position(3), base });
    let fx = node.said(ndb(0, 1), trimmed);
    assert!(matches!(node.jobs[..], [Job::Place(_), Job::Rebase(to)] if to == base));
    assert!(matches!(fx.changes[..], [Change::Rebased(to)] if to == base));
    node.commit();
    assert_eq!((node.core.base().next, node.core.applied()), (BEGINNING.next, Stamp(40)));
    let placed = node.place(elected(chunk(9, 1).meta, 60));
    let firsts = placed.iter().flat_map(|fx| &fx.changes).filter_map(|change| match change {
        Change::Placed(place) => Some(place.first),
        _ => None,
    });
    assert_eq!(firsts.collect::<Vec<_>>(), [base.next]);
}

/// A peer's word stops no node: its replica would have gone where its reader does not.
#[test]
fn a_base_that_contradicts_what_was_placed_since_is_not_gone_to() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ndb(0, 1), ndb(0, 2)]);
    let base = |next, stamp| OrderBase {
        next: Position(next),
        stamp: Stamp(stamp),
        chain: Digest([7; 16]),
    };
    let trimmed = |asked, base| {
        Message::Replica(ReplicaMessage::OrderTrimmed { asked: Position(asked), base })
    };
    node.said(ndb(0, 1), trimmed(1, base(50, 40)));
    node.place(elected(chunk(1, 2).meta, 60));
    let fx = node.said(ndb(0, 2), trimmed(3, base(70, 80)));
    assert!(node.jobs.is_empty() && fx.changes.is_empty());
    assert_eq!(node.core.reader().next_position(), Position(3));
}

#[test]
fn a_missing_segment_is_asked_of_the_group_and_comes() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ndb(0, 1), ndb(1, 1)]);
    let chunk = chunk(1, 2);
    node.place(elected(chunk.meta, 9));
    assert!(names(&node.tick_after(Duration::ZERO)).is_empty(), "it may be on its way");
    let segments = vec![chunk.meta.id];
    let fx = node.tick_after(Duration::from_millis(10));
    let peer = NdbId { group: GroupId(0), member: 1 };
    assert_eq!(
        fx.sends,
        [(To::Ndb(peer), Message::Replica(ReplicaMessage::FetchSegments { segments }))]
    );
    let (segment, blob) = (chunk.meta.id, sample::blob(&chunk));
    let blob =
        Message::Replica(ReplicaMessage::SegmentBlob { segment, blob: blob.as_bytes().clone() });
    let fx = node.said(ndb(0, 1), blob);
    assert!(matches!(fx.changes[..], [Change::Arrived(arrived, _)] if arrived == segment));
    assert_eq!((node.core.wanted(), node.core.mending()), (0, 1));
    node.tick_after(Duration::from_millis(100));
    node.commit();
    assert_eq!(node.core.mending(), 0);
}

#[test]
fn rows_that_mend_the_order_are_not_read_as_what_comes_next() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ndb(0, 1)]);
    node.place(elected(chunk(1, 2).meta, 9));
    let at = Position(1);
    let fx = node.step(Input::Found(crate::Finding::Row { at }));
    assert_eq!(fx.notes, [Note::DamagedRow { at }]);
    let asked = node.tick_after(Duration::from_secs(1));
    let peer = NdbId { group: GroupId(0), member: 1 };
    assert!(
        asked
            .sends
            .contains(&(To::Ndb(peer), Message::Replica(ReplicaMessage::FetchOrder { from: at })))
    );
    node.jobs.clear();
    let rows = vec![elected(chunk(1, 2).meta, 9)];
    node.said(ndb(0, 1), Message::Replica(ReplicaMessage::OrderRows { first: at, rows }));
    assert!(matches!(&node.jobs[..], [Job::Repair { first, .. }] if *first == at));
}

#[test]
fn a_node_that_most_others_contradict_gives_nothing_out_from_there() {
    let mut node = Node::new(0);
    let peer = |member| NdbId { group: GroupId(0), member };
    let differs = |member| Input::Compared { peer: peer(member), next: Position(9), agrees: false };
    assert!(node.step(differs(1)).changes.is_empty());
    let fx = node.step(differs(2));
    assert!(matches!(fx.changes[..], [Change::Trusted(Position(1))]));
    let fx = node.said(ENTRY, Message::Replica(ReplicaMessage::FetchOrder { from: Position(1) }));
    assert!(matches!(fx.reads[..], [Read::Order { rows_max: 0, .. }]));
    let agrees = Input::Compared { peer: peer(2), next: Position(9), agrees: true };
    assert!(matches!(node.step(agrees).changes[..], [Change::Trusted(Position(u64::MAX))]));
}

#[test]
fn what_is_not_for_an_ndb_node_is_noted() {
    let mut node = Node::new(0);
    let to = Stamp(1);
    let note = |from, message| [Note::NotForNdb { from, message }];
    let fx = node.said(ENTRY, Message::Feed(FeedMessage::FeedTrimmed { to }));
    assert_eq!(fx.notes, note(ENTRY, "feed_trimmed"));
    let offer = Message::Replica(ReplicaMessage::OfferSegments {
        segments: vec![sample::meta(1, Seq(1).0, 1)],
    });
    let fx = node.said(ndb(1, 1), offer);
    assert_eq!(fx.notes, note(ndb(1, 1), "offer_segments"), "of another group");
    assert_eq!(node.said(ENTRY, Message::Node(NodeMessage::Heartbeat)).notes, []);
}

/// The World, seed 13363: found damaged again while its bytes were on their way to the disk, a segment was lost with
/// them, and another node's copy was damaged meanwhile.
#[test]
fn what_is_being_mended_is_not_lost_again_before_it_is_on_disk() {
    let mut node = Node::new(0);
    node.up(&[sync(0), sync(1), ndb(0, 1), ENTRY]);
    let chunk = chunk(1, 2);
    let (meta, stamp) = (chunk.meta, Stamp(9));
    node.send(&chunk);
    node.place(elected(meta, stamp.0));
    node.tick_after(Duration::from_millis(100));
    node.commit();
    let found = || Input::Found(Finding::Blob(Lost { meta, first: Position(1), stamp }));
    node.step(found());
    assert!(matches!(node.jobs[..], [Job::Lose(_)]));
    let blob = sample::blob(&chunk).as_bytes().clone();
    let fetched = ReplicaMessage::SegmentBlob { segment: meta.id, blob };
    node.said(ndb(0, 1), Message::Replica(fetched));
    for _ in 0..2 {
        node.step(found());
        assert!(node.core.replica().missing().is_empty());
        node.tick_after(Duration::from_millis(3));
        assert!(matches!(node.jobs[..], [Job::Lose(_), Job::Store(_)]));
    }
    node.commit();
    node.step(found());
    assert!(matches!(node.jobs[..], [Job::Lose(_)]), "damaged anew");
}

/// Reads by the order cost more, and are right: a store that cannot be mended so is not indexed for ever.
#[test]
fn a_day_at_odds_is_indexed_anew_once_at_a_time_and_three_times_at_most() {
    let day = UtcDay::default();
    let mut node = Node::new(0);
    for time in 1..=3 {
        for _reader in 0..2 {
            node.step(Input::Found(Finding::AtOdds(day)));
        }
        assert!(matches!(node.jobs[..], [Job::IndexAnew { begins: true, .. }]), "time {time}");
        let fx = node.commit();
        assert!(
            fx.looks.iter().any(|look| matches!(look, Look::Index { .. })),
            "once it has begun"
        );
        node.step(Input::Found(Finding::LookedUp(day)));
        // Until the end is on disk, all that is found is of before.
        node.step(Input::Found(Finding::AtOdds(day)));
        assert!(matches!(node.jobs[..], [Job::IndexAnew { begins: false, .. }]), "time {time}");
        node.commit();
    }
    node.step(Input::Found(Finding::AtOdds(day)));
    assert!(node.jobs.is_empty());
}

#[test]
fn days_at_odds_are_indexed_anew_one_after_the_other() {
    let days = [UtcDay(7), UtcDay(8)];
    let mut node = Node::new(0);
    for day in days {
        node.step(Input::Found(Finding::AtOdds(day)));
    }
    for day in days {
        assert!(matches!(node.jobs[..], [Job::IndexAnew { day: of, begins: true }] if of == day));
        node.commit();
        node.step(Input::Found(Finding::LookedUp(day)));
        node.commit();
    }
    assert!(node.jobs.is_empty());
}

/// A segment whose row is damaged while its day is looked through would be in no index.
#[test]
fn a_look_that_was_broken_off_is_made_again_once_rows_are_whole() {
    let day = UtcDay(7);
    let mut node = Node::new(0);
    node.step(Input::Found(Finding::AtOdds(day)));
    node.commit();
    node.step(Input::Found(Finding::NotLookedUp(day)));
    assert!(node.jobs.is_empty(), "it has not ended");
    for is_first in [true, false] {
        let repaired = Committed { repaired: 1, head: node.head, ..Committed::default() };
        let fx = node.step(Input::Committed(repaired));
        assert_eq!(fx.looks.iter().any(|look| matches!(look, Look::Index { .. })), is_first);
    }
    node.step(Input::Found(Finding::LookedUp(day)));
    assert!(matches!(node.jobs[..], [Job::IndexAnew { begins: false, .. }]));
}
