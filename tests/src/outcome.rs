//! What came out of a scenario.

use std::fmt;
use std::path::PathBuf;

use crate::check::Report;

/// A scenario that was run, judged.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened, as on the command line.
    pub scenario: &'static str,
    /// The seed.
    pub seed: u64,
    /// One line on what was run.
    pub setup: String,
    /// What was counted and measured, in words.
    pub facts: Vec<(String, String)>,
    /// What should not have been.
    pub broken: Vec<String>,
    /// The checker's word on the clients and the stores together.
    pub report: Report,
    /// Where the files are, if they stayed.
    pub files: Option<PathBuf>,
}

impl Outcome {
    /// Every guarantee held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.broken.is_empty() && self.report.is_ok()
    }

    /// Takes in another run of the same scenario: numbers add up, and of a failure the seed and the
    /// files stay.
    pub(crate) fn absorb(&mut self, other: Self) {
        if !other.is_ok() {
            self.seed = other.seed;
            self.files = other.files;
        }
        for (name, value) in other.facts {
            match self.facts.iter_mut().find(|(known, _)| *known == name) {
                Some((_name, mine)) => match (mine.parse::<u64>(), value.parse::<u64>()) {
                    (Ok(a), Ok(b)) => *mine = (a + b).to_string(),
                    _words => *mine = format!("{mine}; {value}"),
                },
                None => self.facts.push((name, value)),
            }
        }
        self.broken.extend(other.broken);
        self.report.absorb(other.report);
    }

    /// Panics with everything unless every guarantee held: for tests.
    ///
    /// # Panics
    /// See above.
    pub fn assert_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }

    /// The number behind a fact, 0 when it is not there.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        let fact = self.facts.iter().find(|(known, _)| known == name);
        fact.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n\n{}; seed {}.\n", self.scenario, self.setup, self.seed)?;
        writeln!(f, "| what | |\n|---|---|")?;
        for (name, value) in &self.facts {
            writeln!(f, "| {name} | {value} |")?;
        }
        writeln!(f, "| check | {} |", self.report.to_string().replace('\n', "<br>"))?;
        if self.is_ok() {
            return write!(f, "\nEvery guarantee held.");
        }
        write!(
            f,
            "\n**BROKEN** (again with `--scenario {} --seed {}`):",
            self.scenario, self.seed
        )?;
        for broken in &self.broken {
            write!(f, "\n- {}", broken.trim_end().replace('\n', "\n  "))?;
        }
        if !self.report.is_ok() {
            write!(f, "\n- the check: {}", self.report)?;
        }
        if let Some(files) = &self.files {
            write!(f, "\n\nConfiguration, logs and stores are in {}.", files.display())?;
        }
        Ok(())
    }
}
