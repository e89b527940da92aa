//! The World: all pure machines of all tiers in one loop, driven by one seed.
//!
//! ```text
//!   publishers --> entries --> storage nodes, two groups --> sync nodes
//!                  segmenter    replica, order, tails         vote, feeds
//!   subscribers <- delivery, replay, history <---------------- order
//! ```
//! The machines are those that ship. What their drivers do about them is done here by the thinnest glue, a
//! file a tier (`sync`, `ndb`, `entry`, `client`). Time is virtual: an ordered set of events, each at its
//! microsecond. Everything is drawn from the seed, so that a seed is a whole history, and can be told again.
//!
//! Faults: links break, and stall while they are cut; processes crash, pause and start again, alone or all
//! at once; what was not on disk is lost; disks stall, are full, and damage what is on them; clocks jump and
//! run wild; retention drops the beginning of the order; clients are cut off. At the end faults stop, and
//! everything must come to an end. The judge (`judge.rs`) sees what clients see; its module says by which
//! sentences it judges.

mod client;
mod clocks;
mod entry;
mod faults;
mod fetch;
mod hosts;
mod io;
mod judge;
mod links;
mod mutant;
mod ndb;
mod ndb_disk;
mod people;
mod stats;
mod sync;
mod sync_disk;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_broker::api::SessionId;
use vixen_core::id::OwnerId;
use vixen_core::membership::Membership;
use vixen_core::order::Note;
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use client::Client;
use clocks::{AHEAD_MS_MAX, Clocks};
use entry::{EntryNode, EntryOptions};
use faults::Plan;
use hosts::{Host, Machine};
use io::{Arrived, Ask, Counted, Fact, Name, Now, Out};
use judge::Judge;
use links::{End, LinkNumber, Links, Route};
pub use mutant::Mutant;
use ndb::NdbNode;
use people::People;
pub use stats::Stats;
use sync::SyncNode;

const START_MS: u64 = 1_800_000_000_000;
/// So long there are faults.
const FAULTY_US: u64 = 3_000_000;
/// When faults have stopped, everything must have come to an end within this.
const CALM_US: u64 = 60_000_000;
/// Between two looks whether it has.
const LOOK_US: u64 = 100_000;

/// Something that happens at its time.
#[derive(Debug)]
enum Event {
    /// A message arrives at an end of a link.
    Message {
        link: LinkNumber,
        end: End,
        message: Message,
    },
    LinkUp {
        link: LinkNumber,
        end: End,
    },
    LinkDown {
        link: LinkNumber,
        end: End,
    },
    LinkSilent {
        link: LinkNumber,
        end: End,
        is_silent: bool,
    },
    /// One tries to link another.
    Dial {
        from: Name,
        to: Name,
    },
    Turn {
        name: Name,
        life: u64,
    },
    /// Jobs of a storage node are on disk.
    Written {
        name: Name,
        life: u64,
        jobs: usize,
    },
    Start {
        name: Name,
    },
    /// A word of a client arrives at its entry.
    Asked {
        entry: Name,
        life: u64,
        session: SessionId,
        ask: Ask,
    },
    /// A session of an entry goes on.
    Pump {
        entry: Name,
        life: u64,
        session: SessionId,
    },
    /// A client does something.
    Act {
        person: usize,
    },
    /// Something goes wrong.
    Fault,
    /// A cut is over.
    Heal {
        cut: u64,
    },
    /// The disk of a storage node has room again.
    HasRoom {
        name: Name,
    },
    /// Nodes look for owners that are idle.
    Expire,
    /// Has everything come to an end?
    Look,
}

/// See the module.
pub struct World {
    rng: StdRng,
    mutant: Option<Mutant>,
    begin: Instant,
    now_us: u64,
    events: BTreeMap<(u64, u64), Event>,
    arranged: u64,
    membership: Membership,
    hosts: BTreeMap<Name, Host>,
    links: Links,
    dialled: BTreeSet<(Name, Name)>,
    people: People,
    judge: Judge,
    clocks: Clocks,
    plan: Plan,
    is_faulty: bool,
    publishes: bool,
    ends_at_us: u64,
    is_over: bool,
    owners: u128,
    is_traced: bool,
    /// What happened, a line each, where it is kept.
    pub trace: Vec<String>,
    /// What happened, counted.
    pub stats: Stats,
}

impl World {
    /// Runs one seed to its end.
    ///
    /// # Panics
    /// With the sentence that does not hold.
    #[must_use]
    pub fn run(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut world = Self::new(seed, mutant, false);
        world.live();
        world
    }

    /// A world before its first microsecond.
    #[must_use]
    pub fn new(seed: u64, mutant: Option<Mutant>, is_traced: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let sync_nodes: u8 = if rng.random_range(0..3) == 0 { 5 } else { 3 };
        let sizes = [rng.random_range(2..4u8), rng.random_range(2..4u8)];
        let membership = Membership::sized(sync_nodes, sizes, 2);
        let plan = Plan::new(&mut rng);
        let options = EntryOptions {
            publish_timeout_ms: [300, 2_000, 60_000][rng.random_range(0..3)],
            messages_max: [1, 3, 64][rng.random_range(0..3)],
            waiting_bytes_max: [1, 200, 1 << 20][rng.random_range(0..3)],
        };
        let forgets = rng.random_bool(0.5);
        let mut hosts = BTreeMap::new();
        for id in membership.sync() {
            let node = SyncNode::new(*id, membership.clone(), AHEAD_MS_MAX, forgets, mutant);
            hosts.insert(Name::Sync(*id), Host::new(Machine::Sync(Box::new(node))));
        }
        for id in membership.ndb() {
            let node = NdbNode::new(id, membership.clone(), mutant);
            hosts.insert(Name::Ndb(id), Host::new(Machine::Ndb(Box::new(node))));
        }
        for number in 0..rng.random_range(2..4) {
            let node = EntryNode::new(membership.clone(), options, mutant);
            hosts.insert(Name::Entry(number), Host::new(Machine::Entry(Box::new(node))));
        }
        let clocks = Clocks::new(seed, sync_nodes.into(), &mut rng);
        let mut world = Self {
            mutant,
            begin: Instant::now(),
            now_us: 0,
            events: BTreeMap::new(),
            arranged: 0,
            membership,
            hosts,
            links: Links::default(),
            dialled: BTreeSet::new(),
            people: People::default(),
            judge: Judge::default(),
            clocks,
            plan,
            is_faulty: true,
            publishes: true,
            ends_at_us: 0,
            is_over: false,
            owners: 0,
            is_traced,
            trace: Vec::new(),
            stats: Stats::default(),
            rng,
        };
        let said = format!(
            "{sync_nodes} sync nodes, groups of {sizes:?}, {options:?}, {:?}, {:?}",
            world.clocks, world.plan
        );
        world.note(|| said);
        world
    }

    /// Lives to its end.
    ///
    /// # Panics
    /// With the sentence that does not hold.
    pub fn live(&mut self) {
        let names: Vec<Name> = self.hosts.keys().copied().collect();
        for (at, from) in names.iter().enumerate() {
            self.at(0, Event::Start { name: *from });
            for to in &names[..at] {
                // The later name dials: entries all others, storage nodes sync nodes, and so on.
                if !matches!((from, to), (Name::Entry(_), Name::Entry(_))) {
                    self.dial(*from, *to);
                }
            }
        }
        self.add_people();
        self.at(50_000, Event::Fault);
        while let Some(((at_us, _), event)) = self.events.pop_first() {
            if at_us >= FAULTY_US && self.is_faulty {
                self.calm();
            }
            self.now_us = at_us;
            self.happen(event);
            if self.is_over {
                break;
            }
        }
        self.stats.finish(self.now_us, &self.judge);
    }

    /// Arranges an event for some time from now.
    fn at(&mut self, after_us: u64, event: Event) {
        self.at_us(self.now_us + after_us, event);
    }

    fn at_us(&mut self, at_us: u64, event: Event) {
        self.arranged += 1;
        self.events.insert((at_us, self.arranged), event);
    }

    /// A line of the trace, where one is kept.
    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.is_traced {
            let line = line();
            self.trace.push(format!(
                "{:>8}.{:03} ms  {line}",
                self.now_us / 1_000,
                self.now_us % 1_000
            ));
        }
    }

    fn now_of(&self, name: Name) -> Now {
        let true_ms = START_MS + self.now_us / 1_000;
        let skew = self.hosts.get(&name).map_or(0, |host| host.skew.at(true_ms));
        Now {
            wall: WallTime(true_ms.saturating_add_signed(skew)),
            instant: self.begin + Duration::from_micros(self.now_us),
            us: self.now_us,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Message { link, end, message } => self.on_message(link, end, message),
            Event::LinkUp { link, end } => self.on_link_up(link, end),
            Event::LinkDown { link, end } => self.on_link_down(link, end),
            Event::LinkSilent { link, end, is_silent } => {
                let Some((own, peer)) = self.links.ends(link, end) else { return };
                // It is heard as long as nothing is in the way.
                let may = !is_silent || self.links.is_cut(own, peer);
                if may && self.links.silent(link, end, is_silent) {
                    self.arrive(own, Arrived::Silent { peer, is_silent });
                }
            }
            Event::Dial { from, to } => self.on_dial(from, to),
            Event::Turn { name, life } => self.turn(name, life),
            Event::Written { name, life, jobs } => {
                if self.life_of(name) == life {
                    self.arrive(name, Arrived::Written { jobs });
                }
            }
            Event::Start { name } => self.start(name),
            Event::Asked { entry, life, session, ask } => {
                if self.life_of(entry) == life && self.hosts[&entry].is_up {
                    let is_close = matches!(ask, Ask::Close);
                    self.arrive(entry, Arrived::Asked { session, ask });
                    if is_close {
                        self.people.sessions.remove(&session);
                    }
                }
            }
            Event::Pump { entry, life, session } => self.pump(entry, life, session),
            Event::Act { person } => self.act(person),
            Event::Fault => self.fault(),
            Event::Heal { cut } => self.heal(cut),
            Event::HasRoom { name } => {
                if self.hosts[&name].is_up {
                    self.arrive(name, Arrived::DiskFull { is_full: false });
                }
            }
            Event::Expire if self.is_faulty => self.expire_owners(),
            Event::Expire => {}
            Event::Look => self.look(),
        }
    }

    /// Puts something into the inbox of a process that runs, and arranges a turn.
    fn arrive(&mut self, name: Name, arrived: Arrived) {
        let delay_us = self.rng.random_range(0..300);
        let Some(host) = self.hosts.get_mut(&name).filter(|host| host.is_up) else { return };
        host.inbox.push(arrived);
        self.arrange_turn(name, self.now_us + delay_us);
    }

    /// The next turn is at this time at the latest, or as soon as the process is not busy.
    fn arrange_turn(&mut self, name: Name, at_us: u64) {
        let Some(host) = self.hosts.get_mut(&name) else { return };
        let at_us = at_us.max(host.busy_until_us).max(self.now_us);
        if host.turn_at_us.is_none_or(|arranged| at_us < arranged) {
            host.turn_at_us = Some(at_us);
            let life = host.life;
            self.at_us(at_us, Event::Turn { name, life });
        }
    }

    fn turn(&mut self, name: Name, life: u64) {
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
    fn arrange_due(&mut self, name: Name) {
        let now = self.now_of(name);
        let Some(host) = self.hosts.get(&name).filter(|host| host.is_up) else { return };
        let due_us = match &host.machine {
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
    fn settle(&mut self, name: Name, lasts_us: u64, out: Out) {
        let Out { sends, facts, jobs, ends } = out;
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
        if ends {
            self.crash(name);
        }
    }

    fn take_facts(&mut self, name: Name, facts: Vec<Fact>) {
        let now_ms = START_MS + self.now_us / 1_000;
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
    fn check_reached(&self) {
        let placed = self.judge.placed_to();
        let reached = self.hosts.values().filter_map(|host| match &host.machine {
            Machine::Sync(node) => node.reached(),
            Machine::Ndb(_) | Machine::Entry(_) => None,
        });
        let behind = reached.filter(|reached| *reached < placed).count();
        let quorum = self.membership.quorum();
        assert!(behind < quorum, "known: {behind} sync nodes do not know of {placed:?}");
    }

    fn send(&mut self, from: Name, to: Name, lasts_us: u64, message: Message) {
        let is_of_vote = matches!((from, to), (Name::Sync(_), Name::Sync(_)));
        let copies = if is_of_vote && self.is_faulty { self.plan.copies(&mut self.rng) } else { 1 };
        for _ in 0..copies {
            let delay_us = lasts_us + self.rng.random_range(20..self.plan.delay_us_max);
            let message = message.clone();
            match self.links.send(self.now_us, (from, to), message, delay_us) {
                Route::At(link, end, at_us, message) => {
                    // Out of order, where the vote has to bear that.
                    let mixes = is_of_vote && self.is_faulty && self.plan.mixes;
                    let at_us = if mixes { self.now_us + delay_us } else { at_us };
                    self.at_us(at_us, Event::Message { link, end, message });
                }
                Route::Nowhere => {}
            }
        }
    }

    fn on_message(&mut self, link: LinkNumber, end: End, message: Message) {
        if !self.links.is_current(link, end) {
            return;
        }
        let Some((own, peer)) = self.links.ends(link, end) else { return };
        self.arrive(own, Arrived::Message { from: peer, message });
    }

    fn on_link_up(&mut self, link: LinkNumber, end: End) {
        if !self.links.up(link, end) {
            return;
        }
        let Some((own, peer)) = self.links.ends(link, end) else { return };
        let owner = match self.hosts.get(&peer).map(|host| &host.machine) {
            Some(Machine::Entry(node)) => node.owner(),
            Some(Machine::Sync(_) | Machine::Ndb(_)) | None => None,
        };
        self.arrive(own, Arrived::Up { peer, owner });
    }

    fn on_link_down(&mut self, link: LinkNumber, end: End) {
        let Some((own, peer)) = self.links.ends(link, end) else { return };
        if self.links.down(link, end) {
            self.arrive(own, Arrived::Down { peer });
        }
        // The other end learns of it, if it does not know.
        let after_us = self.rng.random_range(0..20_000);
        self.at(after_us, Event::LinkDown { link, end: 1 - end });
        self.dial(own, peer);
    }

    /// The one of two that dials does so soon.
    fn dial(&mut self, a: Name, b: Name) {
        let (from, to) = (a.max(b), a.min(b));
        if self.dialled.insert((from, to)) {
            let after_us = self.rng.random_range(500..40_000);
            self.at(after_us, Event::Dial { from, to });
        }
    }

    fn on_dial(&mut self, from: Name, to: Name) {
        self.dialled.remove(&(from, to));
        if self.links.is_linked(from, to) {
            return;
        }
        let is_up = |name| self.hosts.get(&name).is_some_and(|host| host.is_up);
        if !is_up(from) || !is_up(to) || self.links.is_cut(from, to) {
            return self.dial(from, to);
        }
        let up_us = [0, 1].map(|_| self.now_us + self.rng.random_range(100..3_000));
        let link = self.links.make([from, to], up_us);
        for (end, at_us) in up_us.into_iter().enumerate() {
            self.at_us(at_us, Event::LinkUp { link, end });
        }
    }

    fn start(&mut self, name: Name) {
        let now = self.now_of(name);
        let owner = OwnerId(uuid::Uuid::from_u128(self.owners + 1)).made_anew(now.wall);
        let Some(host) = self.hosts.get_mut(&name).filter(|host| !host.is_up) else { return };
        host.is_up = true;
        match &mut host.machine {
            Machine::Sync(node) => node.start(),
            Machine::Ndb(node) => node.start(now),
            Machine::Entry(node) => {
                self.owners += 1;
                node.start(now, owner);
            }
        }
        self.note(|| format!("{name:?} starts"));
        if matches!(name, Name::Ndb(_)) {
            // As peers of its group tell it.
            self.arrive(name, Arrived::TooOld { upto: self.plan.too_old });
        }
        self.arrange_turn(name, self.now_us);
    }

    fn life_of(&self, name: Name) -> u64 {
        self.hosts.get(&name).map_or(0, |host| host.life)
    }

    fn names_up(&self, of: impl Fn(&Name) -> bool) -> Vec<Name> {
        let up = self.hosts.iter().filter(|(name, host)| host.is_up && of(name));
        up.map(|(name, _)| *name).collect()
    }

    fn open_session(&mut self, entry: Name, session: SessionId, client: Client) {
        if let Some(Host { machine: Machine::Entry(node), .. }) = self.hosts.get_mut(&entry) {
            node.open(session, client);
        }
    }

    /// Arranges that sessions take what has come for them.
    fn arrange_pumps(&mut self, entry: Name) {
        let Some(Host { machine: Machine::Entry(node), life, .. }) = self.hosts.get(&entry) else {
            return;
        };
        let life = *life;
        let due = node
            .sessions()
            .filter_map(|(session, client)| Some((*session, client.due_us(self.now_us)?)));
        for (session, due_us) in due.collect::<Vec<_>>() {
            let Some(one) = self.people.sessions.get_mut(&session) else { continue };
            if std::mem::replace(&mut one.is_pumped, true) {
                continue;
            }
            let is_slow = matches!(
                self.people.persons[one.person].kind,
                people::Kind::Subscriber { is_slow: true, .. }
            );
            let delay_us = if is_slow { 60_000 } else { 1_000 };
            let at_us = due_us.max(self.now_us) + self.rng.random_range(10..delay_us);
            self.at_us(at_us, Event::Pump { entry, life, session });
        }
    }

    fn pump(&mut self, entry: Name, life: u64, session: SessionId) {
        if self.life_of(entry) != life {
            return;
        }
        let Some(one) = self.people.sessions.get_mut(&session) else { return };
        one.is_pumped = false;
        let is_cut = one.is_cut;
        let Some(Host { machine: Machine::Entry(node), .. }) = self.hosts.get_mut(&entry) else {
            return;
        };
        let Some(client) = node.client(session) else { return };
        let mut out = Out::default();
        client.pump(self.now_us, &mut out);
        let (asks, is_over) = (!client.to_core.is_empty(), client.is_over);
        // Who is cut off hears nothing of it.
        if !is_cut {
            self.take_facts(entry, out.facts);
        }
        if asks {
            self.arrive(entry, Arrived::Asked { session, ask: Ask::Turn });
        }
        if is_over {
            self.cut_session(session);
        }
        self.arrange_pumps(entry);
    }

    /// Whether everything has come to an end.
    fn look(&mut self) {
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

    fn dump(&mut self) {
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
    fn unfinished(&self) -> Option<String> {
        let plants = 0..self.judge.plants.len();
        self.judge
            .missing()
            .or_else(|| self.judge.unanswered(|session| self.is_alive(session)))
            .or_else(|| plants.clone().find_map(|plant| self.judge.lacks(plant)))
            .or_else(|| self.hosts.iter().find_map(|(name, host)| self.host_lacks(*name, host)))
    }

    fn host_lacks(&self, name: Name, host: &Host) -> Option<String> {
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
                let waits = |id: &vixen_core::id::SegmentId| {
                    let follows = id.previous().is_none_or(|it| self.judge.is_elected(it));
                    follows && !self.judge.is_elected(*id)
                };
                let unresolved = node.unresolved().into_iter().find(waits);
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
    fn calm(&mut self) {
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

/// What a reader of the order says of what it read.
fn note_order(notes: &[Note], out: &mut Out) {
    for note in notes {
        match note {
            Note::Contradicts { .. } | Note::BaseContradicts { .. } => {
                out.facts.push(Fact::Contradiction(format!("{note:?}")));
            }
            Note::RowsTaken { .. } => out.count(Counted::ByRows),
            Note::FeedTrimmed { .. } | Note::FeedResumed { .. } => {}
        }
    }
}
