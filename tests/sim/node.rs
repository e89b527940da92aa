//! One sync node of the simulation: the shipped vote over a disk that can lose what was not
//! committed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Instant;

use vixen_core::id::{Lane, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_core::wire::{DraftAnswer, Message, VoteMessage};
use vixen_vote::{
    After, Batch, CaughtUp, Commits, Disk, Effects, Elections, Envelope, Input, Orderer, OwnerRow,
    Recovered, VoteOptions, VoteState, Write, caught_up,
};

use crate::clocks::AHEAD_MS_MAX;
use crate::mutant::Mutant;

/// What a node has on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    ceiling: Stamp,
    votes: BTreeMap<SegmentId, VoteState>,
    elected: BTreeMap<SegmentId, Elected>,
    owners: BTreeMap<OwnerId, OwnerRow>,
    trimmed_to: Stamp,
    forgotten_to: WallTime,
}

impl Disk for Store {
    type Error = Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Infallible> {
        batch.writes.iter().for_each(|write| self.apply(*write));
        self.trimmed_to = self.trimmed_to.max(batch.trimmed_to.unwrap_or_default());
        Ok(true)
    }
}

impl Elections for Store {
    type Error = Infallible;

    fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, Infallible> {
        let mut known: Vec<_> =
            self.elected.values().filter(|e| e.stamp() > after).copied().collect();
        known.sort_unstable_by_key(Elected::stamp);
        known.truncate(limit);
        Ok(known)
    }

    fn elected_of(
        &self,
        owner: OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Elected>, Infallible> {
        let first = SegmentId { owner, seq: after.next() };
        let last = SegmentId { owner, seq: Seq(u64::MAX) };
        Ok(self.elected.range(first..=last).map(|(_, e)| *e).take(limit).collect())
    }
}

impl Store {
    fn apply(&mut self, write: Write) {
        match write {
            Write::Vote(vote) => {
                self.votes.insert(vote.meta.id, vote);
            }
            Write::Ceiling(ceiling) => self.ceiling = ceiling,
            Write::Elected(elected, owner) => {
                self.votes.remove(&elected.meta.id);
                self.elected.insert(elected.meta.id, elected);
                self.put_owner(elected.meta.id.owner, owner);
            }
            Write::OwnerSettled(owner, row) => {
                self.votes.retain(|id, _| id.owner != owner || id.seq > row.contiguous);
                self.put_owner(owner, row);
            }
            Write::DropOwner(owner) => {
                self.owners.remove(&owner);
                self.votes.retain(|id, _| id.owner != owner);
                let made = owner.made_at().expect("one without a time is not forgotten");
                self.forgotten_to = self.forgotten_to.max(made);
            }
        }
    }

    fn put_owner(&mut self, owner: OwnerId, row: OwnerRow) {
        let known = self.owners.entry(owner).or_default();
        *known = (*known).max(row);
    }

    fn recover(&self) -> Recovered {
        // As the store does: elections of an owner that is forgotten do not bring it back.
        let beyond = |(id, elected): (&SegmentId, &Elected)| {
            let row = self.owners.get(&id.owner)?;
            (id.seq > row.contiguous).then_some((*id, elected.stamp()))
        };
        Recovered {
            ceiling: self.ceiling,
            owners: self.owners.iter().map(|(id, row)| (*id, *row)).collect(),
            beyond: self.elected.iter().filter_map(beyond).collect(),
            votes: self.votes.values().copied().collect(),
            forgotten_to: self.forgotten_to,
        }
    }

    /// Forgets what readers have applied, as far as owners are elected without a gap.
    fn forget(&mut self, upto: Stamp) {
        let owners = &self.owners;
        let goes = |id: &SegmentId, elected: &Elected| {
            elected.stamp() <= upto
                && owners.get(&id.owner).is_none_or(|row| id.seq <= row.contiguous)
        };
        let mut trimmed_to = self.trimmed_to;
        self.elected.retain(|id, elected| {
            let goes = goes(id, elected);
            if goes {
                trimmed_to = trimmed_to.max(elected.stamp());
            }
            !goes
        });
        self.trimmed_to = trimmed_to;
    }
}

/// Where a batch is cut off by a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Stepped, nothing committed, nothing sent.
    BeforeCommit,
    /// Committed, and only this many messages left.
    AfterCommit(usize),
}

/// What a batch let out.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) sends: Vec<(SyncId, Message)>,
    pub(crate) elected: Vec<Elected>,
    pub(crate) watermark: Option<Stamp>,
    /// All feeds must end: elections were settled that this node cannot tell.
    pub(crate) ends_feeds: bool,
    /// Ballots above 0 that were begun.
    pub(crate) ballots: u64,
    /// Segments whose owners are forgotten here.
    pub(crate) refused: Vec<SegmentId>,
}

fn plain(sends: Vec<Envelope>) -> Vec<(SyncId, Message)> {
    sends.into_iter().map(|sent| (sent.to, sent.message)).collect()
}

fn refused_of(fx: &Effects) -> Vec<SegmentId> {
    let expired = fx.answers.iter().filter(|(.., answer)| *answer == DraftAnswer::OwnerExpired);
    expired.map(|(_, segment, _)| *segment).collect()
}

pub(crate) struct Node {
    options: VoteOptions,
    pub(crate) votes: Option<Orderer>,
    disk: Store,
    mutant: Option<Mutant>,
    commits: Commits,
    told: Stamp,
    /// Wall time minus true time.
    pub(crate) skew_ms: i64,
    /// What is added to that each millisecond: a clock that runs wild.
    pub(crate) drift_ms: i64,
    pub(crate) paused_until_ms: u64,
    pub(crate) restart_at_ms: u64,
}

impl Node {
    pub(crate) fn new(id: SyncId, membership: Membership, mutant: Option<Mutant>) -> Self {
        assert!(Lane::new(id.0).is_some());
        let options = VoteOptions { id, membership, clock_ahead_max_ms: AHEAD_MS_MAX };
        Self {
            votes: Some(Orderer::with_rules(
                Mutant::rules(mutant),
                options.clone(),
                &Recovered::default(),
            )),
            options,
            disk: Store::default(),
            mutant,
            commits: Commits::default(),
            told: Stamp::ZERO,
            skew_ms: 0,
            drift_ms: 0,
            paused_until_ms: 0,
            restart_at_ms: 0,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.votes.is_some()
    }

    fn wall(&self, now_ms: u64) -> WallTime {
        WallTime(now_ms.saturating_add_signed(self.skew_ms))
    }

    /// Steps a drained inbox as the driver does. What was said with a commit that a crash took is not
    /// said.
    pub(crate) fn batch(
        &mut self,
        (now_ms, clock): (u64, Instant),
        inputs: Vec<Input>,
        crash: Option<Crash>,
        flush: bool,
    ) -> Output {
        let now = self.wall(now_ms);
        let Some(votes) = &mut self.votes else { return Output::default() };
        let mut fx = Effects::default();
        for input in inputs {
            votes.step(now, input, &mut fx);
        }
        if crash == Some(Crash::BeforeCommit) {
            self.crash();
            return Output::default();
        }
        if self.mutant == Some(Mutant::ReplyBeforeCommit) {
            fx.sends.iter_mut().for_each(|sent| sent.after = After::Nothing);
            fx.elected.iter_mut().for_each(|election| election.after = After::Nothing);
        }
        let Ok(left) = self.commits.turn(clock, fx, flush, &mut self.disk);
        let output = self.leave(left.expect("the disk has room"));
        if let Some(Crash::AfterCommit(sent)) = crash {
            self.crash();
            let sends = output.sends.into_iter().take(sent).collect();
            let Output { ends_feeds, ballots, refused, .. } = output;
            return Output { sends, ends_feeds, ballots, refused, ..Output::default() };
        }
        if let Some(watermark) = output.watermark {
            assert!(watermark >= self.told, "V3: the watermark fell, restarts included");
            self.told = watermark;
        }
        output
    }

    /// What leaves once it may.
    fn leave(&self, fx: Effects) -> Output {
        let refused = refused_of(&fx);
        let mut sends = plain(fx.sends);
        let trimmed_to = self.trimmed_to();
        let forgotten = fx.forgotten.into_iter();
        sends.extend(forgotten.map(|(to, owner)| {
            (to, Message::Vote(VoteMessage::OwnerForgotten { owner, trimmed_to }))
        }));
        for (to, owner, after) in fx.catch_ups {
            let row = self.votes.as_ref().and_then(|votes| votes.owner_row(owner));
            let known = (owner, row.unwrap_or_default());
            let mut after = Some(after);
            while let Some(from) = after {
                let unwritten = self.commits.elections();
                let Ok(CaughtUp { told, next }) =
                    caught_up(&self.disk, unwritten, known, from, trimmed_to);
                sends.extend(told.into_iter().map(|message| (to, message)));
                after = next;
            }
        }
        Output {
            sends,
            elected: fx.elected.into_iter().map(|election| election.elected).collect(),
            watermark: self.watermark(),
            ends_feeds: fx.ends_feeds,
            ballots: fx.ballots_started,
            refused,
        }
    }

    /// Whether rows have waited for long enough.
    pub(crate) fn is_due(&self, clock: Instant) -> bool {
        self.is_up() && self.commits.due_at().is_some_and(|due| due <= clock)
    }

    /// Everything elected that a feed from `after` on begins with; the other way round, up to where
    /// elections are forgotten.
    pub(crate) fn elected_after(&self, after: Stamp) -> Result<Vec<Elected>, Stamp> {
        if after < self.trimmed_to() {
            return Err(self.trimmed_to());
        }
        let written = self.disk.elected.values().copied();
        let known = written.chain(self.commits.elections());
        Ok(known.filter(|elected| elected.stamp() > after).collect())
    }

    /// Forgets elections up to `upto`, with a commit.
    pub(crate) fn forget(&mut self, upto: Stamp) {
        self.disk.forget(upto);
    }

    /// Up to where elections are forgotten.
    pub(crate) fn trimmed_to(&self) -> Stamp {
        self.disk.trimmed_to.max(self.commits.trimmed_to())
    }

    /// A peer has forgotten up to here.
    pub(crate) fn trim(&mut self, trimmed_to: Stamp) {
        if trimmed_to > self.trimmed_to() {
            self.commits.trim(trimmed_to);
        }
    }

    /// Looks for owners to forget.
    pub(crate) fn expire_owners(&self, keep: BTreeSet<OwnerId>) -> Input {
        Input::ExpireOwners { keep, trimmed_to: self.trimmed_to() }
    }

    pub(crate) fn has_ended_owners(&self) -> bool {
        self.votes.as_ref().is_some_and(Orderer::has_ended_owners)
    }

    /// Whether its watermark is held by nothing: whatever it drafted is elected, or never will be.
    pub(crate) fn holds_nothing_up(&self) -> bool {
        self.votes.as_ref().is_some_and(|votes| votes.watermark() == Some(votes.clock()))
    }

    /// How far the order can go, as it tells entries; `None` while it is down.
    pub(crate) fn reached(&self) -> Option<Stamp> {
        Some(self.votes.as_ref()?.reached().max(self.trimmed_to()))
    }

    /// A segment that has waited for long enough.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<SegmentId> {
        self.votes.as_ref()?.overdue(self.wall(now_ms))
    }

    pub(crate) fn watermark(&self) -> Option<Stamp> {
        self.votes.as_ref()?.watermark()
    }

    pub(crate) fn crash(&mut self) {
        self.votes = None;
        self.commits = Commits::default();
    }

    pub(crate) fn restart(&mut self) {
        let mut recovered = self.disk.recover();
        match self.mutant {
            Some(Mutant::ClockForgotten) => recovered.ceiling = Stamp::ZERO,
            Some(Mutant::DraftsForgotten) => recovered.votes.clear(),
            _ => {}
        }
        let rules = Mutant::rules(self.mutant);
        self.votes = Some(Orderer::with_rules(rules, self.options.clone(), &recovered));
    }
}
