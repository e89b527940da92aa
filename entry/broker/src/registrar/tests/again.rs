//! Who asks twice, asks without end, or asks where the entry stops.

use vixen_views::record::{Gone, GoneWhy};

use super::*;

fn unregister(session: u64, request: u64, registration: RegistrationId) -> Input {
    Input::Unregister { session: SessionId(session), request: RequestId(request), registration }
}

/// A REGISTER of session 1 that was told to have no place yet.
fn given_up(invoke: Policy) -> Bench {
    let mut bench = Bench::new();
    bench.stands_still = true;
    bench.register(1, "a", invoke, false);
    bench.now += TIMEOUT;
    let fx = bench.step(Input::Timeout { missing: "a quorum".into() });
    assert!(matches!(fx.told[..], [(SessionId(1), CallTold::Refused { .. })]), "{fx:?}");
    bench
}

fn go_on(bench: &mut Bench) -> Effects {
    bench.stands_still = false;
    let mut fx = Effects::default();
    bench.place(&mut fx);
    fx
}

#[test]
fn a_register_that_was_given_up_does_not_take_the_place_of_the_next_one() {
    for (first, second, is_forced) in [
        (Policy::Single, Policy::Single, false),
        (Policy::First, Policy::First, false),
        (Policy::Single, Policy::First, false),
        (Policy::Random, Policy::Single, false),
        (Policy::Single, Policy::Single, true),
        (Policy::First, Policy::First, true),
    ] {
        let mut bench = given_up(first);
        bench.register(1, "a", second, is_forced);
        let fx = go_on(&mut bench);
        let [(SessionId(1), CallTold::Registered { .. })] = fx.told[..] else {
            panic!("{first:?}, {second:?}: {:?}", fx.told);
        };
        assert_eq!(bench.callees("r", "a"), [1], "{first:?}, {second:?}");
        let route = bench.registrar.find(&Topic::new("r", "a")).expect("a view").expect("it");
        let there = bench.registrar.view().get(record::RegistrationId(route.registration.0));
        assert_eq!(there.map(|there| there.invoke), Some(invoke_of(second)));
    }
}

#[test]
fn where_both_were_given_up_none_stays() {
    for invoke in [Policy::Single, Policy::Last] {
        let mut bench = given_up(invoke);
        bench.register(1, "a", invoke, false);
        bench.now += TIMEOUT;
        bench.step(Input::Timeout { missing: "a quorum".into() });
        let fx = go_on(&mut bench);
        assert!(fx.told.is_empty() && bench.callees("r", "a").is_empty(), "{invoke:?}: {fx:?}");
        bench.registered(2, "a", Policy::Single);
    }
}

#[test]
fn who_has_its_place_already_is_told_so_at_once_and_nobody_else_hears_of_it() {
    let mut bench = Bench::new();
    let registration = bench.registered(1, "a", Policy::First);
    bench.stands_still = true;
    let fx = bench.register(1, "a", Policy::First, false);
    let [(SessionId(1), CallTold::Registered { registration: again, .. })] = fx.told[..] else {
        panic!("{fx:?}");
    };
    assert_eq!((again, bench.written.len()), (registration, 0));
    assert!(matches!(fx.dealer[..], [dealer::Input::Serves { .. }]), "with its new terms: {fx:?}");
    // By force it is made anew, and another policy is for the order to judge.
    assert!(bench.register(1, "a", Policy::First, true).told.is_empty());
    assert_eq!(bench.written.len(), 1);
}

#[test]
fn who_says_so_again_and_unregisters_at_once_is_told_both() {
    let mut bench = Bench::new();
    bench.stands_still = true;
    bench.register(1, "a", Policy::First, false);
    bench.register(1, "a", Policy::First, false);
    let first = bench.written.pop_front().expect("a record");
    let mut fx = Effects::default();
    bench.read(&first, &mut fx);
    let [(_, CallTold::Registered { registration, .. })] = fx.told[..] else { panic!("{fx:?}") };
    bench.step(unregister(1, 77, registration));
    let fx = go_on(&mut bench);
    assert!(
        matches!(
            fx.told[..],
            [
                (SessionId(1), CallTold::Registered { registration: again, .. }),
                (SessionId(1), CallTold::Unregistered { request: RequestId(77) })
            ] if again == registration
        ),
        "{:?}",
        fx.told
    );
    assert!(bench.callees("r", "a").is_empty());
    let serves = fx.dealer.iter().any(|input| matches!(input, dealer::Input::Serves { .. }));
    assert!(!serves, "who leaves is not called: {:?}", fx.dealer);
}

fn refusals(fx: &Effects) -> Vec<RegisterError> {
    let errors = fx.told.iter().filter_map(|(_, told)| match told {
        CallTold::Refused { error, .. } => Some(error.clone()),
        _ => None,
    });
    errors.collect()
}

#[test]
fn what_a_session_asks_for_again_and_again_is_bounded() {
    let mut bench = Bench::new();
    let registration = bench.registered(1, "a", Policy::First);
    bench.stands_still = true;
    for _ in 0..PER_SESSION_MAX {
        assert_eq!(refusals(&bench.register(1, "a", Policy::First, true)), []);
    }
    let too_many = RegisterError::TooMany { max: PER_SESSION_MAX };
    assert_eq!(refusals(&bench.register(1, "a", Policy::First, true)), [too_many]);
    let written = bench.written.len();
    let refused: Vec<_> = (0..100)
        .flat_map(|request| refusals(&bench.step(unregister(1, 1000 + request, registration))))
        .collect();
    assert_eq!((refused.len(), bench.written.len()), (84, written + 1));
    assert!(matches!(refused[0], RegisterError::Unavailable(_)), "{refused:?}");
    let fx = go_on(&mut bench);
    let told = fx.told.iter().filter(|(_, told)| matches!(told, CallTold::Unregistered { .. }));
    assert_eq!(told.count(), 16);
    assert_eq!(bench.callees("r", "a"), [1], "it was made anew, and that was not left");
}

#[test]
fn where_too_many_records_wait_for_room_nobody_registers_and_all_may_leave() {
    let mut bench = Bench::new();
    let registration = bench.registered(1, "a", Policy::First);
    bench.stands_still = true;
    bench.step(Input::Unsent { records: 1023 });
    assert_eq!(refusals(&bench.register(2, "a", Policy::First, false)), []);
    bench.step(Input::Unsent { records: 1024 });
    let full = refusals(&bench.register(3, "a", Policy::First, false));
    let [RegisterError::Unavailable(why)] = &full[..] else { panic!("{full:?}") };
    assert!(why.contains("limits.entry-unacknowledged-bytes-max"), "{why}");
    assert!(bench.registrar.refuses_all().is_some());
    bench.step(unregister(1, 9, registration));
    bench.step(Input::Closed { session: SessionId(2) });
    assert_eq!(bench.written.len(), 3);
    bench.step(Input::Unsent { records: 0 });
    assert_eq!(refusals(&bench.register(3, "a", Policy::First, false)), []);
}

#[test]
fn a_realm_has_its_bound_and_what_is_there_may_get_callees() {
    let mut bench = Bench::with(RegistrationLimits { per_realm_max: 2, ..LIMITS });
    bench.registered(1, "a", Policy::First);
    bench.registered(2, "b", Policy::First);
    let refused = refusals(&bench.register(3, "c", Policy::First, false));
    assert_eq!(refused, [RegisterError::TooManyOfRealm { max: 2 }]);
    bench.registered(3, "b", Policy::First);
    bench.registered(4, "c", Policy::First);
    // Those that are on their way count.
    let mut bench = Bench::with(RegistrationLimits { per_realm_max: 2, ..LIMITS });
    bench.stands_still = true;
    bench.register(1, "a", Policy::First, false);
    bench.register(2, "b", Policy::First, false);
    let refused = refusals(&bench.register(3, "c", Policy::First, false));
    assert_eq!(refused, [RegisterError::TooManyOfRealm { max: 2 }]);
}

#[test]
fn a_place_that_is_taken_back_under_its_session_is_told() {
    let mut bench = given_up(Policy::First);
    bench.register(1, "a", Policy::Random, false);
    bench.register(1, "a", Policy::First, false);
    let fx = go_on(&mut bench);
    let has_it = bench.callees("r", "a") == [1];
    let told: Vec<_> = fx.told.iter().map(|(_, told)| told).collect();
    let is_revoked = told.iter().any(|told| matches!(told, CallTold::Revoked { .. }));
    let registered = told.iter().filter(|told| matches!(told, CallTold::Registered { .. }));
    assert!(registered.count() > 0, "{told:?}");
    assert!(has_it || is_revoked, "it is a callee, or was told that it is none: {told:?}");
}

#[test]
fn what_is_read_again_is_no_news() {
    let mut bench = Bench::seeking(LIMITS);
    bench.stands_still = true;
    for input in [follower::Input::Begin, follower::Input::EarlierRead { is_all: true }] {
        bench.step(Input::View(input));
    }
    let other = Life { owner: OwnerId(uuid::Uuid::from_u128(8)), number: 1 };
    let hear = |bench: &mut Bench, said| {
        let mut fx = Effects::default();
        bench.read(&Record { writer: other, said }, &mut fx);
        fx.changes.len()
    };
    let facts =
        Facts { name: "E2".parse().expect("a name"), link_address: None, reads: Reads::HERE };
    assert_eq!(hear(&mut bench, Said::Life(facts)), 0);
    let register = |uri: &str| {
        Said::Register(record::Register {
            number: 1,
            session: 1,
            pattern: TopicPattern::new("r", uri, Match::Exact),
            invoke: record::Invoke::Single,
            is_forced: false,
            keeps_timeouts: false,
        })
    };
    assert_eq!(hear(&mut bench, register("a")), 0);
    bench.step(Input::View(follower::Input::Joined));
    assert!(hear(&mut bench, register("b")) > 0, "this is news");
}

#[test]
fn it_is_applied_so_far_as_records_go() {
    let mut bench = Bench::new();
    bench.registered(1, "a", Policy::First);
    let below = bench.registrar.applied_below();
    assert_eq!(below, bench.position.plus(1));
    let passed = follower::Input::Passed { below: Position(1000), at: NOW };
    bench.step(Input::View(passed));
    assert_eq!(bench.registrar.applied_below(), below);
    assert_eq!(bench.registrar.view().applied_below(), Position(1000));
}

#[test]
fn who_stops_ends_all_that_is_registered_with_its_life_and_tells_nobody_else() {
    let mut bench = Bench::new();
    bench.registered(1, "a", Policy::Single);
    bench.stands_still = true;
    bench.register_by(2, ("b", Match::Prefix), Policy::First, false);
    bench.step(Input::Stop);
    let Some(Record { said: Said::Gone(Gone { life, why }), .. }) = bench.written.back() else {
        panic!("{:?}", bench.written);
    };
    assert_eq!((*life, *why), (bench.registrar.life(), GoneWhy::Stops));
    let refused = refusals(&bench.register(3, "c", Policy::First, false));
    assert_eq!(refused, [RegisterError::Unavailable("the entry is about to stop".into())]);
    let written = bench.written.len();
    bench.step(Input::Stop);
    bench.step(Input::Closed { session: SessionId(3) });
    assert_eq!(bench.written.len(), written);
    let fx = go_on(&mut bench);
    let [(SessionId(2), CallTold::Registered { .. })] = fx.told[..] else { panic!("{fx:?}") };
    assert!(bench.registrar.view().is_empty() && !bench.registrar.is_awaited());
    assert!(!bench.registrar.is_ready() && bench.registrar.waits_for().is_some());
    bench.step(Input::Closed { session: SessionId(1) });
    assert!(bench.written.is_empty(), "it has said so of all");
}
