//! A sync node of the World: the shipped vote, its policy of commits, and what it keeps of peers, readers and
//! itself. The World plays its links, its disk and its clocks, as the driver in `sync/src/node` has them.

mod disk;
mod full;
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::{Lane, NdbId, OwnerId, Stamp, StoreId, SyncId};
use vixen_core::membership::Membership;
use vixen_core::wire::{DraftAnswer, DraftMessage, FeedMessage, Message, PeerId, VoteMessage};
use vixen_vote::{
    After, Commits, Effects, Envelope, Feeds, Health, Input, Known, Look, Orderer, Outbox, Peers,
    Retention, Retries, VoteOptions, answer,
};

use super::io::{Arrived, Counted, Fact, Name, Now, Out};
use super::mutant::Mutant;
use disk::{Stored, Writer};

/// Where a turn is cut off by a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Stepped, nothing committed, nothing that waits for a commit sent.
    BeforeCommit,
    /// The same, where a proposal has left before the commit; else there is none.
    WithProposal,
    /// Committed, and only this many messages left.
    AfterCommit(usize),
}

/// See the module.
pub(super) struct SyncNode {
    options: VoteOptions,
    mutant: Option<Mutant>,
    pub(super) disk: Stored,
    process: Option<Process>,
    /// Processes so far.
    runs: u64,
    /// The highest watermark ever told.
    told: Stamp,
    /// So long elections stay that W nodes of their group have applied; else for ever.
    keeps: Option<Duration>,
}

/// What a crash takes.
struct Process {
    orderer: Orderer,
    commits: Commits,
    peers: Peers<Name>,
    feeds: Feeds<Name>,
    health: Health,
    retention: Retention,
    retries: Retries,
    linked: BTreeMap<Name, PeerId>,
    silent: BTreeSet<Name>,
    /// What leaves at the end of this turn.
    out: Outbox<Name>,
    /// It has had no turn yet.
    is_new: bool,
    /// It does not vote: its disk has no room.
    is_full: bool,
    room_look_us: u64,
    /// When its next turn was due.
    due_us: Option<u64>,
    /// A look for idle owners is due, and whether those of linked entries are kept.
    expires: Option<bool>,
}

impl SyncNode {
    pub(super) fn new(
        id: SyncId,
        membership: Membership,
        clock_ahead_max_ms: u64,
        keeps: Option<Duration>,
        mutant: Option<Mutant>,
    ) -> Self {
        assert!(Lane::new(id.0).is_some());
        let store = StoreId(uuid::Uuid::from_u128(1 + u128::from(id.0)));
        Self {
            options: VoteOptions { id, membership, clock_ahead_max_ms },
            mutant,
            disk: Stored::new(store),
            process: None,
            runs: 0,
            told: Stamp::ZERO,
            keeps,
        }
    }

    pub(super) fn start(&mut self, now: Now) {
        self.runs += 1;
        let is_counted = self.disk.count_start();
        let mut recovered = self.disk.rows.recover();
        match self.mutant {
            Some(Mutant::ClockForgotten) => recovered.ceiling = Stamp::ZERO,
            Some(Mutant::DraftsForgotten) => recovered.votes.clear(),
            _ => {}
        }
        let rules = Mutant::rules(self.mutant);
        let orderer = Orderer::with_rules(rules, self.options.clone(), &recovered);
        self.process = Some(Process {
            commits: Commits::new(self.disk.standings(), is_counted),
            peers: Peers::new(self.runs, self.options.membership.quorum()),
            feeds: Feeds::new(orderer.clock()),
            health: Health::default(),
            retention: Retention::new(now.instant),
            retries: Retries::default(),
            linked: BTreeMap::new(),
            silent: BTreeSet::new(),
            out: Outbox::new(),
            is_new: true,
            is_full: false,
            room_look_us: now.us,
            due_us: None,
            expires: None,
            orderer,
        });
    }

    pub(super) fn crash(&mut self) {
        self.process = None;
    }

    /// Its store, as peers know it.
    pub(super) const fn store(&self) -> StoreId {
        self.disk.store
    }

    /// When it has something to do without an event.
    pub(super) fn due_us(&mut self, now: Now) -> Option<u64> {
        let process = self.process.as_mut()?;
        let machines =
            [process.commits.due_at(), process.retries.due_at(), process.health.due_at()];
        let may = !process.is_full;
        let machines = machines.into_iter().flatten().filter(|_| may).map(|at| now.us_of(at));
        let hedge = process.orderer.due_in_ms(now.wall);
        let hedge = hedge.filter(|_| may && !process.health.is_stalled());
        let due = machines.chain(hedge.map(|ms| now.us + ms * 1_000)).chain([process.room_look_us]);
        process.due_us = due.min();
        process.due_us
    }

    /// One turn of the loop: step all, commit, send.
    pub(super) fn turn(
        &mut self,
        now: Now,
        arrived: Vec<Arrived>,
        crash: Option<Crash>,
        out: &mut Out,
    ) {
        let Self { options, mutant, disk, process: Some(process), keeps, .. } = self else {
            return;
        };
        let node = Turn { now, options, mutant: *mutant, keeps: *keeps, disk, process, out };
        let ends = node.run(arrived, crash);
        if let Some(process) = &self.process {
            let told = process.feeds.told();
            assert!(
                told == Stamp::ZERO || told >= self.told,
                "V3: the watermark never falls, restarts included"
            );
            self.told = self.told.max(told);
        }
        if ends {
            self.crash();
        }
    }

    /// How far the order can go, as it tells entries; `None` while it is down.
    pub(super) fn reached(&self) -> Option<Stamp> {
        let process = self.process.as_ref()?;
        let trimmed_to = self.disk.rows.trimmed_to().max(process.commits.trimmed_to());
        Some(process.orderer.reached().max(trimmed_to))
    }

    /// Whether its watermark is held by nothing: whatever it drafted is elected, or never will be.
    pub(super) fn holds_nothing_up(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            let orderer = &process.orderer;
            let is_free = orderer.holds_nothing() && process.peers.has_joined();
            assert!(
                !is_free || orderer.watermark().map(|m| m.floor) == Some(orderer.clock()),
                "what nothing holds is where the clock is"
            );
            is_free
        })
    }
}

/// A node at its turn.
struct Turn<'a> {
    now: Now,
    options: &'a VoteOptions,
    mutant: Option<Mutant>,
    keeps: Option<Duration>,
    disk: &'a mut Stored,
    process: &'a mut Process,
    out: &'a mut Out,
}

impl Turn<'_> {
    /// Whether the process has ended on the way.
    fn run(mut self, arrived: Vec<Arrived>, crash: Option<Crash>) -> bool {
        self.look_at_disk();
        if self.process.is_full {
            self.turn_while_full(arrived);
            return false;
        }
        let mut fx = Effects::default();
        if std::mem::take(&mut self.process.is_new) {
            self.step(Input::PeerAside { peer: self.options.id, is_aside: true }, &mut fx);
        }
        self.begin_turn(&mut fx);
        for one in arrived {
            self.take(one, &mut fx);
        }
        self.on_timers(&mut fx);
        // What depends on no commit does not wait for one.
        let has_proposed = self.leave_early(&mut fx);
        self.deliver();
        let dies = match crash {
            Some(Crash::BeforeCommit) => true,
            Some(Crash::WithProposal) => has_proposed,
            Some(Crash::AfterCommit(_)) | None => false,
        };
        if dies {
            return true;
        }
        let sent = self.out.sends.len();
        self.settle(fx);
        let Some(Crash::AfterCommit(more)) = crash else { return false };
        self.out.sends.truncate(sent + more);
        true
    }

    fn step(&mut self, input: Input, fx: &mut Effects) {
        self.process.orderer.step(self.now.wall, input, fx);
    }

    fn take(&mut self, arrived: Arrived, fx: &mut Effects) {
        match arrived {
            Arrived::Up { name, peer } => self.on_up(name, peer, fx),
            Arrived::Down { name } => self.on_down(name, fx),
            Arrived::Silent { name, is_silent } => self.on_silence(name, is_silent, fx),
            Arrived::ExpireOwners { keeps } => self.process.expires = Some(keeps),
            Arrived::Message { from, message } => {
                if let Some(peer) = self.process.linked.get(&from).copied() {
                    self.on_message(from, peer, message, fx);
                }
            }
            Arrived::Written { .. } | Arrived::Asked { .. } => unreachable!("not of a sync node"),
        }
    }

    fn on_message(&mut self, name: Name, peer: PeerId, message: Message, fx: &mut Effects) {
        if let PeerId::Sync { id, .. } = peer
            && !self.takes_from(id, name, &message, fx)
        {
            return;
        }
        if self.takes_aside_from_votes(name, &peer, &message) {
            return;
        }
        let input = match (peer, message) {
            (
                PeerId::Ndb { id: from, .. },
                Message::Draft(DraftMessage::GenerateDraft { meta }),
            ) => match self.process.health.defer(Input::GenerateDraft { from, meta }) {
                Some(input) => input,
                None => return,
            },
            (PeerId::Sync { id, .. }, message) => {
                if let Message::Vote(VoteMessage::OwnerSettled { trimmed_to, .. })
                | Message::Vote(VoteMessage::OwnerForgotten { trimmed_to, .. }) = message
                    && trimmed_to > self.trimmed_to()
                {
                    self.process.commits.trim(trimmed_to);
                }
                let said = message.name();
                Input::from_peer(id, message)
                    .unwrap_or_else(|| panic!("a sync node says {said} to a sync node"))
            }
            (_, other) => panic!("{name:?} says {} to a sync node", other.name()),
        };
        self.step(input, fx);
    }

    /// Takes what is no input of the vote; `false` when it is one.
    fn takes_aside_from_votes(&mut self, name: Name, peer: &PeerId, message: &Message) -> bool {
        let trimmed_to = self.trimmed_to();
        let process = &mut *self.process;
        match (peer, message) {
            // For people.
            (PeerId::Ndb { .. }, Message::Node(_)) => {}
            (PeerId::Ndb { id, .. }, Message::Draft(DraftMessage::OrderApplied { stamp })) => {
                process.retention.applied(*id, *stamp);
            }
            (
                PeerId::Ndb { .. } | PeerId::Entry { .. },
                Message::Feed(FeedMessage::FollowFeed { after }),
            ) => process.feeds.follow(name, *after, trimmed_to, &mut process.out),
            // Here all that is said goes at once.
            (
                PeerId::Ndb { .. } | PeerId::Entry { .. },
                Message::Feed(FeedMessage::CountElections { .. }),
            ) => {}
            (PeerId::Entry { .. }, Message::Feed(FeedMessage::AskReached { request })) => {
                let stamp = process.orderer.reached().max(trimmed_to);
                let reached = FeedMessage::Reached { request: *request, stamp };
                process.out.push((name, Message::Feed(reached)));
            }
            _ => return false,
        }
        true
    }

    /// What is due, and a look for idle owners. That is the last of what is stepped: nothing is refused for
    /// it before it is durable.
    fn on_timers(&mut self, fx: &mut Effects) {
        while let Some(segment) = self.process.orderer.overdue(self.now.wall)
            && !self.process.health.is_stalled()
        {
            self.step(Input::Overdue { segment }, fx);
        }
        let process = &mut *self.process;
        match process.retries.look(process.orderer.pending_ids(), self.now.instant) {
            Look::Retry => self.step(Input::Retry, fx),
            Look::Nothing | Look::Over => {}
        }
        let process = &mut *self.process;
        let expires = process.expires.take();
        let has_ended = process.orderer.has_ended_owners();
        if has_ended {
            self.out.count(Counted::Ended);
        }
        let is_due = process.retention.looks_for_owners(has_ended, self.now.instant);
        if expires.is_some() || is_due {
            let linked = process.linked.values().filter_map(|peer| match *peer {
                PeerId::Entry { owner } => Some(owner),
                PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
            });
            let keep: BTreeSet<OwnerId> = linked.filter(|_| expires != Some(false)).collect();
            let trimmed_to = self.trimmed_to();
            self.step(Input::ExpireOwners { keep, trimmed_to }, fx);
        }
    }

    /// What may leave before the commit. Whether a proposal did.
    fn leave_early(&mut self, fx: &mut Effects) -> bool {
        if self.mutant == Some(Mutant::ReplyBeforeCommit) {
            fx.sends.iter_mut().for_each(|sent| sent.after = After::Nothing);
            fx.accepted.iter_mut().for_each(|(_, after)| *after = After::Nothing);
            fx.elected.iter_mut().for_each(|election| election.after = After::Nothing);
        }
        let commits = self.disk.commits;
        let process = &mut *self.process;
        let mut has_proposed = false;
        for Envelope { to, message, after: _ } in process.commits.early(fx) {
            has_proposed |= matches!(
                message,
                Message::Vote(VoteMessage::ProposeFast { .. } | VoteMessage::ElectSegment { .. })
            );
            process.peers.tell(to, message, commits, &mut process.out);
        }
        has_proposed
    }

    /// What steps owe: a commit, if something waits for it, then everything that leaves.
    fn settle(&mut self, fx: Effects) {
        let now = self.now.instant;
        let (commits, mut writer) = self.writer();
        let Ok(left) = commits.turn(now, fx, false, &mut writer);
        match left {
            Some(fx) => self.leave(fx),
            None => self.cease(),
        }
        self.deliver();
    }

    fn writer(&mut self) -> (&mut Commits, Writer<'_>) {
        let Process { commits, orderer, retention, .. } = &mut *self.process;
        let (membership, keeps, now) = (&self.options.membership, self.keeps, self.now.instant);
        let disk = &mut *self.disk;
        (commits, Writer { disk, orderer, retention, membership, keeps, now })
    }

    /// Says what may leave, now that what it depends on is durable.
    fn leave(&mut self, fx: Effects) {
        let (trimmed_to, commits) = (self.trimmed_to(), self.disk.commits);
        let process = &mut *self.process;
        if fx.ends_feeds {
            process.feeds.trim(trimmed_to, &mut process.out);
        }
        for Envelope { to, message, after: _ } in fx.sends {
            process.peers.tell(to, message, commits, &mut process.out);
        }
        for (to, owner) in fx.forgotten {
            let message = Message::Vote(VoteMessage::OwnerForgotten { owner, trimmed_to });
            process.peers.tell(to, message, commits, &mut process.out);
        }
        for (to, segment, said) in fx.answers {
            if said == DraftAnswer::OwnerExpired {
                self.out.count(Counted::Refused);
            }
            let Ok(message) = answer(&self.disk.rows, process.commits.elections(), segment, said);
            if process.linked.contains_key(&Name::Ndb(to)) {
                process.out.push((Name::Ndb(to), message));
            }
        }
        fx.accepted.into_iter().for_each(|(acceptance, _)| process.feeds.accept(acceptance));
        for election in fx.elected {
            let elected = election.elected;
            self.out.facts.push(Fact::Elected(elected));
            process.feeds.publish(elected);
        }
        (0..fx.ballots_started).for_each(|_| self.out.count(Counted::Ballot));
        for (to, owner, after) in fx.catch_ups {
            let row = process.orderer.owner_row(owner).unwrap_or_default();
            process.peers.catch_up(to, owner, after, row.contiguous);
        }
        self.read_on();
        let process = &mut *self.process;
        let watermark = process.orderer.watermark().filter(|_| process.peers.has_joined());
        let forgets = self.mutant == Some(Mutant::NewFeedForgets);
        let accepted = || process.orderer.told().filter(|_| !forgets);
        process.feeds.tell(watermark, accepted, &mut process.out);
    }

    /// Reads on in the store for peers that missed some of it, and for readers that have not come to its end.
    fn read_on(&mut self) {
        let trimmed_to = self.trimmed_to();
        let Process { peers, orderer, commits, out, .. } = &mut *self.process;
        let known = Known {
            store: &self.disk.rows,
            unwritten: || commits.elections(),
            row: |owner| orderer.owner_row(owner).unwrap_or_default(),
            trimmed_to,
            commits: self.disk.commits,
            is_holding: commits.is_holding(),
        };
        let Ok(()) = peers.read_on(&known, |_| true, out);
        self.read_feeds();
    }

    /// The same for readers alone: also while there is no room.
    fn read_feeds(&mut self) {
        let trimmed_to = self.trimmed_to();
        let Process { feeds, commits, out, .. } = &mut *self.process;
        let Ok(()) = feeds.read_on(&self.disk.rows, trimmed_to, commits.elections(), |_| true, out);
    }

    /// Elections up to here may be forgotten here.
    fn trimmed_to(&self) -> Stamp {
        self.disk.rows.trimmed_to().max(self.process.commits.trimmed_to())
    }

    /// Sends what was said so far.
    fn deliver(&mut self) {
        for (_, message) in &self.process.out {
            if let Message::Feed(FeedMessage::FeedTrimmed { to }) = message {
                self.out.facts.push(Fact::Forgotten { to: *to });
            }
        }
        self.out.sends.append(&mut self.process.out);
    }

    /// Storage nodes that are linked and heard.
    fn heard(&self) -> impl Iterator<Item = NdbId> {
        let Process { linked, silent, .. } = &*self.process;
        linked.iter().filter(|(name, _)| !silent.contains(name)).filter_map(
            |(_, peer)| match peer {
                PeerId::Ndb { id, .. } => Some(*id),
                PeerId::Sync { .. } | PeerId::Entry { .. } => None,
            },
        )
    }
}

/// For `Health`, whose times are the monotonic clock's.
fn before(now: Now, at_us: u64) -> Option<Instant> {
    now.instant.checked_sub(Duration::from_micros(now.us.saturating_sub(at_us)))
}
