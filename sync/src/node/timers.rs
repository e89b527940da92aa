//! What a sync node does without a message: hedges, retries, commits of what waited for long.

use std::time::Duration;

use tokio::time::Instant;

use vixen_core::time::WallTime;
use vixen_core::wire::PeerId;
use vixen_runtime::clock::wall_time;

use super::SyncNode;
use vixen_vote::{Effects, Input, Look, READ_ON};

impl SyncNode {
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let looks = [self.room.due_at(), Instant::from_std(self.links.due_at())];
        if self.room.is_full() {
            return looks.into_iter().min();
        }
        let hedge = self.orderer.due_in_ms(wall_time()).filter(|_| !self.health.is_stalled());
        let hedge = hedge.map(|millis| Instant::now() + Duration::from_millis(millis));
        let is_reading = self.feeds.is_reading() || self.peers.is_catching_up();
        let reading = is_reading.then(|| Instant::now() + READ_ON);
        let machines = [self.commits.due_at(), self.retries.due_at(), self.health.due_at()];
        let machines = machines.into_iter().flatten().map(Instant::from_std);
        machines.chain(hedge).chain(reading).chain(looks).min()
    }

    pub(super) fn on_timers(&mut self, now: WallTime, fx: &mut Effects) {
        let clock = Instant::now().into_std();
        while let Some(segment) = self.orderer.overdue(now).filter(|_| !self.health.is_stalled()) {
            self.step(now, Input::Overdue { segment }, fx);
        }
        match self.retries.look(self.orderer.pending_ids(), clock) {
            Look::Nothing => {}
            Look::Retry => {
                self.step(now, Input::Retry, fx);
                self.metrics.waiting(&self.orderer.waiting(now));
            }
            Look::Over => self.metrics.waiting(&self.orderer.waiting(now)),
        }
        if self.retention.looks_for_owners(self.orderer.has_ended_owners(), clock) {
            let linked = self.links.values().filter_map(|linked| match linked.peer {
                PeerId::Entry { owner } => Some(owner),
                PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
            });
            let (keep, trimmed_to) = (linked.collect(), self.trimmed_to());
            self.step(now, Input::ExpireOwners { keep, trimmed_to }, fx);
        }
    }
}
