//! A network that loses, repeats, reorders, delays, and is cut in two now and then.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;

use vixen_core::id::SyncId;
use vixen_core::wire::Message;

/// What travels.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) from: SyncId,
    pub(crate) to: SyncId,
    pub(crate) message: Message,
}

/// How badly the network behaves, in percent of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) loss: u32,
    pub(crate) repeat: u32,
    pub(crate) delay_ms_max: u64,
}

impl Faults {
    pub(crate) const NONE: Self = Self { loss: 0, repeat: 0, delay_ms_max: 2 };
}

/// Messages between sync nodes, for each node by time of arrival.
#[derive(Debug, Default)]
pub(crate) struct Network {
    waiting: BTreeMap<SyncId, BTreeMap<(u64, u64), Parcel>>,
    sent: u64,
    /// Nodes on one side of a cut; empty when there is none.
    side: BTreeSet<SyncId>,
}

impl Network {
    pub(crate) fn send(&mut self, now_ms: u64, parcel: &Parcel, faults: Faults, rng: &mut StdRng) {
        if self.is_cut(parcel.from, parcel.to) || rng.random_range(0..100) < faults.loss {
            return;
        }
        let copies = if rng.random_range(0..100) < faults.repeat { 2 } else { 1 };
        for _ in 0..copies {
            self.sent += 1;
            let at = now_ms + rng.random_range(0..=faults.delay_ms_max);
            let waiting = self.waiting.entry(parcel.to).or_default();
            waiting.insert((at, self.sent), parcel.clone());
        }
    }

    /// Takes everything that has arrived for `to`, in order of arrival.
    pub(crate) fn arrived(&mut self, now_ms: u64, to: SyncId) -> Vec<Parcel> {
        let Some(waiting) = self.waiting.get_mut(&to) else { return Vec::new() };
        if waiting.first_key_value().is_none_or(|((at, _), _)| *at > now_ms) {
            return Vec::new();
        }
        let later = waiting.split_off(&(now_ms + 1, 0));
        std::mem::replace(waiting, later).into_values().collect()
    }

    /// Cuts these nodes off from the others. What is under way still arrives.
    pub(crate) fn cut(&mut self, side: BTreeSet<SyncId>) {
        self.side = side;
    }

    pub(crate) fn heal(&mut self) {
        self.side.clear();
    }

    pub(crate) fn has_cut(&self) -> bool {
        !self.side.is_empty()
    }

    pub(crate) fn is_cut(&self, a: SyncId, b: SyncId) -> bool {
        self.side.contains(&a) != self.side.contains(&b)
    }
}
