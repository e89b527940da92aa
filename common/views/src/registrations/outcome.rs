//! What a record brings about.

use serde::Serialize;

use vixen_core::id::{OwnerId, Position};
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
    Checkpoint(Checked),
    /// It is no record to this version, and none has to know it; or a checkpoint that cannot be true.
    PassedOver(RecordError),
    /// The view stands still from here on, or has before: a later version is needed to read on.
    Stopped(RecordError),
    /// Its position is not above what the view has applied: nothing is changed.
    Repeated,
}

/// A part of a checkpoint, and how the view finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Who wrote it.
    pub writer: Life,
    /// Of what it is.
    pub as_of: Position,
    /// Which part, from 0.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// Its chain, beside that of the view.
    pub compared: Compared,
}

impl Checked {
    /// Whether a view that was begun from a checkpoint of `begun_by`, which differs from the own one, is to take
    /// its place: another writer, neither that one nor this entry, says the same as it, and not the same as the
    /// own. `self` is what the own view finds of a part, `there` what that view finds.
    #[must_use]
    pub fn is_outvoted(&self, there: &Self, begun_by: OwnerId, here: OwnerId) -> bool {
        let is_another = self.writer.owner != begun_by && self.writer.owner != here;
        let is_one = (self.writer, self.as_of) == (there.writer, there.as_of);
        let found = (self.compared, there.compared);
        is_one && is_another && begun_by != here && found == (Compared::Differs, Compared::Same)
    }
}

/// How a checkpoint's chain compares with that of the view at the same position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Both views were equal there.
    Same,
    /// They were not: one of them is wrong.
    Differs,
    /// The view does not know its chain at that position any more.
    Unknown,
    /// It was compared before, by another part of it, or a later one of the same entry was.
    Again,
}

/// What became of a record, and what has changed by it, in this order: what the chain is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Of the record.
    pub verdict: Verdict,
    /// Of the view.
    pub changes: Vec<Change>,
}

/// What became of a record. Its bytes, and those of what it has, are part of the chain: variants are only ever
/// added, at the end, and with a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Refusal {
    /// There is one callee, and room for one: `procedure_already_exists`.
    AlreadyExists,
    /// Its callees have another policy: `procedure_exists_with_different_invocation_policy`.
    OtherPolicy,
}

/// Why a record says nothing that could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Ignored {
    /// Its writer's life has not begun, or is over.
    NotAlive,
    /// There is no such registration, or the session is no callee of it.
    NotCallee,
    /// The life that it ends is over already, or one after it has begun.
    OverBefore,
}

/// A change of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// It keeps timeouts itself.
        keeps_timeouts: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
