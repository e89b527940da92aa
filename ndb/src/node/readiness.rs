//! Who is silent, what is missed, and whether that leaves enough feeds.

use std::sync::PoisonError;
use std::time::Instant;

use vixen_core::words::{Absence, Words};
use vixen_replica::{Effects, Input};
use vixen_runtime::link::LinkId;
use vixen_runtime::redundancy::Redundancy;
use vixen_runtime::telemetry::Readiness;

use super::NdbNode;

impl NdbNode {
    /// Beats, and takes note of who has fallen silent at `at`, the beginning of this turn: whoever is stopped later in it
    /// was not listened to, and finds out in the next.
    pub(super) fn note_silence(&mut self, at: Instant, fx: &mut Effects) {
        for link in self.links.take_due(at) {
            self.on_silence(link, fx);
        }
    }

    /// The peer of a link fell silent on it, or is heard again.
    pub(super) fn on_silence(&mut self, link: LinkId, fx: &mut Effects) {
        let Some(peer) = self.links.get(link).map(|linked| linked.peer) else { return };
        let is_silent = !self.is_heard(&peer);
        self.step(Input::Silent { peer, is_silent }, fx);
        self.tell_readiness();
    }

    pub(super) fn redundancy(&self) -> Redundancy {
        let (membership, roster) = (&self.options.membership, &self.options.roster);
        let own = self.core.standing().unable().map(Absence::Unable);
        let mut nowhere = self.links.nowhere();
        let own_nowhere = self.core.nowhere();
        if own_nowhere.segments > 0 {
            let group = nowhere.entry(self.options.id.group).or_default();
            *group = group.or(own_nowhere);
        }
        let redundancy = Redundancy::of(membership, roster, |name| {
            let own = own.clone().filter(|_| *name == self.options.name);
            own.or_else(|| self.links.absence(name)).or_else(|| {
                let id = roster.sync_id(name)?;
                self.skew.absence(id, Instant::now())
            })
        });
        redundancy.with_nowhere(nowhere)
    }

    pub(super) fn tell_readiness(&self) {
        let redundancy = self.redundancy();
        redundancy.tell_metrics();
        let sync = &redundancy.sync;
        let ready = if sync.spare() < 0 {
            let count =
                format!("{} of {} feeds of sync nodes: waiting for ", sync.up(), sync.needed);
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
