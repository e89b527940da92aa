//! Where a client of `/events` goes on that comes back.

use axum::http::HeaderMap;

use vixen_broker::api::After;
use vixen_broker::history::{HistoryError, RefPoint};
use vixen_core::id::Position;
use vixen_core::time::WallTime;

/// Where a client was that comes back. Browsers send none before the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastEventId {
    /// It is new here.
    Absent,
    /// It got everything up to this.
    Point(RefPoint),
    /// No entry has sent this. A browser cannot change it, and gives up for good at a status but 200.
    Unreadable,
}

impl LastEventId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
            return Self::Absent;
        };
        let point = value.to_str().ok().and_then(|text| RefPoint::parse(text, WallTime(0)).ok());
        match point {
            Some(point @ (RefPoint::Position(_) | RefPoint::Id(_))) => Self::Point(point),
            Some(RefPoint::Time(_)) | None => Self::Unreadable,
        }
    }
}

/// Where a client goes on that cannot go on where it was.
pub(super) struct Reset {
    pub(super) after: After,
    /// Its `Last-Event-ID` from now on.
    pub(super) last: Position,
}

impl Reset {
    /// From what comes after the end.
    pub(super) const fn after(end: Position) -> Self {
        Self { after: After::Point(RefPoint::Position(end)), last: end }
    }

    /// Where the client goes on after this error, if it can.
    pub(super) fn of(error: &HistoryError) -> Option<Self> {
        match error {
            HistoryError::Trimmed { first } => {
                let last = Position(first.0.saturating_sub(1));
                Some(Self { after: After::Beginning, last })
            }
            HistoryError::Beyond { end } | HistoryError::NotOfThisOrder { end } => {
                Some(Self::after(*end))
            }
            HistoryError::Busy { .. }
            | HistoryError::NotReady
            | HistoryError::EndUnknown { .. }
            | HistoryError::Unavailable { .. }
            | HistoryError::Stopped => None,
        }
    }
}
