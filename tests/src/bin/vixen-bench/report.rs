//! What a run prints.

use std::fmt;

use serde_json::{Value, json};

use vixen_tests::check::Report;
use vixen_tests::harness::Usage;
use vixen_tests::load::{Amount, Latency, LoadOptions, LoadResult, Pace};

/// The percentiles that are printed.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// One line on what is run.
pub(crate) fn setup(options: &LoadOptions, number: u32, runs: u32) -> String {
    let pace = match options.pace {
        Pace::Closed { window } if options.acknowledge => format!("window {window}"),
        Pace::Closed { .. } => "flat out".to_owned(),
        Pace::Open { per_second } => format!("open loop, {per_second} messages/s in all"),
    };
    let amount = match options.amount {
        Amount::Messages(messages) => format!("{messages} messages"),
        Amount::Time(time) => format!("{time:?}"),
        Amount::UntilStopped => "until stopped".to_owned(),
    };
    format!(
        "run {number} of {runs}: {} publishers ({pace}{}) on {} entries, {} subscribers on {} \
         entries, payload {} bytes, {amount} after {:?} of warm-up",
        options.publishers,
        if options.acknowledge { "" } else { ", no acknowledgements" },
        options.publish.len(),
        options.subscribers,
        options.subscribe.len(),
        options.payload_bytes,
        options.warmup
    )
}

/// The numbers of one run, or the medians of several.
#[derive(Clone, Debug, PartialEq)]
struct Numbers {
    acknowledged_per_second: f64,
    delivered_per_second: f64,
    seconds: f64,
    /// p50, p90, p99, p99.9 and the maximum, in ms.
    acknowledge_ms: [f64; 5],
    deliver_ms: [f64; 5],
}

/// One run, judged.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    setup: String,
    numbers: Numbers,
    check: Report,
    troubles: Vec<String>,
    first_error: Option<String>,
    /// Processor seconds, commits and frames per process, and memory after the run.
    used: Vec<(String, Usage)>,
}

/// The medians of several runs.
#[derive(Clone, Debug)]
pub(crate) struct Medians {
    runs: usize,
    failed: usize,
    numbers: Numbers,
}

impl Outcome {
    pub(crate) fn new(
        setup: String,
        result: &LoadResult,
        check: Report,
        before: &[(String, Usage)],
        after: &[(String, Usage)],
    ) -> Self {
        let used = before.iter().zip(after).map(|((name, before), (_same, after))| {
            let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
            let since = |after: Option<u64>, before: Option<u64>| {
                after.zip(before).map(|(after, before)| after.saturating_sub(before))
            };
            let commits = since(after.commits, before.commits);
            let syncs = since(after.syncs, before.syncs);
            let frames = since(after.frames, before.frames);
            (name.clone(), Usage { cpu_seconds, commits, syncs, frames, ..*after })
        });
        Self {
            setup,
            numbers: Numbers {
                acknowledged_per_second: result.acknowledged_per_second,
                delivered_per_second: result.delivered_per_second,
                seconds: result.seconds,
                acknowledge_ms: of_latency(&result.acknowledge),
                deliver_ms: of_latency(&result.deliver),
            },
            check,
            troubles: result.troubles.clone(),
            first_error: result.first_error.clone(),
            used: used.collect(),
        }
    }

    /// Every guarantee held and every client got to its end.
    pub(crate) const fn is_ok(&self) -> bool {
        self.check.is_ok() && self.troubles.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        let used: serde_json::Map<_, _> = self
            .used
            .iter()
            .map(|(name, usage)| {
                let facts = json!({
                    "cpu-seconds": usage.cpu_seconds,
                    "resident-mib": usage.resident_mib,
                    "commits": usage.commits,
                    "syncs": usage.syncs,
                    "frames": usage.frames,
                });
                (name.clone(), facts)
            })
            .collect();
        json!({
            "setup": self.setup,
            "ok": self.is_ok(),
            "measured": self.numbers.to_json(),
            "sent": self.check.sent,
            "acknowledged": self.check.acknowledged,
            "refused": self.check.refused,
            "received-unacknowledged": self.check.received_unacknowledged,
            "never-appeared": self.check.never_appeared,
            "violations-total": self.check.violations_total,
            "violations": self.check.violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "troubles": self.troubles,
            "first-error": self.first_error,
            "used": used,
        })
    }
}

fn of_latency(latency: &Latency) -> [f64; 5] {
    let [a, b, c, d] = PERCENTILES.map(|(_name, percent)| latency.percentile_ms(percent));
    [a, b, c, d, latency.max_ms()]
}

impl Numbers {
    fn to_json(&self) -> Value {
        let latency = |ms: &[f64; 5]| {
            let named = PERCENTILES.iter().map(|(name, _percent)| *name).chain(["max"]);
            named
                .zip(ms)
                .map(|(name, ms)| (name.to_owned(), json!(ms)))
                .collect::<serde_json::Map<_, _>>()
        };
        json!({
            "acknowledged-per-second": self.acknowledged_per_second,
            "delivered-per-second": self.delivered_per_second,
            "seconds": self.seconds,
            "acknowledge-ms": latency(&self.acknowledge_ms),
            "deliver-ms": latency(&self.deliver_ms),
        })
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = |ms: &[f64; 5]| {
            let [a, b, c, d, max] = ms;
            format!("p50 {a:.3}  p90 {b:.3}  p99 {c:.3}  p99.9 {d:.3}  max {max:.3} ms")
        };
        writeln!(
            f,
            "  acknowledged     {} messages/s over {:.2} s",
            whole(self.acknowledged_per_second),
            self.seconds
        )?;
        writeln!(
            f,
            "  delivered        {} messages/s to each subscriber",
            whole(self.delivered_per_second)
        )?;
        writeln!(f, "  acknowledgement  {}", latency(&self.acknowledge_ms))?;
        write!(f, "  delivery         {}", latency(&self.deliver_ms))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.setup, self.numbers)?;
        if !self.used.is_empty() {
            write!(f, "  processor        ")?;
            for (name, usage) in &self.used {
                write!(f, "{name} {:.2} s ({:.0} MiB", usage.cpu_seconds, usage.resident_mib)?;
                usage
                    .commits
                    .map_or(Ok(()), |commits| write!(f, ", {} commits", grouped(commits)))?;
                usage.frames.map_or(Ok(()), |frames| write!(f, ", {} frames", grouped(frames)))?;
                write!(f, ")  ")?;
            }
            writeln!(f)?;
        }
        for trouble in &self.troubles {
            writeln!(f, "  TROUBLE          {trouble}")?;
        }
        if let Some(error) = &self.first_error {
            writeln!(f, "  first error      {error}")?;
        }
        write!(f, "  check            {}", self.check)
    }
}

/// The median of each number.
pub(crate) fn medians(outcomes: &[Outcome]) -> Medians {
    let all: Vec<_> = outcomes.iter().map(|outcome| &outcome.numbers).collect();
    let of = |get: &dyn Fn(&Numbers) -> f64| median(all.iter().map(|n| get(n)).collect());
    let latency =
        |get: &dyn Fn(&Numbers) -> [f64; 5]| [0, 1, 2, 3, 4].map(|at| of(&|n| get(n)[at]));
    Medians {
        runs: outcomes.len(),
        failed: outcomes.iter().filter(|outcome| !outcome.is_ok()).count(),
        numbers: Numbers {
            acknowledged_per_second: of(&|n| n.acknowledged_per_second),
            delivered_per_second: of(&|n| n.delivered_per_second),
            seconds: of(&|n| n.seconds),
            acknowledge_ms: latency(&|n| n.acknowledge_ms),
            deliver_ms: latency(&|n| n.deliver_ms),
        },
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => (values[middle - 1] + value) / 2.0,
    }
}

impl Medians {
    pub(crate) fn to_json(&self) -> Value {
        json!({ "runs": self.runs, "failed": self.failed, "medians": self.numbers.to_json() })
    }
}

impl fmt::Display for Medians {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = match self.failed {
            0 => "in all of them every guarantee held".to_owned(),
            failed => format!("{failed} OF THEM FAILED"),
        };
        write!(f, "medians of {} runs; {failed}\n{}", self.runs, self.numbers)
    }
}

fn whole(number: f64) -> String {
    // Rates are far below 2^53 and not negative.
    let text = format!("{number:.0}");
    text.parse().map_or(text, grouped)
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        let grouped = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(whole(60_123.4), "60,123");
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
