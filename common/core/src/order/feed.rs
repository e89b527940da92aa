//! What one feed has told: the marks of its node, and what that has accepted and nobody knows elected here.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{SegmentId, Stamp};
use crate::wire::Marks;

/// The feed of one sync node, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Feed {
    /// Its last watermark.
    marks: Option<Marks>,
    /// Segments told accepted that are not known elected, with the lowest stamp that they may hold.
    accepted: BTreeMap<SegmentId, Stamp>,
    /// The same by stamp.
    by_stamp: BTreeSet<(Stamp, SegmentId)>,
}

impl Feed {
    /// Takes a watermark. Marks lower than before say nothing new.
    pub(super) fn raise(&mut self, marks: Marks) {
        let before = self.marks.unwrap_or(marks);
        let (floor, clock) = (marks.floor.max(before.floor), marks.clock.max(before.clock));
        self.marks = Some(Marks { floor, clock, since: marks.since });
    }

    /// Its node has accepted something for a segment.
    pub(super) fn accept(&mut self, segment: SegmentId, lowest: Stamp) {
        let before = self.accepted.get(&segment).copied();
        let lowest = before.map_or(lowest, |before| before.min(lowest));
        self.settle(segment);
        self.accepted.insert(segment, lowest);
        self.by_stamp.insert((lowest, segment));
    }

    /// The segment is known elected.
    pub(super) fn settle(&mut self, segment: SegmentId) {
        if let Some(lowest) = self.accepted.remove(&segment) {
            self.by_stamp.remove(&(lowest, segment));
        }
    }

    /// What was told accepted and is not known elected.
    pub(super) fn accepted(&self) -> impl Iterator<Item = SegmentId> {
        self.accepted.keys().copied()
    }

    /// Whether this is of that.
    pub(super) fn has_accepted(&self, segment: SegmentId) -> bool {
        self.accepted.contains_key(&segment)
    }

    /// Its last watermark.
    pub(super) const fn marks(&self) -> Option<Marks> {
        self.marks
    }

    /// The lowest stamp that is held by what was told accepted.
    pub(super) fn lowest(&self) -> Option<Stamp> {
        self.by_stamp.first().map(|(stamp, _)| *stamp)
    }
}
