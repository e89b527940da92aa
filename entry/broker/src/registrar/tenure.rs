//! Tenure: from when on who holds a procedure alone may be invoked, after another entry's holder has lost it.
//!
//! ```text
//!   the record that ends the old holder --applied here-------------- HAND_OVER later: the new one is invoked
//!                                       \--applied there, told------ or then
//! ```
//! The old holder's entry invokes it under a lease alone (`dealer::serving::lease`): that is over by then, or it knows.
//! What is counted is this entry's own time from when it has applied the record, whether or not the view remembers the
//! end for so long.
//!
//! Source: `docs/design/027-calls.md`, *Hand-over*.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::TopicPattern;
use vixen_views::registrations::End;

/// A lease, and one in a hundred for clocks that do not run alike.
const HAND_OVER: Duration = Duration::from_millis(2_020);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tenures {
    by_pattern: BTreeMap<TopicPattern, BTreeMap<OwnerId, Ended>>,
    by_time: BTreeSet<(Instant, OwnerId, TopicPattern)>,
    /// Below which position other entries have applied everything, as they say on their links.
    applied_below: BTreeMap<OwnerId, Position>,
}

/// A holder that has lost its place.
#[derive(Debug)]
struct Ended {
    end: End,
    until: Instant,
}

impl Tenures {
    /// This entry has applied the end of a holder, or has it from a view that it begins with.
    pub(super) fn ended(&mut self, now: Instant, pattern: &TopicPattern, end: End) {
        let (owner, until) = (end.holder.owner, now + HAND_OVER);
        let of_pattern = self.by_pattern.entry(pattern.clone()).or_default();
        if let Some(before) = of_pattern.insert(owner, Ended { end, until }) {
            self.by_time.remove(&(before.until, owner, pattern.clone()));
        }
        self.by_time.insert((until, owner, pattern.clone()));
    }

    /// An entry says how far it has applied all records. Whether somebody may have waited for that.
    pub(super) fn applied(&mut self, owner: OwnerId, below: Position) -> bool {
        let before = self.applied_below.insert(owner, below);
        before.is_none_or(|before| before < below) && !self.by_time.is_empty()
    }

    /// Whether any other entry has said how it stands.
    pub(super) fn has_links(&self) -> bool {
        !self.applied_below.is_empty()
    }

    /// Nothing is heard of the entry any more: what it has said may be of a life that is over.
    pub(super) fn unlinked(&mut self, owner: OwnerId) {
        self.applied_below.remove(&owner);
    }

    /// Whether whoever holds the pattern now, at the entry `own`, is not to be invoked yet.
    pub(super) fn is_held(&self, now: Instant, pattern: &TopicPattern, own: OwnerId) -> bool {
        let ended = self.by_pattern.get(pattern);
        ended.into_iter().flatten().any(|(owner, Ended { end, until })| {
            let below = self.applied_below.get(owner);
            let is_known = below.is_some_and(|below| end.is_known_below(*below));
            *owner != own && !is_known && now < *until
        })
    }

    /// When the next hand-over is done by time alone.
    pub(super) fn timeout_at(&self) -> Option<Instant> {
        self.by_time.first().map(|(until, ..)| *until)
    }

    /// Forgets those that are done. Whether there were any.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let mut has_any = false;
        while self.timeout_at().is_some_and(|at| at <= now)
            && let Some((_, owner, pattern)) = self.by_time.pop_first()
        {
            has_any = true;
            if let Some(of_pattern) = self.by_pattern.get_mut(&pattern) {
                of_pattern.remove(&owner);
                if of_pattern.is_empty() {
                    self.by_pattern.remove(&pattern);
                }
            }
        }
        has_any
    }
}
