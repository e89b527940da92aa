//! Segments of which an entry waits to hear that they are on this disk.
//!
//! A place says more than that, and whoever waits hears of it by the feeds: what is placed is waited for
//! no longer, whatever happens to its bytes here. So what waits is bounded by what entries have under
//! way, not by how long the node runs.
//!
//! Invariant:
//! - A1: nothing is awaited that has its place, or never gets one.

use std::collections::BTreeSet;

use vixen_core::id::{OwnerId, SegmentId, Seq};

/// More than entries have under way: what is beyond is told of by its place.
const SEGMENTS_MAX: usize = 65_536;

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct Awaiting {
    segments: BTreeSet<SegmentId>,
}

impl Awaiting {
    pub(crate) fn wait_for(&mut self, segment: SegmentId) {
        if self.segments.len() < SEGMENTS_MAX {
            self.segments.insert(segment);
        }
    }

    /// Whether it was waited for; it is no longer.
    pub(crate) fn take(&mut self, segment: SegmentId) -> bool {
        self.segments.remove(&segment)
    }

    /// An owner's segments are placed in the order of their seqs.
    pub(crate) fn placed(&mut self, segment: SegmentId) {
        let from = SegmentId { owner: segment.owner, seq: Seq(0) };
        self.segments.extract_if(from..=segment, |_| true).for_each(drop);
        let next = self.segments.range(from..).next();
        assert!(next.is_none_or(|next| *next > segment), "A1: what is placed is not awaited");
    }

    /// The entry is gone.
    pub(crate) fn owner_gone(&mut self, owner: OwnerId) {
        self.segments.retain(|segment| !segment.owner.is_of_entry(owner));
    }

    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::segment;

    #[test]
    fn however_many_are_placed_first_the_next_one_is_told_of() {
        let mut awaiting = Awaiting::default();
        for seq in 1..=2 * SEGMENTS_MAX as u64 {
            awaiting.wait_for(segment(1, seq));
            awaiting.placed(segment(1, seq));
        }
        assert_eq!(awaiting.len(), 0);
        awaiting.wait_for(segment(1, 1 << 40));
        assert!(awaiting.take(segment(1, 1 << 40)) && !awaiting.take(segment(1, 1 << 40)));
    }

    #[test]
    fn a_place_ends_the_wait_for_what_is_before_it_and_the_end_of_an_entry_all_of_its_own() {
        let mut awaiting = Awaiting::default();
        for (owner, seq) in [(1, 1), (1, 2), (1, 3), (2, 1)] {
            awaiting.wait_for(segment(owner, seq));
        }
        awaiting.placed(segment(1, 2));
        assert!(awaiting.len() == 2 && awaiting.take(segment(1, 3)));
        awaiting.owner_gone(segment(2, 0).owner);
        assert_eq!(awaiting.len(), 0);
    }
}
