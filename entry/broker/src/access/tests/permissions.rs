//! What roles may do.

use proptest::prelude::*;

use vixen_core::access::Disclosure;
use vixen_core::segment::Match::{self, Exact, Prefix, Wildcard};

use crate::access::pattern::Pattern;
use crate::access::{CalleeDisclosure, Permission, Permissions, Quotas};

fn permission(uri: &str, matching: Match, publish: bool, subscribe: bool) -> Permission {
    let publish = publish.then_some(Disclosure::OnRequest);
    Permission { uri: uri.to_owned(), matching, publish, subscribe, ..Permission::default() }
}

fn role(permissions: Vec<Permission>) -> Permissions {
    Permissions::new(permissions, Quotas::UNLIMITED)
}

/// A role that may publish and subscribe at the patterns with `+`, and not at those with `-`.
fn may(patterns: &[(char, &str, Match)]) -> Permissions {
    let permissions = patterns
        .iter()
        .map(|(sign, uri, matching)| permission(uri, *matching, *sign == '+', *sign == '+'));
    role(permissions.collect())
}

#[test]
fn what_no_permission_matches_is_denied() {
    for permissions in [may(&[]), may(&[('+', "a.b", Exact)])] {
        assert_eq!(permissions.publish("a"), None);
        assert_eq!(permissions.publish("a.b.c"), None);
        assert_eq!(permissions.publish("wamp.session.on_join"), None);
        for (uri, matching) in [("a", Exact), ("", Prefix), ("a.", Prefix), ("a.", Wildcard)] {
            assert!(!permissions.subscribe(uri, matching), "{uri}");
        }
    }
}

#[test]
fn the_most_specific_permission_holds() {
    let permissions = may(&[
        ('+', "", Prefix),
        ('-', "a.", Prefix),
        ('+', "a.b.", Prefix),
        ('-', "a..secret", Wildcard),
        ('+', "a.b.secret.x", Exact),
        ('-', "a.b.c.d", Exact),
        ('-', ".z", Wildcard),
        ('+', "q..", Wildcard),
        ('-', "q..x", Wildcard),
        ('+', "q.y.", Wildcard),
    ]);
    let table = [
        ("x", true),
        ("x.y.z", true),
        ("a", true),
        ("a.x", false),
        ("a.b", false),
        ("a.b.x", true),
        ("a.b.c.d", false),
        ("a.b.c.d.e", true),
        // The longer start holds against the wildcard, the wildcard against the same start.
        ("a.b.secret", true),
        ("a.x.secret", false),
        ("a.b.secret.x", true),
        // A wildcard is more specific than the prefix that holds all of it.
        ("x.z", false),
        // Of two wildcards, the one filled in further to the left.
        ("q.a.b", true),
        ("q.a.x", false),
        ("q.y.x", true),
    ];
    for (topic, wanted) in table {
        assert_eq!(permissions.publish(topic).is_some(), wanted, "{topic}");
        assert_eq!(permissions.subscribe(topic, Exact), wanted, "{topic}");
    }
}

#[test]
fn publishing_and_subscribing_are_separate() {
    let permissions =
        role(vec![permission("in.", Prefix, true, false), permission("out.", Prefix, false, true)]);
    assert!(permissions.publish("in.x").is_some() && !permissions.subscribe("in.x", Exact));
    assert!(permissions.publish("out.x").is_none() && permissions.subscribe("out.x", Exact));
}

#[test]
fn calling_and_registering_are_separate_and_hidden_where_a_part_is() {
    let of = |uri: &str, call, register| Permission {
        uri: uri.to_owned(),
        matching: Prefix,
        call,
        register,
        ..Permission::default()
    };
    let (told, hidden) = (Some(CalleeDisclosure::Told), Some(CalleeDisclosure::Hidden));
    let permissions = role(vec![
        of("", Some(Disclosure::Never), told),
        of("a.", Some(Disclosure::Always), hidden),
        of("b.", None, told),
        of("c.", Some(Disclosure::OnRequest), None),
    ]);
    assert_eq!(permissions.call("x"), Some(Disclosure::Never));
    assert_eq!(permissions.call("a.x"), Some(Disclosure::Always));
    assert_eq!(
        (permissions.call("b.x"), permissions.call("c.x")),
        (None, Some(Disclosure::OnRequest))
    );
    assert_eq!(
        (permissions.register("x", Exact), permissions.register("a.x", Exact)),
        (told, hidden)
    );
    assert_eq!(permissions.register("c.x", Exact), None);
    // A part of it is denied, or hidden.
    assert_eq!(permissions.register("", Prefix), None);
    assert_eq!(permissions.register(".x", Wildcard), None);
    assert_eq!(permissions.register("a..x", Wildcard), hidden);
    let two = role(vec![of("", None, told), of("a.", None, hidden)]);
    assert_eq!((two.register("", Prefix), two.register("b", Prefix)), (hidden, told));
    assert_eq!(Permissions::OPEN.call("x"), Some(Disclosure::OnRequest));
    assert_eq!(Permissions::OPEN.register("", Prefix), told);
}

#[test]
fn the_permission_that_holds_discloses() {
    let disclosing = |uri: &str, disclosure| Permission {
        publish: Some(disclosure),
        ..permission(uri, Prefix, true, false)
    };
    let permissions = role(vec![
        disclosing("", Disclosure::OnRequest),
        disclosing("a.", Disclosure::Always),
        disclosing("a.b.", Disclosure::Never),
    ]);
    assert_eq!(permissions.publish("x"), Some(Disclosure::OnRequest));
    assert_eq!(permissions.publish("a.x"), Some(Disclosure::Always));
    assert_eq!(permissions.publish("a.b.x"), Some(Disclosure::Never));
}

#[test]
fn a_pattern_is_allowed_when_all_of_it_is() {
    let permissions = may(&[
        ('+', "a.", Prefix),
        ('-', "a.secret.", Prefix),
        ('+', "a.secret.open.", Prefix),
        ('-', "a..hidden", Wildcard),
        ('-', "a.one", Exact),
        ('+', "w..x", Wildcard),
        ('+', "e.f", Exact),
        ('-', "d.", Prefix),
        ('+', "d.e.", Prefix),
    ]);
    let table = [
        // Covered, and nothing in the way.
        ("a.b.c.", Prefix, true),
        ("a.b.c.d", Prefix, true),
        ("a.b..c.d", Wildcard, true),
        ("a.secret.open.", Prefix, true),
        ("a.secret.open.x.", Wildcard, true),
        ("d.e.", Prefix, true),
        ("w..x", Wildcard, true),
        ("w.v.x", Wildcard, true),
        ("e.f", Wildcard, true),
        // Not covered, or not by one permission.
        ("", Prefix, false),
        ("a", Prefix, false),
        ("e.f", Prefix, false),
        ("w.", Prefix, false),
        ("w..", Wildcard, false),
        ("..x", Wildcard, false),
        // Something more specific denies a part.
        ("a.", Prefix, false),
        ("a.s", Prefix, false),
        ("a.secret.", Prefix, false),
        ("a.secret", Prefix, false),
        ("a.b", Prefix, false),
        ("a.o", Prefix, false),
        ("a..", Wildcard, false),
        ("a.", Wildcard, false),
        ("a..hidden", Wildcard, false),
        ("a.b.hidden", Wildcard, false),
        ("a.secret..", Wildcard, false),
        ("d.", Prefix, false),
        // A less specific one that denies is no hindrance.
        ("d.e.f.", Prefix, true),
    ];
    for (uri, matching, wanted) in table {
        assert_eq!(permissions.subscribe(uri, matching), wanted, "{uri:?} {matching:?}");
    }
}

/// All topics of up to four components of two letters: small enough to try each.
fn topics() -> Vec<String> {
    let mut all = Vec::new();
    let mut longest = vec![String::new()];
    for _components in 0..4 {
        longest = longest
            .iter()
            .flat_map(|start| {
                let dot = if start.is_empty() { "" } else { "." };
                ["a", "b", "ab"].map(|part| format!("{start}{dot}{part}"))
            })
            .collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// Patterns that match some topic of [`topics`].
fn pattern() -> impl Strategy<Value = (String, Match)> {
    let part = prop_oneof![Just("a"), Just("b"), Just("ab")];
    let gap = prop_oneof![2 => Just(""), 1 => Just("a"), 1 => Just("b"), 1 => Just("ab")];
    let joined = |parts: Vec<&str>| parts.join(".");
    prop_oneof![
        proptest::collection::vec(part.clone(), 1..4).prop_map(joined).prop_map(|t| (t, Exact)),
        (proptest::collection::vec(part, 0..4), any::<bool>()).prop_map(|(parts, dot)| {
            let dot = if dot && !parts.is_empty() { "." } else { "" };
            (parts.join(".") + dot, Prefix)
        }),
        proptest::collection::vec(gap, 1..4).prop_map(joined).prop_map(|t| (t, Wildcard)),
    ]
}

proptest! {
    #[test]
    fn sets_are_compared_as_their_topics_are(a in pattern(), b in pattern()) {
        let (first, second) = (Pattern::new(&a.0, a.1), Pattern::new(&b.0, b.1));
        let (mut overlaps, mut covers, mut is_covered) = (false, true, true);
        for topic in topics() {
            let (of_first, of_second) = (first.matches(&topic), second.matches(&topic));
            overlaps |= of_first && of_second;
            covers &= of_first || !of_second;
            is_covered &= of_second || !of_first;
        }
        prop_assert_eq!(first.overlaps(&second), overlaps, "{:?} {:?}", a, b);
        prop_assert_eq!(first.overlaps(&second), second.overlaps(&first));
        // Within the few topics here, more is covered than among all that there are.
        prop_assert!(!first.covers(&second) || covers, "{:?} {:?}", a, b);
        if overlaps && first != second {
            let (rank, other) = (first.rank(), second.rank());
            prop_assert_ne!(&rank, &other, "{:?} {:?}", a, b);
            prop_assert!(!covers || is_covered || rank < other, "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn no_pattern_gets_what_a_topic_would_not(
        rules in proptest::collection::btree_map(pattern(), any::<bool>(), 0..8),
        wanted in pattern(),
    ) {
        let permissions =
            rules.iter().map(|((uri, matching), allow)| permission(uri, *matching, false, *allow));
        // A wildcard without a gap is also an exact one: the configuration has one of them.
        let mut permissions: Vec<_> = permissions.collect();
        permissions.retain(|p| p.matching != Wildcard || p.uri.split('.').any(str::is_empty));
        let all_allow = permissions.iter().all(|permission| permission.subscribe);
        let is_covered = permissions.iter().any(|permission| {
            Pattern::new(&permission.uri, permission.matching)
                .covers(&Pattern::new(&wanted.0, wanted.1))
        });
        let permissions = role(permissions);
        let set = Pattern::new(&wanted.0, wanted.1);
        let is_allowed = permissions.subscribe(&wanted.0, wanted.1);
        if is_allowed {
            for topic in topics().iter().filter(|topic| set.matches(topic)) {
                prop_assert!(permissions.subscribe(topic, Exact), "{:?} gets {}", wanted, topic);
            }
        }
        if all_allow {
            prop_assert_eq!(is_allowed, is_covered, "nothing denies");
        }
    }
}
