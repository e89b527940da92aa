//! Bounds: how much a caller may have open.

use super::super::routes::Routes;
use super::super::turn::Turn;
use super::CallError;
use crate::api::SessionId;

/// Why a caller may not have one more call of so many bytes.
pub(super) fn beyond<R: Routes>(
    session: SessionId,
    bytes: usize,
    turn: &Turn<'_, R>,
) -> Option<CallError> {
    let limits = &turn.options.limits;
    let caller = turn.sessions.get(session)?;
    let too_many = |key, max| Some(CallError::TooMany { key, max });
    if caller.open_calls >= limits.calls_per_session_max {
        return too_many("calls-per-session-max", limits.calls_per_session_max);
    }
    if !turn.usage.has_call_for(caller.open_calls, limits.calls_max) {
        return too_many("calls-max", limits.calls_max);
    }
    beyond_bytes(session, bytes, turn)
}

/// Why so many bytes more of a caller may not be kept.
pub(super) fn beyond_bytes<R: Routes>(
    session: SessionId,
    bytes: usize,
    turn: &Turn<'_, R>,
) -> Option<CallError> {
    let limits = &turn.options.limits;
    let caller = turn.sessions.get(session)?;
    let too_many = |key, max| Some(CallError::TooMany { key, max });
    if caller.kept_bytes.saturating_add(bytes) > limits.calls_bytes_per_session_max {
        return too_many("calls-bytes-per-session-max", limits.calls_bytes_per_session_max);
    }
    if !turn.usage.has_bytes_for(caller.used_bytes(), bytes, limits.calls_bytes_max) {
        return too_many("calls-bytes-max", limits.calls_bytes_max);
    }
    None
}
