//! The bounds of calls, as the configuration says them.

use vixen_broker::dealer::CallLimits;
use vixen_runtime::config::Limits;

pub(super) fn call_limits(limits: &Limits) -> CallLimits {
    let bounds = &limits.calls;
    CallLimits {
        calls_per_session_max: bounds.per_session_max,
        calls_bytes_per_session_max: bounds.bytes_per_session_max,
        calls_max: bounds.max,
        calls_bytes_max: bounds.bytes_max,
        invocations_per_session_max: bounds.invocations_per_session_max,
        callee_queue_bytes_max: bounds.callee_queue_bytes_max,
        caller_queue_bytes_max: bounds.caller_queue_bytes_max,
        link_queue_bytes_max: limits.link_queue_bytes_max,
        call_timeout_max: bounds.call_timeout_max,
        call_timeout: bounds.call_timeout,
    }
}
