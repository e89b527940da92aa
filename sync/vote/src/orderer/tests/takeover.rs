//! Homes that are dead, paused, aside or suspected.

use super::*;

#[test]
fn a_dead_home_is_passed_over_without_a_wait() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    for node in [second, third] {
        bench.step(node.0, Input::PeerDown { peer: home });
    }
    bench.store(meta(1, 1));
    bench.deliver_without(home);
    for node in [second, third] {
        assert_eq!(bench.elected[usize::from(node.0)].len(), 1, "{node:?} knows the election");
        assert!(bench.stores[usize::from(node.0)].is_empty());
    }
}

#[test]
fn a_home_that_dies_after_stage_one_is_replaced_at_once() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    bench.store(meta(1, 1));
    for node in [second, third] {
        bench.step(node.0, Input::PeerDown { peer: home });
    }
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(third.0)].len(), 1);
}

#[test]
fn a_silent_home_is_passed_over_like_a_dead_one_and_votes_again_when_it_is_heard() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    bench.store(meta(1, 1));
    for node in [second, third] {
        bench.step(node.0, Input::PeerSilent { peer: home, is_silent: true });
    }
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(third.0)].len(), 1, "no hedge was waited for");
    for node in [second, third] {
        bench.step(node.0, Input::PeerSilent { peer: home, is_silent: false });
    }
    // It wakes with all that was sent to it, and is the home again.
    bench.deliver_all();
    bench.store(meta(1, 2));
    bench.deliver_all();
    assert!(bench.elected.iter().all(|elected| elected.len() == 2), "{:?}", bench.elected);
}

#[test]
fn without_a_majority_that_is_heard_the_vote_waits_for_the_silent_by_id() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    for peer in [home, second] {
        bench.step(third.0, Input::PeerSilent { peer, is_silent: true });
    }
    assert!(!bench.nodes[usize::from(third.0)].has_quorum());
    bench.store(meta(1, 1));
    let waiting = bench.nodes[usize::from(third.0)].waiting(bench.now);
    assert_eq!(waiting.by_kind.keys().copied().collect::<Vec<_>>(), ["majority"]);
    let mut silent = [home, second];
    silent.sort_unstable();
    assert_eq!(waiting.by_node.keys().copied().collect::<Vec<_>>(), silent);
    bench.step(third.0, Input::PeerSilent { peer: second, is_silent: false });
    assert!(bench.nodes[usize::from(third.0)].has_quorum());
}

#[test]
fn a_paused_home_is_overtaken_when_the_hedge_is_over_and_accepts_when_it_wakes() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    bench.store(meta(1, 1));
    bench.deliver_without(home);
    assert!(bench.elected.iter().all(Vec::is_empty));
    let wait = bench.nodes[usize::from(second.0)].due_in_ms(bench.now).expect("a clock runs");
    assert!((1..=50).contains(&wait));
    bench.now = bench.now.plus_millis(wait);
    bench.overdue(second.0);
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(second.0)].len(), 1);
    assert_eq!(bench.elected[usize::from(third.0)].len(), 1);
    // The next one does not wait: the home is suspected until it speaks again.
    bench.store(meta(1, 2));
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(third.0)].len(), 2);
    // It wakes, and finds everything decided.
    bench.deliver_all();
    let at_home: Vec<_> = bench.elected[usize::from(home.0)].clone();
    assert_eq!(at_home, bench.elected[usize::from(third.0)]);
    bench.store(meta(1, 3));
    bench.deliver_all();
    assert!(bench.elected.iter().all(|elected| elected.len() == 3));
}

#[test]
fn a_take_over_proposes_what_the_quorum_may_have_elected() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    bench.store(meta(1, 1));
    // The home elects with the second, and both die before anybody hears of it.
    bench.deliver_without(third);
    assert!(bench.elected.iter().all(Vec::is_empty), "the fast round needs all");
    let wait = bench.nodes[usize::from(home.0)].due_in_ms(bench.now).expect("a clock runs");
    bench.now = bench.now.plus_millis(wait);
    bench.overdue(home.0);
    bench.deliver_without(third);
    let elected = bench.elected[usize::from(home.0)][0];
    bench.queue.clear();
    let rows = bench.stores[usize::from(second.0)].clone();
    assert!(rows.is_empty(), "known elected");
    // The second forgets that it was elected, not that it accepted: as after a crash.
    let accepted = VoteState {
        draft: None,
        group: Some(GroupId(0)),
        promised: Ballot(0),
        accepted: Some((Ballot(0), elected.challenger)),
        ..VoteState::new(meta(1, 1))
    };
    let recovered =
        Recovered { ceiling: elected.stamp(), votes: vec![accepted], ..Recovered::default() };
    bench.nodes[usize::from(second.0)] = Orderer::new(options(second.0, 3), &recovered);
    bench.step(third.0, Input::PeerDown { peer: home });
    bench.step(second.0, Input::PeerUp { peer: third });
    bench.step(third.0, Input::PeerUp { peer: second });
    bench.deliver_without(home);
    for _ in 0..8 {
        bench.now = bench.now.plus_millis(1_000);
        bench.overdue(second.0);
        bench.overdue(third.0);
        bench.deliver_without(home);
    }
    assert_eq!(bench.elected[usize::from(third.0)], [elected]);
}

#[test]
fn two_of_five_may_be_dead_at_once() {
    let mut bench = Bench::new(5);
    let members = Membership::sized(5, [3], 2);
    let owner = meta(1, 1).id.owner;
    let ring: Vec<_> = (0..5).map(|b| members.coordinator(owner, Ballot(b))).collect();
    let dead = [ring[0], ring[1]];
    for node in &ring[2..] {
        for peer in ring[2..].iter().filter(|peer| *peer != node) {
            bench.step(node.0, Input::PeerUp { peer: *peer });
        }
    }
    bench.queue.clear();
    bench.store(meta(1, 1));
    bench.queue.retain(|(from, to, _)| !dead.contains(from) && !dead.contains(to));
    while !bench.queue.is_empty() {
        let (from, to, message) = bench.queue.remove(0);
        bench.step(to.0, input_of(from, message));
        bench.queue.retain(|(from, to, _)| !dead.contains(from) && !dead.contains(to));
    }
    for node in &ring[2..] {
        assert_eq!(bench.elected[usize::from(node.0)].len(), 1);
    }
}

#[test]
fn a_restarted_coordinator_begins_a_ballot_above_the_one_it_promised() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    for node in [second, third] {
        bench.step(node.0, Input::PeerDown { peer: home });
    }
    bench.store(meta(1, 1));
    bench.queue.clear();
    let rows: Vec<_> = bench.stores[usize::from(second.0)].values().copied().collect();
    assert_eq!(rows[0].promised, Ballot(1), "durable before PREPARE left");
    let recovered = Recovered {
        ceiling: Stamp::at(NOW, Lane::new(second.0).expect("lane")),
        votes: rows,
        ..Recovered::default()
    };
    bench.nodes[usize::from(second.0)] = Orderer::new(options(second.0, 3), &recovered);
    bench.step(second.0, Input::PeerUp { peer: third });
    bench.step(third.0, Input::PeerUp { peer: second });
    bench.deliver_without(home);
    assert!(bench.elected[usize::from(third.0)].is_empty(), "it may have proposed there");
    let wait = bench.nodes[usize::from(second.0)].due_in_ms(bench.now).expect("a clock runs");
    bench.now = bench.now.plus_millis(wait);
    bench.overdue(second.0);
    let row = bench.stores[usize::from(second.0)][&meta(1, 1).id];
    assert_eq!(row.promised, Ballot(4), "its next");
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(third.0)].len(), 1);
}

#[test]
fn a_peer_that_stands_aside_is_passed_over() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    for node in [second, third] {
        bench.step(node.0, Input::PeerAside { peer: home, is_aside: true });
    }
    bench.store(meta(1, 1));
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(third.0)].len(), 1);
    for node in [second, third] {
        bench.step(node.0, Input::PeerAside { peer: home, is_aside: false });
    }
    bench.deliver_all();
    bench.store(meta(1, 2));
    let is_fast = |message: &Message| {
        matches!(
            message,
            Message::Vote(VoteMessage::ProposeFast { .. } | VoteMessage::VoteFast { .. })
        )
    };
    assert!(bench.queue.iter().all(|(from, _, message)| *from == home && is_fast(message)));
}

#[test]
fn where_everybody_is_suspected_the_ring_decides() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    for node in [home, second, third] {
        for peer in [home, second, third] {
            bench.step(node.0, Input::PeerAside { peer, is_aside: true });
        }
    }
    bench.store(meta(1, 1));
    let begins = |message: &Message| matches!(message, Message::Vote(VoteMessage::Prepare { .. }));
    assert!(bench.queue.iter().all(|(_, _, message)| !begins(message)), "nobody begins a ballot");
    bench.deliver_all();
    assert!(bench.elected.iter().all(|elected| elected.len() == 1));
}

#[test]
fn a_home_that_stands_aside_leaves_its_segments_to_the_next() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    for node in [home, second, third] {
        bench.step(node.0, Input::PeerAside { peer: home, is_aside: true });
    }
    bench.step(home.0, Input::GenerateDraft { from: ndb(0), meta: meta(1, 1) });
    let fx = bench.step(home.0, Input::GenerateDraft { from: ndb(1), meta: meta(1, 1) });
    let [(to, Message::Vote(VoteMessage::PickChallenger { ballot: Ballot(1), .. }))] =
        said(&fx)[..]
    else {
        panic!("a draft for the second, not {fx:?}")
    };
    assert_eq!(to, second);
}

/// Seed 967: elected by two, of whom one has lost the election in a crash, and the other has forgotten the owner. No ndb
/// node asks any more, and the third knew nothing but what the first says again.
#[test]
fn who_is_asked_for_a_segment_that_nobody_else_knows_goes_by_the_vote_of_who_asks() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    bench.queue.clear();
    let (home, second, third) = roles();
    let challenger = Challenger {
        stamp: Stamp::at(NOW.plus_millis(1), Lane::new(home.0).expect("a lane")),
        group: GroupId(0),
    };
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger };
    let prepare = Input::Prepare { from: second, meta: meta(1, 1), ballot: Ballot(4) };
    let picks = |fx: &Effects| {
        let is_pick = |(to, message): &(SyncId, Message)| {
            let is_at = |ballot: &Ballot| *ballot == Ballot(4);
            *to == second
                && matches!(message, Message::Vote(VoteMessage::PickChallenger { ballot, .. }) if is_at(ballot))
        };
        said(fx).iter().filter(|sent| is_pick(sent)).count()
    };
    let fx = bench.step(third.0, prepare);
    assert_eq!(picks(&fx), 0, "it has not heard of W nodes");
    let fx = bench.step(third.0, Input::Vote { from: second, proposal });
    assert_eq!(picks(&fx), 1);
}
