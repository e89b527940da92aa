//! What goes into the registrar, and what comes out.

use std::sync::Arc;

use vixen_core::id::{OwnerId, Position};
use vixen_views::follower::{self, From};
use vixen_views::record::{Life, Record, RecordError};
use vixen_views::registrations::{Change, Checked, CheckpointError};

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
    /// Something of the order, for the view.
    View(follower::Input),
    /// Another entry says on its link that it has applied all records below a position.
    Standing {
        /// The entry.
        owner: OwnerId,
        /// The position.
        applied_below: Position,
    },
    /// There is no link to another entry any more.
    Unlinked {
        /// The entry.
        owner: OwnerId,
    },
    /// So many records have no room yet on their way to the order.
    Unsent {
        /// Their number.
        records: usize,
    },
    /// The entry stops: nobody registers here any more, and what is registered here ends in the order.
    Stop,
    /// The time of [`Registrar::timeout_at`](super::Registrar::timeout_at) came.
    Timeout {
        /// What keeps records from their places, in words.
        missing: Arc<str>,
    },
}

/// What the driver owes after a step: the words, and then the dealer's inputs; records in their order.
#[derive(Debug, Default)]
pub struct Effects {
    /// What has changed, for those who want to hear of it.
    pub changes: Vec<Change>,
    /// What the dealer is to know.
    pub dealer: Vec<dealer::Input>,
    /// Words to sessions, in this order for each.
    pub told: Vec<(SessionId, CallTold)>,
    /// What is to get a place in the order.
    pub records: Vec<Record>,
    /// What is to be read of the order.
    pub reads: Vec<Read>,
    /// What happened, for metrics and the log.
    pub notes: Vec<Note>,
}

/// What the view wants to read: as [`follower::Effect`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Checkpoints, backward.
    Earlier {
        /// Not on from the last one.
        from_end: bool,
    },
    /// All records from there on, and nothing more of what was followed before.
    Follow(From),
}

/// Facts for metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The view is ready, with this life.
    Ready(Life),
    /// This entry writes a checkpoint.
    Checkpoint,
    /// A checkpoint is of no view.
    Unusable(CheckpointError),
    /// A checkpoint is not of the view that this entry has.
    Differs(Checked),
    /// A part of the order cannot be read.
    Cut,
    /// What has to be known is of a later version.
    Stopped(RecordError),
}
