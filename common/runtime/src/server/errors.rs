//! What goes wrong at accept, in the log once a minute: a port without descriptors fails many
//! times a second.

use std::io;
use std::time::Duration;

use metrics::{counter, describe_counter};
use tokio::time::Instant;

const ACCEPT_ERRORS: &str = "vixen_common_accept_errors_total";

/// While it goes on, it is said once in this time.
const AGAIN: Duration = Duration::from_secs(60);

/// Gives the metric its help text.
pub(super) fn describe() {
    describe_counter!(
        ACCEPT_ERRORS,
        "Times a port could not accept for want of descriptors or memory"
    );
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct AcceptErrors {
    said_at: Option<Instant>,
    repeated: u64,
    closed: usize,
}

impl AcceptErrors {
    /// Counts one, after which so many idle connections were closed.
    pub(crate) fn note(&mut self, error: &io::Error, closed: usize) {
        counter!(ACCEPT_ERRORS).increment(1);
        self.closed += closed;
        if !self.is_due(Instant::now()) {
            self.repeated += 1;
            return;
        }
        let (repeated, closed) =
            (std::mem::take(&mut self.repeated), std::mem::take(&mut self.closed));
        tracing::error!(
            %error, repeated, idle_closed = closed,
            "cannot accept connections: raise `ulimit -Hn` (systemd: LimitNOFILE), or lower \
             limits.connections-max"
        );
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.said_at.is_none_or(|said_at| now >= said_at + AGAIN);
        if is_due {
            self.said_at = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let (mut errors, now) = (AcceptErrors::default(), Instant::now());
        assert!(errors.is_due(now));
        assert!(!errors.is_due(now + AGAIN / 2));
        assert!(errors.is_due(now + AGAIN));
        assert!(!errors.is_due(now + AGAIN));
    }
}
