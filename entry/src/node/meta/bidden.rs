//! What other entries may have this one do: nothing that they have given up meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use vixen_broker::meta::SURVEY_WAIT;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bidden {
    /// What comes until then may have been asked long before: the entry, or a link to it, has stood still.
    late_until: Option<Instant>,
}

impl Bidden {
    /// A turn begins, which the loop has come to so late.
    pub(super) fn turn(&mut self, at: Instant, late: Option<Duration>) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
