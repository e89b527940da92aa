//! Watermark: what this node can promise to readers (rule 7).
//!
//! ```text
//! stamps --------x-----o----x-------|------>      o elected and told, x drafts of pending segments
//!               ^      floor       clock
//!               watermark
//! ```
//! Source: Enes et al., *Efficient Replication via Timestamp Stability* (2021): a process promises not to
//! use timestamps below a bound. Here a pending draft holds the bound back.
//!
//! Invariants:
//! - V2: the drafts that hold the watermark are those of pending segments.
//! - V3: the watermark never falls, restarts included: after a restart there is none until all
//!   segments that were pending in the store are known elected.

use std::collections::BTreeSet;

use vixen_core::id::{SegmentId, Stamp};

use super::acceptor::VoteState;
use super::rules::Rules;

/// See the module's drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Watermark {
    drafts: BTreeSet<Stamp>,
    /// Segments that were pending when the store was opened and are not known elected yet.
    unsettled: BTreeSet<SegmentId>,
}

impl Watermark {
    /// That of a node which finds these rows in its store.
    pub(crate) fn after_restart<'a>(votes: impl Iterator<Item = &'a VoteState>) -> Self {
        let mut watermark = Self::default();
        for vote in votes {
            watermark.unsettled.insert(vote.meta.id);
            watermark.drafts.extend(vote.draft);
        }
        watermark
    }

    /// A draft is made: above the floor, so above every watermark so far (V3).
    pub(crate) fn hold(&mut self, draft: Stamp) {
        let is_new = self.drafts.insert(draft);
        assert!(is_new, "V2: a draft belongs to one segment");
    }

    /// The segment of this row is pending no more.
    pub(crate) fn settle(&mut self, vote: &VoteState) {
        if let Some(draft) = vote.draft {
            let was_held = self.drafts.remove(&draft);
            assert!(was_held, "V2: the draft of a pending segment holds the watermark");
        }
        self.unsettled.remove(&vote.meta.id);
    }

    /// Segments that the node must know elected before it promises anything.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// The promise of a node that makes no draft at or below `floor` any more.
    pub(crate) fn at(&self, floor: Stamp, rules: &dyn Rules) -> Option<Stamp> {
        self.unsettled.is_empty().then(|| rules.watermark(floor, self.drafts.first().copied()))
    }

    /// Whether nothing holds it.
    pub(crate) fn is_free(&self) -> bool {
        self.drafts.is_empty() && self.unsettled.is_empty()
    }

    /// Asserts V2 of all rows.
    pub(crate) fn check<'a>(&self, votes: impl Iterator<Item = &'a VoteState>) {
        let drafts: BTreeSet<_> = votes.filter_map(|vote| vote.draft).collect();
        assert!(self.drafts == drafts, "V2");
    }
}
