//! Names of the metrics of TLS, and the values of their labels.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const HANDSHAKES_FAILED: &str = "vixen_common_tls_handshakes_failed_total";
const RELOADS: &str = "vixen_common_tls_reloads_total";
const EXPIRY: &str = "vixen_common_tls_certificate_expiry_seconds";

/// Why a handshake came to nothing: label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It did not end in time.
    Timeout,
    /// It took long while as many as may be were under way.
    Crowded,
    /// The other end spoke something else, such as plain HTTP.
    NotTls,
    /// The other end went away.
    Closed,
    /// The other end's certificate is not good here.
    Certificate,
    /// Ours is not good to the other end.
    Refused,
    /// No common version or cipher, or broken messages.
    Protocol,
}

impl Failure {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
            Self::NotTls => "not_tls",
            Self::Closed => "closed",
            Self::Certificate => "certificate",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
        }
    }
}

pub(super) fn describe() {
    describe_counter!(HANDSHAKES_FAILED, "TLS handshakes of accepted connections that failed");
    describe_counter!(RELOADS, "Times the certificates of a table were read again");
    describe_gauge!(EXPIRY, "When the certificate in use expires, Unix seconds");
}

pub(super) fn handshake_failed(failure: Failure) {
    counter!(HANDSHAKES_FAILED, "reason" => failure.as_str()).increment(1);
}

pub(super) fn reloaded(table: &'static str, is_good: bool) {
    let outcome = if is_good { "ok" } else { "failed" };
    counter!(RELOADS, "table" => table, "outcome" => outcome).increment(1);
}

pub(super) fn set_expiry(table: &'static str, not_after_seconds: Option<i64>) {
    if let Some(seconds) = not_after_seconds {
        #[expect(clippy::cast_precision_loss, reason = "exact up to the year 285 million")]
        gauge!(EXPIRY, "table" => table).set(seconds as f64);
    }
}
