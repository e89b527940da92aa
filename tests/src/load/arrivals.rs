//! When answers and events arrived, to be looked at while a run goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::RunClock;
use super::gaps::{Span, longest_gap_ns};

/// Arrival times at one client, in ns of the run's clock; one for all that arrived together.
#[derive(Clone, Debug, Default)]
pub(super) struct ArrivalTimes(Arc<Mutex<Vec<u64>>>);

impl ArrivalTimes {
    /// Notes an arrival, which is not before the last one.
    pub(super) fn record(&self, at_ns: u64) {
        self.times_ns().push(at_ns);
    }

    fn times_ns(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn longest_gap(&self, span: Span, seen_until_ns: u64) -> Duration {
        Duration::from_nanos(longest_gap_ns(&self.times_ns(), span, seen_until_ns))
    }

    fn any_since(&self, at_ns: u64) -> bool {
        self.times_ns().last().is_some_and(|last_ns| *last_ns >= at_ns)
    }
}

/// When acknowledgements and events arrived so far.
#[derive(Clone, Debug)]
pub struct Arrivals {
    clock: RunClock,
    acknowledged: Vec<ArrivalTimes>,
    delivered: Vec<ArrivalTimes>,
}

impl Arrivals {
    pub(super) fn new(clock: RunClock, publishers: usize, subscribers: usize) -> Self {
        let times = |count| std::iter::repeat_with(ArrivalTimes::default).take(count).collect();
        Self { clock, acknowledged: times(publishers), delivered: times(subscribers) }
    }

    /// Of every publisher.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = ArrivalTimes> {
        self.acknowledged.iter().cloned()
    }

    /// Of every subscriber.
    pub(super) fn delivered(&self) -> impl Iterator<Item = ArrivalTimes> {
        self.delivered.iter().cloned()
    }

    /// The time, by the clock of the arrivals.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Whether every publisher got an acknowledgement, and every subscriber an event, at or after
    /// this time.
    #[must_use]
    pub fn everywhere_since(&self, at_ns: u64) -> bool {
        self.acknowledged.iter().chain(&self.delivered).all(|times| times.any_since(at_ns))
    }

    /// For each publisher the longest gap between consecutive acknowledgements that reaches into
    /// `span`. It counts in full; if it has not ended yet, up to now.
    #[must_use]
    pub fn acknowledge_gaps(&self, span: Span) -> Vec<Duration> {
        self.gaps(&self.acknowledged, span)
    }

    /// The same between consecutive events, for each subscriber.
    #[must_use]
    pub fn deliver_gaps(&self, span: Span) -> Vec<Duration> {
        self.gaps(&self.delivered, span)
    }

    fn gaps(&self, clients: &[ArrivalTimes], span: Span) -> Vec<Duration> {
        let now_ns = self.now_ns();
        clients.iter().map(|times| times.longest_gap(span, now_ns)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_everywhere_once_the_last_client_got_something() {
        let arrivals = Arrivals::new(RunClock::start(), 1, 1);
        let record = |times: &[ArrivalTimes], at_ns| times[0].record(at_ns);
        assert!(!arrivals.everywhere_since(0));
        record(&arrivals.acknowledged, 20);
        assert!(!arrivals.everywhere_since(10));
        record(&arrivals.delivered, 10);
        assert!(arrivals.everywhere_since(10) && !arrivals.everywhere_since(11));
    }

    #[test]
    fn each_client_has_its_own_gaps() {
        let arrivals = Arrivals::new(RunClock::start(), 2, 1);
        for (times, at_ns) in [(0, 1), (0, 8), (0, 10), (1, 1), (1, 4), (1, 10)] {
            arrivals.acknowledged[times].record(at_ns);
        }
        [1, 10].into_iter().for_each(|at_ns| arrivals.delivered[0].record(at_ns));
        let span = Span { from_ns: 2, to_ns: 9 };
        assert_eq!(arrivals.acknowledge_gaps(span), [7, 6].map(Duration::from_nanos));
        assert_eq!(arrivals.deliver_gaps(span), [Duration::from_nanos(9)]);
    }
}
