//! Retries: when segments have been pending for so long that what was said of them is said again; and
//! since when each is pending, for people. The vote's own clocks begin when a segment may be
//! drafted, and what waits for its durable votes has none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_core::id::SegmentId;

/// Pause between looks at segments that have been pending for long.
const RETRY: Duration = Duration::from_secs(1);

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing to do.
    Nothing,
    /// Time to try again: give [`Input::Retry`](crate::Input::Retry).
    Retry,
    /// Nothing is pending any more.
    Over,
}

/// Since when each pending segment has been seen, to the second between two looks.
#[derive(Debug, Default)]
pub struct Retries {
    since: BTreeMap<SegmentId, Instant>,
    at: Option<Instant>,
}

impl Retries {
    /// When to look again; `None` while nothing is pending.
    #[must_use]
    pub const fn due_at(&self) -> Option<Instant> {
        self.at
    }

    /// Looks at what is pending now.
    pub fn look(&mut self, pending: impl Iterator<Item = SegmentId>, now: Instant) -> Look {
        let mut pending = pending.peekable();
        let is_pending = pending.peek().is_some();
        let look = match self.at {
            None if is_pending => Look::Nothing,
            Some(_) if !is_pending => Look::Over,
            Some(at) if at <= now => Look::Retry,
            None | Some(_) => return Look::Nothing,
        };
        let known = std::mem::take(&mut self.since);
        let since = |segment| known.get(&segment).copied().unwrap_or(now);
        self.since = pending.map(|segment| (segment, since(segment))).collect();
        self.at = is_pending.then_some(now + RETRY);
        look
    }

    /// How long a segment has been pending; 0 before it was seen.
    #[must_use]
    pub fn age_ms(&self, segment: SegmentId, now: Instant) -> u64 {
        let age = self.since.get(&segment).map(|since| now.saturating_duration_since(*since));
        age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;

    fn segment(seq: u64) -> SegmentId {
        meta(1, seq).id
    }

    #[test]
    fn a_segment_grows_older_while_it_is_pending() {
        let (mut retries, begin) = (Retries::default(), Instant::now());
        let later = begin + 3 * RETRY;
        retries.look([segment(1), segment(2)].into_iter(), begin);
        retries.look([segment(2), segment(3)].into_iter(), later);
        assert_eq!(retries.age_ms(segment(1), later), 0, "it has its place");
        assert_eq!(retries.age_ms(segment(2), later), 3_000);
        assert_eq!(retries.age_ms(segment(3), later), 0);
        assert_eq!(retries.age_ms(segment(4), later), 0);
    }

    #[test]
    fn what_stays_pending_is_tried_again_each_second() {
        let (mut retries, begin) = (Retries::default(), Instant::now());
        let mut look = |pending: &[u64], after: Duration| {
            retries.look(pending.iter().map(|seq| segment(*seq)), begin + after)
        };
        assert_eq!(look(&[], Duration::ZERO), Look::Nothing);
        assert_eq!(look(&[1], Duration::ZERO), Look::Nothing);
        assert_eq!(look(&[1], RETRY / 2), Look::Nothing);
        assert_eq!(look(&[1], RETRY), Look::Retry);
        assert_eq!(look(&[1], RETRY), Look::Nothing);
        assert_eq!(look(&[], RETRY), Look::Over);
        assert_eq!(look(&[], 3 * RETRY), Look::Nothing);
    }
}
