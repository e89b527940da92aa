//! Needs: what a callee has to have announced for a call, or it is not given it.
//!
//! Source: WAMP spec *Progressive Call Invocations* (no callee can be unaware of them) and *Payload Passthru Mode*:
//! where the callee does not support what a call has, its caller gets `wamp.error.feature_not_supported`.

use super::words::Part;
use crate::api::calls::CallFeatures;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The call comes in parts.
    in_parts: bool,
    /// Its payload is packed.
    is_packed: bool,
}

impl Needs {
    /// Of a call with these parts, the first of them first.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Self {
        let add = |Self { in_parts, is_packed }: Self, part: &Part| Self {
            in_parts: in_parts || part.has_more,
            is_packed: is_packed || part.payload.passthru.is_some(),
        };
        parts.into_iter().fold(Self::default(), add)
    }

    pub(super) const fn are_met_by(self, features: CallFeatures) -> bool {
        let Self { in_parts, is_packed } = self;
        (!in_parts || features.takes_parts) && (!is_packed || features.answers_packed)
    }

    /// As callees announce it; `None`: nothing.
    pub(super) const fn features(self) -> Option<&'static str> {
        match (self.in_parts, self.is_packed) {
            (false, false) => None,
            (true, false) => Some("progressive_call_invocations and call_canceling"),
            (false, true) => Some("payload_passthru_mode"),
            (true, true) => {
                Some("progressive_call_invocations, call_canceling and payload_passthru_mode")
            }
        }
    }
}
