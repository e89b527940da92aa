//! The index against trying each pattern, and what a look-up costs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn pattern(uri: &str, matching: Match) -> TopicPattern {
    TopicPattern::new("r", uri, matching)
}

fn index_of(patterns: &[TopicPattern]) -> PatternIndex<usize> {
    let mut index = PatternIndex::new();
    for (number, pattern) in patterns.iter().enumerate() {
        index.insert(pattern, number);
    }
    index
}

fn found(index: &PatternIndex<usize>, topic: &Topic) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    index.for_each(topic, |number| assert!(found.insert(*number), "{number} is found once"));
    found
}

fn steps(index: &PatternIndex<usize>, uri: &str) -> usize {
    index.for_each(&Topic::new("r", uri), |_| {}).0
}

/// Few different components, so that topics and patterns meet: empty ones, one that begins another,
/// one of several bytes, and those that mean something in some patterns and nothing in others.
fn component() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "ab", "é", "èa", "*", "#", "+"])
}

fn uri(components: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(component(), components).prop_map(|parts| parts.join("."))
}

fn any_pattern() -> impl Strategy<Value = TopicPattern> {
    let matching =
        prop::sample::select(vec![Match::Exact, Match::Prefix, Match::Wildcard, Match::Dotted]);
    let realm = prop::sample::select(vec!["r", "s"]);
    (realm, uri(0..6), matching)
        .prop_map(|(realm, uri, matching)| TopicPattern::new(realm, &uri, matching))
}

fn any_topic() -> impl Strategy<Value = Topic> {
    let realm = prop::sample::select(vec!["r", "s"]);
    (realm, uri(0..8)).prop_map(|(realm, uri)| Topic::new(realm, &uri))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_index_finds_what_trying_each_finds(
        changes in prop::collection::vec((any::<bool>(), any_pattern()), 0..60),
        topics in prop::collection::vec(any_topic(), 1..12),
    ) {
        let mut index = PatternIndex::new();
        let mut naive = BTreeMap::new();
        for (number, (is_removed, pattern)) in changes.iter().enumerate() {
            // Of what came before, every other one goes again.
            let pattern = if *is_removed {
                naive.keys().next().cloned().unwrap_or_else(|| pattern.clone())
            } else {
                pattern.clone()
            };
            if *is_removed {
                prop_assert_eq!(index.remove(&pattern), naive.remove(&pattern));
            } else {
                prop_assert_eq!(index.insert(&pattern, number), naive.insert(pattern, number));
            }
            prop_assert_eq!(index.len(), naive.len());
        }
        for (pattern, number) in &naive {
            prop_assert_eq!(index.get(pattern), Some(number));
            prop_assert_eq!(index.get_mut(pattern).copied(), Some(*number));
        }
        for topic in &topics {
            let tried: BTreeSet<usize> = naive
                .iter()
                .filter(|(pattern, _)| pattern.matches(topic))
                .map(|(_, number)| *number)
                .collect();
            prop_assert_eq!(found(&index, topic), tried.clone(), "{}", topic);
            prop_assert_eq!(index.contains(topic).0, !tried.is_empty());
        }
        for pattern in naive.keys() {
            index.remove(pattern);
        }
        prop_assert!(index.is_empty() && index.realms.is_empty(), "nothing is left: {index:?}");
    }

    #[test]
    fn the_most_specific_pattern_is_found(
        patterns in prop::collection::vec(any_pattern(), 0..40),
        topics in prop::collection::vec(any_topic(), 1..12),
    ) {
        let mut index = PatternIndex::new();
        for pattern in patterns.iter().filter(|pattern| pattern.matching != Match::Dotted) {
            index.insert(pattern, pattern.clone());
        }
        // Exact ones, then prefixes, then wildcards; longer prefixes, filled components first.
        let rank = |pattern: &&TopicPattern| {
            let open = pattern.uri.split('.').map(str::is_empty).collect::<Vec<_>>();
            let is_wildcard = pattern.matching == Match::Wildcard;
            (pattern.matching, Reverse(if is_wildcard { 0 } else { pattern.uri.len() }), open)
        };
        for topic in &topics {
            let tried = patterns.iter().filter(|one| one.matching != Match::Dotted);
            let best = tried.filter(|pattern| pattern.matches(topic)).min_by_key(rank);
            let (found, steps) = index.most_specific(topic);
            prop_assert_eq!(found, best, "{}", topic);
            let all = index.for_each(topic, |_| {});
            prop_assert!(steps <= all, "{:?} of {:?}", steps, all);
        }
    }

    #[test]
    fn a_topic_takes_no_more_steps_than_the_shapes_cost(
        patterns in prop::collection::vec(any_pattern(), 0..80),
        topics in prop::collection::vec(any_topic(), 1..12),
    ) {
        let is_loose = |pattern: &TopicPattern| pattern.uri.matches('#').count() > 1;
        let mut index = PatternIndex::new();
        for pattern in patterns.iter().filter(|pattern| !is_loose(pattern)) {
            let promised = index.cost_with(pattern);
            index.insert(pattern, 0);
            prop_assert_eq!(index.cost(&pattern.realm), promised);
        }
        for topic in &topics {
            let steps = index.for_each(topic, |_| {}).0;
            // One look for the exact topic, and one for each byte with a prefix that parts there.
            let most = 3 + topic.uri.len() + index.cost(&topic.realm);
            prop_assert!(steps <= most, "{topic}: {steps} of {most}");
        }
    }
}

#[test]
fn fifty_thousand_patterns_that_do_not_match_cost_what_ten_do() {
    let topics =
        ["com.growth.none7.x.y", "com.growth.sub12345", "elsewhere", "com.growth.sub7.x.value"];
    type Kind = (Match, fn(usize) -> String);
    let kinds: [Kind; 4] = [
        (Match::Exact, |n| format!("com.growth.sub{n}.exact")),
        (Match::Prefix, |n| format!("com.growth.sub{n}.")),
        (Match::Wildcard, |n| format!("com.growth..sub{n}.value")),
        (Match::Dotted, |n| format!("com.#.sub{n}.*.other")),
    ];
    for (matching, uri) in kinds {
        let of = |count| -> Vec<_> { (0..count).map(|n| pattern(&uri(n), matching)).collect() };
        let (few, many) = (index_of(&of(10)), index_of(&of(50_000)));
        for topic in topics {
            let (few, many) = (steps(&few, topic), steps(&many, topic));
            // A byte more that topic and prefixes have in common may be a look more.
            assert!(
                many <= few + 5,
                "{matching:?} {topic}: {few} steps with 10, {many} with 50,000"
            );
        }
    }
}

#[test]
fn patterns_of_another_realm_cost_nothing() {
    let mut index = index_of(&[pattern("a.b", Match::Prefix)]);
    let before = steps(&index, "a.c.d");
    for n in 0..10_000 {
        index.insert(&TopicPattern::new("other", &format!("a..{n}"), Match::Wildcard), n);
    }
    assert_eq!(steps(&index, "a.c.d"), before);
    assert_eq!(index.cost("r"), 0);
}

#[test]
fn the_cost_counts_shapes_and_not_patterns() {
    let mut index = PatternIndex::new();
    let mut add = |uri: &str, matching| {
        index.insert(&pattern(uri, matching), 0);
        index.cost("r")
    };
    assert_eq!(add("a..c", Match::Wildcard), 4);
    assert_eq!(add("x..y", Match::Wildcard), 4, "of the same shape");
    assert_eq!(add("a.*.c", Match::Dotted), 4, "and so is this");
    assert_eq!(add("a.b.", Match::Wildcard), 8);
    assert_eq!(add("a.#.c", Match::Dotted), 12, "two nodes before it, two after it");
    assert_eq!(add("a", Match::Exact), 12);
    assert_eq!(add("a", Match::Prefix), 12);
    assert!(add("#.a.#", Match::Dotted) > add("#.a.#", Match::Dotted) - 1, "looked for one by one");
}

/// All masks of 12 components: the tree has a branch for each, and a topic takes them all.
#[test]
fn many_shapes_are_what_costs_and_the_index_says_so() {
    let mut index = PatternIndex::new();
    for mask in 0..1_u32 << 12 {
        let part = |bit: u32| if mask >> bit & 1 == 1 { "a" } else { "" };
        let uri = (0..12).map(part).chain(["never"]).collect::<Vec<_>>().join(".");
        index.insert(&pattern(&uri, Match::Wildcard), 0);
    }
    let topic = ["a"; 13].join(".");
    let steps = steps(&index, &topic);
    assert!(steps > 1 << 12 && steps <= index.cost("r") + 2, "{steps} of {}", index.cost("r"));
}

#[test]
fn a_pattern_of_very_many_components_neither_recurses_nor_stays() {
    let uri = ["a"; 200_000].join(".");
    let long = pattern(&format!("{uri}..#"), Match::Dotted);
    let mut index = index_of(std::slice::from_ref(&long));
    assert_eq!(found(&index, &Topic::new("r", &format!("{uri}..b"))).len(), 1);
    assert_eq!(index.remove(&long), Some(0));
    assert!(index.is_empty() && !index.has_realm("r"));
}

#[test]
fn prefixes_of_one_another_are_all_found_and_no_others() {
    let patterns: Vec<_> = ["", "a", "a.b", "a.b.", "a.b.c", "a.a", "a.c", "b"]
        .map(|uri| pattern(uri, Match::Prefix))
        .into();
    let index = index_of(&patterns);
    assert_eq!(found(&index, &Topic::new("r", "a.b.c.d")), BTreeSet::from([0, 1, 2, 3, 4]));
    assert_eq!(found(&index, &Topic::new("r", "")), BTreeSet::from([0]));
}
