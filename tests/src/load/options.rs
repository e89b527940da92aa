//! What a workload is.

use std::time::Duration;

use crate::client::PAYLOAD_BYTES_MIN;

/// A workload.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Entries to publish to; publishers are dealt out round-robin.
    pub publish: Vec<String>,
    /// Entries to subscribe at; subscribers are dealt out round-robin.
    pub subscribe: Vec<String>,
    /// Number of publishers.
    pub publishers: usize,
    /// Number of subscribers.
    pub subscribers: usize,
    /// Realm of all sessions.
    pub realm: String,
    /// Topic of all messages. Nobody else may publish to it during the run.
    pub topic: String,
    /// With more than one, messages go in turn to so many topics `<topic>.0`, `<topic>.1`, … and
    /// each subscriber has all of them.
    pub topics: u32,
    /// Bytes of the args of each message, at least [`PAYLOAD_BYTES_MIN`].
    pub payload_bytes: usize,
    /// When messages are sent.
    pub pace: Pace,
    /// How much is measured.
    pub amount: Amount,
    /// Traffic before that, not measured but checked.
    pub warmup: Duration,
    /// Ask for an acknowledgement of every message. Without, only the last message of each
    /// publisher is acknowledged: it tells when all before it have their place.
    pub acknowledge: bool,
    /// Number of the first publisher in the payloads.
    pub first_publisher: u32,
    /// Silence after which a missing answer or event is given up.
    pub patience: Duration,
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as fewer than `window` messages of the publisher are unanswered.
    Closed {
        /// At least 1.
        window: usize,
    },
    /// At a fixed rate.
    Open {
        /// Messages per second of all publishers together.
        per_second: f64,
    },
}

/// How much is measured after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This many messages of all publishers together, rounded up to the same for each.
    Messages(u64),
    /// What goes in this time.
    Time(Duration),
    /// Until [`Load::stop`](super::Load::stop).
    UntilStopped,
}

impl LoadOptions {
    /// Eight publishers with window 64, 128 bytes, one subscriber on each of `subscribe`, until
    /// stopped.
    #[must_use]
    pub fn new(publish: Vec<String>, subscribe: Vec<String>) -> Self {
        Self {
            subscribers: subscribe.len(),
            publish,
            subscribe,
            publishers: 8,
            realm: "realm1".to_owned(),
            topic: "vixen.bench.load".to_owned(),
            topics: 1,
            payload_bytes: 128,
            pace: Pace::Closed { window: 64 },
            amount: Amount::UntilStopped,
            warmup: Duration::ZERO,
            acknowledge: true,
            first_publisher: 0,
            patience: Duration::from_secs(20),
        }
    }

    /// The topics, in the order of turns.
    #[must_use]
    pub fn topic_names(&self) -> Vec<String> {
        match self.topics {
            0 | 1 => vec![self.topic.clone()],
            more => (0..more).map(|number| format!("{}.{number}", self.topic)).collect(),
        }
    }

    /// Which of `topics` topics has the message with this sequence number.
    #[must_use]
    pub const fn turn(topics: usize, seq: u32) -> usize {
        if topics > 1 { seq as usize % topics } else { 0 }
    }

    /// Refuses what cannot be run, in words for the command line.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.publish.is_empty(), "there is no entry to publish to");
        anyhow::ensure!(self.publishers > 0, "there is no publisher");
        anyhow::ensure!(
            self.subscribers == 0 || !self.subscribe.is_empty(),
            "there is no entry to subscribe at"
        );
        anyhow::ensure!(
            self.payload_bytes >= PAYLOAD_BYTES_MIN,
            "a payload of {} bytes is too small: each carries publisher, number and time, which \
             take {PAYLOAD_BYTES_MIN}",
            self.payload_bytes
        );
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        anyhow::ensure!(
            !self.topic.is_empty() && self.topic.chars().all(plain),
            "topic {:?} has other characters than letters, digits, `.`, `_`, `-`",
            self.topic
        );
        match self.pace {
            Pace::Closed { window } => anyhow::ensure!(window > 0, "the window is 0"),
            Pace::Open { per_second } => {
                anyhow::ensure!(per_second > 0.0, "the rate is not above 0");
            }
        }
        Ok(())
    }
}
