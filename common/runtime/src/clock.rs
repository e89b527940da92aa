//! The system's wall clock, which drivers read and pass to what is pure.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use vixen_core::time::WallTime;

/// `VIXEN_CLOCK_OFFSET_MS`: added to this process's wall clock, negative or not. For tests that
/// cross midnight or the age of retention; an unusable value counts as 0.
static OFFSET_MS: LazyLock<AtomicI64> = LazyLock::new(|| {
    let text = std::env::var("VIXEN_CLOCK_OFFSET_MS").ok();
    AtomicI64::new(text.and_then(|text| text.parse().ok()).unwrap_or(0))
});

/// The wall time now; 0 when the clock stands before 1970. `VIXEN_CLOCK_OFFSET_MS` is added.
#[must_use]
pub fn wall_time() -> WallTime {
    #[expect(clippy::disallowed_methods, reason = "the one place where drivers read the clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    WallTime(now.saturating_add_signed(OFFSET_MS.load(Ordering::Relaxed)))
}

/// Sets this process's wall clock off by `millis`, instead of `VIXEN_CLOCK_OFFSET_MS`: for tests
/// of nodes in their own process, whose clocks are set while they run.
pub fn set_offset(millis: i64) {
    OFFSET_MS.store(millis, Ordering::Relaxed);
}
