//! The owner of what is published at an entry of the World, taken anew as in `entry/src/node/owner.rs`.

use vixen_broker::history::{RefPoint, Verdict};
use vixen_broker::segmenter;
use vixen_core::id::{OwnerId, Position, SegmentId};
use vixen_core::time::WallTime;

use super::{Effects, Turn};
use crate::world::io::{Counted, Fact};

/// As in the driver: an owner is used for this long after its last segment, by the order's clock.
const OWNER_FRESH_MS: u64 = 24 * 60 * 60 * 1_000;

impl Turn<'_> {
    pub(super) fn order_at(&self) -> Option<WallTime> {
        Some(self.process.reader.as_ref()?.frontier().sigma().wall_time())
    }

    pub(super) fn renew_if_old(&mut self, fx: &mut Effects) {
        let Some(seen) = self.process.segmenter.owner_seen_at() else { return };
        let is_old = self.order_at().is_some_and(|at| at.millis_since(seen) > OWNER_FRESH_MS);
        if is_old && self.process.segmenter.unresolved() == 0 {
            self.out.count(Counted::Renewed);
            self.renew(fx);
        }
    }

    pub(super) fn renew(&mut self, fx: &mut Effects) {
        let before = self.process.segmenter.owner();
        let made = before.made_at().unwrap_or_default().plus_millis(1);
        let order = self.order_at().unwrap_or_default();
        let owner = before.made_anew(self.now.wall.max(order).max(made));
        self.out.facts.push(Fact::GivenUp { owner: before });
        self.segmenter(segmenter::Input::Renew { owner }, fx);
    }

    pub(super) fn ask_about(&mut self, owner: OwnerId) {
        let beyond = RefPoint::Position(Position(u64::MAX));
        let _one_waits = self.process.refused.wait(self.now.wall, beyond, owner);
    }

    pub(super) fn on_owner_refused(&mut self, segment: SegmentId) {
        let owner = self.process.segmenter.owner();
        if segment.owner == owner && self.process.refused_owner.replace(owner) != Some(owner) {
            self.ask_about(owner);
        }
    }

    pub(super) fn settle_refused(&mut self, fx: &mut Effects) {
        let Some(known) = self.known() else { return };
        let (told, question) = self.process.refused.poll(self.now.wall, &known);
        let present = self.process.segmenter.owner();
        for (owner, verdict) in told.into_iter().filter(|(owner, _)| *owner == present) {
            match verdict {
                Verdict::Beyond => {
                    self.out.count(Counted::SentAgain);
                    self.renew(fx);
                }
                Verdict::Within | Verdict::Reached | Verdict::Overdue | Verdict::Unknown { .. } => {
                    self.ask_about(owner)
                }
            }
        }
        self.ask_reached(question);
    }
}
