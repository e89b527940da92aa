//! A set of nodes, as votes are counted.

/// A set of node numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NodeSet(u64);

impl NodeSet {
    pub(crate) fn insert(&mut self, number: u8) {
        self.0 |= 1u64.checked_shl(u32::from(number)).unwrap_or(0);
    }

    pub(crate) fn contains(self, number: u8) -> bool {
        self.0 & 1u64.checked_shl(u32::from(number)).unwrap_or(0) != 0
    }

    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}
