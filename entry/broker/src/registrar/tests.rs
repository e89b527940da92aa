mod again;
mod asked;
mod holders;
mod order;
mod suspects;
mod tenure;

use std::num::NonZeroU32;

use vixen_core::segment::{Match, Topic};
use vixen_core::time::WallTime;
use vixen_views::follower;

use super::*;
use crate::api::calls::{CallFeatures, Invoke as Policy};
use crate::api::{Holder, Origin};
use crate::dealer::Routes as _;
use vixen_views::record::{COMPONENTS_MAX, NotRegistrable};

const NOW: WallTime = WallTime(1_795_255_200_000);
const TIMEOUT: Duration = Duration::from_secs(5);
const PER_SESSION_MAX: usize = 3;
const LIMITS: RegistrationLimits = RegistrationLimits {
    per_session_max: PER_SESSION_MAX,
    per_realm_max: usize::MAX,
    patterns_per_session_max: usize::MAX,
    patterns_per_address_max: usize::MAX,
    patterns_per_site_max: usize::MAX,
    patterns_per_realm_max: usize::MAX,
    patterns_per_entry_max: usize::MAX,
    wildcard_steps_max: usize::MAX,
};

fn info(session: u64, realm: &str) -> Arc<SessionInfo> {
    Arc::new(SessionInfo {
        session: SessionId(session),
        realm: realm.into(),
        authid: "joe".into(),
        authrole: "user".into(),
        authmethod: "ticket",
        authprovider: "static",
        origin: Origin { client: [127, 0, 0, 1].into(), site: None },
        is_announced: true,
        calls: CallFeatures::default(),
    })
}

/// A registrar with sessions 1 to 3 of realm `r`, and 4 of another. What it writes gets its place at once, unless
/// the order stands still.
struct Bench {
    registrar: Registrar,
    requests: u64,
    now: Instant,
    /// Of the last record.
    position: Position,
    /// Written, and without a place.
    written: VecDeque<Record>,
    stands_still: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: RegistrationLimits) -> Self {
        let mut bench = Self::seeking(limits);
        assert!(!bench.registrar.is_ready());
        let all_read = [
            follower::Input::Begin,
            follower::Input::EarlierRead { is_all: true },
            follower::Input::Joined,
        ];
        for input in all_read {
            bench.step(Input::View(input));
        }
        assert!(bench.registrar.is_ready());
        for (session, realm) in [(1, "r"), (2, "r"), (3, "r"), (4, "other")] {
            let fx = bench.step(Input::Opened { info: info(session, realm) });
            assert!(fx.told.is_empty() && fx.dealer.is_empty());
        }
        bench
    }

    /// One that has read nothing yet.
    fn seeking(limits: RegistrationLimits) -> Self {
        let owner = OwnerId(uuid::Uuid::from_u128(7));
        let name = "E1".parse().expect("a name");
        let options = RegistrarOptions {
            owner,
            name,
            link_address: None,
            membership: Membership::sized(3, [1], 1),
            limits,
            timeout: TIMEOUT,
            part_bytes_max: usize::MAX,
            is_alone: true,
        };
        Self {
            registrar: Registrar::new(options),
            requests: 0,
            now: Instant::now(),
            position: Position(0),
            written: VecDeque::new(),
            stands_still: false,
        }
    }

    /// What comes of an input, and of the records that it has written.
    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.registrar.step(self.now, input, &mut fx);
        self.written.extend(fx.records.drain(..));
        if !self.stands_still {
            self.place(&mut fx);
        }
        fx.dealer
            .retain(|input| !matches!(input, dealer::Input::Applied | dealer::Input::View { .. }));
        fx
    }

    /// All that is written gets its place, and the view is known to be complete where that is asked.
    fn place(&mut self, fx: &mut Effects) {
        loop {
            while let Some(record) = self.written.pop_front() {
                self.read(&record, fx);
                self.written.extend(fx.records.drain(..));
            }
            let input = if std::mem::take(&mut fx.is_asking) {
                Input::Complete { up_to: self.registrar.last_number(), is_known: true }
            } else {
                let Some(due) = self.registrar.asked.due_at() else { return };
                self.now = self.now.max(due);
                Input::Timeout { missing: "nothing".into() }
            };
            self.registrar.step(self.now, input, fx);
            self.written.extend(fx.records.drain(..));
        }
    }

    /// The order has a record more.
    fn read(&mut self, record: &Record, fx: &mut Effects) {
        self.position = self.position.plus(1);
        let message = follower::Input::Message {
            position: self.position,
            at: NOW,
            topic: record.topic().uri,
            payload: record.to_bytes().into(),
        };
        self.registrar.step(self.now, Input::View(message), fx);
    }

    fn register(&mut self, session: u64, uri: &str, invoke: Policy, is_forced: bool) -> Effects {
        self.register_by(session, (uri, Match::Exact), invoke, is_forced)
    }

    fn register_by(
        &mut self,
        session: u64,
        (uri, matching): (&str, Match),
        invoke: Policy,
        is_forced: bool,
    ) -> Effects {
        self.requests += 1;
        let register = Register {
            request: RequestId(self.requests),
            procedure: uri.into(),
            matching,
            invoke,
            concurrency: NonZeroU32::new(2),
            is_forced,
            is_disclosed: true,
            forwards_timeout: false,
        };
        self.step(Input::Register { session: SessionId(session), register })
    }

    /// Registers, and the id that is told.
    fn registered(&mut self, session: u64, uri: &str, invoke: Policy) -> RegistrationId {
        let fx = self.register(session, uri, invoke, false);
        match &fx.told[..] {
            [(to, CallTold::Registered { registration, .. })] if to.0 == session => *registration,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, session: u64, uri: &str, invoke: Policy) -> RegisterError {
        let fx = self.register(session, uri, invoke, false);
        assert!(fx.dealer.is_empty());
        match &fx.told[..] {
            [(_, CallTold::Refused { kind: CalleeRequest::Register, error, .. })] => error.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn callees(&self, realm: &str, uri: &str) -> Vec<u64> {
        let route = self.registrar.find(&Topic::new(realm, uri)).expect("a view");
        let callees = route.into_iter().flat_map(|route| {
            self.registrar.callees(route.registration).map(|(_, callee)| callee.session.0)
        });
        callees.collect()
    }
}

#[test]
fn a_callee_is_told_its_id_and_the_dealer_what_was_agreed() {
    let mut bench = Bench::new();
    let fx = bench.register(1, "a.b", Policy::Single, false);
    let [(SessionId(1), CallTold::Registered { request: RequestId(1), registration })] =
        fx.told[..]
    else {
        panic!("{:?}", fx.told);
    };
    let [dealer::Input::Serves { session: SessionId(1), registration: at, terms }] = fx.dealer[..]
    else {
        panic!("{:?}", fx.dealer);
    };
    assert_eq!((at.0, terms.told), (registration.0, registration));
    assert_eq!((terms.concurrency, terms.is_disclosed), (NonZeroU32::new(2), true));
    assert_eq!(bench.callees("r", "a.b"), [1]);
    assert!(bench.callees("other", "a.b").is_empty(), "of its realm alone");
}

#[test]
fn policies_are_agreed_on_and_ids_rise() {
    let mut bench = Bench::new();
    let exists = RegisterError::AlreadyExists("single".into());
    let policy = Some(Policy::RoundRobin);
    let other = RegisterError::OtherPolicy { procedure: "shared".into(), policy };
    let first = bench.registered(1, "single", Policy::Single);
    assert_eq!(bench.refused(1, "single", Policy::Single), exists);
    assert_eq!(bench.refused(2, "single", Policy::RoundRobin), exists);
    let shared = bench.registered(1, "shared", Policy::RoundRobin);
    assert!(shared > first);
    assert_eq!(bench.refused(2, "shared", Policy::Single), other);
    assert_eq!(bench.registered(2, "shared", Policy::RoundRobin), shared);
    assert_eq!(bench.registered(1, "shared", Policy::RoundRobin), shared, "it has its place");
    assert_eq!(bench.callees("r", "shared"), [1, 2]);
    assert!(bench.registered(4, "single", Policy::Single) > shared, "another realm");
}

#[test]
fn force_unseats_all_and_tells_them() {
    let mut bench = Bench::new();
    let before = bench.registered(1, "a", Policy::First);
    bench.registered(2, "a", Policy::First);
    let fx = bench.register(3, "a", Policy::Single, true);
    let told: Vec<_> = fx.told.iter().map(|(to, told)| (to.0, format!("{told:?}"))).collect();
    let revoked = format!("{:?}", CallTold::Revoked { registration: before });
    assert_eq!(told[..2], [(1, revoked.clone()), (2, revoked)]);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(bench.callees("r", "a"), [3]);
}

#[test]
fn a_registration_is_left_by_who_holds_it_and_nobody_else() {
    let mut bench = Bench::new();
    let registration = bench.registered(1, "a", Policy::Single);
    let unregister = |session| Input::Unregister {
        session: SessionId(session),
        request: RequestId(9),
        registration,
    };
    let fx = bench.step(unregister(2));
    assert!(matches!(
        fx.told[..],
        [(SessionId(2), CallTold::Refused { error: RegisterError::NoSuchRegistration, .. })]
    ));
    let fx = bench.step(unregister(1));
    assert!(matches!(
        fx.told[..],
        [(SessionId(1), CallTold::Unregistered { request: RequestId(9) })]
    ));
    assert!(matches!(
        fx.dealer[..],
        [
            dealer::Input::Leaves { session: SessionId(1), .. },
            dealer::Input::RegistrationEnded { .. }
        ]
    ));
    assert!(bench.callees("r", "a").is_empty());
    assert!(matches!(bench.step(unregister(1)).told[..], [(_, CallTold::Refused { .. })]));
}

#[test]
fn a_callee_that_is_hidden_is_so_to_the_dealer() {
    let mut bench = Bench::new();
    let registration = bench.registered(1, "a", Policy::Single);
    let fx = bench.step(Input::Hide { session: SessionId(1), registration });
    let [dealer::Input::Serves { session: SessionId(1), registration: at, terms }] = fx.dealer[..]
    else {
        panic!("{:?}", fx.dealer);
    };
    assert_eq!((at.0, terms.is_disclosed), (registration.0, false));
    assert_eq!(terms.concurrency, NonZeroU32::new(2), "the rest stays");
    let fx = bench.step(Input::Hide { session: SessionId(2), registration });
    assert!(fx.dealer.is_empty() && fx.told.is_empty(), "of another session: {fx:?}");
}

#[test]
fn a_session_that_ends_leaves_everything_and_is_told_nothing() {
    let mut bench = Bench::new();
    bench.registered(1, "a", Policy::Single);
    bench.registered(1, "b", Policy::Last);
    bench.registered(2, "b", Policy::Last);
    let fx = bench.step(Input::Closed { session: SessionId(1) });
    assert!(fx.told.is_empty());
    assert_eq!(bench.callees("r", "a"), [0; 0]);
    assert_eq!(bench.callees("r", "b"), [2]);
    // What it has said and was not looked at.
    assert!(bench.register(1, "c", Policy::Single, false).told.is_empty());
    assert!(bench.callees("r", "c").is_empty());
}

/// It was "the entry's view of registrations stands still".
#[test]
fn a_wildcard_of_very_many_components_is_an_invalid_uri() {
    let mut bench = Bench::new();
    let mut register = |components: usize| {
        let register = Register {
            request: RequestId(1),
            procedure: ".".repeat(components - 1).into(),
            matching: Match::Wildcard,
            invoke: Policy::Single,
            concurrency: None,
            is_forced: false,
            is_disclosed: false,
            forwards_timeout: false,
        };
        let fx = bench.step(Input::Register { session: SessionId(1), register });
        fx.told.into_iter().map(|(_, told)| told).collect::<Vec<_>>()
    };
    let max = COMPONENTS_MAX;
    let told = register(max + 1);
    let error = RegisterError::Invalid(NotRegistrable::Deep { components: max + 1, max });
    let (request, kind) = (RequestId(1), CalleeRequest::Register);
    assert_eq!(told, [CallTold::Refused { request, kind, error }]);
    assert!(matches!(register(max)[..], [CallTold::Registered { .. }]));
}

#[test]
fn registrations_of_a_session_are_bounded() {
    let mut bench = Bench::new();
    for uri in ["a", "b", "c"] {
        bench.registered(1, uri, Policy::Single);
    }
    let too_many = RegisterError::TooMany { max: PER_SESSION_MAX };
    assert_eq!(bench.refused(1, "d", Policy::Single), too_many);
    bench.registered(2, "d", Policy::Single);
}

#[test]
fn what_a_session_has_registered_it_may_register_again_at_the_bound() {
    let limits = RegistrationLimits { patterns_per_session_max: 1, ..LIMITS };
    let mut bench = Bench::with(limits);
    let shared = bench.registered(1, "a", Policy::First);
    let pattern = ("b", Match::Prefix);
    bench.register_by(1, pattern, Policy::First, false);
    bench.registered(1, "c", Policy::Single);
    assert_eq!(bench.registered(1, "a", Policy::First), shared);
    let fx = bench.register_by(1, pattern, Policy::First, false);
    assert!(matches!(fx.told[..], [(_, CallTold::Registered { .. })]), "{fx:?}");
    let fx = bench.register_by(1, pattern, Policy::First, true);
    assert!(matches!(fx.told[..], [.., (_, CallTold::Registered { .. })]), "{fx:?}");
    // It has none more by that.
    let too_many = RegisterError::TooMany { max: PER_SESSION_MAX };
    assert_eq!(bench.refused(1, "d", Policy::Single), too_many);
}

#[test]
fn procedures_of_the_router_are_matched_by_no_pattern() {
    let mut bench = Bench::new();
    let patterns =
        [("", Match::Prefix), ("wam", Match::Prefix), (".session.count", Match::Wildcard)];
    for (session, pattern) in (1..).zip(patterns) {
        let fx = bench.register_by(session, pattern, Policy::Single, false);
        assert!(matches!(fx.told[..], [(_, CallTold::Registered { .. })]), "{pattern:?}: {fx:?}");
    }
    for reserved in ["wamp", "wamp.session.count", "wamp.registration.list"] {
        assert!(bench.callees("r", reserved).is_empty(), "{reserved}");
    }
    assert_eq!(bench.callees("r", "wampum.session"), [2]);
    assert_eq!(bench.callees("r", "x.session.count"), [1], "a prefix, and the empty one is one");
}

/// Bounds of 2 for one holder; sessions 1 to 3 are of realm `r`, session 4 of another, all of one address.
#[test]
fn patterns_are_bounded_by_who_has_them_and_exact_procedures_are_not() {
    let of = |holder| RegisterError::TooManyPatterns { holder, max: 2 };
    let bounds = [
        (
            RegistrationLimits { patterns_per_session_max: 2, ..LIMITS },
            [1, 1, 1],
            2,
            RegisterError::TooManyPatternsOfSession { max: 2 },
        ),
        (
            RegistrationLimits { patterns_per_address_max: 2, ..LIMITS },
            [1, 2, 4],
            0,
            of(Holder::Address),
        ),
        (
            RegistrationLimits { patterns_per_realm_max: 2, ..LIMITS },
            [1, 2, 3],
            4,
            of(Holder::Realm),
        ),
        (
            RegistrationLimits { patterns_per_entry_max: 2, ..LIMITS },
            [1, 2, 4],
            0,
            of(Holder::Entry),
        ),
    ];
    for (limits, sessions, free, error) in bounds {
        let mut bench = Bench::with(limits);
        let mut by_pattern = |session, uri| {
            let fx = bench.register_by(session, (uri, Match::Prefix), Policy::Single, false);
            match &fx.told[..] {
                [(_, CallTold::Registered { registration, .. })] => Ok(*registration),
                [(_, CallTold::Refused { error, .. })] => Err(error.clone()),
                other => panic!("{other:?}"),
            }
        };
        let first = by_pattern(sessions[0], "a").expect("below the bound");
        by_pattern(sessions[1], "b").expect("below the bound");
        assert_eq!(by_pattern(sessions[2], "c"), Err(error.clone()));
        if free > 0 {
            by_pattern(free, "d").expect("the bound of another");
        }
        bench.registered(sessions[2], "c", Policy::Single);
        // What is left is free again.
        bench.step(Input::Unregister {
            session: SessionId(sessions[0]),
            request: RequestId(9),
            registration: first,
        });
        let fx = bench.register_by(sessions[2], ("c", Match::Prefix), Policy::Single, false);
        assert!(matches!(fx.told[..], [(_, CallTold::Registered { .. })]), "{error}: {fx:?}");
    }
}

#[test]
fn patterns_of_a_session_that_ends_are_free_again() {
    let mut bench = Bench::with(RegistrationLimits { patterns_per_entry_max: 1, ..LIMITS });
    bench.register_by(1, ("a", Match::Prefix), Policy::Single, false);
    bench.step(Input::Closed { session: SessionId(1) });
    let fx = bench.register_by(2, ("b", Match::Prefix), Policy::Single, false);
    assert!(matches!(fx.told[..], [(_, CallTold::Registered { .. })]), "{fx:?}");
    // Forced: who had it leaves, and the next one counts.
    let fx = bench.register_by(2, ("c", Match::Prefix), Policy::Single, false);
    assert!(matches!(fx.told[..], [(_, CallTold::Refused { .. })]), "{fx:?}");
}

#[test]
fn wildcards_are_bounded_by_their_shapes_and_their_depth() {
    let mut bench = Bench::with(RegistrationLimits { wildcard_steps_max: 4, ..LIMITS });
    let mut by_wildcard = |uri: &str| {
        let fx = bench.register_by(1, (uri, Match::Wildcard), Policy::Single, false);
        match &fx.told[..] {
            [(_, CallTold::Registered { .. })] => Ok(()),
            [(_, CallTold::Refused { error, .. })] => Err(error.clone()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(by_wildcard("a..c"), Ok(()));
    assert_eq!(by_wildcard("d..f"), Ok(()), "of the same shape");
    let shapes = Err(RegisterError::TooManyShapes { max: 4 });
    assert_eq!(by_wildcard(".b.c"), shapes);
    let deep = by_wildcard(&"..".repeat(64));
    assert!(matches!(deep, Err(RegisterError::Invalid(_))), "{deep:?}");
}
