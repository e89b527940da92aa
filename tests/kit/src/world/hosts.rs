//! A machine of the World with one process on it.

use super::clocks::Skew;
use super::entry::EntryNode;
use super::io::Arrived;
use super::ndb::NdbNode;
use super::sync::SyncNode;

pub(super) enum Machine {
    Sync(Box<SyncNode>),
    Ndb(Box<NdbNode>),
    Entry(Box<EntryNode>),
}

pub(super) struct Host {
    pub(super) machine: Machine,
    pub(super) is_up: bool,
    /// Counts its processes: what was meant for one before is of no use.
    pub(super) life: u64,
    pub(super) inbox: Vec<Arrived>,
    /// When its next turn is, if one is arranged.
    pub(super) turn_at_us: Option<u64>,
    /// It does nothing before: paused, or at its disk.
    pub(super) busy_until_us: u64,
    pub(super) skew: Skew,
    /// When its disk is done with what it was given.
    pub(super) disk_free_at_us: u64,
}

impl Host {
    pub(super) const fn new(machine: Machine) -> Self {
        Self {
            machine,
            is_up: false,
            life: 0,
            inbox: Vec::new(),
            turn_at_us: None,
            busy_until_us: 0,
            skew: Skew::set(0, 0, 0),
            disk_free_at_us: 0,
        }
    }

    pub(super) fn crash(&mut self) {
        self.is_up = false;
        self.life += 1;
        self.inbox.clear();
        self.turn_at_us = None;
        self.busy_until_us = 0;
        self.disk_free_at_us = 0;
        match &mut self.machine {
            Machine::Sync(node) => node.crash(),
            Machine::Ndb(node) => node.crash(),
            Machine::Entry(node) => node.crash(),
        }
    }
}
