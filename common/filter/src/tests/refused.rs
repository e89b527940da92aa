//! What is no filter, what it is told, and filters that are fields.

use super::compile;
use crate::{Filter, FilterError, Limits};

fn told(rule: &str) -> String {
    compile(rule)
        .map_or_else(|error| error.to_string(), |filter| format!("taken: {}", filter.rule()))
}

#[test]
fn an_unknown_operator_is_named_with_its_place() {
    for (rule, name, at) in [
        (r#"{"log":{"var":"a"}}"#, "log", ""),
        (r#"{"and":[true,{"regex":["a","b"]}]}"#, "regex", "/and/1"),
        (r#"{"!":{"nope":1}}"#, "nope", "/!"),
        (r#"{"==":[{"var":"a"},[1,[{"x":0}]]]}"#, "x", "/==/1/1/0"),
        (r#"{"/":[1,{"~":[]}]}"#, "~", "/~1/1"),
        (r#"{"some":[{"var":"a"},{"Var":""}]}"#, "Var", "/some/1"),
    ] {
        let error = compile(rule).expect_err(rule);
        let wanted = FilterError::UnknownOperator { name: name.into(), at: at.into() };
        assert_eq!(error, wanted);
        assert_eq!(error.to_string(), format!("unknown operator \"{name}\" at \"{at}\""));
        assert_eq!(error.reason(), "operator");
    }
    let long = "ä".repeat(1000);
    let error = told(&format!(r#"{{"{long}":[]}}"#));
    assert_eq!(error, format!("unknown operator \"{}…\" at \"\"", "ä".repeat(64)));
}

#[test]
fn what_is_no_filter_is_told_why() {
    for (rule, wanted) in [
        ("", "the filter is no JSON"),
        ("{", "the filter is no JSON"),
        ("{} {}", "the filter is no JSON"),
        ("{'a':1}", "the filter is no JSON"),
        ("null", "a filter is an object, true or false, and this is null"),
        ("1", "a filter is an object, true or false, and this is a number"),
        (r#""{}""#, "a filter is an object, true or false, and this is a string"),
        ("[true]", "a filter is an object, true or false, and this is a list"),
        (
            r#"{"!":[{"==":[1,1],"!=":[1,2]}]}"#,
            r#"an object in a filter has one key, its operator, and that at "/!/0" has 2"#,
        ),
        (
            r#"{"!":{}}"#,
            r#"an object in a filter has one key, its operator, and that at "/!" has 0"#,
        ),
        (
            r#"{"a":1,"==":[1,1]}"#,
            r#"the filter has operator "==" beside other keys: combine with "and""#,
        ),
        (
            r#"{"?:":[1],"and":[]}"#,
            r#"the filter has operator "if" beside other keys: combine with "and""#,
        ),
        (
            r#"{"a":1,"b":[2]}"#,
            r#"field "b" is to be equal to a list: write a rule with operators"#,
        ),
        (
            r#"{"a":1,"b":{}}"#,
            r#"field "b" is to be equal to an object: write a rule with operators"#,
        ),
        (r#"{"==":[1]}"#, r#"operator "==" at "" takes 2 arguments, and has 1"#),
        (r#"{"==":1}"#, r#"operator "==" at "" takes 2 arguments, and has 1"#),
        (r#"{"!":{">":[3,2,1]}}"#, r#"operator ">" at "/!" takes 2 arguments, and has 3"#),
        (r#"{"<":[1,2,3,4]}"#, r#"operator "<" at "" takes 2 to 3 arguments, and has 4"#),
        (r#"{"and":[]}"#, r#"operator "and" at "" takes 1 argument or more, and has 0"#),
        (r#"{"var":["a",1,2]}"#, r#"operator "var" at "" takes 0 to 2 arguments, and has 3"#),
        (r#"{"map":[[]]}"#, r#"operator "map" at "" takes 2 arguments, and has 1"#),
    ] {
        assert_eq!(told(rule), wanted, "{rule}");
    }
    let not_utf8 = Filter::compile(b"{\"var\":\"\xff\"}", &Limits::default());
    assert!(matches!(not_utf8, Err(FilterError::NotJson(_))), "{not_utf8:?}");
}

#[test]
fn fields_are_translated() {
    for (fields, rule) in [
        ("{}", "true"),
        ("true", "true"),
        (" false ", "false"),
        (r#"{"a": 1}"#, r#"{"==":[{"var":"a"},1]}"#),
        (
            r#"{"a": 1, "b.c": "x"}"#,
            r#"{"and":[{"==":[{"var":"a"},1]},{"==":[{"var":"b.c"},"x"]}]}"#,
        ),
        (r#"{"a": null}"#, r#"{"===":[{"var":["a",false]},null]}"#),
        (r#"{"a": true}"#, r#"{"==":[{"var":"a"},true]}"#),
        (r#"{"a": 1.0, "a": 2.50}"#, r#"{"==":[{"var":"a"},2.5]}"#),
        (r#"{"equals": "\u0001\"\\ä"}"#, "{\"==\":[{\"var\":\"equals\"},\"\\u0001\\\"\\\\ä\"]}"),
    ] {
        let filter = compile(fields).expect(fields);
        assert_eq!(filter.rule(), rule, "{fields}");
        assert_eq!(compile(rule).expect(rule).rule(), rule);
    }
}

#[test]
fn a_rule_is_told_without_what_says_nothing() {
    for (rule, told) in [
        (r#"{"var": ["a"]}"#, r#"{"var":"a"}"#),
        (r#"{"var": []}"#, r#"{"var":[]}"#),
        (r#"{"!": [[]]}"#, r#"{"!":[[]]}"#),
        (r#"{"!!": [[{"var":"a"}]]}"#, r#"{"!!":[[{"var":"a"}]]}"#),
        (r#"{"?:": [1, -0, -0.0]}"#, r#"{"if":[1,0,-0.0]}"#),
        (
            r#"{"in": [1e400, [null, 18446744073709551615]]}"#,
            r#"{"in":[1e999,[null,18446744073709551615]]}"#,
        ),
    ] {
        assert_eq!(compile(rule).expect(rule).rule(), told);
    }
}
