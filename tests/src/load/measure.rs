//! What a run measured.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::check::{History, Outcome, Publisher, Subscriber};

/// Latencies above this count as this.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// The part of a run that counts, in ns of its clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// End of the warm-up.
    pub(super) from_ns: u64,
    /// `None`: to the last answer.
    pub(super) to_ns: Option<u64>,
}

/// How a publisher or subscriber ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// Answers or positions that did not come in time.
    GaveUp {
        missing: u64,
    },
    Lost {
        reason: String,
    },
}

#[derive(Debug)]
pub(super) struct PublisherRun {
    pub(super) publisher: Publisher,
    pub(super) latency: Latency,
    pub(super) end: End,
    pub(super) first_error: Option<String>,
}

#[derive(Debug)]
pub(super) struct SubscriberRun {
    pub(super) subscriber: Subscriber,
    pub(super) latency: Latency,
    /// Events that arrived within the window.
    pub(super) delivered: u64,
    pub(super) last_ns: u64,
    pub(super) end: End,
}

/// A latency distribution with three digits of precision.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        // Bounds and precision are constants that the histogram accepts.
        let histogram = Histogram::new_with_bounds(1_000, LATENCY_NS_MAX, 3);
        Self(histogram.unwrap_or_else(|error| unreachable!("constant bounds: {error:?}")))
    }

    /// Adds one, in ns.
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // All histograms here have the same bounds.
        let _fits = self.0.add(&other.0);
    }

    /// Number of latencies.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that `percent` of all are not above, in ms; 0 without any.
    #[must_use]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1e6
    }

    /// The highest, in ms.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1e6
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, percent) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)] {
            write!(f, "{name} {:.3} ms, ", self.percentile_ms(percent))?;
        }
        write!(f, "max {:.3} ms", self.max_ms())
    }
}

/// Everything a run left behind.
#[derive(Debug)]
pub struct LoadResult {
    /// For the checker.
    pub history: History,
    /// Acknowledged messages per second, after the warm-up.
    pub acknowledged_per_second: f64,
    /// Delivered messages per second and subscriber, after the warm-up.
    pub delivered_per_second: f64,
    /// Seconds that were measured.
    pub seconds: f64,
    /// From send (closed loop) or due time (open loop) to PUBLISHED.
    pub acknowledge: Latency,
    /// From send or due time to EVENT.
    pub deliver: Latency,
    /// What did not end as it should: lost connections, answers that never came.
    pub troubles: Vec<String>,
    /// The first ERROR that a publisher got.
    pub first_error: Option<String>,
}

impl LoadResult {
    pub(super) fn new(
        window: Window,
        publishers: Vec<PublisherRun>,
        subscribers: Vec<SubscriberRun>,
    ) -> Self {
        let mut acknowledge = Latency::new();
        let mut deliver = Latency::new();
        publishers.iter().for_each(|run| acknowledge.merge(&run.latency));
        subscribers.iter().for_each(|run| deliver.merge(&run.latency));
        let (acknowledged, last_ns) = acknowledged_in(window, &publishers);
        let seconds = seconds_to(window, window.to_ns.unwrap_or(last_ns));
        let rates: Vec<_> = subscribers
            .iter()
            .map(|run| {
                let seconds = seconds_to(window, window.to_ns.unwrap_or(run.last_ns));
                per_second(run.delivered, seconds)
            })
            .collect();
        let troubles = publishers
            .iter()
            .map(|run| (format!("publisher {}", run.publisher.id), &run.end))
            .chain(subscribers.iter().map(|run| (run.subscriber.name.clone(), &run.end)))
            .filter_map(|(name, end)| match end {
                End::Done => None,
                End::GaveUp { missing } => Some(format!("{name}: {missing} did not come in time")),
                End::Lost { reason } => Some(format!("{name}: {reason}")),
            })
            .collect();
        Self {
            acknowledged_per_second: per_second(acknowledged, seconds),
            delivered_per_second: rates.iter().sum::<f64>() / rates.len().max(1) as f64,
            seconds,
            acknowledge,
            deliver,
            troubles,
            first_error: publishers.iter().find_map(|run| run.first_error.clone()),
            history: History {
                publishers: publishers.into_iter().map(|run| run.publisher).collect(),
                subscribers: subscribers.into_iter().map(|run| run.subscriber).collect(),
            },
        }
    }
}

impl LoadResult {
    /// The longest time within the run in which no acknowledgement arrived at any publisher.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        let publications = self.history.publishers.iter().flat_map(|p| &p.publications);
        let mut times: Vec<u64> = publications
            .filter_map(|publication| match publication.outcome {
                Outcome::Acknowledged { at_ns, .. } => Some(at_ns),
                Outcome::Refused | Outcome::Unknown => None,
            })
            .collect();
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        Duration::from_nanos(gaps.max().unwrap_or(0))
    }
}

/// Acknowledgements that arrived within the window, and the last of them.
fn acknowledged_in(window: Window, publishers: &[PublisherRun]) -> (u64, u64) {
    let publications = publishers.iter().flat_map(|run| &run.publisher.publications);
    publications.fold((0, window.from_ns), |(count, last), publication| match publication.outcome {
        Outcome::Acknowledged { at_ns, .. } if window.contains(at_ns) => {
            (count + 1, last.max(at_ns))
        }
        Outcome::Acknowledged { .. } | Outcome::Refused | Outcome::Unknown => (count, last),
    })
}

fn seconds_to(window: Window, end_ns: u64) -> f64 {
    end_ns.saturating_sub(window.from_ns) as f64 / 1e9
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
