//! What the two halves of a call say to each other: within an entry as values, between entries by their link.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::id::Position;
use vixen_core::wire::{Cancellation, Disclosed, InvokeRefusal};

use crate::api::SessionId;
use crate::api::calls::{CallTold, Party, Payload};

/// The number of a call at its origin, from 1 on and rising; each invocation that is tried has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallNumber(pub u64);

/// What origin and serving say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerWord {
    /// Origin → serving: call this callee.
    Invoke {
        /// Of the call.
        number: CallNumber,
        /// Whom, and with what.
        invoke: Invoke,
    },
    /// Origin → serving: more of a progressive call.
    More {
        /// Of the call.
        number: CallNumber,
        /// The part.
        part: Part,
    },
    /// Origin → serving: the call is given up.
    Cancel {
        /// Of the call.
        number: CallNumber,
        /// How.
        cancel: Cancellation,
    },
    /// Serving → origin: the callee was not invoked; the last word of this number.
    Refuse {
        /// Of the call.
        number: CallNumber,
        /// Why.
        reason: InvokeRefusal,
    },
    /// Serving → origin: what the callee says; the last word of this number, unless it is progress.
    Answer {
        /// Of the call.
        number: CallNumber,
        /// What it is.
        answer: Answer,
    },
}

/// Arguments of a call, or one part of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The arguments.
    pub payload: Payload,
    /// The caller takes progressive results.
    pub takes_progress: bool,
    /// More of this call is to come.
    pub has_more: bool,
}

impl Part {
    /// Whether more may come of the call than one answer.
    pub(super) const fn may_go_on(&self) -> bool {
        self.takes_progress || self.has_more
    }
}

/// Whom to call, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoke {
    /// The registration: the position of the record that made it.
    pub registration: Position,
    /// The callee's place in it: the position of the record by which it joined.
    pub place: Position,
    /// The callee.
    pub session: SessionId,
    /// What was called, where the registration is a pattern.
    pub procedure: Option<Arc<str>>,
    /// Who calls, where that is told.
    pub caller: Option<Party>,
    /// What is left of the caller's timeout.
    pub timeout_ms: Option<NonZeroU64>,
    /// The arguments.
    pub part: Part,
}

/// What a callee says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A part of the result.
    Progress {
        /// Who answers, where that is told.
        callee: Option<Party>,
        /// The part.
        payload: Payload,
    },
    /// The result, or the last part of it.
    Result {
        /// Who answers, where that is told.
        callee: Option<Party>,
        /// The result.
        payload: Payload,
    },
    /// It has failed.
    Error {
        /// The error's URI.
        uri: Arc<str>,
        /// Its arguments.
        payload: Payload,
    },
    /// It is gone.
    CalleeGone,
}

impl Invoke {
    /// What it counts while it waits.
    pub(super) fn kept_bytes(&self) -> usize {
        self.text_bytes() + self.part.payload.counted_bytes()
    }

    /// What its INVOCATION counts in the queue of the callee.
    pub(super) fn told_bytes(&self) -> usize {
        CallTold::OVERHEAD_BYTES + self.text_bytes() + self.part.payload.said_bytes()
    }

    fn text_bytes(&self) -> usize {
        let procedure = self.procedure.as_ref().map_or(0, |uri| uri.len());
        procedure + self.caller.as_ref().map_or(0, Party::text_bytes)
    }
}

impl PeerWord {
    /// What it takes in the queue of a link, about and not less.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        const BASE: usize = 128;
        BASE + match self {
            Self::Invoke { invoke, .. } => {
                let procedure = invoke.procedure.as_ref().map_or(0, |uri| uri.len());
                procedure
                    + invoke.caller.as_ref().map_or(0, bytes)
                    + invoke.part.payload.said_bytes()
            }
            Self::More { part, .. } => part.payload.said_bytes(),
            Self::Answer { answer, .. } => match answer {
                Answer::Progress { callee, payload } | Answer::Result { callee, payload } => {
                    callee.as_ref().map_or(0, bytes) + payload.said_bytes()
                }
                Answer::Error { uri, payload } => uri.len() + payload.said_bytes(),
                Answer::CalleeGone => 0,
            },
            Self::Cancel { .. } | Self::Refuse { .. } => 0,
        }
    }
}

fn bytes(party: &Party) -> usize {
    size_of::<Disclosed>() + party.text_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use vixen_core::segment::{Encoding, Passthru};
    use vixen_core::wire::{CallMessage, Message};

    use super::*;

    /// The dealer counts by it what it has just put on a link: less than the link counts would let it pass the
    /// bound, which ends all calls on it.
    #[test]
    fn a_word_counts_for_no_less_than_its_message() {
        let (scheme, keyid) = ("x_mine".to_owned(), Some("k1".to_owned()));
        let passthru = Passthru { scheme, serializer: None, cipher: None, keyid };
        let payload = Payload::new(Encoding::Json, Bytes::from_static(b"[1]"));
        let payload = Payload { passthru: Some(Box::new(passthru)), ..payload };
        let party =
            || Party { session: SessionId(7), authid: "joe".into(), authrole: "user".into() };
        let (number, callee) = (CallNumber(1), Some(party()));
        let part = Part { payload: payload.clone(), takes_progress: true, has_more: false };
        let invoke = Invoke {
            registration: Position(2),
            place: Position(2),
            session: SessionId(3),
            procedure: Some("a.b".into()),
            caller: Some(party()),
            timeout_ms: NonZeroU64::new(4),
            part: part.clone(),
        };
        let result = Answer::Result { callee: callee.clone(), payload: payload.clone() };
        let progress = Answer::Progress { callee, payload: payload.clone() };
        let error = Answer::Error { uri: "a.error".into(), payload };
        let words = [
            PeerWord::Invoke { number, invoke },
            PeerWord::More { number, part },
            PeerWord::Cancel { number, cancel: Cancellation::Kill },
            PeerWord::Refuse { number, reason: InvokeRefusal::Busy },
            PeerWord::Answer { number, answer: result },
            PeerWord::Answer { number, answer: progress },
            PeerWord::Answer { number, answer: error },
            PeerWord::Answer { number, answer: Answer::CalleeGone },
        ];
        for word in words {
            let message = Message::from(CallMessage::from(word.clone()));
            assert!(word.queued_bytes() >= message.queued_bytes(), "{word:?}");
        }
    }
}
