//! The end of a session, and of the node.

use tokio::sync::mpsc::error::TrySendError;

use vixen_broker::client::Effects;

use super::{Driver, Step, Stopped, is_answer, send};
use crate::outbound::{SessionEvent, outbound};

impl<A> Driver<A> {
    /// The node stops: nothing more is asked for, but what was taken is answered if it can be; and answers of a
    /// callee go where somebody waits for them.
    ///
    /// # Errors
    /// The broker has stopped.
    pub(in crate::gates) async fn begin_drain(&mut self) -> Result<(), Stopped> {
        self.waiting = None;
        for step in std::mem::take(&mut self.steps) {
            let Step::Calls { mut words, bytes: _ } = step else { continue };
            words.retain(is_answer);
            if !words.is_empty() {
                self.hand_over_words(words).await?;
            }
        }
        Ok(())
    }

    /// Waits for more of the broker while the node stops; `false` once it has stopped. Cancel safe.
    pub(in crate::gates) async fn more(&mut self) -> bool {
        self.receiver.receive(true, &mut self.incoming, &mut self.calls).await
    }

    /// Takes what the broker has told, blocked or not.
    pub(in crate::gates) fn take_rest(&mut self, fx: &mut Effects) {
        self.take_calls(fx);
        let Some(client) = &mut self.client else { return };
        while let Some(outgoing) = self.incoming.pop_front() {
            self.unwritten_bytes += outgoing.queued_bytes();
            client.on_outgoing(outgoing, fx);
        }
    }

    /// Tells the broker that the session is over. What it still had for it is of no use to anyone.
    pub(in crate::gates) async fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _stopped = send(&self.events, SessionEvent::Closed { session: self.session }).await;
        }
        self.incoming.clear();
        self.calls.clear();
        self.receiver = outbound(0).1;
    }
}

impl<A> Drop for Driver<A> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let closed = SessionEvent::Closed { session: self.session };
        if let Err(TrySendError::Full(closed)) = self.events.try_send(closed.into()) {
            let events = self.events.clone();
            tokio::spawn(async move { events.send(closed).await });
        }
    }
}
