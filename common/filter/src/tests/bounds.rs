//! Limits of rules, and of what they do.

use super::compile;
use crate::budget::Budget;
use crate::value::{DEPTH_MAX, Value};
use crate::{Failure, Filter, FilterError, Limits};

/// Asks a rule, and tells the steps.
fn asked(rule: &str, data: &str, steps: u32) -> (Result<bool, Failure>, u32) {
    let filter = compile(rule).expect(rule);
    let data = Value::read(data.as_bytes()).expect("JSON");
    let mut budget = Budget::new(steps);
    let verdict = filter.value(&data, &mut budget).map(|value| value.is_truthy());
    (verdict, budget.used())
}

/// A rule of so many negations.
fn negated(times: usize) -> String {
    format!("{}true{}", r#"{"!":"#.repeat(times), "}".repeat(times))
}

#[test]
fn a_rule_of_as_much_as_may_be_is_taken_and_one_more_is_not() {
    let limits = Limits::default();
    let padded = |bytes: usize| format!("{}true", " ".repeat(bytes - 4));
    assert!(compile(&padded(limits.bytes)).is_ok());
    assert_eq!(
        compile(&padded(limits.bytes + 1)).err(),
        Some(FilterError::TooLong { bytes: 4097, max: 4096 })
    );

    assert!(compile(&negated(limits.depth)).is_ok());
    assert_eq!(compile(&negated(limits.depth + 1)).err(), Some(FilterError::TooDeep { max: 32 }));
    let nested =
        |times: usize| format!(r#"{{"!!":[{}1{}]}}"#, "[".repeat(times), "]".repeat(times));
    assert!(compile(&nested(limits.depth - 1)).is_ok());
    assert_eq!(compile(&nested(limits.depth)).err(), Some(FilterError::TooDeep { max: 32 }));

    let many = |count: usize| format!(r#"{{"and":[{}1]}}"#, "1,".repeat(count - 1));
    assert!(compile(&many(limits.nodes - 1)).is_ok());
    assert_eq!(compile(&many(limits.nodes)).err(), Some(FilterError::TooManyNodes { max: 256 }));
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count).map(|field| format!(r#""f{field}":1"#)).collect();
        format!("{{{}}}", fields.join(","))
    };
    // `and`, and four of each.
    assert!(compile(&fields(63)).is_ok());
    assert_eq!(compile(&fields(64)).err(), Some(FilterError::TooManyNodes { max: 256 }));
}

#[test]
fn a_rule_that_is_deeper_than_anything_is_an_error_whatever_is_configured() {
    let limits =
        Limits { bytes: usize::MAX, nodes: usize::MAX, depth: usize::MAX, steps: u32::MAX };
    let deepest = Filter::compile(negated(64).as_bytes(), &limits);
    assert!(deepest.is_ok_and(|filter| filter.ask(&crate::tests::message::data()).is_match()));
    for times in [65, 255, 256, 257, 100_000] {
        let refused = Filter::compile(negated(times).as_bytes(), &limits);
        assert!(matches!(refused, Err(FilterError::TooDeep { .. })), "{times}");
        let lists = format!(r#"{{"!!":[{}{}]}}"#, "[".repeat(times), "]".repeat(times));
        let refused = Filter::compile(lists.as_bytes(), &limits);
        assert!(refused.is_err(), "{times}");
    }
}

#[test]
fn steps_are_what_is_written() {
    for (rule, data, steps) in [
        ("true", "null", 1),
        // Two operators and two values; a path of one step and its text; two numbers.
        (r#"{"==":[{"var":"a"},1]}"#, r#"{"a":1}"#, 4 + 1 + 2 + 1),
        // What is not reached costs nothing.
        (r#"{"or":[true,{"cat":["a","b"]}]}"#, "null", 2),
        (r#"{"some":[[1,2,3],true]}"#, "null", 2 + 2),
        (r#"{"all":[[1,2,3],true]}"#, "null", 2 + 3 * 2),
    ] {
        assert_eq!(asked(rule, data, 1000).1, steps, "{rule}");
    }
}

#[test]
fn a_rule_stops_when_its_steps_are_used_up() {
    let list = format!("[{}1]", "1,".repeat(9_999));
    let text = format!("\"{}\"", "x".repeat(60_000));
    let doubled =
        r#"{"reduce":[{"var":""},{"cat":[{"var":"accumulator"},{"var":"accumulator"}]},"xx"]}"#;
    let doubled_list =
        r#"{"reduce":[{"var":""},{"merge":[{"var":"accumulator"},{"var":"accumulator"}]},[1,2]]}"#;
    let shared =
        r#"{"cat":{"reduce":[{"var":""},[{"var":"accumulator"},{"var":"accumulator"}],1]}}"#;
    let compared = r#"{"==":[{"reduce":[{"var":""},[{"var":"accumulator"},{"var":"accumulator"}],1]},{"reduce":[{"var":""},[{"var":"accumulator"},{"var":"accumulator"}],1]}]}"#;
    let squared = r#"{"all":[{"var":""},{"reduce":[[1,2,3,4,5],1,1]}]}"#;
    let short = format!("[{}1]", "1,".repeat(99));
    for (rule, data) in [
        (doubled, &list),
        (doubled_list, &list),
        (shared, &short),
        (compared, &short),
        (squared, &list),
        (r#"{"map":[{"var":""},{"map":[[1,2,3,4],{"map":[[1,2,3,4],1]}]}]}"#, &list),
    ] {
        let (verdict, steps) = asked(rule, data, 100_000);
        assert_eq!(verdict, Err(Failure::Steps { max: 100_000 }), "{rule}");
        assert_eq!(steps, 100_000);
    }
    // A text is read as often as the steps for its bytes allow.
    let often = format!(r#"{{"and":[{}true]}}"#, r#"{"!":{"in":["y",{"var":""}]}},"#.repeat(40));
    assert_eq!(asked(&often, &text, 10_000).0, Err(Failure::Steps { max: 10_000 }));
    assert_eq!(asked(&often, &text, 100_000).0, Ok(true));
}

#[test]
fn a_value_is_not_made_deeper_than_may_be() {
    let nest = r#"{"reduce":[{"var":""},[{"var":"accumulator"}],[]]}"#;
    let scopes = r#"{"reduce":[{"var":""},{"var":""},0]}"#;
    for rule in [nest, scopes] {
        for count in [usize::from(DEPTH_MAX), 10_000] {
            let list = format!("[{}1]", "1,".repeat(count));
            let (verdict, _) = asked(rule, &list, 100_000);
            assert_eq!(verdict, Err(Failure::Depth { max: DEPTH_MAX }), "{rule}");
        }
    }
    let list = format!("[{}1]", "1,".repeat(200));
    assert_eq!(asked(nest, &list, 100_000).0, Ok(true));
}

#[test]
fn reasons_are_words_for_labels() {
    assert_eq!(Failure::Steps { max: 1 }.reason(), "steps");
    assert_eq!(Failure::Depth { max: 1 }.reason(), "depth");
    assert_eq!(FilterError::TooDeep { max: 1 }.reason(), "depth");
}
