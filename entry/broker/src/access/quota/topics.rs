//! Topics that were published of late, by their digests: those of this period, and of the one before.
//!
//! Two different topics may have one digest of 64 bits: then one of them is not new. With a million
//! topics that happens to one in ten million of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A topic that nobody publishes is known for one to two of these.
const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct KnownTopics {
    begun: Option<Instant>,
    newer: BTreeSet<u64>,
    older: BTreeSet<u64>,
}

impl KnownTopics {
    /// Whether it was published of late.
    pub(super) fn knows(&mut self, now: Instant, topic: u64) -> bool {
        self.turn(now);
        self.newer.contains(&topic) || self.older.contains(&topic)
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }

    /// When some will be forgotten.
    pub(super) fn until_less(&self, now: Instant) -> Duration {
        let begun = self.begun.unwrap_or(now);
        (begun + PERIOD).saturating_duration_since(now)
    }

    /// Notes that one was published, and whether it is new. Of more than `max` the older are
    /// forgotten.
    pub(super) fn add(&mut self, now: Instant, topic: u64, max: usize) -> bool {
        self.turn(now);
        let is_new = !self.older.remove(&topic) && !self.newer.contains(&topic);
        if is_new && self.len() >= max {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(topic);
        is_new
    }

    fn turn(&mut self, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let age = now.saturating_duration_since(begun);
        if age < PERIOD {
            return;
        }
        self.older = std::mem::take(&mut self.newer);
        if age >= 2 * PERIOD {
            self.older.clear();
        }
        self.begun = Some(now);
    }
}
