//! Operators on lists.

use super::{Result, at_path, evaluate};
use crate::budget::Budget;
use crate::convert::{compare, is_same, to_text};
use crate::expr::Expr;
use crate::operator::Operator;
use crate::value::{Text, Value};

/// `filter`, `map`, `reduce`, `all`, `some`, `none`: the second argument sees items of the first instead of the data.
pub(super) fn apply<'a>(
    operator: Operator,
    arguments: &[Expr],
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    let [list, rule, ..] = arguments else { return Ok(Value::Null) };
    let list = evaluate(list, data, budget)?;
    let items: &[Value<'a>] = if let Value::List(items) = &list { items } else { &[] };
    let mut is_true = |item: &Value<'a>| -> Result<bool> {
        budget.step()?;
        Ok(evaluate(rule, item, budget)?.is_truthy())
    };
    match operator {
        Operator::All => {
            for item in items {
                if !is_true(item)? {
                    return Ok(Value::Bool(false));
                }
            }
            // Not of none.
            Ok(Value::Bool(!items.is_empty()))
        }
        Operator::Some | Operator::None => {
            for item in items {
                if is_true(item)? {
                    return Ok(Value::Bool(operator == Operator::Some));
                }
            }
            Ok(Value::Bool(operator == Operator::None))
        }
        Operator::Filter => {
            let mut kept = Vec::new();
            for item in items {
                if is_true(item)? {
                    kept.push(item.clone());
                }
            }
            Value::list(kept)
        }
        Operator::Map => {
            budget.steps(items.len())?;
            let made = items.iter().map(|item| evaluate(rule, item, budget));
            Value::list(made.collect::<Result<_>>()?)
        }
        _reduce => reduce(items, rule, arguments.get(2), data, budget),
    }
}

fn reduce<'a>(
    items: &[Value<'a>],
    rule: &Expr,
    initial: Option<&Expr>,
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    let mut accumulator = match initial {
        Some(initial) => evaluate(initial, data, budget)?,
        None => Value::Null,
    };
    for item in items {
        budget.step()?;
        let scope = Value::dict(vec![
            (Text::Borrowed("accumulator"), accumulator),
            (Text::Borrowed("current"), item.clone()),
        ])?;
        accumulator = evaluate(rule, &scope, budget)?;
    }
    Ok(accumulator)
}

/// Whether a list has a value, or a text a part.
pub(super) fn is_in(value: &Value<'_>, within: &Value<'_>, budget: &mut Budget) -> Result<bool> {
    match within {
        // As the reference has it: not even the empty text is in an empty one.
        Value::Text(text) if text.is_empty() => Ok(false),
        Value::Text(text) => {
            let part = to_text(value, budget)?;
            budget.bytes(text.len() + part.len())?;
            Ok(text.contains(&*part))
        }
        Value::List(items) => {
            for item in items.iter() {
                if is_same(item, value, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Dict(_) => Ok(false),
    }
}

/// One list of all: of lists their items.
pub(super) fn merge<'a>(values: Vec<Value<'a>>, budget: &mut Budget) -> Result<Value<'a>> {
    let mut merged = Vec::new();
    for value in values {
        match value {
            Value::List(items) => {
                budget.steps(items.len())?;
                merged.extend(items.iter().cloned());
            }
            other => {
                budget.step()?;
                merged.push(other);
            }
        }
    }
    Value::list(merged)
}

/// Which of the paths, given as arguments or as one list, lead to nothing, null or an empty text.
pub(super) fn missing<'a>(
    values: &[Value<'a>],
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    let paths: &[Value<'a>] = match values.first() {
        Some(Value::List(paths)) => paths,
        Some(_) | None => values,
    };
    Value::list(missing_of(paths, data, budget)?)
}

fn missing_of<'a>(
    paths: &[Value<'a>],
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Vec<Value<'a>>> {
    let mut missing = Vec::new();
    for path in paths {
        budget.step()?;
        let is_there = match at_path(path, data, budget)? {
            None | Some(Value::Null) => false,
            Some(Value::Text(text)) => !text.is_empty(),
            Some(_) => true,
        };
        if !is_there {
            missing.push(path.clone());
        }
    }
    Ok(missing)
}

/// None, if at least so many of the paths lead to something; else those that do not.
pub(super) fn missing_some<'a>(
    needed: &Value<'_>,
    paths: &Value<'a>,
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    let paths: &[Value<'a>] = match paths {
        Value::List(paths) => paths,
        one => std::slice::from_ref(one),
    };
    let mut missing = missing_of(paths, data, budget)?;
    let there = Value::integer((paths.len() - missing.len()) as u64);
    if compare(&there, needed, budget)?.is_some_and(std::cmp::Ordering::is_ge) {
        missing.clear();
    }
    Value::list(missing)
}
