//! Visitor: a session of the core without a WAMP client, for one HTTP request. It takes a place of
//! `limits.sessions-max` as others do.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use vixen_broker::api::{Outgoing, RequestId, SessionInfo};

use crate::admission::Permit;
use crate::gates::context::SessionContext;
use crate::gates::web::Problem;
use crate::node::EntryEvent;
use crate::outbound::{OutboundReceiver, SessionEvent, outbound};

/// The only request that a visitor numbers.
pub(super) const REQUEST: RequestId = RequestId(1);

/// See the module. The core forgets it when it is dropped.
#[derive(Debug)]
pub(super) struct Visitor {
    info: Arc<SessionInfo>,
    events: mpsc::Sender<EntryEvent>,
    receiver: OutboundReceiver,
    _admission: Permit,
}

/// The node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl From<Stopped> for Problem {
    fn from(Stopped: Stopped) -> Self {
        Self::shutting_down()
    }
}

impl Visitor {
    /// Opens a session of `info` for a client at `address`.
    ///
    /// # Errors
    /// There are too many already, or the node stops.
    pub(super) async fn open(
        context: &SessionContext,
        info: Arc<SessionInfo>,
        address: IpAddr,
    ) -> Result<Self, Problem> {
        let permit = context.admission.admit(address).map_err(Problem::too_many_sessions)?;
        Self::open_admitted(context, info, permit).await
    }

    /// As [`open`](Self::open), for a client that has its place.
    ///
    /// # Errors
    /// The node stops.
    pub(super) async fn open_admitted(
        context: &SessionContext,
        info: Arc<SessionInfo>,
        permit: Permit,
    ) -> Result<Self, Problem> {
        let (outbound, receiver) = outbound(context.limits.subscriber_buffer_bytes_max);
        let events = context.events.clone();
        let visitor = Self { info: Arc::clone(&info), events, receiver, _admission: permit };
        visitor.tell(SessionEvent::Opened { info, outbound }).await?;
        Ok(visitor)
    }

    pub(super) const fn info(&self) -> &Arc<SessionInfo> {
        &self.info
    }

    /// Tells the core; waits while it is behind.
    pub(super) async fn tell(&self, event: SessionEvent) -> Result<(), Stopped> {
        self.events.send(event.into()).await.map_err(|_stopped| Stopped)
    }

    /// Takes all that waits, at least one. Cancel safe.
    pub(super) async fn receive(&mut self, buffer: &mut VecDeque<Outgoing>) -> Result<(), Stopped> {
        if self.receiver.receive(buffer).await { Ok(()) } else { Err(Stopped) }
    }

    /// Gives back the room of what was received, once it is written.
    pub(super) fn give_back(&self, bytes: usize) {
        self.receiver.give_back(bytes);
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let closed = SessionEvent::Closed { session: self.info.session };
        if let Err(mpsc::error::TrySendError::Full(closed)) = self.events.try_send(closed.into()) {
            let events = self.events.clone();
            tokio::spawn(async move { events.send(closed).await });
        }
    }
}
