//! From the text of a filter to what is evaluated.

use std::fmt::Write as _;

use crate::answer::Answer;
use crate::budget::Budget;
use crate::data::Data;
use crate::error::FilterError;
use crate::evaluate::evaluate;
use crate::expr::Expr;
use crate::fields::translate;
use crate::operator::Operator;
use crate::value::{DEPTH_MAX, ReadError, Value};

/// Levels of a rule, whatever is configured: each calls itself once.
const RULE_DEPTH_MAX: usize = 64;

/// What a filter may be and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its text.
    pub bytes: usize,
    /// Operators, lists and values in it.
    pub nodes: usize,
    /// Levels of operators and lists, 64 at most.
    pub depth: usize,
    /// Steps for a message: one for each operator, list or value of the rule that is evaluated, for each item that is
    /// looked at or made, and for each 32 bytes of text.
    pub steps: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4096, nodes: 256, depth: 32, steps: 100_000 }
    }
}

/// A filter that was found good.
#[derive(Debug)]
pub struct Filter {
    expr: Expr,
    rule: Box<str>,
    steps: u32,
}

impl Filter {
    /// Takes the text of a filter: JSON.
    ///
    /// # Errors
    /// It is no filter, or beyond a limit.
    pub fn compile(text: &[u8], limits: &Limits) -> Result<Self, FilterError> {
        if text.len() > limits.bytes {
            return Err(FilterError::TooLong { bytes: text.len(), max: limits.bytes });
        }
        let value = Value::read(text).map_err(|error| match error {
            ReadError::Malformed(error) => FilterError::NotJson(error),
            ReadError::Depth => FilterError::TooDeep { max: DEPTH_MAX.into() },
        })?;
        let mut walk = Walk { limits, nodes: 0, path: Vec::new() };
        let expr = match &value {
            Value::Bool(is) => Expr::Literal(Value::Bool(*is)),
            Value::Dict(dict) => match translate(dict)? {
                Some(expr) => walk.counted(expr)?,
                None => walk.expr(&value)?,
            },
            Value::Null | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                return Err(FilterError::NotARule { found: value.kind() });
            }
        };
        let rule = expr.to_string().into();
        Ok(Self { expr, rule, steps: limits.steps })
    }

    /// The rule as JSON: field equality translated, spaces gone. Equal texts are equal filters.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Asks it about a message.
    #[must_use]
    pub fn ask(&self, data: &Data<'_>) -> Answer {
        let mut budget = Budget::new(self.steps);
        let verdict = self.value(data.root(), &mut budget).map(|value| value.is_truthy());
        Answer { verdict, steps: budget.used() }
    }

    /// What the rule comes to.
    pub(crate) fn value<'a>(
        &self,
        data: &Value<'a>,
        budget: &mut Budget,
    ) -> Result<Value<'a>, crate::Failure> {
        evaluate(&self.expr, data, budget)
    }
}

/// Where a part of a rule stands within the one around it.
enum Place<'v> {
    Key(&'v str),
    Index(usize),
}

/// One walk through a rule.
struct Walk<'v> {
    limits: &'v Limits,
    nodes: usize,
    path: Vec<Place<'v>>,
}

impl<'v> Walk<'v> {
    fn expr(&mut self, value: &'v Value<'_>) -> Result<Expr, FilterError> {
        self.count()?;
        match value {
            Value::Null => Ok(Expr::Literal(Value::Null)),
            Value::Bool(is) => Ok(Expr::Literal(Value::Bool(*is))),
            Value::Number(number) => Ok(Expr::Literal(Value::Number(*number))),
            Value::Text(text) => Ok(Expr::Literal(Value::text(text.to_string()))),
            Value::List(items) => Ok(list(self.items(items)?)),
            Value::Dict(dict) => match &***dict {
                [(name, arguments)] => self.apply(name, arguments),
                _none_or_several => {
                    Err(FilterError::NotOneKey { keys: dict.len(), at: self.pointer() })
                }
            },
        }
    }

    fn apply(&mut self, name: &'v str, arguments: &'v Value<'_>) -> Result<Expr, FilterError> {
        let Some(operator) = Operator::named(name) else {
            return Err(FilterError::UnknownOperator { name: name.into(), at: self.pointer() });
        };
        let given = match arguments {
            Value::List(items) => items.len(),
            _one => 1,
        };
        let (_, wanted) = operator.row();
        if !wanted.fits(given) {
            let operator = operator.row().0;
            return Err(FilterError::Arguments { operator, given, wanted, at: self.pointer() });
        }
        self.path.push(Place::Key(name));
        let arguments = match arguments {
            Value::List(items) => self.items(items)?,
            one => vec![self.within(one)?],
        };
        self.path.pop();
        Ok(Expr::Apply(operator, arguments.into()))
    }

    fn items(&mut self, items: &'v [Value<'_>]) -> Result<Vec<Expr>, FilterError> {
        let mut exprs = Vec::with_capacity(items.len().min(self.limits.nodes));
        for (at, item) in items.iter().enumerate() {
            self.path.push(Place::Index(at));
            exprs.push(self.within(item)?);
            self.path.pop();
        }
        Ok(exprs)
    }

    /// One level down.
    fn within(&mut self, value: &'v Value<'_>) -> Result<Expr, FilterError> {
        let max = self.limits.depth.min(RULE_DEPTH_MAX);
        // A key and a place in its list are two of a path, and one level.
        if self.levels() > max {
            return Err(FilterError::TooDeep { max });
        }
        self.expr(value)
    }

    /// Operators and lists around what the path leads to.
    fn levels(&self) -> usize {
        let mut levels = 0;
        let mut is_in_operator = false;
        for place in &self.path {
            let is_key = matches!(place, Place::Key(_));
            levels += usize::from(is_key || !is_in_operator);
            is_in_operator = is_key;
        }
        levels
    }

    fn count(&mut self) -> Result<(), FilterError> {
        self.nodes += 1;
        let max = self.limits.nodes;
        if self.nodes > max { Err(FilterError::TooManyNodes { max }) } else { Ok(()) }
    }

    /// A rule that was translated.
    fn counted(&mut self, expr: Expr) -> Result<Expr, FilterError> {
        self.count_all(&expr)?;
        Ok(expr)
    }

    fn count_all(&mut self, expr: &Expr) -> Result<(), FilterError> {
        self.count()?;
        match expr {
            Expr::Literal(_) => Ok(()),
            Expr::List(items) | Expr::Apply(_, items) => {
                items.iter().try_for_each(|item| self.count_all(item))
            }
        }
    }

    /// Source: RFC 6901 §3.
    fn pointer(&self) -> Box<str> {
        let mut pointer = String::new();
        for place in &self.path {
            // Writing to a text has no way to fail.
            let _always = match place {
                Place::Key(key) => {
                    write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
                }
                Place::Index(at) => write!(pointer, "/{at}"),
            };
        }
        pointer.into()
    }
}

/// A list of values that are the same for all messages is made once.
fn list(items: Vec<Expr>) -> Expr {
    let values = items.iter().map(|item| match item {
        Expr::Literal(value) => Some(value.clone()),
        Expr::List(_) | Expr::Apply(..) => None,
    });
    let values = values.collect::<Option<Vec<_>>>();
    match values.map(Value::list) {
        Some(Ok(list)) => Expr::Literal(list),
        // A rule is less deep than a value may be.
        Some(Err(_)) | None => Expr::List(items.into()),
    }
}
