//! Rules as they are kept, and their text.

use std::fmt::{self, Write as _};

use crate::number::Number;
use crate::operator::Operator;
use crate::value::Value;

/// A rule, or a part of it. Its depth is bounded by [`crate::Limits::depth`].
#[derive(Debug)]
pub(crate) enum Expr {
    /// A value that is the same for all messages.
    Literal(Value<'static>),
    /// A list of what its items come to.
    List(Box<[Self]>),
    /// An operator and its arguments, of which it has as many as it takes.
    Apply(Operator, Box<[Self]>),
}

impl Expr {
    const fn is_list(&self) -> bool {
        matches!(self, Self::List(_) | Self::Literal(Value::List(_)))
    }

    /// The field at a path is equal to a value.
    pub(crate) fn field(path: &str, wanted: Value<'static>) -> Self {
        let mut field = vec![Self::Literal(Value::text(path.to_owned()))];
        let mut operator = Operator::Equal;
        if matches!(wanted, Value::Null) {
            // Null, and not absent: what is absent is false then.
            field.push(Self::Literal(Value::Bool(false)));
            operator = Operator::StrictEqual;
        }
        let field = Self::Apply(Operator::Var, field.into());
        Self::Apply(operator, [field, Self::Literal(wanted)].into())
    }
}

/// As JSON, in one form: without spaces, and one argument without its list where that is no list itself.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => write_value(value, f),
            Self::List(items) => write_list(items, f, <Self as fmt::Display>::fmt),
            Self::Apply(operator, arguments) => {
                let (name, _) = operator.row();
                f.write_char('{')?;
                write_string(name, f)?;
                f.write_char(':')?;
                match &**arguments {
                    // It would be taken for the list of arguments.
                    [argument] if !argument.is_list() => fmt::Display::fmt(argument, f)?,
                    arguments => write_list(arguments, f, <Self as fmt::Display>::fmt)?,
                }
                f.write_char('}')
            }
        }
    }
}

fn write_list<T>(
    items: &[T],
    f: &mut fmt::Formatter<'_>,
    write: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char('[')?;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_char(',')?;
        }
        write(item, f)?;
    }
    f.write_char(']')
}

fn write_value(value: &Value<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Bool(is) => write!(f, "{is}"),
        Value::Number(Number::Int(number)) => write!(f, "{number}"),
        Value::Number(Number::Uint(number)) => write!(f, "{number}"),
        // Beyond all floats, as it came.
        Value::Number(Number::Float(number)) if number.is_infinite() => {
            f.write_str(if *number > 0.0 { "1e999" } else { "-1e999" })
        }
        Value::Number(Number::Float(number)) => write!(f, "{number:?}"),
        Value::Text(text) => write_string(text, f),
        Value::List(list) => write_list(list, f, write_value),
        // Rules have no dictionaries.
        Value::Null | Value::Dict(_) => f.write_str("null"),
    }
}

/// Source: RFC 8259 §7.
fn write_string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            '\0'..'\u{20}' => write!(f, "\\u{:04x}", u32::from(character))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
