//! Wall clocks that were wrong, and what the cluster makes of it (rule 8).

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn restart(bench: &mut Bench, node: u8, ceiling: Stamp) {
    let at = usize::from(node);
    let recovered = Recovered {
        ceiling,
        votes: bench.stores[at].values().copied().collect(),
        ..Recovered::default()
    };
    let n = u8::try_from(bench.nodes.len()).expect("few");
    bench.nodes[at] = Orderer::new(options(node, n), &recovered);
}

/// A store whose newest election is `stamp`.
fn after(stamp: Stamp) -> Recovered {
    let row = OwnerRow { contiguous: Seq(7), stamp };
    Recovered { ceiling: stamp, owners: vec![(meta(9, 7).id.owner, row)], ..Recovered::default() }
}

fn at(ms: u64, lane: u8) -> Stamp {
    Stamp::at(NOW.plus_millis(ms), Lane::new(lane).expect("lane"))
}

/// Links these nodes to each other, and loses what they say first.
fn link(bench: &mut Bench, nodes: &[u8]) {
    for node in nodes {
        for peer in nodes.iter().filter(|peer| *peer != node) {
            bench.step(*node, Input::PeerUp { peer: SyncId(*peer) });
        }
    }
}

/// Lets time pass until all have elected so many segments, at most so long.
fn settle(bench: &mut Bench, nodes: &[u8], segments: usize, ms_max: u64) {
    let end = bench.now.plus_millis(ms_max);
    loop {
        bench.queue.retain(|(_, to, _)| nodes.contains(&to.0));
        bench.deliver_all();
        if nodes.iter().all(|node| bench.elected[usize::from(*node)].len() == segments) {
            return;
        }
        assert!(bench.now < end, "{:?}", bench.nodes[usize::from(nodes[0])].report(bench.now));
        bench.now = bench.now.plus_millis(5);
        for node in nodes {
            bench.overdue(*node);
            if bench.now.0.is_multiple_of(1_000) {
                bench.step(*node, Input::Retry);
            }
        }
    }
}

#[test]
fn an_order_that_is_an_hour_ahead_goes_on_when_clocks_are_right_again() {
    for n in [1, 3, 5] {
        let mut bench = Bench::new(n);
        let nodes: Vec<u8> = (0..n).collect();
        link(&mut bench, &nodes);
        bench.now = NOW.plus_millis(HOUR_MS);
        bench.store(meta(1, 1));
        bench.deliver_all();
        let ahead = bench.elected[0][0].stamp();
        bench.now = NOW;
        bench.store(meta(1, 2));
        bench.store(meta(2, 1));
        settle(&mut bench, &nodes, 3, 2_000);
        for elected in &bench.elected {
            let last = elected.iter().map(Elected::stamp).max().expect("three");
            assert!(last > ahead);
            assert!(last.wall_time().millis_since(ahead.wall_time()) < 1_000);
        }
    }
}

#[test]
fn a_restart_knows_that_the_order_is_ahead() {
    let mut bench = Bench::new(3);
    let order = at(HOUR_MS, 1);
    for node in 0..3 {
        bench.nodes[usize::from(node)] = Orderer::new(options(node, 3), &after(order));
        assert_eq!(bench.nodes[usize::from(node)].newest_elected(), order);
    }
    link(&mut bench, &[0, 1, 2]);
    bench.store(meta(1, 1));
    settle(&mut bench, &[0, 1, 2], 1, 2_000);
}

#[test]
fn drafts_that_were_made_ahead_and_never_elected_stop_nobody() {
    for n in [1, 3, 5] {
        let mut bench = Bench::new(n);
        let nodes: Vec<u8> = (0..n).collect();
        link(&mut bench, &nodes);
        bench.now = NOW.plus_millis(HOUR_MS);
        bench.store(meta(1, 1));
        bench.queue.clear();
        if n == 1 {
            // It elects alone; what is lost is the election, which is written lazily.
            bench.elected[0].clear();
        }
        // All die before anything is elected, and start with clocks that are right.
        bench.now = NOW;
        for node in &nodes {
            let ceiling = Stamp(bench.nodes[usize::from(*node)].clock().0 + (500 << 22));
            restart(&mut bench, *node, ceiling);
        }
        link(&mut bench, &nodes);
        bench.store(meta(1, 1));
        bench.store(meta(2, 1));
        settle(&mut bench, &nodes, 2, 5_000);
    }
}

#[test]
fn clocks_that_were_ahead_by_different_times_agree_when_the_lower_has_run_on() {
    let mut bench = Bench::new(3);
    bench.nodes[0] =
        Orderer::new(options(0, 3), &Recovered { ceiling: at(HOUR_MS, 0), ..Recovered::default() });
    bench.nodes[1] = Orderer::new(
        options(1, 3),
        &Recovered { ceiling: at(HOUR_MS + 4_000, 1), ..Recovered::default() },
    );
    link(&mut bench, &[0, 1]);
    bench.store(meta(1, 1));
    settle(&mut bench, &[0, 1], 1, 20_000);
    assert!(bench.elected[0][0].stamp() < at(HOUR_MS + 5_000, 0));
}

#[test]
fn one_node_whose_clock_is_ahead_is_not_followed_whoever_is_down() {
    for wild in 0..3 {
        let mut bench = Bench::new(3);
        let ahead = Recovered { ceiling: at(HOUR_MS, wild), ..Recovered::default() };
        bench.nodes[usize::from(wild)] = Orderer::new(options(wild, 3), &ahead);
        link(&mut bench, &[0, 1, 2]);
        for owner in 1..5 {
            bench.store(meta(owner, 1));
        }
        settle(&mut bench, &[0, 1, 2], 4, 5_000);
        for elected in &bench.elected {
            assert!(elected.iter().all(|e| e.stamp() < at(10_000, 0)), "{elected:?}");
        }
        // With another node down there is no quorum without it: nothing is elected, and it is said.
        let right = (wild + 1) % 3;
        let down = 3 - wild - right;
        bench.step(wild, Input::PeerDown { peer: SyncId(down) });
        bench.step(right, Input::PeerDown { peer: SyncId(down) });
        bench.store(meta(7, 1));
        for _ in 0..400 {
            bench
                .queue
                .retain(|(from, to, _)| [from.0, to.0].iter().all(|id| [wild, right].contains(id)));
            bench.deliver_all();
            bench.now = bench.now.plus_millis(5);
            bench.overdue(wild);
            bench.overdue(right);
        }
        assert_eq!(bench.elected[usize::from(right)].len(), 4);
        let report = bench.nodes[usize::from(right)].report(bench.now);
        let waits_for = &report.pending[0].waits_for;
        let leader = report.pending[0].coordinator;
        if leader == SyncId(right) {
            assert_eq!(*waits_for, WaitsFor::Clock(vec![SyncId(wild)]), "{report:?}");
        }
    }
}

#[test]
fn one_node_whose_clock_runs_away_does_not_move_an_order_that_is_ahead() {
    let mut bench = Bench::new(3);
    let order = at(HOUR_MS, 1);
    for node in 0..3 {
        bench.nodes[usize::from(node)] = Orderer::new(options(node, 3), &after(order));
    }
    link(&mut bench, &[0, 2]);
    bench.queue.clear();
    // Node 2 is one of two that are left, and its clock runs forty times too fast, always just
    // before the order.
    let mut elected = 0;
    for turn in 1..200u64 {
        bench.now = NOW.plus_millis(5 * turn);
        let ahead = order
            .wall_time()
            .plus_millis(200 * turn)
            .min(bench.nodes[0].newest_elected().wall_time().plus_millis(9_000));
        let message = meta(u128::from(turn), 1);
        for member in 0..2 {
            bench.step(0, Input::GenerateDraft { from: ndb(member), meta: message });
            let now = std::mem::replace(&mut bench.now, ahead);
            bench.step(2, Input::GenerateDraft { from: ndb(member), meta: message });
            bench.now = now;
        }
        while let Some((from, to, message)) = bench.queue.pop() {
            let now = bench.now;
            match to.0 {
                0 => _ = bench.step(0, input_of(from, message)),
                2 => {
                    bench.now = ahead;
                    bench.step(2, input_of(from, message));
                }
                _ => {}
            }
            bench.now = now;
        }
        elected = elected.max(bench.elected[0].len());
        let lead = bench.nodes[0].newest_elected().wall_time().millis_since(bench.now);
        assert!(lead <= HOUR_MS, "the order's lead grew by {} ms", lead - HOUR_MS);
    }
}

#[test]
fn who_asks_late_is_answered_though_stamps_are_ahead() {
    let mut bench = Bench::new(3);
    bench.now = NOW.plus_millis(HOUR_MS);
    bench.store(meta(1, 1));
    bench.deliver_all();
    bench.now = NOW;
    let fx = bench.step(0, Input::GenerateDraft { from: ndb(2), meta: meta(1, 1) });
    assert_eq!(fx.answers, [(ndb(2), meta(1, 1).id, DraftAnswer::Elected)]);
    let elected = bench.elected[0][0];
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger: elected.challenger };
    let fx = bench.step(0, Input::Vote { from: SyncId(1), proposal });
    assert_eq!(fx.catch_ups, [(SyncId(1), meta(1, 1).id.owner, Seq(0))]);
}

/// A stamp at the end of the numbers, from a peer that is broken, stopped the clock of whoever took it.
#[test]
fn a_stamp_after_which_nothing_could_follow_is_not_taken_from_anybody() {
    let last = Stamp(u64::MAX - 7);
    let (from, challenger) = (SyncId(1), Challenger { stamp: last, group: GroupId(0) });
    let proposal = Proposal { meta: meta(1, 1), ballot: Ballot(0), challenger };
    let said = [
        Input::Resolved { elected: Elected { meta: meta(1, 1), challenger } },
        Input::PeerClock { peer: from, clock: last },
        Input::ElectSegment { from, proposal },
        Input::Vote { from, proposal },
        Input::OwnerSettled {
            owner: meta(1, 1).id.owner,
            row: OwnerRow { contiguous: Seq(1), stamp: last },
        },
        Input::PickChallenger {
            from,
            meta: meta(1, 1),
            ballot: Ballot(0),
            draft: Stamp(9),
            group: GroupId(0),
            accepted: Some((Ballot(0), challenger)),
        },
    ];
    let mut bench = Bench::new(3);
    for input in said {
        let fx = bench.step(0, input);
        assert_eq!(fx.dropped, [Drop::WildClock]);
    }
    bench.store(meta(1, 1));
    bench.deliver_all();
    assert!(bench.elected.iter().all(|elected| elected.len() == 1), "the order goes on");
}

#[test]
fn what_is_pending_is_said_again_though_its_draft_is_ahead() {
    let mut bench = Bench::new(3);
    bench.now = NOW.plus_millis(HOUR_MS);
    bench.store(meta(1, 1));
    bench.queue.clear();
    bench.now = NOW;
    let (home, second, _) = roles();
    let fx = bench.step(second.0, Input::Retry);
    assert!(said(&fx).iter().any(|(to, message)| *to == home
        && matches!(message, Message::Vote(VoteMessage::PickChallenger { .. }))));
}

/// Found by the simulation: with others that were due sooner, those waited for wall time.
#[test]
fn a_delay_that_was_set_before_wall_time_was_turned_back_is_over_at_once() {
    let mut bench = Bench::new(3);
    let (_, second, _) = roles();
    bench.now = NOW.plus_millis(HOUR_MS);
    bench.store(meta(1, 1));
    bench.now = NOW;
    bench.store(meta(2, 1));
    let node = &bench.nodes[usize::from(second.0)];
    assert_eq!(node.due_in_ms(NOW), Some(0));
    assert_eq!(node.overdue(NOW), Some(meta(1, 1).id));
}

/// Found by the simulation: a coordinator that had missed an election waited for it for ever.
#[test]
fn a_coordinator_that_has_missed_the_election_before_is_told_of_it() {
    let mut bench = Bench::new(3);
    link(&mut bench, &[0, 1, 2]);
    let (home, second, _) = roles();
    bench.store(meta(1, 1));
    bench.deliver_without(home);
    bench.step(second.0, Input::PeerDown { peer: home });
    bench.deliver_without(home);
    bench.now = NOW.plus_millis(100);
    for node in (0..3).filter(|node| *node != home.0) {
        bench.overdue(node);
    }
    bench.deliver_without(home);
    assert_eq!(bench.elected[usize::from(second.0)].len(), 1, "by the other two");
    bench.queue.clear();
    bench.step(second.0, Input::PeerUp { peer: home });
    bench.queue.clear();
    // The fast round is closed, so it drafts at once.
    let third = (0..3).find(|id| *id != home.0 && *id != second.0).expect("three");
    bench.step(second.0, Input::PeerAside { peer: SyncId(third), is_aside: true });
    bench.store(meta(1, 2));
    bench.now = bench.now.plus_millis(5_000);
    let fx = bench.step(second.0, Input::Retry);
    assert!(fx.catch_ups.contains(&(home, meta(1, 1).id.owner, Seq(0))), "{fx:?}");
}
