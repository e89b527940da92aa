//! The machines of a sync node that can be recorded: the vote, and its commits, which take over what the
//! steps of the vote owe.

use std::convert::Infallible;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use vixen_core::id::{Stamp, SyncId};
use vixen_core::recording::{self, Machine, Now, PlayError, Played, Player, Tell, Told, tell_all};
use vixen_core::wire::StandingRefusal;

use super::{
    Batch, Commits, Disk, Effects, Envelope, Input, Orderer, Recovered, Standing, Standings,
    VoteOptions,
};

/// Number of the vote in a recording.
pub const ORDERER: u8 = 1;
/// Number of the commits.
pub const COMMITS: u8 = 2;

/// What a vote begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrdererStart {
    /// Who votes.
    pub options: VoteOptions,
    /// What the store gave back.
    pub recovered: Recovered,
}

impl Tell for Effects {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        let Self { writes, sends, accepted, elected, later, catch_ups, .. } = self;
        let Self { forgotten, answers, .. } = self;
        tell_all("write", writes, told);
        tell_all("send", sends, told);
        tell_all("accepted", accepted, told);
        tell_all("elected", elected, told);
        tell_all("write later", later, told);
        tell_all("catch up", catch_ups, told);
        tell_all("forgotten", forgotten, told);
        tell_all("answer", answers, told);
        let Self { ends_feeds, waited, ballots_started, dropped, .. } = self;
        if *ends_feeds {
            told("end all feeds", &());
        }
        tell_all("waited", waited, told);
        if *ballots_started > 0 {
            told("ballots started", ballots_started);
        }
        tell_all("drop", dropped, told);
    }
}

impl recording::Effects for Effects {
    fn append(&mut self, later: Self) {
        self.writes.extend(later.writes);
        self.sends.extend(later.sends);
        self.accepted.extend(later.accepted);
        self.elected.extend(later.elected);
        self.later.extend(later.later);
        self.catch_ups.extend(later.catch_ups);
        // Told once a turn, as steps have it.
        for told in later.forgotten {
            if !self.forgotten.contains(&told) {
                self.forgotten.push(told);
            }
        }
        self.answers.extend(later.answers);
        self.ends_feeds |= later.ends_feeds;
        self.waited.extend(later.waited);
        self.ballots_started += later.ballots_started;
        self.dropped.extend(later.dropped);
    }
}

impl Machine for Orderer {
    const NAME: &'static str = "vote";
    type Start = OrdererStart;
    type Input = Input;
    type Effects = Effects;

    fn begin(start: OrdererStart, _now: Now) -> Self {
        Self::new(start.options, &start.recovered)
    }

    fn advance(&mut self, input: Input, now: Now, fx: &mut Effects) {
        self.step(now.wall, input, fx);
    }
}

/// What commits begin with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommitStart {
    /// What is remembered of peers.
    pub standings: Vec<(SyncId, Standing)>,
    /// Whether this start was counted as a commit.
    pub is_counted: bool,
}

/// What can happen to commits. A disk's answer is `None` where it was not asked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum CommitInput {
    /// A turn ends, and what its steps owe is taken over.
    Turn {
        /// All that waits is to be written.
        writes_all: bool,
        /// What the disk said: whether there was room.
        wrote: Option<bool>,
    },
    /// What found no room is tried again.
    GoOn {
        /// What the disk said.
        wrote: Option<bool>,
    },
    /// A peer has forgotten elections up to here.
    Trim {
        /// The last of them.
        trimmed_to: Stamp,
    },
    /// A peer has said how far its store is.
    Standing {
        /// The peer.
        peer: SyncId,
        /// What it said.
        said: Standing,
    },
}

/// What that has led to.
#[derive(Debug, Default)]
pub struct CommitOutcome<'a> {
    /// What the disk was to write.
    pub batch: Option<&'a Batch>,
    /// What has left before the commit.
    pub early: &'a [Envelope],
    /// What may leave now; `None` where it is held for want of room.
    pub leaves: Option<&'a Effects>,
    /// The peer is refused.
    pub refusal: Option<StandingRefusal>,
}

impl Tell for CommitOutcome<'_> {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        let Self { batch, early, leaves, refusal } = self;
        tell_all("send early", early, told);
        batch.iter().for_each(|batch| told("commit", batch));
        leaves.iter().for_each(|leaves| leaves.tell(told));
        refusal.iter().for_each(|refusal| told("refuse", refusal));
    }
}

/// A disk that is looked at as it is written to, or is not.
#[derive(Debug)]
pub struct Witness<D> {
    disk: D,
    looks: bool,
    seen: Option<(Batch, bool)>,
}

impl<D> Witness<D> {
    /// Looks at this one, if it `looks`.
    pub const fn new(disk: D, looks: bool) -> Self {
        Self { disk, looks, seen: None }
    }

    /// What it was to write, if anything, and whether there was room.
    pub fn into_seen(self) -> Option<(Batch, bool)> {
        self.seen
    }
}

impl<D: Disk> Disk for Witness<D> {
    type Error = D::Error;

    fn write(&mut self, batch: &Batch) -> Result<bool, D::Error> {
        let wrote = self.disk.write(batch)?;
        if self.looks {
            self.seen = Some((batch.clone(), wrote));
        }
        Ok(wrote)
    }
}

/// A disk that says what another has said.
struct Said(bool);

impl Disk for Said {
    type Error = Infallible;

    fn write(&mut self, _batch: &Batch) -> Result<bool, Infallible> {
        Ok(self.0)
    }
}

/// The machines of a sync node, in a replay.
#[derive(Debug, Default)]
pub struct VotePlayer {
    orderer: Played<Orderer>,
    commits: Option<Commits>,
    /// What the steps since the last turn owe.
    owed: Effects,
}

/// What people call the commits.
const COMMITS_NAME: &str = "commits";

impl VotePlayer {
    /// The vote, once it has begun.
    #[must_use]
    pub const fn orderer(&self) -> Option<&Orderer> {
        self.orderer.get()
    }

    fn commit(
        &mut self,
        now: Now,
        input: CommitInput,
        told: &mut dyn Told,
    ) -> Result<(), PlayError> {
        let commits = self.commits.as_mut().ok_or(PlayError::NotBegun(COMMITS_NAME))?;
        told.input(COMMITS_NAME, &input);
        // A disk that was not asked, and is asked now, is told of by what it is to write.
        let disk = |wrote: Option<bool>| Witness::new(Said(wrote.unwrap_or(true)), true);
        let (mut early, mut leaves, mut seen, mut refusal) = (Vec::new(), None, None, None);
        match input {
            CommitInput::Turn { writes_all, wrote } => {
                let (mut owed, mut disk) = (std::mem::take(&mut self.owed), disk(wrote));
                early = commits.early(&mut owed);
                let Ok(left) = commits.turn(now.instant, owed, writes_all, &mut disk);
                (leaves, seen) = (left, disk.into_seen());
            }
            CommitInput::GoOn { wrote } => {
                let mut disk = disk(wrote);
                let Ok(left) = commits.go_on(now.instant, &mut disk);
                (leaves, seen) = (left, disk.into_seen());
            }
            CommitInput::Trim { trimmed_to } => commits.trim(trimmed_to),
            CommitInput::Standing { peer, said } => {
                refusal = commits.take_standing(peer, said).err();
            }
        }
        let batch = seen.as_ref().map(|(batch, _)| batch);
        let outcome = CommitOutcome { batch, early: &early, leaves: leaves.as_ref(), refusal };
        outcome.tell(&mut |kind, effect| told.effect(kind, effect));
        Ok(())
    }
}

impl Player for VotePlayer {
    fn begin(&mut self, machine: u8, now: Now, body: &[u8]) -> Result<&'static str, PlayError> {
        match machine {
            ORDERER => self.orderer.begin(now, body),
            COMMITS => {
                let start: CommitStart = recording::read(COMMITS_NAME, body)?;
                let standings = Standings::new(start.standings);
                self.commits = Some(Commits::new(standings, start.is_counted));
                Ok(COMMITS_NAME)
            }
            other => Err(PlayError::Unknown(other)),
        }
    }

    fn advance(
        &mut self,
        machine: u8,
        now: Now,
        body: &[u8],
        told: &mut dyn Told,
    ) -> Result<(), PlayError> {
        match machine {
            ORDERER => {
                let owed = self.orderer.advance(now, body, told)?;
                recording::Effects::append(&mut self.owed, owed);
                Ok(())
            }
            COMMITS => self.commit(now, recording::read(COMMITS_NAME, body)?, told),
            other => Err(PlayError::Unknown(other)),
        }
    }
}
