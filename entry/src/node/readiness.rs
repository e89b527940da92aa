//! Who is silent, what is missed, and whether the entry can acknowledge (DESIGN §6).

use tokio::time::Instant;

use vixen_broker::{delivery, segmenter};
use vixen_core::name::NodeName;
use vixen_core::order;
use vixen_core::time::WallTime;
use vixen_core::wire::{NdbStanding, PeerId};
use vixen_core::words::{Absence, Words};
use vixen_runtime::link::LinkId;
use vixen_runtime::redundancy::Redundancy;
use vixen_runtime::telemetry::Readiness;

use super::Waits;
use super::quorum::{Quorum, standing_name};
use super::run::{Effects, EntryNode};

impl EntryNode {
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
                self.sync.fall_silent(id, link, is_silent);
            }
            PeerId::Ndb { id: ndb, .. } => {
                if self.ndb.fall_silent(ndb, link, is_silent) {
                    let input = segmenter::Input::NdbSilent { ndb, is_silent };
                    self.step_segmenter(now, input, &mut fx.segmenter);
                    let input = delivery::Input::NdbSilent { ndb, is_silent };
                    self.step_delivery(now, input, &mut fx.delivery);
                    if is_silent {
                        self.reads.ndb_down(now, ndb);
                    } else {
                        self.reads.ndb_up(now, ndb);
                    }
                    self.read_order(order::Input::PeerSilent { peer: ndb, is_silent }, fx);
                }
            }
            PeerId::Entry { owner } => {
                self.on_entry_silence(now, (owner, link), is_silent, fx);
            }
        }
        self.tell_readiness();
    }

    /// How a node is missed here; an ndb node also while it takes no segments.
    fn absence(&self, name: &NodeName) -> Option<Absence> {
        let absence = self.links.absence(name).or_else(|| self.clock_absence(name));
        if absence.is_some() {
            return absence;
        }
        let ndb = self.links.values().find_map(|linked| match linked.peer {
            PeerId::Ndb { id, .. } if linked.name == *name => Some(id),
            PeerId::Ndb { .. } | PeerId::Sync { .. } | PeerId::Entry { .. } => None,
        });
        let standing = self.segmenter.standing(ndb?);
        let is_willing = standing == Some(NdbStanding::Willing);
        (!is_willing).then(|| Absence::Unable(standing_name(standing)))
    }

    /// How a sync node is missed whose stamps are left out.
    fn clock_absence(&self, name: &NodeName) -> Option<Absence> {
        let id = self.options.roster.sync_id(name)?;
        self.skew.absence(id, Instant::now().into_std())
    }

    pub(super) fn redundancy(&self) -> Redundancy {
        let (membership, roster) = (&self.options.membership, &self.options.roster);
        let redundancy = Redundancy::of(membership, roster, |name| self.absence(name));
        redundancy.with_nowhere(self.links.nowhere())
    }

    pub(super) fn quorum(&self) -> Quorum {
        let standing_of = |ndb| self.segmenter.standing(ndb);
        let absence =
            |name: &NodeName| self.links.absence(name).or_else(|| self.clock_absence(name));
        Quorum::of(&self.sync, &self.ndb, &self.options, standing_of, absence)
    }

    /// What keeps the oldest unresolved segment waiting, in words.
    pub(super) fn missing(&self) -> String {
        let quorum = self.quorum();
        let of_oldest = || {
            let oldest = self.segmenter.unresolved_segments().next()?;
            let (have, needed) = (oldest.trims.len(), quorum.write_quorum);
            let group = oldest.group;
            let count = format!("{have} of {needed} ndb nodes of group {group} took it");
            (have < needed).then(|| Words::new(count))
        };
        let missing = quorum.missing_sync().or_else(|| quorum.missing_group());
        let words = missing.or_else(of_oldest).unwrap_or_else(|| self.vote_waits());
        words.text(Instant::now().into_std())
    }

    /// Enough nodes are there, and the vote does not come: whose it is, and who of them is missed.
    fn vote_waits(&self) -> Words {
        let roster = &self.options.roster;
        let voters = roster.sync_list(self.options.membership.sync());
        let words = Words::new(format!("waiting for the vote of sync nodes {voters}"));
        let missed = self.redundancy().sync.missed;
        if missed.is_empty() { words } else { words.then("; ").gone(missed) }
    }

    /// Tells streams of events what they wait for, where it is a group of which nobody is there, or what
    /// no node of its group has.
    pub(super) fn tell_waits(&self) {
        let is_heard = |group| self.ndb.heard().any(|ndb| ndb.group == group);
        let is_any_heard = self.ndb.heard().next().is_some();
        // Else it is under way.
        let waits_for = self.delivery.waits_for();
        let holds_up = !is_any_heard || waits_for.is_some_and(|(group, _)| !is_heard(group));
        let nowhere = waits_for.and_then(|(group, at)| {
            let nowhere = self.links.nowhere().get(&group).filter(|all| all.holds_up(at)).copied();
            Some(Words::new(nowhere?.text(group)))
        });
        let gone = self.handle.waits.borrow().gone.clone();
        self.handle.tell_waits(Waits { gone, holds_up, nowhere });
    }

    /// What the view of registrations waits for, where nothing else keeps clients out for the first time: it does so
    /// for a while. See `docs/design/027-calls.md`, *How an entry catches up*.
    fn view_waits(&mut self) -> Option<Words> {
        if self.handle.has_been_ready() {
            return None;
        }
        let waits_for = self.calls.keeps_out(Instant::now())?;
        Some(Words::new(format!("calls: {waits_for}")))
    }

    /// Says whether the entry can acknowledge.
    pub(super) fn tell_readiness(&mut self) {
        let quorum = self.quorum();
        let redundancy = self.redundancy();
        redundancy.tell_metrics();
        let base = || self.reader.is_none().then(|| Words::new("no ndb node has opened a tail"));
        let missing = quorum.missing_sync().or_else(|| quorum.missing_group()).or_else(base);
        let missing = match missing {
            Some(missing) => Some(missing),
            None => self.view_waits(),
        };
        let ready = match (missing, redundancy.lost()) {
            (Some(waits_for), _) => Readiness::NotReady { waits_for },
            (None, Some(lost)) => Readiness::Degraded { lost, missed: redundancy.missed() },
            (None, None) => Readiness::Ready,
        };
        let waits = self.handle.waits.borrow().clone();
        self.handle.tell_waits(Waits { gone: redundancy.gone(), ..waits });
        self.metrics.ready(ready.is_ready());
        self.handle.tell(ready);
    }
}
