//! Refused links in the log: who came, from where and why, and not the same line again and again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vixen_core::name::NodeName;

/// A peer that is refused knocks four times a second: the same line comes once in this time.
const AGAIN: Duration = Duration::from_secs(60);
/// Different refusals that are remembered; more than that are a scan.
const REMEMBERED_MAX: usize = 256;
/// Whoever comes under another name, or from another address, each time fills no disk.
const LINES_A_SECOND_MAX: u32 = 4;

#[derive(Debug)]
struct Said {
    at: Instant,
    /// Times it came since then.
    repeated: u64,
}

/// See the module doc.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog(Damper);

/// Lines that are said once in a while, and counted else.
#[derive(Debug, Default)]
pub(super) struct Damper(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    said: BTreeMap<String, Said>,
    /// Since when the lines are counted that are said.
    second: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

/// What a line tells beside its own.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    /// How often it came unsaid.
    repeated: u64,
    /// How many others came and were not said for their number.
    unsaid: u64,
}

impl RefusalLog {
    /// Counts a refusal, and says it unless it was said lately or many others were. `name` is what the
    /// peer calls itself, if it came so far.
    pub(crate) fn refused(&self, from: IpAddr, name: Option<&NodeName>, reason: &str) {
        metrics::counter!("vixen_common_links_refused_total").increment(1);
        let peer = name.map_or("unknown", NodeName::as_str);
        let key = format!("{from} {peer} {reason}");
        if let Some(Turn { repeated, unsaid }) = self.0.take(key) {
            tracing::warn!(peer, %from, reason, repeated, unsaid, "link refused");
        }
    }
}

impl Damper {
    /// Whether to say it now: how often it came unsaid.
    pub(super) fn take_turn(&self, key: String) -> Option<u64> {
        self.take(key).map(|turn| turn.repeated)
    }

    fn take(&self, key: String) -> Option<Turn> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.take_turn(key, Instant::now())
    }
}

impl Lines {
    /// Whether to say it now.
    fn take_turn(&mut self, key: String, now: Instant) -> Option<Turn> {
        if let Some(known) = self.said.get_mut(&key)
            && now < known.at + AGAIN
        {
            known.repeated += 1;
            return None;
        }
        if self.second.is_none_or(|second| now >= second + Duration::from_secs(1)) {
            (self.second, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_A_SECOND_MAX {
            self.unsaid += 1;
            return None;
        }
        self.lines += 1;
        let repeated = self.said.remove(&key).map_or(0, |known| known.repeated);
        if self.said.len() >= REMEMBERED_MAX {
            self.said.retain(|_, known| now < known.at + AGAIN);
        }
        if self.said.len() < REMEMBERED_MAX {
            self.said.insert(key, Said { at: now, repeated: 0 });
        }
        Some(Turn { repeated, unsaid: std::mem::take(&mut self.unsaid) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn first() -> Option<Turn> {
        Some(Turn { repeated: 0, unsaid: 0 })
    }

    #[test]
    fn the_same_refusal_is_said_once_a_minute_with_its_number() {
        let (mut log, now) = (Lines::default(), Instant::now());
        let mut turn = |key: &str, at| log.take_turn(key.to_owned(), at);
        assert_eq!(turn("10.0.0.1 S2 proof", now), first());
        assert_eq!(turn("10.0.0.1 S2 proof", now + AGAIN / 2), None);
        assert_eq!(turn("10.0.0.2 S2 proof", now + AGAIN / 2), first(), "another is another");
        let again = Some(Turn { repeated: 1, unsaid: 0 });
        assert_eq!(turn("10.0.0.1 S2 proof", now + AGAIN), again);
        assert_eq!(turn("10.0.0.1 S2 proof", now + AGAIN), None);
    }

    #[test]
    fn few_lines_a_second_are_said_however_many_names_come() {
        let (mut log, now) = (Lines::default(), Instant::now());
        let said = (0..1000).filter(|n| log.take_turn(n.to_string(), now).is_some()).count();
        assert_eq!(said, LINES_A_SECOND_MAX as usize);
        let next = log.take_turn("one more".to_owned(), now + Duration::from_secs(1));
        assert_eq!(next, Some(Turn { repeated: 0, unsaid: 1000 - u64::from(LINES_A_SECOND_MAX) }));
    }

    #[test]
    fn very_many_different_refusals_take_bounded_memory() {
        let (mut log, now) = (Lines::default(), Instant::now());
        let times = u32::try_from(2 * REMEMBERED_MAX).expect("few");
        for number in 0..times {
            // As fast as they are said.
            let at = now + AGAIN / times * number / 2;
            log.take_turn(number.to_string(), at);
        }
        assert!(log.said.len() <= REMEMBERED_MAX);
        log.take_turn("one more".to_owned(), now + 2 * AGAIN);
        log.said.retain(|_, known| now + 2 * AGAIN < known.at + AGAIN);
        assert_eq!(log.said.len(), 1, "the old ones are forgotten");
    }
}
