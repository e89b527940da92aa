//! How far catching up has come: what is to go, how fast, and how long.

use std::time::{Duration, Instant};

/// Between two lines in the log.
const LINE: Duration = Duration::from_secs(5);
/// Fewer segments than this are everyday life.
const WORTH_A_LINE: u64 = 64;

/// For the log and the status page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatchUpReport {
    /// Segments whose bytes are not here.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that came, a second.
    pub per_second: u64,
    /// At this rate; `None` while nothing comes.
    pub seconds_to_go: Option<u64>,
}

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct CatchUpRate {
    before: Option<(Instant, u64)>,
    line_at: Option<Instant>,
    report: CatchUpReport,
}

impl CatchUpRate {
    /// Takes a look, about every second; gives what the log should say, if anything.
    pub(crate) fn round(
        &mut self,
        now: Instant,
        segments: u64,
        bytes: u64,
        fetched_total: u64,
    ) -> Option<CatchUpReport> {
        let per_second = self.before.map_or(0, |(at, total)| {
            let millis = u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(1);
            (fetched_total - total.min(fetched_total)).saturating_mul(1_000) / millis.max(1)
        });
        self.before = Some((now, fetched_total));
        let seconds_to_go = segments.checked_div(per_second);
        let was_behind = self.report.segments >= WORTH_A_LINE;
        self.report = CatchUpReport { segments, bytes, per_second, seconds_to_go };
        let is_behind = segments >= WORTH_A_LINE;
        let is_due = self.line_at.is_none_or(|at| at <= now);
        if !(is_behind && is_due || was_behind && !is_behind) {
            return None;
        }
        self.line_at = is_behind.then_some(now + LINE);
        Some(self.report)
    }

    pub(crate) const fn report(&self) -> CatchUpReport {
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_lacks_much_says_so_now_and_then_and_when_it_is_done() {
        let mut rate = CatchUpRate::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(rate.round(at(0), 3, 3, 0), None, "everyday life");
        let told = rate.round(at(1), 1_000, 5_000, 0).expect("behind");
        assert_eq!((told.segments, told.seconds_to_go), (1_000, None));
        assert_eq!(rate.round(at(2), 900, 4_500, 100), None, "said just now");
        assert_eq!(rate.report().per_second, 100);
        assert_eq!(rate.report().seconds_to_go, Some(9));
        assert!(rate.round(at(6), 500, 2_500, 500).is_some());
        let done = rate.round(at(7), 0, 0, 1_000).expect("caught up");
        assert_eq!((done.segments, done.per_second), (0, 500));
    }
}
