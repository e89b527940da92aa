//! Places: the connections of a port, by address, and which of them nobody would miss.
//!
//! A connection counts from `accept` on, whatever it is or becomes. One without a request that is
//! being answered is idle: browsers and proxies keep such ones for later, and so does whoever wants
//! to take all places. Where one more is to come in and all places are taken, the idle one that has
//! been so for longest makes room; where there is none, nobody comes in.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::address::{AddressBlock, AddressCounts};

/// One connection of a port, never reused.
pub(super) type PlaceId = u64;

/// Which bound lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// That of all connections.
    Port,
    /// That of an address.
    Address,
}

impl Full {
    /// The key of the bound in `[limits]`.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Port => "connections-max",
            Self::Address => "connections-per-address-max",
        }
    }
}

#[derive(Debug)]
struct Taken {
    block: AddressBlock,
    /// Proxies have the connections of all their clients.
    is_counted: bool,
    /// `None`: a request is being answered, or it is no HTTP any more.
    idle_since: Option<Instant>,
}

/// See the module. Time is given.
#[derive(Debug)]
pub(super) struct Places {
    connections_max: usize,
    per_address_max: usize,
    next: PlaceId,
    all: BTreeMap<PlaceId, Taken>,
    counts: AddressCounts,
    idle: BTreeSet<(Instant, PlaceId)>,
    idle_of: BTreeSet<(AddressBlock, Instant, PlaceId)>,
}

impl Places {
    pub(super) fn new(connections_max: usize, per_address_max: usize) -> Self {
        Self {
            connections_max,
            per_address_max,
            next: 0,
            all: BTreeMap::new(),
            counts: AddressCounts::default(),
            idle: BTreeSet::new(),
            idle_of: BTreeSet::new(),
        }
    }

    /// Gives a place to a connection, which is idle until its first request has come, and says whose
    /// connection is to be closed for it.
    pub(super) fn take(
        &mut self,
        block: AddressBlock,
        is_counted: bool,
        now: Instant,
    ) -> Result<(PlaceId, Vec<PlaceId>), Full> {
        let mut closed = Vec::new();
        if is_counted && self.counts.take(block, self.per_address_max).is_err() {
            let longest = self.longest_idle_of(block).ok_or(Full::Address)?;
            self.leave(longest);
            closed.push(longest);
            // Its site may be full of others.
            self.counts.take(block, self.per_address_max).map_err(|_full| Full::Address)?;
        }
        if self.all.len() >= self.connections_max {
            let Some(longest) = self.make_room() else {
                if is_counted {
                    self.counts.give_back(block);
                }
                return Err(Full::Port);
            };
            closed.push(longest);
        }
        let place = self.next;
        self.next += 1;
        self.all.insert(place, Taken { block, is_counted, idle_since: None });
        self.rest(place, now);
        Ok((place, closed))
    }

    /// Takes the place of the connection that is idle for longest, if there is one.
    pub(super) fn make_room(&mut self) -> Option<PlaceId> {
        let (_, longest) = self.idle.first().copied()?;
        self.leave(longest);
        Some(longest)
    }

    /// A request of it has come.
    pub(super) fn work(&mut self, place: PlaceId) {
        if let Some(taken) = self.all.get_mut(&place)
            && let Some(since) = taken.idle_since.take()
        {
            self.idle.remove(&(since, place));
            self.idle_of.remove(&(taken.block, since, place));
        }
    }

    /// Its request is answered.
    pub(super) fn rest(&mut self, place: PlaceId, now: Instant) {
        self.work(place);
        if let Some(taken) = self.all.get_mut(&place) {
            taken.idle_since = Some(now);
            self.idle.insert((now, place));
            self.idle_of.insert((taken.block, now, place));
        }
    }

    /// It is gone, if it was there.
    pub(super) fn leave(&mut self, place: PlaceId) {
        self.work(place);
        if let Some(taken) = self.all.remove(&place)
            && taken.is_counted
        {
            self.counts.give_back(taken.block);
        }
        self.check();
    }

    fn longest_idle_of(&self, block: AddressBlock) -> Option<PlaceId> {
        let is_of_it = |entry: &&(AddressBlock, Instant, PlaceId)| entry.0 == block;
        // Blocks are in order, and those of one together.
        let first = self.idle.first().map(|(since, _)| *since)?;
        let range = (block, first, 0)..;
        self.idle_of.range(range).next().filter(is_of_it).map(|(.., place)| *place)
    }

    fn check(&self) {
        debug_assert_eq!(self.idle.len(), self.idle_of.len());
        debug_assert!(self.idle.len() <= self.all.len());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn block(last: u8) -> AddressBlock {
        AddressBlock::of([10, 0, 0, last].into())
    }

    struct Clock(Instant);

    impl Clock {
        fn tick(&mut self) -> Instant {
            self.0 += Duration::from_secs(1);
            self.0
        }
    }

    #[test]
    fn whoever_is_idle_for_longest_makes_room() {
        let (mut places, mut clock) = (Places::new(3, 9), Clock(Instant::now()));
        let mut take = |places: &mut Places, last| places.take(block(last), true, clock.tick());
        let (first, closed) = take(&mut places, 1).expect("room");
        assert!(closed.is_empty());
        let (second, _) = take(&mut places, 1).expect("room");
        let (third, _) = take(&mut places, 2).expect("room");
        places.work(first);
        let (fourth, closed) = take(&mut places, 3).expect("made");
        assert_eq!(closed, [second], "the first one is answered");
        places.work(third);
        places.work(fourth);
        assert_eq!(take(&mut places, 4), Err(Full::Port));
        places.rest(first, clock.tick());
        let (_, closed) = places.take(block(4), true, clock.tick()).expect("made");
        assert_eq!(closed, [first]);
        assert_eq!(places.make_room(), Some(4), "the new one is idle as well");
        assert_eq!(places.make_room(), None);
        places.leave(third);
        places.leave(fourth);
        assert!(places.all.is_empty() && places.counts.is_empty());
    }

    #[test]
    fn an_address_that_has_all_its_places_closes_its_own() {
        let (mut places, mut clock) = (Places::new(9, 2), Clock(Instant::now()));
        let (other, _) = places.take(block(2), true, clock.tick()).expect("room");
        let (first, _) = places.take(block(1), true, clock.tick()).expect("room");
        let (second, _) = places.take(block(1), true, clock.tick()).expect("room");
        let (third, closed) = places.take(block(1), true, clock.tick()).expect("made");
        assert_eq!(closed, [first], "and not the other, which is idle for longer");
        places.work(second);
        places.work(third);
        assert_eq!(places.take(block(1), true, clock.tick()), Err(Full::Address));
        for _ in 0..4 {
            assert!(
                places.take(block(1), false, clock.tick()).is_ok(),
                "a proxy has no such bound"
            );
        }
        places.leave(other);
    }
}
