//! What goes into the registrar, and what comes out.

use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::time::WallTime;
use vixen_views::record::Record;
use vixen_views::registrations::Change;

use crate::api::calls::{CallTold, Register, RegistrationId};
use crate::api::{RequestId, SessionId, SessionInfo};
use crate::dealer;

/// Everything that can happen to the registrar.
#[derive(Debug)]
pub enum Input {
    /// A session is welcome; first of its words.
    Opened {
        /// Who it is.
        info: Arc<SessionInfo>,
    },
    /// A session wants to be callee. One that is gone is not answered.
    Register {
        /// The session.
        session: SessionId,
        /// Of what, and how.
        register: Register,
    },
    /// A session wants to be one no more.
    Unregister {
        /// The session.
        session: SessionId,
        /// Echoed.
        request: RequestId,
        /// As it was told.
        registration: RegistrationId,
    },
    /// Callers are not told any more that a session answers.
    Hide {
        /// The session.
        session: SessionId,
        /// As it was told.
        registration: RegistrationId,
    },
    /// A callee is taken out of a registration of a realm, wherever it is; nothing, if it is not in it.
    Remove {
        /// The realm.
        realm: Arc<str>,
        /// The registration.
        registration: Position,
        /// Session of the callee.
        session: SessionId,
    },
    /// A session is gone; last of its words.
    Closed {
        /// The session.
        session: SessionId,
    },
    /// A record of another entry, above all that are in the view.
    Read {
        /// Its place.
        position: Position,
        /// Time of its stamp.
        at: WallTime,
        /// What it says.
        record: Record,
    },
}

/// What the driver owes after a step: the words, and then the dealer's inputs.
#[derive(Debug, Default)]
pub struct Effects {
    /// What has changed, for those who want to hear of it.
    pub changes: Vec<Change>,
    /// What the dealer is to know.
    pub dealer: Vec<dealer::Input>,
    /// Words to sessions, in this order for each.
    pub told: Vec<(SessionId, CallTold)>,
}
