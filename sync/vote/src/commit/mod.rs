//! Commits: which rows wait, what waits for them, and what goes in one transaction.
//!
//! ```text
//!   steps --effects--> rows kept --- something waits for them? --no---> the rest leaves
//!                                              | yes                        ^
//!                                              +--> Disk::write ------------+
//!                                                       | no room: all of it is held
//! ```
//! Effects say what each send, each election and the watermark depend on ([`After`]). A batch takes all
//! rows of the vote that are not on disk, so a commit is shared by all that steps owe together: that is
//! the group commit. Rows that nobody waits for, like a draft that its own coordinator proposes
//! from, go with the next commit that is due.
//!
//! Elections touch more of the store than votes do and follow from votes at a quorum, so they wait for
//! [`LAZY_WRITE`] and go together, with what is settled about owners, what is remembered of peers and what
//! may be forgotten. A segment's vote row is always written before, or with, its election.
//!
//! The driver, the simulation and the model checker run this code; each brings its [`Disk`].
//!
//! What depends on no row that waits may leave before the turn's commit ([`Commits::early`]).
//!
//! Invariant:
//! - W1: nothing leaves before what it depends on is durable.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use vixen_core::id::{SegmentId, Stamp, SyncId};
use vixen_core::segment::Elected;
use vixen_core::wire::StandingRefusal;

use super::acceptor::VoteState;
use super::effects::{After, Effects, Envelope, Write};
use super::peers::{Standing, Standings};

/// Rows that nothing sent depends on wait at most this long for a commit that is needed anyway.
pub const LAZY_WRITE: Duration = Duration::from_millis(200);
/// More elections than this do not wait.
const ELECTIONS_MAX: usize = 4_096;

/// What one commit writes, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Rows of the vote, in this order.
    pub writes: Vec<Write>,
    /// What is remembered of peers.
    pub standings: Vec<(SyncId, Standing)>,
    /// A peer has forgotten elections up to here.
    pub trimmed_to: Option<Stamp>,
    /// Elections are among the rows, if there are any: the time to forget some.
    pub has_elections: bool,
}

/// Where a node writes.
pub trait Disk {
    /// Why it cannot, for good.
    type Error;

    /// Writes the batch in one transaction, durable on return. `false` when there is no room for it:
    /// then nothing of it is written.
    ///
    /// # Errors
    /// When nothing is certain any more but what is on disk.
    fn write(&mut self, batch: &Batch) -> Result<bool, Self::Error>;
}

/// What of the waiting rows a commit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Votes, the ceiling, and what a peer has forgotten.
    Votes,
    /// All.
    All,
}

/// Rows that are not on disk, and what is held while there is no room for them. See the module doc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// The last row of each segment's vote.
    votes: BTreeMap<SegmentId, VoteState>,
    ceiling: Option<Stamp>,
    /// Elections that have left, and what is settled about owners, oldest first.
    elections: Vec<Write>,
    /// Since when the oldest of these waits.
    since: Option<Instant>,
    /// A peer has forgotten elections up to here.
    trimmed_to: Option<Stamp>,
    standings: Standings,
    /// This start is not among the commits on disk.
    is_uncounted: bool,
    /// What steps owe whose rows found no room.
    held: Option<Effects>,
}

impl Hash for Commits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { votes, ceiling, elections, since, trimmed_to, is_uncounted, .. } = self;
        (votes, ceiling, elections.len(), since, trimmed_to, is_uncounted).hash(state);
    }
}

impl Commits {
    /// Those of a node that remembers this of its peers, and whose start was counted as a commit, or
    /// was not for want of room.
    #[must_use]
    pub fn new(standings: Standings, is_counted: bool) -> Self {
        Self { standings, is_uncounted: !is_counted, ..Self::default() }
    }

    /// Takes out what may leave before the turn ends, since its rows are none that it depends on: above all a
    /// proposal, so that its coordinator and the others write at the same time. Nothing while a ceiling, or what is
    /// remembered of peers or owners, is to be written, on which all may depend.
    pub fn early(&self, fx: &mut Effects) -> Vec<Envelope> {
        let has_ceiling = fx.writes.iter().any(|write| matches!(write, Write::Ceiling(_)));
        if self.ceiling.is_some() || has_ceiling || self.is_urgent(fx) {
            return Vec::new();
        }
        let (writes, votes) = (&fx.writes, &self.votes);
        let rows = |segment: SegmentId| {
            let of_turn = writes
                .iter()
                .filter(|write| matches!(write, Write::Vote(vote) if vote.meta.id == segment));
            of_turn.count() + usize::from(votes.contains_key(&segment))
        };
        let may_leave = |sent: &Envelope| match sent.after {
            After::Nothing | After::Clock => true,
            After::Vote(segment) => rows(segment) == 0,
            // The last of these is what it was before. The election before it may rest on this node's own vote.
            After::Promise(segment) => {
                !votes.contains_key(&segment)
                    && rows(segment) <= 1
                    && segment.previous().is_none_or(|previous| rows(previous) == 0)
            }
            After::All => writes.is_empty() && votes.is_empty(),
        };
        let (early, later) =
            std::mem::take(&mut fx.sends).into_iter().partition::<Vec<_>, _>(may_leave);
        fx.sends = later;
        early
    }

    /// Does what the steps of a turn owe to the disk: their rows wait, or are written because something
    /// waits for them, or because all is to be written. What may leave then; nothing when there is no
    /// room, and it is held until [`go_on`](Self::go_on).
    ///
    /// # Errors
    /// Those of the disk.
    pub fn turn<D: Disk>(
        &mut self,
        now: Instant,
        mut fx: Effects,
        writes_all: bool,
        disk: &mut D,
    ) -> Result<Option<Effects>, D::Error> {
        assert!(self.held.is_none(), "nothing steps while something is held");
        for write in std::mem::take(&mut fx.writes) {
            match write {
                Write::Vote(vote) => _ = self.votes.insert(vote.meta.id, vote),
                Write::Ceiling(ceiling) => self.ceiling = Some(ceiling),
                Write::Elected(..) | Write::OwnerSettled(..) | Write::DropOwner(_) => {
                    self.elections.push(write);
                }
            }
        }
        let scope = self.due(now, &fx, writes_all);
        self.settle(now, fx, scope, disk)
    }

    /// Tries again what found no room, and all that waits. What may leave then; nothing when there is
    /// still no room.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn go_on<D: Disk>(
        &mut self,
        now: Instant,
        disk: &mut D,
    ) -> Result<Option<Effects>, D::Error> {
        let fx = self.held.take().unwrap_or_default();
        let scope = self.has_rows(&fx).then_some(Scope::All);
        self.settle(now, fx, scope, disk)
    }

    fn settle<D: Disk>(
        &mut self,
        now: Instant,
        mut fx: Effects,
        scope: Option<Scope>,
        disk: &mut D,
    ) -> Result<Option<Effects>, D::Error> {
        if let Some(scope) = scope {
            if !disk.write(&self.batch(scope, &fx))? {
                self.held = Some(fx);
                return Ok(None);
            }
            self.written(scope);
        }
        let settled = std::mem::take(&mut fx.later);
        if scope != Some(Scope::All) {
            self.elections.extend(fx.elected.iter().map(|election| election.write()));
            self.elections.extend(settled);
        }
        let is_idle = self.votes.is_empty() && self.ceiling.is_none() && self.elections.is_empty();
        self.since = if is_idle { None } else { Some(self.since.unwrap_or(now)) };
        assert!(!self.is_awaited(&fx), "W1");
        Ok(Some(fx))
    }

    /// What must be written now.
    fn due(&self, now: Instant, fx: &Effects, writes_all: bool) -> Option<Scope> {
        let is_overdue = self.due_at().is_some_and(|due| due <= now);
        let is_urgent = self.is_urgent(fx);
        let is_many = self.elections.len() >= ELECTIONS_MAX;
        if (writes_all || is_overdue || is_urgent || is_many) && self.has_rows(fx) {
            return Some(Scope::All);
        }
        (self.is_awaited(fx) || self.trimmed_to.is_some()).then_some(Scope::Votes)
    }

    /// Whether something is to be on disk before anything leaves.
    fn is_urgent(&self, fx: &Effects) -> bool {
        // A refusal is for good: none may leave while a crash can bring the owner back.
        let forgets = fx.later.iter().any(|write| matches!(write, Write::DropOwner(_)));
        // A peer's vote counts from its first word on: its store must be remembered by then.
        self.is_uncounted || self.standings.has_stranger() || forgets
    }

    /// Whether something that leaves depends on a row that is not on disk. The watermark, which
    /// follows each turn, depends on the ceiling.
    fn is_awaited(&self, fx: &Effects) -> bool {
        let sends = fx.sends.iter().map(|sent| sent.after);
        let accepted = fx.accepted.iter().map(|(_, after)| *after);
        let elected = fx.elected.iter().map(|election| election.after);
        let mut afters = sends.chain(accepted).chain(elected);
        self.ceiling.is_some() || afters.any(|after| self.is_waiting(after))
    }

    fn is_waiting(&self, after: After) -> bool {
        match after {
            After::Nothing => false,
            After::Vote(segment) | After::Promise(segment) => self.votes.contains_key(&segment),
            After::Clock => self.ceiling.is_some(),
            After::All => !self.votes.is_empty() || self.ceiling.is_some(),
        }
    }

    /// Whether a commit of all would write anything, besides what is remembered of known peers.
    fn has_rows(&self, fx: &Effects) -> bool {
        !self.votes.is_empty()
            || !self.elections.is_empty()
            || !fx.elected.is_empty()
            || !fx.later.is_empty()
            || self.ceiling.is_some()
            || self.trimmed_to.is_some()
            || self.standings.has_stranger()
            || self.is_uncounted
    }

    fn batch(&self, scope: Scope, fx: &Effects) -> Batch {
        let mut batch = Batch {
            writes: self.waiting_votes().collect(),
            trimmed_to: self.trimmed_to,
            ..Batch::default()
        };
        if scope == Scope::All {
            batch.writes.extend(&self.elections);
            batch.writes.extend(fx.elected.iter().map(|election| election.write()));
            batch.writes.extend(&fx.later);
            batch.standings = self.standings.unwritten();
            batch.has_elections = true;
        }
        batch
    }

    fn written(&mut self, scope: Scope) {
        self.votes.clear();
        (self.ceiling, self.trimmed_to, self.is_uncounted) = (None, None, false);
        if scope == Scope::All {
            self.elections.clear();
            self.standings.written();
            self.since = None;
        }
    }

    /// When rows that nobody waits for are to be written: a turn is due then, though nothing comes.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        self.since.map(|since| since + LAZY_WRITE)
    }

    /// Rows of the vote that wait, in the order of a batch.
    pub fn waiting_votes(&self) -> impl Iterator<Item = Write> {
        let votes = self.votes.values().map(|vote| Write::Vote(*vote));
        votes.chain(self.ceiling.map(Write::Ceiling))
    }

    /// Rows that wait besides those, oldest first.
    #[must_use]
    pub fn waiting_elections(&self) -> &[Write] {
        &self.elections
    }

    /// Elections that have left and are not in the store, oldest first.
    pub fn elections(&self) -> impl Iterator<Item = Elected> + Clone {
        self.elections.iter().filter_map(|write| match write {
            Write::Elected(elected, _) => Some(*elected),
            Write::Vote(_) | Write::Ceiling(_) | Write::OwnerSettled(..) | Write::DropOwner(_) => {
                None
            }
        })
    }

    /// Rows that wait.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.votes.len() + usize::from(self.ceiling.is_some()) + self.elections.len()
    }

    /// A peer has forgotten elections up to here, which is beyond what this node has: so it has.
    pub fn trim(&mut self, trimmed_to: Stamp) {
        self.trimmed_to = self.trimmed_to.max(Some(trimmed_to));
    }

    /// Whether a turn is held while there is no room. The vote is ahead then of what may be told.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Up to where elections are forgotten, where that is not on disk yet.
    #[must_use]
    pub fn trimmed_to(&self) -> Stamp {
        self.trimmed_to.unwrap_or_default()
    }

    /// Takes what a peer says of its store, and remembers it with the next commit of all.
    ///
    /// # Errors
    /// When it contradicts what is remembered; that stays remembered.
    pub fn take_standing(&mut self, peer: SyncId, said: Standing) -> Result<(), StandingRefusal> {
        self.standings.take(peer, said)
    }

    /// What is remembered of a peer's store.
    #[must_use]
    pub fn standing(&self, peer: SyncId) -> Option<&Standing> {
        self.standings.get(peer)
    }
}

#[cfg(test)]
mod tests;
