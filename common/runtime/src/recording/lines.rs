//! Lines of a replay: what a machine takes and owes, for people.

use std::fmt::{self, Debug, Write};

use jiff::Timestamp;

use vixen_core::recording::Moment;

/// Characters that are shown of one input or effect.
const SHOWN_CHARS_MAX: usize = 240;

/// What is shown of a value: its debug text, or the beginning of it.
pub(super) fn shown(value: &dyn Debug, is_full: bool) -> String {
    let room = if is_full { usize::MAX } else { SHOWN_CHARS_MAX };
    let mut text = Short { text: String::new(), room };
    match write!(text, "{value:?}") {
        Ok(()) => text.text,
        Err(_cut) => text.text + "…",
    }
}

/// A text that takes no more than it has room for.
struct Short {
    text: String,
    room: usize,
}

impl Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        match more.char_indices().nth(self.room) {
            None => {
                self.room -= more.chars().count();
                self.text.push_str(more);
                Ok(())
            }
            Some((end, _)) => {
                self.room = 0;
                self.text.push_str(&more[..end]);
                Err(fmt::Error)
            }
        }
    }
}

/// Wall time, to the millisecond.
pub(super) fn time(at: Moment) -> String {
    let millis = i64::try_from(at.wall.0).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Whether `wanted` is in a text, whatever its case, and begins and ends where words do: a name, an id with its
/// dashes, a topic with its dots.
pub(super) fn has_word(text: &str, wanted: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (text, wanted) = (text.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    text.match_indices(&wanted).any(|(at, found)| {
        !text[..at].ends_with(is_part) && !text[at + found.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_and_short_ones_are_not() {
        assert_eq!(shown(&Some("é"), false), "Some(\"é\")");
        let long = shown(&"é".repeat(1000), false);
        assert_eq!(long.chars().count(), SHOWN_CHARS_MAX + 1);
        assert!(long.ends_with("é…"), "{long}");
        assert_eq!(shown(&"é".repeat(1000), true).chars().count(), 1002);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("Said { message: Vote(Prepare { .. }) }", "prepare"));
        assert!(!has_word("Said { message: Vote(Prepare { .. }) }", "prep"));
        let ids = "segment: 01a22ab9-74ab-708b-a73a-08dacd50e49b/12, uri: \"com.example.a\"";
        assert!(has_word(ids, "01a22ab9-74ab-708b-a73a-08dacd50e49b/12"));
        assert!(!has_word(ids, "01a22ab9-74ab-708b-a73a-08dacd50e49b/1"));
        assert!(has_word(ids, "com.example.a") && has_word(ids, "com.example"));
    }
}
