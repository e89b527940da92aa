//! Table `[limits]`: the bounds of everything that could grow.

mod calls;

use std::time::Duration;

use serde::Serialize;

use vixen_core::segment::TopicPattern;

use super::error::ConfigError;
use super::read::TableReader;
pub use calls::CallBounds;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Connections beside those of sessions: idle ones, which clients and proxies keep for later.
const MORE_CONNECTIONS: usize = 4096;
const MORE_CONNECTIONS_OF_ADDRESS: usize = 256;

/// An address may have one of so many parts of what subscriptions and testaments may take, and a realm of the former,
/// where there are several.
const ADDRESS_PART: usize = 4;
const REALM_PART: usize = 2;

/// Table `[limits]`. None of them may be 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// `segment-messages-max`: a segment closes at this many messages. Default 4096.
    pub segment_messages_max: u32,
    /// `segment-bytes-max`: a segment closes at this size. Default 1 MiB; not below
    /// `message-bytes-max`, since a message must fit a segment.
    pub segment_bytes_max: usize,
    /// `message-bytes-max`: topic and payload of one publish; a larger one is refused. Default
    /// 1 MiB.
    pub message_bytes_max: usize,
    /// `frame-bytes-max`: one WebSocket frame from a client; a larger one ends the session.
    /// Default 4 MiB; not below `message-bytes-max`.
    pub frame_bytes_max: usize,
    /// `topic-bytes-max`: a longer topic is refused. Default 512; not above `message-bytes-max`.
    pub topic_bytes_max: usize,
    /// `subscriptions-per-session-max`: further subscriptions of a session are refused. Default
    /// 1000.
    pub subscriptions_per_session_max: usize,
    /// `patterns-per-session-max`: of these, those that are no exact topics. Default 250. This key, the next three
    /// and `wildcard-steps-max` bound registrations that are no exact procedures as well, counted apart.
    pub patterns_per_session_max: usize,
    /// `patterns-per-realm-max`: subscriptions that are no exact topics, of all sessions of a realm
    /// at one entry. Default 50000.
    pub patterns_per_realm_max: usize,
    /// `patterns-per-entry-max`: of all sessions of an entry. Default 100000.
    pub patterns_per_entry_max: usize,
    /// `patterns-per-address-max`: of these, those of all sessions of one address. Default a quarter of
    /// `patterns-per-entry-max`, or `patterns-per-session-max` where that is more; not below that.
    pub patterns_per_address_max: usize,
    /// `wildcard-steps-max`: what the wildcards of a realm may cost each of its messages at an
    /// entry: the components of all shapes that they have. Default 256.
    pub wildcard_steps_max: usize,
    /// `interest-bytes-max`: topics and patterns of all subscriptions of an entry, 64 bytes each and
    /// their texts: what is told to an ndb node on a new link. Default 32 MiB, or half of
    /// `link-queue-bytes-max` where that is less; not above that half.
    pub interest_bytes_max: usize,
    /// `interest-bytes-per-address-max`: of these, those of all sessions of one address. Default a
    /// quarter of `interest-bytes-max`, or one topic where that is more; not below that.
    pub interest_bytes_per_address_max: usize,
    /// `interest-bytes-per-realm-max`: of these, those of one realm. Default half of
    /// `interest-bytes-max` where there are several realms, else all of it; not below one topic.
    pub interest_bytes_per_realm_max: usize,
    /// Bounds of calls.
    #[serde(flatten)]
    pub calls: CallBounds,
    /// `session-unacknowledged-bytes-max`: with more on its way, a session's socket is not read.
    /// Default 4 MiB; not below `message-bytes-max`.
    pub session_unacknowledged_bytes_max: usize,
    /// `session-unacknowledged-messages-max`: with more on their way, a session's socket is not
    /// read. Default 16384.
    pub session_unacknowledged_messages_max: usize,
    /// `entry-unacknowledged-bytes-max`: with more on its way, no socket of the entry is read.
    /// Default 64 MiB; not below `message-bytes-max`.
    pub entry_unacknowledged_bytes_max: usize,
    /// `subscriber-buffer-bytes-max`: events waiting for one subscriber's socket; it gets further
    /// ones from the store, when it has taken these. Default 1 MiB.
    pub subscriber_buffer_bytes_max: usize,
    /// `link-queue-bytes-max`: messages waiting for one link between nodes. Default 64 MiB; not
    /// below `segment-bytes-max`, nor four times `message-bytes-max`.
    pub link_queue_bytes_max: usize,
    /// `tail-cache-bytes-max`: recent segments an ndb node keeps in memory for its tails. Default
    /// 16 MiB.
    pub tail_cache_bytes_max: usize,
    /// `hello-timeout`: a peer or client that has not introduced itself by then is dropped.
    /// Default 5 s.
    pub hello_timeout: Duration,
    /// `keep-alive-interval`: a client that says nothing for so long is sent a ping. Default 20 s.
    pub keep_alive_interval: Duration,
    /// `keep-alive-timeout`: a client that says nothing for so long, or whose network takes nothing
    /// for so long, is gone. Default 60 s; above `keep-alive-interval`.
    pub keep_alive_timeout: Duration,
    /// `sessions-per-address-max`: further sessions and requests of clients from one IP address are
    /// refused. Default 1024.
    pub sessions_per_address_max: usize,
    /// `sessions-max`: further sessions and requests of clients are refused. Default 65536.
    pub sessions_max: usize,
    /// `answer-stall-timeout`: a client that takes nothing of an answer of HTTP for so long is gone.
    /// Default 60 s.
    pub answer_stall_timeout: Duration,
    /// `history-answers-per-address-max`: further answers of `/history` to one address, and to an
    /// IPv6 network, are refused while as many are under way. Default 32.
    pub history_answers_per_address_max: usize,
    /// `history-answers-per-realm-max`: the same for one realm. Default 64.
    pub history_answers_per_realm_max: usize,
    /// `history-answers-max`: the same for all of an entry. Default 128.
    pub history_answers_max: usize,
    /// `connections-per-address-max`: further connections from one IP address close its idle ones, or
    /// are refused. Default: `sessions-per-address-max` and 256 more; not below it.
    pub connections_per_address_max: usize,
    /// `connections-max`: further connections close idle ones, or are refused. Default: `sessions-max`
    /// and 4096 more; not below it. Where there are fewer open files, so many as fit them.
    pub connections_max: usize,
    /// `unfinished-bytes-max`: what has come of requests, frames and messages that are not whole;
    /// beyond it the largest of the address that has most of it ends. Default 64 MiB, or
    /// `frame-bytes-max` where that is more; not below it.
    pub unfinished_bytes_max: usize,
    /// `unfinished-timeout`: a body, frame or message that is not whole so long after its first byte
    /// ends. Default 60 s.
    pub unfinished_timeout: Duration,
    /// `login-failures-max`: after as many failed logins of an address within
    /// `login-failure-window`, further ones are refused for as long. Default 20.
    pub login_failures_max: u32,
    /// `login-failure-window`. Default 1 min.
    pub login_failure_window: Duration,
    /// `store-bytes-max`: bound of one LMDB file: that of a sync node, or of one day of an ndb node,
    /// whose map grows with it. Files are sparse. Default 1 TiB; a multiple of 4 KiB, at least
    /// 1 MiB.
    pub store_bytes_max: u64,
    /// `feed-retention`: how long a sync node keeps an election after the ndb nodes have applied
    /// it, so that readers find their feeds again where they left them. Default 60 s.
    pub feed_retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_messages_max: 4096,
            segment_bytes_max: MIB,
            message_bytes_max: MIB,
            frame_bytes_max: 4 * MIB,
            topic_bytes_max: KIB / 2,
            subscriptions_per_session_max: 1000,
            patterns_per_session_max: 250,
            patterns_per_realm_max: 50_000,
            patterns_per_entry_max: 100_000,
            patterns_per_address_max: 100_000 / ADDRESS_PART,
            wildcard_steps_max: 256,
            interest_bytes_max: 32 * MIB,
            interest_bytes_per_address_max: 32 * MIB / ADDRESS_PART,
            interest_bytes_per_realm_max: 32 * MIB,
            calls: CallBounds::default(),
            session_unacknowledged_bytes_max: 4 * MIB,
            session_unacknowledged_messages_max: 16_384,
            entry_unacknowledged_bytes_max: 64 * MIB,
            subscriber_buffer_bytes_max: MIB,
            link_queue_bytes_max: 64 * MIB,
            tail_cache_bytes_max: 16 * MIB,
            hello_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(60),
            sessions_per_address_max: 1024,
            sessions_max: 65_536,
            answer_stall_timeout: Duration::from_secs(60),
            history_answers_per_address_max: 32,
            history_answers_per_realm_max: 64,
            history_answers_max: 128,
            connections_per_address_max: 1024 + MORE_CONNECTIONS_OF_ADDRESS,
            connections_max: 65_536 + MORE_CONNECTIONS,
            unfinished_bytes_max: 64 * MIB,
            unfinished_timeout: Duration::from_secs(60),
            login_failures_max: 20,
            login_failure_window: Duration::from_secs(60),
            store_bytes_max: 1 << 40,
            feed_retention: Duration::from_secs(60),
        }
    }
}

impl Limits {
    pub(super) const KEYS: &'static [&'static str] = &[
        "segment-messages-max",
        "segment-bytes-max",
        "message-bytes-max",
        "frame-bytes-max",
        "topic-bytes-max",
        "subscriptions-per-session-max",
        "patterns-per-session-max",
        "patterns-per-realm-max",
        "patterns-per-entry-max",
        "patterns-per-address-max",
        "wildcard-steps-max",
        "interest-bytes-max",
        "interest-bytes-per-address-max",
        "interest-bytes-per-realm-max",
        "calls-per-session-max",
        "calls-bytes-per-session-max",
        "calls-max",
        "calls-bytes-max",
        "invocations-per-session-max",
        "callee-queue-bytes-max",
        "caller-queue-bytes-max",
        "registrations-per-session-max",
        "registrations-per-realm-max",
        "testaments-per-session-max",
        "testaments-bytes-per-session-max",
        "testaments-bytes-max",
        "testaments-bytes-per-address-max",
        "call-timeout-max",
        "call-timeout",
        "session-unacknowledged-bytes-max",
        "session-unacknowledged-messages-max",
        "entry-unacknowledged-bytes-max",
        "subscriber-buffer-bytes-max",
        "link-queue-bytes-max",
        "tail-cache-bytes-max",
        "hello-timeout",
        "keep-alive-interval",
        "keep-alive-timeout",
        "sessions-per-address-max",
        "sessions-max",
        "answer-stall-timeout",
        "history-answers-per-address-max",
        "history-answers-per-realm-max",
        "history-answers-max",
        "connections-per-address-max",
        "connections-max",
        "unfinished-bytes-max",
        "unfinished-timeout",
        "login-failures-max",
        "login-failure-window",
        "store-bytes-max",
        "feed-retention",
    ];

    /// The most that one topic takes of `interest-bytes-max`.
    pub(super) const fn topic_interest_bytes_max(&self) -> usize {
        TopicPattern::INTEREST_BYTES.saturating_add(self.topic_bytes_max.saturating_mul(2))
    }

    /// Takes what the table sets and leaves the rest at its default, which may depend on how many
    /// `realms` there are.
    pub(super) fn read(mut table: TableReader<'_>, realms: usize) -> Result<Self, ConfigError> {
        let mut l = Self::default();
        table.count("segment-messages-max", &mut l.segment_messages_max)?;
        table.size("segment-bytes-max", &mut l.segment_bytes_max)?;
        table.size("message-bytes-max", &mut l.message_bytes_max)?;
        table.size("frame-bytes-max", &mut l.frame_bytes_max)?;
        table.size("topic-bytes-max", &mut l.topic_bytes_max)?;
        table.count("subscriptions-per-session-max", &mut l.subscriptions_per_session_max)?;
        table.count("patterns-per-session-max", &mut l.patterns_per_session_max)?;
        table.count("patterns-per-realm-max", &mut l.patterns_per_realm_max)?;
        table.count("patterns-per-entry-max", &mut l.patterns_per_entry_max)?;
        l.patterns_per_address_max = (l.patterns_per_entry_max / ADDRESS_PART)
            .max(l.patterns_per_session_max)
            .min(l.patterns_per_entry_max);
        table.count("patterns-per-address-max", &mut l.patterns_per_address_max)?;
        table.count("wildcard-steps-max", &mut l.wildcard_steps_max)?;
        l.calls = CallBounds::read(&mut table)?;
        table.size("session-unacknowledged-bytes-max", &mut l.session_unacknowledged_bytes_max)?;
        table.count(
            "session-unacknowledged-messages-max",
            &mut l.session_unacknowledged_messages_max,
        )?;
        table.size("entry-unacknowledged-bytes-max", &mut l.entry_unacknowledged_bytes_max)?;
        table.size("subscriber-buffer-bytes-max", &mut l.subscriber_buffer_bytes_max)?;
        table.size("link-queue-bytes-max", &mut l.link_queue_bytes_max)?;
        l.interest_bytes_max = l.interest_bytes_max.min(l.link_queue_bytes_max / 2);
        table.size("interest-bytes-max", &mut l.interest_bytes_max)?;
        let part = |of: usize| {
            (l.interest_bytes_max / of).max(l.topic_interest_bytes_max()).min(l.interest_bytes_max)
        };
        let of_address = part(ADDRESS_PART);
        // The only realm may have everything. Whoever makes one up has the share of his address.
        let of_realm = if realms > 1 { part(REALM_PART) } else { l.interest_bytes_max };
        (l.interest_bytes_per_address_max, l.interest_bytes_per_realm_max) = (of_address, of_realm);
        table.size("interest-bytes-per-address-max", &mut l.interest_bytes_per_address_max)?;
        table.size("interest-bytes-per-realm-max", &mut l.interest_bytes_per_realm_max)?;
        table.size("tail-cache-bytes-max", &mut l.tail_cache_bytes_max)?;
        table.duration("hello-timeout", &mut l.hello_timeout)?;
        table.duration("keep-alive-interval", &mut l.keep_alive_interval)?;
        table.duration("keep-alive-timeout", &mut l.keep_alive_timeout)?;
        table.count("sessions-per-address-max", &mut l.sessions_per_address_max)?;
        table.count("sessions-max", &mut l.sessions_max)?;
        table.duration("answer-stall-timeout", &mut l.answer_stall_timeout)?;
        table.count("history-answers-per-address-max", &mut l.history_answers_per_address_max)?;
        table.count("history-answers-per-realm-max", &mut l.history_answers_per_realm_max)?;
        table.count("history-answers-max", &mut l.history_answers_max)?;
        l.connections_per_address_max =
            l.sessions_per_address_max.saturating_add(MORE_CONNECTIONS_OF_ADDRESS);
        l.connections_max = l.sessions_max.saturating_add(MORE_CONNECTIONS);
        table.count("connections-per-address-max", &mut l.connections_per_address_max)?;
        table.count("connections-max", &mut l.connections_max)?;
        l.unfinished_bytes_max = l.unfinished_bytes_max.max(l.frame_bytes_max);
        table.size("unfinished-bytes-max", &mut l.unfinished_bytes_max)?;
        table.duration("unfinished-timeout", &mut l.unfinished_timeout)?;
        table.count("login-failures-max", &mut l.login_failures_max)?;
        table.duration("login-failure-window", &mut l.login_failure_window)?;
        table.size("store-bytes-max", &mut l.store_bytes_max)?;
        table.duration("feed-retention", &mut l.feed_retention)?;
        Ok(l)
    }
}
