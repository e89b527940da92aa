//! What happened, for the sum at the end.

use std::collections::BTreeMap;
use std::fmt;

use super::io::Counted;
use super::judge::Judge;

/// What a few of 2,000 seeds have, or none: tests of the machines alone hold it.
const RARE: [Counted; 2] = [Counted::LeftBehind, Counted::Extended];

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Virtual time.
    pub simulated_ms: u64,
    /// Messages that were published.
    pub messages: u64,
    /// Segments that got their place.
    pub segments: u64,
    /// Events that subscribers got.
    pub events: u64,
    /// Processes that crashed.
    pub crashes: u64,
    /// Times that all did at once.
    pub power_cuts: u64,
    /// Times that some were cut off.
    pub cuts: u64,
    /// Segments that were damaged on a disk.
    pub damages: u64,
    counts: BTreeMap<Counted, u64>,
}

impl Stats {
    pub(super) fn finish(&mut self, now_us: u64, judge: &Judge) {
        self.simulated_ms = now_us / 1_000;
        self.messages = judge.messages_sent() as u64;
        self.segments = judge.segments() as u64;
        self.events = judge.plants.iter().map(|plant| plant.events).sum();
        self.counts.clone_from(&judge.counts);
    }

    /// Adds what happened in another World.
    pub fn add(&mut self, other: &Self) {
        self.simulated_ms += other.simulated_ms;
        self.messages += other.messages;
        self.segments += other.segments;
        self.events += other.events;
        self.crashes += other.crashes;
        self.power_cuts += other.power_cuts;
        self.cuts += other.cuts;
        self.damages += other.damages;
        for (counted, count) in &other.counts {
            *self.counts.entry(*counted).or_default() += count;
        }
    }

    /// What never happened, though it should have: it is not tested.
    #[must_use]
    pub fn never(&self) -> Vec<String> {
        let all = Counted::ALL.into_iter().filter(|counted| !RARE.contains(counted));
        let all = all.filter(|counted| !self.counts.contains_key(counted));
        all.map(|counted| format!("{counted:?}")).collect()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { simulated_ms, messages, segments, events, crashes, power_cuts, .. } = self;
        let Self { cuts, damages, counts, .. } = self;
        let minutes = simulated_ms / 60_000;
        write!(
            f,
            "{minutes} simulated minutes, {messages} messages in {segments} segments, {events} events, \
             {crashes} crashes, {power_cuts} power cuts, {cuts} cuts, {damages} damages, {counts:?}"
        )
    }
}
