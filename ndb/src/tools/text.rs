//! Numbers and times as people read them.

use vixen_core::time::{UtcDay, WallTime};

/// RFC 3339 in UTC, with milliseconds.
pub(super) fn rfc3339(at: WallTime) -> String {
    let day = UtcDay::of(at);
    let ms = at.millis_since(day.start());
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// A size with its unit, three digits or so.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut rest = bytes as f64 / 1_024.0;
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    while rest >= 1_024.0 && unit + 1 < UNITS.len() {
        rest /= 1_024.0;
        unit += 1;
    }
    format!("{rest:.1} {}", UNITS[unit])
}

/// `1 row`, `2 rows`.
pub(super) fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_readable() {
        let at = WallTime(UtcDay::of(WallTime(1_795_219_200_000)).start().0 + 45_296_789);
        assert_eq!(rfc3339(at), "2026-11-21T12:34:56.789Z");
        assert_eq!(
            [size(0), size(1_023), size(1_536), size(1 << 40)],
            ["0 B", "1023 B", "1.5 KiB", "1.0 TiB"]
        );
        assert_eq!([count(0, "row"), count(1, "row")], ["0 rows", "1 row"]);
    }
}
