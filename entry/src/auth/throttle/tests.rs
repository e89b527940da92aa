//! A throttle by hand.

use super::*;

const LIMITS: FailureLimits =
    FailureLimits { failures_max: 3, window: Duration::from_secs(60), remembered_max: 100 };

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address of the test")
}

fn account(name: &str) -> Account {
    Account::of("realm1", name)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Guesses as often as the throttle lets it within `time`, an attempt a second, each time by the next
/// of `from`; how often it came to a guess.
fn guesses(
    throttle: &mut LoginThrottle,
    from: &[IpAddr],
    names: &[&str],
    start: Instant,
    time: Duration,
) -> u64 {
    let mut made = 0;
    for second in 0..time.as_secs() {
        let at = usize::try_from(second).expect("few");
        let (peer, name) = (from[at % from.len()], account(names[at % names.len()]));
        let now = start + seconds(second);
        if throttle.closed_for(peer, name, now).is_none() {
            throttle.on_failure(peer, name, now);
            made += 1;
        }
    }
    made
}

#[test]
fn waits_grow_and_are_never_longer_than_the_window() {
    let (mut throttle, mut now) = (LoginThrottle::new(LIMITS), Instant::now());
    let (peer, joe) = (address("10.0.0.1"), account("joe"));
    let nobody = NowWaits::default();
    assert_eq!(throttle.on_failure(peer, joe, now), nobody);
    assert_eq!(throttle.on_failure(peer, joe, now), nobody);
    assert_eq!(throttle.closed_for(peer, joe, now), None);
    let both = NowWaits { address: true, account: true };
    assert_eq!(throttle.on_failure(peer, joe, now), both, "the third one");
    let mut waits = Vec::new();
    for _ in 0..9 {
        let wait = throttle.closed_for(peer, joe, now).expect("closed");
        assert!(throttle.closed_for(peer, joe, now + wait / 2).is_some());
        now += wait;
        assert_eq!(throttle.closed_for(peer, joe, now), None, "it opens");
        waits.push(wait.as_secs());
        assert_eq!(throttle.on_failure(peer, joe, now), nobody, "told once");
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn one_account_is_guessed_a_bounded_number_of_times_from_however_many_addresses() {
    let (mut throttle, start) = (LoginThrottle::new(LIMITS), Instant::now());
    let from: Vec<_> = (0..=255).map(|last| IpAddr::from([10, 0, 0, last])).collect();
    let made = guesses(&mut throttle, &from, &["joe"], start, seconds(3600));
    assert!((60..=75).contains(&made), "{made} in an hour");
}

#[test]
fn one_address_guesses_a_bounded_number_of_times_at_however_many_accounts() {
    let (mut throttle, start) = (LoginThrottle::new(LIMITS), Instant::now());
    let names: Vec<_> = (0..500).map(|n| format!("user{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let made = guesses(&mut throttle, &[address("10.0.0.1")], &names, start, seconds(3600));
    assert!((60..=75).contains(&made), "{made} in an hour");
    // A site of IPv6 has eight times as much to begin with, whatever networks it has.
    let networks: Vec<_> =
        (0..500).map(|n| IpAddr::from([0x2001, 0xdb8, 1, n, 0, 0, 0, 1])).collect();
    let names: Vec<_> = (0..3600).map(|n| format!("other{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let made = guesses(&mut throttle, &networks, &names, start + seconds(3600), seconds(3600));
    assert!((60..=100).contains(&made), "{made} in an hour");
}

#[test]
fn who_has_logged_in_from_there_before_is_not_shut_out_by_others() {
    let (mut throttle, now) = (LoginThrottle::new(LIMITS), Instant::now());
    let (office, elsewhere) = (address("10.0.0.1"), address("10.0.0.2"));
    let (joe, anna) = (account("joe"), account("anna"));
    throttle.on_success(office, joe, now);
    for n in 0..10 {
        let name = format!("user{n}");
        throttle.on_failure(office, account(&name), now);
        throttle.on_failure(elsewhere, joe, now);
    }
    assert_eq!(
        throttle.closed_for(office, joe, now),
        None,
        "guessed at from elsewhere, and beside others"
    );
    let wait = throttle.closed_for(office, anna, now).expect("new at an address that guesses");
    assert!(wait <= LIMITS.window);
    assert_eq!(
        throttle.closed_for(office, anna, now + wait),
        None,
        "another account, after the wait"
    );
    assert!(throttle.closed_for(elsewhere, joe, now).is_some());
    // What comes from there for that account is bounded as all else.
    for _ in 0..3 {
        throttle.on_failure(office, joe, now);
    }
    assert!(throttle.closed_for(office, joe, now).is_some());
}

#[test]
fn failures_that_are_far_apart_are_forgiven() {
    let (mut throttle, start) = (LoginThrottle::new(LIMITS), Instant::now());
    let (peer, joe) = (address("10.0.0.1"), account("joe"));
    for n in 0..100 {
        let now_waits = throttle.on_failure(peer, joe, start + seconds(61 * n));
        assert_eq!(now_waits, NowWaits::default());
        assert_eq!(throttle.closed_for(peer, joe, start + seconds(61 * n)), None);
    }
    throttle.on_failure(peer, joe, start + seconds(100_000));
    assert_eq!(throttle.len(), 4, "what has ended is forgotten");
}

#[test]
fn memory_is_bounded_and_those_with_most_failures_stay() {
    let (mut throttle, start) = (LoginThrottle::new(LIMITS), Instant::now());
    let (peer, joe) = (address("10.0.0.1"), account("joe"));
    for _ in 0..5 {
        throttle.on_failure(peer, joe, start);
    }
    for n in 0..1000 {
        let name = format!("user{n}");
        let from = IpAddr::from([10, 1, u8::try_from(n / 250).expect("few"), 1]);
        throttle.on_failure(from, account(&name), start + Duration::from_millis(n));
        throttle.on_success(from, account(&name), start + Duration::from_millis(n));
        assert!(throttle.len() <= LIMITS.remembered_max);
        assert!(throttle.known.len() <= LIMITS.remembered_max);
    }
    assert!(throttle.closed_for(peer, joe, start + seconds(1)).is_some());
    assert!(!throttle.is_empty());
}

#[test]
fn accounts_are_of_their_realm() {
    assert_ne!(Account::of("a", "bc"), Account::of("ab", "c"));
    assert_eq!(Account::of("a", "b"), Account::of("a", "b"));
}

/// The log named the address where the account had too many.
#[test]
fn who_waits_is_told_apart() {
    let (mut throttle, now) = (LoginThrottle::new(LIMITS), Instant::now());
    let [joe, anna, mary] = ["joe", "anna", "mary"].map(account);
    let at = |last: u8| IpAddr::from([10, 0, 0, last]);
    throttle.on_failure(at(1), joe, now);
    throttle.on_failure(at(2), joe, now);
    let account = NowWaits { account: true, address: false };
    assert_eq!(throttle.on_failure(at(3), joe, now), account);
    throttle.on_failure(at(9), anna, now);
    throttle.on_failure(at(9), anna, now);
    let address = NowWaits { address: true, account: false };
    assert_eq!(throttle.on_failure(at(9), mary, now), address);
}

#[test]
fn of_logins_that_are_decided_later_as_many_are_tried_as_may_yet_fail() {
    let (mut throttle, now) = (LoginThrottle::new(LIMITS), Instant::now());
    let (peer, joe, anna) = (address("10.0.0.1"), account("joe"), account("anna"));
    assert_eq!(throttle.begin_try(peer, joe, now), Tried::Begun);
    throttle.on_failure(peer, joe, now);
    // One has failed, and is counted still as one that is tried.
    assert_eq!(throttle.begin_try(peer, joe, now), Tried::Begun);
    assert_eq!(throttle.begin_try(peer, joe, now), Tried::Crowded);
    assert_eq!(throttle.begin_try(peer, anna, now), Tried::Crowded, "from the same address");
    throttle.end_try(peer, joe);
    assert_eq!(throttle.begin_try(peer, joe, now), Tried::Begun);
    assert_eq!(throttle.begin_try(peer, joe, now), Tried::Crowded);
    for _ in 0..2 {
        throttle.on_failure(peer, joe, now);
        throttle.end_try(peer, joe);
    }
    assert_eq!(throttle.begin_try(peer, joe, now), Tried::Closed);
    // After the wait one is tried at a time.
    let later = now + FIRST_WAIT;
    assert_eq!(throttle.begin_try(peer, joe, later), Tried::Begun);
    assert_eq!(throttle.begin_try(peer, joe, later), Tried::Crowded);
    throttle.end_try(peer, joe);
    assert!(throttle.undecided.is_empty());
    // Who has logged in before from here does not wait for what others try.
    throttle.on_success(peer, anna, later);
    assert_eq!(throttle.begin_try(peer, joe, later), Tried::Begun);
    assert_eq!(throttle.begin_try(peer, anna, later), Tried::Begun);
}
