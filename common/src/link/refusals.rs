//! Refused links in the log: who came, from where and why, and not the same line again and again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::NodeName;

/// A peer that is refused knocks four times a second: the same line comes once in this time.
const AGAIN: Duration = Duration::from_secs(60);
/// Different refusals that are remembered; more than that are a scan, and all said.
const REMEMBERED_MAX: usize = 256;

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
pub(super) struct Damper {
    said: Mutex<BTreeMap<String, Said>>,
}

impl RefusalLog {
    /// Counts a refusal, and says it unless it was said lately. `name` is what the peer calls itself,
    /// if it came so far.
    pub(crate) fn refused(&self, from: IpAddr, name: Option<&NodeName>, reason: &str) {
        metrics::counter!("vixen_common_links_refused_total").increment(1);
        let peer = name.map_or("unknown", NodeName::as_str);
        let key = format!("{from} {peer} {reason}");
        if let Some(repeated) = self.0.take_turn(key) {
            tracing::warn!(peer, %from, reason, repeated, "link refused");
        }
    }
}

impl Damper {
    /// Whether to say it now: how often it came unsaid.
    pub(super) fn take_turn(&self, key: String) -> Option<u64> {
        self.take_turn_at(key, Instant::now())
    }

    fn take_turn_at(&self, key: String, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = said.get_mut(&key)
            && now < known.at + AGAIN
        {
            known.repeated += 1;
            return None;
        }
        let repeated = said.remove(&key).map_or(0, |known| known.repeated);
        if said.len() >= REMEMBERED_MAX {
            said.retain(|_, known| now < known.at + AGAIN);
        }
        if said.len() < REMEMBERED_MAX {
            said.insert(key, Said { at: now, repeated: 0 });
        }
        Some(repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_said_once_a_minute_with_its_number() {
        let (log, now) = (Damper::default(), Instant::now());
        let turn = |key: &str, at| log.take_turn_at(key.to_owned(), at);
        assert_eq!(turn("10.0.0.1 S2 proof", now), Some(0));
        assert_eq!(turn("10.0.0.1 S2 proof", now + AGAIN / 2), None);
        assert_eq!(turn("10.0.0.2 S2 proof", now + AGAIN / 2), Some(0), "another is another");
        assert_eq!(turn("10.0.0.1 S2 proof", now + AGAIN), Some(1));
        assert_eq!(turn("10.0.0.1 S2 proof", now + AGAIN), None);
    }

    #[test]
    fn very_many_different_refusals_take_bounded_memory() {
        let (log, now) = (Damper::default(), Instant::now());
        for number in 0..2 * REMEMBERED_MAX {
            assert_eq!(log.take_turn_at(number.to_string(), now), Some(0));
        }
        assert_eq!(log.said.lock().expect("sound").len(), REMEMBERED_MAX);
        assert_eq!(log.take_turn_at("one more".to_owned(), now + AGAIN), Some(0));
        assert_eq!(log.said.lock().expect("sound").len(), 1, "the old ones are forgotten");
    }
}
