//! What `vixen-bench faults` prints.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use vixen_tests::check::Report;
use vixen_tests::harness::ClusterOptions;
use vixen_tests::load::LoadResult;

use super::args::{Fault, FaultsArgs};
use super::gaps::{Gaps, Row, Waits, Window, rows, worst};
use crate::report::grouped;

/// One line on what is measured.
pub(super) fn setup(args: &FaultsArgs, options: &ClusterOptions) -> String {
    let hit = match args.fault {
        Fault::Kill | Fault::Pause => format!("each {} node", tier(args)),
        Fault::KillTwo => format!("two neighbouring {} nodes at once", tier(args)),
    };
    format!(
        "{hit} {} for {:?}, rounds: {}, {:?} to settle; {} sync, {} ndb, {} entry nodes, durability \
         {}; open loop, {} messages/s in all, {} bytes, a publisher and a subscriber at every entry",
        args.fault.done(),
        args.down,
        args.rounds,
        args.settle,
        options.sync,
        options.ndb_total(),
        options.entries,
        args.durability.as_str(),
        args.rate,
        args.payload_bytes
    )
}

fn tier(args: &FaultsArgs) -> &'static str {
    let program = args.tier().program();
    program.strip_prefix("vixen-").unwrap_or(program)
}

/// One line on a window that is over.
pub(super) fn progress(args: &FaultsArgs, entries: &[String], window: &Window) -> String {
    let gap = |gaps: &[Duration]| {
        let (at, gap) = worst(gaps);
        format!("{} ms ({})", ms(gap.as_secs_f64() * 1e3), entries.get(at).map_or("", |e| e))
    };
    let phase = |gaps: &Gaps| {
        format!("acknowledgements {}, deliveries {}", gap(&gaps.acknowledge), gap(&gaps.deliver))
    };
    let (down, back) = (phase(&window.down), phase(&window.back));
    if window.victims.is_empty() {
        let (number, all) = (window.round, args.baseline);
        return format!("no fault, {number} of {all}: longest gaps: {down}; then: {back}");
    }
    format!(
        "round {} of {}, {} {}, ready again after {:.2} s: longest gaps while down: {down}; when \
         back: {back}",
        window.round,
        args.rounds,
        window.victims.join("+"),
        args.fault.done(),
        window.ready_after.as_secs_f64()
    )
}

/// Messages of the whole measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) acknowledged: u64,
    /// Answered with ERROR, such as for want of a quorum.
    pub(super) errors: u64,
    /// To all subscribers together.
    pub(super) delivered: u64,
}

/// A measurement, judged.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) setup: String,
    pub(super) entries: Vec<String>,
    pub(super) windows: Vec<Window>,
    pub(super) counts: Counts,
    pub(super) check: Report,
    pub(super) result: LoadResult,
}

impl Outcome {
    /// Every guarantee held, and every client and node got to its end.
    pub(super) const fn is_ok(&self) -> bool {
        self.check.is_ok() && self.result.troubles.is_empty()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "setup": self.setup,
            "ok": self.is_ok(),
            "rows": rows(&self.windows).iter().map(row_to_json).collect::<Vec<_>>(),
            "windows": self.windows.iter().map(|w| self.window_to_json(w)).collect::<Vec<_>>(),
            "published": self.counts.published,
            "acknowledged": self.counts.acknowledged,
            "errors": self.counts.errors,
            "delivered": self.counts.delivered,
            "longest-acknowledge-ms": self.result.acknowledge.max_ms(),
            "longest-deliver-ms": self.result.deliver.max_ms(),
            "never-appeared": self.check.never_appeared,
            "violations-total": self.check.violations_total,
            "violations": self.check.violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "troubles": self.result.troubles,
            "first-error": self.result.first_error,
        })
    }

    fn window_to_json(&self, window: &Window) -> Value {
        let by_entry = |gaps: &[Duration]| {
            let ms = gaps.iter().map(|gap| json!(rounded(gap.as_secs_f64() * 1e3)));
            Value::Object(self.entries.iter().cloned().zip(ms).collect())
        };
        let phase = |gaps: &Gaps| {
            json!({
                "acknowledge-gap-ms": by_entry(&gaps.acknowledge),
                "deliver-gap-ms": by_entry(&gaps.deliver),
            })
        };
        json!({
            "round": window.round,
            "nodes": window.victims,
            "ready-after-seconds": window.ready_after.as_secs_f64(),
            "down": phase(&window.down),
            "back": phase(&window.back),
        })
    }
}

/// To µs.
fn rounded(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

fn row_to_json(row: &Row) -> Value {
    let waits = |waits: Waits| json!({ "longest": rounded(waits.longest_ms), "median": rounded(waits.median_ms) });
    json!({
        "row": row.name,
        "windows": row.windows,
        "acknowledge-gap-down-ms": waits(row.acknowledge_down),
        "acknowledge-gap-back-ms": waits(row.acknowledge_back),
        "deliver-gap-down-ms": waits(row.deliver_down),
        "deliver-gap-back-ms": waits(row.deliver_back),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}.\n", self.setup)?;
        write_table(f, &rows(&self.windows))?;
        writeln!(
            f,
            "\nLongest / median over the faults, in ms, of the longest gap at the entry where it \
             was longest.\nA gap that reaches from one phase into the next counts in full in both. \
             `no fault`: the same phases\nbefore the first fault.\n"
        )?;
        let Counts { published, acknowledged, errors, delivered } = self.counts;
        let [published, acknowledged, errors, delivered] =
            [published, acknowledged, errors, delivered].map(grouped);
        writeln!(
            f,
            "  published        {published} messages: {acknowledged} acknowledged, {errors} \
             answered with an error\n  delivered        {delivered} to {} subscribers together",
            self.check.subscribers
        )?;
        writeln!(f, "  acknowledgement  {} after it was due", self.result.acknowledge)?;
        writeln!(f, "  delivery         {} after it was due", self.result.deliver)?;
        for trouble in &self.result.troubles {
            writeln!(f, "  TROUBLE          {trouble}")?;
        }
        if let Some(error) = &self.result.first_error {
            writeln!(f, "  first error      {error}")?;
        }
        write!(f, "  check            {}", self.check)
    }
}

fn write_table(f: &mut impl fmt::Write, rows: &[Row]) -> fmt::Result {
    writeln!(
        f,
        "| node | faults | no acknowledgement, while it was down | no acknowledgement, when it came \
         back | no delivery, while it was down | no delivery, when it came back |\n\
         |---|---|---|---|---|---|"
    )?;
    for row in rows {
        let cells =
            [row.acknowledge_down, row.acknowledge_back, row.deliver_down, row.deliver_back]
                .map(|waits| format!("{} / {}", ms(waits.longest_ms), ms(waits.median_ms)));
        writeln!(f, "| {} | {} | {} |", row.name, row.windows, cells.join(" | "))?;
    }
    Ok(())
}

/// Three digits are as many as the machine's noise leaves.
fn ms(ms: f64) -> String {
    match ms {
        small if small < 9.95 => format!("{small:.1}"),
        // Not negative, and far below 2^53: a whole number for sure.
        large => format!("{large:.0}").parse().map_or_else(|_odd| large.to_string(), grouped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_markdown() {
        let waits = |longest_ms, median_ms| Waits { longest_ms, median_ms };
        let row = Row {
            name: "S1".to_owned(),
            windows: 10,
            acknowledge_down: waits(2345.6, 12.34),
            acknowledge_back: waits(9.96, 4.0),
            deliver_down: waits(0.0, 0.0),
            deliver_back: waits(100.0, 99.6),
        };
        let mut text = String::new();
        write_table(&mut text, &[row]).expect("a string");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().all(|line| line.matches('|').count() == 7), "{text}");
        assert_eq!(lines[2], "| S1 | 10 | 2,346 / 12 | 10 / 4.0 | 0.0 / 0.0 | 100 / 100 |");
    }
}
