//! Many patterns: what they cost others, how many there may be, and what their numbers tell.

use super::subscriptions::{changes, pattern};
use super::*;
use crate::api::Holder;
use vixen_core::membership::Membership;

/// Without bounds but these, all replicas linked, and the tail open.
pub(super) fn bench(subscriptions: SubscriptionLimits, numbering: Numbering) -> Bench {
    let options = DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, [3], 2),
        subscriptions,
        numbering,
        waiting_bytes_max: 64 << 20,
    };
    let mut bench = Bench { delivery: Delivery::new(&options), now: at(0) };
    bench.step(Input::NdbUp { ndb: ndb(0) });
    bench.opened(0, 10);
    bench
}

/// A step without the walk over everything.
fn quick(bench: &mut Bench, input: Input) -> Effects {
    let mut fx = Effects::default();
    bench.delivery.step(bench.now, input, &mut fx);
    fx
}

fn subscribe(bench: &mut Bench, session: u64, request: u64, pattern: TopicPattern) -> Effects {
    let (origin, mode) = (address_of(session), SubscribeMode::Live);
    let (session, request) = (SessionId(session), RequestId(request));
    quick(bench, Input::Subscribe { session, origin, request, pattern, mode })
}

/// Session 7 has `count` patterns, none of which matches `com.growth.none7.x`; and session 8 that
/// topic.
fn with_patterns(count: u64, of: fn(u64) -> TopicPattern) -> Bench {
    let mut bench = bench(SubscriptionLimits::UNBOUNDED, Numbering::Counted);
    subscribe(&mut bench, 8, 1, topic("com.growth.none7.x"));
    (0..count).for_each(|n| drop(subscribe(&mut bench, 7, n, of(n))));
    bench.step(Input::Flush);
    bench.opened(0, 10);
    bench
}

#[test]
fn a_message_takes_the_same_steps_past_ten_and_past_fifty_thousand_patterns() {
    let kinds: [fn(u64) -> TopicPattern; 3] = [
        |n| pattern(&format!("com.growth.sub{n}."), Match::Prefix),
        |n| pattern(&format!("com.growth.sub{n}..value"), Match::Wildcard),
        |n| pattern(&format!("com.#.sub{n}.*"), Match::Dotted),
    ];
    for of in kinds {
        let steps = |count| {
            let mut bench = with_patterns(count, of);
            let fx = bench.segment(0, 10, &[("com.growth.none7.x", 0, b"[1]")]);
            assert_eq!(words(&fx), [(8, Word::Events(vec![(1, None)]))]);
            fx.steps
        };
        let (few, many) = (steps(10), steps(50_000));
        assert!(many <= few, "{few} steps past 10 patterns, {many} past 50,000: {:?}", of(1));
    }
}

/// What a burst of SUBSCRIBEs costs: each pattern goes to the tail once, and nobody's is told again.
#[test]
fn fifty_thousand_subscribes_are_told_to_the_tail_once_each() {
    let mut bench = bench(SubscriptionLimits::UNBOUNDED, Numbering::Counted);
    let mut told = 0;
    let mut answered = 0;
    for turn in 0..200_u64 {
        for n in 0..250 {
            let number = turn * 250 + n;
            let pattern = pattern(&format!("com.growth.sub{number}."), Match::Prefix);
            answered += subscribe(&mut bench, number % 50, number, pattern).outgoing.len();
        }
        let fx = quick(&mut bench, Input::Flush);
        for (_, message) in &fx.sends {
            told += match message {
                Message::Read(ReadMessage::FollowTail { topics, .. }) => topics.len(),
                Message::Read(ReadMessage::ChangeInterest { add, .. }) => add.len(),
                other => panic!("{other:?}"),
            };
        }
        let answer = match turn {
            0 => Input::TailOpened { from: ndb(0), next: Position(10) },
            _ => Input::InterestChanged { from: ndb(0), version: turn + 1, next: Position(10) },
        };
        answered += quick(&mut bench, answer).outgoing.len();
    }
    assert_eq!((told, answered), (50_000, 50_000));
    bench.delivery.check();
}

#[test]
fn without_a_subscriber_of_meta_topics_nothing_is_made_for_them() {
    let mut bench = Bench::open();
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    assert_eq!(changes(&bench.opened(0, 10)), [], "nobody hears of it");
    assert!(!bench.delivery.hears_meta("r"));
    let all = [
        pattern("wamp.session.on_join", Match::Exact),
        pattern("wa", Match::Prefix),
        pattern("", Match::Prefix),
        pattern(".subscription.on_create", Match::Wildcard),
        pattern("*.subscription.on_create", Match::Dotted),
        pattern("#.on_create", Match::Dotted),
    ];
    for listens in all {
        bench.subscribe_as(8, 1, listens, SubscribeMode::Live);
        assert!(bench.delivery.hears_meta("r") && !bench.delivery.hears_meta("s"));
        bench.close(8);
        assert!(!bench.delivery.hears_meta("r"));
    }
    for deaf in [pattern("wampum.", Match::Prefix), pattern("plant.#", Match::Dotted)] {
        bench.subscribe_as(8, 1, deaf, SubscribeMode::Live);
        assert!(!bench.delivery.hears_meta("r"));
        bench.close(8);
    }
    assert_eq!(changes(&bench.close(7)), []);
}

pub(super) fn refusal(fx: &Effects) -> SubscribeError {
    match words(fx).as_slice() {
        [(_, Word::Refused(_, RequestKind::Subscribe, error))] => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn patterns_have_bounds_of_session_realm_and_entry_that_exact_topics_do_not_count_for() {
    let limits = SubscriptionLimits {
        patterns_per_session_max: 2,
        patterns_per_realm_max: 3,
        patterns_per_entry_max: 4,
        ..SubscriptionLimits::UNBOUNDED
    };
    let mut bench = bench(limits, Numbering::Counted);
    let prefix = |n: u64| pattern(&format!("p{n}."), Match::Prefix);
    let too_many = |holder, max| SubscribeError::TooManyPatterns { holder, max };
    let fill = |bench: &mut Bench, session, n| {
        let live = SubscribeMode::Live;
        let fx = bench.subscribe_as(session, n, prefix(n), live);
        assert!(fx.outgoing.is_empty(), "{n} waits for its interest: {:?}", fx.outgoing);
    };
    fill(&mut bench, 1, 1);
    fill(&mut bench, 1, 2);
    let live = SubscribeMode::Live;
    let fx = bench.subscribe_as(1, 3, prefix(3), live);
    assert_eq!(refusal(&fx), SubscribeError::TooManyPatternsOfSession { max: 2 });
    assert!(bench.subscribe(1, 3, "exact").outgoing.is_empty(), "an exact topic is none");
    // What others have is shared, and counts for the session alone.
    fill(&mut bench, 2, 1);
    fill(&mut bench, 2, 3);
    let fx = bench.subscribe_as(3, 1, prefix(4), live);
    assert_eq!(refusal(&fx), too_many(Holder::Realm, 3));
    let elsewhere = |n: u64| TopicPattern::new("s", &format!("p{n}."), Match::Prefix);
    assert!(bench.subscribe_as(4, 1, elsewhere(1), live).outgoing.is_empty());
    let fx = bench.subscribe_as(5, 1, elsewhere(2), live);
    assert_eq!(refusal(&fx), too_many(Holder::Entry, 4));
    // Who leaves makes room.
    bench.close(1);
    fill(&mut bench, 3, 4);
    assert!(
        SubscribeError::to_string(&too_many(Holder::Realm, 3)).contains("patterns-per-realm-max")
    );
}

#[test]
fn wildcards_of_too_many_shapes_are_refused_and_more_of_one_shape_are_not() {
    let limits = SubscriptionLimits { wildcard_steps_max: 8, ..SubscriptionLimits::UNBOUNDED };
    let mut bench = bench(limits, Numbering::Counted);
    let mut wildcard = |n: u64, uri: &str| {
        bench.subscribe_as(7, n, pattern(uri, Match::Wildcard), SubscribeMode::Live)
    };
    for (n, uri) in [(1, "a..c"), (2, "b..c"), (3, "a.b.")] {
        assert!(wildcard(n, uri).outgoing.is_empty(), "{uri}");
    }
    let fx = wildcard(4, ".b.c");
    assert_eq!(refusal(&fx), SubscribeError::TooManyShapes { max: 8 });
    assert!(wildcard(5, "c.d.").outgoing.is_empty());
}

#[test]
fn the_interest_of_an_entry_has_a_bound_in_bytes() {
    // 64 bytes, the realm and the text, for each.
    let limits = SubscriptionLimits { interest_bytes_max: 2 * 66, ..SubscriptionLimits::UNBOUNDED };
    let mut bench = bench(limits, Numbering::Counted);
    assert!(bench.subscribe(1, 1, "a").outgoing.is_empty());
    assert!(bench.subscribe(2, 1, "b").outgoing.is_empty());
    assert_eq!(bench.delivery.interest_bytes(), 2 * 66);
    let full = SubscribeError::InterestFull { holder: Holder::Entry, max: 2 * 66 };
    assert_eq!(refusal(&bench.subscribe(3, 1, "c")), full);
    assert!(bench.subscribe(3, 2, "a").outgoing.is_empty(), "it is there already");
    bench.close(2);
    assert_eq!(refusal(&bench.subscribe(3, 3, "c")), full, "until the tail was told");
    bench.step(Input::Flush);
    assert!(bench.subscribe(3, 4, "c").outgoing.is_empty());
}

#[test]
fn numbers_of_subscriptions_do_not_tell_how_many_others_make() {
    let mut bench = bench(SubscriptionLimits::UNBOUNDED, Numbering::Random([3; 32]));
    let mut told = Vec::new();
    for n in 0..40 {
        let realm = if n % 2 == 0 { "r" } else { "other" };
        let topic = TopicPattern::new(realm, &format!("t{n}"), Match::Exact);
        bench.subscribe_as(n % 2, n, topic, SubscribeMode::Live);
    }
    bench.step(Input::Flush);
    for (session, outgoing) in bench.opened(0, 10).outgoing {
        let Outgoing::Subscribed { subscription, .. } = outgoing else { panic!("{outgoing:?}") };
        told.extend((session == SessionId(0)).then_some(subscription.0));
    }
    assert_eq!(told.len(), 20);
    let mut distances: Vec<_> = told.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
    distances.sort_unstable();
    distances.dedup();
    assert!(distances.len() == 19 && distances[0] > 1_000, "they count: {told:?}");
}

#[test]
fn changes_are_noted_where_other_entries_hear_of_them_and_listed_for_those() {
    let mut bench = Bench::open();
    let heard = |is_heard| Input::HeardElsewhere { realm: "r".into(), is_heard };
    bench.step(heard(true));
    bench.subscribe(7, 1, "t");
    bench.subscribe(8, 1, "t");
    bench.subscribe(7, 2, "wamp.session.on_join");
    bench.step(Input::Flush);
    let told = changes(&bench.opened(0, 10));
    let of_t = told[0].2;
    assert_eq!(told[..3], [('c', 7, of_t), ('s', 7, of_t), ('s', 8, of_t)]);
    let after = |subscription, session| {
        let after = (SubscriptionId(subscription), SessionId(session));
        let all = bench.delivery.holders_after("r", after, 10);
        let all = all.map(|(id, pattern, _, sessions)| {
            let sessions: Vec<_> = sessions.into_iter().map(|session| session.0).collect();
            (id.0, pattern.uri.to_string(), sessions)
        });
        all.filter(|(_, _, sessions)| !sessions.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(
        after(0, 0),
        [(of_t, "t".to_owned(), vec![7, 8])],
        "none of the router's own topics"
    );
    assert_eq!(after(of_t, 7), [(of_t, "t".to_owned(), vec![8])]);
    assert_eq!(after(of_t, 8), []);
    let (version, realms) = bench.delivery.meta_realms();
    assert_eq!((version, realms.count()), (1, 1));
    bench.step(heard(false));
    bench.close(7);
    let (version, realms) = bench.delivery.meta_realms();
    assert_eq!((version, realms.count()), (2, 0));
    assert!(!bench.delivery.hears_meta("r"));
    assert_eq!(changes(&bench.close(8)), [], "nobody hears of it");
}

#[test]
fn what_sessions_share_has_one_number_at_all_entries_and_what_one_has_alone_another() {
    let told = |seed| {
        let numbering = Numbering::Keyed { key: [5; 32], seed: [seed; 32] };
        let mut bench = bench(SubscriptionLimits::UNBOUNDED, numbering);
        let modes = [SubscribeMode::Live, SubscribeMode::PrivateReplay];
        for (request, mode) in (1..).zip(modes) {
            bench.subscribe_as(7, request, topic("t"), mode);
        }
        bench.step(Input::Flush);
        let told = bench.opened(0, 10).outgoing.into_iter().map(|(_, outgoing)| match outgoing {
            Outgoing::Subscribed { subscription, .. } => subscription.0,
            other => panic!("{other:?}"),
        });
        told.collect::<Vec<_>>()
    };
    let (one, other) = (told(1), told(2));
    assert_eq!((one.len(), one[0]), (2, other[0]));
    assert!(one[1] != other[1] && one[0] != one[1]);
}
