//! Frames, and the messages in them: one, or a batch.
//!
//! Of a batch so many messages are taken at a time; the rest is taken when the driver wants it, which may have to wait
//! with them.

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;

use vixen_core::time::WallTime;

use super::super::error::Violation;
use super::super::serializer::RECORD_SEPARATOR;
use super::{Action, Session, State};

/// Messages of a frame that are taken at a time.
const MESSAGES_MAX: usize = 256;

impl Session {
    /// Takes one text frame, which has one message or a batch; of that, the first ones.
    pub(in crate::gates::wamp) fn on_text(
        &mut self,
        now: WallTime,
        frame: &Utf8Bytes,
        actions: &mut Vec<Action>,
    ) {
        if !self.serializer.is_text() {
            self.on_violation(Violation::Text, actions);
            return;
        }
        let frame = Bytes::from(frame.clone());
        if self.serializer.is_batched {
            self.rest = frame;
            self.on_rest(now, actions);
        } else {
            actions.extend(self.on_message(now, &frame));
        }
    }

    /// Takes one binary frame, as [`on_text`](Self::on_text) a text.
    pub(in crate::gates::wamp) fn on_binary(
        &mut self,
        now: WallTime,
        frame: &Bytes,
        actions: &mut Vec<Action>,
    ) {
        if self.serializer.is_text() {
            self.on_violation(Violation::Binary, actions);
            return;
        }
        if self.serializer.is_batched {
            self.rest = frame.clone();
            self.on_rest(now, actions);
        } else {
            actions.extend(self.on_message(now, frame));
        }
    }

    /// Whether there is more in the frame that was taken last, for [`on_rest`](Self::on_rest).
    pub(in crate::gates::wamp) const fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Takes the next messages of the frame.
    pub(in crate::gates::wamp) fn on_rest(&mut self, now: WallTime, actions: &mut Vec<Action>) {
        for _ in 0..MESSAGES_MAX {
            if self.rest.is_empty() {
                return;
            }
            match self.next_of_batch() {
                // The last message of a text is ended like all others.
                Some(message) if message.is_empty() && self.serializer.is_text() => {}
                Some(message) => actions.extend(self.on_message(now, &message)),
                None => self.on_violation(Violation::Batch, actions),
            }
            if is_over(actions) {
                self.rest.clear();
            }
        }
    }

    /// The next message of a batch; `None` where what is left is none.
    fn next_of_batch(&mut self) -> Option<Bytes> {
        if self.serializer.is_text() {
            let length = self.rest.iter().position(|byte| *byte == RECORD_SEPARATOR);
            let message = self.rest.split_to(length.unwrap_or(self.rest.len()));
            if length.is_some() {
                let _separator = self.rest.split_to(1);
            }
            return Some(message);
        }
        let (length, _) = self.rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let end = length.saturating_add(4);
        (end <= self.rest.len()).then(|| self.rest.split_to(end).slice(4..))
    }

    fn on_violation(&mut self, violation: Violation, actions: &mut Vec<Action>) {
        match self.state {
            State::Closed => {}
            _ => actions.push(Action::End(violation.into())),
        }
        self.rest.clear();
    }
}

/// Whether nothing that follows is looked at: a frame full of mistakes is one mistake.
fn is_over(actions: &[Action]) -> bool {
    matches!(actions.last(), Some(Action::End(_)))
}
