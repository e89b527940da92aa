//! The end of a World: faults stop, and everything must come to an end.

use rand::RngExt;

use vixen_core::id::SegmentId;

use super::hosts::{Host, Machine};
use super::io::Name;
use super::{Event, World};

/// When faults have stopped, everything must have come to an end within this.
const CALM_US: u64 = 60_000_000;
/// Between two looks whether it has.
const LOOK_US: u64 = 100_000;

impl World {
    /// Whether everything has come to an end.
    pub(super) fn look(&mut self) {
        self.publishes = false;
        match self.unfinished() {
            None => self.is_over = true,
            Some(what) => {
                if self.now_us >= self.ends_at_us && self.is_traced {
                    self.dump();
                }
                assert!(
                    self.now_us < self.ends_at_us,
                    "everything comes to an end: {} s after the last fault, {what}",
                    CALM_US / 1_000_000
                );
                self.at(LOOK_US, Event::Look);
            }
        }
    }

    pub(super) fn dump(&mut self) {
        let mut lines = Vec::new();
        for (name, host) in &self.hosts {
            match &host.machine {
                Machine::Sync(_) => {}
                Machine::Ndb(node) => lines.push(format!("{name:?}: {}", node.describe())),
                Machine::Entry(node) => lines.push(format!("{name:?}: {}", node.describe())),
            }
        }
        lines.into_iter().for_each(|line| self.note(|| line));
    }

    /// What has not come to an end.
    pub(super) fn unfinished(&self) -> Option<String> {
        let plants = 0..self.judge.plants.len();
        self.judge
            .missing()
            .or_else(|| self.judge.unanswered(|session| self.is_alive(session)))
            .or_else(|| plants.clone().find_map(|plant| self.judge.lacks(plant)))
            .or_else(|| self.hosts.iter().find_map(|(name, host)| self.host_lacks(*name, host)))
    }

    pub(super) fn host_lacks(&self, name: Name, host: &Host) -> Option<String> {
        let end = self.judge.end();
        match &host.machine {
            Machine::Sync(node) => {
                (!node.holds_nothing_up()).then(|| format!("{name:?} holds its watermark"))
            }
            Machine::Ndb(node) => {
                let Some((head, missing)) = node.head() else {
                    return Some(format!("{name:?} is down"));
                };
                if head.next != end || !missing.is_empty() || node.writing() > 0 {
                    let next = head.next;
                    return Some(format!("{name:?} is at {next} of {end}, and lacks {missing:?}"));
                }
                // What is on a disk and can be elected, is. A node that was left behind may keep what has
                // its place in the part that it has not got.
                let waits = |id: &SegmentId| {
                    let follows = id.previous().is_none_or(|it| self.judge.is_elected(it));
                    follows && !self.judge.is_elected(*id)
                };
                let unresolved = node.unresolved().find(waits);
                unresolved.map(|id| format!("{name:?} has {id:?} on disk, without a place"))
            }
            Machine::Entry(node) => {
                let Some((unresolved, next)) = node.standing() else {
                    return Some(format!("{name:?} is down"));
                };
                let is_done = unresolved == 0 && next == Some(end);
                (!is_done).then(|| {
                    format!("{name:?} is at {next:?} of {end}, {unresolved} segments unresolved")
                })
            }
        }
    }

    /// Faults stop.
    pub(super) fn calm(&mut self) {
        self.note(|| "faults stop".to_owned());
        self.is_faulty = false;
        // The last segments may have no successor that would raise a clock.
        self.publishes = self.rng.random_bool(0.5);
        self.plan.calm();
        self.stop_faults();
        let entries = self.hosts.keys().filter(|name| matches!(name, Name::Entry(_))).count();
        (0..entries).for_each(|_| self.add_auditor());
        self.ends_at_us = self.now_us + CALM_US;
        self.at(10 * LOOK_US, Event::Look);
    }
}
