//! What steps owe: one commit, then everything that depends on it.

use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::Stamp;
use vixen_core::segment::Elected;
use vixen_core::wire::Message;

use super::timers::LAZY_WRITE;
use super::{SyncError, SyncNode};
use crate::store::{Beside, Retention, StoreError};
use vixen_vote::{Effects, Envelope, Write};

/// More elections than this do not wait.
const ELECTIONS_MAX: usize = 4_096;
/// Elections that took longer are worth a line of a debugging log.
const SLOW_MS: u64 = 100;
/// Elections that one commit looks at for forgetting.
const FORGET_ROWS_MAX: usize = 2_048;

impl SyncNode {
    /// Does what the steps owe, in the order the vote asks for.
    pub(super) fn settle(&mut self, fx: Effects, stop: bool) -> Result<(), SyncError> {
        for drop in &fx.dropped {
            self.metrics.dropped(*drop);
        }
        let is_overdue = self.unwritten_since.is_some_and(|since| since.elapsed() >= LAZY_WRITE);
        // A peer's vote counts from its first word on: its store must be remembered by then.
        let has_stranger = self.standings.has_stranger();
        let is_uncounted = !self.is_counted;
        let is_many = self.elections.len() >= ELECTIONS_MAX;
        let all = is_overdue || stop || has_stranger || is_uncounted || is_many;
        if !fx.writes.is_empty() {
            self.unwritten.extend_from_slice(&fx.writes);
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        self.metrics.ballots_started.increment(fx.ballots_started);
        for (segment, waited_ms) in &fx.waited {
            self.metrics.election_seconds.record(Duration::from_millis(*waited_ms).as_secs_f64());
            if *waited_ms >= SLOW_MS {
                tracing::debug!(%segment, waited_ms, "slow election");
            }
        }
        let must_commit = all || is_awaited(&fx) || self.trimmed_by_peer.is_some();
        if must_commit && !self.commit(all)? {
            self.hold(fx);
            return Ok(());
        }
        self.finish(fx)
    }

    /// Does what steps owe once their writes are durable.
    pub(super) fn finish(&mut self, fx: Effects) -> Result<(), SyncError> {
        if fx.ends_feeds {
            self.feeds.trim(self.trimmed_to());
        }
        for Envelope { to, message, .. } in fx.sends {
            self.tell_peer(to, message);
        }
        for (to, owner) in fx.forgotten {
            let trimmed_to = self.trimmed_to();
            self.tell_peer(to, Message::OwnerForgotten { owner, trimmed_to });
        }
        for (to, segment, answer) in fx.answers {
            self.answer(to, segment, answer)?;
        }
        let now = Instant::now();
        for election in fx.elected {
            let elected = election.elected;
            self.feeds.publish(elected, !self.votes.is_reserve_of(elected.meta.id.owner), now);
            self.metrics.elected.increment(1);
            self.elections.push(election.write());
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        let forgets = fx.later.iter().any(|write| matches!(write, Write::DropOwner(_)));
        if !fx.later.is_empty() {
            self.elections.extend(fx.later);
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        for (to, owner, after) in fx.catch_ups {
            self.catch_up(to, owner, after)?;
        }
        if self.feeds.is_reading() {
            self.feeds.read_on(&self.store, elected_of(&self.elections))?;
        }
        let watermark = self.votes.watermark().filter(|_| self.has_joined);
        if let Some(watermark) = watermark {
            assert!(watermark >= self.told, "V3: the watermark never falls");
            self.told = watermark;
        }
        self.feeds.tell(watermark, now);
        // A refusal is for good: none may leave while a crash can bring the owner back.
        if forgets && !self.commit(true)? {
            self.hold(Effects::default());
        }
        self.tell_metrics();
        Ok(())
    }

    /// Commits the votes that wait, and `all`: the elections after them, and what may be forgotten.
    /// `false` when the disk has no room for it: then all of it waits on.
    pub(super) fn commit(&mut self, all: bool) -> Result<bool, StoreError> {
        let elections = if all { self.elections.as_slice() } else { &[] };
        let standings = if all { self.standings.unwritten() } else { Vec::new() };
        let beside = Beside { standings, trimmed_to: self.trimmed_by_peer };
        let rows = self.unwritten.len() + elections.len();
        let has_stranger = self.standings.has_stranger();
        if rows == 0 && beside.trimmed_to.is_none() && !has_stranger && self.is_counted {
            self.unwritten_since = self.unwritten_since.filter(|_| !all);
            return Ok(true);
        }
        let begun = Instant::now();
        let floors = self.applied.floors(&self.options.membership);
        let votes = &self.votes;
        let may_go = |elected: &Elected| {
            let owner = votes.owner_row(elected.meta.id.owner);
            floors.get(&elected.challenger.group).is_some_and(|floor| elected.stamp() <= *floor)
                // An owner that was dropped has been elected to its end.
                && owner.is_none_or(|row| elected.meta.id.seq <= row.contiguous)
        };
        let retention = Retention {
            upto: self.ages.older_than(self.options.feed_retention, votes.newest_elected(), begun),
            may_go: &may_go,
            rows_max: FORGET_ROWS_MAX,
        };
        let writes = self.unwritten.iter().chain(elections);
        match self.store.commit(writes, &beside, all.then_some(retention)) {
            Ok(()) => {}
            Err(error) if error.is_of_room(&self.options.dir) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.unwritten.clear();
        self.trimmed_by_peer = None;
        self.is_counted = true;
        if all {
            self.elections.clear();
            self.standings.written();
            self.unwritten_since = None;
        }
        self.metrics.commits.increment(1);
        self.metrics.commit_rows.increment(rows as u64);
        self.metrics.commit_seconds.record(begun.elapsed().as_secs_f64());
        Ok(true)
    }

    /// Elections up to here may be forgotten here.
    pub(super) fn trimmed_to(&self) -> Stamp {
        self.store.trimmed_to().max(self.trimmed_by_peer.unwrap_or_default())
    }
}

/// Whether something that leaves depends on the writes of these steps. A draft of the home itself
/// goes to nobody: it may ride with the proposal that follows it. A ceiling is awaited by the
/// watermark, an election by the feeds if this node's own vote is in it.
fn is_awaited(fx: &Effects) -> bool {
    let has_ceiling = fx.writes.iter().any(|write| matches!(write, Write::Ceiling(_)));
    let leaves = !fx.sends.is_empty() || !fx.elected.is_empty();
    has_ceiling || (leaves && !fx.writes.is_empty())
}

/// The elections among rows that wait.
pub(super) fn elected_of(unwritten: &[Write]) -> impl Iterator<Item = Elected> + Clone {
    unwritten.iter().filter_map(|write| match write {
        Write::Elected(elected, _) => Some(*elected),
        _ => None,
    })
}
