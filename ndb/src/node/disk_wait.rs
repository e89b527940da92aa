//! How long the disk has owed an answer.
//!
//! The writer's thread stands in a sync for as long as the disk does, while the node's loop goes on
//! and its peers hear it: so it has to be said.

use std::time::Duration;

use tokio::time::Instant;

/// A disk that owes an answer for so long does not answer: as long as it takes until a peer that says
/// nothing counts as silent.
const DISK_SILENCE: Duration = Duration::from_secs(2);

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskNews {
    /// It does not answer.
    Stalled,
    /// It has answered, after so long.
    Back(Duration),
}

/// See the module doc.
#[derive(Debug, Default)]
pub(super) struct DiskWait {
    /// Handed to the writer and not yet on disk.
    batches: usize,
    /// Since when the writer has had something to do, and finished nothing.
    since: Option<Instant>,
    is_stalled: bool,
}

impl DiskWait {
    /// A batch was handed to the writer.
    pub(super) fn handed_over(&mut self, now: Instant) {
        self.batches += 1;
        self.since.get_or_insert(now);
    }

    /// So many of them are on disk.
    pub(super) fn answered(&mut self, batches: usize, now: Instant) -> Option<DiskNews> {
        self.batches = self.batches.saturating_sub(batches);
        let since = self.since.take();
        self.since = (self.batches > 0).then_some(now);
        let was_stalled = std::mem::take(&mut self.is_stalled);
        since.filter(|_| was_stalled).map(|since| DiskNews::Back(now - since))
    }

    /// Whether it has become too long; once each time.
    pub(super) fn look(&mut self, now: Instant) -> Option<DiskNews> {
        let is_due = self.due_at().is_some_and(|due| due <= now);
        is_due.then(|| {
            self.is_stalled = true;
            DiskNews::Stalled
        })
    }

    /// When to [look](Self::look).
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.since.filter(|_| !self.is_stalled).map(|since| since + DISK_SILENCE)
    }

    pub(super) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// How long the answer has been owed, where that is too long.
    pub(super) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        self.since.filter(|_| self.is_stalled).map(|since| now - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_disk_that_owes_an_answer_for_two_seconds_is_told_once_and_so_is_its_return() {
        let (mut disk, t0) = (DiskWait::default(), Instant::now());
        assert_eq!(disk.due_at(), None, "nothing was asked");
        disk.handed_over(t0);
        disk.handed_over(t0 + SECOND);
        assert_eq!(disk.look(t0 + SECOND), None);
        assert_eq!(disk.due_at(), Some(t0 + 2 * SECOND));
        assert_eq!(disk.look(t0 + 2 * SECOND), Some(DiskNews::Stalled));
        assert_eq!((disk.look(t0 + 3 * SECOND), disk.due_at()), (None, None));
        assert_eq!(disk.stalled_for(t0 + 3 * SECOND), Some(3 * SECOND));
        assert_eq!(disk.answered(2, t0 + 5 * SECOND), Some(DiskNews::Back(5 * SECOND)));
        assert!(!disk.is_stalled() && disk.due_at().is_none());
        assert_eq!(disk.look(t0 + 60 * SECOND), None, "it has nothing to answer");
    }

    #[test]
    fn a_disk_that_answers_with_more_to_do_has_two_seconds_again() {
        let (mut disk, t0) = (DiskWait::default(), Instant::now());
        (0..3).for_each(|_| disk.handed_over(t0));
        for at in 1..=2 {
            assert_eq!(disk.answered(1, t0 + at * SECOND), None);
            assert_eq!(disk.due_at(), Some(t0 + (at + 2) * SECOND));
        }
        assert_eq!(disk.look(t0 + 3 * SECOND), None);
        assert_eq!(disk.look(t0 + 4 * SECOND), Some(DiskNews::Stalled));
    }
}
