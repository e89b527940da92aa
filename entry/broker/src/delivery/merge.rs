//! Merge: the segments of all tails in the one order.
//!
//! ```text
//!             passed
//!   positions ---|=====|.....|=====|==|.....|--------------->
//!   the order    | g 0 | g 1 | g 0 |  | g 1 |
//!                   ^ here: waits, or is the next
//! ```
//! Everything before `passed` is delivered or of no interest. It rises, whichever comes first,
//! - over a segment that came and begins there: nothing can stand before it;
//! - over a placed segment whose group's tail has gone by, with or without having sent it;
//! - to where all tails have gone by.
//!
//! So the word of the frontier is waited for only where segments of several groups cross, and the
//! word of a group only where a segment of it stands.

use std::collections::{BTreeMap, VecDeque};

use vixen_core::id::{GroupId, Position};
use vixen_core::wire::TailSegment;

use super::Slot;

/// What became of a segment that came.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is the next.
    Next(TailSegment),
    /// It was dropped: another one that was delivered has some of its positions.
    Overlaps,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Merge {
    passed: Option<Position>,
    /// All tails have gone by this.
    horizon: Option<Position>,
    /// Placed segments from `passed` on, without a gap.
    order: VecDeque<Slot>,
    /// Segments that came, from `passed` on.
    waiting: BTreeMap<Position, TailSegment>,
    /// Of their records.
    waiting_bytes: usize,
}

/// Placed segments kept at most. Beyond, the word of all tails is waited for.
const ORDER_MAX: usize = 1 << 20;

impl Merge {
    pub(super) const fn passed(&self) -> Option<Position> {
        self.passed
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn waits_for(&self) -> Option<(GroupId, Position)> {
        self.order.front().map(|slot| (slot.group, slot.first))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.waiting.is_empty()
    }

    /// Forgets what is queued: nobody wants it.
    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// What stands before `at` is not wanted.
    pub(super) fn begin(&mut self, at: Option<Position>) {
        self.passed = self.passed.max(at);
    }

    /// Takes a segment of the order.
    pub(super) fn placed(&mut self, slot: Slot) {
        let is_wanted = self.passed.is_none_or(|passed| passed <= slot.first);
        if is_wanted && self.order.len() < ORDER_MAX {
            self.order.push_back(slot);
        }
    }

    /// Takes a segment of a tail. `false`: its place is passed.
    pub(super) fn arrived(&mut self, segment: TailSegment) -> bool {
        let is_wanted = self.passed.is_none_or(|passed| passed <= segment.first);
        if is_wanted {
            self.waiting_bytes += segment.records.len();
            if let Some(same) = self.waiting.insert(segment.first, segment) {
                self.waiting_bytes -= same.records.len();
            }
        }
        is_wanted
    }

    /// Whether a segment at `first` is beyond all that waits, and that is `bytes_max` or more.
    pub(super) fn is_full_at(&self, first: Position, bytes_max: usize) -> bool {
        let is_last = self.waiting.last_key_value().is_some_and(|(last, _)| *last < first);
        is_last && self.waiting_bytes >= bytes_max
    }

    /// All tails have gone by `horizon`.
    pub(super) fn pass_to(&mut self, horizon: Option<Position>) {
        self.horizon = self.horizon.max(horizon);
    }

    /// Takes the next segment that came, if nothing can come before it. `next_of` tells how far a
    /// group's tail is.
    pub(super) fn take_next(
        &mut self,
        next_of: impl Fn(GroupId) -> Option<Position>,
    ) -> Option<Taken> {
        loop {
            let passed = self.passed;
            while self.order.front().is_some_and(|slot| Some(slot.first) < passed) {
                self.order.pop_front();
            }
            if let Some(first) = self.waiting.first_entry() {
                let at = Some(*first.key());
                if at < passed {
                    self.waiting_bytes -= first.remove().records.len();
                    return Some(Taken::Overlaps);
                }
                if at == passed || at < self.horizon {
                    assert!(at >= passed, "D2: positions of delivered segments rise");
                    let segment = first.remove();
                    self.waiting_bytes -= segment.records.len();
                    self.passed = Some(segment.first.plus(segment.count));
                    return Some(Taken::Next(segment));
                }
            }
            let slot = self.order.front().filter(|slot| Some(slot.first) == passed);
            let gone_by = slot.filter(|slot| Some(slot.end()) <= next_of(slot.group));
            let to = gone_by.map(Slot::end).max(self.horizon);
            if to <= passed {
                return None;
            }
            self.passed = to;
        }
    }
}
