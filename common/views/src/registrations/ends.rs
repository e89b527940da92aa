//! Ends: holders of `single` that lost it by another's word and may not know yet, as far as whoever holds it
//! next has to care.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

use super::KEPT_MS;
use crate::record::{Life, RegistrationId};

/// The end of a registration that had one callee, by a record of another entry than the callee's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// It.
    pub registration: RegistrationId,
    /// Of the callee that held it.
    pub holder: Life,
    /// Of the record that ended it: an entry that has applied up to here knows.
    pub at: Position,
    /// Of that record, by the order.
    pub time: WallTime,
}

/// See the module. Of one owner the latest end is kept: who knows of that knows of those before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) by_pattern: BTreeMap<TopicPattern, BTreeMap<OwnerId, End>>,
}

impl Ends {
    pub(super) fn keep(&mut self, pattern: TopicPattern, end: End) {
        self.by_pattern.entry(pattern).or_default().insert(end.holder.owner, end);
    }

    /// Forgets those that are long past.
    pub(super) fn forget(&mut self, now: WallTime) {
        self.by_pattern.retain(|_pattern, ends| {
            ends.retain(|_owner, end| now.millis_since(end.time) <= KEPT_MS);
            !ends.is_empty()
        });
    }
}
