//! Nodes that are not of a segment's first quorum.

use super::*;

#[test]
fn a_reserve_writes_nothing_and_learns_the_election() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (_, _, reserve) = roles();
    bench.store(meta(1, 1));
    assert!(bench.stores[usize::from(reserve.0)].is_empty(), "no draft of the reserve");
    bench.deliver_all();
    assert!(bench.elected.iter().all(|elected| elected.len() == 1));
    let stamp = bench.elected[0][0].stamp();
    assert!(
        bench
            .nodes
            .iter()
            .all(|node| node.watermark().map(|marks| marks.floor).is_some_and(|w| w >= stamp))
    );
    assert_eq!(bench.nodes[usize::from(reserve.0)].due_in_ms(bench.now), None);
}

#[test]
fn a_reserve_steps_in_when_the_hedge_is_over() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, reserve) = roles();
    // The home is heard, and lacks durable votes: it proposes nothing in the fast round.
    for node in [second, reserve] {
        for member in 0..2 {
            bench.step(node.0, Input::GenerateDraft { from: ndb(member), meta: meta(1, 1) });
        }
    }
    let other = Input::Reject { from: home, segment: meta(7, 1).id, promised: Ballot(0) };
    // The second of the first quorum is paused: what goes to it and comes from it waits.
    bench.queue.retain(|(from, to, _)| *from != second && *to != second);
    let wait = bench.nodes[usize::from(reserve.0)].due_in_ms(bench.now).expect("held back");
    assert!((1..=50).contains(&wait));
    bench.now = bench.now.plus_millis(wait);
    bench.step(reserve.0, other);
    bench.overdue(reserve.0);
    for member in 0..2 {
        bench.step(home.0, Input::GenerateDraft { from: ndb(member), meta: meta(1, 1) });
    }
    bench.deliver_without(second);
    // It has drafted, so the fast round is closed, and it accepts at once.
    assert_eq!(bench.elected[usize::from(reserve.0)].len(), 1);
}

#[test]
fn a_reserve_steps_in_at_once_when_the_first_quorum_is_not_all_linked() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (_, second, reserve) = roles();
    bench.store(meta(1, 1));
    let fx = bench.step(reserve.0, Input::PeerDown { peer: second });
    assert!(matches!(fx.writes[..], [Write::Vote(VoteState { draft: Some(_), .. }), ..]));
    assert!(matches!(said(&fx)[..], [(_, Message::Vote(VoteMessage::PickChallenger { .. }))]));
}
