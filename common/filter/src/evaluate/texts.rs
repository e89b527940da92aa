//! `cat` and `substr`.

use super::Result;
use crate::budget::Budget;
use crate::convert::{join, to_number, to_text};
use crate::value::Value;

pub(super) fn cat<'a>(values: &[Value<'_>], budget: &mut Budget) -> Result<Value<'a>> {
    let mut text = String::new();
    for value in values {
        join(value, &mut text, budget)?;
    }
    Ok(Value::text(text))
}

/// From the character `start` on, or so many before the end; so many of them, or all but so many. Characters are those of Unicode.
pub(super) fn substr<'a>(
    source: &Value<'_>,
    start: &Value<'_>,
    count: Option<&Value<'_>>,
    budget: &mut Budget,
) -> Result<Value<'a>> {
    let text = to_text(source, budget)?;
    budget.bytes(text.len())?;
    let characters = text.chars().count();
    let start = match whole(to_number(start, budget)?.float()) {
        Ok(start) => start.min(characters),
        Err(before_end) => characters.saturating_sub(before_end),
    };
    let left = characters - start;
    let count = match count {
        None => left,
        Some(count) => match whole(to_number(count, budget)?.float()) {
            Ok(count) => count.min(left),
            Err(but) => left.saturating_sub(but),
        },
    };
    budget.bytes(text.len())?;
    let part: String = text.chars().skip(start).take(count).collect();
    Ok(Value::text(part))
}

/// The whole part of a number, or how much it is below 0. NaN is 0.
fn whole(number: f64) -> std::result::Result<usize, usize> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large is the largest there is"
    )]
    let size = number.abs() as usize;
    if number < 0.0 && size > 0 { Err(size) } else { Ok(size) }
}
