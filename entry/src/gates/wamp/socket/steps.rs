//! Steps: the effects of a client's frames, done in order.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, TryAcquireError};
use tokio::time::Instant;

use vixen_broker::access::Permissions;
use vixen_broker::api::Publish;

use super::{BATCH_BYTES, Connection};
use crate::admission::AdmittedSession;
use crate::gates::metrics::count_refusal;
use crate::gates::refusal::Refusal;
use crate::gates::wamp::error::Ending;
use crate::gates::wamp::metrics::count_subscribe_error;
use crate::gates::wamp::session::Action;
use crate::outbound::SessionEvent;

/// One effect of the client's frames.
pub(super) enum Step {
    Publish {
        messages: Vec<Publish>,
        bytes: usize,
    },
    Tell(SessionEvent),
    /// A WAMP message as JSON.
    Write(Bytes),
    End(Ending),
}

impl Connection {
    /// Whether nothing that follows is of any use.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.steps.back(), Some(Step::End(_)))
    }

    pub(super) fn take_end(&mut self, ending: Ending) {
        self.steps.push_back(Step::End(ending));
    }

    /// Turns what the session wants into steps.
    pub(super) fn take_action(&mut self, action: Action) {
        let session = self.session.id();
        let step = match action {
            Action::Publish(publish) => {
                self.metrics.publishes.increment(1);
                return self.take_publish(publish);
            }
            Action::PublishRefused { refusal, answer } => {
                count_refusal(refusal);
                match answer {
                    Some(answer) => Step::Write(answer),
                    None => return,
                }
            }
            Action::Open { info, permissions, takes_revocation, welcome } => {
                self.outbox.on_opened(Arc::clone(&info), permissions, takes_revocation);
                if let Some(outbound) = self.outbound.take() {
                    self.steps.push_back(Step::Tell(SessionEvent::Opened { info, outbound }));
                }
                Step::Write(welcome)
            }
            Action::Challenge(challenge) => {
                self.login_by = Instant::now() + self.context.limits.hello_timeout;
                Step::Write(challenge)
            }
            Action::Subscribe { request, wish } => {
                let (pattern, mode) = (wish.pattern.clone(), wish.mode());
                self.outbox.on_subscribing(request, *wish);
                Step::Tell(SessionEvent::Subscribe { session, request, pattern, mode })
            }
            Action::Unsubscribe { request, subscription } => {
                self.outbox.on_unsubscribing(request, subscription);
                Step::Tell(SessionEvent::Unsubscribe { session, request, subscription })
            }
            Action::SubscribeRefused { refusal, answer } => {
                count_subscribe_error(refusal.uri());
                Step::Write(answer)
            }
            Action::End(ending) => Step::End(ending),
        };
        self.steps.push_back(step);
    }

    /// Adds to the batch that is being made, if it has room.
    fn take_publish(&mut self, publish: Publish) {
        let more = publish.counted_bytes();
        let batch_bytes = BATCH_BYTES.min(self.context.limits.entry_unacknowledged_bytes_max);
        if let Some(Step::Publish { messages, bytes }) = self.steps.back_mut()
            && *bytes + more <= batch_bytes
        {
            messages.push(publish);
            *bytes += more;
            return;
        }
        self.steps.push_back(Step::Publish { messages: vec![publish], bytes: more });
    }

    /// Does the steps in order, until there is none or one has to wait for room.
    pub(super) async fn do_steps(&mut self) -> Result<(), Ending> {
        let mut outcome = Ok(());
        while let Some(step) = self.steps.pop_front() {
            outcome = match step {
                Step::Publish { messages, bytes } => {
                    let permits = permits_of(bytes);
                    match Arc::clone(&self.context.room).try_acquire_many_owned(permits) {
                        Ok(room) => self.hand_over(messages, bytes, room).await,
                        Err(TryAcquireError::NoPermits) => {
                            self.steps.push_front(Step::Publish { messages, bytes });
                            let room = Arc::clone(&self.context.room);
                            self.waiting = Some(Box::pin(room.acquire_many_owned(permits)));
                            break;
                        }
                        Err(TryAcquireError::Closed) => Err(Ending::Shutdown),
                    }
                }
                Step::Tell(event) => self.tell(event).await,
                Step::Write(text) => {
                    self.frames.text(text);
                    Ok(())
                }
                Step::End(ending) => Err(ending),
            };
            if outcome.is_err() {
                break;
            }
        }
        self.write().await?;
        outcome
    }

    /// Refuses the messages that wait for room and may not be published any more. The rest waits
    /// anew: it is less now.
    pub(super) fn refuse_steps(&mut self, permissions: &Permissions) {
        let refusal = Refusal::from(AdmittedSession::not_any_more());
        for step in &mut self.steps {
            let Step::Publish { messages, bytes } = step else { continue };
            let may = |message: &mut Publish| permissions.publish(&message.topic.uri).is_none();
            for message in messages.extract_if(.., may) {
                *bytes -= message.counted_bytes();
                count_refusal(refusal);
                if let Some(request) = message.acknowledge {
                    self.frames.text(self.session.refuse_publish(request, refusal));
                }
            }
        }
        let is_empty =
            |step: &Step| matches!(step, Step::Publish { messages, .. } if messages.is_empty());
        self.steps.retain(|step| !is_empty(step));
        self.waiting = None;
    }

    /// The first step has the room that it waited for.
    pub(super) async fn on_room(
        &mut self,
        room: Result<OwnedSemaphorePermit, AcquireError>,
    ) -> Result<(), Ending> {
        self.waiting = None;
        let room = room.map_err(|_closed| Ending::Shutdown)?;
        match self.steps.pop_front() {
            Some(Step::Publish { messages, bytes }) => {
                self.hand_over(messages, bytes, room).await?;
            }
            Some(other) => self.steps.push_front(other),
            None => {}
        }
        self.do_steps().await
    }

    /// Hands a batch to the core, and with it the duty to give back its room.
    async fn hand_over(
        &mut self,
        messages: Vec<Publish>,
        bytes: usize,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Ending> {
        let count = messages.len();
        self.tell(SessionEvent::Publish { session: self.session.id(), messages }).await?;
        // Only now: whatever ends this task before gives the room back.
        room.forget();
        self.outbox.on_handed_over(count, bytes);
        Ok(())
    }
}

fn permits_of(bytes: usize) -> u32 {
    // `SessionLimits::publish_bytes_max` keeps every batch below.
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
