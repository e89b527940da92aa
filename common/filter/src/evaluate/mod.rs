//! Evaluates rules.
//!
//! It calls itself once a level of the rule, which are few; each call takes a step.

mod lists;
mod texts;

use std::cmp::Ordering;

use crate::answer::Failure;
use crate::budget::Budget;
use crate::convert::{compare, is_equal, is_same, look_up, to_number, to_prefix_number, to_text};
use crate::expr::Expr;
use crate::operator::Operator;
use crate::value::Value;

type Result<T> = std::result::Result<T, Failure>;

/// What a rule comes to, over data: all of a message, or an item of a list within `map` and its like.
pub(crate) fn evaluate<'a>(
    expr: &Expr,
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    budget.step()?;
    match expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::List(items) => Value::list(all(items, data, budget)?),
        Expr::Apply(operator, arguments) => apply(*operator, arguments, data, budget),
    }
}

fn apply<'a>(
    operator: Operator,
    arguments: &[Expr],
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    // These look at their arguments one by one, or give them other data.
    match operator {
        Operator::Var => return var(arguments, data, budget),
        Operator::If => return branch(arguments, data, budget),
        Operator::And => return first(false, arguments, data, budget),
        Operator::Or => return first(true, arguments, data, budget),
        Operator::Filter
        | Operator::Map
        | Operator::Reduce
        | Operator::All
        | Operator::Some
        | Operator::None => return lists::apply(operator, arguments, data, budget),
        _all_at_once => {}
    }
    let values = all(arguments, data, budget)?;
    let value = |at: usize| values.get(at).unwrap_or(&Value::Null);
    let is_true = match operator {
        Operator::Equal => is_equal(value(0), value(1), budget)?,
        Operator::NotEqual => !is_equal(value(0), value(1), budget)?,
        Operator::StrictEqual => is_same(value(0), value(1), budget)?,
        Operator::StrictNotEqual => !is_same(value(0), value(1), budget)?,
        Operator::Not => !value(0).is_truthy(),
        Operator::Truthy => value(0).is_truthy(),
        Operator::Less => are_in_order(&values, Ordering::is_lt, budget)?,
        Operator::LessEqual => are_in_order(&values, Ordering::is_le, budget)?,
        Operator::Greater => are_in_order(&values, Ordering::is_gt, budget)?,
        Operator::GreaterEqual => are_in_order(&values, Ordering::is_ge, budget)?,
        Operator::In => lists::is_in(value(0), value(1), budget)?,
        Operator::Cat => return texts::cat(&values, budget),
        Operator::Substr => return texts::substr(value(0), value(1), values.get(2), budget),
        Operator::Merge => return lists::merge(values, budget),
        Operator::Missing => return lists::missing(&values, data, budget),
        Operator::MissingSome => return lists::missing_some(value(0), value(1), data, budget),
        Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Remainder
        | Operator::Min
        | Operator::Max => return arithmetic(operator, &values, budget).map(Value::number),
        // Above.
        Operator::Var
        | Operator::If
        | Operator::And
        | Operator::Or
        | Operator::Filter
        | Operator::Map
        | Operator::Reduce
        | Operator::All
        | Operator::Some
        | Operator::None => false,
    };
    Ok(Value::Bool(is_true))
}

fn all<'a>(exprs: &[Expr], data: &Value<'a>, budget: &mut Budget) -> Result<Vec<Value<'a>>> {
    exprs.iter().map(|expr| evaluate(expr, data, budget)).collect()
}

fn var<'a>(arguments: &[Expr], data: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>> {
    let path = match arguments.first() {
        Some(path) => evaluate(path, data, budget)?,
        None => Value::Null,
    };
    match at_path(&path, data, budget)? {
        Some(value) => Ok(value),
        None => match arguments.get(1) {
            Some(default) => evaluate(default, data, budget),
            None => Ok(Value::Null),
        },
    }
}

/// What is at a path: all of the data for none and an empty one.
fn at_path<'a>(
    path: &Value<'_>,
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Option<Value<'a>>> {
    match path {
        Value::Null => Ok(Some(data.clone())),
        Value::Text(path) if path.is_empty() => Ok(Some(data.clone())),
        path => {
            let path = to_text(path, budget)?;
            look_up(data, &path, budget)
        }
    }
}

/// `if`: conditions and what they give by turns, and what is left.
fn branch<'a>(arguments: &[Expr], data: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>> {
    for pair in arguments.chunks(2) {
        match pair {
            [condition, then] => {
                if evaluate(condition, data, budget)?.is_truthy() {
                    return evaluate(then, data, budget);
                }
            }
            [otherwise, ..] => return evaluate(otherwise, data, budget),
            [] => {}
        }
    }
    Ok(Value::Null)
}

/// The first argument that is true, or false, and else the last one.
fn first<'a>(
    wanted: bool,
    arguments: &[Expr],
    data: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    let mut last = Value::Null;
    for argument in arguments {
        last = evaluate(argument, data, budget)?;
        if last.is_truthy() == wanted {
            break;
        }
    }
    Ok(last)
}

/// Whether each value and the next are so.
fn are_in_order(
    values: &[Value<'_>],
    is: impl Fn(Ordering) -> bool,
    budget: &mut Budget,
) -> Result<bool> {
    for pair in values.windows(2) {
        if let [one, next] = pair
            && !compare(one, next, budget)?.is_some_and(&is)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn arithmetic(operator: Operator, values: &[Value<'_>], budget: &mut Budget) -> Result<f64> {
    // `+` and `*` take the number that a text begins with, all others the whole of it.
    let is_by_prefix = matches!(operator, Operator::Add | Operator::Multiply);
    let mut numbers = Vec::with_capacity(values.len());
    for value in values {
        numbers.push(if is_by_prefix {
            to_prefix_number(value, budget)?
        } else {
            to_number(value, budget)?.float()
        });
    }
    let number = |at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
    Ok(match operator {
        Operator::Add => numbers.iter().fold(0.0, |sum, number| sum + number),
        Operator::Multiply => {
            numbers.iter().copied().reduce(|one, other| one * other).unwrap_or(1.0)
        }
        Operator::Subtract if numbers.len() == 1 => -number(0),
        Operator::Subtract => number(0) - number(1),
        Operator::Divide => number(0) / number(1),
        Operator::Remainder => number(0) % number(1),
        Operator::Min => extreme(&numbers, Ordering::Less),
        _max => extreme(&numbers, Ordering::Greater),
    })
}

/// The least or greatest number, -0 being less than 0; NaN if one is NaN.
fn extreme(numbers: &[f64], wanted: Ordering) -> f64 {
    let better = |one: f64, other: f64| {
        if one.is_nan() || other.is_nan() {
            f64::NAN
        } else if other.total_cmp(&one) == wanted {
            other
        } else {
            one
        }
    };
    numbers.iter().copied().reduce(better).unwrap_or(f64::NAN)
}
