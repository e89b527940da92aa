//! How much randomness a text can have at most: an estimate from above, for telling weak secrets.
//!
//! What made a text cannot be seen in it, so this is a bound for texts that look alike. A character
//! counts as many bits as there are characters of the kinds that the text has (ten digits, 16 hex
//! digits, 26 letters …). Two things count less: six or more letters of one case in a row are taken
//! for a word, two bits a letter; and a text of few different characters counts by these.

/// Letters of one case in a row that are a word.
const WORD_CHARS: usize = 6;
/// What a letter of a word counts: some 1.3 to 2.3 bits in running English (Shannon 1951).
const WORD_LETTER_BITS: f64 = 2.0;

/// Bits of randomness at most.
pub(super) fn entropy_bits(text: &str) -> u32 {
    let chars: Vec<char> = text.chars().collect();
    let mut distinct = chars.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let is_hex = is_hex(&chars);
    let mut kinds = kinds_of(&chars, is_hex);
    // Of a good text of this length a third would differ.
    if distinct.len() * 3 < chars.len() {
        kinds = kinds.min(distinct.len());
    }
    let char_bits = count(kinds).log2();
    let in_words = if is_hex { 0 } else { chars_in_words(&chars) };
    let bits = count(chars.len() - in_words) * char_bits
        + count(in_words) * char_bits.min(WORD_LETTER_BITS);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded down; not negative, and a text has fewer than 2^28 characters"
    )]
    let bits = bits.floor() as u32;
    bits
}

fn count(n: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "lengths of texts")]
    let n = n as f64;
    n
}

fn is_hex(chars: &[char]) -> bool {
    let of = |letters: fn(&char) -> bool| {
        chars.iter().all(|c| c.is_ascii_digit() || (c.is_ascii_hexdigit() && letters(c)))
    };
    of(char::is_ascii_lowercase) || of(char::is_ascii_uppercase)
}

/// How many characters there are of the kinds that the text has.
fn kinds_of(chars: &[char], is_hex: bool) -> usize {
    let has = |kind: fn(&char) -> bool| chars.iter().any(kind);
    if !has(|c| !c.is_ascii_digit()) {
        return 10;
    }
    if is_hex {
        return 16;
    }
    [
        (has(char::is_ascii_digit), 10),
        (has(char::is_ascii_lowercase), 26),
        (has(char::is_ascii_uppercase), 26),
        // Two of them in base64; a text with others has all.
        (has(|c| "+/-_=".contains(*c)), 2),
        (has(|c| !c.is_ascii_alphanumeric() && !"+/-_=".contains(*c)), 31),
    ]
    .iter()
    .map(|(is_there, count)| if *is_there { *count } else { 0 })
    .sum()
}

fn chars_in_words(chars: &[char]) -> usize {
    let case = |c: &char| (c.is_lowercase(), c.is_uppercase());
    chars
        .chunk_by(|a, b| a.is_alphabetic() && b.is_alphabetic() && case(a) == case(b))
        .map(<[char]>::len)
        .filter(|len| *len >= WORD_CHARS)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::STRONG_BITS;

    #[test]
    fn what_openssl_makes_is_strong_and_what_people_make_up_is_weak() {
        let strong = [
            "d3f0c1a95b7e4826d3f00a1b2c3d4e5f",
            "9c1f0e5ab37d42688f20e4d1b6a7c35f0192d8e6b4a3c7f1",
            "D3F0C1A95B7E4826D3F00A1B2C3D4E5F",
            "kZ3nQ0w9Yb1uT7xRf5LdPg==",
            "7pR/1aVnXo+GQ2mKe9Jc4tUyBh0sWzDi",
        ];
        for text in strong {
            assert!(entropy_bits(text) >= STRONG_BITS, "{text}: {}", entropy_bits(text));
        }
        let weak = [
            "a-long-secret",
            "test-secret-123",
            "correct-horse-battery-staple-and-more",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789012345678901234567",
            "passwordpasswordpasswordpasswordpassword",
            "d3f0c1a95b7e4826",
            "",
        ];
        for text in weak {
            assert!(entropy_bits(text) < STRONG_BITS, "{text}: {}", entropy_bits(text));
        }
    }

    #[test]
    fn a_random_text_of_16_bytes_or_more_is_hardly_ever_called_weak() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let weak = (0..1000).filter(|_| {
            let text = format!("{:016x}{:016x}{:016x}", next(), next(), next());
            entropy_bits(&text) < STRONG_BITS
        });
        assert_eq!(weak.count(), 0);
    }
}
