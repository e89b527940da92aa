//! What all clients of an entry share.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};

use vixen_core::name::NodeName;

use super::limits::SessionLimits;
use crate::admission::{Admission, Answers};
use crate::node::EntryEvent;
use crate::reads::ReadContext;

/// See the module.
#[derive(Clone, Debug)]
pub struct SessionContext {
    /// To the broker.
    pub events: mpsc::Sender<EntryEvent>,
    /// Bounds of each session.
    pub limits: Arc<SessionLimits>,
    /// Bytes that the whole entry may yet have unacknowledged, with
    /// [`SessionLimits::entry_unacknowledged_bytes_max`] permits in all. Sessions only take: the
    /// broker gives back a message's [`Publish::counted_bytes`](vixen_broker::api::Publish) when it is
    /// resolved.
    pub room: Arc<Semaphore>,
    /// True, or dropped, once the node stops.
    pub stopping: watch::Receiver<bool>,
    /// The store.
    pub(crate) reads: ReadContext,
    /// Who lets clients in.
    pub(crate) admission: Arc<Admission>,
    /// The places of long answers.
    pub(crate) answers: Answers,
    /// What this entry is called.
    pub(crate) node: NodeName,
}
