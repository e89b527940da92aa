mod bound;
mod fast;
mod owners;
mod readers;
mod reserve;
mod takeover;

use std::collections::BTreeMap;

use super::*;
use crate::effects::{Election, Write};
use crate::{OWNER_IDLE_MS, VoteState};
use vixen_core::id::{Ballot, Digest, GroupId, MapVersion, NdbId, Shard};
use vixen_core::segment::{Challenger, Elected};
use vixen_core::wire::{DraftAnswer, FeedMessage, VoteMessage};

/// Three machines on one bench; messages move only when a test says so.
struct Bench {
    nodes: Vec<Orderer>,
    stores: Vec<BTreeMap<SegmentId, VoteState>>,
    queue: Vec<(SyncId, SyncId, Message)>,
    elected: Vec<Vec<Elected>>,
    now: WallTime,
}

const NOW: WallTime = WallTime(1_800_000_000_000);

fn options(id: u8, n: u8) -> VoteOptions {
    VoteOptions {
        id: SyncId(id),
        membership: Membership::sized(n, [3], 2),
        clock_ahead_max_ms: 10_000,
    }
}

pub(crate) fn meta(owner: u128, seq: u64) -> SegmentMeta {
    let owner = OwnerId(uuid::Uuid::from_u128(owner));
    let id = SegmentId { owner, seq: Seq(seq) };
    SegmentMeta {
        id,
        shard: Shard(0),
        map: MapVersion(1),
        count: 1,
        bytes: 1,
        digest: Digest([0; 16]),
    }
}

fn ndb(member: u8) -> NdbId {
    NdbId { group: GroupId(0), member }
}

/// What leaves, and to whom.
fn said(fx: &Effects) -> Vec<(SyncId, Message)> {
    fx.sends.iter().map(|sent| (sent.to, sent.message.clone())).collect()
}

fn input_of(from: SyncId, message: Message) -> Input {
    Input::from_peer(from, message).expect("a message of the vote")
}

impl Bench {
    fn new(n: u8) -> Self {
        Self {
            nodes: (0..n).map(|id| Orderer::new(options(id, n), &Recovered::default())).collect(),
            stores: vec![BTreeMap::new(); n.into()],
            queue: Vec::new(),
            elected: vec![Vec::new(); n.into()],
            now: NOW,
        }
    }

    fn step(&mut self, node: u8, input: Input) -> Effects {
        let mut fx = Effects::default();
        let at = usize::from(node);
        self.nodes[at].step(self.now, input, &mut fx);
        for write in &fx.writes {
            if let Write::Vote(vote) = write {
                self.stores[at].insert(vote.meta.id, *vote);
            }
        }
        for Election { elected, .. } in &fx.elected {
            self.stores[at].remove(&elected.meta.id);
            self.elected[at].push(*elected);
        }
        for Envelope { to, message, .. } in &fx.sends {
            self.queue.push((SyncId(node), *to, message.clone()));
        }
        for (to, owner, after) in &fx.catch_ups {
            for elected in &self.elected[at] {
                if elected.meta.id.owner == *owner && elected.meta.id.seq > *after {
                    let message =
                        Message::Feed(FeedMessage::AdvanceSegmentResolved { elected: *elected });
                    self.queue.push((SyncId(node), *to, message));
                }
            }
        }
        fx
    }

    fn store(&mut self, meta: SegmentMeta) {
        for node in 0..u8::try_from(self.nodes.len()).expect("few") {
            for member in 0..2 {
                self.step(node, Input::GenerateDraft { from: ndb(member), meta });
            }
        }
    }

    /// What the driver does when a delay is over.
    fn overdue(&mut self, node: u8) {
        while let Some(segment) = self.nodes[usize::from(node)].overdue(self.now) {
            self.step(node, Input::Overdue { segment });
        }
    }

    /// Lets messages pass between all nodes but `cut`, whose messages wait.
    fn deliver_without(&mut self, cut: SyncId) {
        while let Some(at) = self.queue.iter().position(|(from, to, _)| *from != cut && *to != cut)
        {
            let (from, to, message) = self.queue.remove(at);
            self.step(to.0, input_of(from, message));
        }
    }

    fn deliver_all(&mut self) {
        while !self.queue.is_empty() {
            let (from, to, message) = self.queue.remove(0);
            self.step(to.0, input_of(from, message));
        }
    }
}

#[test]
fn a_stored_segment_is_elected_everywhere_with_one_stamp() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.deliver_all();
    let stamps: Vec<_> = bench.elected.iter().map(|e| e[0].stamp()).collect();
    assert_eq!(stamps.len(), 3);
    assert!(stamps.windows(2).all(|w| w[0] == w[1]));
    for node in &bench.nodes {
        assert!(node.watermark().map(|marks| marks.floor).expect("settled") >= stamps[0]);
        assert_eq!(node.pending_segments(), 0);
    }
}

#[test]
fn one_node_alone_elects_in_the_step_of_the_last_durable_vote() {
    let mut bench = Bench::new(1);
    bench.step(0, Input::GenerateDraft { from: ndb(0), meta: meta(1, 1) });
    assert!(bench.elected[0].is_empty());
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(1), meta: meta(1, 1) });
    assert_eq!(bench.elected[0].len(), 1);
    assert!(fx.writes.iter().any(|w| matches!(w, Write::Ceiling(_))));
}

#[test]
fn a_segment_waits_for_the_draft_of_its_predecessor() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 2));
    assert!(bench.queue.is_empty());
    bench.store(meta(1, 1));
    bench.deliver_all();
    for elected in &bench.elected {
        let seqs: Vec<_> = elected.iter().map(|e| e.meta.id.seq.0).collect();
        assert_eq!(seqs, [1, 2]);
        assert!(elected[0].stamp() < elected[1].stamp());
    }
}

#[test]
fn a_draft_is_durable_before_the_pick_leaves_and_made_once() {
    let mut bench = Bench::new(3);
    let members = Membership::sized(3, [3], 2);
    let home = members.home(meta(1, 1).id.owner);
    let other = members.sync().iter().find(|id| **id != home).expect("three").0;
    bench.step(other, Input::GenerateDraft { from: ndb(0), meta: meta(1, 1) });
    let fx = bench.step(other, Input::GenerateDraft { from: ndb(1), meta: meta(1, 1) });
    let [Write::Vote(row), Write::Ceiling(_)] = fx.writes[..] else {
        panic!("one row and the ceiling, not {:?}", fx.writes)
    };
    let [Envelope { to, after, .. }] = &fx.sends[..] else { panic!("one pick, not {fx:?}") };
    assert_eq!((*to, *after), (home, After::Vote(meta(1, 1).id)));
    let again = bench.step(other, Input::GenerateDraft { from: ndb(2), meta: meta(1, 1) });
    assert!(again.writes.is_empty() && again.sends.is_empty());
    assert_eq!(row.draft, bench.nodes[usize::from(other)].report(NOW).pending[0].draft);
}

#[test]
fn the_watermark_stays_below_pending_drafts() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    for node in &bench.nodes {
        let draft = node.report(NOW).pending[0].draft.expect("drafted");
        assert!(
            node.watermark().map(|marks| marks.floor).is_some_and(|watermark| watermark < draft)
        );
    }
}

#[test]
fn a_restarted_node_keeps_its_drafts_and_is_silent_until_they_are_settled() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    let before = bench.nodes[0].report(NOW);
    let ceiling = Stamp(before.clock.0 + (500 << 22));
    let recovered = Recovered {
        ceiling,
        votes: bench.stores[0].values().copied().collect(),
        ..Recovered::default()
    };
    bench.nodes[0] = Orderer::new(options(0, 3), &recovered);
    assert_eq!(bench.nodes[0].watermark().map(|marks| marks.floor), None);
    assert_eq!(bench.nodes[0].report(NOW).pending[0].draft, before.pending[0].draft);
    bench.deliver_all();
    for peer in 1..3 {
        bench.step(0, Input::PeerUp { peer: SyncId(peer) });
        bench.step(peer, Input::PeerUp { peer: SyncId(0) });
    }
    bench.deliver_all();
    let watermark = bench.nodes[0].watermark().map(|marks| marks.floor);
    assert!(watermark.is_some_and(|w| w >= ceiling), "{:?}", bench.nodes[0].report(NOW));
}

#[test]
fn a_coordinator_that_restarts_proposes_the_value_it_accepted() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    let members = Membership::sized(3, [3], 2);
    let home = members.home(meta(1, 1).id.owner);
    // Stage one reaches the home; its ELECT_SEGMENT is lost with the process.
    let picks: Vec<_> = bench.queue.drain(..).collect();
    for (from, to, message) in picks {
        bench.step(to.0, input_of(from, message));
    }
    let proposed = bench.stores[usize::from(home.0)][&meta(1, 1).id].accepted.expect("accepted");
    bench.queue.clear();
    let recovered = Recovered {
        ceiling: Stamp(proposed.1.stamp.0 + (500 << 22)),
        votes: bench.stores[usize::from(home.0)].values().copied().collect(),
        ..Recovered::default()
    };
    bench.nodes[usize::from(home.0)] = Orderer::new(options(home.0, 3), &recovered);
    for peer in members.sync().iter().filter(|id| **id != home) {
        bench.step(home.0, Input::PeerUp { peer: *peer });
    }
    bench.deliver_all();
    for elected in &bench.elected {
        assert_eq!(elected[0].challenger, proposed.1);
    }
}

#[test]
fn the_challenger_is_the_highest_of_the_lowest_quorum_of_drafts() {
    let mut votes = Orderer::new(options(0, 3), &Recovered::default());
    let owner = (1..)
        .map(|n| meta(n, 1))
        .find(|m| options(0, 3).membership.home(m.id.owner) == SyncId(0))
        .expect("some owner");
    let mut fx = Effects::default();
    let at = |ms: u64| Stamp::at(WallTime(NOW.0 + ms), Lane::new(1).expect("lane"));
    for (from, draft) in [(SyncId(1), at(5)), (SyncId(2), at(3))] {
        let input = Input::PickChallenger {
            from,
            meta: owner,
            ballot: Ballot(0),
            draft,
            group: GroupId(0),
            accepted: None,
        };
        votes.step(NOW, input, &mut fx);
    }
    let Some(Envelope { message: Message::Vote(VoteMessage::ElectSegment { proposal }), .. }) =
        fx.sends.first()
    else {
        panic!("a proposal")
    };
    assert_eq!(proposal.challenger.stamp, at(5));
}

#[test]
fn wild_drafts_and_wild_challengers_are_dropped_and_counted() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    let wild = Stamp::at(WallTime(NOW.0 + 20_000), Lane::new(2).expect("lane"));
    let members = Membership::sized(3, [3], 2);
    let home = members.home(meta(1, 1).id.owner);
    let other = members.sync().iter().find(|id| **id != home).copied().expect("three");
    let pick = Input::PickChallenger {
        from: other,
        meta: meta(1, 1),
        ballot: Ballot(0),
        draft: wild,
        group: GroupId(0),
        accepted: None,
    };
    let fx = bench.step(home.0, pick);
    assert_eq!(fx.dropped, [Drop::WildClock]);
    let challenger = Challenger { stamp: wild, group: GroupId(0) };
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger };
    let fx = bench.step(other.0, Input::ElectSegment { from: home, proposal });
    assert_eq!(fx.dropped, [Drop::WildClock]);
    assert!(fx.writes.is_empty() && fx.sends.is_empty());
}

#[test]
fn a_stale_proposal_is_rejected_and_writes_nothing() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    let members = Membership::sized(3, [3], 2);
    let owner = meta(1, 1).id.owner;
    let next = members.coordinator(owner, Ballot(1));
    let home = members.home(owner);
    let third =
        members.sync().iter().find(|id| **id != next && **id != home).copied().expect("three");
    let fx =
        bench.step(third.0, Input::Prepare { from: next, meta: meta(1, 1), ballot: Ballot(1) });
    assert!(
        matches!(said(&fx)[..], [(to, Message::Vote(VoteMessage::PickChallenger { .. }))] if to == next)
    );
    let challenger =
        Challenger { stamp: Stamp::at(NOW, Lane::new(0).expect("lane")), group: GroupId(0) };
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger };
    let fx = bench.step(third.0, Input::ElectSegment { from: home, proposal });
    assert!(fx.writes.is_empty());
    assert!(
        matches!(said(&fx)[..], [(to, Message::Vote(VoteMessage::Reject { promised: Ballot(1), .. }))] if to == home)
    );
}

/// One that had accepted without a durable vote of its own waited for some that never came: ndb nodes
/// that know a segment to be elected do not ask for it again. With the third node away, or dead to the
/// owner, nobody learned of the election, and all watermarks stood still (seed 623 of the simulation).
#[test]
fn who_accepted_answers_a_higher_ballot_without_a_durable_vote_of_its_own() {
    let mut bench = Bench::new(5);
    let segment = meta(1, 1);
    let members = Membership::sized(5, [3], 2);
    let [home, next] = [0, 1].map(|ballot| members.coordinator(segment.id.owner, Ballot(ballot)));
    let third = members.sync().iter().find(|id| **id != home && **id != next).expect("three").0;
    let challenger =
        Challenger { stamp: Stamp::at(NOW, Lane::new(0).expect("lane")), group: GroupId(0) };
    let proposal = Proposal { meta: segment, ballot: Ballot(0), challenger };
    bench.step(third, Input::ElectSegment { from: home, proposal });
    let prepare = Input::Prepare { from: next, meta: segment, ballot: Ballot(1) };
    let says_accepted = |fx: &Effects| {
        matches!(
            said(fx)[..],
            [(to, Message::Vote(VoteMessage::PickChallenger { accepted: Some((Ballot(0), c)), group, .. }))]
                if to == next && c == challenger && group == challenger.group
        )
    };
    let fx = bench.step(third, prepare.clone());
    assert!(says_accepted(&fx), "{fx:?}");
    // The same from a row that an earlier version wrote.
    let mut votes: Vec<_> = bench.stores[usize::from(third)].values().copied().collect();
    votes.iter_mut().for_each(|vote| vote.group = None);
    let mut node = Orderer::new(options(third, 5), &Recovered { votes, ..Recovered::default() });
    let mut fx = Effects::default();
    node.step(NOW, Input::Retry, &mut Effects::default());
    node.step(NOW, prepare, &mut fx);
    assert!(says_accepted(&fx), "{fx:?}");
}

#[test]
fn a_proposal_from_a_stranger_to_the_ballot_is_dropped() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    let members = Membership::sized(3, [3], 2);
    let home = members.home(meta(1, 1).id.owner);
    let strangers: Vec<_> = members.sync().iter().filter(|id| **id != home).copied().collect();
    let challenger =
        Challenger { stamp: Stamp::at(NOW, Lane::new(0).expect("lane")), group: GroupId(0) };
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger };
    let fx = bench.step(strangers[0].0, Input::ElectSegment { from: strangers[1], proposal });
    assert_eq!(fx.dropped, [Drop::NotCoordinator]);
    assert!(fx.writes.is_empty());
}

#[test]
fn two_contents_of_one_segment_do_not_mix() {
    let mut bench = Bench::new(3);
    bench.step(0, Input::GenerateDraft { from: ndb(0), meta: meta(1, 1) });
    let other = SegmentMeta { count: 9, ..meta(1, 1) };
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(1), meta: other });
    assert_eq!(fx.dropped, [Drop::Conflict]);
    assert_eq!(bench.nodes[0].report(NOW).pending[0].draft, None);
}

/// An owner that told one ndb node another content held up the whole order, for good: nodes that
/// heard of that one first took no other.
#[test]
fn the_content_that_w_nodes_have_is_elected_whatever_was_heard_of_first() {
    let mut bench = Bench::new(3);
    let (stored, other) = (meta(1, 1), SegmentMeta { count: 9, ..meta(1, 1) });
    for node in [1, 2] {
        bench.step(node, Input::GenerateDraft { from: ndb(2), meta: other });
    }
    bench.store(stored);
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(2), meta: other });
    assert_eq!(fx.dropped, [Drop::Conflict]);
    bench.deliver_all();
    for elected in &bench.elected {
        assert_eq!(elected.iter().map(|e| e.meta).collect::<Vec<_>>(), [stored]);
    }
}

#[test]
fn a_content_that_was_only_heard_of_yields_to_one_that_a_peer_drafts() {
    let mut bench = Bench::new(3);
    let (stored, other) = (meta(1, 1), SegmentMeta { count: 9, ..meta(1, 1) });
    let home = Membership::sized(3, [3], 2).home(stored.id.owner);
    bench.step(home.0, Input::GenerateDraft { from: ndb(2), meta: other });
    for node in (0..3).filter(|node| *node != home.0) {
        for member in 0..2 {
            bench.step(node, Input::GenerateDraft { from: ndb(member), meta: stored });
        }
    }
    bench.deliver_all();
    for elected in &bench.elected {
        assert_eq!(elected.iter().map(|e| e.meta).collect::<Vec<_>>(), [stored]);
    }
}

#[test]
fn a_digest_asks_for_what_the_peer_lacks_and_for_nothing_else() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.deliver_all();
    let owner = meta(1, 1).id.owner;
    let fx = bench.step(0, Input::Digest { from: SyncId(1), owners: vec![(owner, Seq(1))] });
    assert!(fx.catch_ups.is_empty());
    let fx = bench.step(0, Input::Digest { from: SyncId(1), owners: vec![] });
    assert_eq!(fx.catch_ups, [(SyncId(1), owner, Seq(0))]);
}

/// Links all nodes of the bench, as in a healthy cluster.
fn link_all(bench: &mut Bench) {
    for (node, peer) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        bench.step(node, Input::PeerUp { peer: SyncId(peer) });
    }
    bench.queue.clear();
}

/// Home, the node after it, and the reserve of the test's owner.
fn roles() -> (SyncId, SyncId, SyncId) {
    let members = Membership::sized(3, [3], 2);
    let owner = meta(1, 1).id.owner;
    let at = |ballot| members.coordinator(owner, Ballot(ballot));
    (at(0), at(1), at(2))
}

#[test]
fn seqs_that_no_owner_makes_are_dropped_without_a_panic() {
    let mut bench = Bench::new(3);
    bench.store(meta(1, 1));
    bench.deliver_all();
    bench.now = bench.now.plus_millis(5_000);
    let (home, second, third) = roles();
    let challenger = bench.elected[0][0].challenger;
    for seq in [0, u64::MAX] {
        let proposal = Proposal { meta: meta(1, seq), ballot: Ballot(0), challenger };
        bench.step(third.0, Input::Vote { from: home, proposal });
        bench.step(third.0, Input::ElectSegment { from: home, proposal });
        bench.step(third.0, Input::Prepare { from: second, meta: meta(1, seq), ballot: Ballot(1) });
        bench.step(third.0, Input::GenerateDraft { from: ndb(0), meta: meta(1, seq) });
    }
}

/// Found by the simulation: a node that had accepted, not drafted, and missed the outcome, asked
/// nobody for it.
#[test]
fn what_was_accepted_without_a_draft_is_asked_for_again() {
    let mut bench = Bench::new(3);
    let (home, second, third) = roles();
    let challenger =
        Challenger { stamp: Stamp::at(NOW, Lane::new(1).expect("lane")), group: GroupId(0) };
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger };
    bench.nodes[usize::from(third.0)] = Orderer::new(
        options(third.0, 3),
        &Recovered {
            votes: vec![VoteState {
                accepted: Some((Ballot(0), challenger)),
                ..VoteState::new(meta(1, 1))
            }],
            ..Recovered::default()
        },
    );
    bench.step(third.0, Input::Retry);
    bench.now = bench.now.plus_millis(5_000);
    let fx = bench.step(third.0, Input::Retry);
    for peer in [home, second] {
        assert!(said(&fx).contains(&(peer, Message::Vote(VoteMessage::Vote { proposal }))));
    }
}

/// Found with real processes: the vote of the node itself was not counted again.
#[test]
fn a_node_alone_elects_after_a_restart_what_it_had_accepted() {
    let mut bench = Bench::new(1);
    bench.store(meta(1, 1));
    let stamp = bench.elected[0][0].stamp();
    // Killed before the election, which is written lazily, was on disk.
    let vote = VoteState {
        draft: Some(stamp),
        group: Some(GroupId(0)),
        accepted: Some((Ballot(0), Challenger { stamp, group: GroupId(0) })),
        ..VoteState::new(meta(1, 1))
    };
    let recovered = Recovered { votes: vec![vote], ceiling: stamp, ..Recovered::default() };
    bench.nodes[0] = Orderer::new(options(0, 1), &recovered);
    bench.elected[0].clear();
    bench.step(0, Input::PeerAside { peer: SyncId(0), is_aside: false });
    assert_eq!(bench.elected[0].iter().map(Elected::stamp).collect::<Vec<_>>(), [stamp]);
    assert!(bench.nodes[0].watermark().map(|marks| marks.floor).is_some());
}

/// One that is left of a segment which is settled was taken for a broken store: the node did not start.
#[test]
fn a_row_of_a_settled_segment_is_dropped_at_a_start() {
    let stamp = Stamp::at(NOW, Lane::new(0).expect("a lane"));
    let owners = vec![(meta(1, 1).id.owner, OwnerRow { contiguous: Seq(2), stamp })];
    let votes = vec![VoteState::new(meta(1, 2)), VoteState::new(meta(1, 3))];
    let recovered = Recovered { votes, owners, ceiling: stamp, ..Recovered::default() };
    let orderer = Orderer::new(options(0, 3), &recovered);
    assert_eq!(orderer.pending_ids().collect::<Vec<_>>(), [meta(1, 3).id]);
}
