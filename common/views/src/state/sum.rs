//! The sum: a hash over what a view holds, kept as items come and go.
//!
//! It is the sum of the hashes of all items, modulo 2^256, so their order is no matter. Views with equal sums are
//! taken to hold the same. Against faults, not against someone who chooses values to make a sum: entries believe
//! each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use vixen_core::id::Digester;

use super::items::Item;

/// See the module. Its bytes are little-endian.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sum(pub [u8; 32]);

/// A hash of one item.
#[derive(Clone, Copy)]
pub(super) struct ItemHash([u8; 32]);

impl ItemHash {
    pub(super) fn of(item: &impl Item) -> Self {
        Self::of_bytes(&item.to_bytes())
    }

    /// Of an item that is written.
    pub(super) fn of_bytes(item: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(item);
        Self(digester.finish_wide())
    }
}

impl Sum {
    /// With one item more.
    pub(super) fn plus(self, item: ItemHash) -> Self {
        let (mut sum, mut carry) = ([0; 32], false);
        for (sum, (one, other)) in sum.iter_mut().zip(self.0.into_iter().zip(item.0)) {
            let (low, is_over) = one.overflowing_add(other);
            let (all, is_over_again) = low.overflowing_add(u8::from(carry));
            (*sum, carry) = (all, is_over || is_over_again);
        }
        Self(sum)
    }

    /// With all items of another.
    pub(super) fn with(self, other: Self) -> Self {
        self.plus(ItemHash(other.0))
    }

    /// Without all items of another.
    pub(super) fn without(self, other: Self) -> Self {
        self.minus(ItemHash(other.0))
    }

    /// With one item less.
    pub(super) fn minus(self, item: ItemHash) -> Self {
        let (mut sum, mut borrow) = ([0; 32], false);
        for (sum, (one, other)) in sum.iter_mut().zip(self.0.into_iter().zip(item.0)) {
            let (low, is_under) = one.overflowing_sub(other);
            let (all, is_under_again) = low.overflowing_sub(u8::from(borrow));
            (*sum, borrow) = (all, is_under || is_under_again);
        }
        Self(sum)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn carries_go_through_and_fall_off_the_end() {
        let one = ItemHash(std::array::from_fn(|at| u8::from(at == 0)));
        let all = Sum([0xff; 32]);
        assert_eq!(all.plus(one), Sum::default());
        assert_eq!(Sum::default().minus(one), all);
        assert_eq!(Sum::default().plus(one).to_string(), format!("{:064x}", 1));
    }

    proptest! {
        #[test]
        fn items_come_and_go_in_any_order(a: [u8; 32], b: [u8; 32], c: [u8; 32]) {
            let [x, y, z] = [a, b, c].map(ItemHash);
            let all = Sum::default().plus(x).plus(y).plus(z);
            prop_assert_eq!(all, Sum::default().plus(z).plus(x).plus(y));
            prop_assert_eq!(all.minus(y).minus(z), Sum(a));
            prop_assert_eq!(all.minus(x).minus(z).minus(y), Sum::default());
        }
    }
}
