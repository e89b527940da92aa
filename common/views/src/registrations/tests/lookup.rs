//! Which registration serves a procedure.

use super::*;
use vixen_core::segment::Topic;

/// A view with these registered, in this order.
fn with(patterns: &[(Match, &str)]) -> Desk {
    let mut desk = Desk::new();
    for (matching, uri) in patterns {
        let pattern = TopicPattern::new(REALM, uri, *matching);
        desk.register_of(life(1, 1), 7, pattern, Invoke::Single, false);
    }
    desk
}

fn found(desk: &Desk, procedure: &str) -> Option<(Match, String)> {
    let there = desk.view.lookup(&Topic::new(REALM, procedure))?;
    Some((there.pattern.matching, there.pattern.uri.to_string()))
}

/// As other routers do, measured: whatever the order of registering.
#[test]
fn exact_then_the_longest_prefix_then_the_wildcard_filled_farthest_left() {
    use Match::{Exact, Prefix, Wildcard};
    let mut all = vec![
        (Prefix, "a."),
        (Prefix, "a.b"),
        (Wildcard, "a.b..d"),
        (Wildcard, "a..c.d"),
        (Exact, "a.b.c.d"),
        (Wildcard, "m.b.."),
        (Wildcard, "m..c.d"),
        (Wildcard, "n.."),
        (Wildcard, ".b.c"),
        (Wildcard, "x..c.d"),
        (Wildcard, "x.b..e"),
    ];
    for _ in 0..2 {
        let desk = with(&all);
        let is = |procedure, matching, uri: &str| {
            assert_eq!(found(&desk, procedure), Some((matching, uri.to_owned())), "{procedure}");
        };
        is("a.b.c.d", Exact, "a.b.c.d");
        is("a.b.x.d", Prefix, "a.b");
        is("a.bb", Prefix, "a.b");
        is("a.c", Prefix, "a.");
        is("m.b.c.d", Wildcard, "m.b..");
        is("m.x.c.d", Wildcard, "m..c.d");
        is("n.b.c", Wildcard, "n..");
        is("o.b.c", Wildcard, ".b.c");
        is("x.b.c.d", Wildcard, "x..c.d");
        assert_eq!(found(&desk, "a"), None);
        assert_eq!(found(&desk, "n.b"), None);
        assert_eq!(found(&desk, ""), None);
        assert!(desk.view.lookup(&Topic::new("s", "a.b.c.d")).is_none(), "of another realm");
        all.reverse();
    }
    let without: Vec<_> = all.into_iter().filter(|(matching, _)| *matching == Wildcard).collect();
    let wanted = Some((Wildcard, "a.b..d".to_owned()));
    assert_eq!(found(&with(&without), "a.b.c.d"), wanted);
}

#[test]
fn the_empty_prefix_serves_everything_that_nothing_else_does() {
    let desk = with(&[(Match::Prefix, ""), (Match::Prefix, "é"), (Match::Exact, "")]);
    assert_eq!(found(&desk, "x"), Some((Match::Prefix, String::new())));
    assert_eq!(found(&desk, "éa"), Some((Match::Prefix, "é".to_owned())));
    assert_eq!(found(&desk, ""), Some((Match::Exact, String::new())));
}

#[test]
fn a_realm_lists_its_own_by_match_in_rising_order() {
    let uris = [(Match::Exact, "b"), (Match::Exact, "a"), (Match::Wildcard, "..")];
    let mut desk = with(&uris);
    for realm in ["q", "ra", "s"] {
        let pattern = TopicPattern::new(realm, "a", Match::Prefix);
        desk.register_of(life(1, 1), 7, pattern, Invoke::Single, false);
    }
    let ids = |ids: &[u64]| ids.iter().map(|id| RegistrationId(*id)).collect::<Vec<_>>();
    let listed = Listed { exact: ids(&[30, 40]), prefix: vec![], wildcard: ids(&[50]) };
    assert_eq!(desk.view.list(REALM), listed);
    assert_eq!(desk.view.list("none"), Listed::default());
    assert_eq!(desk.view.list("ra"), Listed { prefix: ids(&[70]), ..Listed::default() });
}

/// One session could make every call of its realm slow, at every entry.
#[test]
fn a_realm_has_room_for_so_many_patterns_of_so_many_shapes() {
    use Match::{Exact, Prefix, Wildcard};
    let desk = with(&[(Exact, "a"), (Wildcard, "a..c"), (Prefix, "a.")]);
    let roomy = RealmLimits { registrations_max: 9, patterns_max: 9, wildcard_steps_max: 8 };
    let admit = |limits, matching, uri: &str| {
        desk.view.admit(&TopicPattern::new(REALM, uri, matching), &limits)
    };
    assert_eq!(admit(roomy, Wildcard, "x..y"), Ok(()), "of the same shape");
    assert_eq!(admit(roomy, Wildcard, "x.y."), Ok(()));
    assert_eq!(admit(roomy, Wildcard, "x.y.z."), Err(NoRoom::Shapes { max: 8 }));
    let less = RealmLimits { wildcard_steps_max: 3, ..roomy };
    assert_eq!(admit(less, Wildcard, "x..y"), Ok(()), "it costs nothing more");
    assert_eq!(admit(less, Prefix, "x"), Ok(()));
    let full = RealmLimits { patterns_max: 2, ..roomy };
    assert_eq!(admit(full, Wildcard, "x..y"), Err(NoRoom::Patterns { max: 2 }));
    assert_eq!(admit(full, Prefix, "a."), Ok(()), "it is there");
    assert_eq!(admit(full, Exact, "b"), Ok(()));
    let full = RealmLimits { registrations_max: 3, ..roomy };
    assert_eq!(admit(full, Exact, "b"), Err(NoRoom::Registrations { max: 3 }));
    let elsewhere = TopicPattern::new("s", "b", Exact);
    assert_eq!(desk.view.admit(&elsewhere, &full), Ok(()), "of another realm");
}
