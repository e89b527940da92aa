//! Words: what a node says is missing, with parts that grow older: `S2, S3 (silent for 22 s)`.
//!
//! Such a text is compared to see whether there is news, and read later than it is made: so it is
//! kept in pieces, and gets its durations when somebody reads it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::name::NodeName;

/// How a node is missed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absence {
    /// It has no link.
    Down,
    /// It has no link, though somebody answers: they cannot agree.
    Refused {
        /// Why, as the dialling side says.
        why: Arc<str>,
    },
    /// Nothing has come from it since then.
    Silent {
        /// When it was heard last.
        since: Instant,
    },
    /// A sync node whose stamps are left out.
    ClockAhead {
        /// By how much they are ahead, in whole units that a person reads.
        by: Arc<str>,
    },
    /// It is there, and cannot do its part for now: why.
    Unable(&'static str),
}

impl Absence {
    /// The stamps of a sync node are so far ahead that they are left out.
    #[must_use]
    pub fn clock_ahead(by_ms: u64) -> Self {
        // Rounded, so that it is no news each second.
        let of = |unit_ms: u64| (by_ms + unit_ms / 2) / unit_ms;
        let by = match by_ms {
            0..100_000 => format!("{} s", 10 * of(10_000).max(1)),
            100_000..7_000_000 => format!("{} min", of(60_000)),
            7_000_000..170_000_000 => format!("{} h", of(3_600_000)),
            170_000_000.. => format!("{} days", of(86_400_000)),
        };
        Self::ClockAhead { by: by.into() }
    }

    /// Whether it cannot be reached at all.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        match self {
            Self::Down | Self::Refused { .. } | Self::Silent { .. } => true,
            Self::ClockAhead { .. } | Self::Unable(_) => false,
        }
    }
}

/// Nodes that are missed, each with how.
pub type Missed = Vec<(NodeName, Absence)>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `S2, S3 (silent for 22 s), S4 (no link)`
    Awaited(Missed),
    /// `S2, S3 silent for 22 s, S4 down (refused: …)`
    Gone(Missed),
}

/// See the module doc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<Piece>);

impl Words {
    /// A text that does not change with time.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// With more text behind it.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// With nodes that are waited for: `S2, S3 (silent for 22 s), S4 (no link)`.
    #[must_use]
    pub fn awaited(mut self, missed: Missed) -> Self {
        self.0.push(Piece::Awaited(missed));
        self
    }

    /// With nodes as a fact: `S2, S3 silent for 22 s, S4 down`.
    #[must_use]
    pub fn gone(mut self, missed: Missed) -> Self {
        self.0.push(Piece::Gone(missed));
        self
    }

    /// With other words behind them.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// All of these, with `between` in between; nothing for none.
    #[must_use]
    pub fn join(all: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let joined = all.into_iter().reduce(|before, next| before.then(between).and(next));
        joined.unwrap_or_default()
    }

    /// Whether nothing is said.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a person reads at `now`.
    #[must_use]
    pub fn text(&self, now: Instant) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Awaited(missed) => write_missed(&mut text, missed, now, true),
                Piece::Gone(missed) => write_missed(&mut text, missed, now, false),
            }
        }
        text
    }
}

/// Names that are missed in the same way share the words for it.
fn write_missed(text: &mut String, missed: &Missed, now: Instant, is_awaited: bool) {
    let how = |absence: &Absence| match absence {
        Absence::Down if is_awaited => "no link".to_owned(),
        Absence::Refused { why } if is_awaited => format!("no link: {why}"),
        Absence::Down => "down".to_owned(),
        Absence::Refused { why } => format!("down ({why})"),
        Absence::Silent { since } => format!("silent for {}", seconds(now, *since)),
        Absence::ClockAhead { by } => format!("clock {by} ahead"),
        Absence::Unable(why) => (*why).to_owned(),
    };
    let mut rest = missed.iter().map(|(name, absence)| (name, how(absence))).peekable();
    while let Some((name, how)) = rest.next() {
        text.push_str(name.as_str());
        let shares = rest.peek().is_some_and(|(_, next)| *next == how);
        // Writing to memory does not fail.
        let _infallible = match (shares, is_awaited) {
            (true, _) => Ok(()),
            (false, true) => write!(text, " ({how})"),
            (false, false) => write!(text, " {how}"),
        };
        if rest.peek().is_some() {
            text.push_str(", ");
        }
    }
}

/// Whole seconds, as people count them.
fn seconds(now: Instant, since: Instant) -> String {
    let past: Duration = now.saturating_duration_since(since);
    format!("{} s", past.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    #[test]
    fn names_that_are_missed_alike_share_their_words_and_grow_older() {
        let since = Instant::now();
        let silent = Absence::Silent { since };
        let missed =
            vec![(name("S2"), silent.clone()), (name("S3"), silent), (name("S4"), Absence::Down)];
        let words = Words::new("waiting for ").awaited(missed.clone());
        let later = since + Duration::from_millis(22_900);
        assert_eq!(words.text(later), "waiting for S2, S3 (silent for 22 s), S4 (no link)");
        assert_eq!(words, Words::new("waiting for ").awaited(missed.clone()), "no news");
        let refused = vec![(name("S2"), Absence::Refused { why: "wrong secret".into() })];
        let both = Words::default().awaited(refused.clone()).then("; ").gone(refused);
        assert_eq!(both.text(later), "S2 (no link: wrong secret); S2 down (wrong secret)");
        let words = Words::new("degraded: ").gone(missed).then(" (group 1 cannot be read)");
        let wanted = "degraded: S2, S3 silent for 22 s, S4 down (group 1 cannot be read)";
        assert_eq!(words.text(later), wanted);
    }

    #[test]
    fn how_far_a_clock_is_ahead_is_read_in_round_units() {
        let text = |ms| {
            let ahead = vec![(name("S1"), Absence::clock_ahead(ms))];
            Words::default().gone(ahead).text(Instant::now())
        };
        assert_eq!(text(10_001), "S1 clock 10 s ahead");
        assert_eq!(text(300_400), "S1 clock 5 min ahead");
        assert_eq!(text(7_199_700), "S1 clock 2 h ahead");
        assert_eq!(text(8 * 86_400_000 + 900), "S1 clock 8 days ahead");
    }

    #[test]
    fn words_are_joined_and_none_say_nothing() {
        let now = Instant::now();
        let two = [Words::new("a"), Words::new("b")];
        assert_eq!(Words::join(two, ", ").text(now), "a, b");
        assert!(Words::join([], ", ").is_empty());
    }
}
