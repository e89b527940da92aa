//! What goes into the registrar, and what comes out.

use std::sync::Arc;

use vixen_core::id::{OwnerId, Position, SyncId};
use vixen_views::follower::{self, From};
use vixen_views::record::{GoneWhy, Life, Record, RecordError};
use vixen_views::registrations::{Change, Checked, CheckpointError};

use super::HeardOf;
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
    /// A question of [`Effects::is_asking`] has its answer.
    Complete {
        /// Which REGISTER had come last as it was asked, by [`Registrar::last_number`](super::Registrar::last_number).
        up_to: u64,
        /// The view has all that was placed before; else nobody can tell in time.
        is_known: bool,
    },
    /// So many records have no room yet on their way to the order.
    Unsent {
        /// Their number.
        records: usize,
    },
    /// The entry stops: nobody registers here any more, and what is registered here ends in the order.
    Stop,
    /// The link to another entry has changed.
    Entry {
        /// The entry.
        owner: OwnerId,
        /// What has become of the link.
        link: EntryLink,
    },
    /// A sync node answers a question of [`Effects::asks`].
    Heard {
        /// The node.
        from: SyncId,
        /// Number of the question.
        request: u64,
        /// What it says.
        said: HeardOf,
    },
    /// The time of [`Registrar::timeout_at`](super::Registrar::timeout_at) came.
    Timeout {
        /// What keeps records from their places, in words.
        missing: Arc<str>,
    },
}

/// What becomes of the link to another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryLink {
    /// There is one, or another one.
    Up,
    /// There is none any more.
    Down,
    /// Nothing comes on it.
    Silent,
    /// Something comes again.
    HeardAgain,
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
    /// A REGISTER waits until the view is complete up to now: answered by [`Input::Complete`], once.
    pub is_asking: bool,
    /// Questions for all sync nodes, since when they have heard nothing of an entry: a number, rising, and the entry.
    pub asks: Vec<(u64, OwnerId)>,
    /// Sessions that have lost a registration, and have not announced that they hear of it: they are to be ended, so that
    /// they come back and register.
    pub misled: Vec<SessionId>,
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
    /// A life is over: the order has it from this entry or another one.
    Gone {
        /// It; it may be this entry's.
        life: Life,
        /// Why.
        why: GoneWhy,
        /// Who says so.
        by: Life,
    },
    /// The name of this process is that of a life that began after it.
    Newer(Life),
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
