//! The World: all pure machines of all tiers in one loop, driven by one seed.
//!
//! ```text
//!   publishers --> entries --> storage nodes, two groups --> sync nodes
//!                  segmenter    replica, order, tails         vote, feeds
//!   subscribers <- delivery, replay, history <---------------- order
//! ```
//! The machines are those that ship. What their drivers do about them, the World does: it plays links, disks
//! and clocks (`sync`, `ndb`, `entry`, `client`, a module a driver). Time is virtual: an ordered set of events, each at its
//! microsecond. Everything is drawn from the seed, so that a seed is a whole history, and can be told again.
//!
//! Faults: links break, and stall while they are cut; processes crash, pause and start again, alone or all
//! at once; what was not on disk is lost; disks stall, are full, and damage what is on them; clocks jump and
//! run wild; retention drops the beginning of the order; clients are cut off. At the end faults stop, and
//! everything must come to an end. The judge (`judge.rs`) sees what clients see; its module says by which
//! sentences it judges.

mod client;
mod clocks;
mod ending;
mod entry;
mod faults;
mod hosts;
mod io;
mod judge;
mod links;
mod mutant;
mod ndb;
mod network;
mod people;
mod pumps;
mod stats;
mod sync;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_broker::api::SessionId;
use vixen_core::membership::Membership;
use vixen_core::time::WallTime;
use vixen_core::wire::Message;

use clocks::{AHEAD_MS_MAX, Clocks};
use entry::{EntryNode, EntryOptions};
use faults::Plan;
use hosts::{Host, Machine};
use io::{Arrived, Ask, Name, Now, Room};
use judge::Judge;
use links::{End, LinkNumber, Links};
pub use mutant::Mutant;
use ndb::{NdbNode, NdbOptions};
use people::People;
pub use stats::Stats;
use sync::SyncNode;
use turns::note_order;

const START_MS: u64 = 1_800_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const DAY: Duration = Duration::from_millis(DAY_MS);
/// So long there are faults.
const FAULTY_US: u64 = 3_000_000;

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
        let clocks = Clocks::new(seed, sync_nodes.into(), &mut rng);
        let bounds = [1_000, 10_000, 1 << 20];
        let options = EntryOptions {
            publish_timeout_ms: [300, 2_000, 60_000][rng.random_range(0..3)],
            messages_max: [1, 3, 64][rng.random_range(0..3)],
            // Where segments of groups alternate each turn of a tail brings no more than this, and may take seconds.
            waiting_bytes_max: if plan.strays { 1 << 20 } else { bounds[rng.random_range(0..3)] },
        };
        let keeps = match rng.random_range(0..2) {
            // Owners are forgotten after their elections.
            _ if clocks.leap_weeks() => Some(Duration::from_millis(50)),
            0 => None,
            _ => Some(Duration::from_millis(200)),
        };
        let ndb_options = NdbOptions {
            keeps: plan.drops.then_some(DAY),
            recent_bytes_max: [0, 500, 1 << 20][rng.random_range(0..3)],
        };
        let mut hosts = BTreeMap::new();
        for id in membership.sync() {
            let node = SyncNode::new(*id, membership.clone(), AHEAD_MS_MAX, keeps, mutant);
            hosts.insert(Name::Sync(*id), Host::new(Machine::Sync(Box::new(node))));
        }
        for id in membership.ndb() {
            let node = NdbNode::new(id, membership.clone(), ndb_options, mutant);
            hosts.insert(Name::Ndb(id), Host::new(Machine::Ndb(Box::new(node))));
        }
        for number in 0..rng.random_range(2..4) {
            let node = EntryNode::new(membership.clone(), options, mutant);
            hosts.insert(Name::Entry(number), Host::new(Machine::Entry(Box::new(node))));
        }
        let mut world = Self {
            mutant,
            begin: Instant::now(),
            now_us: 0,
            events: BTreeMap::new(),
            arranged: 0,
            hosts,
            links: Links::default(),
            dialled: BTreeSet::new(),
            people: People::default(),
            judge: Judge::new(membership.write_quorum()),
            membership,
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

    /// Wall time, where it is right.
    const fn true_ms(&self) -> u64 {
        START_MS + self.plan.days * DAY_MS + self.now_us / 1_000
    }

    fn now_of(&self, name: Name) -> Now {
        let skew = self.hosts.get(&name).map_or(0, |host| host.skew.at(self.now_us / 1_000));
        Now {
            wall: WallTime(self.true_ms().saturating_add_signed(skew)),
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
                    self.arrive(own, Arrived::Silent { name: peer, is_silent });
                }
            }
            Event::Dial { from, to } => self.on_dial(from, to),
            Event::Turn { name, life } => self.turn(name, life),
            Event::Written { name, life, jobs } => self.on_written(name, life, jobs),
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
            Event::HasRoom { name } => self.set_room(name, Room::Enough),
            Event::Expire if self.is_faulty => self.expire_owners(),
            Event::Expire => {}
            Event::Look => self.look(),
        }
    }

    fn life_of(&self, name: Name) -> u64 {
        self.hosts.get(&name).map_or(0, |host| host.life)
    }

    fn names_up(&self, of: impl Fn(&Name) -> bool) -> Vec<Name> {
        let up = self.hosts.iter().filter(|(name, host)| host.is_up && of(name));
        up.map(|(name, _)| *name).collect()
    }
}
