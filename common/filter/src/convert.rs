//! How operators take values of other types: as JavaScript does, since the reference leaves it to that.
//!
//! Source: ECMA-262, *IsLooselyEqual*, *IsStrictlyEqual*, *IsLessThan*, *ToNumber*, *ToString*. Other than there, two
//! lists or dictionaries are equal if what they hold is.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::answer::Failure;
use crate::budget::Budget;
use crate::number::{self, Number};
use crate::value::{Text, Value};

/// `===`: the same type, and the same value.
pub(crate) fn is_same(
    one: &Value<'_>,
    other: &Value<'_>,
    budget: &mut Budget,
) -> Result<bool, Failure> {
    budget.step()?;
    Ok(match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Number(one), Value::Number(other)) => one.compare(*other) == Some(Ordering::Equal),
        (Value::Text(one), Value::Text(other)) => {
            one.len() == other.len() && {
                budget.bytes(one.len())?;
                **one == **other
            }
        }
        (Value::List(one), Value::List(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (one, other) in one.iter().zip(other.iter()) {
                if !is_same(one, other, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(one), Value::Dict(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for ((key, one), (other_key, other)) in one.iter().zip(other.iter()) {
                budget.bytes(key.len())?;
                if **key != **other_key || !is_same(one, other, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        _types_differ => false,
    })
}

/// `==`: as [`is_same`] within a type, else as numbers or texts.
pub(crate) fn is_equal(
    one: &Value<'_>,
    other: &Value<'_>,
    budget: &mut Budget,
) -> Result<bool, Failure> {
    use Value::{Bool, Dict, List, Null, Number, Text};
    match (one, other) {
        (Null, Null)
        | (Bool(_), Bool(_))
        | (Number(_), Number(_))
        | (Text(_), Text(_))
        | (List(_) | Dict(_), List(_) | Dict(_)) => is_same(one, other, budget),
        (Null, _) | (_, Null) => Ok(false),
        (List(_) | Dict(_), Text(_)) | (Text(_), List(_) | Dict(_)) => {
            let (one, other) = (to_text(one, budget)?, to_text(other, budget)?);
            budget.bytes(one.len().min(other.len()))?;
            Ok(one == other)
        }
        (Bool(_) | Number(_), _) | (_, Bool(_) | Number(_)) => {
            let (one, other) = (to_number(one, budget)?, to_number(other, budget)?);
            Ok(one.compare(other) == Some(Ordering::Equal))
        }
    }
}

/// How two values stand to each other: texts by their UTF-16, all else as numbers; `None` where one is none.
pub(crate) fn compare(
    one: &Value<'_>,
    other: &Value<'_>,
    budget: &mut Budget,
) -> Result<Option<Ordering>, Failure> {
    let is_text =
        |value: &Value<'_>| matches!(value, Value::Text(_) | Value::List(_) | Value::Dict(_));
    if is_text(one) && is_text(other) {
        let (one, other) = (to_text(one, budget)?, to_text(other, budget)?);
        budget.bytes(one.len().min(other.len()))?;
        return Ok(Some(one.encode_utf16().cmp(other.encode_utf16())));
    }
    Ok(to_number(one, budget)?.compare(to_number(other, budget)?))
}

/// A value as a number: NaN where it is none.
pub(crate) fn to_number(value: &Value<'_>, budget: &mut Budget) -> Result<Number, Failure> {
    budget.step()?;
    Ok(match value {
        Value::Null => Number::Int(0),
        Value::Bool(is) => Number::Int((*is).into()),
        Value::Number(number) => *number,
        Value::Text(text) => {
            budget.bytes(text.len())?;
            number::of_text(text)
        }
        Value::List(_) | Value::Dict(_) => number::of_text(&to_text(value, budget)?),
    })
}

/// The number that a value begins with, as a text: what `+` and `*` take.
pub(crate) fn to_prefix_number(value: &Value<'_>, budget: &mut Budget) -> Result<f64, Failure> {
    budget.step()?;
    if let Value::Number(number) = value {
        return Ok(number.float());
    }
    let text = to_text(value, budget)?;
    budget.bytes(text.len())?;
    Ok(number::of_prefix(&text))
}

/// A value as a text.
pub(crate) fn to_text<'v>(
    value: &'v Value<'_>,
    budget: &mut Budget,
) -> Result<Cow<'v, str>, Failure> {
    budget.step()?;
    Ok(match value {
        Value::Null => Cow::Borrowed("null"),
        Value::Text(text) => Cow::Borrowed(&**text),
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Dict(_) => {
            let mut out = String::new();
            join(value, &mut out, budget)?;
            Cow::Owned(out)
        }
    })
}

/// A value as a text that goes on, as JavaScript's `join` has it: nothing for null, commas within lists.
pub(crate) fn join(
    value: &Value<'_>,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Failure> {
    budget.step()?;
    match value {
        Value::Null => {}
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.text()),
        Value::Text(text) => {
            budget.bytes(text.len())?;
            out.push_str(text);
        }
        Value::List(list) => {
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                join(item, out, budget)?;
            }
        }
        Value::Dict(_) => out.push_str("[object Object]"),
    }
    Ok(())
}

/// What is in a text or value by a path: keys and places, with dots between them. `None` where nothing is.
///
/// A list and a text have a `length` besides; of a text in units of UTF-16.
pub(crate) fn look_up<'a>(
    data: &Value<'a>,
    path: &str,
    budget: &mut Budget,
) -> Result<Option<Value<'a>>, Failure> {
    budget.bytes(path.len())?;
    let mut at = data;
    let mut parts = path.split('.');
    while let Some(part) = parts.next() {
        budget.step()?;
        at = match at {
            Value::Dict(dict) => match dict.value(part) {
                Some(value) => value,
                None => return Ok(None),
            },
            Value::List(list) => match place(part).and_then(|place| list.get(place)) {
                Some(item) => item,
                None if part == "length" && parts.next().is_none() => {
                    return Ok(Some(Value::integer(list.len() as u64)));
                }
                None => return Ok(None),
            },
            Value::Text(text) if part == "length" && parts.next().is_none() => {
                return length(text, budget).map(Some);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => return Ok(None),
        };
    }
    Ok(Some(at.clone()))
}

fn length<'a>(text: &Text<'_>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
    budget.bytes(text.len())?;
    Ok(Value::integer(text.encode_utf16().count() as u64))
}

/// The place in a list that a part of a path is: digits as they are written, so not `01` and not `+1`.
fn place(part: &str) -> Option<usize> {
    let is_plain = part == "0" || part.starts_with(|first: char| matches!(first, '1'..='9'));
    part.parse().ok().filter(|_| is_plain)
}
