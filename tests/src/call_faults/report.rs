//! What came out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::fault::Kind;
use super::ledger::{RESULT, Tally};

/// Not worth a word: there are always callees that wait for their turn.
const TAKEN: &str = "wamp.error.procedure_already_exists";

/// A round that is over.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// `None`: there was no fault.
    pub(super) kind: Option<Kind>,
    /// Who was struck.
    pub(super) name: String,
    pub(super) away: Duration,
    /// From the blow until all nodes were ready.
    pub(super) back: Duration,
    /// From the blow until there were results of everything, from everywhere, to calls made after it was over.
    pub(super) well: Duration,
    pub(super) tally: Tally,
}

impl Round {
    fn kind(&self) -> String {
        self.kind.map_or_else(|| "no fault".to_owned(), |kind| kind.to_string())
    }

    fn to_json(&self) -> Value {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let Tally { outcomes, reasons, lost, late, refused, revoked, longest } = &self.tally;
        json!({
            "victim": self.kind.map(|kind| kind.victim.name()),
            "blow": self.kind.map(|kind| kind.blow.name()),
            "node": self.name,
            "away-ms": ms(self.away),
            "ready-ms": ms(self.back),
            "well-ms": ms(self.well),
            "longest-shared-ms": ms(longest.shared),
            "longest-single-ms": ms(longest.single),
            "longest-at-struck-ms": longest.at_struck.map(ms),
            "outcomes": outcomes,
            "reasons": reasons,
            "lost": lost,
            "late-invocations": late,
            "registers-refused": refused,
            "callees-revoked": revoked,
        })
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { outcomes, lost, late, refused, revoked, longest, .. } = &self.tally;
        write!(f, "{}", self.kind())?;
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        write!(
            f,
            " for {:.2} s, well after {:.2} s; longest without a result: shared {} ms, single {} ms",
            self.away.as_secs_f64(),
            self.well.as_secs_f64(),
            longest.shared.as_millis(),
            longest.single.as_millis()
        )?;
        if let Some(at_struck) = longest.at_struck {
            write!(f, ", there {} ms", at_struck.as_millis())?;
        }
        let results = outcomes.get(RESULT).copied().unwrap_or_default();
        write!(f, "; {results} results")?;
        for (outcome, count) in outcomes.iter().filter(|(outcome, _)| *outcome != RESULT) {
            write!(f, ", {count} {}", short(outcome))?;
        }
        let refused = refused.iter().filter(|(error, _)| *error != TAKEN);
        for (error, count) in refused {
            write!(f, ", {count} REGISTER {}", short(error))?;
        }
        for (count, words) in
            [(lost, "lost"), (revoked, "callees revoked"), (late, "invocations late")]
        {
            if *count > 0 {
                write!(f, ", {count} {words}")?;
            }
        }
        Ok(())
    }
}

/// The last part of a URI.
fn short(uri: &str) -> &str {
    uri.rsplit('.').next().unwrap_or(uri)
}

/// A run, judged.
#[derive(Clone, Debug)]
pub struct CallsOutcome {
    pub(super) seed: u64,
    pub(super) setup: String,
    pub(super) rounds: Vec<Round>,
    pub(super) facts: Vec<(String, String)>,
    pub(super) broken: Vec<String>,
    pub(super) broken_total: u64,
    pub(super) files: Option<PathBuf>,
}

impl CallsOutcome {
    /// Every guarantee held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.broken_total == 0
    }

    /// Panics with everything unless every guarantee held: for tests.
    ///
    /// # Panics
    /// See above.
    pub fn assert_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }

    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.rounds.iter().filter(|round| round.kind.is_some()).count()
    }

    /// How many calls had a result.
    #[must_use]
    pub fn results(&self) -> u64 {
        self.outcomes().get(RESULT).copied().unwrap_or_default()
    }

    fn outcomes(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (outcome, count) in self.rounds.iter().flat_map(|round| &round.tally.outcomes) {
            *all.entry(outcome.clone()).or_default() += count;
        }
        all
    }

    /// One object with all rounds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let facts = self.facts.iter().map(|(name, value)| (name.clone(), json!(value)));
        json!({
            "setup": self.setup,
            "seed": self.seed,
            "ok": self.is_ok(),
            "rounds": self.rounds.iter().map(Round::to_json).collect::<Vec<_>>(),
            "outcomes": self.outcomes(),
            "facts": facts.collect::<serde_json::Map<_, _>>(),
            "broken": self.broken,
            "broken-total": self.broken_total,
        })
    }

    /// Rounds of one kind after the other.
    fn by_kind(&self) -> BTreeMap<Option<Kind>, Vec<&Round>> {
        let mut by_kind = BTreeMap::<_, Vec<_>>::new();
        for round in &self.rounds {
            by_kind.entry(round.kind).or_default().push(round);
        }
        by_kind
    }

    fn write_waits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | rounds | no result, shared | no result, single | no result there | well again, after the end |\n\
             |---|---|---|---|---|---|"
        )?;
        for rounds in self.by_kind().values() {
            let kind = rounds.first().map(|round| round.kind()).unwrap_or_default();
            let cells = [
                waits(rounds.iter().map(|round| round.tally.longest.shared)),
                waits(rounds.iter().map(|round| round.tally.longest.single)),
                waits(rounds.iter().filter_map(|round| round.tally.longest.at_struck)),
                waits(rounds.iter().map(|round| round.well.saturating_sub(round.away))),
            ];
            writeln!(f, "| {kind} | {} | {} |", rounds.len(), cells.join(" | "))?;
        }
        Ok(())
    }

    fn write_outcomes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<String> =
            self.outcomes().into_keys().filter(|outcome| outcome != RESULT).collect();
        let names: Vec<&str> = errors.iter().map(|error| short(error)).collect();
        write!(f, "| fault | results | lost with the entry |")?;
        names.iter().try_for_each(|name| write!(f, " {name} |"))?;
        writeln!(f, " late invocations | callees revoked |")?;
        writeln!(f, "|{}", "---|".repeat(names.len() + 5))?;
        for rounds in self.by_kind().values() {
            let kind = rounds.first().map(|round| round.kind()).unwrap_or_default();
            let sum = |of: &dyn Fn(&Tally) -> u64| -> u64 {
                rounds.iter().map(|round| of(&round.tally)).sum()
            };
            let ended = |outcome: &str| {
                sum(&|tally| tally.outcomes.get(outcome).copied().unwrap_or_default())
            };
            write!(f, "| {kind} | {} | {} |", ended(RESULT), sum(&|tally| tally.lost))?;
            errors.iter().try_for_each(|error| write!(f, " {} |", ended(error)))?;
            writeln!(f, " {} | {} |", sum(&|tally| tally.late), sum(&|tally| tally.revoked))?;
        }
        Ok(())
    }
}

/// The longest and the median, in ms.
fn waits(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<u128> = times.map(|time| time.as_millis()).collect();
    times.sort_unstable();
    match (times.last(), times.get(times.len() / 2)) {
        (Some(longest), Some(median)) => format!("{longest} / {median}"),
        _none => "–".to_owned(),
    }
}

impl fmt::Display for CallsOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### calls-faults\n\n{}; seed {}.\n", self.setup, self.seed)?;
        self.write_waits(f)?;
        writeln!(
            f,
            "\nLongest / median over the rounds, in ms, of the longest time without a result: of the procedure where \
             it was longest,\nfor callers elsewhere than at the entry that was struck, or there.\n"
        )?;
        self.write_outcomes(f)?;
        writeln!(f)?;
        for (name, value) in &self.facts {
            writeln!(f, "- {name}: {value}")?;
        }
        if self.is_ok() {
            return write!(f, "\nEvery guarantee held.");
        }
        write!(f, "\n**BROKEN** {} times (again with `--seed {}`):", self.broken_total, self.seed)?;
        for broken in &self.broken {
            write!(f, "\n- {}", broken.trim_end().replace('\n', "\n  "))?;
        }
        if let Some(files) = &self.files {
            write!(f, "\n\nConfiguration, logs and stores are in {}.", files.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_faults::fault::{Blow, Victim};
    use crate::call_faults::gaps::Longest;

    fn round(kind: Option<Kind>, ms: u64, outcomes: &[(&str, u64)]) -> Round {
        let time = Duration::from_millis(ms);
        let outcomes = outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let longest = Longest { shared: time, single: time, at_struck: None };
        Round {
            kind,
            name: kind.map_or(String::new(), |_| "E1".to_owned()),
            away: Duration::from_millis(100),
            back: time,
            well: time,
            tally: Tally { outcomes, longest, ..Tally::default() },
        }
    }

    #[test]
    fn tables_have_a_row_for_each_kind_of_fault() {
        let kind = Kind { victim: Victim::CalleesEntry, blow: Blow::Kill };
        let rounds = vec![
            round(None, 30, &[(RESULT, 5)]),
            round(Some(kind), 300, &[(RESULT, 7), ("wamp.error.canceled", 2)]),
            round(Some(kind), 200, &[(RESULT, 1), ("wamp.error.timeout", 3)]),
        ];
        let line = rounds[1].to_string();
        assert_eq!(
            line,
            "a holder's entry killed (E1) for 0.10 s, well after 0.30 s; longest without a result: \
             shared 300 ms, single 300 ms; 7 results, 2 canceled"
        );
        let outcome = CallsOutcome {
            seed: 7,
            setup: "all".to_owned(),
            rounds,
            facts: Vec::new(),
            broken: Vec::new(),
            broken_total: 0,
            files: None,
        };
        assert_eq!((outcome.faults(), outcome.results()), (2, 13));
        let text = outcome.to_string();
        for row in [
            "| no fault | 1 | 30 / 30 | 30 / 30 | – | 0 / 0 |",
            "| a holder's entry killed | 2 | 300 / 300 | 300 / 300 | – | 200 / 200 |",
            "| fault | results | lost with the entry | canceled | timeout | late invocations | callees revoked |",
            "| a holder's entry killed | 8 | 0 | 2 | 3 | 0 | 0 |",
        ] {
            assert!(text.contains(row), "no {row} in {text}");
        }
        assert!(text.ends_with("Every guarantee held."), "{text}");
    }
}
