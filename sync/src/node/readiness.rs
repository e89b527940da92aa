//! Who is silent, what is missed, and whether that leaves a quorum.

use std::sync::PoisonError;

use tokio::time::Instant;

use vixen_core::name::NodeName;
use vixen_core::time::WallTime;
use vixen_core::wire::{DISK_FULL, PeerId};
use vixen_core::words::{Absence, Words};
use vixen_runtime::link::LinkId;
use vixen_runtime::redundancy::Redundancy;
use vixen_runtime::telemetry::Readiness;

use super::SyncNode;
use vixen_vote::{Effects, Input};

impl SyncNode {
    /// Beats, and takes note of who has fallen silent at `at`, the beginning of this turn: whoever is stopped later in it
    /// was not listened to, and finds out in the next.
    pub(super) fn note_silence(&mut self, now: WallTime, at: Instant, fx: &mut Effects) {
        for link in self.links.take_due(at.into_std()) {
            if let Some(peer) = self.links.get(link).map(|linked| linked.peer) {
                self.on_silence(now, link, peer, true, fx);
            }
        }
    }

    /// A peer fell silent, or is heard again.
    pub(super) fn on_silence(
        &mut self,
        now: WallTime,
        link: LinkId,
        peer: PeerId,
        is_silent: bool,
        fx: &mut Effects,
    ) {
        match peer {
            PeerId::Sync { id, .. } => {
                if self.peers.link(id) == Some(link) && self.peers.has_taken(id) {
                    self.step(now, Input::PeerSilent { peer: id, is_silent }, fx);
                }
            }
            PeerId::Ndb { .. } => self.tell_aside(now, fx),
            PeerId::Entry { .. } => {}
        }
        self.tell_readiness();
    }

    /// How a sync node is missed whose stamps are left out.
    fn clock_absence(&self, name: &NodeName) -> Option<Absence> {
        let id = self.options.roster.sync_id(name)?;
        self.clocks.skew.absence(id, Instant::now().into_std())
    }

    /// How a node is missed here; a sync node also while its store is not taken.
    fn absence(&self, name: &NodeName) -> Option<Absence> {
        if *name == self.options.name {
            let is_full = self.room.is_full().then_some(Absence::Unable(DISK_FULL));
            return is_full.or_else(|| self.clock_absence(name));
        }
        let absence = self.links.absence(name).or_else(|| self.clock_absence(name));
        // Who is full itself takes no peer's standing.
        if absence.is_some() || self.room.is_full() {
            return absence;
        }
        let mut linked = self.links.values().filter(|linked| linked.name == *name);
        let is_refused = linked.any(|linked| match linked.peer {
            PeerId::Sync { id, .. } => !self.peers.has_taken(id),
            PeerId::Ndb { .. } | PeerId::Entry { .. } => false,
        });
        is_refused.then_some(Absence::Unable("its store is not taken"))
    }

    pub(super) fn redundancy(&self) -> Redundancy {
        let (membership, roster) = (&self.options.membership, &self.options.roster);
        let redundancy = Redundancy::of(membership, roster, |name| self.absence(name));
        redundancy.with_nowhere(self.links.nowhere())
    }

    pub(super) fn tell_readiness(&self) {
        let redundancy = self.redundancy();
        redundancy.tell_metrics();
        let sync = &redundancy.sync;
        let ready = if sync.spare() < 0 {
            let count = format!("{} of {} sync nodes: waiting for ", sync.up(), sync.needed);
            Readiness::NotReady { waits_for: Words::new(count).awaited(sync.missed.clone()) }
        } else if let Some(lost) = redundancy.lost() {
            Readiness::Degraded { lost, missed: redundancy.missed() }
        } else {
            Readiness::Ready
        };
        let mut told = self.handle.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != ready {
            ready.say_change(&told);
            *told = ready;
        }
    }
}
