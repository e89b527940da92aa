//! One sync node of the simulation: the shipped vote over a disk that can lose what was not
//! committed.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{Lane, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_core::wire::{DraftAnswer, Message};
use vixen_vote::{
    Effects, Election, Envelope, Input, Orderer, OwnerRow, Recovered, VoteOptions, VoteState, Write,
};

use crate::clocks::AHEAD_MS_MAX;
use crate::mutant::Mutant;

/// What a node has on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    ceiling: Stamp,
    votes: BTreeMap<SegmentId, VoteState>,
    elected: BTreeMap<SegmentId, Elected>,
    owners: BTreeMap<OwnerId, OwnerRow>,
    trimmed_to: Stamp,
    forgotten_to: WallTime,
}

impl Disk {
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

fn elected_of(unwritten: &[Write]) -> impl Iterator<Item = Elected> {
    unwritten.iter().filter_map(|write| match write {
        Write::Elected(elected, _) => Some(*elected),
        _ => None,
    })
}

pub(crate) struct Node {
    options: VoteOptions,
    pub(crate) votes: Option<Orderer>,
    disk: Disk,
    mutant: Option<Mutant>,
    /// Rows that nothing sent depends on, as in the driver: votes, and elections after them.
    unwritten: Vec<Write>,
    elections: Vec<Write>,
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
            disk: Disk::default(),
            mutant,
            unwritten: Vec::new(),
            elections: Vec::new(),
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

    /// Steps a drained inbox as the driver does. `None` when the crash took everything.
    pub(crate) fn batch(
        &mut self,
        now_ms: u64,
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
            let leaks = self.mutant == Some(Mutant::ReplyBeforeCommit);
            let sends = if leaks { plain(fx.sends) } else { Vec::new() };
            return Output { sends, ..Output::default() };
        }
        let has_ceiling = fx.writes.iter().any(|write| matches!(write, Write::Ceiling(_)));
        let leaves = !fx.sends.is_empty() || !fx.elected.is_empty();
        self.unwritten.extend_from_slice(&fx.writes);
        if flush {
            self.unwritten.append(&mut self.elections);
        }
        if flush || has_ceiling || (leaves && !fx.writes.is_empty()) {
            for write in self.unwritten.drain(..) {
                self.disk.apply(write);
            }
        }
        let mut output = Output {
            refused: refused_of(&fx),
            sends: plain(fx.sends),
            ends_feeds: fx.ends_feeds,
            ballots: fx.ballots_started,
            ..Output::default()
        };
        // Before peers are told what they missed: it may be among that.
        self.elections.extend(fx.elected.iter().map(Election::write));
        let forgets = fx.later.iter().any(|write| matches!(write, Write::DropOwner(_)));
        self.elections.extend(fx.later);
        let trimmed_to = self.disk.trimmed_to;
        let forgotten = fx.forgotten.into_iter();
        output.sends.extend(
            forgotten.map(|(to, owner)| (to, Message::OwnerForgotten { owner, trimmed_to })),
        );
        for (to, owner, after) in fx.catch_ups {
            let messages = self.catch_up(owner, after).into_iter().map(|message| (to, message));
            output.sends.extend(messages);
        }
        if let Some(Crash::AfterCommit(sent)) = crash {
            output.sends.truncate(sent);
            self.crash();
            return output;
        }
        if forgets {
            self.unwritten.append(&mut self.elections);
            for write in self.unwritten.drain(..) {
                self.disk.apply(write);
            }
        }
        output.elected = fx.elected.into_iter().map(|election| election.elected).collect();
        output.watermark = self.watermark();
        if let Some(watermark) = output.watermark {
            assert!(watermark >= self.told, "V3: the watermark fell, restarts included");
            self.told = watermark;
        }
        output
    }

    /// What a peer is told of an owner, as the driver tells it.
    fn catch_up(&self, owner: OwnerId, after: Seq) -> Vec<Message> {
        let written = self.disk.elected.values().copied();
        let known = written.chain(elected_of(&self.elections));
        let mut known: Vec<_> =
            known.filter(|e| e.meta.id.owner == owner && e.meta.id.seq > after).collect();
        known.sort_unstable_by_key(|elected| elected.meta.id.seq);
        let row = self.votes.as_ref().and_then(|votes| votes.owner_row(owner)).unwrap_or_default();
        let settled = OwnerRow::forgotten(after, known.first().copied(), row);
        let mut messages: Vec<_> =
            known.into_iter().map(|elected| Message::AdvanceSegmentResolved { elected }).collect();
        if let Some(OwnerRow { contiguous, stamp }) = settled {
            let trimmed_to = self.disk.trimmed_to;
            messages.push(Message::OwnerSettled { owner, contiguous, stamp, trimmed_to });
        }
        messages
    }

    /// Everything elected that a feed from `after` on begins with; the other way round, up to where
    /// elections are forgotten.
    pub(crate) fn elected_after(&self, after: Stamp) -> Result<Vec<Elected>, Stamp> {
        if after < self.disk.trimmed_to {
            return Err(self.disk.trimmed_to);
        }
        let written = self.disk.elected.values().copied();
        let known = written.chain(elected_of(&self.elections));
        Ok(known.filter(|elected| elected.stamp() > after).collect())
    }

    /// Forgets elections up to `upto`, with a commit.
    pub(crate) fn forget(&mut self, upto: Stamp) {
        self.disk.forget(upto);
    }

    /// Up to where elections are forgotten.
    pub(crate) const fn trimmed_to(&self) -> Stamp {
        self.disk.trimmed_to
    }

    /// A peer has forgotten up to here.
    pub(crate) fn trim(&mut self, trimmed_to: Stamp) {
        self.disk.trimmed_to = self.disk.trimmed_to.max(trimmed_to);
    }

    /// Looks for owners to forget.
    pub(crate) fn expire_owners(&self, keep: BTreeSet<OwnerId>) -> Input {
        Input::ExpireOwners { keep, trimmed_to: self.disk.trimmed_to }
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
        Some(self.votes.as_ref()?.reached().max(self.disk.trimmed_to))
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
        self.unwritten.clear();
        self.elections.clear();
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
