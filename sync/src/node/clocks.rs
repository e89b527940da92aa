//! What people are told of clocks: how far the order's stamps, and this node's own, are ahead of
//! its wall time.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::{Stamp, SyncId};
use vixen_core::skew::Skew;
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, NodeMessage, PeerId};
use vixen_runtime::clock::wall_time;

use super::SyncNode;

/// Pause between looks, also in a node that has nothing to do: wall time may have been set.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// What nodes say of their clocks, and what people were told last.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    pub(super) skew: Skew,
    order_is_ahead: bool,
    clock_is_ahead: bool,
    /// Nodes whose stamps are left out.
    left_out: BTreeSet<SyncId>,
}

/// Whether something that is `lead_ms` ahead is to be told as ahead. It ends at half of the bound,
/// so that a clock at the bound does not fill the log.
const fn is_ahead(was: bool, lead_ms: u64, ahead_ms_max: u64) -> bool {
    lead_ms > if was { ahead_ms_max / 2 } else { ahead_ms_max }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are years at most")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

impl SyncNode {
    /// How far the newest election, and this node's clock, are ahead of wall time, in milliseconds.
    pub(super) fn leads_ms(&self, now: WallTime) -> (u64, u64) {
        let lead = |stamp: Stamp| stamp.wall_time().millis_since(now);
        (lead(self.orderer.newest_elected()), lead(self.orderer.clock()))
    }

    /// Tells when stamps begin and cease to be far ahead of wall time.
    pub(super) fn look_at_clocks(&mut self, now: WallTime) {
        let (order_ms, clock_ms) = self.leads_ms(now);
        self.metrics.order_ahead.set(seconds(order_ms));
        self.metrics.clock_ahead.set(seconds(clock_ms));
        let ahead_ms_max =
            u64::try_from(self.options.clock_ahead_max.as_millis()).unwrap_or(u64::MAX);
        let order_is_ahead = is_ahead(self.clocks.order_is_ahead, order_ms, ahead_ms_max);
        // An order that is ahead takes all clocks along: one thing to tell.
        let of_its_own = clock_ms.saturating_sub(order_ms.max(1));
        let clock_is_ahead = is_ahead(self.clocks.clock_is_ahead, of_its_own, ahead_ms_max);
        if order_is_ahead && !self.clocks.order_is_ahead {
            tracing::warn!(
                ahead_s = order_ms / 1_000,
                "the order's stamps are ahead of this node's wall clock: clocks of sync nodes were \
                 ahead, or this one is behind; publishing goes on, and message times stand almost \
                 still until wall time has caught up; check NTP"
            );
        } else if !order_is_ahead && self.clocks.order_is_ahead {
            tracing::info!("wall time has caught up with the order's stamps");
        }
        if clock_is_ahead && !self.clocks.clock_is_ahead {
            tracing::warn!(
                ahead_s = clock_ms / 1_000,
                "this node's own stamps are ahead of its wall clock, which was ahead once, and of \
                 the order: others do without its drafts until wall time has caught up, so another \
                 node down may stop publishing; see \"Clocks\" in docs/operations.md"
            );
        } else if !clock_is_ahead && self.clocks.clock_is_ahead {
            tracing::info!("this node's own stamps are not far ahead any more");
        }
        self.clocks.order_is_ahead = order_is_ahead;
        self.clocks.clock_is_ahead = clock_is_ahead;
    }

    /// Tells everybody which time this node would stamp with now.
    pub(super) fn tell_time(&mut self, now: WallTime) {
        let time = now.max(self.orderer.clock().wall_time());
        let ahead_ms_max =
            u64::try_from(self.options.clock_ahead_max.as_millis()).unwrap_or(u64::MAX);
        self.clocks.skew.note(self.options.id, time, ahead_ms_max, Instant::now().into_std());
        let counts = |peer: &PeerId| match peer {
            PeerId::Sync { id, .. } => self.peers.has_taken(*id),
            PeerId::Ndb { .. } | PeerId::Entry { .. } => true,
        };
        let links = self.links.iter().filter(|(_, linked)| counts(&linked.peer));
        let links = links
            .map(|(link, _)| (link, Message::Node(NodeMessage::SyncTime { time, ahead_ms_max })));
        self.out.extend(links);
        self.look_at_skew();
    }

    /// Tells whose stamps begin and cease to be left out.
    pub(super) fn look_at_skew(&mut self) {
        let ahead = self.clocks.skew.ahead(Instant::now().into_std());
        let left_out: BTreeSet<SyncId> = ahead.keys().copied().collect();
        for (id, ahead_ms) in ahead {
            if !self.clocks.left_out.contains(&id) {
                tracing::warn!(
                    node = %self.options.roster.sync(id),
                    ahead_s = ahead_ms / 1_000,
                    "the stamps of this sync node are ahead of those of the others, which do without \
                     them: set its clock right (NTP); see \"Clocks\" in docs/operations.md"
                );
            }
        }
        for id in self.clocks.left_out.difference(&left_out) {
            let node = self.options.roster.sync(*id);
            tracing::info!(%node, "the stamps of this sync node are not left out any more");
        }
        self.clocks.left_out = left_out;
        self.tell_readiness();
    }

    /// For the status page; `null` while nothing is far ahead.
    pub(super) fn clock_line(&self) -> Option<String> {
        let (order_ms, clock_ms) = self.leads_ms(wall_time());
        if self.clocks.order_is_ahead {
            let seconds = order_ms / 1_000;
            return Some(format!(
                "the order's stamps are {seconds} s ahead of this node's wall clock; publishing \
                 goes on"
            ));
        }
        self.clocks.clock_is_ahead.then(|| {
            let seconds = clock_ms / 1_000;
            format!(
                "this node's own stamps are {seconds} s ahead of its wall clock; others do without \
                 them"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_begins_at_the_bound_and_ends_at_half_of_it() {
        assert!(!is_ahead(false, 10_000, 10_000));
        assert!(is_ahead(false, 10_001, 10_000));
        assert!(is_ahead(true, 5_001, 10_000));
        assert!(!is_ahead(true, 5_000, 10_000));
    }
}
