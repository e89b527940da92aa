//! The owner of what is published here: taken anew before sync nodes forget it.
//!
//! A sync node forgets owners that have been idle for a week of the order's clock, and refuses from then on
//! what is as old and not known to it. So an owner that was made, or last got a place, more than a day
//! before where the order stands is not used any more once nothing of it is under way; also the first
//! one, which is made by this machine's clock. Where clocks leap while something is under way, sync
//! nodes may be quicker: then they refuse it.
//!
//! What was refused may have been elected before it was forgotten. So a quorum is asked how far the order
//! goes, as for a place beyond the end (`history::End`). When the frontier has passed that, and the segment
//! still has no place, then it was not elected before; and after that it cannot be, since who has forgotten
//! an owner has done so for good. Only then the messages are sent again, as segments of a new owner
//! (`docs/design/011-the-orders-clock.md`, *Owners*).

use vixen_broker::history::Verdict;
use vixen_broker::segmenter::Input;
use vixen_core::id::SegmentId;
use vixen_core::time::WallTime;
use vixen_core::wire::{FeedMessage, Message};

use super::run::{Effects, EntryNode};

/// An owner is used for this long after its last segment, by the order's clock.
const OWNER_FRESH_MS: u64 = 24 * 60 * 60 * 1_000;

impl EntryNode {
    /// Takes a new owner when the present one is old and nothing of it is under way.
    pub(super) fn renew_if_old(&mut self, now: WallTime, fx: &mut Effects) {
        // What is under way comes first: it is nearly all turns of a busy entry.
        if self.segmenter.unresolved() > 0 {
            return;
        }
        let Some(seen) = self.segmenter.owner_seen_at() else { return };
        if self.order_at().is_some_and(|at| at.millis_since(seen) > OWNER_FRESH_MS) {
            self.renew(now, fx);
        }
    }

    /// Where the order stands, as far as it is known here.
    fn order_at(&self) -> Option<WallTime> {
        Some(self.reader.as_ref()?.frontier().sigma().wall_time())
    }

    fn renew(&mut self, now: WallTime, fx: &mut Effects) {
        let before = self.segmenter.owner();
        let made = before.made_at().unwrap_or_default().plus_millis(1);
        let order = self.order_at().unwrap_or_default();
        // Not before the order: it would be as old as the one before.
        let owner = before.made_anew(now.max(order).max(made));
        tracing::info!(%owner, %before, "this entry goes on as a new owner");
        self.step_segmenter(now, Input::Renew { owner }, &mut fx.segmenter);
    }

    /// A segment is never elected any more, and may have been before.
    pub(super) fn on_owner_refused(&mut self, now: WallTime, segment: SegmentId) {
        let owner = self.segmenter.owner();
        if segment.owner == owner && self.refused.latest.replace(owner) != Some(owner) {
            tracing::warn!(%segment, "sync nodes have forgotten owners of this age");
            self.refused.ask(now, owner);
        }
    }

    /// Sends again, as a new owner's, what certainly was not elected.
    pub(super) fn settle_refused(&mut self, now: WallTime) {
        let Some(known) = self.known() else { return };
        let (told, question) = self.refused.end.poll(now, &known);
        let present = self.segmenter.owner();
        for (owner, verdict) in told.into_iter().filter(|(owner, _)| *owner == present) {
            match verdict {
                Verdict::Beyond => {
                    let mut fx = Effects::default();
                    self.renew(now, &mut fx);
                    self.settle(now, fx);
                }
                Verdict::Within | Verdict::Reached | Verdict::Overdue | Verdict::Unknown { .. } => {
                    self.refused.ask(now, owner)
                }
            }
        }
        if let Some(request) = question {
            for id in self.sync.linked() {
                self.sync.send(id, Message::Feed(FeedMessage::AskReached { request }));
            }
        }
    }
}
