//! Disk: how much room it has, and how long it has owed an answer.
//!
//! The writer's thread stands in a sync for as long as the disk does, while the node's loop goes on
//! and its peers hear it: so it has to be said.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// With less than this part of the reserve left, nothing is fetched.
const FETCH_PART: u64 = 4;

/// A disk that owes an answer for so long does not answer: as long as it takes until a peer that says
/// nothing counts as silent.
const DISK_SILENCE: Duration = Duration::from_secs(2);

/// The room on the disk of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRoom {
    /// Bytes free.
    pub free: u64,
    /// Bytes that are to stay free.
    pub reserve: u64,
    /// Less than the reserve is free, or was and not much more is: no new segments are taken.
    pub is_low: bool,
}

impl DiskRoom {
    /// Whether what is placed and missing is fetched: the reserve is there for it, but not all of it.
    pub(crate) const fn may_fetch(self) -> bool {
        !self.is_low || self.free >= self.reserve / FETCH_PART
    }
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskNews {
    /// It does not answer.
    Stalled,
    /// It has answered, after so long.
    Back(Duration),
}

/// Whether the disk answers.
#[derive(Debug, Default)]
pub(crate) struct DiskWait {
    /// Handed to the writer and not yet on disk.
    jobs: usize,
    /// Since when the writer has had something to do, and finished nothing.
    since: Option<Instant>,
    is_stalled: bool,
}

impl DiskWait {
    /// So many jobs were handed to the writer.
    pub(crate) fn handed_over(&mut self, jobs: usize, now: Instant) {
        self.jobs += jobs;
        if jobs > 0 {
            self.since.get_or_insert(now);
        }
    }

    /// So many of them are on disk.
    pub(crate) fn answered(&mut self, jobs: usize, now: Instant) -> Option<DiskNews> {
        assert!(jobs <= self.jobs, "what is on disk was handed over");
        self.jobs -= jobs;
        let since = self.since.take();
        self.since = (self.jobs > 0).then_some(now);
        let was_stalled = std::mem::take(&mut self.is_stalled);
        since.filter(|_| was_stalled).map(|since| DiskNews::Back(now - since))
    }

    /// Whether it has become too long; once each time.
    pub(crate) fn look(&mut self, now: Instant) -> Option<DiskNews> {
        let is_due = self.due_at().is_some_and(|due| due <= now);
        is_due.then(|| {
            self.is_stalled = true;
            DiskNews::Stalled
        })
    }

    /// When to [look](Self::look).
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.since.filter(|_| !self.is_stalled).map(|since| since + DISK_SILENCE)
    }

    pub(crate) const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Since when the answer has been owed, where that is too long.
    pub(crate) const fn stalled_since(&self) -> Option<Instant> {
        if self.is_stalled { self.since } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_disk_takes_what_is_missing_until_a_quarter_of_the_reserve_is_left() {
        let room = |free, is_low| DiskRoom { free, reserve: 400, is_low };
        assert!(room(0, false).may_fetch(), "nobody has looked yet");
        assert!(room(100, true).may_fetch() && !room(99, true).may_fetch());
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_disk_that_owes_an_answer_for_two_seconds_is_told_once_and_so_is_its_return() {
        let (mut disk, t0) = (DiskWait::default(), Instant::now());
        assert_eq!(disk.due_at(), None, "nothing was asked");
        disk.handed_over(1, t0);
        disk.handed_over(1, t0 + SECOND);
        assert_eq!(disk.look(t0 + SECOND), None);
        assert_eq!(disk.due_at(), Some(t0 + 2 * SECOND));
        assert_eq!(disk.look(t0 + 2 * SECOND), Some(DiskNews::Stalled));
        assert_eq!((disk.look(t0 + 3 * SECOND), disk.due_at()), (None, None));
        assert_eq!(disk.stalled_since(), Some(t0));
        assert_eq!(disk.answered(2, t0 + 5 * SECOND), Some(DiskNews::Back(5 * SECOND)));
        assert!(!disk.is_stalled() && disk.due_at().is_none());
        assert_eq!(disk.look(t0 + 60 * SECOND), None, "it has nothing to answer");
    }

    #[test]
    fn a_disk_that_answers_with_more_to_do_has_two_seconds_again() {
        let (mut disk, t0) = (DiskWait::default(), Instant::now());
        (0..3).for_each(|_| disk.handed_over(1, t0));
        for at in 1..=2 {
            assert_eq!(disk.answered(1, t0 + at * SECOND), None);
            assert_eq!(disk.due_at(), Some(t0 + (at + 2) * SECOND));
        }
        assert_eq!(disk.look(t0 + 3 * SECOND), None);
        assert_eq!(disk.look(t0 + 4 * SECOND), Some(DiskNews::Stalled));
    }
}
