//! Since when segments are pending, for people. The vote's own clocks begin when a segment may be
//! drafted, and what waits for its durable votes has none.

use std::collections::BTreeMap;

use tokio::time::Instant;

use vixen_core::id::SegmentId;

/// Since when each pending segment has been seen, to the second between two looks.
#[derive(Debug, Default)]
pub(super) struct PendingAges(BTreeMap<SegmentId, Instant>);

impl PendingAges {
    /// These are pending now, and no others.
    pub(super) fn note(&mut self, pending: impl Iterator<Item = SegmentId>, now: Instant) {
        let known = std::mem::take(&mut self.0);
        let since = |segment| known.get(&segment).copied().unwrap_or(now);
        self.0 = pending.map(|segment| (segment, since(segment))).collect();
    }

    /// How long it has been pending; 0 before it was seen.
    pub(super) fn age_ms(&self, segment: SegmentId, now: Instant) -> u64 {
        let age = self.0.get(&segment).map(|since| now.saturating_duration_since(*since));
        age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vixen_core::id::{OwnerId, Seq};

    use super::*;

    #[test]
    fn a_segment_grows_older_while_it_is_pending() {
        let segment = |seq| SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(seq) };
        let (mut ages, begin) = (PendingAges::default(), Instant::now());
        let later = begin + Duration::from_secs(3);
        ages.note([segment(1), segment(2)].into_iter(), begin);
        ages.note([segment(2), segment(3)].into_iter(), later);
        assert_eq!(ages.age_ms(segment(1), later), 0, "it has its place");
        assert_eq!(ages.age_ms(segment(2), later), 3_000);
        assert_eq!(ages.age_ms(segment(3), later), 0);
        assert_eq!(ages.age_ms(segment(4), later), 0);
    }
}
