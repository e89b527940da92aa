//! What happens in a round.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// No fault is shorter.
const AWAY_MIN: Duration = Duration::from_millis(100);

/// Who is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// A callee.
    Callee,
    /// The entry of a callee that holds a procedure alone.
    CalleesEntry,
    /// Any entry: all have callers.
    CallersEntry,
    /// A sync node.
    Sync,
    /// An ndb node.
    Ndb,
}

impl Victim {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Callee, Self::CalleesEntry, Self::CallersEntry, Self::Sync, Self::Ndb];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Callee => "callee",
            Self::CalleesEntry => "callees-entry",
            Self::CallersEntry => "callers-entry",
            Self::Sync => "sync",
            Self::Ndb => "ndb",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Callee => "callee",
            Self::CalleesEntry => "a holder's entry",
            Self::CallersEntry => "an entry",
            Self::Sync => "a sync node",
            Self::Ndb => "an ndb node",
        }
    }
}

impl FromStr for Victim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|victim| victim.name() == text);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// kill -9, and a start; of a callee: a reset, and no new session for as long.
    Kill,
    /// SIGSTOP, and SIGCONT; a callee neither reads nor answers.
    Pause,
    /// Packets between it and all other nodes vanish; of a callee: between it and its entry.
    Cut,
    /// Of an entry: also those between it and its clients.
    Unplug,
}

impl Blow {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Pause, Self::Cut, Self::Unplug];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::Unplug => "unplug",
        }
    }

    /// Whether it takes a packet filter.
    #[must_use]
    pub const fn cuts(self) -> bool {
        matches!(self, Self::Cut | Self::Unplug)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Pause => "paused",
            Self::Cut => "cut off",
            Self::Unplug => "cut off from clients as well",
        }
    }
}

impl FromStr for Blow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|blow| blow.name() == text);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Who.
    pub victim: Victim,
    /// What.
    pub blow: Blow,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.victim.words(), self.blow.words())
    }
}

/// A fault of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) away: Duration,
}

/// All kinds in random order, again and again.
#[derive(Debug)]
pub(super) struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Deck {
    /// Of what is there of both.
    pub(super) fn new(victims: &[Victim], blows: &[Blow]) -> Self {
        let all = victims
            .iter()
            .flat_map(|victim| blows.iter().map(|blow| Kind { victim: *victim, blow: *blow }));
        let is_entry = |victim| matches!(victim, Victim::CalleesEntry | Victim::CallersEntry);
        let kinds = all.filter(|kind| kind.blow != Blow::Unplug || is_entry(kind.victim));
        Self { kinds: kinds.collect(), left: Vec::new() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn cuts(&self) -> bool {
        self.kinds.iter().any(|kind| kind.blow.cuts())
    }

    /// One that lasts for so long at most; `None` when there is nothing in it.
    pub(super) fn draw(&mut self, longest: Duration, rng: &mut StdRng) -> Option<Fault> {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            self.left.shuffle(rng);
        }
        let away = rng.random_range(AWAY_MIN..=longest.max(AWAY_MIN));
        self.left.pop().map(|kind| Fault { kind, away })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn every_kind_has_its_turn_before_one_has_its_second() {
        let mut deck = Deck::new(&Victim::ALL, &Blow::ALL);
        let mut rng = StdRng::seed_from_u64(7);
        let mut kinds: Vec<_> = (0..17)
            .filter_map(|_| deck.draw(Duration::from_secs(6), &mut rng))
            .map(|fault| fault.kind)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 17, "three of each, and entries are unplugged");
        assert!(deck.cuts());
        assert!(!Deck::new(&Victim::ALL, &[Blow::Kill, Blow::Pause]).cuts());
        assert!(Deck::new(&[Victim::Sync], &[Blow::Unplug]).is_empty());
    }

    #[test]
    fn kinds_go_by_their_names() {
        assert!(Victim::ALL.iter().all(|victim| victim.name().parse() == Ok(*victim)));
        assert!(Blow::ALL.iter().all(|blow| blow.name().parse() == Ok(*blow)));
        assert!("entry".parse::<Victim>().is_err_and(|error| error.contains("callees-entry")));
    }
}
