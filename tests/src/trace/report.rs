//! What the stages say, for people.

use std::collections::BTreeMap;
use std::fmt;

use super::stages::{Stage, Stages, Waited};

/// A segment among so many is slow.
const SLOW_ONE_IN: usize = 1_000;

/// What all segments, and the slowest, have waited for. `Display` is markdown.
#[derive(Debug)]
pub struct Report {
    /// Slowest first.
    segments: Vec<Stages>,
    slowest: usize,
}

impl Report {
    pub(super) fn new(mut segments: Vec<Stages>, slowest: usize) -> Self {
        segments
            .sort_by(|a, b| b.total_ns.cmp(&a.total_ns).then_with(|| a.segment.cmp(&b.segment)));
        Self { segments, slowest }
    }

    /// How many segments have their place.
    #[must_use]
    pub const fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The slowest one in a thousand.
    fn slow(&self) -> &[Stages] {
        &self.segments[..self.segments.len().div_ceil(SLOW_ONE_IN)]
    }
}

/// Milliseconds of one stage: of the middle one, and of one of a hundred.
fn spread(segments: &[Stages], stage: Stage) -> Option<(f64, f64)> {
    let of_stage = segments.iter().flat_map(|segment| &segment.waited);
    let mut took: Vec<u64> =
        of_stage.filter(|waited| waited.stage == stage).map(|waited| waited.ns).collect();
    took.sort_unstable();
    let at = |part: usize| took.get(part * took.len().saturating_sub(1) / 100).map(|ns| ms(*ns));
    Some((at(50)?, at(99)?))
}

fn mean(segments: &[Stages], stage: Stage) -> f64 {
    let waited = segments.iter().flat_map(|segment| &segment.waited);
    let sum: u64 = waited.filter(|waited| waited.stage == stage).map(|waited| waited.ns).sum();
    ms(sum) / segments.len().max(1) as f64
}

/// Who was waited for most often in a stage, where it was the longest.
fn culprit(segments: &[Stages], stage: Stage) -> String {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let longest = segments.iter().filter_map(Stages::longest);
    for waited in longest.filter(|waited| waited.stage == stage) {
        *times.entry(&waited.node).or_default() += 1;
    }
    let all: usize = times.values().sum();
    match times.into_iter().max_by_key(|(_, times)| *times) {
        Some((node, most)) => format!("{all} times; {node} {most}"),
        None => String::new(),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, slow) = (&self.segments[..], self.slow());
        writeln!(
            f,
            "{} segments, from their first message to their place, in ms (recorded: that costs time itself).",
            all.len()
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "| stage | p50 | p99 | mean of the slowest {} | the longest of theirs, and who |",
            slow.len()
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for stage in Stage::ALL {
            let Some((p50, p99)) = spread(all, stage) else { continue };
            let (name, slow_ms) = (stage.name(), mean(slow, stage));
            let who = culprit(slow, stage);
            writeln!(f, "| {name} | {p50:.2} | {p99:.2} | {slow_ms:.2} | {who} |")?;
        }
        writeln!(f)?;
        for segment in all.iter().take(self.slowest) {
            writeln!(f, "{}", Shown(segment))?;
        }
        Ok(())
    }
}

/// One segment in a line.
struct Shown<'a>(&'a Stages);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stages { segment, entry, total_ns, waited } = self.0;
        write!(f, "{:8.2} ms  {segment} at {entry}:", ms(*total_ns))?;
        // What is a tenth of it and more.
        for waited in waited.iter().filter(|waited| waited.ns * 10 >= *total_ns) {
            let Waited { stage, ns, node, still_ns, was_writing } = waited;
            write!(f, " {} {:.2} ({node}", stage.name(), ms(*ns))?;
            // The core of an ndb node takes nothing while its disk is waited for, and need not.
            if *stage != Stage::Journal && *still_ns * 2 >= *ns {
                let what = if *was_writing { "wrote" } else { "stood still" };
                write!(f, " {what} {:.2}", ms(*still_ns))?;
            }
            write!(f, ");")?;
        }
        Ok(())
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
