//! The bounds of calls.

use std::time::Duration;

use serde::Serialize;

use super::{ADDRESS_PART, ConfigError, KIB, MIB, TableReader};

/// Keys of `[limits]` about calls. None of them may be 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallBounds {
    /// `calls-per-session-max`: open calls of a caller; further ones are refused. Default 4096.
    #[serde(rename = "calls-per-session-max")]
    pub per_session_max: usize,
    /// `calls-bytes-per-session-max`: their payloads, while they are kept. Default 16 MiB.
    #[serde(rename = "calls-bytes-per-session-max")]
    pub bytes_per_session_max: usize,
    /// `calls-max`: open calls of an entry. Default 262144.
    #[serde(rename = "calls-max")]
    pub max: usize,
    /// `calls-bytes-max`: their payloads, while they are kept, and what waits for sockets of callers and
    /// callees. Default 256 MiB.
    #[serde(rename = "calls-bytes-max")]
    pub bytes_max: usize,
    /// `invocations-per-session-max`: not answered by one callee; it gets no further ones. Default 4096.
    pub invocations_per_session_max: usize,
    /// `callee-queue-bytes-max`: invocations not written to one socket; it gets no further ones. Default 4 MiB.
    pub callee_queue_bytes_max: usize,
    /// `caller-queue-bytes-max`: results not written to one socket; further ones are replaced by an error. Default
    /// 4 MiB.
    pub caller_queue_bytes_max: usize,
    /// `registrations-per-session-max`: further ones are refused. Default 1000.
    pub registrations_per_session_max: usize,
    /// `registrations-per-realm-max`: of one realm, over all entries. Default 100000, or
    /// `registrations-per-session-max` where that is more.
    pub registrations_per_realm_max: usize,
    /// `testaments-per-session-max`: what one session may leave to be published at its end. Default 100.
    pub testaments_per_session_max: usize,
    /// `testaments-bytes-per-session-max`: of it, topics and payloads. Default 256 KiB.
    pub testaments_bytes_per_session_max: usize,
    /// `testaments-bytes-max`: of all sessions of an entry. Default 64 MiB.
    pub testaments_bytes_max: usize,
    /// `testaments-bytes-per-address-max`: of these, those of all sessions of one address. Default a quarter of
    /// `testaments-bytes-max`, or `testaments-bytes-per-session-max` where that is more; not below that.
    pub testaments_bytes_per_address_max: usize,
    /// `call-timeout-max`: the longest timeout of a call. Default: none.
    pub call_timeout_max: Option<Duration>,
    /// `call-timeout`: of calls that ask for none. Default: none.
    pub call_timeout: Option<Duration>,
}

impl Default for CallBounds {
    fn default() -> Self {
        Self {
            per_session_max: 4096,
            bytes_per_session_max: 16 * MIB,
            max: 262_144,
            bytes_max: 256 * MIB,
            invocations_per_session_max: 4096,
            callee_queue_bytes_max: 4 * MIB,
            caller_queue_bytes_max: 4 * MIB,
            registrations_per_session_max: 1000,
            registrations_per_realm_max: 100_000,
            testaments_per_session_max: 100,
            testaments_bytes_per_session_max: 256 * KIB,
            testaments_bytes_max: 64 * MIB,
            testaments_bytes_per_address_max: 64 * MIB / ADDRESS_PART,
            call_timeout_max: None,
            call_timeout: None,
        }
    }
}

impl CallBounds {
    pub(super) fn read(table: &mut TableReader<'_>) -> Result<Self, ConfigError> {
        let mut c = Self::default();
        table.count("calls-per-session-max", &mut c.per_session_max)?;
        table.size("calls-bytes-per-session-max", &mut c.bytes_per_session_max)?;
        table.count("calls-max", &mut c.max)?;
        table.size("calls-bytes-max", &mut c.bytes_max)?;
        table.count("invocations-per-session-max", &mut c.invocations_per_session_max)?;
        table.size("callee-queue-bytes-max", &mut c.callee_queue_bytes_max)?;
        table.size("caller-queue-bytes-max", &mut c.caller_queue_bytes_max)?;
        table.count("registrations-per-session-max", &mut c.registrations_per_session_max)?;
        c.registrations_per_realm_max =
            c.registrations_per_realm_max.max(c.registrations_per_session_max);
        table.count("registrations-per-realm-max", &mut c.registrations_per_realm_max)?;
        table.count("testaments-per-session-max", &mut c.testaments_per_session_max)?;
        table.size("testaments-bytes-per-session-max", &mut c.testaments_bytes_per_session_max)?;
        table.size("testaments-bytes-max", &mut c.testaments_bytes_max)?;
        c.testaments_bytes_per_address_max = (c.testaments_bytes_max / ADDRESS_PART)
            .max(c.testaments_bytes_per_session_max)
            .min(c.testaments_bytes_max);
        table.size("testaments-bytes-per-address-max", &mut c.testaments_bytes_per_address_max)?;
        for (key, slot) in
            [("call-timeout-max", &mut c.call_timeout_max), ("call-timeout", &mut c.call_timeout)]
        {
            let mut timeout = Duration::ZERO;
            table.duration(key, &mut timeout)?;
            *slot = Some(timeout).filter(|timeout| !timeout.is_zero());
        }
        Ok(c)
    }
}
