//! What a client's frames ask for, as steps; and what it is told, as frames.

use tokio::time::Instant;

use vixen_broker::access::Permissions;
use vixen_broker::client::Effects;
use vixen_broker::dealer::Breach;
use vixen_broker::history::HistoryError;

use super::{Connection, Own};
use crate::admission::AdmittedSession;
use crate::gates::metrics::{count_call, count_refusal, count_registration};
use crate::gates::refusal::Refusal;
use crate::gates::wamp::error::{Ending, Violation};
use crate::gates::wamp::metrics::count_subscribe_error;
use crate::gates::wamp::session::{Action, Kind};

impl Connection {
    /// Turns what the session wants into steps.
    pub(super) fn take_action(&mut self, action: Action) {
        match action {
            Action::Publish(publish) => {
                self.metrics.publishes.increment(1);
                self.driver.publish(publish);
            }
            Action::PublishRefused { refusal, answer } => {
                count_refusal(refusal);
                if let Some(answer) = answer {
                    self.driver.gate(Own::Write(answer));
                }
            }
            Action::Open { info, permissions, takes_revocation, welcome } => {
                self.encoder.on_opened(takes_revocation, info.calls);
                self.driver.open(info, permissions);
                self.driver.gate(Own::Write(welcome));
            }
            Action::Challenge(challenge) => {
                self.login_by = Instant::now() + self.context.limits.hello_timeout;
                self.driver.gate(Own::Write(challenge));
            }
            Action::Subscribe { request, wanted } => self.driver.subscribe(request, *wanted),
            Action::Unsubscribe { request, subscription } => {
                self.driver.unsubscribe(request, subscription);
            }
            Action::SubscribeRefused { refusal, answer } => {
                count_subscribe_error(refusal.uri());
                self.driver.gate(Own::Write(answer));
            }
            Action::Call(word) => self.driver.call(word),
            Action::CallRefused { kind, answer } => {
                match kind {
                    Kind::Call => count_call("refused"),
                    Kind::Register => count_registration("refused"),
                }
                self.driver.gate(Own::Write(answer));
            }
            Action::End(ending) => self.take_end(ending),
        }
    }

    pub(super) fn take_end(&mut self, ending: Ending) {
        self.driver.gate(Own::End(ending));
    }

    /// Whether nothing that follows is of any use.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.driver.last(), Some(Own::End(_)))
    }

    /// Does what may be done of the steps, and writes what comes of it.
    pub(super) async fn do_steps(&mut self) -> Result<(), Ending> {
        let frames = &mut self.frames;
        let done = self.driver.do_steps(|own| match own {
            Own::Write(text) => {
                frames.text(text);
                Ok(())
            }
            Own::End(ending) => Err(ending),
        });
        let outcome = done.await;
        self.note_opening();
        self.write().await?;
        outcome
    }

    fn note_opening(&mut self) {
        if self.driver.is_open() && !self.was_opened {
            self.was_opened = true;
            self.meter.allow(usize::MAX);
            self.metrics.sessions.increment(1.0);
            self.metrics.sessions_total.increment(1);
            tracing::debug!(session = self.session.id().0, "session opened");
        }
    }

    /// Refuses the messages that wait for room and may not be published any more.
    pub(super) fn refuse_steps(&mut self, permissions: &Permissions) {
        let refusal = Refusal::from(AdmittedSession::not_any_more());
        for message in
            self.driver.refuse(|message| permissions.publish(&message.topic.uri).is_none())
        {
            count_refusal(refusal);
            if let Some(request) = message.acknowledge {
                self.frames.text(self.session.refuse_publish(request, refusal));
            }
        }
    }

    /// Makes frames of what the client is told, and of what comes `then`; does what else effects owe; and
    /// writes.
    pub(super) async fn settle(
        &mut self,
        mut fx: Effects,
        then: impl FnOnce(&mut Self),
    ) -> Result<(), Ending> {
        for told in fx.told.drain(..) {
            self.encoder.put(told, &mut self.frames);
        }
        then(self);
        self.driver.settle(&mut fx).await?;
        self.driver.answer(self.encoder.take_unsaid()).await?;
        self.write().await?;
        match self.driver.breach() {
            None => {}
            Some(Breach::RepeatedRequest(request)) => {
                return Err(Violation::Repeated(request.0).into());
            }
            Some(Breach::Unread) => return Err(Ending::CallsUnread),
        }
        match fx.lost {
            None => Ok(()),
            Some(HistoryError::Trimmed { first }) => Err(Ending::Trimmed { first }),
            Some(_stopped) => Err(Ending::Shutdown),
        }
    }
}
