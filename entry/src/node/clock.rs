//! The clock of the core: wall time that never steps back.

use std::time::Duration;

use tokio::time::Instant;
use vixen_core::time::WallTime;
use vixen_runtime::clock::wall_time;

/// Wall time as it was at the start, carried on by the monotonic clock: an administrator who sets
/// the time does not make publishers wait, or give up, before theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    wall: WallTime,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), wall: wall_time() }
    }

    pub(super) fn now(&self) -> WallTime {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.wall.plus_millis(elapsed)
    }

    /// When [`now`](Self::now) will be at least `at`.
    pub(super) fn instant_of(&self, at: WallTime) -> Instant {
        self.start + Duration::from_millis(at.millis_since(self.wall))
    }
}
