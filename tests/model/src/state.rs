//! States of the cluster, and what can happen in them.

use std::hash::{Hash, Hasher};

use vixen_core::id::Stamp;

use crate::instance::NODES;
use crate::table::Number;
use crate::verdict::Verdict;

/// When a segment was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Submitted {
    /// Not yet.
    No,
    /// When this was the highest stamp known elected anywhere.
    After(Stamp),
    /// And it is elected, above that stamp.
    Elected,
    /// It is elected below: real-time order is broken.
    TooLow,
}

/// A state of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) nodes: [Number; NODES],
    /// All messages ever sent, sorted.
    pub(crate) network: Box<[Number]>,
    pub(crate) crashes: u8,
    pub(crate) overdues: u8,
    pub(crate) jumps: u8,
    /// Bit `n`: wall time, or the clock, of node `n` was far ahead once.
    pub(crate) were_ahead: u8,
    pub(crate) submitted: Box<[Submitted]>,
    /// A function of the rest.
    pub(crate) verdict: Verdict,
    /// The last step took a segment over: `Outcome::is_taken_over`.
    pub(crate) is_taken_over: Note,
    /// The last step has proposed a second value in a ballot.
    pub(crate) has_two_proposals: Note,
}

/// Something about the last step, of which a state knows nothing: all notes are equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note(pub(crate) bool);

impl PartialEq for Note {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Note {}

impl Hash for Note {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// An ndb node tells a sync node that it has a segment.
    Store { node: usize, segment: usize },
    /// A message arrives.
    Deliver(Number),
    /// A hedge delay ends.
    Overdue { node: usize, segment: usize },
    /// A node hears a message of a peer that says nothing.
    Hear { node: usize, peer: usize },
    /// A node dies.
    Crash { node: usize, elections: u8, votes: bool },
    /// A node's wall time is set far ahead, or right again.
    Jump { node: usize },
    /// A parcel reaches a node that dies in the commit of the step, when something has left already.
    Tear { node: usize, parcel: Number },
    /// A node starts again.
    Restart { node: usize },
    /// A link comes up, at both ends.
    LinkUp { a: usize, b: usize },
    /// A node notices that its link to a node that died is gone.
    LinkDown { node: usize, peer: usize },
}
