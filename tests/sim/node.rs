//! One sync node of the simulation: the shipped vote over a disk that can lose what was not
//! committed.

use std::collections::BTreeMap;

use vixen_common::id::{Lane, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_common::segment::Elected;
use vixen_common::time::WallTime;
use vixen_common::wire::Message;
use vixen_sync::vote::{Effects, Input, OwnerRow, Recovered, VoteOptions, VoteState, Votes, Write};

/// What a node has on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    ceiling: Stamp,
    votes: BTreeMap<SegmentId, VoteState>,
    elected: BTreeMap<SegmentId, Elected>,
    owners: BTreeMap<OwnerId, OwnerRow>,
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
            }
        }
    }

    fn put_owner(&mut self, owner: OwnerId, row: OwnerRow) {
        let known = self.owners.entry(owner).or_default();
        *known = (*known).max(row);
    }

    fn recover(&self) -> Recovered {
        let beyond = |(id, elected): (&SegmentId, &Elected)| {
            let row = self.owners.get(&id.owner).copied().unwrap_or_default();
            (id.seq > row.contiguous).then_some((*id, elected.stamp()))
        };
        Recovered {
            ceiling: self.ceiling,
            owners: self.owners.iter().map(|(id, row)| (*id, *row)).collect(),
            beyond: self.elected.iter().filter_map(beyond).collect(),
            votes: self.votes.values().copied().collect(),
        }
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
}

fn elected_of(unwritten: &[Write]) -> impl Iterator<Item = Elected> {
    unwritten.iter().filter_map(|write| match write {
        Write::Elected(elected, _) => Some(*elected),
        _ => None,
    })
}

pub(crate) struct Node {
    options: VoteOptions,
    pub(crate) votes: Option<Votes>,
    disk: Disk,
    /// Rows that nothing sent depends on, as in the driver: votes, and elections after them.
    unwritten: Vec<Write>,
    elections: Vec<Write>,
    told: Stamp,
    /// Wall time minus true time.
    pub(crate) skew_ms: i64,
    pub(crate) paused_until_ms: u64,
    pub(crate) restart_at_ms: u64,
}

impl Node {
    pub(crate) fn new(id: SyncId, members: Vec<SyncId>, write_quorum: u8) -> Self {
        assert!(Lane::new(id.0).is_some());
        let options = VoteOptions { id, members, write_quorum, clock_ahead_max_ms: 10_000 };
        Self {
            votes: Some(Votes::new(options.clone(), Recovered::default())),
            options,
            disk: Disk::default(),
            unwritten: Vec::new(),
            elections: Vec::new(),
            told: Stamp::ZERO,
            skew_ms: 0,
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
            return Output::default();
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
        let mut output = Output { sends: fx.sends, ..Output::default() };
        for (to, owner, after) in fx.catch_ups {
            let known = self.known_of(owner, after).into_iter();
            output
                .sends
                .extend(known.map(|elected| (to, Message::AdvanceSegmentResolved { elected })));
        }
        if let Some(Crash::AfterCommit(sent)) = crash {
            output.sends.truncate(sent);
            self.crash();
            return output;
        }
        for (elected, owner) in fx.elected {
            self.elections.push(Write::Elected(elected, owner));
            output.elected.push(elected);
        }
        output.watermark = self.votes.as_ref().and_then(Votes::watermark);
        if let Some(watermark) = output.watermark {
            assert!(watermark >= self.told, "V3: the watermark fell, restarts included");
            self.told = watermark;
        }
        output
    }

    fn known_of(&self, owner: OwnerId, after: Seq) -> Vec<Elected> {
        let written = self.disk.elected.values().copied();
        let known = written.chain(elected_of(&self.elections));
        known.filter(|e| e.meta.id.owner == owner && e.meta.id.seq > after).collect()
    }

    /// Everything elected that a feed from `after` on begins with.
    pub(crate) fn elected_after(&self, after: Stamp) -> Vec<Elected> {
        let written = self.disk.elected.values().copied();
        let known = written.chain(elected_of(&self.elections));
        known.filter(|elected| elected.stamp() > after).collect()
    }

    /// A segment that has waited for long enough.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<SegmentId> {
        self.votes.as_ref()?.overdue(self.wall(now_ms))
    }

    pub(crate) fn watermark(&self) -> Option<Stamp> {
        self.votes.as_ref().and_then(Votes::watermark)
    }

    pub(crate) fn crash(&mut self) {
        self.votes = None;
        self.unwritten.clear();
        self.elections.clear();
    }

    pub(crate) fn restart(&mut self) {
        self.votes = Some(Votes::new(self.options.clone(), self.disk.recover()));
    }
}
