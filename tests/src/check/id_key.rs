//! Permanent ids as numbers that sort like their texts.

use std::fmt;

/// Characters of a permanent id in ascending order; 0 stands for the end of the text.
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE: u64 = 37;
/// Digits in base 37 that fit a `u64`.
const HALF: usize = 12;

/// The text of a permanent id, at most 24 characters of `0-9a-z`, in 16 bytes. Sorts like the
/// text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdKey(u64, u64);

impl IdKey {
    /// Packs a text; `None` when it is empty, too long, or has other characters.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > 2 * HALF {
            return None;
        }
        let (left, right) = text.split_at(text.len().min(HALF));
        Some(Self(pack(left)?, pack(right)?))
    }
}

fn pack(text: &[u8]) -> Option<u64> {
    let mut packed = 0;
    for &byte in text {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        packed = packed * BASE + u64::from(digit) + 1;
    }
    Some((text.len()..HALF).fold(packed, |packed, _end| packed * BASE))
}

impl fmt::Display for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for half in [self.0, self.1] {
            let mut text = [0u8; HALF];
            let mut rest = half;
            for place in text.iter_mut().rev() {
                let digit = usize::try_from(rest % BASE).unwrap_or(0);
                *place = digit.checked_sub(1).map_or(0, |digit| ALPHABET[digit]);
                rest /= BASE;
            }
            let ended = text.iter().position(|byte| *byte == 0).unwrap_or(HALF);
            f.write_str(&String::from_utf8_lossy(&text[..ended]))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_the_texts_and_show_them() {
        let texts = [
            "0",
            "2611210830a0a0",
            "2611210830a0a1",
            "2611210830a0b10",
            "2611210830e1a2b3a0",
            "2611210831a0a0",
            "261121083112",
            "261121083112a",
            "zzzzzzzzzzzzzzzzzzzzzzzz",
        ];
        for a in texts {
            let key = |text: &str| IdKey::new(text.as_bytes()).expect("an id");
            assert_eq!(key(a).to_string(), a);
            for b in texts {
                assert_eq!(key(a).cmp(&key(b)), a.cmp(b), "{a} {b}");
            }
        }
        for bad in ["", "A", "1-2", "0123456789012345678901234"] {
            assert_eq!(IdKey::new(bad.as_bytes()), None);
        }
    }
}
