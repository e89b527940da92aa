//! As much JSON (RFC 8259) as it takes to walk over a WAMP message without building a tree.

/// A place in a JSON text. Every method skips white space first and returns `None`, for good,
/// where the text is not what was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Steps over `byte`.
    pub(super) fn token(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        (*first == byte).then_some(())
    }

    /// Whether `byte` comes next.
    pub(super) fn sees(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.rest.first() == Some(&byte)
    }

    /// A number without sign, fraction and exponent.
    pub(super) fn integer(&mut self) -> Option<u64> {
        self.skip_space();
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        parse_u64(number)
    }

    /// A string without its quotes, escapes as they stand.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        self.token(b'"')?;
        let mut at = 0;
        loop {
            match *self.rest.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let text = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Some(text)
    }

    /// Any value, verbatim.
    pub(super) fn value(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let start = self.rest;
        match self.rest.first()? {
            b'"' => {
                self.string()?;
            }
            b'[' | b'{' => self.nested()?,
            _ => {
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r');
                let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
                self.rest = &self.rest[length..];
            }
        }
        let length = start.len() - self.rest.len();
        (length > 0).then(|| &start[..length])
    }

    /// Steps over an array or object.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0u32;
        loop {
            match self.rest.first()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.rest = &self.rest[1..];
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// What is left of a message after its fixed part: `,value,value` and the closing bracket, or
    /// the bracket alone. Returns the values, verbatim, without first comma and bracket.
    pub(super) fn remainder(&mut self) -> Option<&'a [u8]> {
        if self.sees(b',') {
            self.token(b',')?;
        }
        self.skip_space();
        let text = self.rest.trim_ascii_end();
        self.rest = &[];
        text.strip_suffix(b"]")
    }
}

/// Reads a run of digits; `None` when there is none, something else, or too many.
pub(super) fn parse_u64(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// Appends a number in decimal.
pub(super) fn write_u64(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(rest % 10).unwrap_or(0)];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_verbatim() {
        let text = br#" [1, {"a":"]\"}", "b":[[],{}]},true,"x\\",[2] , null]"#;
        let mut cursor = Cursor::new(text);
        assert_eq!(cursor.token(b'['), Some(()));
        let mut seen = Vec::new();
        loop {
            seen.push(String::from_utf8_lossy(cursor.value().expect("a value")).into_owned());
            if cursor.token(b',').is_none() {
                break;
            }
        }
        let wanted = ["1", r#"{"a":"]\"}", "b":[[],{}]}"#, "true", r#""x\\""#, "[2]", "null"];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn text_that_is_cut_short_is_refused_and_never_panics() {
        let text = br#"[36,1,2,{"id":"x\"y"},["a",{"b":1}]]"#;
        for end in 0..text.len() {
            assert!(Cursor::new(&text[..end]).value().is_none(), "{end}");
        }
    }

    #[test]
    fn numbers_round_trip() {
        for number in [0, 7, 10, 1234, 9_007_199_254_740_992, 9_999_999_999_999_999_999] {
            let mut text = Vec::new();
            write_u64(number, &mut text);
            assert_eq!(text, number.to_string().as_bytes());
            assert_eq!(parse_u64(&text), Some(number));
        }
        assert_eq!(parse_u64(b"1.5"), None);
        assert_eq!(parse_u64(b""), None);
    }
}
