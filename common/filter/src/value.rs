//! Values: what messages hold, rules say, and operators make.
//!
//! A copy costs nothing: lists and texts are shared. So a rule may refer to one list many times over, and what goes
//! through a value counts what it sees, not what there is.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use vixen_core::payload::{PayloadError, Token, Tokens};

use crate::answer::Failure;
use crate::number::Number;

/// Lists and dictionaries within each other. What goes through a value, and drops it, calls itself once a level.
pub(crate) const DEPTH_MAX: u16 = 256;

/// A value of JSON, and what arithmetic makes besides.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    List(Arc<List<'a>>),
    Dict(Arc<Dict<'a>>),
}

/// A string.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

/// Items, and how deep they nest: 1 where none of them has items.
#[derive(Debug)]
pub(crate) struct List<'a> {
    items: Box<[Value<'a>]>,
    depth: u16,
}

/// Keys, each once and in order, with their values.
#[derive(Debug)]
pub(crate) struct Dict<'a> {
    entries: Box<[(Text<'a>, Value<'a>)]>,
    depth: u16,
}

/// Why a text is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    Malformed(PayloadError),
    /// Deeper than [`DEPTH_MAX`].
    Depth,
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Shared(text.into()),
        }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl<'a> Deref for List<'a> {
    type Target = [Value<'a>];

    fn deref(&self) -> &[Value<'a>] {
        &self.items
    }
}

impl<'a> Deref for Dict<'a> {
    type Target = [(Text<'a>, Value<'a>)];

    fn deref(&self) -> &[(Text<'a>, Value<'a>)] {
        &self.entries
    }
}

impl<'a> Dict<'a> {
    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&Value<'a>> {
        let at = self.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        Some(&self[at].1)
    }
}

impl<'a> Value<'a> {
    pub(crate) fn number(number: f64) -> Self {
        Self::Number(Number::Float(number))
    }

    pub(crate) fn integer(integer: u64) -> Self {
        Self::Number(Number::integer(integer.into()))
    }

    pub(crate) fn text(text: impl Into<Text<'a>>) -> Self {
        Self::Text(text.into())
    }

    /// A list. It looks at each item once.
    pub(crate) fn list(items: Vec<Self>) -> Result<Self, Failure> {
        let depth = deeper(items.iter())?;
        Ok(Self::List(Arc::new(List { items: items.into(), depth })))
    }

    /// A dictionary. Of equal keys the last one counts.
    pub(crate) fn dict(mut entries: Vec<(Text<'a>, Self)>) -> Result<Self, Failure> {
        let depth = deeper(entries.iter().map(|(_, value)| value))?;
        // The sort keeps equal keys in their order, and the last one comes first when it is turned around.
        entries.reverse();
        entries.sort_by(|(one, _), (other, _)| (**one).cmp(other));
        entries.dedup_by(|(one, _), (other, _)| **one == **other);
        Ok(Self::Dict(Arc::new(Dict { entries: entries.into(), depth })))
    }

    /// How many levels of lists and dictionaries it has.
    fn depth(&self) -> u16 {
        match self {
            Self::List(list) => list.depth,
            Self::Dict(dict) => dict.depth,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => 0,
        }
    }

    /// What it is, in a word of JSON.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Dict(_) => "an object",
        }
    }

    /// As the operators see it: an empty list is false (jsonlogic.com/truthy).
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(is) => *is,
            Self::Number(number) => number.is_truthy(),
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Dict(_) => true,
        }
    }

    /// Reads JSON.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, ReadError> {
        let mut tokens = Tokens::new(text).map_err(ReadError::Malformed)?;
        let mut open: Vec<Open<'a>> = Vec::new();
        let mut read = Self::Null;
        while let Some(token) = tokens.token().map_err(ReadError::Malformed)? {
            let value = match token {
                Token::Null => Self::Null,
                Token::Bool(is) => Self::Bool(is),
                Token::Integer(integer) => Self::Number(Number::integer(integer)),
                Token::Float(float) => Self::number(float),
                Token::Text(text) => Self::text(text),
                Token::Key(key) => {
                    if let Some(Open::Dict(entries)) = open.last_mut() {
                        entries.push((key.into(), Self::Null));
                    }
                    continue;
                }
                Token::List | Token::Dict => {
                    if open.len() >= usize::from(DEPTH_MAX) {
                        return Err(ReadError::Depth);
                    }
                    let is_list = token == Token::List;
                    open.push(if is_list {
                        Open::List(Vec::new())
                    } else {
                        Open::Dict(Vec::new())
                    });
                    continue;
                }
                Token::End => {
                    let value = match open.pop() {
                        Some(Open::List(items)) => Self::list(items),
                        Some(Open::Dict(entries)) => Self::dict(entries),
                        // Ends come after begins.
                        None => Ok(Self::Null),
                    };
                    value.map_err(|_| ReadError::Depth)?
                }
            };
            match open.last_mut() {
                Some(Open::List(items)) => items.push(value),
                Some(Open::Dict(entries)) => {
                    if let Some((_, place)) = entries.last_mut() {
                        *place = value;
                    }
                }
                None => read = value,
            }
        }
        Ok(read)
    }
}

/// A list or dictionary whose end was not read yet.
enum Open<'a> {
    List(Vec<Value<'a>>),
    Dict(Vec<(Text<'a>, Value<'a>)>),
}

/// The depth of what holds these.
fn deeper<'v, 'a: 'v>(values: impl Iterator<Item = &'v Value<'a>>) -> Result<u16, Failure> {
    let depth = values.map(Value::depth).max().unwrap_or(0);
    if depth >= DEPTH_MAX {
        return Err(Failure::Depth { max: DEPTH_MAX });
    }
    Ok(depth + 1)
}
