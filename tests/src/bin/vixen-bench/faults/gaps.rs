//! What a fault did to the clients.

use std::time::Duration;

use vixen_tests::load::{Arrivals, Span};

use crate::report::median;

/// A stretch of time in which nodes went and came back, or in which nothing was done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    /// From 1.
    pub(super) round: u32,
    /// Who was hit; nobody for the baseline.
    pub(super) victims: Vec<String>,
    /// From restart or continuation to ready.
    pub(super) ready_after: Duration,
    /// From the signal to restart or continuation.
    pub(super) down: Gaps,
    /// From there to the end of settling.
    pub(super) back: Gaps,
}

/// The longest gaps of one phase, in the order of the entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gaps {
    pub(super) acknowledge: Vec<Duration>,
    pub(super) deliver: Vec<Duration>,
}

impl Gaps {
    pub(super) fn of(arrivals: &Arrivals, span: Span) -> Self {
        Self { acknowledge: arrivals.acknowledge_gaps(span), deliver: arrivals.deliver_gaps(span) }
    }
}

/// The longest, and at which entry.
pub(super) fn worst(gaps: &[Duration]) -> (usize, Duration) {
    let numbered = gaps.iter().copied().enumerate();
    numbered.max_by_key(|(_entry, gap)| *gap).unwrap_or((0, Duration::ZERO))
}

/// Longest and median, over several windows, of the longest gap at the worst entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Waits {
    pub(super) longest_ms: f64,
    pub(super) median_ms: f64,
}

impl Waits {
    fn of<'a>(windows: impl Iterator<Item = &'a [Duration]>) -> Self {
        let worst_ms: Vec<f64> = windows.map(|gaps| worst(gaps).1.as_secs_f64() * 1e3).collect();
        let longest_ms = worst_ms.iter().copied().fold(0.0, f64::max);
        Self { longest_ms, median_ms: median(worst_ms) }
    }
}

/// One row of the table: several windows together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) windows: usize,
    pub(super) acknowledge_down: Waits,
    pub(super) acknowledge_back: Waits,
    pub(super) deliver_down: Waits,
    pub(super) deliver_back: Waits,
}

impl Row {
    fn new(name: &str, windows: &[&Window]) -> Self {
        let all = || windows.iter().copied();
        Self {
            name: name.to_owned(),
            windows: windows.len(),
            acknowledge_down: Waits::of(all().map(|window| &window.down.acknowledge[..])),
            acknowledge_back: Waits::of(all().map(|window| &window.back.acknowledge[..])),
            deliver_down: Waits::of(all().map(|window| &window.down.deliver[..])),
            deliver_back: Waits::of(all().map(|window| &window.back.deliver[..])),
        }
    }
}

/// The baseline, each node or pair in the order of the first round, and all faults together.
pub(super) fn rows(windows: &[Window]) -> Vec<Row> {
    let (faults, baseline): (Vec<&Window>, Vec<&Window>) =
        windows.iter().partition(|window| !window.victims.is_empty());
    let mut names: Vec<&[String]> = Vec::new();
    for window in &faults {
        if !names.contains(&&window.victims[..]) {
            names.push(&window.victims);
        }
    }
    let of_victims = |victims: &&[String]| {
        let hit: Vec<_> = faults.iter().copied().filter(|w| w.victims == *victims).collect();
        Row::new(&victims.join("+"), &hit)
    };
    std::iter::once(Row::new("no fault", &baseline))
        .chain(names.iter().map(of_victims))
        .chain([Row::new("all", &faults)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two entries; the second waits longer for everything.
    fn window(round: u32, victims: &[&str], down_ms: u64) -> Window {
        let gaps = |ms: u64| [ms, ms + 1].map(Duration::from_millis).to_vec();
        let phase = |ms: u64| Gaps { acknowledge: gaps(ms), deliver: gaps(ms + 10) };
        Window {
            round,
            victims: victims.iter().map(|&id| id.to_owned()).collect(),
            ready_after: Duration::ZERO,
            down: phase(down_ms),
            back: phase(down_ms + 100),
        }
    }

    #[test]
    fn the_worst_entry_is_named() {
        let gaps = [3, 7, 5].map(Duration::from_millis);
        assert_eq!(worst(&gaps), (1, Duration::from_millis(7)));
        assert_eq!(worst(&[]), (0, Duration::ZERO));
    }

    #[test]
    fn each_node_has_a_row_between_the_baseline_and_all() {
        let windows = [
            window(1, &[], 1),
            window(1, &["S1"], 10),
            window(1, &["S2"], 20),
            window(2, &["S1"], 30),
            window(2, &["S2"], 40),
        ];
        let rows = rows(&windows);
        let names: Vec<_> = rows.iter().map(|row| (&row.name[..], row.windows)).collect();
        assert_eq!(names, [("no fault", 1), ("S1", 2), ("S2", 2), ("all", 4)]);
        let waits = |longest_ms, median_ms| Waits { longest_ms, median_ms };
        assert_eq!(rows[0].acknowledge_down, waits(2.0, 2.0));
        assert_eq!(rows[1].acknowledge_down, waits(31.0, 21.0));
        assert_eq!(rows[1].acknowledge_back, waits(131.0, 121.0));
        assert_eq!(rows[2].deliver_down, waits(51.0, 41.0));
        assert_eq!(rows[3].deliver_back, waits(151.0, 136.0));
    }

    #[test]
    fn nothing_measured_is_no_wait() {
        let rows = rows(&[]);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].acknowledge_down, Waits { longest_ms: 0.0, median_ms: 0.0 });
    }
}
