//! What a port lets in, and how long it waits.

use std::time::Duration;

use super::Proxies;
use crate::config::Limits;

/// How long a connection may keep the server waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the head of the first request, from the end of the handshake on: who sends it byte by
    /// byte, or never, holds nothing for good.
    pub first_head: Duration,
    /// For the head of each further one, from the end of the answer before on. Longer than clients
    /// wait between two requests: one that is sent just when the connection is closed fails.
    pub next_head: Duration,
    /// Of TCP itself, while something waits to be written. Who is slow is not silent.
    pub silence: Duration,
    /// For an answer of which nothing more is taken, while some of it waits to be written. It does
    /// not hold for what a connection becomes by an upgrade.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            first_head: Duration::from_secs(5),
            next_head: minute,
            silence: minute,
            stall: minute,
        }
    }
}

/// Bounds of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortBounds {
    /// How long it waits.
    pub timeouts: Timeouts,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections of one address.
    pub connections_per_address_max: usize,
    /// What has come of requests, frames and messages that are not whole.
    pub unfinished_bytes_max: usize,
    /// Who is believed about whose request it is.
    pub proxies: Proxies,
}

/// Open files of a node beside the connections of its port: links, stores, what it reads. Where there
/// are few at all, it is a quarter of them.
const OTHER_FILES: u64 = 256;

impl PortBounds {
    /// Those of a configuration, as far as `files` open files allow.
    #[must_use]
    pub fn of(limits: &Limits, files: u64) -> Self {
        let fitting = files - OTHER_FILES.min(files / 4);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        Self {
            timeouts: Timeouts::default(),
            connections_max: limits.connections_max.min(fitting),
            connections_per_address_max: limits.connections_per_address_max,
            unfinished_bytes_max: limits.unfinished_bytes_max,
            proxies: Proxies::default(),
        }
    }
}

/// With the default of all else.
impl From<Timeouts> for PortBounds {
    fn from(timeouts: Timeouts) -> Self {
        Self { timeouts, ..Self::of(&Limits::default(), u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_open_files() {
        let limits = Limits { connections_max: 5000, ..Limits::default() };
        for (files, connections) in [(1 << 20, 5000), (5000, 4744), (1024, 768), (300, 225)] {
            assert_eq!(PortBounds::of(&limits, files).connections_max, connections);
        }
    }
}
