//! Watermark: what this node can promise to readers (rule 7).
//!
//! ```text
//! stamps -----a--o--x------o----x------|------>   o elected, a accepted and told, x drafts that are not told
//!                  ^       floor      clock
//!                  watermark
//! ```
//! Source: Enes et al., *Efficient Replication via Timestamp Stability* (2021): a process promises not to
//! use timestamps below a bound. Here a pending draft holds the bound back, until readers are told what was accepted for
//! its segment: then they hold it back themselves, until they know that elected.
//!
//! Invariants:
//! - V2: the drafts that hold the watermark are those of pending segments of which no acceptance was told.
//! - V3: the watermark never falls, restarts included: after a restart there is none until all
//!   segments that were pending in the store are known elected.

use std::collections::BTreeSet;

use vixen_core::id::{Lane, SegmentId, Stamp};
use vixen_core::wire::Marks;

use super::acceptor::VoteState;
use super::rules::Rules;

/// See the module's drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Watermark {
    drafts: BTreeSet<Stamp>,
    /// Of these the ones whose segments were not told accepted.
    untold: BTreeSet<Stamp>,
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
            watermark.untold.extend(vote.draft);
        }
        watermark
    }

    /// A draft is made: above the floor, so above every watermark so far (V3). It holds none where its segment was told
    /// accepted before.
    pub(crate) fn hold(&mut self, draft: Stamp, is_told: bool) {
        let is_new = self.drafts.insert(draft);
        assert!(is_new, "V2: a draft belongs to one segment");
        if !is_told {
            self.untold.insert(draft);
        }
    }

    /// Readers are told that the segment of this draft is accepted here.
    pub(crate) fn tell(&mut self, draft: Stamp) {
        self.untold.remove(&draft);
    }

    /// The segment of this row is pending no more.
    pub(crate) fn settle(&mut self, vote: &VoteState) {
        if let Some(draft) = vote.draft {
            let was_held = self.drafts.remove(&draft);
            assert!(was_held, "V2: the draft of a pending segment is known");
            self.untold.remove(&draft);
        }
        self.unsettled.remove(&vote.meta.id);
    }

    /// Segments that the node must know elected before it promises anything.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// The promises of a node of this lane that makes no draft at or below `floor` any more, and no stamp at or below
    /// `clock`.
    pub(crate) fn at(
        &self,
        (floor, clock, since): (Stamp, Stamp, Stamp),
        lane: Lane,
        rules: &dyn Rules,
    ) -> Option<Marks> {
        let own = self.untold.iter().find(|draft| draft.lane() == lane).copied();
        let floor = rules.watermark(floor, self.untold.first().copied());
        let clock = rules.watermark(clock, own);
        self.unsettled.is_empty().then_some(Marks { floor, clock, since })
    }

    /// Whether nothing holds it.
    pub(crate) fn is_free(&self) -> bool {
        self.drafts.is_empty() && self.unsettled.is_empty()
    }

    /// Asserts V2 of all rows.
    pub(crate) fn check<'a>(&self, votes: impl Iterator<Item = &'a VoteState>) {
        let drafts: BTreeSet<_> = votes.filter_map(|vote| vote.draft).collect();
        assert!(self.drafts == drafts && self.untold.is_subset(&drafts), "V2");
    }
}
