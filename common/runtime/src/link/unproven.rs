//! Links between their upgrade and their proof: few at a time, for anybody may open them.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::address::{AddressBlock, AddressCounts};

/// In all. Those who are refused for it knock again within a quarter of a second.
const UNPROVEN_MAX: usize = 64;
/// Of one address: as many nodes as one machine may have that dial another at once.
const UNPROVEN_PER_ADDRESS_MAX: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unproven(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of: AddressCounts,
}

/// The place of one of them, given back when it is dropped.
#[derive(Debug)]
pub(super) struct UnprovenPlace {
    counts: Arc<Mutex<Counts>>,
    block: AddressBlock,
}

impl Unproven {
    /// A place for one more; `None` while there are too many.
    pub(super) fn take(&self, from: IpAddr) -> Option<UnprovenPlace> {
        let block = AddressBlock::of(from);
        let mut counts = lock(&self.0);
        if counts.all >= UNPROVEN_MAX || counts.of.take(block, UNPROVEN_PER_ADDRESS_MAX).is_err() {
            return None;
        }
        counts.all += 1;
        drop(counts);
        Some(UnprovenPlace { counts: Arc::clone(&self.0), block })
    }
}

impl Drop for UnprovenPlace {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        counts.all -= 1;
        counts.of.give_back(self.block);
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_some_of_the_places_and_gives_them_back() {
        let unproven = Unproven::default();
        let take = |last: u8| unproven.take([10, 0, 0, last].into());
        let mut all: Vec<_> = (0..UNPROVEN_PER_ADDRESS_MAX).filter_map(|_| take(1)).collect();
        assert_eq!(all.len(), UNPROVEN_PER_ADDRESS_MAX);
        assert!(take(1).is_none() && take(2).is_some());
        all.extend((2..).flat_map(|last| [last; UNPROVEN_PER_ADDRESS_MAX]).map_while(take));
        assert_eq!(all.len(), UNPROVEN_MAX);
        all.pop();
        assert!(take(200).is_some());
    }
}
