//! Links between their upgrade and their proof: few at a time, for anybody may open them.
//!
//! A node proves itself within a round trip, and whoever only wants to hold a place never does. So
//! where there is none left, the link that has had its own for longest makes room: nobody keeps the
//! nodes of a cluster from each other by holding all places.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::address::{AddressBlock, AddressCounts};

/// In all.
const UNPROVEN_MAX: usize = 64;
/// Of one address: as many nodes as one machine may have that dial another at once.
const UNPROVEN_PER_ADDRESS_MAX: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unproven(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// The oldest first.
    taken: BTreeMap<u64, Taken>,
    of: AddressCounts,
}

#[derive(Debug)]
struct Taken {
    block: AddressBlock,
    left: Arc<Notify>,
}

/// The place of one of them, given back when it is dropped.
#[derive(Debug)]
pub(super) struct UnprovenPlace {
    places: Arc<Mutex<Places>>,
    number: u64,
    left: Arc<Notify>,
}

impl Unproven {
    /// A place for one more, which may be that of another.
    pub(super) fn take(&self, from: IpAddr) -> UnprovenPlace {
        let block = AddressBlock::of(from);
        let mut places = lock(&self.0);
        while places.of.take(block, UNPROVEN_PER_ADDRESS_MAX).is_err() {
            places.end_oldest(
                |taken| taken.block == block,
                |taken| taken.block.wide() == block.wide(),
            );
        }
        if places.taken.len() >= UNPROVEN_MAX {
            places.end_oldest(|_any| true, |_any| true);
        }
        let (number, left) = (places.next, Arc::new(Notify::new()));
        places.next += 1;
        places.taken.insert(number, Taken { block, left: Arc::clone(&left) });
        drop(places);
        UnprovenPlace { places: Arc::clone(&self.0), number, left }
    }
}

impl Places {
    /// Ends the oldest of these, or of those where there is none.
    fn end_oldest(&mut self, these: impl Fn(&Taken) -> bool, those: impl Fn(&Taken) -> bool) {
        let oldest = |is_it: &dyn Fn(&Taken) -> bool| {
            self.taken.iter().find(|(_, taken)| is_it(taken)).map(|(number, _)| *number)
        };
        if let Some(number) = oldest(&these).or_else(|| oldest(&those)) {
            self.end(number);
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(Taken { block, left }) = self.taken.remove(&number) {
            self.of.give_back(block);
            left.notify_one();
        }
    }
}

impl UnprovenPlace {
    /// Resolves when another has it. Cancel safe.
    pub(super) async fn lost(&self) {
        self.left.notified().await;
    }
}

impl Drop for UnprovenPlace {
    fn drop(&mut self) {
        lock(&self.places).end(self.number);
    }
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_lost(place: &UnprovenPlace) -> bool {
        place.lost().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_of_an_address_makes_room_for_its_next_one() {
        let unproven = Unproven::default();
        let take = |last: u8| unproven.take([10, 0, 0, last].into());
        let other = take(2);
        let all: Vec<_> = (0..=UNPROVEN_PER_ADDRESS_MAX).map(|_| take(1)).collect();
        let lost: Vec<_> = all.iter().map(is_lost).collect();
        assert!(lost[0] && lost[1..].iter().all(|lost| !lost), "{lost:?}");
        assert!(!is_lost(&other));
        assert_eq!(lock(&unproven.0).taken.len(), 1 + UNPROVEN_PER_ADDRESS_MAX);
    }

    #[test]
    fn nobody_holds_all_the_places() {
        let unproven = Unproven::default();
        let take = |last: u8| unproven.take([10, 0, 0, last].into());
        let addresses = (1..).flat_map(|last| [last; UNPROVEN_PER_ADDRESS_MAX]);
        let all: Vec<_> = addresses.take(UNPROVEN_MAX).map(take).collect();
        assert!(!all.iter().any(is_lost));
        let node = take(200);
        assert!(is_lost(&all[0]) && !is_lost(&all[1]) && !is_lost(&node));
        // Who has lost its place gives back none.
        drop(all);
        assert_eq!(lock(&unproven.0).taken.len(), 1);
        drop(node);
        assert!(lock(&unproven.0).taken.is_empty() && lock(&unproven.0).of.is_empty());
    }

    #[test]
    fn the_networks_of_a_site_make_room_for_each_other() {
        let unproven = Unproven::default();
        let take = |net: u16| unproven.take([0x2001, 0xdb8, 1, net, 0, 0, 0, 1].into());
        let all: Vec<_> = (0..200).map(take).collect();
        let there = all.iter().filter(|place| !is_lost(place)).count();
        assert_eq!(there, UNPROVEN_MAX);
    }
}
