//! The one clock of all runs of a process.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Counts ns since the first run of this process began, so that the histories of several runs can
/// be judged as one.
#[derive(Clone, Copy, Debug)]
pub struct RunClock(Instant);

impl RunClock {
    /// The one clock.
    #[must_use]
    pub fn start() -> Self {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        Self(*ORIGIN.get_or_init(Instant::now))
    }

    /// Since the first run began.
    #[must_use]
    pub fn now_ns(self) -> u64 {
        to_ns(self.0.elapsed())
    }
}

/// A duration in ns, saturating.
pub(super) fn to_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
