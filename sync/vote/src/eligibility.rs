//! Eligibility: which ndb nodes have which segment on disk (rule 1).
//!
//! Counted for each content and group by itself: there is one of each, unless an owner lies, or a
//! segment was moved to another group.

use std::collections::BTreeMap;

use vixen_core::id::{GroupId, NdbId, SegmentId};
use vixen_core::segment::SegmentMeta;
use vixen_core::tally::NodeSet;

/// Contents and groups of one segment that are counted.
const CONTENTS_MAX: usize = 16;

type Counts = BTreeMap<(SegmentMeta, GroupId), NodeSet>;

/// Durable votes of pending segments. Volatile: ndb nodes say them again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Eligibility {
    segments: BTreeMap<SegmentId, Counts>,
}

impl Eligibility {
    /// Takes a durable vote; how many nodes of its group have this content now.
    pub(crate) fn count(&mut self, from: NdbId, meta: SegmentMeta) -> usize {
        let counts = self.segments.entry(meta.id).or_default();
        let key = (meta, from.group);
        if counts.len() >= CONTENTS_MAX && !counts.contains_key(&key) {
            return 0;
        }
        let nodes = counts.entry(key).or_default();
        nodes.insert(from.member);
        nodes.len()
    }

    /// How many nodes have the segment, of the content and group that the most have.
    pub(crate) fn most(&self, segment: SegmentId) -> usize {
        let counts = self.segments.get(&segment).into_iter().flatten();
        counts.map(|(_, nodes)| nodes.len()).max().unwrap_or(0)
    }

    /// The segment is pending no more.
    pub(crate) fn settle(&mut self, segment: SegmentId) {
        self.segments.remove(&segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;

    #[test]
    fn one_ndb_node_is_one_durable_vote_however_often_it_asks() {
        let meta = meta(1, 1);
        let mut eligibility = Eligibility::default();
        let node = |group, member| NdbId { group: GroupId(group), member };
        assert_eq!(eligibility.count(node(0, 1), meta), 1);
        assert_eq!(eligibility.count(node(0, 1), meta), 1);
        assert_eq!(eligibility.count(node(1, 2), meta), 1, "groups are counted apart");
        assert_eq!(eligibility.count(node(0, 2), meta), 2);
        assert_eq!(eligibility.most(meta.id), 2);
    }

    #[test]
    fn an_owner_that_tells_every_node_another_content_fills_no_memory() {
        let first = meta(1, 1);
        let mut eligibility = Eligibility::default();
        let from = NdbId { group: GroupId(0), member: 0 };
        for count in 0..100 {
            eligibility.count(from, SegmentMeta { count, ..first });
        }
        assert_eq!(eligibility.segments[&first.id].len(), CONTENTS_MAX);
        assert_eq!(eligibility.count(from, SegmentMeta { count: 3, ..first }), 1);
    }
}
