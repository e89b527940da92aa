//! What a record brings about.

use serde::{Deserialize, Serialize};

use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;

use super::Callee;
use crate::record::{GoneWhy, Invoke, Life, RecordError, RegistrationId, UnregisterWhy};

/// What became of a message in the realm of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The view has taken it into account.
    Applied(Applied),
    /// It is a part of a checkpoint, and changes nothing.
    Checkpoint(Compared),
    /// It is no record to this version, and none has to know it.
    PassedOver(RecordError),
    /// The view stands still from here on, or has before: a later version is needed to read on.
    Stopped(RecordError),
    /// Its position is not above what the view has applied: nothing is changed.
    Repeated,
}

/// How a checkpoint's chain compares with that of the view at the same position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Both views were equal there.
    Same,
    /// They were not: one of them is wrong.
    Differs,
    /// The view does not know its chain at that position any more, or not yet.
    Unknown,
}

/// What became of a record, and what has changed by it, in this order. Its bytes are part of the chain:
/// variants are only ever added, at the end, and with a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Of the record.
    pub verdict: Verdict,
    /// Of the view.
    pub changes: Vec<Change>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It holds, also where there was nothing to end.
    Done,
    /// The session is a callee of this registration.
    Registered(RegistrationId),
    /// The session was a callee of it before, and keeps its place.
    Stays(RegistrationId),
    /// The session is no callee.
    Refused(Refusal),
    /// It says nothing that could hold.
    Ignored(Ignored),
}

/// Why a session is not taken as callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is one callee, and room for one: `procedure_already_exists`.
    AlreadyExists,
    /// Its callees have another policy: `procedure_exists_with_different_invocation_policy`.
    OtherPolicy,
}

/// Why a record says nothing that could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ignored {
    /// Its writer's life has not begun, or is over.
    NotAlive,
    /// There is no such registration, or the session is no callee of it.
    NotCallee,
    /// The life that it ends is over, or never was the present one.
    OverBefore,
}

/// A change of the view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The life is alive; again for one whose facts are told anew.
    Alive(Life),
    /// The life is over; its callees have left before.
    Over(Life),
    /// A registration is there.
    Created {
        /// It.
        registration: RegistrationId,
        /// Of what.
        pattern: TopicPattern,
        /// Who is called.
        invoke: Invoke,
        /// The time of its record in the order.
        created: WallTime,
    },
    /// It has a callee more.
    Joined {
        /// Which registration.
        registration: RegistrationId,
        /// Of what.
        pattern: TopicPattern,
        /// The new one.
        callee: Callee,
    },
    /// It has a callee less.
    Left {
        /// Which registration.
        registration: RegistrationId,
        /// Of what.
        pattern: TopicPattern,
        /// Who has left.
        callee: Callee,
        /// Why.
        why: LeftWhy,
    },
    /// It has ended with its last callee.
    Deleted {
        /// It.
        registration: RegistrationId,
        /// Of what.
        pattern: TopicPattern,
    },
}

/// Why a callee has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeftWhy {
    /// By a record of that kind.
    Unregistered(UnregisterWhy),
    /// Its session is over.
    SessionOver,
    /// Its life was called gone.
    Gone(GoneWhy),
    /// Its entry has begun a new life.
    NewLife,
    /// Another has registered by force.
    Unseated,
}
