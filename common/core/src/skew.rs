//! Skew: which sync nodes' stamps are left out, because they are ahead of the others' (rule 8).
//!
//! ```text
//!    S2  S3 |<------ bound ------>|                 S1
//!    -----------------------------------------------x---->   the time that each would stamp with now
//! ```
//! Each sync node says every second which time that is ([`NodeMessage::SyncTime`](crate::wire::Message)): its wall
//! clock, or the last stamp it made, if that is later. Nodes within the bound of each other elect
//! together; the most that are so are counted on, the lower ones of as many. Who is beyond them is
//! left out. Who is behind them is not: it follows the order.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::id::SyncId;
use crate::time::WallTime;
use crate::words::Absence;

/// See the module doc.
#[derive(Debug, Default)]
pub struct Skew {
    said: BTreeMap<SyncId, Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    time: WallTime,
    ahead_ms_max: u64,
    at: Instant,
}

impl Skew {
    /// A node would stamp with this time, and does not use stamps further ahead than that.
    pub fn note(&mut self, node: SyncId, time: WallTime, ahead_ms_max: u64, now: Instant) {
        self.said.insert(node, Said { time, ahead_ms_max, at: now });
    }

    /// The link to a node is gone.
    pub fn forget(&mut self, node: SyncId) {
        self.said.remove(&node);
    }

    /// How a node is missed, if it is left out.
    #[must_use]
    pub fn absence(&self, node: SyncId, now: Instant) -> Option<Absence> {
        self.ahead(now).get(&node).map(|by_ms| Absence::clock_ahead(*by_ms))
    }

    /// By how many milliseconds nodes that are left out are ahead of those that are counted on.
    #[must_use]
    pub fn ahead(&self, now: Instant) -> BTreeMap<SyncId, u64> {
        let at = |said: &Said| {
            let passed = now.saturating_duration_since(said.at).as_millis();
            said.time.plus_millis(u64::try_from(passed).unwrap_or(u64::MAX))
        };
        let times: BTreeMap<SyncId, WallTime> =
            self.said.iter().map(|(node, said)| (*node, at(said))).collect();
        let ahead_ms_max = self.said.values().map(|said| said.ahead_ms_max).max().unwrap_or(0);
        let within = |lowest: WallTime| {
            let is_within =
                |time: &&WallTime| **time >= lowest && time.millis_since(lowest) <= ahead_ms_max;
            times.values().filter(is_within).count()
        };
        // The last of the best is taken: the lowest.
        let mut lowest: Vec<WallTime> = times.values().copied().collect();
        lowest.sort_unstable();
        let best = lowest.into_iter().rev().max_by_key(|lowest| within(*lowest));
        let Some(lowest) = best else { return BTreeMap::new() };
        let lead = |(node, time): (&SyncId, &WallTime)| (*node, time.millis_since(lowest));
        times.iter().map(lead).filter(|(_, lead)| *lead > ahead_ms_max).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const AHEAD_MS_MAX: u64 = 10_000;
    const HOUR_MS: u64 = 3_600_000;

    fn ahead(leads_ms: &[u64]) -> Vec<(u8, u64)> {
        let now = Instant::now();
        let mut skew = Skew::default();
        for (node, lead_ms) in (0..).zip(leads_ms) {
            skew.note(SyncId(node), WallTime(1_800_000_000_000 + lead_ms), AHEAD_MS_MAX, now);
        }
        skew.ahead(now + Duration::from_secs(1)).iter().map(|(id, ms)| (id.0, *ms)).collect()
    }

    #[test]
    fn who_is_further_ahead_than_the_most_is_left_out() {
        assert_eq!(ahead(&[]), []);
        assert_eq!(ahead(&[7, 0, 10_000]), []);
        assert_eq!(ahead(&[2 * HOUR_MS, 0, 9]), [(0, 2 * HOUR_MS)]);
        assert_eq!(ahead(&[2 * HOUR_MS, 0]), [(0, 2 * HOUR_MS)], "one alone is not followed");
        assert_eq!(ahead(&[2 * HOUR_MS, 2 * HOUR_MS + 9, 0]), [], "who is behind follows");
        assert_eq!(ahead(&[HOUR_MS, 2 * HOUR_MS, 0]), [(0, HOUR_MS), (1, 2 * HOUR_MS)]);
    }

    #[test]
    fn a_node_without_a_link_counts_no_more_and_times_run_on() {
        let now = Instant::now();
        let mut skew = Skew::default();
        skew.note(SyncId(0), WallTime(100_000), AHEAD_MS_MAX, now);
        let later = now + Duration::from_secs(60);
        skew.note(SyncId(1), WallTime(160_000), AHEAD_MS_MAX, later);
        assert_eq!(skew.ahead(later), BTreeMap::new());
        skew.note(SyncId(2), WallTime(260_000), AHEAD_MS_MAX, later);
        assert_eq!(skew.ahead(later), BTreeMap::from([(SyncId(2), 100_000)]));
        skew.forget(SyncId(2));
        assert_eq!(skew.ahead(later), BTreeMap::new());
    }
}
