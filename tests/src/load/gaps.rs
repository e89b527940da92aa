//! How long nothing arrived.

/// A stretch of a run, in ns of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
}

/// The longest gap between consecutive arrivals that reaches into `span`.
///
/// ```text
///   arrivals  ──x────────────x──x──────────x──
///   span           [···············]
///   gaps        |-----12-----|-3|----10----|      longest: 12, though it begins before the span
/// ```
/// A gap counts in full, wherever it begins and ends. One without an arrival before it begins
/// with the span; one without an arrival after it lasts until `seen_until_ns`, the time of
/// looking. `times_ns` does not fall.
#[must_use]
pub(super) fn longest_gap_ns(times_ns: &[u64], span: Span, seen_until_ns: u64) -> u64 {
    let inside = times_ns.partition_point(|at_ns| *at_ns <= span.from_ns);
    let after = times_ns.partition_point(|at_ns| *at_ns < span.to_ns).max(inside);
    let begin_ns = inside.checked_sub(1).map_or(span.from_ns, |before| times_ns[before]);
    let end_ns = times_ns.get(after).copied().unwrap_or(seen_until_ns.max(span.to_ns));
    let mut last_ns = begin_ns;
    let mut longest_ns = 0;
    for at_ns in times_ns[inside..after].iter().copied().chain([end_ns]) {
        longest_ns = longest_ns.max(at_ns.saturating_sub(last_ns));
        last_ns = at_ns;
    }
    longest_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { from_ns: 100, to_ns: 200 };
    const SEEN_UNTIL_NS: u64 = 1000;

    fn longest(times_ns: &[u64]) -> u64 {
        longest_gap_ns(times_ns, SPAN, SEEN_UNTIL_NS)
    }

    #[test]
    fn the_longest_of_the_gaps_within_the_span_is_found() {
        assert_eq!(longest(&[95, 105, 115, 155, 165, 175, 185, 195, 205]), 40);
    }

    #[test]
    fn gaps_that_do_not_touch_the_span_do_not_count() {
        assert_eq!(longest(&[0, 90, 110, 130, 150, 170, 190, 210, 900]), 20);
    }

    #[test]
    fn a_gap_that_begins_before_the_span_counts_in_full() {
        assert_eq!(longest(&[20, 110, 150, 190, 205]), 90);
    }

    #[test]
    fn a_gap_that_is_open_at_the_end_of_the_span_counts_to_the_next_arrival() {
        assert_eq!(longest(&[95, 130, 160, 190, 270, 900]), 80);
    }

    #[test]
    fn a_gap_that_never_ends_counts_to_the_time_of_looking() {
        assert_eq!(longest(&[95, 130, 160, 190]), SEEN_UNTIL_NS - 190);
    }

    #[test]
    fn a_gap_over_the_whole_span_counts_in_full() {
        assert_eq!(longest(&[50, 300]), 250);
        assert_eq!(longest(&[50]), SEEN_UNTIL_NS - 50);
    }

    #[test]
    fn without_an_arrival_before_the_span_the_gap_begins_with_it() {
        assert_eq!(longest(&[160, 170, 200]), 60);
        assert_eq!(longest(&[300]), 200);
        assert_eq!(longest(&[]), SEEN_UNTIL_NS - 100);
    }

    #[test]
    fn arrivals_on_the_edges_end_the_gaps_outside() {
        assert_eq!(longest(&[0, 100, 150, 200, 900]), 50);
    }

    #[test]
    fn an_empty_span_has_the_gap_around_it() {
        let at = |at_ns| Span { from_ns: at_ns, to_ns: at_ns };
        assert_eq!(longest_gap_ns(&[10, 30, 70], at(40), 100), 40);
        assert_eq!(longest_gap_ns(&[10, 30, 70], at(30), 100), 40);
    }
}
