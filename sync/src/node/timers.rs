//! What a sync node does without a message: hedges, retries, standing aside after a stall.

use std::time::Duration;

use tokio::time::Instant;

use vixen_core::time::WallTime;
use vixen_core::wire::PeerId;
use vixen_runtime::clock::wall_time;

use super::SyncNode;
use vixen_vote::{Effects, Input};

/// Rows that nothing sent depends on wait at most this long for a commit that is needed anyway.
pub(super) const LAZY_WRITE: Duration = Duration::from_millis(200);
/// Pause between looks at segments that have been pending for long.
const RETRY: Duration = Duration::from_secs(1);
/// A loop that comes this late to what was due has been paused, or its disk or machine is slow.
const STALL: Duration = Duration::from_millis(200);
/// How long a node stands aside then: it has to read what came meanwhile, and others need not wait.
const STALLED_ASIDE: Duration = Duration::from_millis(200);
/// Pause between reads of the store for followers whose links were full.
const READ_ON: Duration = Duration::from_millis(2);
/// Pause between looks for owners that are idle, in a node that is not.
const EXPIRE_OWNERS: Duration = Duration::from_secs(600);

impl SyncNode {
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let looks = [self.disk_at, Instant::from_std(self.links.due_at())];
        if self.is_full {
            return looks.into_iter().min();
        }
        let unwritten = self.unwritten_since.map(|since| since + LAZY_WRITE);
        let hedge = self.votes.due_in_ms(wall_time()).filter(|_| !self.is_stalled());
        let hedge = hedge.map(|millis| Instant::now() + Duration::from_millis(millis));
        let reading = self.feeds.is_reading().then(|| Instant::now() + READ_ON);
        let timers =
            [unwritten, hedge, self.feeds.due_at(), self.retry_at, reading, self.stalled_until];
        timers.into_iter().flatten().chain(looks).min()
    }

    /// Stands aside for a while when the loop comes very late to what was due.
    pub(super) fn note_stall(&mut self, due: Option<Instant>, wall: WallTime, fx: &mut Effects) {
        let now = Instant::now();
        if due.is_some_and(|due| now > due + STALL) {
            self.metrics.stalls.increment(1);
            self.stalled_until = Some(now + STALLED_ASIDE);
            self.tell_aside(wall, fx);
        } else if self.stalled_until.is_some_and(|until| until <= now) {
            self.stalled_until = None;
            self.tell_aside(wall, fx);
            for input in std::mem::take(&mut self.deferred) {
                self.votes.step(wall, input, fx);
            }
        }
    }

    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    pub(super) fn on_timers(&mut self, now: WallTime, fx: &mut Effects) {
        let clock = Instant::now();
        while let Some(segment) = self.votes.overdue(now).filter(|_| !self.is_stalled()) {
            self.votes.step(now, Input::Overdue { segment }, fx);
        }
        if self.votes.pending_segments() == 0 {
            if self.retry_at.take().is_some() {
                self.pending_ages.note(std::iter::empty(), clock);
                self.metrics.waiting(&self.votes.waiting(now));
            }
        } else if self.retry_at.is_some_and(|at| at <= clock) {
            self.votes.step(now, Input::Retry, fx);
            self.retry_at = Some(clock + RETRY);
            self.pending_ages.note(self.votes.pending_ids(), clock);
            self.metrics.waiting(&self.votes.waiting(now));
        } else if self.retry_at.is_none() {
            self.retry_at = Some(clock + RETRY);
            self.pending_ages.note(self.votes.pending_ids(), clock);
        }
        // The last of what is stepped: nothing is refused for it before it is durable.
        if self.votes.has_ended_owners() || self.owners_expired_at.elapsed() >= EXPIRE_OWNERS {
            self.owners_expired_at = clock;
            let linked = self.links.values().filter_map(|linked| match linked.peer {
                PeerId::Entry { owner } => Some(owner),
                PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
            });
            let (keep, trimmed_to) = (linked.collect(), self.trimmed_to());
            self.votes.step(now, Input::ExpireOwners { keep, trimmed_to }, fx);
        }
    }
}
