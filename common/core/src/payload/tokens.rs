//! What a JSON text says, word by word, for whoever builds something of it. Nothing calls itself, so depth
//! is the builder's to bound.

use std::borrow::Cow;

use super::event::{Event, Source};
use super::number::{Number, parse};
use super::scan::json_text;
use super::{PayloadError, check_end, json};
use crate::segment::Encoding;

/// A value, or the begin or end of a container.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer from -2^64 to 2^64 - 1; `-0` is 0.
    Integer(i128),
    /// Any other number: the float nearest to it, infinity where there is none.
    Float(f64),
    /// A string. Lone surrogates are U+FFFD.
    Text(Cow<'a, str>),
    /// A key, with its value next.
    Key(Cow<'a, str>),
    /// `[`
    List,
    /// `{`
    Dict,
    /// `]` or `}`
    End,
}

/// Reads a text that is exactly one value.
pub struct Tokens<'a> {
    text: &'a str,
    reader: json::Reader<'a>,
}

impl<'a> Tokens<'a> {
    /// Begins a text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn new(text: &'a [u8]) -> Result<Self, PayloadError> {
        let text = json_text(text)?;
        Ok(Self { text, reader: json::Reader::new(text, 0) })
    }

    /// The next token; `None` after the last one.
    ///
    /// # Errors
    /// It is no JSON, or something follows the value.
    pub fn token(&mut self) -> Result<Option<Token<'a>>, PayloadError> {
        let at = self.reader.position();
        let Some(item) = self.reader.next()? else {
            check_end(self.text.as_bytes(), at, Encoding::Json)?;
            return Ok(None);
        };
        Ok(Some(match item.event {
            Event::Null => Token::Null,
            Event::Bool(is) => Token::Bool(is),
            Event::Number(text) => number(text),
            Event::Str(text) if item.is_key => Token::Key(text.decode()),
            Event::Str(text) => Token::Text(text.decode()),
            Event::List(_) => Token::List,
            Event::Map(_) => Token::Dict,
            Event::End { .. } => Token::End,
            // What other encodings have.
            Event::Uint(_)
            | Event::Nint(_)
            | Event::Big { .. }
            | Event::Single(_)
            | Event::Float(_)
            | Event::Bytes(_) => {
                return Err(PayloadError::Malformed { encoding: Encoding::Json, at: item.at });
            }
        }))
    }
}

fn number(text: &str) -> Token<'static> {
    match parse(text) {
        Number::Uint(number) => Token::Integer(number.into()),
        Number::Nint(number) => Token::Integer(-1 - i128::from(number)),
        Number::Float(number) => Token::Float(number),
        Number::Digits(text) | Number::Huge(text) => Token::Float(text.parse().unwrap_or(f64::NAN)),
    }
}
