//! Filters as fox-wamp has them: an object of fields that are to be equal, `{"room": "kitchen", "by.id": 7}`.

use crate::error::FilterError;
use crate::expr::Expr;
use crate::operator::Operator;
use crate::value::{Dict, Text, Value};

/// A rule for fields that are to be equal; `None` if the object is a rule itself.
///
/// An object is one of fields if no key is an operator and each value is a plain one. So `{"typo": [1, 2]}` is an
/// unknown operator, as it is within a rule.
pub(crate) fn translate(dict: &Dict<'_>) -> Result<Option<Expr>, FilterError> {
    let operator = dict.iter().find_map(|(key, _)| Operator::named(key));
    match (operator, &**dict) {
        (Some(_), [_]) => return Ok(None),
        (Some(operator), _) => return Err(FilterError::Mixed { operator: operator.row().0 }),
        (None, [(_, Value::List(_) | Value::Dict(_))]) => return Ok(None),
        (None, _) => {}
    }
    let fields = dict.iter().map(|(field, wanted)| equality(field, wanted));
    let mut fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(match fields.len() {
        0 => Expr::Literal(Value::Bool(true)),
        1 => fields.remove(0),
        _more => Expr::Apply(Operator::And, fields.into()),
    }))
}

fn equality(field: &Text<'_>, wanted: &Value<'_>) -> Result<Expr, FilterError> {
    let wanted = match wanted {
        Value::Null => Value::Null,
        Value::Bool(is) => Value::Bool(*is),
        Value::Number(number) => Value::Number(*number),
        Value::Text(text) => Value::text(text.to_string()),
        Value::List(_) | Value::Dict(_) => {
            return Err(FilterError::FieldValue { field: (**field).into(), found: wanted.kind() });
        }
    };
    Ok(Expr::field(field, wanted))
}
