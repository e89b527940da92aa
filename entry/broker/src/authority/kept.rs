//! Answers that hold for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::KEPT_MAX;
use super::question::{Key, Verdict};

/// See the module. Where there are too many, the one goes that would go first.
#[derive(Debug, Default)]
pub(super) struct Kept {
    verdicts: BTreeMap<Key, (Instant, Verdict)>,
    by_end: BTreeSet<(Instant, Key)>,
}

impl Kept {
    /// The answer, if it holds.
    pub(super) fn get(&mut self, now: Instant, key: &Key) -> Option<Verdict> {
        self.forget_until(now);
        self.verdicts.get(key).map(|(_end, verdict)| *verdict)
    }

    /// Keeps an answer for so long from when it was given.
    pub(super) fn insert(
        &mut self,
        (now, given_at): (Instant, Instant),
        time: Duration,
        key: Key,
        verdict: Verdict,
    ) {
        self.forget_until(now);
        let Some(end) = given_at.checked_add(time).filter(|end| *end > now) else { return };
        self.remove(&key);
        if self.verdicts.len() >= KEPT_MAX
            && let Some((_, first)) = self.by_end.pop_first()
        {
            self.verdicts.remove(&first);
        }
        self.by_end.insert((end, key));
        self.verdicts.insert(key, (end, verdict));
    }

    pub(super) fn clear(&mut self) {
        self.verdicts.clear();
        self.by_end.clear();
    }

    fn forget_until(&mut self, now: Instant) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, key)) = self.by_end.pop_first() {
                self.verdicts.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some((end, _)) = self.verdicts.remove(key) {
            self.by_end.remove(&(end, *key));
        }
    }

    pub(super) fn check(&self, max: usize) {
        assert!(self.verdicts.len() <= max, "V3: {} answers kept", self.verdicts.len());
        debug_assert_eq!(self.verdicts.len(), self.by_end.len(), "V3: by their ends");
    }
}
