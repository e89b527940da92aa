//! What REGISTER and UNREGISTER find, and what becomes of them.

use super::*;

const REGISTERED: fn(u64) -> Verdict = |id| Verdict::Registered(RegistrationId(id));

#[test]
fn the_first_makes_a_registration_whose_id_is_its_position() {
    let mut desk = Desk::new();
    let applied = desk.register(1, 7, "a", Invoke::Single);
    let created = Change::Created {
        registration: RegistrationId(30),
        pattern: exact("a"),
        invoke: Invoke::Single,
        created: WallTime(3_000),
    };
    let changes = vec![created, joined(30, "a", callee(1, 7))];
    assert_eq!(applied, Applied { verdict: REGISTERED(30), changes });
    let there = desk.view.find(&exact("a")).expect("is there");
    assert_eq!((there.id, there.created), (RegistrationId(30), WallTime(3_000)));
    assert_eq!(desk.callees(30), [(30, callee(1, 7))]);
    assert_eq!((desk.view.len(), desk.view.callees()), (1, 1));
}

#[test]
fn a_second_one_of_single_is_refused_whoever_and_whatever_it_asks_for() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    let refused = Applied { verdict: Verdict::Refused(Refusal::AlreadyExists), changes: vec![] };
    assert_eq!(desk.register(2, 8, "a", Invoke::Single), refused);
    assert_eq!(desk.register(1, 7, "a", Invoke::Single), refused, "also one's own");
    assert_eq!(desk.register(2, 8, "a", Invoke::RoundRobin), refused);
    assert_eq!(desk.callees(30), [(30, callee(1, 7))]);
}

#[test]
fn another_policy_on_a_shared_one_is_refused() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::RoundRobin);
    let refused = Applied { verdict: Verdict::Refused(Refusal::OtherPolicy), changes: vec![] };
    for invoke in [Invoke::Single, Invoke::Random, Invoke::First, Invoke::Last] {
        assert_eq!(desk.register(2, 8, "a", invoke), refused);
        assert_eq!(desk.register(1, 7, "a", invoke), refused, "also one's own");
    }
}

#[test]
fn callees_of_a_shared_one_are_appended_and_stand_once() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::First);
    let applied = desk.register(2, 7, "a", Invoke::First);
    let changes = vec![joined(30, "a", callee(2, 7))];
    assert_eq!(applied, Applied { verdict: REGISTERED(30), changes }, "a session of another entry");
    assert_eq!(desk.register(1, 8, "a", Invoke::First).verdict, REGISTERED(30));
    let stays = Applied { verdict: Verdict::Stays(RegistrationId(30)), changes: vec![] };
    assert_eq!(desk.register(1, 7, "a", Invoke::First), stays);
    let all = [(30, callee(1, 7)), (40, callee(2, 7)), (50, callee(1, 8))];
    assert_eq!(desk.callees(30), all);
    let there = desk.view.get(RegistrationId(30)).expect("is there");
    let turns =
        |place| there.callees.after(Position(place)).map(|(at, _)| at.0).collect::<Vec<_>>();
    assert_eq!(turns(0), [30, 40, 50]);
    assert_eq!(turns(30), [40, 50, 30]);
    assert_eq!(turns(45), [50, 30, 40], "of one that has left");
    assert_eq!(turns(50), [30, 40, 50]);
}

#[test]
fn force_unseats_all_and_gets_a_new_id() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::RoundRobin);
    desk.register(2, 8, "a", Invoke::RoundRobin);
    desk.register(1, 9, "a", Invoke::RoundRobin);
    let applied = desk.force(2, 8, "a", Invoke::Last);
    assert_eq!(applied.verdict, REGISTERED(60));
    let unseated = |session, owner| left(30, "a", callee(owner, session), LeftWhy::Unseated);
    assert_eq!(
        applied.changes[..4],
        [unseated(7, 1), unseated(8, 2), unseated(9, 1), deleted(30, "a"),]
    );
    assert!(matches!(applied.changes[4], Change::Created { registration: RegistrationId(60), .. }));
    assert_eq!(applied.changes[5..], [joined(60, "a", callee(2, 8))]);
    assert_eq!(desk.callees(60), [(60, callee(2, 8))]);
    assert_eq!(desk.force(1, 7, "b", Invoke::Single).verdict, REGISTERED(70), "of nothing");
}

#[test]
fn the_same_uri_with_another_match_is_a_registration_of_its_own() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    for (matching, id) in [(Match::Prefix, 40), (Match::Wildcard, 50)] {
        let pattern = TopicPattern::new(REALM, "a", matching);
        let applied = desk.register_of(life(2, 1), 8, pattern, Invoke::Single, false);
        assert_eq!(applied.verdict, REGISTERED(id));
    }
    let elsewhere = TopicPattern::new("s", "a", Match::Exact);
    let applied = desk.register_of(life(2, 1), 9, elsewhere, Invoke::Single, false);
    assert_eq!(applied.verdict, REGISTERED(60));
}

#[test]
fn a_registration_ends_with_its_last_callee() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Last);
    desk.register(2, 8, "a", Invoke::Last);
    let why = UnregisterWhy::Asked;
    let applied = desk.unregister(1, 7, 30, why);
    let gone = |owner, session| left(30, "a", callee(owner, session), LeftWhy::Unregistered(why));
    assert_eq!(applied, Applied { verdict: Verdict::Done, changes: vec![gone(1, 7)] });
    let applied = desk.unregister(2, 8, 30, why);
    assert_eq!(applied.changes, [gone(2, 8), deleted(30, "a")]);
    assert!(desk.view.is_empty() && desk.view.find(&exact("a")).is_none());
    assert_eq!(desk.register(1, 7, "a", Invoke::Single).verdict, REGISTERED(70));
}

#[test]
fn unregister_is_of_a_callee_of_the_writer_unless_a_meta_procedure_says_it() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Last);
    let ignored = Applied { verdict: Verdict::Ignored(Ignored::NotCallee), changes: vec![] };
    for why in [UnregisterWhy::Asked, UnregisterWhy::Refused] {
        assert_eq!(desk.unregister(2, 7, 30, why), ignored, "another's");
        assert_eq!(desk.unregister(1, 8, 30, why), ignored, "no callee");
        assert_eq!(desk.unregister(1, 7, 31, why), ignored, "no registration");
    }
    let elsewhere = Unregister {
        realm: "s".into(),
        session: 7,
        registration: RegistrationId(30),
        why: UnregisterWhy::Asked,
    };
    assert_eq!(desk.say(life(1, 1), Said::Unregister(elsewhere)), ignored, "of another realm");
    let why = UnregisterWhy::Removed(life(1, 1));
    let applied = desk.unregister(2, 7, 30, why);
    let why = LeftWhy::Unregistered(why);
    assert_eq!(applied.changes, [left(30, "a", callee(1, 7), why), deleted(30, "a")]);
}

/// Sessions are numbered by each entry for itself: whoever had the number lost its place.
#[test]
fn a_meta_procedure_takes_out_the_callee_of_one_entry_and_life() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Last);
    desk.register(2, 7, "a", Invoke::Last);
    let ignored = Verdict::Ignored(Ignored::NotCallee);
    for other in [life(1, 2), life(3, 1)] {
        let applied = desk.unregister(2, 7, 30, UnregisterWhy::Removed(other));
        assert_eq!((applied.verdict, applied.changes), (ignored, vec![]));
    }
    let why = UnregisterWhy::Removed(life(1, 1));
    let applied = desk.unregister(2, 7, 30, why);
    assert_eq!(applied.changes, [left(30, "a", callee(1, 7), LeftWhy::Unregistered(why))]);
    assert_eq!(desk.callees(30), [(40, callee(2, 7))]);
}

#[test]
fn a_session_that_is_over_leaves_all_in_the_order_of_its_places() {
    let mut desk = Desk::new();
    desk.register(2, 8, "b", Invoke::First);
    desk.register(1, 7, "a", Invoke::Single);
    desk.register(1, 7, "b", Invoke::First);
    let served = desk.view.served_by(&callee(1, 7));
    let place = |at, id| (Position(at), RegistrationId(id));
    assert_eq!(served, [place(40, 40), place(50, 30)]);
    let applied = desk.over(1, 7);
    let why = LeftWhy::SessionOver;
    let changes =
        [left(40, "a", callee(1, 7), why), deleted(40, "a"), left(30, "b", callee(1, 7), why)];
    assert_eq!(applied.changes, changes);
    let nothing = Applied { verdict: Verdict::Done, changes: vec![] };
    assert_eq!(desk.over(1, 7), nothing);
    assert_eq!(desk.over(1, 8), nothing, "a session of another entry");
    assert_eq!(desk.callees(30), [(30, callee(2, 8))]);
}

#[test]
fn what_would_be_refused_is_known_before() {
    let mut desk = Desk::new();
    let register = |uri, invoke, is_forced| {
        let (number, session, pattern) = (0, 9, exact(uri));
        Register { number, session, pattern, invoke, is_forced, keeps_timeouts: false }
    };
    desk.register(1, 7, "a", Invoke::Single);
    desk.register(1, 7, "b", Invoke::Random);
    let refuses = |uri, invoke, forced| desk.view.refuses(&register(uri, invoke, forced));
    assert_eq!(refuses("a", Invoke::Random, false), Some(Refusal::AlreadyExists));
    assert_eq!(refuses("a", Invoke::Random, true), None);
    assert_eq!(refuses("b", Invoke::Random, false), None);
    assert_eq!(refuses("b", Invoke::First, false), Some(Refusal::OtherPolicy));
    assert_eq!(refuses("c", Invoke::Single, false), None);
}

#[test]
fn who_keeps_timeouts_does_so_at_its_place_until_it_leaves() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::First);
    let id = desk.view.find(&exact("a")).expect("registered").id;
    let keeps = |desk: &Desk| {
        let there = desk.view.get(id).expect("registered");
        there.callees.iter().map(|(at, _)| there.callees.keeps_timeouts(at)).collect::<Vec<_>>()
    };
    let mut other = desk.clone();
    desk.register_keeping(2, 8, "a", Invoke::First);
    other.register(2, 8, "a", Invoke::First);
    assert_eq!((keeps(&desk), keeps(&other)), (vec![false, true], vec![false, false]));
    assert_ne!(desk.view, other.view);
    assert_ne!(desk.view.chain(), other.view.chain(), "G1: it is in the chain");
    assert_eq!(Registrations::restore(&desk.view.checkpoint()).as_ref(), Ok(&desk.view));
    // Who says so again stays as it was, and who comes again is as it says then.
    desk.register(2, 8, "a", Invoke::First);
    assert_eq!(keeps(&desk), [false, true]);
    desk.over(2, 8);
    desk.register(2, 8, "a", Invoke::First);
    assert_eq!(keeps(&desk), [false, false]);
}
