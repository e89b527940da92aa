//! Which missing segments a storage node of the World asks for, and whom.
//!
//! To be replaced by the pure machine of `ndb/` that does the same.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{NdbId, SegmentId};

/// A placed segment is usually on its way from its entry: that gets this long.
const GRACE_US: u64 = 10_000;
/// Pause before a segment is asked for again, at another peer.
const PAUSE_US: u64 = 60_000;
/// A segment without a place is asked for so often.
const OFFERED_TRIES_MAX: u32 = 10;

#[derive(Debug)]
struct Want {
    at_us: u64,
    tries: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    wants: BTreeMap<SegmentId, Want>,
    peers: BTreeSet<NdbId>,
}

impl Fetch {
    pub(super) fn want(&mut self, segment: SegmentId, now_us: u64) {
        self.wants.entry(segment).or_insert(Want { at_us: now_us + GRACE_US, tries: 0 });
    }

    pub(super) fn got(&mut self, segment: SegmentId) {
        self.wants.remove(&segment);
    }

    pub(super) fn peer_up(&mut self, peer: NdbId) {
        self.peers.insert(peer);
    }

    pub(super) fn peer_down(&mut self, peer: NdbId) {
        self.peers.remove(&peer);
    }

    /// Whether it was asked for as often as one without a place is.
    pub(super) fn is_tired_of(&self, segment: SegmentId) -> bool {
        self.wants.get(&segment).is_some_and(|want| want.tries >= OFFERED_TRIES_MAX)
    }

    pub(super) fn due_us(&self) -> Option<u64> {
        let can_ask = !self.peers.is_empty();
        self.wants.values().map(|want| want.at_us).min().filter(|_| can_ask)
    }

    pub(super) fn take_due(&mut self, now_us: u64) -> BTreeMap<NdbId, Vec<SegmentId>> {
        let mut asks: BTreeMap<NdbId, Vec<SegmentId>> = BTreeMap::new();
        if self.peers.is_empty() {
            return asks;
        }
        for (segment, want) in &mut self.wants {
            if want.at_us <= now_us {
                let turn = want.tries as usize % self.peers.len();
                let peer = self.peers.iter().nth(turn).copied().expect("one of them");
                asks.entry(peer).or_default().push(*segment);
                want.tries = want.tries.saturating_add(1);
                want.at_us = now_us + PAUSE_US;
            }
        }
        asks
    }
}
