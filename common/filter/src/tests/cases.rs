//! The table of cases, `cases.json`. Its format, and what holds it to the reference: `common/filter/reference`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::compile;
use crate::budget::Budget;
use crate::convert::is_same;
use crate::value::Value;

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    rule: &'a RawValue,
    #[serde(borrow)]
    data: &'a RawValue,
    /// What the rule comes to.
    #[serde(borrow)]
    is: Option<&'a RawValue>,
    /// A number that has no JSON.
    number: Option<&'a str>,
}

/// One that may be no object of fields: what is asked is the rule.
fn value_of(case: &Case<'_>) -> Result<String, String> {
    let rule = compile(case.rule.get()).map_err(|error| error.to_string())?;
    let data = Value::read(case.data.get().as_bytes()).map_err(|error| format!("{error:?}"))?;
    let mut budget = Budget::new(100_000);
    let found = rule.value(&data, &mut budget).map_err(|error| error.to_string())?;
    let wanted = match (case.number, case.is) {
        (Some(text), _) => {
            let Value::Number(number) = found else { return Err(format!("{found:?}")) };
            return if number.text() == text { Ok(String::new()) } else { Err(number.text()) };
        }
        (None, Some(wanted)) => wanted.get(),
        (None, None) => "null",
    };
    let wanted = Value::read(wanted.as_bytes()).map_err(|error| format!("{error:?}"))?;
    match is_same(&found, &wanted, &mut budget) {
        Ok(true) => Ok(String::new()),
        Ok(false) | Err(_) => Err(format!("{found:?}")),
    }
}

#[test]
fn rules_come_to_what_the_table_says() {
    let cases: Vec<Case<'_>> =
        serde_json::from_str(include_str!("../../cases.json")).expect("a table");
    assert!(cases.len() > 400, "{}", cases.len());
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let found = value_of(case).err()?;
            Some(format!("{} over {}: {found}", case.rule, case.data))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_rule_is_told_in_one_form_that_means_the_same() {
    let cases: Vec<Case<'_>> =
        serde_json::from_str(include_str!("../../cases.json")).expect("a table");
    for case in &cases {
        let rule = compile(case.rule.get()).expect("of the table");
        let again = compile(rule.rule()).expect("as it is told");
        assert_eq!(again.rule(), rule.rule());
        let data = Value::read(case.data.get().as_bytes()).expect("of the table");
        let both = [&rule, &again].map(|rule| {
            let mut budget = Budget::new(100_000);
            (format!("{:?}", rule.value(&data, &mut budget)), budget.used())
        });
        assert_eq!(both[0], both[1], "{}", rule.rule());
    }
}
