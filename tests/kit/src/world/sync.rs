//! A sync node of the World: the shipped vote and the shipped policy of commits, and what their driver
//! does about links, as thin as can be.
//!
//! To be replaced by the pure machines of `sync/` wherever those do the same.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use vixen_core::id::{GroupId, Lane, NdbId, OwnerId, Seq, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::wire::{DraftAnswer, DraftMessage, FeedMessage, Message, NodeMessage, VoteMessage};
use vixen_vote::{
    After, Batch, Commits, Disk, Effects, Input, Orderer, VoteOptions, answer, caught_up,
};

use super::io::{Arrived, Counted, Fact, Name, Now, Out};
use super::mutant::Mutant;
use super::sync_disk::SyncDisk;

/// Pause between looks at segments that have been pending for long, as in the driver.
const RETRY_US: u64 = 1_000_000;

/// Where a turn is cut off by a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Stepped, nothing committed, nothing sent.
    BeforeCommit,
    /// Committed, and only this many messages left.
    AfterCommit(usize),
}

/// See the module.
pub(super) struct SyncNode {
    options: VoteOptions,
    mutant: Option<Mutant>,
    disk: SyncDisk,
    process: Option<Process>,
    /// The highest watermark ever told.
    told: Stamp,
    /// Elections are forgotten when W nodes of their group have applied them.
    forgets: bool,
}

/// What a crash takes.
struct Process {
    votes: Orderer,
    commits: Commits,
    retry_at_us: Option<u64>,
    linked: BTreeMap<Name, Option<OwnerId>>,
    /// Who follows the feed, and the watermark that it was told last.
    followers: BTreeMap<Name, Stamp>,
    elected_to: Stamp,
    applied: BTreeMap<NdbId, Stamp>,
    /// The newest election at the commit before the last: what is up to it is old enough to go.
    forget_to: (Stamp, Stamp),
    /// A look for idle owners is due, and whether those of linked entries are kept.
    expires: Option<bool>,
}

/// The disk of a node, and which elections may go with a commit; none do while `upto` is nothing.
struct Writer<'a> {
    disk: &'a mut SyncDisk,
    floors: BTreeMap<GroupId, Stamp>,
    upto: Option<Stamp>,
}

impl Disk for Writer<'_> {
    type Error = Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Infallible> {
        batch.writes.iter().for_each(|write| self.disk.apply(*write));
        let trimmed_to = batch.trimmed_to.unwrap_or_default();
        self.disk.trimmed_to = self.disk.trimmed_to.max(trimmed_to);
        if let Some(upto) = self.upto.filter(|_| batch.has_elections) {
            self.disk.forget(upto, &self.floors);
        }
        Ok(true)
    }
}

impl SyncNode {
    pub(super) fn new(
        id: SyncId,
        membership: Membership,
        clock_ahead_max_ms: u64,
        forgets: bool,
        mutant: Option<Mutant>,
    ) -> Self {
        assert!(Lane::new(id.0).is_some());
        Self {
            options: VoteOptions { id, membership, clock_ahead_max_ms },
            mutant,
            disk: SyncDisk::default(),
            process: None,
            told: Stamp::ZERO,
            forgets,
        }
    }

    pub(super) fn start(&mut self) {
        let mut recovered = self.disk.recover();
        match self.mutant {
            Some(Mutant::ClockForgotten) => recovered.ceiling = Stamp::ZERO,
            Some(Mutant::DraftsForgotten) => recovered.votes.clear(),
            _ => {}
        }
        let rules = Mutant::rules(self.mutant);
        let votes = Orderer::with_rules(rules, self.options.clone(), &recovered);
        self.process = Some(Process {
            elected_to: votes.clock(),
            votes,
            commits: Commits::default(),
            retry_at_us: None,
            linked: BTreeMap::new(),
            followers: BTreeMap::new(),
            applied: BTreeMap::new(),
            forget_to: (Stamp::ZERO, Stamp::ZERO),
            expires: None,
        });
    }

    pub(super) fn crash(&mut self) {
        self.process = None;
    }

    /// When it has something to do without an event.
    pub(super) fn due_us(&self, now: Now) -> Option<u64> {
        let process = self.process.as_ref()?;
        let hedge = process.votes.due_in_ms(now.wall).map(|ms| now.us + ms * 1_000);
        let lazy = process.commits.due_at().map(|due| {
            let left = due.saturating_duration_since(now.instant);
            now.us + u64::try_from(left.as_micros()).unwrap_or(u64::MAX)
        });
        [hedge, lazy, process.retry_at_us].into_iter().flatten().min()
    }

    /// One turn of the loop: step all, commit, send.
    pub(super) fn turn(
        &mut self,
        now: Now,
        arrived: Vec<Arrived>,
        crash: Option<Crash>,
        out: &mut Out,
    ) {
        let mut fx = Effects::default();
        let mut follows = Vec::new();
        for one in arrived {
            if let Some(input) = self.input_of(one, &mut follows, out) {
                self.step(now, input, &mut fx);
            }
        }
        self.on_timers(now, &mut fx);
        self.settle(now, fx, crash, &follows, out);
    }

    fn step(&mut self, now: Now, input: Input, fx: &mut Effects) {
        if let Some(process) = &mut self.process {
            process.votes.step(now.wall, input, fx);
        }
    }

    fn input_of(
        &mut self,
        arrived: Arrived,
        follows: &mut Vec<(Name, Stamp)>,
        out: &mut Out,
    ) -> Option<Input> {
        let trimmed_to = self.trimmed_to();
        let process = self.process.as_mut()?;
        match arrived {
            Arrived::Up { peer, owner } => {
                process.linked.insert(peer, owner);
                process.followers.remove(&peer);
                let Name::Sync(peer) = peer else { return None };
                Some(Input::PeerUp { peer })
            }
            Arrived::Down { peer } => {
                process.linked.remove(&peer);
                process.followers.remove(&peer);
                let Name::Sync(peer) = peer else { return None };
                Some(Input::PeerDown { peer })
            }
            Arrived::Silent { peer, is_silent } => {
                let Name::Sync(peer) = peer else { return None };
                Some(Input::PeerSilent { peer, is_silent })
            }
            Arrived::ExpireOwners { keeps } => {
                process.expires = Some(keeps);
                None
            }
            Arrived::Message { from: Name::Sync(from), message } => {
                if let Message::Vote(VoteMessage::OwnerSettled { trimmed_to: to, .. })
                | Message::Vote(VoteMessage::OwnerForgotten { trimmed_to: to, .. }) = message
                    && to > trimmed_to
                {
                    process.commits.trim(to);
                }
                Input::from_peer(from, message)
            }
            Arrived::Message { from, message } => match (from, message) {
                (Name::Ndb(from), Message::Draft(DraftMessage::GenerateDraft { meta })) => {
                    Some(Input::GenerateDraft { from, meta })
                }
                (Name::Ndb(id), Message::Draft(DraftMessage::OrderApplied { stamp })) => {
                    process.applied.insert(id, stamp);
                    None
                }
                (_, Message::Feed(FeedMessage::FollowFeed { after })) => {
                    process.followers.remove(&from);
                    follows.push((from, after));
                    None
                }
                (_, Message::Feed(FeedMessage::AskReached { request })) => {
                    let stamp = process.votes.reached().max(trimmed_to);
                    out.send(from, Message::Feed(FeedMessage::Reached { request, stamp }));
                    None
                }
                (_, Message::Node(NodeMessage::NdbStanding { .. })) => None,
                (from, other) => panic!("{from:?} says {} to a sync node", other.name()),
            },
            Arrived::Written { .. }
            | Arrived::DiskFull { .. }
            | Arrived::TooOld { .. }
            | Arrived::Asked { .. } => unreachable!("not of a sync node"),
        }
    }

    fn on_timers(&mut self, now: Now, fx: &mut Effects) {
        while let Some(segment) = self.process.as_ref().and_then(|p| p.votes.overdue(now.wall)) {
            self.step(now, Input::Overdue { segment }, fx);
        }
        let trimmed_to = self.trimmed_to();
        let Some(process) = &mut self.process else { return };
        if process.votes.pending_segments() == 0 {
            process.retry_at_us = None;
        } else if process.retry_at_us.is_some_and(|at| at <= now.us) {
            process.votes.step(now.wall, Input::Retry, fx);
            process.retry_at_us = Some(now.us + RETRY_US);
        } else {
            process.retry_at_us.get_or_insert(now.us + RETRY_US);
        }
        // The last of what is stepped: nothing is refused for it before it is durable.
        let expires = process.expires.take();
        if expires.is_some() || process.votes.has_ended_owners() {
            let linked = process.linked.values().copied().flatten();
            let keep: BTreeSet<OwnerId> = linked.filter(|_| expires != Some(false)).collect();
            process.votes.step(now.wall, Input::ExpireOwners { keep, trimmed_to }, fx);
        }
    }

    /// What steps owe: one commit, then everything that depends on it.
    fn settle(
        &mut self,
        now: Now,
        mut fx: Effects,
        crash: Option<Crash>,
        follows: &[(Name, Stamp)],
        out: &mut Out,
    ) {
        if crash == Some(Crash::BeforeCommit) {
            out.sends.clear();
            return self.crash();
        }
        if self.mutant == Some(Mutant::ReplyBeforeCommit) {
            fx.sends.iter_mut().for_each(|sent| sent.after = After::Nothing);
            fx.elected.iter_mut().for_each(|election| election.after = After::Nothing);
        }
        let Some(process) = &mut self.process else { return };
        let floors = floors(&process.applied, &self.options.membership);
        let upto = self.forgets.then_some(process.forget_to.0);
        let mut writer = Writer { disk: &mut self.disk, floors, upto };
        let is_due = process.commits.due_at().is_some_and(|due| due <= now.instant);
        let Ok(left) = process.commits.turn(now.instant, fx, false, &mut writer);
        if is_due {
            process.forget_to = (process.forget_to.1, process.votes.newest_elected());
        }
        self.leave(left.expect("the disk has room"), follows, out);
        if let Some(Crash::AfterCommit(sent)) = crash {
            out.sends.truncate(sent);
            self.crash();
        }
    }

    fn leave(&mut self, fx: Effects, follows: &[(Name, Stamp)], out: &mut Out) {
        let trimmed_to = self.trimmed_to();
        let Some(process) = &mut self.process else { return };
        if fx.ends_feeds {
            for (name, _) in std::mem::take(&mut process.followers) {
                out.send(name, Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to }));
            }
        }
        out.sends.extend(fx.sends.into_iter().map(|sent| (Name::Sync(sent.to), sent.message)));
        for (to, owner) in fx.forgotten {
            out.send(
                Name::Sync(to),
                Message::Vote(VoteMessage::OwnerForgotten { owner, trimmed_to }),
            );
        }
        for (to, segment, said) in fx.answers {
            if said == DraftAnswer::OwnerExpired {
                out.count(Counted::Refused);
            }
            let Ok(message) = answer(&self.disk, process.commits.elections(), segment, said);
            out.send(Name::Ndb(to), message);
        }
        for election in fx.elected {
            let elected = election.elected;
            out.facts.push(Fact::Elected(elected));
            process.elected_to = process.elected_to.max(elected.stamp());
            for follower in process.followers.keys() {
                out.send(*follower, Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }));
            }
        }
        (0..fx.ballots_started).for_each(|_| out.count(Counted::Ballot));
        for (to, owner, after) in fx.catch_ups {
            self.catch_up(to, owner, after, out);
        }
        for (name, after) in follows {
            self.follow(*name, *after, out);
        }
        self.tell_watermark(out);
    }

    fn follow(&mut self, name: Name, after: Stamp, out: &mut Out) {
        let trimmed_to = self.trimmed_to();
        let Some(process) = self.process.as_mut() else { return };
        if after < trimmed_to {
            out.send(name, Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to }));
            return;
        }
        let known = self.disk.elected().copied().chain(process.commits.elections());
        for elected in known.filter(|elected| elected.stamp() > after) {
            out.send(name, Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }));
        }
        process.followers.insert(name, Stamp::ZERO);
    }

    fn tell_watermark(&mut self, out: &mut Out) {
        let Some(process) = &mut self.process else { return };
        let Some(stamp) = process.votes.watermark() else { return };
        assert!(stamp >= self.told, "V3: the watermark never falls, restarts included");
        self.told = stamp;
        for (follower, told) in &mut process.followers {
            if *told < process.elected_to && stamp > *told {
                *told = stamp;
                out.send(*follower, Message::Feed(FeedMessage::Watermark { stamp }));
            }
        }
    }

    /// What a peer is told of an owner.
    fn catch_up(&self, to: SyncId, owner: OwnerId, after: Seq, out: &mut Out) {
        let Some(process) = &self.process else { return };
        let known = (owner, process.votes.owner_row(owner).unwrap_or_default());
        let unwritten = process.commits.elections();
        let Ok(told) = caught_up(&self.disk, unwritten, known, after, self.trimmed_to());
        told.into_iter().for_each(|message| out.send(Name::Sync(to), message));
    }

    fn trimmed_to(&self) -> Stamp {
        let by_peer = self.process.as_ref().map(|process| process.commits.trimmed_to());
        self.disk.trimmed_to.max(by_peer.unwrap_or_default())
    }

    /// How far the order can go, as it tells entries; `None` while it is down.
    pub(super) fn reached(&self) -> Option<Stamp> {
        Some(self.process.as_ref()?.votes.reached().max(self.trimmed_to()))
    }

    /// Whether its watermark is held by nothing: whatever it drafted is elected, or never will be.
    pub(super) fn holds_nothing_up(&self) -> bool {
        self.process.as_ref().is_some_and(|p| p.votes.watermark() == Some(p.votes.clock()))
    }
}

/// For each group, up to where W of its nodes have the order.
fn floors(applied: &BTreeMap<NdbId, Stamp>, membership: &Membership) -> BTreeMap<GroupId, Stamp> {
    let mut groups: BTreeMap<GroupId, Vec<Stamp>> = BTreeMap::new();
    for (node, stamp) in applied {
        groups.entry(node.group).or_default().push(*stamp);
    }
    let floor = |mut stamps: Vec<Stamp>| {
        stamps.sort_unstable_by(|a, b| b.cmp(a));
        stamps.get(membership.write_quorum().max(1) - 1).copied()
    };
    groups.into_iter().filter_map(|(group, stamps)| Some((group, floor(stamps)?))).collect()
}
