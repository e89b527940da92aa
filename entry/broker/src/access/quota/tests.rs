//! Quotas under a clock that the test moves.

use super::*;

const MB: u64 = 1_000_000;

fn realm() -> Arc<str> {
    "r".into()
}

fn named(authid: &str) -> Publisher {
    Publisher::Named(authid.into())
}

fn message(topic: u64, bytes: u64) -> Cost {
    Cost { bytes, topic: Some(topic) }
}

fn user(quota: Quota) -> Quotas {
    Quotas { user: quota, realm: Quota::default() }
}

/// Messages that pass at once.
fn pass(
    meters: &mut Meters,
    now: Instant,
    who: &Publisher,
    quotas: &Quotas,
    costs: impl IntoIterator<Item = Cost>,
) -> usize {
    let spend = |cost: &Cost| meters.spend(now, &realm(), who, quotas, *cost).is_ok();
    costs.into_iter().filter(spend).count()
}

#[test]
fn as_many_as_a_second_allows_pass_at_once_and_then_as_time_goes() {
    let quotas = user(Quota { messages_per_second: Some(10), ..Quota::default() });
    let (mut meters, start, joe) = (Meters::default(), Instant::now(), named("joe"));
    let many = || (0..100).map(|_| message(1, 1));
    assert_eq!(pass(&mut meters, start, &joe, &quotas, many()), 10);
    let refused = meters.spend(start, &realm(), &joe, &quotas, message(1, 1)).expect_err("no more");
    let (scope, kind) = (Scope::User, Kind::Messages);
    assert_eq!(refused, Exceeded { scope, kind, max: 10, retry_ms: 1 });
    assert_eq!(pass(&mut meters, start, &named("jack"), &quotas, many()), 10, "his own");
    let mut passed = 0;
    for ms in 1..=10_000 {
        passed += pass(&mut meters, start + Duration::from_millis(ms), &joe, &quotas, many());
    }
    assert_eq!(passed, 100);
    let later = start + Duration::from_secs(3600);
    assert_eq!(pass(&mut meters, later, &joe, &quotas, many()), 10, "nothing is saved up");
}

#[test]
fn a_message_larger_than_a_second_allows_passes_and_is_waited_for() {
    let quotas = user(Quota { bytes_per_second: Some(MB), ..Quota::default() });
    let (mut meters, start, joe) = (Meters::default(), Instant::now(), named("joe"));
    assert_eq!(pass(&mut meters, start, &joe, &quotas, [message(1, 5 * MB), message(1, 1)]), 1);
    let refused = meters.spend(start, &realm(), &joe, &quotas, message(1, 1)).expect_err("waits");
    assert_eq!((refused.kind, refused.retry_ms), (Kind::Bytes, 4_000));
    let at = |ms| start + Duration::from_millis(ms);
    assert_eq!(pass(&mut meters, at(3_999), &joe, &quotas, [message(1, 1)]), 0);
    assert_eq!(pass(&mut meters, at(4_001), &joe, &quotas, [message(1, 1)]), 1);
}

#[test]
fn new_topics_are_bounded_and_known_ones_are_not() {
    let quota = Quota { topics_per_second: Some(5), topics_max: Some(8), ..Quota::default() };
    let (mut meters, start, joe) = (Meters::default(), Instant::now(), named("joe"));
    let topics = |range: std::ops::Range<u64>| range.map(|topic| message(topic, 1));
    assert_eq!(pass(&mut meters, start, &joe, &user(quota), topics(0..100)), 5);
    assert_eq!(pass(&mut meters, start, &joe, &user(quota), topics(0..5)), 5, "they are known");
    let later = start + Duration::from_secs(10);
    assert_eq!(pass(&mut meters, later, &joe, &user(quota), topics(5..100)), 3, "eight in all");
    let refused = meters.spend(later, &realm(), &joe, &user(quota), message(9, 1));
    let refused = refused.expect_err("too many");
    assert_eq!((refused.kind, refused.max), (Kind::Topics, 8));
    assert!(refused.to_string().starts_with("realm.role.quota.topics-max is 8,"), "{refused}");

    // Those that nobody publishes are forgotten.
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(pass(&mut meters, later + day, &joe, &user(quota), topics(0..1)), 1);
    assert_eq!(
        pass(&mut meters, later + day, &joe, &user(quota), topics(50..60)),
        0,
        "still known"
    );
    assert_eq!(pass(&mut meters, later + 2 * day, &joe, &user(quota), topics(50..60)), 5);
    assert_eq!(pass(&mut meters, later + 2 * day, &joe, &user(quota), topics(0..1)), 1);
}

#[test]
fn what_the_realm_refuses_counts_for_nobody() {
    let ten = Quota { messages_per_second: Some(10), ..Quota::default() };
    let four = Quota { messages_per_second: Some(4), ..Quota::default() };
    let quotas = Quotas { user: ten, realm: four };
    let (mut meters, start) = (Meters::default(), Instant::now());
    let many = || (0..20).map(|_| message(1, 1));
    assert_eq!(pass(&mut meters, start, &named("joe"), &quotas, many()), 4);
    let refused = meters.spend(start, &realm(), &named("jack"), &quotas, message(1, 1));
    let refused = refused.expect_err("the realm has no more");
    assert_eq!((refused.scope, refused.kind), (Scope::Realm, Kind::Messages));
    // Of his own he has used four.
    let own = user(ten);
    assert_eq!(pass(&mut meters, start, &named("joe"), &own, many()), 6);
    assert_eq!(pass(&mut meters, start, &named("jack"), &own, many()), 10);
}

#[test]
fn the_anonymous_of_an_address_are_one_and_a_reload_changes_the_rate() {
    let quota = |n| user(Quota { messages_per_second: Some(n), ..Quota::default() });
    let (mut meters, start) = (Meters::default(), Instant::now());
    let of =
        |last| Publisher::Anonymous(Origin { client: IpAddr::from([10, 0, 0, last]), site: None });
    let many = || (0..100).map(|_| message(1, 1));
    assert_eq!(pass(&mut meters, start, &of(1), &quota(10), many()), 10);
    assert_eq!(pass(&mut meters, start, &of(1), &quota(10), many()), 0);
    assert_eq!(pass(&mut meters, start, &of(2), &quota(10), many()), 10);
    let later = start + Duration::from_secs(5);
    assert_eq!(pass(&mut meters, later, &of(1), &quota(50), many()), 50);
    assert_eq!(pass(&mut meters, later, &of(1), &Quotas::default(), many()), 100, "no quota");
}

#[test]
fn the_addresses_of_a_site_have_eight_times_as_much_together() {
    let quotas = user(Quota { messages_per_second: Some(10), ..Quota::default() });
    let (mut meters, start) = (Meters::default(), Instant::now());
    let of = |site: u16, net: u16| {
        let client = IpAddr::from([0x2001, 0xdb8, site, net, 0, 0, 0, 0]);
        let site = IpAddr::from([0x2001, 0xdb8, site, 0, 0, 0, 0, 0]);
        Publisher::Anonymous(Origin { client, site: Some(site) })
    };
    let many = || (0..100).map(|_| message(1, 1));
    let passed: usize =
        (0..100).map(|net| pass(&mut meters, start, &of(1, net), &quotas, many())).sum();
    assert_eq!(passed, 80);
    let refused = meters.spend(start, &realm(), &of(1, 200), &quotas, message(1, 1));
    let refused = refused.expect_err("its site has used up its own");
    assert_eq!((refused.scope, refused.max), (Scope::User, 10));
    assert_eq!(pass(&mut meters, start, &of(2, 0), &quotas, many()), 10, "another site");
}

#[test]
fn users_that_are_remembered_are_bounded_and_the_quiet_ones_go_first() {
    let quotas = user(Quota { bytes_per_second: Some(1), ..Quota::default() });
    let (mut meters, start) = (Meters::default(), Instant::now());
    for n in 0..Quota::USERS_MAX + 10 {
        let now = start + Duration::from_micros(n as u64);
        let who = named(&n.to_string());
        assert!(meters.spend(now, &realm(), &who, &quotas, message(1, 100)).is_ok(), "{n}");
    }
    assert_eq!((meters.users.len(), meters.by_time.len()), (Quota::USERS_MAX, Quota::USERS_MAX));
    let end = start + Duration::from_micros(Quota::USERS_MAX as u64 + 10);
    let again = |meters: &mut Meters, n: usize| {
        meters.spend(end, &realm(), &named(&n.to_string()), &quotas, message(1, 100)).is_ok()
    };
    assert!(again(&mut meters, 0), "it was forgotten");
    assert!(!again(&mut meters, Quota::USERS_MAX + 9), "the last one is known");
}

/// Somebody was told to try again in 86397401 ms.
#[test]
fn waits_are_said_in_units_that_people_read() {
    let table = [
        (1, "1 ms"),
        (1_000, "1000 ms"),
        (1_001, "2 s"),
        (120_000, "120 s"),
        (120_001, "3 min"),
        (7_200_000, "120 min"),
        (7_200_001, "3 h"),
        (86_397_401, "24 h"),
    ];
    for (retry_ms, words) in table {
        let exceeded = Exceeded { scope: Scope::User, kind: Kind::Topics, max: 8, retry_ms };
        assert!(exceeded.to_string().ends_with(&format!("try again in {words}")), "{exceeded}");
    }
}

#[test]
fn what_has_no_topic_counts_as_a_message_and_for_no_topic() {
    let quota = Quota { messages_per_second: Some(3), topics_max: Some(1), ..Quota::default() };
    let quotas = user(quota);
    let (mut meters, now, joe) = (Meters::default(), Instant::now(), named("joe"));
    let record = Cost { bytes: 9, topic: None };
    assert_eq!(pass(&mut meters, now, &joe, &quotas, [record, message(1, 1), record]), 3);
    let refused = meters.spend(now, &realm(), &joe, &quotas, record).expect_err("no more");
    assert_eq!(refused.kind, Kind::Messages);
    let later = now + Duration::from_secs(1);
    assert_eq!(pass(&mut meters, later, &joe, &quotas, [message(2, 1), record, record]), 2);
}
