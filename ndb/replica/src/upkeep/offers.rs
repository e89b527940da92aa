//! Offers: segments that stay without a place are offered to the group, so those that fewer than W
//! nodes have, because their entry died, become canonical.

use std::collections::BTreeSet;

use vixen_core::id::SegmentId;
use vixen_core::segment::SegmentMeta;

/// Segments in one offer.
const OFFER_MAX: usize = 4_096;

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// Unresolved in the round before as well.
    lingering: BTreeSet<SegmentId>,
}

impl Offers {
    /// What to offer, of what is unresolved now.
    pub(crate) fn round(&mut self, unresolved: &[SegmentMeta]) -> Vec<SegmentMeta> {
        let lingering = unresolved.iter().filter(|meta| self.lingering.contains(&meta.id));
        let offered = lingering.take(OFFER_MAX).copied().collect();
        self.lingering = unresolved.iter().map(|meta| meta.id).collect();
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::meta;

    #[test]
    fn what_is_unresolved_for_a_whole_round_is_offered_again_and_again() {
        let mut offers = Offers::default();
        let [old, new] = [meta(1, 1, 1), meta(1, 2, 1)];
        assert_eq!(offers.round(&[old]), []);
        assert_eq!(offers.round(&[old, new]), [old]);
        assert_eq!(offers.round(&[old, new]), [old, new]);
        assert_eq!(offers.round(&[new]), [new]);
        assert_eq!(offers.round(&[]), []);
    }
}
