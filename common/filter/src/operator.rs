//! The operators, and how many arguments they take.

use std::fmt;

/// An operator of JSON-Logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Var,
    Missing,
    MissingSome,
    Equal,
    StrictEqual,
    NotEqual,
    StrictNotEqual,
    Not,
    Truthy,
    And,
    Or,
    If,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Min,
    Max,
    In,
    Cat,
    Substr,
    Merge,
    Filter,
    Map,
    Reduce,
    All,
    Some,
    None,
}

/// How many arguments an operator takes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity {
    /// At least.
    pub min: usize,
    /// At most; `None` without end.
    pub max: Option<usize>,
}

impl Arity {
    const fn new(min: usize, max: usize) -> Self {
        Self { min, max: Some(max) }
    }

    const fn from(min: usize) -> Self {
        Self { min, max: None }
    }

    pub(crate) fn fits(self, given: usize) -> bool {
        given >= self.min && self.max.is_none_or(|max| given <= max)
    }
}

impl fmt::Display for Arity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        match (self.min, self.max) {
            (min, None) => write!(f, "{min} argument{} or more", plural(min)),
            (min, Some(max)) if min == max => write!(f, "{min} argument{}", plural(min)),
            (min, Some(max)) => write!(f, "{min} to {max} arguments"),
        }
    }
}

/// All of them, by their names. `?:` is another name of `if`, and the first name is the one that is told.
const TABLE: [(&str, Operator, Arity); 34] = [
    ("var", Operator::Var, Arity::new(0, 2)),
    ("missing", Operator::Missing, Arity::from(0)),
    ("missing_some", Operator::MissingSome, Arity::new(2, 2)),
    ("==", Operator::Equal, Arity::new(2, 2)),
    ("===", Operator::StrictEqual, Arity::new(2, 2)),
    ("!=", Operator::NotEqual, Arity::new(2, 2)),
    ("!==", Operator::StrictNotEqual, Arity::new(2, 2)),
    ("!", Operator::Not, Arity::new(1, 1)),
    ("!!", Operator::Truthy, Arity::new(1, 1)),
    ("and", Operator::And, Arity::from(1)),
    ("or", Operator::Or, Arity::from(1)),
    ("if", Operator::If, Arity::from(0)),
    ("?:", Operator::If, Arity::from(0)),
    ("<", Operator::Less, Arity::new(2, 3)),
    ("<=", Operator::LessEqual, Arity::new(2, 3)),
    (">", Operator::Greater, Arity::new(2, 2)),
    (">=", Operator::GreaterEqual, Arity::new(2, 2)),
    ("+", Operator::Add, Arity::from(0)),
    ("-", Operator::Subtract, Arity::new(1, 2)),
    ("*", Operator::Multiply, Arity::from(1)),
    ("/", Operator::Divide, Arity::new(2, 2)),
    ("%", Operator::Remainder, Arity::new(2, 2)),
    ("min", Operator::Min, Arity::from(1)),
    ("max", Operator::Max, Arity::from(1)),
    ("in", Operator::In, Arity::new(2, 2)),
    ("cat", Operator::Cat, Arity::from(0)),
    ("substr", Operator::Substr, Arity::new(2, 3)),
    ("merge", Operator::Merge, Arity::from(0)),
    ("filter", Operator::Filter, Arity::new(2, 2)),
    ("map", Operator::Map, Arity::new(2, 2)),
    ("reduce", Operator::Reduce, Arity::new(2, 3)),
    ("all", Operator::All, Arity::new(2, 2)),
    ("some", Operator::Some, Arity::new(2, 2)),
    ("none", Operator::None, Arity::new(2, 2)),
];

impl Operator {
    /// The operator of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// Its name, and how many arguments it takes.
    pub(crate) fn row(self) -> (&'static str, Arity) {
        let row = TABLE.iter().find(|row| row.1 == self);
        // Each has a row: a test looks.
        row.map_or(("", Arity::from(0)), |row| (row.0, row.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_has_a_row_with_its_name() {
        for (name, operator, arity) in TABLE {
            assert_eq!(Operator::named(name), Some(operator));
            let told = if name == "?:" { "if" } else { name };
            assert_eq!(operator.row(), (told, arity), "{name}");
        }
        assert_eq!(Operator::named("log"), None);
    }

    #[test]
    fn arity_is_told_in_words() {
        assert_eq!(Arity::from(1).to_string(), "1 argument or more");
        assert_eq!(Arity::from(0).to_string(), "0 arguments or more");
        assert_eq!(Arity::new(2, 2).to_string(), "2 arguments");
        assert_eq!(Arity::new(1, 1).to_string(), "1 argument");
        assert_eq!(Arity::new(2, 3).to_string(), "2 to 3 arguments");
    }
}
