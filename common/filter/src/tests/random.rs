//! Random rules over random data: nothing panics, steps are kept, and a plain evaluator agrees.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::naive::{self, N};
use crate::budget::Budget;
use crate::number::Number;
use crate::value::Value;
use crate::{Failure, Filter, Limits};

/// Operators by the fewest and most arguments that are made of them here.
const OPERATORS: [(&str, usize, usize); 34] = [
    ("var", 0, 2),
    ("missing", 0, 3),
    ("missing_some", 2, 2),
    ("==", 2, 2),
    ("===", 2, 2),
    ("!=", 2, 2),
    ("!==", 2, 2),
    ("!", 1, 1),
    ("!!", 1, 1),
    ("and", 1, 3),
    ("or", 1, 3),
    ("if", 0, 5),
    ("?:", 0, 5),
    ("<", 2, 3),
    ("<=", 2, 3),
    (">", 2, 2),
    (">=", 2, 2),
    ("+", 0, 3),
    ("-", 1, 2),
    ("*", 1, 3),
    ("/", 2, 2),
    ("%", 2, 2),
    ("min", 1, 3),
    ("max", 1, 3),
    ("in", 2, 2),
    ("cat", 0, 3),
    ("substr", 2, 3),
    ("merge", 0, 3),
    ("filter", 2, 2),
    ("map", 2, 2),
    ("reduce", 2, 3),
    ("all", 2, 2),
    ("some", 2, 2),
    ("none", 2, 2),
];

fn text() -> impl Strategy<Value = String> {
    const SOME: &[&str] = &[
        "",
        "a",
        "b",
        "c",
        "a.b",
        "b.0",
        "list",
        "list.1",
        "accumulator",
        "current",
        "length",
        "1",
        " 2.5 ",
        "1e3x",
        "-0",
        "äö😀",
        "ab",
    ];
    prop::sample::select(SOME).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Json> {
    const NUMBERS: &[f64] = &[0.5, -1.5, 2.0, -0.0, 1e21, 1e-7, 3.25];
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3_i64..12).prop_map(Json::from),
        prop::sample::select(NUMBERS).prop_map(Json::from),
        text().prop_map(Json::from),
    ]
}

/// Data.
pub(super) fn value() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        let key = prop::sample::select(&["a", "b", "c", "list", "k", "length"][..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// A rule that is taken, but for its size.
pub(super) fn rule() -> impl Strategy<Value = Json> {
    let path = || text().prop_map(|path| json!({ "var": path }));
    let leaf = prop_oneof![2 => scalar(), 3 => path()];
    let inner = leaf.prop_recursive(5, 60, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from);
        prop_oneof![1 => list, 6 => operator(inner)]
    });
    operator(inner)
}

fn operator(argument: impl Strategy<Value = Json> + Clone) -> impl Strategy<Value = Json> {
    let some = prop::sample::select(&OPERATORS[..]);
    (some, prop::collection::vec(argument, 5), any::<prop::sample::Index>()).prop_map(
        |((name, min, max), mut arguments, count)| {
            arguments.truncate(min + count.index(max - min + 1));
            json!({ name: arguments })
        },
    )
}

/// Any JSON.
fn anything() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let names: Vec<&str> = OPERATORS.iter().map(|row| row.0).collect();
        let key = prop_oneof![
            4 => prop::sample::select(names).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(key, inner, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// A value as the plain evaluator has it.
fn plain(value: &Value<'_>) -> N {
    match value {
        Value::Null => N::Null,
        Value::Bool(is) => N::Bool(*is),
        Value::Number(number) => N::Num(number.float()),
        Value::Text(text) => N::Str(text.to_string()),
        Value::List(list) => N::Arr(list.iter().map(plain).collect()),
        Value::Dict(dict) => {
            N::Obj(dict.iter().map(|(key, value)| (key.to_string(), plain(value))).collect())
        }
    }
}

/// NaN is itself here.
fn shown(value: &N) -> String {
    format!("{value:?}").replace("Num(-0.0)", "Num(0.0)")
}

fn evaluated(filter: &Filter, data: &str, steps: u32) -> (Result<N, Failure>, u32) {
    let data = Value::read(data.as_bytes()).expect("JSON");
    let mut budget = Budget::new(steps);
    let result = filter.value(&data, &mut budget).map(|value| plain(&value));
    (result, budget.used())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_plain_evaluator_agrees(rule in rule(), data in value()) {
        let limits = Limits { bytes: usize::MAX, nodes: usize::MAX, ..Limits::default() };
        let filter = Filter::compile(rule.to_string().as_bytes(), &limits).expect("a rule");
        let (result, steps) = evaluated(&filter, &data.to_string(), 50_000);
        prop_assume!(result.is_ok());
        let found = result.expect("within its steps");
        let wanted = naive::apply(&rule, &naive::from(&data));
        prop_assert_eq!(shown(&found), shown(&wanted), "{} over {}", rule, data);

        // The steps that it took suffice, and one less does not.
        prop_assert_eq!(shown(&evaluated(&filter, &data.to_string(), steps).0.expect("enough")), shown(&wanted));
        let (less, used) = evaluated(&filter, &data.to_string(), steps - 1);
        prop_assert_eq!(less, Err(Failure::Steps { max: steps - 1 }));
        prop_assert_eq!(used, steps - 1);
    }

    #[test]
    fn any_json_is_taken_or_refused_and_answers_within_its_steps(
        rule in anything(), data in anything(), steps in 0_u32..5_000,
    ) {
        let limits = Limits { steps, ..Limits::default() };
        if let Ok(filter) = Filter::compile(rule.to_string().as_bytes(), &limits) {
            let again = Filter::compile(filter.rule().as_bytes(), &Limits { bytes: usize::MAX, ..limits });
            let again = again.expect("as it is told");
            prop_assert_eq!(again.rule(), filter.rule());
            let (result, used) = evaluated(&filter, &data.to_string(), steps);
            prop_assert!(used <= steps);
            if let Err(Failure::Steps { max }) = result {
                prop_assert_eq!((max, used), (steps, steps));
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _either = Filter::compile(&bytes, &Limits::default());
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "a whole float of 64 bits")]
    fn numbers_are_compared_as_their_exact_values(one in any::<i64>(), other in any::<f64>(), is_near in any::<bool>()) {
        let other = if is_near { one as f64 } else { other };
        let exact = Number::Int(one).compare(Number::Float(other));
        // Rounding an integer to a float keeps the order, so only equal floats have to be looked into.
        let rounded = (one as f64).partial_cmp(&other);
        if rounded.is_some_and(std::cmp::Ordering::is_ne) || other.is_nan() {
            prop_assert_eq!(exact, rounded);
        } else {
            prop_assert_eq!(exact, Some(i128::from(one).cmp(&(other as i128))));
        }
    }

    #[test]
    fn a_float_is_written_so_that_it_reads_back(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let text = Number::Float(number).text();
        prop_assert_eq!(text.parse::<f64>().expect("a number"), number);
        prop_assert_eq!(crate::number::of_text(&text).float(), number);
    }
}
