//! Runs one instance to its end and says what was found.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::instance::Instance;
use crate::state::{Action, State};

/// Threads of a run.
const THREADS: usize = 2;

/// One property's result.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    /// Whether it must hold in all states, or in one.
    pub(crate) is_always: bool,
    /// The path to its counterexample, or to its example.
    pub(crate) path: Option<String>,
}

impl Finding {
    /// Whether a state was found that must not be.
    pub(crate) const fn is_violated(&self) -> bool {
        self.is_always && self.path.is_some()
    }
}

/// What a run found.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) instance: Instance,
    pub(crate) findings: Vec<Finding>,
    /// Different states.
    pub(crate) states: usize,
    /// Actions of the longest path taken.
    pub(crate) depth: usize,
    pub(crate) elapsed: Duration,
    /// Different states of a single node, and different messages.
    pub(crate) sizes: (usize, usize),
    /// The time was over before the states were.
    pub(crate) is_cut_short: bool,
}

impl Report {
    pub(crate) fn is_violated(&self) -> bool {
        self.findings.iter().any(Finding::is_violated)
    }

    /// Whether all states were seen, as far as the instance's own bounds go.
    pub(crate) fn is_exhaustive(&self) -> bool {
        !self.is_violated()
            && !self.is_cut_short
            && self.instance.depth_max.is_none_or(|depth| self.depth < depth)
    }
}

/// In which order states are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// Shortest paths first: more memory, and a violation with hardly an action too many.
    Breadth,
    /// Least memory.
    Depth,
}

/// Visits all states of the instance, or those before the first violation.
pub(crate) fn check(
    instance: Instance,
    fault: Option<Fault>,
    search: Search,
    time_max: Option<Duration>,
) -> Report {
    let begun = Instant::now();
    let mut builder = Cluster::new(instance, fault)
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(time) = time_max {
        builder = builder.timeout(time);
    }
    if let Some(depth) = instance.depth_max {
        // The first state is at depth 1 there.
        builder = builder.target_max_depth(depth + 1);
    }
    let is_over = |elapsed: Duration| time_max.is_some_and(|time| elapsed >= time);
    // Only breadth first reaches every state by its shortest path, which a bound of depth needs.
    if search == Search::Breadth || instance.depth_max.is_some() {
        let checker = builder.spawn_bfs().join();
        report(&checker, begun.elapsed(), is_over(begun.elapsed()))
    } else {
        let checker = builder.spawn_dfs().join();
        report(&checker, begun.elapsed(), is_over(begun.elapsed()))
    }
}

fn report(checker: &impl Checker<Cluster>, elapsed: Duration, is_cut_short: bool) -> Report {
    let cluster = checker.model();
    let mut discoveries = checker.discoveries();
    let findings = cluster.properties().into_iter().map(|property| {
        let path: Option<Vec<(State, Option<Action>)>> =
            discoveries.remove(property.name).map(Into::into);
        Finding {
            name: property.name,
            is_always: property.expectation == Expectation::Always,
            path: path.map(|path| cluster.describe_path(path)),
        }
    });
    Report {
        instance: cluster.instance,
        findings: findings.collect(),
        states: checker.unique_state_count(),
        depth: checker.max_depth().saturating_sub(1),
        elapsed,
        sizes: cluster.tables.sizes(),
        is_cut_short,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.states as f64 / seconds.max(f64::MIN_POSITIVE);
        let extent = match self.instance.depth_max {
            _ if self.is_violated() => "stopped at a violation".to_owned(),
            _ if self.is_exhaustive() => "exhaustive".to_owned(),
            Some(depth) if !self.is_cut_short => format!("bounded at depth {depth}"),
            _ => "cut short by time".to_owned(),
        };
        writeln!(
            f,
            "{}: {extent}, {} states, depth {}, {seconds:.1} s, {rate:.0} states/s \
             ({} node states, {} messages)",
            self.instance, self.states, self.depth, self.sizes.0, self.sizes.1
        )?;
        for finding in &self.findings {
            let result = match (finding.is_always, finding.path.is_some()) {
                (true, false) => "holds",
                (true, true) => "VIOLATED",
                (false, true) => "reached",
                (false, false) => "not reached",
            };
            writeln!(f, "    {:<34}{result}", finding.name)?;
        }
        for finding in self.findings.iter().filter(|finding| finding.is_violated()) {
            let path = finding.path.as_deref().unwrap_or_default();
            write!(f, "  a path to the violation of `{}`:\n{path}", finding.name)?;
        }
        Ok(())
    }
}
