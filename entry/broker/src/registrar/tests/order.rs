//! What becomes of callees where the order does not answer at once, or has something else to say.

use vixen_views::record::{Gone, GoneWhy, UnregisterWhy};
use vixen_views::registrations::Registrations;

use super::*;

pub(super) fn life(owner: u128, number: u32) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number }
}

pub(super) fn born(owner: u128, name: &str) -> Record {
    let name = name.parse().expect("a name");
    let facts = Facts { name, link_address: None, reads: Reads::HERE };
    Record { writer: life(owner, 1), said: Said::Life(facts) }
}

pub(super) fn registers(owner: u128, uri: &str) -> Record {
    let said = record::Register {
        number: 1,
        session: 1,
        pattern: TopicPattern::new("r", uri, Match::Exact),
        invoke: record::Invoke::Single,
        is_forced: false,
        keeps_timeouts: false,
    };
    Record { writer: life(owner, 1), said: Said::Register(said) }
}

impl Bench {
    /// A record of another entry.
    pub(super) fn hear(&mut self, record: &Record) -> Effects {
        let mut fx = Effects::default();
        self.read(record, &mut fx);
        self.written.extend(fx.records.drain(..));
        if !self.stands_still {
            self.place(&mut fx);
        }
        fx
    }

    pub(super) fn wait(&mut self, more: Duration) -> Effects {
        self.now += more;
        self.step(Input::Timeout { missing: "a quorum".into() })
    }

    pub(super) fn go_on(&mut self) -> Effects {
        self.stands_still = false;
        let mut fx = Effects::default();
        self.place(&mut fx);
        fx
    }
}

pub(super) fn errors(fx: &Effects) -> Vec<(u64, CalleeRequest, RegisterError)> {
    let errors = fx.told.iter().filter_map(|(to, told)| match told {
        CallTold::Refused { kind, error, .. } => Some((to.0, *kind, error.clone())),
        _ => None,
    });
    errors.collect()
}

pub(super) fn no_quorum() -> RegisterError {
    RegisterError::NoQuorum { waited_ms: 5_000, missing: "a quorum".into() }
}

#[test]
fn before_the_view_is_ready_nobody_registers_and_nothing_is_found() {
    let mut bench = Bench::seeking(LIMITS);
    bench.step(Input::Opened { info: info(1, "r") });
    let fx = bench.register(1, "a", Policy::Single, false);
    assert!(matches!(
        errors(&fx)[..],
        [(1, CalleeRequest::Register, RegisterError::Unavailable(_))]
    ));
    assert!(bench.registrar.find(&Topic::new("r", "a")).is_err());
    assert!(bench.written.is_empty());
}

#[test]
fn a_register_is_answered_when_its_record_has_its_place() {
    let mut bench = Bench::new();
    bench.stands_still = true;
    let fx = bench.register(1, "a", Policy::Single, false);
    assert!(fx.told.is_empty() && bench.registrar.is_awaited());
    assert!(bench.callees("r", "a").is_empty());
    let fx = bench.go_on();
    let [(SessionId(1), CallTold::Registered { registration, .. })] = fx.told[..] else {
        panic!("{:?}", fx.told);
    };
    assert_eq!(registration.0, bench.position.0, "the position of the record");
    assert_eq!(bench.registrar.timeout_at(), None);
}

#[test]
fn of_two_entries_the_first_in_the_order_has_it() {
    let mut bench = Bench::new();
    bench.stands_still = true;
    bench.hear(&born(8, "E2"));
    bench.register(1, "a", Policy::Single, false);
    bench.hear(&registers(8, "a"));
    let fx = bench.go_on();
    let exists = RegisterError::AlreadyExists("a".into());
    assert_eq!(errors(&fx), [(1, CalleeRequest::Register, exists)]);
    let route = bench.registrar.find(&Topic::new("r", "a")).expect("a view").expect("it");
    let owners: Vec<_> =
        bench.registrar.callees(route.registration).map(|(_, callee)| callee.owner).collect();
    assert_eq!(owners, [life(8, 1).owner]);
}

#[test]
fn without_a_quorum_it_is_refused_and_taken_back_when_it_is_placed_after_all() {
    let mut bench = Bench::new();
    bench.stands_still = true;
    bench.register(1, "a", Policy::Single, false);
    let early = Duration::from_millis(1);
    assert!(errors(&bench.wait(TIMEOUT - early)).is_empty());
    let fx = bench.wait(early);
    assert_eq!(errors(&fx), [(1, CalleeRequest::Register, no_quorum())]);
    let fx = bench.go_on();
    assert!(fx.told.is_empty() && bench.callees("r", "a").is_empty());
    assert!(!fx.dealer.iter().any(|input| matches!(input, dealer::Input::Serves { .. })));
    assert!(!bench.registrar.is_awaited());
    bench.registered(2, "a", Policy::Single);
}

#[test]
fn what_is_taken_back_says_why() {
    let mut bench = Bench::new();
    bench.stands_still = true;
    bench.register(1, "a", Policy::Single, false);
    bench.wait(TIMEOUT);
    let register = bench.written.pop_front().expect("a record");
    bench.hear(&register);
    let Some(Record { said: Said::Unregister(unregister), .. }) = bench.written.front() else {
        panic!("{:?}", bench.written);
    };
    assert_eq!(unregister.why, UnregisterWhy::Refused);
}

#[test]
fn who_unregisters_is_not_called_from_then_on_and_answered_in_time() {
    let mut bench = Bench::new();
    let registration = bench.registered(1, "a", Policy::Single);
    bench.stands_still = true;
    let unregister = |request| Input::Unregister {
        session: SessionId(1),
        request: RequestId(request),
        registration,
    };
    let fx = bench.step(unregister(8));
    assert!(matches!(fx.dealer[..], [dealer::Input::Leaves { session: SessionId(1), .. }]));
    assert!(bench.step(unregister(9)).told.is_empty() && fx.told.is_empty());
    let fx = bench.wait(TIMEOUT);
    let refused = (1, CalleeRequest::Unregister, no_quorum());
    assert_eq!(errors(&fx), [refused.clone(), refused]);
    assert!(bench.step(unregister(10)).told.is_empty(), "it is on its way");
    let fx = bench.go_on();
    assert!(matches!(fx.told[..], [(_, CallTold::Unregistered { request: RequestId(10) })]));
    assert!(bench.callees("r", "a").is_empty());
}

#[test]
fn a_session_that_ends_before_its_register_is_placed_is_no_callee() {
    let mut bench = Bench::new();
    bench.stands_still = true;
    bench.register_by(1, ("a", Match::Prefix), Policy::Single, false);
    bench.step(Input::Closed { session: SessionId(1) });
    assert!(!bench.registrar.is_awaited());
    let fx = bench.go_on();
    assert!(fx.told.is_empty() && bench.callees("r", "a").is_empty());
}

#[test]
fn bounds_hold_for_what_is_on_its_way() {
    let mut bench = Bench::with(RegistrationLimits { patterns_per_realm_max: 2, ..LIMITS });
    bench.stands_still = true;
    for (session, uri) in [(1, "a"), (2, "b"), (4, "c")] {
        let fx = bench.register_by(session, (uri, Match::Prefix), Policy::Single, false);
        assert!(fx.told.is_empty(), "{fx:?}");
    }
    let fx = bench.register_by(3, ("e", Match::Prefix), Policy::Single, false);
    let of_realm = RegisterError::TooManyPatterns { holder: Holder::Realm, max: 2 };
    assert_eq!(errors(&fx), [(3, CalleeRequest::Register, of_realm)]);
    for _ in 0..PER_SESSION_MAX {
        bench.register(3, "f", Policy::First, false);
    }
    let too_many = RegisterError::TooMany { max: PER_SESSION_MAX };
    let fx = bench.register(3, "g", Policy::First, false);
    assert_eq!(errors(&fx), [(3, CalleeRequest::Register, too_many)]);
}

#[test]
fn so_does_the_bound_of_steps() {
    let mut bench = Bench::with(RegistrationLimits { wildcard_steps_max: 4, ..LIMITS });
    bench.stands_still = true;
    let mut by_wildcard = |session, uri: &str| {
        errors(&bench.register_by(session, (uri, Match::Wildcard), Policy::Single, false))
    };
    assert!(by_wildcard(1, "a..c").is_empty());
    let shapes = RegisterError::TooManyShapes { max: 4 };
    assert_eq!(by_wildcard(1, ".b.c"), [(1, CalleeRequest::Register, shapes)]);
    assert!(by_wildcard(4, ".b.c").is_empty(), "of another realm");
}

#[test]
fn a_life_that_was_called_gone_registers_anew_in_the_next_and_ids_stay() {
    let mut bench = Bench::new();
    bench.hear(&born(8, "E2"));
    bench.link(8, EntryLink::Up);
    let single = bench.registered(1, "a", Policy::Single);
    let taken = bench.registered(2, "b", Policy::Single);
    let pattern = bench.register_by(1, ("c", Match::Prefix), Policy::First, false);
    assert_eq!(pattern.told.len(), 1);
    bench.stands_still = true;
    let gone = Gone { life: life(7, 1), why: GoneWhy::NotHeard };
    let fx = bench.hear(&Record { writer: life(8, 1), said: Said::Gone(gone) });
    assert!(fx.told.is_empty() && !bench.registrar.is_ready());
    bench.hear(&registers(8, "b"));
    let fx = bench.go_on();
    assert_eq!(bench.registrar.life(), life(7, 2));
    let revoked = |told: &[(SessionId, CallTold)]| match told {
        [(SessionId(2), CallTold::Revoked { registration })] => Some(*registration),
        _ => None,
    };
    assert_eq!(revoked(&fx.told), Some(taken), "another has it by now: {:?}", fx.told);
    assert_eq!((bench.callees("r", "a"), bench.callees("r", "cd")), (vec![1], vec![1]));
    let served = fx.dealer.iter().filter_map(|input| match input {
        dealer::Input::Serves { registration, terms, .. } => Some((*registration, terms.told)),
        _ => None,
    });
    let served: Vec<_> = served.collect();
    assert_eq!(served[0].1, single);
    assert!(served[0].0.0 > single.0, "and a new one for what is fenced by it");
    // It is left by what it was told.
    let (session, request) = (SessionId(1), RequestId(9));
    let fx = bench.step(Input::Unregister { session, request, registration: single });
    assert!(matches!(fx.told[..], [(_, CallTold::Unregistered { .. })]), "{fx:?}");
    assert!(bench.callees("r", "a").is_empty());
}

#[test]
fn a_process_that_begins_ends_those_that_had_its_name() {
    let mut bench = Bench::seeking(LIMITS);
    bench.stands_still = true;
    for input in [follower::Input::Begin, follower::Input::EarlierRead { is_all: true }] {
        bench.step(Input::View(input));
    }
    for record in [born(5, "E1"), registers(5, "a"), born(8, "E2"), registers(8, "b")] {
        bench.hear(&record);
    }
    bench.step(Input::View(follower::Input::Joined));
    bench.go_on();
    let view: &Registrations = bench.registrar.view();
    let lives: Vec<_> = view.lives().map(|living| living.life).collect();
    assert_eq!(lives, [life(7, 1), life(8, 1)]);
    assert_eq!(view.len(), 1, "of who is no more nothing is left");
    bench.step(Input::Opened { info: info(1, "r") });
    bench.registered(1, "a", Policy::Single);
}

#[test]
fn who_had_the_name_before_is_in_nobodys_way_before_its_end_is_read() {
    let mut bench = Bench::seeking(LIMITS);
    for input in [follower::Input::Begin, follower::Input::EarlierRead { is_all: true }] {
        bench.step(Input::View(input));
    }
    for record in [born(5, "E1"), registers(5, "a")] {
        bench.hear(&record);
    }
    bench.link(5, EntryLink::Up);
    bench.stands_still = true;
    bench.step(Input::View(follower::Input::Joined));
    let own_life = bench.written.pop_front().expect("a record");
    bench.hear(&own_life);
    bench.step(Input::Opened { info: info(1, "r") });
    let before = bench.written.len();
    let fx = bench.register(1, "a", Policy::Single, false);
    assert_eq!((fx.told.len(), bench.written.len()), (0, before + 1), "behind its end");
    let fx = bench.go_on();
    assert!(matches!(fx.told[..], [(SessionId(1), CallTold::Registered { .. })]), "{fx:?}");
}

/// One of the name that is being read, begins and is ready.
fn begins_beside(others: &[Record]) -> (Bench, Effects) {
    let mut bench = Bench::seeking(LIMITS);
    for input in [follower::Input::Begin, follower::Input::EarlierRead { is_all: true }] {
        bench.step(Input::View(input));
    }
    for record in others {
        bench.hear(record);
    }
    let fx = bench.step(Input::View(follower::Input::Joined));
    (bench, fx)
}

fn lives(bench: &Bench) -> Vec<Life> {
    bench.registrar.view().lives().map(|living| living.life).collect()
}

/// It was begun first and stood still; the operator had begun another in its place, which lost all its callees.
#[test]
fn a_process_that_is_ready_late_ends_none_that_has_its_name_since() {
    let (bench, fx) = begins_beside(&[born(5, "E1"), born(9, "E1"), registers(9, "a")]);
    assert_eq!(lives(&bench), [life(7, 1), life(9, 1)]);
    assert_eq!(bench.registrar.view().len(), 1, "whose callees stay");
    assert!(fx.notes.contains(&Note::Newer(life(9, 1))), "{fx:?}");
    assert!(!fx.notes.contains(&Note::Newer(life(5, 1))), "{fx:?}");
}

/// The clock of the one before ran ahead: it is no more, and seems to have begun later.
#[test]
fn one_that_seems_to_have_begun_later_is_ended_as_soon_as_sync_nodes_have_no_link_to_it() {
    let (mut bench, _) = begins_beside(&[born(9, "E1"), registers(9, "a")]);
    let fx = bench.wait(Duration::ZERO);
    assert_eq!(fx.asks, [(1, life(9, 1).owner)], "at once");
    let said = HeardOf { is_linked: false, silent_ms: 1 };
    for node in [0, 1] {
        bench.step(Input::Heard { from: vixen_core::id::SyncId(node), request: 1, said });
    }
    bench.wait(Duration::ZERO);
    assert_eq!(lives(&bench), [life(7, 1)]);
    assert!(bench.registrar.view().is_empty());
}

#[test]
fn others_are_told_that_a_callee_keeps_timeouts_if_it_announced_that_and_asks_for_it() {
    for (announced, asked) in [(true, true), (true, false), (false, true)] {
        let mut bench = Bench::new();
        let mut of = (*info(5, "r")).clone();
        of.calls = CallFeatures { keeps_timeouts: announced, ..CallFeatures::default() };
        bench.step(Input::Opened { info: Arc::new(of) });
        let register = Register {
            request: RequestId(1),
            procedure: "a".into(),
            matching: Match::Exact,
            invoke: Policy::First,
            concurrency: None,
            is_forced: false,
            is_disclosed: true,
            forwards_timeout: asked,
        };
        bench.step(Input::Register { session: SessionId(5), register });
        let place = bench.position;
        assert_eq!(bench.registrar.keeps_timeouts(place, place), announced && asked);
    }
}
