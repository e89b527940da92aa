//! Bounds of one session, whatever its gate; see `[limits]` of the configuration file.

use std::time::Duration;

use vixen_broker::access::IngressLimits;
use vixen_broker::dealer::CallTimeouts;
use vixen_runtime::config::{Config, Goodbye, UriCheck};

/// Bounds of one client session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Topic and payload of one publish; a larger one is refused.
    pub message_bytes_max: usize,
    /// One WebSocket message from a client; a larger one ends the session.
    pub frame_bytes_max: usize,
    /// A longer topic is refused, and a longer realm.
    pub topic_bytes_max: usize,
    /// With more on its way, a session's socket is not read.
    pub session_unacknowledged_bytes_max: usize,
    /// With more on their way, a session's socket is not read.
    pub session_unacknowledged_messages_max: usize,
    /// All permits of [`SessionContext::room`](super::SessionContext::room): what one session asks
    /// for at once stays below.
    pub entry_unacknowledged_bytes_max: usize,
    /// Events waiting for one session's socket; with more, it gets the rest from the store.
    pub subscriber_buffer_bytes_max: usize,
    /// A client that has not said HELLO by then, or not answered a CHALLENGE, is dropped.
    pub hello_timeout: Duration,
    /// A client that says nothing for so long is asked by a ping.
    pub keep_alive_interval: Duration,
    /// A client that says nothing for so long, and takes what is written, is gone.
    pub keep_alive_timeout: Duration,
    /// A message or body that is not whole so long after its first byte ends.
    pub unfinished_timeout: Duration,
    /// How long calls may take.
    pub call_timeouts: CallTimeouts,
    /// Which URIs are good.
    pub uri_check: UriCheck,
    /// Who is told that the entry ends the session.
    pub goodbye: Goodbye,
}

impl SessionLimits {
    /// Those of a configuration.
    #[must_use]
    pub fn of_config(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            message_bytes_max: limits.message_bytes_max,
            frame_bytes_max: limits.frame_bytes_max,
            topic_bytes_max: limits.topic_bytes_max,
            session_unacknowledged_bytes_max: limits.session_unacknowledged_bytes_max,
            session_unacknowledged_messages_max: limits.session_unacknowledged_messages_max,
            entry_unacknowledged_bytes_max: limits.entry_unacknowledged_bytes_max,
            subscriber_buffer_bytes_max: limits.subscriber_buffer_bytes_max,
            hello_timeout: limits.hello_timeout,
            keep_alive_interval: limits.keep_alive_interval,
            keep_alive_timeout: limits.keep_alive_timeout,
            unfinished_timeout: limits.unfinished_timeout,
            call_timeouts: CallTimeouts {
                longest: limits.calls.call_timeout_max,
                unasked: limits.calls.call_timeout,
            },
            uri_check: config.wamp.uri_check,
            goodbye: config.wamp.goodbye,
        }
    }

    /// What is let in of what a session publishes and subscribes.
    #[must_use]
    pub fn ingress(&self) -> IngressLimits {
        IngressLimits {
            topic_bytes_max: self.topic_bytes_max,
            publish_bytes_max: self.publish_bytes_max(),
            uri_check: self.uri_check,
        }
    }

    /// The largest topic and payload that can be published: a larger one would wait for room that
    /// never comes, or has a size that a record cannot state.
    #[must_use]
    pub fn publish_bytes_max(&self) -> usize {
        const OVERHEAD: usize = 64;
        let room = self.entry_unacknowledged_bytes_max.min(1 << 31);
        self.message_bytes_max.min(room.saturating_sub(OVERHEAD))
    }
}

#[cfg(test)]
impl SessionLimits {
    /// The defaults of the configuration file.
    pub(crate) const fn of_tests() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            frame_bytes_max: 4 << 20,
            topic_bytes_max: 512,
            session_unacknowledged_bytes_max: 4 << 20,
            session_unacknowledged_messages_max: 16384,
            entry_unacknowledged_bytes_max: 64 << 20,
            subscriber_buffer_bytes_max: 16 << 20,
            hello_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(60),
            unfinished_timeout: Duration::from_secs(60),
            call_timeouts: CallTimeouts { longest: None, unasked: None },
            uri_check: UriCheck::Loose,
            goodbye: Goodbye::Final,
        }
    }
}
