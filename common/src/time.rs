//! Wall time as the protocol sees it: milliseconds, read by drivers and passed into pure code.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// `VIXEN_CLOCK_OFFSET_MS`: added to this process's wall clock, negative or not. For tests that
/// cross midnight or the age of retention; an unusable value counts as 0.
static OFFSET_MS: LazyLock<i64> = LazyLock::new(|| {
    std::env::var("VIXEN_CLOCK_OFFSET_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
});

/// Milliseconds since the Unix epoch, UTC, by this machine's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Reads the system clock; 0 when the clock stands before 1970. `VIXEN_CLOCK_OFFSET_MS` is
    /// added.
    #[must_use]
    pub fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place where drivers read the clock")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        Self(now.saturating_add_signed(*OFFSET_MS))
    }

    /// This time plus `millis`, saturating.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This time less `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Milliseconds from `earlier` to this time; 0 when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
