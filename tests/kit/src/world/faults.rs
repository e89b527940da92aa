//! What goes wrong in the World, and how it ends.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::StdRng;

use vixen_broker::api::SessionId;
use vixen_core::id::{NdbId, Stamp};
use vixen_core::order::Placed;
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::{DraftMessage, Message};

use super::clocks::Skew;
use super::hosts::{Host, Machine};
use super::io::{Arrived, Name, Room};
use super::sync::Crash;
use super::{Event, World};

/// Who hears nothing for so long takes note of it: some say at once, some late.
const SILENT_US: std::ops::Range<u64> = 150_000..500_000;
/// A cut that lasts for longer than this ends its links.
const CLOSE_US: std::ops::Range<u64> = 100_000..2_000_000;
/// Fewer than owners that are idle are remembered for.
const DAYS_MAX: u64 = 6;

/// What a seed has of which fault.
#[derive(Debug)]
pub(super) struct Plan {
    /// Of the messages between sync nodes, in percent.
    loss: u32,
    repeat: u32,
    /// These overtake each other as well.
    pub(super) mixes: bool,
    pub(super) delay_us_max: u64,
    pub(super) commit_us_max: u64,
    pub(super) write_us_max: u64,
    /// About how long there is between two faults.
    pause_us: u64,
    /// Nodes say another content of a segment than their peers.
    pub(super) lies: bool,
    /// Segments reach nodes of two groups.
    pub(super) strays: bool,
    /// Days go by, and retention drops the older ones.
    pub(super) drops: bool,
    /// So many have gone by.
    pub(super) days: u64,
    cuts: u64,
}

impl Plan {
    pub(super) fn new(rng: &mut StdRng) -> Self {
        let is_lossy = rng.random_bool(0.5);
        Self {
            loss: if is_lossy { rng.random_range(0..40) } else { 0 },
            repeat: if is_lossy { rng.random_range(0..20) } else { 0 },
            mixes: is_lossy,
            delay_us_max: [300, 3_000, 30_000][rng.random_range(0..3)],
            commit_us_max: [100, 3_000][rng.random_range(0..2)],
            write_us_max: [200, 5_000, 60_000][rng.random_range(0..3)],
            pause_us: [20_000, 60_000, 200_000][rng.random_range(0..3)],
            lies: rng.random_bool(0.5),
            strays: rng.random_bool(0.3),
            drops: rng.random_range(0..3) == 0,
            days: 0,
            cuts: 0,
        }
    }

    pub(super) const fn calm(&mut self) {
        (self.loss, self.repeat, self.mixes, self.drops) = (0, 0, false, false);
        (self.delay_us_max, self.commit_us_max, self.write_us_max) = (2_000, 1_000, 2_000);
    }

    /// How often a message arrives.
    pub(super) fn copies(&self, rng: &mut StdRng) -> usize {
        let dice = rng.random_range(0..100);
        match dice {
            _ if dice < self.loss => 0,
            _ if dice < self.loss + self.repeat => 2,
            _ => 1,
        }
    }
}

impl World {
    /// Something goes wrong, and the next thing later.
    pub(super) fn fault(&mut self) {
        if !self.is_faulty {
            return;
        }
        match self.rng.random_range(0..100) {
            _ if self.clocks.leap_weeks() && self.rng.random_bool(0.4) => self.leap(),
            _ if self.plan.drops && self.rng.random_bool(0.2) => self.next_day(),
            0..12 => self.crash_one(|name| matches!(name, Name::Sync(_))),
            12..24 => self.crash_one(|name| matches!(name, Name::Ndb(_))),
            24..28 => self.crash_one(|name| matches!(name, Name::Entry(_))),
            28..30 => self.power_cut(),
            30..42 => self.break_link(),
            42..52 => self.cut(),
            52..60 => self.pause(),
            60..68 => self.set_clock(),
            68..70 => self.set_all_clocks(),
            70..76 => self.damage(),
            76..80 => self.fill_disk(),
            80..84 => self.stall_disk(),
            84..88 => self.take_away(),
            _ => self.cut_client(),
        }
        let after_us = self.rng.random_range(1..2 * self.plan.pause_us);
        self.at(after_us, Event::Fault);
    }

    fn one_of(&mut self, of: impl Fn(&Name) -> bool) -> Option<Name> {
        let names = self.names_up(of);
        let at = self.rng.random_range(0..names.len().max(1));
        names.get(at).copied()
    }

    fn crash_one(&mut self, of: impl Fn(&Name) -> bool) {
        if let Some(name) = self.one_of(of) {
            self.crash(name);
        }
    }

    /// A process ends. What is not on disk is lost, and its peers learn of it in their own time.
    pub(super) fn crash(&mut self, name: Name) {
        let away_us = if self.is_faulty { 500_000 } else { 20_000 };
        self.crash_for(name, 1_000..away_us);
    }

    /// A storage node is away for long. Not where clocks leap by weeks: what it alone has may come back when
    /// some nodes have forgotten its owner, and others drafted it in another week.
    fn take_away(&mut self) {
        if self.clocks.leap_weeks() {
            return;
        }
        if let Some(name) = self.one_of(|name| matches!(name, Name::Ndb(_))) {
            self.crash_for(name, 500_000..3_000_000);
        }
    }

    fn crash_for(&mut self, name: Name, away_us: std::ops::Range<u64>) {
        let Some(host) = self.hosts.get_mut(&name) else { return };
        if !host.is_up {
            return;
        }
        host.crash();
        self.stats.crashes += 1;
        self.note(|| format!("{name:?} is gone"));
        let slow_us = if self.rng.random_bool(0.2) { 1_500_000 } else { 50_000 };
        for (link, end) in self.links.process_gone(name) {
            if let Some((own, peer)) = self.links.ends(link, end) {
                self.dial(own, peer);
            }
            let after_us = self.rng.random_range(100..slow_us);
            self.at(after_us, Event::LinkDown { link, end });
        }
        let others: Vec<Name> = self.hosts.keys().copied().filter(|other| *other != name).collect();
        for other in others {
            if !matches!((name, other), (Name::Entry(_), Name::Entry(_))) {
                self.dial(name, other);
            }
        }
        if matches!(name, Name::Entry(_)) {
            self.entry_gone(name);
        }
        let after_us = self.rng.random_range(away_us);
        self.at(after_us, Event::Start { name });
    }

    fn power_cut(&mut self) {
        self.note(|| "the power is gone".to_owned());
        self.stats.power_cuts += 1;
        for name in self.names_up(|_| true) {
            self.crash(name);
        }
    }

    fn break_link(&mut self) {
        let links = self.links.whole();
        if links.is_empty() {
            return;
        }
        let link = links[self.rng.random_range(0..links.len())];
        let after_us = self.rng.random_range(0..30_000);
        let end = self.rng.random_range(0..2);
        self.at(0, Event::LinkDown { link, end });
        self.at(after_us, Event::LinkDown { link, end: 1 - end });
    }

    /// Some are cut off from the others.
    fn cut(&mut self) {
        if self.links.has_cut() {
            return;
        }
        let names: Vec<Name> = self.hosts.keys().copied().collect();
        let count = match self.rng.random_range(0..2) {
            0 => 1,
            _ => self.rng.random_range(1..names.len()),
        };
        let side: BTreeSet<Name> =
            (0..count).map(|_| names[self.rng.random_range(0..names.len())]).collect();
        let lasts_us = [20_000, 400_000, 1_500_000][self.rng.random_range(0..3)];
        let lasts_us = self.rng.random_range(1_000..lasts_us);
        self.cut_off(side, lasts_us);
    }

    fn cut_off(&mut self, side: BTreeSet<Name>, lasts_us: u64) {
        self.stats.cuts += 1;
        self.note(|| format!("{side:?} are cut off"));
        self.plan.cuts += 1;
        let cut = self.plan.cuts;
        self.links.cut(cut, side);
        for (link, end) in self.links.through_cuts() {
            let after_us = self.rng.random_range(SILENT_US);
            self.at(after_us, Event::LinkSilent { link, end, is_silent: true });
        }
        if self.rng.random_bool(0.5) {
            for (link, end) in self.links.through_cuts() {
                let after_us = self.rng.random_range(CLOSE_US);
                if after_us < lasts_us {
                    self.at(after_us, Event::LinkDown { link, end });
                }
            }
        }
        self.at(lasts_us, Event::Heal { cut });
    }

    /// What was kept back arrives, and whoever was silent is heard.
    pub(super) fn heal(&mut self, cut: u64) {
        self.note(|| format!("cut {cut} is over"));
        for (link, end, kept) in self.links.heal(cut) {
            for message in kept {
                let delay_us = self.rng.random_range(20..self.plan.delay_us_max);
                let route = self.links.route(self.now_us, link, end, message, delay_us);
                if let super::links::Route::At(link, end, at_us, message) = route {
                    self.at_us(at_us, Event::Message { link, end, message });
                }
            }
            let after_us = self.rng.random_range(100..50_000);
            self.at(after_us, Event::LinkSilent { link, end, is_silent: false });
        }
    }

    fn pause(&mut self) {
        let Some(name) = self.one_of(|_| true) else { return };
        let pause_us = self.rng.random_range(1_000..400_000);
        let until_us = self.now_us + pause_us;
        self.note(|| format!("{name:?} pauses for {} ms", pause_us / 1_000));
        if let Some(host) = self.hosts.get_mut(&name) {
            host.busy_until_us = host.busy_until_us.max(until_us);
        }
    }

    fn set_clock(&mut self) {
        let Some(name) = self.one_of(|name| matches!(name, Name::Sync(_))) else { return };
        self.set_clock_of(name);
    }

    fn set_clock_of(&mut self, name: Name) {
        let Name::Sync(id) = name else { return };
        let (off_ms, drift) = self.clocks.set_one(id.0.into(), &mut self.rng);
        self.note(|| format!("the clock of {name:?} is off by {off_ms} ms, {drift} ms a ms"));
        let since_ms = self.now_us / 1_000;
        if let Some(host) = self.hosts.get_mut(&name) {
            host.skew = Skew::set(off_ms, drift, since_ms);
        }
        self.arrange_due(name);
    }

    fn set_all_clocks(&mut self) {
        if self.clocks.set_all() {
            let names: Vec<Name> = self.hosts.keys().copied().collect();
            names.into_iter().for_each(|name| self.set_clock_of(name));
        }
    }

    /// Bytes on a disk are others from now on, of a segment that another node of the group has whole.
    fn damage(&mut self) {
        let Some(name) = self.one_of(|name| matches!(name, Name::Ndb(_))) else { return };
        let Name::Ndb(id) = name else { return };
        let Some(Host { machine: Machine::Ndb(node), .. }) = self.hosts.get(&name) else { return };
        let has_too = |meta: &vixen_core::segment::SegmentMeta| {
            let others = self.hosts.iter().filter(|(other, _)| {
                matches!(other, Name::Ndb(other) if other.group == id.group && *other != id)
            });
            let mut disks = others.filter_map(|(_, host)| match &host.machine {
                Machine::Ndb(node) => Some(&node.disk),
                Machine::Sync(_) | Machine::Entry(_) => None,
            });
            disks.any(|disk| disk.holds(meta))
        };
        let may: Vec<_> = node.disk.whole().filter(has_too).map(|meta| meta.id).collect();
        if may.is_empty() {
            return;
        }
        let segment = may[self.rng.random_range(0..may.len())];
        self.note(|| format!("{segment:?} is damaged at {name:?}"));
        self.stats.damages += 1;
        if let Some(Host { machine: Machine::Ndb(node), .. }) = self.hosts.get_mut(&name) {
            node.disk.damage(segment);
        }
    }

    /// A disk has less than its reserve, or no room at all.
    fn fill_disk(&mut self) {
        let Some(name) = self.one_of(|name| !matches!(name, Name::Entry(_))) else { return };
        let room = [Room::Low, Room::Little, Room::Nothing][self.rng.random_range(0..3)];
        self.note(|| format!("the disk of {name:?}: room {room:?}"));
        self.set_room(name, room);
        let after_us = self.rng.random_range(10_000..1_000_000);
        self.at(after_us, Event::HasRoom { name });
    }

    pub(super) fn set_room(&mut self, name: Name, room: Room) {
        match self.hosts.get_mut(&name).map(|host| &mut host.machine) {
            Some(Machine::Ndb(node)) => node.disk.room = room,
            Some(Machine::Sync(node)) => node.disk.room = room,
            Some(Machine::Entry(_)) | None => {}
        }
    }

    fn stall_disk(&mut self) {
        let Some(name) = self.one_of(|name| matches!(name, Name::Ndb(_))) else { return };
        let stall_us = [50_000, 500_000, 3_000_000][self.rng.random_range(0..3)];
        let stall_us = self.rng.random_range(10_000..stall_us);
        self.note(|| format!("the disk of {name:?} stalls for {} ms", stall_us / 1_000));
        let until_us = self.now_us + stall_us;
        if let Some(host) = self.hosts.get_mut(&name) {
            host.disk_free_at_us = host.disk_free_at_us.max(until_us);
        }
    }

    /// It is the next day, where the last one has had its messages: storage nodes keep that one and this.
    /// Who is further behind than that when they have dropped the others has to go on without.
    fn next_day(&mut self) {
        let day_of = |placed: &Placed| UtcDay::of(placed.elected.stamp().wall_time());
        let order = self.judge.order();
        let (Some(last), today) = (order.last(), UtcDay::of(WallTime(self.true_ms()))) else {
            return;
        };
        let may = self.plan.drops && self.plan.days < DAYS_MAX && !self.clocks.leap_weeks();
        if !may || day_of(last) != today {
            return;
        }
        let begins = order.partition_point(|placed| day_of(placed) < today);
        let dropped = order[..begins].last().map_or(Stamp::ZERO, |last| last.elected.stamp());
        if self.has_most(dropped) {
            self.plan.days += 1;
            self.note(|| "a day goes by".to_owned());
            // Who starts looks at its days at once, and tells the others.
            for name in self.names_up(|name| matches!(name, Name::Ndb(_))) {
                if self.rng.random_bool(0.3) {
                    self.crash_for(name, 1_000..20_000);
                }
            }
            for name in self.names_up(|_| true) {
                self.arrange_due(name);
            }
        }
    }

    /// Whether a majority of each group has the order up to a stamp on disk, and all nodes but one: nodes that
    /// are away for longer than the others keep messages wait for one another.
    fn has_most(&self, upto: Stamp) -> bool {
        let is_behind =
            |id: &&NdbId| match self.hosts.get(&Name::Ndb(**id)).map(|host| &host.machine) {
                Some(Machine::Ndb(node)) => node.disk.head.stamp < upto,
                Some(Machine::Sync(_) | Machine::Entry(_)) | None => true,
            };
        let behind = |nodes: &[NdbId]| nodes.iter().filter(is_behind).count();
        let mut groups = self.membership.groups().map(|(group, nodes)| {
            let behind = behind(nodes);
            (behind, behind + self.membership.group_majority(group) <= nodes.len())
        });
        groups
            .try_fold(0, |all, (behind, has_most)| has_most.then_some(all + behind))
            .is_some_and(|all| all <= 1)
    }

    /// All sync nodes are asked again for a draft of what was elected long ago, as by a storage node that
    /// was away.
    fn ask_late(&mut self) {
        let order = self.judge.order();
        if order.is_empty() {
            return;
        }
        let elected = order[self.rng.random_range(0..order.len())].elected;
        self.note(|| format!("late drafts of {:?} are asked for", elected.meta.id));
        let nodes = self.membership.group(elected.challenger.group).to_vec();
        for name in self.names_up(|name| matches!(name, Name::Sync(_))) {
            for from in &nodes {
                let message = Message::Draft(DraftMessage::GenerateDraft { meta: elected.meta });
                self.arrive(name, Arrived::Message { from: Name::Ndb(*from), message });
            }
        }
    }

    /// An entry is cut off while weeks go by, and comes back with segments of an owner that is forgotten.
    fn strand(&mut self) {
        let entry = self.one_of(|name| matches!(name, Name::Entry(_)));
        let Some(entry) = entry.filter(|_| !self.links.has_cut()) else { return };
        self.cut_off(BTreeSet::from([entry]), 1_000_000);
        self.set_all_clocks();
        for after_us in (2..10).map(|each| each * 100_000) {
            self.at(after_us, Event::Expire);
        }
    }

    /// Weeks go by, or nodes look for owners that are idle since.
    fn leap(&mut self) {
        if self.clocks.forget_all() && self.rng.random_bool(0.1) {
            return self.strand();
        }
        if self.rng.random_bool(0.4) {
            self.ask_late();
        } else if self.rng.random_bool(0.3) {
            self.set_all_clocks();
            for _ in 0..self.rng.random_range(0..12) {
                let after_us = self.rng.random_range(1_000..200_000);
                self.at(after_us, Event::Expire);
            }
        } else {
            self.expire_owners();
        }
    }

    pub(super) fn expire_owners(&mut self) {
        for name in self.names_up(|name| matches!(name, Name::Sync(_))) {
            let Name::Sync(id) = name else { continue };
            let keeps = self.clocks.keeps_entries(id.0.into());
            if self.rng.random_bool(0.5) {
                self.arrive(name, Arrived::ExpireOwners { keeps });
            }
        }
    }

    fn cut_client(&mut self) {
        let sessions: Vec<SessionId> = self.people.sessions.keys().copied().collect();
        if !sessions.is_empty() {
            let session = sessions[self.rng.random_range(0..sessions.len())];
            self.note(|| format!("{session:?} is cut off"));
            self.cut_session(session);
        }
    }

    /// Where a turn is cut off, if it is.
    pub(super) fn crash_of_turn(&mut self, name: Name, inbox: &[Arrived]) -> Option<Crash> {
        let may = self.is_faulty && matches!(name, Name::Sync(_)) && !inbox.is_empty();
        if !may {
            return None;
        }
        // A proposal leaves before anything of it is durable: a moment worth dying in.
        if self.rng.random_range(0..150) == 0 {
            return Some(Crash::WithProposal);
        }
        if self.rng.random_range(0..1_500) > 0 {
            return None;
        }
        Some(match self.rng.random_range(0..2) {
            0 => Crash::BeforeCommit,
            _ => Crash::AfterCommit(self.rng.random_range(0..4)),
        })
    }

    /// All cuts heal, all disks have room, all clocks are right, and all processes go on.
    pub(super) fn stop_faults(&mut self) {
        for cut in 1..=self.plan.cuts {
            self.heal(cut);
        }
        let off_ms = self.clocks.calm_ms();
        for (name, host) in &mut self.hosts {
            if matches!(name, Name::Sync(_)) {
                host.skew = Skew::set(off_ms, 0, 0);
            }
            host.busy_until_us = 0;
            host.disk_free_at_us = self.now_us;
        }
        for name in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.at(1_000, Event::HasRoom { name });
            self.at(1_000, Event::Start { name });
            self.arrange_due(name);
        }
    }
}
