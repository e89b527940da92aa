//! What other entries may have this one do: nothing that they have given up meanwhile, and so much in a turn.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::meta::SURVEY_WAIT;
use vixen_core::id::OwnerId;

/// Sessions and subscriptions that are looked at for one entry in a turn, at most, unless one question is of more: some
/// milliseconds. Each may have 256 questions open.
const LOOKS_MAX: usize = 1 << 18;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bidden {
    /// What comes until then may have been asked long before: the entry, or a link to it, has stood still.
    late_until: Option<Instant>,
    /// What was looked at in this turn, by who has asked.
    looked: BTreeMap<OwnerId, usize>,
}

impl Bidden {
    /// A turn begins, which the loop has come to so late.
    pub(super) fn turn(&mut self, at: Instant, late: Option<Duration>) {
        self.looked.clear();
        if late.is_some_and(|late| late >= SURVEY_WAIT) {
            self.stood_still(at);
        }
    }

    /// Nothing was taken until now: what waits elsewhere, in sockets and queues, is here within the time for which those
    /// who ask wait.
    pub(super) fn stood_still(&mut self, at: Instant) {
        self.late_until = Some(at + SURVEY_WAIT);
    }

    /// Whether something may be changed for others.
    pub(super) fn may_change(&self, at: Instant) -> bool {
        self.late_until.is_none_or(|until| until <= at)
    }

    /// Whether so many sessions and subscriptions may be looked at for an entry in this turn, as well. They count then.
    pub(super) fn may_look(&mut self, by: OwnerId, count: usize) -> bool {
        let looked = self.looked.entry(by).or_default();
        let after = looked.saturating_add(count);
        if *looked > 0 && after > LOOKS_MAX {
            return false;
        }
        *looked = after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_looked_at_for_each_entry_in_a_turn() {
        let [one, two] = [1, 2].map(|n| OwnerId(uuid::Uuid::from_u128(n)));
        let mut bidden = Bidden::default();
        assert!(bidden.may_look(one, LOOKS_MAX - 1) && bidden.may_look(one, 1));
        assert!(bidden.may_look(one, 0) && !bidden.may_look(one, 1));
        assert!(bidden.may_look(two, 1), "it is another's");
        bidden.turn(Instant::now(), None);
        // Else it would have no answer ever.
        assert!(bidden.may_look(one, LOOKS_MAX + 1) && !bidden.may_look(one, 1));
    }

    #[test]
    fn nothing_is_changed_for_others_until_half_a_second_after_a_stall() {
        let (mut bidden, begun) = (Bidden::default(), Instant::now());
        let ms = |ms| begun + Duration::from_millis(ms);
        bidden.turn(begun, None);
        assert!(bidden.may_change(begun));
        // They wait as long for it.
        bidden.turn(ms(499), Some(Duration::from_millis(499)));
        assert!(bidden.may_change(ms(499)));
        bidden.turn(ms(1000), Some(Duration::from_millis(500)));
        bidden.turn(ms(1001), None);
        assert!(!bidden.may_change(ms(1000)) && !bidden.may_change(ms(1499)));
        assert!(bidden.may_change(ms(1500)));
        bidden.stood_still(ms(2000));
        assert!(!bidden.may_change(ms(2499)) && bidden.may_change(ms(2500)));
    }
}
