//! A network that loses, repeats, reorders and delays.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use vixen_common::id::SyncId;
use vixen_common::wire::Message;

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

/// Messages between sync nodes, by time of arrival.
#[derive(Debug, Default)]
pub(crate) struct Network {
    waiting: BTreeMap<(u64, u64), Parcel>,
    sent: u64,
}

impl Network {
    pub(crate) fn send(&mut self, now_ms: u64, parcel: Parcel, faults: Faults, rng: &mut StdRng) {
        if rng.random_range(0..100) < faults.loss {
            return;
        }
        let copies = if rng.random_range(0..100) < faults.repeat { 2 } else { 1 };
        for _ in 0..copies {
            self.sent += 1;
            let at = now_ms + rng.random_range(0..=faults.delay_ms_max);
            self.waiting.insert((at, self.sent), parcel.clone());
        }
    }

    /// Takes everything that has arrived for `to`, in order of arrival.
    pub(crate) fn arrived(&mut self, now_ms: u64, to: SyncId) -> Vec<Parcel> {
        let due: Vec<_> = self
            .waiting
            .range(..=(now_ms, u64::MAX))
            .filter(|(_, parcel)| parcel.to == to)
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().filter_map(|key| self.waiting.remove(&key)).collect()
    }
}
