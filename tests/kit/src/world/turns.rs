//! Turns of processes of the World: what they take, and what they let out.

use rand::RngExt;

use vixen_core::id::OwnerId;
use vixen_core::order::Note;

use super::hosts::Machine;
use super::io::{Arrived, Counted, Fact, Name, Out, Room};
use super::{Event, World};

/// A writer whose disk is full tries again after this, as in the driver.
const ROOM_LOOK_US: u64 = 200_000;

impl World {
    /// The disk is done with jobs, if there was room for them; else they wait.
    pub(super) fn on_written(&mut self, name: Name, life: u64, jobs: usize) {
        let Some(host) = self.hosts.get(&name).filter(|host| host.life == life) else { return };
        let Machine::Ndb(node) = &host.machine else { return };
        let has_room = node.disk.room != Room::Nothing;
        let by_journal = self.rng.random_bool(0.5);
        if !has_room {
            self.at(ROOM_LOOK_US, Event::Written { name, life, jobs });
        }
        // The blocks of the journal are there, however full the disk is.
        if has_room || by_journal {
            let jobs = if has_room { jobs } else { 0 };
            self.arrive(name, Arrived::Written { jobs, by_journal });
        }
    }

    /// Puts something into the inbox of a process that runs, and arranges a turn.
    pub(super) fn arrive(&mut self, name: Name, arrived: Arrived) {
        let delay_us = self.rng.random_range(0..300);
        let Some(host) = self.hosts.get_mut(&name).filter(|host| host.is_up) else { return };
        host.inbox.push(arrived);
        self.arrange_turn(name, self.now_us + delay_us);
    }

    /// The next turn is at this time at the latest, or as soon as the process is not busy.
    pub(super) fn arrange_turn(&mut self, name: Name, at_us: u64) {
        let Some(host) = self.hosts.get_mut(&name) else { return };
        let at_us = at_us.max(host.busy_until_us).max(self.now_us);
        if host.turn_at_us.is_none_or(|arranged| at_us < arranged) {
            host.turn_at_us = Some(at_us);
            let life = host.life;
            self.at_us(at_us, Event::Turn { name, life });
        }
    }

    pub(super) fn turn(&mut self, name: Name, life: u64) {
        let now = self.now_of(name);
        let Some(host) = self.hosts.get_mut(&name) else { return };
        if host.life != life || !host.is_up || host.turn_at_us != Some(self.now_us) {
            return;
        }
        host.turn_at_us = None;
        if host.busy_until_us > self.now_us {
            let until_us = host.busy_until_us;
            return self.arrange_turn(name, until_us);
        }
        let inbox = std::mem::take(&mut host.inbox);
        let crash = self.crash_of_turn(name, &inbox);
        if self.is_traced {
            for line in inbox.iter().map(|arrived| format!("{name:?} takes {arrived:?}")) {
                self.note(|| line);
            }
        }
        let mut out = Out::default();
        let Some(host) = self.hosts.get_mut(&name) else { return };
        let mut lasts_us = 0;
        match &mut host.machine {
            Machine::Sync(node) => {
                node.turn(now, inbox, crash, &mut out);
                lasts_us = self.rng.random_range(20..self.plan.commit_us_max);
            }
            Machine::Ndb(node) => node.turn(now, inbox, &mut out),
            Machine::Entry(node) => node.turn(now, inbox, &mut out),
        }
        host.busy_until_us = host.busy_until_us.max(self.now_us + lasts_us);
        self.settle(name, lasts_us, out);
        if crash.is_some() {
            self.crash(name);
            return;
        }
        self.arrange_due(name);
    }

    /// Arranges what a process wants to do by itself.
    pub(super) fn arrange_due(&mut self, name: Name) {
        let now = self.now_of(name);
        let Some(host) = self.hosts.get_mut(&name).filter(|host| host.is_up) else { return };
        let due_us = match &mut host.machine {
            Machine::Sync(node) => node.due_us(now),
            Machine::Ndb(node) => node.due_us(now),
            Machine::Entry(node) => node.due_us(now),
        };
        if let Some(due_us) = due_us {
            // A time that is told in milliseconds may have come and not be passed.
            self.arrange_turn(name, due_us.max(self.now_us + 100));
        }
        self.arrange_pumps(name);
    }

    /// What a turn lets out.
    pub(super) fn settle(&mut self, name: Name, lasts_us: u64, out: Out) {
        let Out { sends, facts, jobs, unlinks, ends } = out;
        self.take_facts(name, facts);
        for (to, message) in sends {
            self.send(name, to, lasts_us, message);
        }
        if jobs > 0 {
            let write_us = self.rng.random_range(50..self.plan.write_us_max);
            let Some(host) = self.hosts.get_mut(&name) else { return };
            host.disk_free_at_us = host.disk_free_at_us.max(self.now_us) + write_us;
            let (at_us, life) = (host.disk_free_at_us, host.life);
            self.at_us(at_us, Event::Written { name, life, jobs });
        }
        if unlinks {
            for (link, end) in self.links.of(name) {
                self.at(lasts_us, Event::LinkDown { link, end });
            }
        }
        if ends {
            self.crash(name);
        }
    }

    pub(super) fn take_facts(&mut self, name: Name, facts: Vec<Fact>) {
        let now_ms = self.true_ms();
        for fact in facts {
            if self.is_traced && !matches!(fact, Fact::Count(_) | Fact::Closed { .. }) {
                let line = format!("{name:?}: {fact:?}");
                self.note(|| line);
            }
            match &fact {
                Fact::Elected(elected) => self.clocks.check(now_ms, elected.stamp()),
                Fact::Answered { mark, .. } | Fact::NotAnswered { mark } => self.answered(*mark),
                _ => {}
            }
            let (is_place, segments) = (matches!(fact, Fact::Placed(_)), self.judge.segments());
            self.judge.take(name, fact);
            if is_place && self.judge.segments() > segments {
                self.check_reached();
            }
        }
    }

    /// Whatever was placed, any quorum that is asked from now on knows how far that is.
    pub(super) fn check_reached(&self) {
        let placed = self.judge.placed_to();
        let reached = self.hosts.values().filter_map(|host| match &host.machine {
            Machine::Sync(node) => node.reached(),
            Machine::Ndb(_) | Machine::Entry(_) => None,
        });
        let behind = reached.filter(|reached| *reached < placed).count();
        let quorum = self.membership.quorum();
        assert!(behind < quorum, "known: {behind} sync nodes do not know of {placed:?}");
    }

    pub(super) fn start(&mut self, name: Name) {
        let now = self.now_of(name);
        let owner = OwnerId(uuid::Uuid::from_u128(self.owners + 1)).made_anew(now.wall);
        let Some(host) = self.hosts.get_mut(&name).filter(|host| !host.is_up) else { return };
        host.is_up = true;
        match &mut host.machine {
            Machine::Sync(node) => node.start(now),
            Machine::Ndb(node) => node.start(now),
            Machine::Entry(node) => {
                self.owners += 1;
                node.start(now, owner);
            }
        }
        self.note(|| format!("{name:?} starts"));
        self.arrange_turn(name, self.now_us);
    }
}

/// What a reader of the order says of what it read.
pub(super) fn note_order(notes: &[Note], out: &mut Out) {
    for note in notes {
        match note {
            Note::Contradicts { .. } | Note::BaseContradicts { .. } => {
                out.facts.push(Fact::Contradiction(format!("{note:?}")));
            }
            Note::RowsTaken { .. } => out.count(Counted::ByRows),
            Note::FeedTrimmed { .. } => out.count(Counted::FeedTrimmed),
            Note::FeedResumed { .. } => {}
        }
    }
}
