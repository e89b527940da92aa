//! Texts of JSON, token by token.

use super::super::{PayloadError, Token, Tokens};
use crate::segment::Encoding;

fn tokens(text: &[u8]) -> Result<Vec<Token<'_>>, PayloadError> {
    let mut tokens = Tokens::new(text)?;
    let mut all = Vec::new();
    while let Some(token) = tokens.token()? {
        all.push(token);
    }
    assert_eq!(tokens.token(), Ok(None), "an end stays one");
    Ok(all)
}

#[test]
fn a_text_is_read_token_by_token() {
    let text = r#" {"a":[1,-0,-1.5,true,{}],"\u0062":null, "c":"\ud800x"} "#;
    let wanted = [
        Token::Dict,
        Token::Key("a".into()),
        Token::List,
        Token::Integer(1),
        Token::Integer(0),
        Token::Float(-1.5),
        Token::Bool(true),
        Token::Dict,
        Token::End,
        Token::End,
        Token::Key("b".into()),
        Token::Null,
        Token::Key("c".into()),
        Token::Text("\u{fffd}x".into()),
        Token::End,
    ];
    assert_eq!(tokens(text.as_bytes()), Ok(wanted.to_vec()));
}

#[test]
fn integers_of_64_bits_are_exact_and_others_the_nearest_float() {
    for (text, wanted) in [
        ("18446744073709551615", Token::Integer(u64::MAX.into())),
        ("-18446744073709551616", Token::Integer(-(1 << 64))),
        ("18446744073709551616", Token::Float(18_446_744_073_709_551_616.0)),
        ("-0.0", Token::Float(-0.0)),
        ("1e2", Token::Float(100.0)),
        ("1e400", Token::Float(f64::INFINITY)),
        ("-1e400", Token::Float(f64::NEG_INFINITY)),
    ] {
        assert_eq!(tokens(text.as_bytes()), Ok(vec![wanted]), "{text}");
    }
    let long = format!("-1{}", "0".repeat(400));
    assert_eq!(tokens(long.as_bytes()), Ok(vec![Token::Float(f64::NEG_INFINITY)]));
}

#[test]
fn what_is_not_one_value_of_json_is_refused() {
    let malformed = |at| PayloadError::Malformed { encoding: Encoding::Json, at };
    for (text, wanted) in [
        (&b""[..], malformed(0)),
        (b" ", malformed(1)),
        (b"[1", malformed(2)),
        (b"[1,]", malformed(3)),
        (b"{1:2}", malformed(1)),
        (b"1 2", PayloadError::TrailingBytes { at: 2 }),
        (b"[] ]", PayloadError::TrailingBytes { at: 3 }),
        (b"\"\xff\"", PayloadError::NotUtf8 { at: 1 }),
    ] {
        assert_eq!(tokens(text), Err(wanted), "{text:?}");
    }
}
