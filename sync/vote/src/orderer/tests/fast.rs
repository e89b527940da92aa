//! The fast round, and how it gives way to the home's ballot.

use super::*;

fn fast_votes(bench: &Bench) -> usize {
    let is_vote =
        |message: &Message| matches!(message, Message::Vote(VoteMessage::VoteFast { .. }));
    bench.queue.iter().filter(|(_, _, message)| is_vote(message)).count()
}

fn proposes(fx: &Effects) -> bool {
    said(fx).iter().any(|(_, m)| matches!(m, Message::Vote(VoteMessage::ElectSegment { .. })))
}

/// The home's stamp, and what it says, before anything moves.
fn begun() -> (Bench, Stamp) {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    bench.store(meta(1, 1));
    let (home, _, _) = roles();
    let stamp = bench.nodes[usize::from(home.0)].report(NOW).pending[0].draft.expect("proposed");
    (bench, stamp)
}

#[test]
fn all_accept_and_elect_without_a_ballot() {
    let (mut bench, stamp) = begun();
    let (home, second, third) = roles();
    for node in [second, third] {
        assert!(bench.stores[usize::from(node.0)].is_empty(), "left to the home");
    }
    bench.deliver_without(third);
    assert!(bench.elected.iter().all(Vec::is_empty), "two of three do not elect");
    bench.deliver_all();
    for elected in &bench.elected {
        assert_eq!(elected.iter().map(Elected::stamp).collect::<Vec<_>>(), [stamp]);
    }
    assert_eq!(bench.nodes[usize::from(home.0)].clock(), stamp);
}

#[test]
fn the_proposal_waits_for_the_ceiling_alone_and_the_votes_for_their_rows() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, _) = roles();
    bench.step(home.0, Input::GenerateDraft { from: ndb(0), meta: meta(1, 1) });
    let fx = bench.step(home.0, Input::GenerateDraft { from: ndb(1), meta: meta(1, 1) });
    let after = |is_of: &dyn Fn(&VoteMessage) -> bool, fx: &Effects| -> Vec<After> {
        let sent = fx.sends.iter().filter(|sent| match &sent.message {
            Message::Vote(message) => is_of(message),
            _ => false,
        });
        sent.map(|sent| sent.after).collect()
    };
    let (row, is_fast) = (After::Vote(meta(1, 1).id), |m: &VoteMessage| {
        matches!(m, VoteMessage::ProposeFast { .. })
    });
    let is_vote = |m: &VoteMessage| matches!(m, VoteMessage::VoteFast { .. });
    assert_eq!(after(&is_fast, &fx), [After::Clock; 2]);
    assert_eq!(after(&is_vote, &fx), [row; 2]);
    let (from, to, message) = bench.queue.remove(0);
    assert_eq!(from, home);
    let fx = bench.step(to.0, input_of(from, message));
    assert_eq!(after(&is_vote, &fx), [row; 2]);
    let _unused = second;
}

#[test]
fn a_node_whose_clock_is_past_the_stamp_refuses_and_the_home_goes_on_at_once() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    // The second knows of a newer election.
    let challenger = Challenger {
        stamp: Stamp::at(NOW.plus_millis(5), Lane::new(7).expect("a lane")),
        group: GroupId(0),
    };
    bench.step(second.0, Input::Resolved { elected: Elected { meta: meta(9, 1), challenger } });
    bench.queue.clear();
    bench.store(meta(1, 1));
    bench.deliver_without(third);
    let [elected] = bench.elected[usize::from(home.0)][..] else { panic!("elected at ballot 0") };
    assert!(elected.stamp() > challenger.stamp, "it may have been asked for after that");
    bench.deliver_all();
    assert_eq!(bench.elected[usize::from(third.0)], [elected]);
}

#[test]
fn the_home_goes_on_without_one_that_is_absent_and_adopts_what_a_quorum_has() {
    let (mut bench, stamp) = begun();
    let (home, _, third) = roles();
    bench.deliver_without(third);
    let fx = bench.step(home.0, Input::PeerDown { peer: third });
    assert!(proposes(&fx), "no timer was waited for");
    bench.deliver_without(third);
    assert_eq!(bench.elected[usize::from(home.0)][0].stamp(), stamp);
}

#[test]
fn who_is_late_once_is_not_waited_for_again() {
    let (mut bench, stamp) = begun();
    let (home, second, third) = roles();
    bench.deliver_without(third);
    let wait = bench.nodes[usize::from(home.0)].due_in_ms(bench.now).expect("a clock runs");
    bench.now = bench.now.plus_millis(wait);
    bench.overdue(home.0);
    bench.deliver_without(third);
    for node in [home, second] {
        assert_eq!(bench.elected[usize::from(node.0)][0].stamp(), stamp);
    }
    bench.store(meta(1, 2));
    bench.deliver_without(third);
    assert_eq!(bench.elected[usize::from(home.0)].len(), 2, "it is suspected");
}

#[test]
fn a_home_that_lost_its_row_proposes_again_and_nobody_takes_both() {
    let (mut bench, first) = begun();
    let (home, second, third) = roles();
    // Its proposal reaches one, and it dies in its commit.
    let at = bench.queue.iter().position(|(_, to, _)| *to == second).expect("a proposal");
    let (from, to, message) = bench.queue.remove(at);
    bench.queue.clear();
    bench.step(to.0, input_of(from, message));
    bench.queue.clear();
    let ceiling = Stamp(first.0 + (500 << 22));
    let recovered = Recovered { ceiling, ..Recovered::default() };
    bench.nodes[usize::from(home.0)] = Orderer::new(options(home.0, 3), &recovered);
    for peer in [second, third] {
        bench.step(home.0, Input::PeerUp { peer });
        bench.step(peer.0, Input::PeerUp { peer: home });
    }
    bench.store(meta(1, 1));
    bench.deliver_all();
    let stamps: Vec<_> = bench.elected.iter().map(|elected| elected[0].stamp()).collect();
    assert!(stamps.iter().all(|stamp| *stamp == stamps[0] && *stamp != first), "{stamps:?}");
}

#[test]
fn a_home_that_starts_again_counts_its_vote_and_begins_no_second_proposal_at_its_ballot() {
    let (mut bench, stamp) = begun();
    let (home, second, third) = roles();
    bench.deliver_without(third);
    bench.queue.clear();
    let votes: Vec<_> = bench.stores[usize::from(home.0)].values().copied().collect();
    assert_eq!(votes[0].fast.map(|value| value.stamp), Some(stamp));
    let ceiling = Stamp(stamp.0 + (500 << 22));
    let recovered = Recovered { ceiling, votes, ..Recovered::default() };
    bench.nodes[usize::from(home.0)] = Orderer::new(options(home.0, 3), &recovered);
    bench.step(home.0, Input::PeerUp { peer: second });
    bench.step(second.0, Input::PeerUp { peer: home });
    bench.deliver_without(third);
    assert!(bench.elected.iter().all(Vec::is_empty), "it may have proposed at ballot 0");
    let wait = bench.nodes[usize::from(home.0)].due_in_ms(bench.now).expect("a clock runs");
    bench.now = bench.now.plus_millis(wait);
    let fx = bench.nodes[usize::from(home.0)]
        .overdue(bench.now)
        .map(|segment| bench.step(home.0, Input::Overdue { segment }));
    let is_prepare =
        |m: &Message| matches!(m, Message::Vote(VoteMessage::Prepare { ballot: Ballot(3), .. }));
    assert!(fx.is_some_and(|fx| said(&fx).iter().any(|(_, message)| is_prepare(message))));
    bench.deliver_without(third);
    assert_eq!(bench.elected[usize::from(home.0)][0].stamp(), stamp, "both have it");
}

#[test]
fn the_home_proposes_the_next_when_the_one_before_it_is_elected() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    bench.store(meta(1, 1));
    bench.store(meta(1, 2));
    assert_eq!(fast_votes(&bench), 2, "of the home, for the first");
    bench.deliver_all();
    for elected in &bench.elected {
        assert_eq!(elected.iter().map(|e| e.meta.id.seq.0).collect::<Vec<_>>(), [1, 2]);
    }
}

/// The home's links are there, and it has heard of nothing: the picks of both others, that nobody asked for.
fn unasked(bench: &mut Bench) -> [Input; 2] {
    let (home, second, third) = roles();
    link_all(bench);
    bench.queue.clear();
    let pick = |from: SyncId, ms| Input::PickChallenger {
        from,
        meta: meta(1, 1),
        ballot: Ballot(0),
        draft: Stamp::at(NOW.plus_millis(ms), Lane::new(from.0).expect("a lane")),
        group: GroupId(0),
        accepted: None,
    };
    assert!(bench.stores[usize::from(home.0)].is_empty());
    [pick(second, 1), pick(third, 2)]
}

/// What ELECT_SEGMENT waits for.
fn elect_waits_for(fx: &Effects) -> Vec<After> {
    let is_elect = |m: &Message| matches!(m, Message::Vote(VoteMessage::ElectSegment { .. }));
    fx.sends.iter().filter(|sent| is_elect(&sent.message)).map(|sent| sent.after).collect()
}

/// Found by reading: such a home died in the commit, had no promise in its store, and proposed another value at the
/// same ballot.
#[test]
fn what_is_proposed_without_a_promise_of_before_waits_for_its_acceptance() {
    let mut bench = Bench::new(3);
    let (home, _, _) = roles();
    let [first, second] = unasked(&mut bench);
    assert_eq!(elect_waits_for(&bench.step(home.0, first)), []);
    let fx = bench.step(home.0, second);
    assert_eq!(elect_waits_for(&fx), [After::Vote(meta(1, 1).id); 2]);
    // With a promise, or a draft, it need not.
    let (mut bench, _) = begun();
    let (home, _, third) = roles();
    bench.deliver_without(third);
    let fx = bench.step(home.0, Input::PeerDown { peer: third });
    assert_eq!(elect_waits_for(&fx), [After::Promise(meta(1, 1).id); 2]);
}

/// Found by reading: the election of the one before may rest on this node's own vote, which a crash takes back.
#[test]
fn the_home_says_its_next_value_once_its_vote_for_the_one_before_is_durable() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, _) = roles();
    bench.store(meta(1, 1));
    bench.store(meta(1, 2));
    bench.deliver_without(second);
    bench.step(second.0, Input::PeerUp { peer: home });
    let mut afters = Vec::new();
    while !bench.queue.is_empty() {
        let (from, to, message) = bench.queue.remove(0);
        let fx = bench.step(to.0, input_of(from, message));
        let of_next = |m: &Message| matches!(m, Message::Vote(VoteMessage::ProposeFast { meta: of, .. }) if *of == meta(1, 2));
        afters.extend(fx.sends.iter().filter(|sent| of_next(&sent.message)).map(|s| s.after));
    }
    assert_eq!(afters, [After::Vote(meta(1, 1).id); 2]);
}

#[test]
fn a_second_value_of_a_ballot_is_not_answered_with_a_vote() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    bench.queue.clear();
    let (home, second, _) = roles();
    let elect = |ms| Input::ElectSegment {
        from: home,
        proposal: Proposal {
            meta: meta(1, 1),
            ballot: Ballot(0),
            challenger: Challenger {
                stamp: Stamp::at(NOW.plus_millis(ms), Lane::new(home.0).expect("a lane")),
                group: GroupId(0),
            },
        },
    };
    let votes = |fx: &Effects| {
        said(fx)
            .iter()
            .filter(|(_, m)| matches!(m, Message::Vote(VoteMessage::Vote { .. })))
            .count()
    };
    assert_eq!(votes(&bench.step(second.0, elect(1))), 2);
    assert_eq!(votes(&bench.step(second.0, elect(1))), 1, "said again");
    let fx = bench.step(second.0, elect(2));
    assert_eq!((votes(&fx), fx.dropped), (0, vec![Drop::Conflict]));
}

#[test]
fn a_home_whose_fast_round_is_refused_goes_on_with_those_that_have_answered() {
    let (mut bench, stamp) = begun();
    let (home, second, third) = roles();
    bench.deliver_without(third);
    assert!(bench.elected[usize::from(home.0)].is_empty());
    let refusal = Input::Reject { from: third, segment: meta(1, 1).id, promised: Ballot(2) };
    let fx = bench.step(home.0, refusal);
    assert!(proposes(&fx));
    bench.deliver_without(third);
    for node in [home, second] {
        assert_eq!(bench.elected[usize::from(node.0)][0].stamp(), stamp);
    }
}

/// Found by reading: the slow one's late vote was the word that cleared it, so that each segment waited for it.
#[test]
fn one_that_is_slow_each_time_holds_up_one_segment_a_second() {
    let (mut bench, _) = begun();
    let (home, _, third) = roles();
    bench.deliver_without(third);
    let wait = bench.nodes[usize::from(home.0)].due_in_ms(bench.now).expect("a clock runs");
    assert_eq!(wait, 5, "as long again as the quorum took, and not the whole delay");
    bench.now = bench.now.plus_millis(wait);
    bench.overdue(home.0);
    bench.deliver_without(third);
    assert_eq!(bench.elected[usize::from(home.0)].len(), 1);
    // Now its vote comes.
    bench.deliver_all();
    bench.store(meta(1, 2));
    bench.deliver_without(third);
    assert_eq!(bench.elected[usize::from(home.0)].len(), 2, "passed over");
}

/// Found by reading: it took over a millisecond after it had said its draft.
#[test]
fn who_steps_in_gives_the_home_time_to_answer() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, _) = roles();
    for member in 0..2 {
        bench.step(second.0, Input::GenerateDraft { from: ndb(member), meta: meta(1, 1) });
    }
    let node = usize::from(second.0);
    let hold = bench.nodes[node].due_in_ms(bench.now).expect("held");
    bench.now = bench.now.plus_millis(hold);
    let other = Input::Reject { from: home, segment: meta(7, 1).id, promised: Ballot(0) };
    bench.step(second.0, other);
    bench.overdue(second.0);
    assert_eq!(bench.nodes[node].due_in_ms(bench.now), Some(hold), "it has drafted");
}

/// A home whose clock is wild asks for drafts at its ballot, with PREPARE.
fn asked_at_zero(bench: &mut Bench) -> Effects {
    link_all(bench);
    let (home, second, _) = roles();
    bench.step(second.0, Input::Prepare { from: home, meta: meta(1, 1), ballot: Ballot(0) })
}

pub(super) fn stored(bench: &mut Bench, node: SyncId, meta: SegmentMeta) -> Effects {
    bench.step(node.0, Input::GenerateDraft { from: ndb(0), meta });
    bench.step(node.0, Input::GenerateDraft { from: ndb(1), meta })
}

fn picks(fx: &Effects) -> usize {
    let is_pick = |m: &Message| matches!(m, Message::Vote(VoteMessage::PickChallenger { .. }));
    said(fx).iter().filter(|(_, message)| is_pick(message)).count()
}

/// Found by reading: ballot 0 was taken for nothing asked, and the answer came a hedge delay later.
#[test]
fn a_prepare_of_ballot_0_that_came_first_is_answered_as_soon_as_the_segment_is_eligible() {
    let mut bench = Bench::new(3);
    let (_, second, _) = roles();
    assert_eq!(picks(&asked_at_zero(&mut bench)), 0, "not eligible here");
    assert_eq!(picks(&stored(&mut bench, second, meta(1, 1))), 1);
    // Who was not asked leaves it to the home.
    assert_eq!(picks(&stored(&mut bench, second, meta(2, 1))), 0);
}

/// The same where it had held back before it was asked, and waits for the segment before.
#[test]
fn who_is_asked_holds_nothing_back_once_the_segment_before_has_a_draft() {
    let mut bench = Bench::new(3);
    let (home, second, _) = roles();
    link_all(&mut bench);
    stored(&mut bench, second, meta(1, 2));
    let next = Input::Prepare { from: home, meta: meta(1, 2), ballot: Ballot(0) };
    assert_eq!(picks(&bench.step(second.0, next)), 0, "the first is not here");
    asked_at_zero(&mut bench);
    assert_eq!(picks(&stored(&mut bench, second, meta(1, 1))), 2);
}
