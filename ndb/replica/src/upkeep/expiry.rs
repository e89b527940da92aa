//! Expiry: held segments whose owner sync nodes have forgotten.
//!
//! Once so many sync nodes say that they take no part in the votes of an owner any more that no quorum
//! is left, a segment of it that was not elected never is.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{SegmentId, SyncId};

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// Pending segments, and which sync nodes have forgotten their owners.
    forgotten: BTreeMap<SegmentId, BTreeSet<SyncId>>,
}

impl Expiry {
    /// A sync node has forgotten the owner of a pending segment; whether that is enough of them.
    pub(crate) fn said(&mut self, segment: SegmentId, by: SyncId, quorum: usize) -> bool {
        let said = self.forgotten.entry(segment).or_default();
        said.insert(by);
        let is_expired = said.len() >= quorum;
        if is_expired {
            self.forgotten.remove(&segment);
        }
        is_expired
    }

    /// It has its place, or is dropped.
    pub(crate) fn settled(&mut self, segment: SegmentId) {
        self.forgotten.remove(&segment);
    }

    /// Whether some have said so, and not enough.
    pub(crate) fn is_waiting(&self, segment: SegmentId) -> bool {
        self.forgotten.contains_key(&segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::segment;

    #[test]
    fn a_segment_expires_when_a_quorum_of_different_nodes_says_so() {
        let mut expiry = Expiry::default();
        assert!(!expiry.said(segment(1, 1), SyncId(0), 2));
        assert!(!expiry.said(segment(1, 1), SyncId(0), 2), "the same again");
        assert!(expiry.is_waiting(segment(1, 1)));
        assert!(!expiry.said(segment(1, 2), SyncId(1), 2), "of another");
        assert!(expiry.said(segment(1, 1), SyncId(1), 2));
        expiry.settled(segment(1, 2));
        assert!(![1, 2].iter().any(|seq| expiry.is_waiting(segment(1, *seq))));
    }
}
