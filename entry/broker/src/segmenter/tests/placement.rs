//! Which group gets a segment: three groups of three, W = 2. Seq 1 is of group 0, seq 2 of group 1
//! and so on round.

use super::*;
use vixen_core::membership::Membership;

const STALL_MS: u64 = 300;
const W: u8 = 2;

fn of(group: u16, member: u8) -> NdbId {
    NdbId { group: GroupId(group), member }
}

/// As [`Bench`], of several groups, with one message a segment.
fn bench(groups: u16) -> Bench {
    let options = SegmenterOptions {
        owner: owner(),
        membership: Membership::sized(3, (0..groups).map(|_| 3), W),
        stall_ms: STALL_MS,
        publish_timeout_ms: 60_000,
        messages_max: 2,
        bytes_max: 1 << 20,
    };
    Bench { segmenter: Segmenter::new(options), now: at(0) }
}

/// All nodes of all groups are linked and willing.
fn all_willing(groups: u16) -> Bench {
    let mut bench = bench(groups);
    for group in 0..groups {
        bench.up(group, &[0, 1, 2]);
    }
    bench
}

impl Bench {
    fn up(&mut self, group: u16, members: &[u8]) {
        for member in members {
            self.step(Input::NdbUp { ndb: of(group, *member) });
            self.stands(group, *member, NdbStanding::Willing);
        }
    }

    fn down(&mut self, group: u16, member: u8) -> Effects {
        self.step(Input::NdbDown { ndb: of(group, member) })
    }

    fn stands(&mut self, group: u16, member: u8, standing: NdbStanding) -> Effects {
        self.step(Input::Standing { from: of(group, member), standing })
    }

    fn took(&mut self, group: u16, member: u8, seq: u64) -> Effects {
        self.step(Input::Trim { from: of(group, member), segment: id(seq) })
    }

    fn unwilling(&mut self, group: u16, member: u8, seq: u64) -> Effects {
        let reason = RefuseReason::Unwilling;
        self.step(Input::Refused { from: of(group, member), segment: id(seq), reason })
    }

    fn timeout(&mut self, ms: u64) -> Effects {
        self.now = at(ms);
        self.step(Input::Timeout { missing: String::new() })
    }

    /// Closes one full segment.
    fn close_one(&mut self) -> Effects {
        self.publish(7, vec![publish("[1]", 1), publish("[2]", 0)])
    }

    fn oldest(&self) -> Option<Unresolved> {
        self.segmenter.unresolved_segments().next()
    }

    fn groups(&self) -> Vec<u16> {
        self.segmenter.unresolved_segments().map(|segment| segment.group.0).collect()
    }
}

/// Segments sent whole: group, member, seq.
fn sealed(fx: &Effects) -> Vec<(u16, u8, u64)> {
    let over = fx.sends.iter().filter_map(|(to, message)| match message {
        Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => {
            Some((to.group.0, to.member, meta.id.seq.0))
        }
        Message::Publish(PublishMessage::BeginAdvanceSegment { .. })
        | Message::Publish(PublishMessage::KeepAdvanceHistory { .. }) => None,
        other => panic!("unexpected {}", other.name()),
    });
    let over: Vec<_> = over.collect();
    assert_eq!(fx.sends.len(), 3 * over.len(), "whole ones");
    over
}

fn to_group(group: u16, members: &[u8], seq: u64) -> Vec<(u16, u8, u64)> {
    members.iter().map(|member| (group, *member, seq)).collect()
}

fn moved(seq: u64, from: u16, to: u16) -> Note {
    Note::Moved { segment: id(seq), from: GroupId(from), to: GroupId(to) }
}

#[test]
fn segments_go_round_the_willing_groups() {
    let mut bench = all_willing(3);
    for (seq, group) in [(1, 0), (2, 1), (3, 2), (4, 0)] {
        assert_eq!(sealed(&bench.close_one()), to_group(group, &[0, 1, 2], seq));
    }
}

#[test]
fn a_node_is_not_willing_before_it_says_so() {
    let mut bench = bench(2);
    bench.step(Input::NdbUp { ndb: of(0, 0) });
    bench.step(Input::NdbUp { ndb: of(0, 1) });
    bench.up(1, &[0, 1]);
    assert_eq!(sealed(&bench.close_one()), to_group(1, &[0, 1], 1), "passed over");
    bench.stands(0, 0, NdbStanding::Willing);
    bench.placed(1, 1);
    bench.close_one();
    assert_eq!(sealed(&bench.close_one()), to_group(1, &[0, 1], 3), "one is not W");
    bench.stands(0, 1, NdbStanding::Willing);
    bench.close_one();
    assert_eq!(sealed(&bench.close_one()), to_group(0, &[0, 1], 5));
}

#[test]
fn a_new_link_has_to_say_it_anew() {
    let mut bench = all_willing(2);
    bench.down(0, 2);
    let fx = bench.step(Input::NdbUp { ndb: of(0, 1) });
    assert!(fx.notes.is_empty());
    assert_eq!(bench.segmenter.standing(of(0, 1)), None);
    assert_eq!(sealed(&bench.close_one()), to_group(1, &[0, 1, 2], 1));
}

#[test]
fn a_standing_of_a_node_that_is_not_linked_says_nothing() {
    let mut bench = bench(2);
    bench.up(1, &[0, 1]);
    for member in 0..3 {
        bench.stands(0, member, NdbStanding::Willing);
        bench.stands(9, member, NdbStanding::Willing);
    }
    assert_eq!(sealed(&bench.close_one()), to_group(1, &[0, 1], 1));
}

#[test]
fn with_no_willing_group_a_segment_stays_with_its_own_and_all_linked_nodes_get_it() {
    let mut bench = bench(2);
    bench.step(Input::NdbUp { ndb: of(0, 2) });
    bench.up(1, &[1]);
    assert_eq!(sealed(&bench.close_one()), to_group(0, &[2], 1));
    assert_eq!(sealed(&bench.close_one()), to_group(1, &[1], 2));
    let fx = bench.step(Input::NdbUp { ndb: of(0, 0) });
    assert_eq!(sealed(&fx), to_group(0, &[0], 1), "as on every new link");
    assert!(sealed(&bench.stands(0, 0, NdbStanding::Willing)).is_empty());
    // Its own group has W now: it is there, and the other one comes.
    let fx = bench.stands(0, 2, NdbStanding::Willing);
    assert_eq!(sealed(&fx), to_group(0, &[0, 2], 2));
    assert_eq!(fx.notes, [moved(2, 1, 0)]);
    assert_eq!(bench.groups(), [0, 0]);
}

#[test]
fn a_group_that_loses_its_quorum_loses_its_unresolved_segments_in_order() {
    let mut bench = all_willing(3);
    (1..=7).for_each(|_| drop(bench.close_one()));
    bench.took(0, 0, 1);
    bench.took(0, 1, 1);
    assert!(bench.down(0, 0).notes.is_empty(), "two are W");
    let fx = bench.down(0, 1);
    let wanted = [1, 4, 7].map(|seq| to_group(1, &[0, 1, 2], seq)).concat();
    assert_eq!(sealed(&fx), wanted);
    assert_eq!(fx.notes, [1, 4, 7].map(|seq| moved(seq, 0, 1)));
    assert_eq!(bench.groups(), [1, 1, 2, 1, 1, 2, 1]);
    let first = bench.oldest().expect("unresolved");
    assert_eq!(first.trims, [], "the new group has none of it yet");
    // What it is does not change with where it is.
    assert_eq!(first.meta.map.group_of(first.meta.shard), GroupId(0));
    // The next group goes as well: everything is with the last, in order.
    bench.down(1, 0);
    let fx = bench.down(1, 1);
    let seqs: Vec<_> = sealed(&fx).into_iter().map(|(_, _, seq)| seq).collect();
    assert!(seqs.is_sorted() && seqs.len() == 5 * 3, "{seqs:?}");
    assert_eq!(bench.groups(), [2; 7]);
}

#[test]
fn a_silent_node_counts_as_unwilling_and_gets_nothing_twice_when_it_is_heard_again() {
    let mut bench = all_willing(2);
    bench.down(0, 2);
    bench.close_one();
    let fx = bench.step(Input::NdbSilent { ndb: of(0, 0), is_silent: true });
    assert_eq!(fx.notes, [moved(1, 0, 1)], "one that is heard is not W");
    assert_eq!(sealed(&fx), to_group(1, &[0, 1, 2], 1));
    let fx = bench.step(Input::NdbSilent { ndb: of(0, 0), is_silent: false });
    assert!(fx.sends.is_empty(), "its link has all that was sent: {:?}", sealed(&fx));
    bench.close_one();
    let fx = bench.close_one();
    assert_eq!(sealed(&fx), to_group(0, &[0, 1], 3), "its group gets segments again");
    let fx = bench.step(Input::NdbSilent { ndb: of(0, 2), is_silent: true });
    assert!(fx.notes.is_empty(), "one without a link is not silent");
}

#[test]
fn the_round_ends_where_it_began() {
    let mut bench = all_willing(3);
    (1..=3).for_each(|_| drop(bench.close_one()));
    bench.stands(2, 0, NdbStanding::NoFeeds);
    let fx = bench.stands(2, 1, NdbStanding::DiskFull);
    assert_eq!(fx.notes, [moved(3, 2, 0)]);
    assert_eq!(bench.groups(), [0, 1, 0]);
}

#[test]
fn a_moved_segment_stays_when_its_own_group_returns() {
    let mut bench = all_willing(2);
    bench.close_one();
    bench.stands(0, 0, NdbStanding::DiskFull);
    bench.stands(0, 1, NdbStanding::DiskFull);
    assert_eq!(bench.groups(), [1]);
    let fx = bench.stands(0, 0, NdbStanding::Willing);
    assert!(fx.sends.is_empty() && fx.notes.is_empty());
    assert_eq!(bench.groups(), [1]);
}

#[test]
fn what_waits_without_any_willing_group_goes_to_the_first_that_becomes_willing() {
    let mut bench = all_willing(3);
    (1..=3).for_each(|_| drop(bench.close_one()));
    for group in 0..3 {
        for member in 0..2 {
            bench.down(group, member);
        }
    }
    // The last group had everything, and keeps it.
    assert_eq!(bench.groups(), [2, 2, 2]);
    assert!(bench.step(Input::NdbUp { ndb: of(1, 0) }).sends.is_empty());
    let fx = bench.stands(1, 0, NdbStanding::Willing);
    let wanted = [1, 2, 3].map(|seq| to_group(1, &[0, 2], seq)).concat();
    assert_eq!(sealed(&fx), wanted);
    assert_eq!(bench.groups(), [1, 1, 1]);
}

#[test]
fn a_refusing_node_is_unwilling_until_it_says_otherwise() {
    let mut bench = all_willing(1);
    (1..=2).for_each(|_| drop(bench.close_one()));
    bench.took(0, 0, 1);
    for seq in 1..=2 {
        let fx = bench.unwilling(0, 0, seq);
        assert_eq!(fx.notes, [Note::Unwilling { segment: id(seq), at: of(0, 0) }]);
        assert!(fx.sends.is_empty(), "not again");
    }
    assert_eq!(bench.segmenter.standing(of(0, 0)), Some(NdbStanding::DiskFull));
    assert_eq!(bench.oldest().map(|s| s.trims), Some(vec![]));
    let fx = bench.stands(0, 0, NdbStanding::Willing);
    assert_eq!(sealed(&fx), [(0, 0, 1), (0, 0, 2)], "it has thrown them away");
    let again = |seq| Note::SentAgain { segment: id(seq), to: of(0, 0) };
    assert_eq!(fx.notes, [again(1), again(2)]);
    assert!(bench.stands(0, 0, NdbStanding::Willing).sends.is_empty(), "nothing new");
    // What it took while it was unwilling it is not sent again.
    bench.stands(0, 0, NdbStanding::NoFeeds);
    bench.took(0, 0, 2);
    assert_eq!(sealed(&bench.stands(0, 0, NdbStanding::Willing)), [(0, 0, 1)]);
}

#[test]
fn refusals_of_w_nodes_move_the_segments() {
    let mut bench = all_willing(2);
    bench.close_one();
    bench.unwilling(0, 0, 1);
    let fx = bench.unwilling(0, 2, 1);
    assert_eq!(sealed(&fx), to_group(1, &[0, 1, 2], 1));
    let refused = Note::Unwilling { segment: id(1), at: of(0, 2) };
    assert_eq!(fx.notes, [refused, moved(1, 0, 1)]);
    // Late words of the group it left are of no matter to it.
    assert!(bench.unwilling(0, 1, 1).notes.is_empty());
    assert_eq!(bench.segmenter.standing(of(0, 1)), Some(NdbStanding::DiskFull));
    let gap = Input::Refused { from: of(0, 1), segment: id(1), reason: RefuseReason::Gap };
    assert!(bench.step(gap).sends.is_empty());
    bench.took(0, 1, 1);
    assert_eq!(bench.oldest().map(|s| s.trims), Some(vec![]));
}

#[test]
fn a_refusal_of_a_resolved_segment_still_tells_the_standing() {
    let mut bench = all_willing(2);
    bench.close_one();
    bench.placed(1, 1);
    bench.unwilling(0, 0, 1);
    assert_eq!(bench.segmenter.standing(of(0, 0)), Some(NdbStanding::DiskFull));
}

#[test]
fn a_silent_group_is_stalled_and_passed_over_until_it_answers() {
    let mut bench = all_willing(2);
    bench.close_one();
    bench.took(0, 1, 1);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(STALL_MS)));
    let fx = bench.timeout(STALL_MS - 1);
    assert!(fx.sends.is_empty() && fx.notes.is_empty());
    let fx = bench.timeout(STALL_MS);
    assert_eq!(sealed(&fx), to_group(1, &[0, 1, 2], 1));
    assert_eq!(fx.notes, [Note::Stalled { group: GroupId(0) }, moved(1, 0, 1)]);
    assert!(bench.segmenter.is_stalled(GroupId(0)));
    bench.close_one();
    assert_eq!(sealed(&bench.close_one()), to_group(1, &[0, 1, 2], 3), "passed over");
    // An answer, even of what was resolved in the meantime.
    bench.placed(1, 1);
    bench.took(0, 2, 1);
    assert!(!bench.segmenter.is_stalled(GroupId(0)));
    bench.close_one();
    assert_eq!(sealed(&bench.close_one()), to_group(0, &[0, 1, 2], 5));
}

#[test]
fn a_new_link_or_a_standing_ends_a_stall_and_the_end_of_a_link_does_not() {
    let stalled = || {
        let mut bench = all_willing(2);
        bench.close_one();
        bench.timeout(STALL_MS);
        assert!(bench.segmenter.is_stalled(GroupId(0)));
        bench
    };
    let mut bench = stalled();
    bench.down(0, 0);
    assert!(bench.segmenter.is_stalled(GroupId(0)));
    bench.step(Input::NdbUp { ndb: of(0, 0) });
    assert!(!bench.segmenter.is_stalled(GroupId(0)));
    let mut bench = stalled();
    bench.stands(0, 0, NdbStanding::Willing);
    assert!(!bench.segmenter.is_stalled(GroupId(0)));
}

#[test]
fn with_all_groups_stalled_the_segment_stays_and_goes_to_the_first_that_answers() {
    let mut bench = all_willing(2);
    bench.close_one();
    bench.timeout(STALL_MS);
    assert_eq!(bench.groups(), [1]);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(2 * STALL_MS)), "its patience is its own");
    let fx = bench.timeout(2 * STALL_MS);
    assert_eq!(fx.notes, [Note::Stalled { group: GroupId(1) }]);
    assert_eq!(bench.groups(), [1]);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(60_000)), "no group is waited for");
    bench.now = at(5_000);
    let fx = bench.took(0, 0, 1);
    assert_eq!(sealed(&fx), to_group(0, &[0, 1, 2], 1));
    assert_eq!(bench.segmenter.timeout_at(), Some(at(5_000 + STALL_MS)));
}

#[test]
fn a_group_that_keeps_taking_segments_is_slow_and_not_stalled() {
    let mut bench = all_willing(1);
    (1..=3).for_each(|_| drop(bench.close_one()));
    for (seq, ms) in [(1, 200), (2, 400)] {
        bench.now = at(ms);
        bench.took(0, 0, seq);
        bench.took(0, 1, seq);
        assert_eq!(bench.segmenter.timeout_at(), Some(at(ms + STALL_MS)));
    }
    bench.now = at(500);
    bench.took(0, 2, 1);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(400 + STALL_MS)), "W have the first already");
    bench.took(0, 0, 3);
    bench.took(0, 1, 3);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(60_000)), "W have everything");
}

#[test]
fn a_group_that_becomes_willing_has_its_whole_patience() {
    let mut bench = bench(1);
    bench.close_one();
    assert_eq!(bench.segmenter.timeout_at(), Some(at(60_000)));
    bench.now = at(10_000);
    bench.up(0, &[0, 1]);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(10_000 + STALL_MS)));
}

#[test]
fn publishers_are_answered_in_order_whatever_groups_hold_their_segments() {
    let mut bench = all_willing(3);
    let mut answered = Vec::new();
    let mut first = 1;
    for round in 1..=60_u64 {
        bench.now = at(round * 10);
        for part in 0..2 {
            bench.publish(7, vec![publish("[1]", 2 * round + part)]);
        }
        let group = u16::try_from(round % 3).expect("small");
        match round % 5 {
            0 => drop(bench.down(group, 0)),
            1 => drop(bench.stands(group, 1, NdbStanding::DiskFull)),
            2 => bench.up(group, &[0, 1, 2]),
            3 => drop(bench.timeout(round * 10)),
            _ => {}
        }
        if round % 3 == 0 {
            let oldest = bench.oldest().expect("unresolved");
            let fx = bench.placed(oldest.meta.id.seq.0, first);
            first += u64::from(oldest.meta.count);
            answered.extend(told(fx).into_iter().flat_map(|(_, _, answers)| answers));
        }
    }
    while let Some(oldest) = bench.oldest() {
        let fx = bench.placed(oldest.meta.id.seq.0, first);
        first += u64::from(oldest.meta.count);
        answered.extend(told(fx).into_iter().flat_map(|(_, _, answers)| answers));
    }
    let wanted: Vec<_> = (2..=121).map(|request| ok(request, request - 1)).collect();
    assert_eq!(answered, wanted);
}
