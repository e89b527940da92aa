//! The words of the dialect `call`, as links carry them and as the dealer takes them.

use bytes::Bytes;

use vixen_core::segment::Content;
use vixen_core::wire::{AnswerKind, CallMessage, Disclosed, InvokeFlags};

use super::io::{Input, Link};
use super::words::{Answer, CallNumber, Invoke, Part, PeerWord};
use crate::api::SessionId;
use crate::api::calls::{Party, Payload};

impl Input {
    /// What the dealer is given where another entry has said this on its link; `None`: it is not about calls.
    #[must_use]
    pub fn heard(link: Link, message: CallMessage) -> Option<Self> {
        let word = match message {
            CallMessage::CallStanding { is_ready, is_draining, life: _, applied_below: _ } => {
                return Some(Self::Standing { link, is_ready, is_draining });
            }
            CallMessage::HearMeta { .. }
            | CallMessage::SessionsAre { .. }
            | CallMessage::SubscriptionsAre { .. }
            | CallMessage::AskMeta { .. }
            | CallMessage::MetaAnswer { .. } => return None,
            CallMessage::Invoke {
                number,
                registration,
                place,
                session,
                procedure,
                caller,
                timeout_ms,
                flags,
                passthru,
                content,
                payload,
            } => PeerWord::Invoke {
                number: CallNumber(number),
                invoke: Invoke {
                    registration,
                    place,
                    session: SessionId(session),
                    procedure,
                    caller: party_of(caller),
                    timeout_ms,
                    part: part_of(flags, Payload { content, bytes: payload, passthru }),
                },
            },
            CallMessage::InvokeMore { number, flags, passthru, content, payload } => {
                let part = part_of(flags, Payload { content, bytes: payload, passthru });
                PeerWord::More { number: CallNumber(number), part }
            }
            CallMessage::RefuseInvoke { number, reason } => {
                PeerWord::Refuse { number: CallNumber(number), reason }
            }
            CallMessage::Answer { number, kind, callee, passthru, content, payload } => {
                let payload = Payload { content, bytes: payload, passthru };
                let answer = match kind {
                    AnswerKind::Progress => Answer::Progress { callee: party_of(callee), payload },
                    AnswerKind::Result => Answer::Result { callee: party_of(callee), payload },
                    AnswerKind::Error { uri } => Answer::Error { uri, payload },
                    AnswerKind::CalleeGone => Answer::CalleeGone,
                };
                PeerWord::Answer { number: CallNumber(number), answer }
            }
            CallMessage::CancelInvoke { number, what } => {
                PeerWord::Cancel { number: CallNumber(number), cancel: what }
            }
        };
        Some(Self::Heard { link, word })
    }
}

impl From<PeerWord> for CallMessage {
    fn from(word: PeerWord) -> Self {
        match word {
            PeerWord::Invoke { number, invoke } => {
                let Invoke { registration, place, session, procedure, caller, timeout_ms, part } =
                    invoke;
                let flags = flags_of(&part);
                let Payload { content, bytes: payload, passthru } = part.payload;
                Self::Invoke {
                    number: number.0,
                    registration,
                    place,
                    session: session.0,
                    procedure,
                    caller: caller.map(disclosed),
                    timeout_ms,
                    flags,
                    passthru,
                    content,
                    payload,
                }
            }
            PeerWord::More { number, part } => {
                let flags = flags_of(&part);
                let Payload { content, bytes: payload, passthru } = part.payload;
                Self::InvokeMore { number: number.0, flags, passthru, content, payload }
            }
            PeerWord::Cancel { number, cancel } => {
                Self::CancelInvoke { number: number.0, what: cancel }
            }
            PeerWord::Refuse { number, reason } => Self::RefuseInvoke { number: number.0, reason },
            PeerWord::Answer { number, answer } => {
                let nothing = || Payload::new(Content::Raw, Bytes::new());
                let (kind, callee, payload) = match answer {
                    Answer::Progress { callee, payload } => (AnswerKind::Progress, callee, payload),
                    Answer::Result { callee, payload } => (AnswerKind::Result, callee, payload),
                    Answer::Error { uri, payload } => (AnswerKind::Error { uri }, None, payload),
                    Answer::CalleeGone => (AnswerKind::CalleeGone, None, nothing()),
                };
                let callee = callee.map(disclosed);
                let Payload { content, bytes: payload, passthru } = payload;
                Self::Answer { number: number.0, kind, callee, passthru, content, payload }
            }
        }
    }
}

fn disclosed(party: Party) -> Box<Disclosed> {
    let Party { session, authid, authrole } = party;
    let (authid, authrole) = (authid.to_string(), authrole.to_string());
    Box::new(Disclosed { session: session.0, authid, authrole })
}

fn party_of(disclosed: Option<Box<Disclosed>>) -> Option<Party> {
    let Disclosed { session, authid, authrole } = *disclosed?;
    Some(Party { session: SessionId(session), authid: authid.into(), authrole: authrole.into() })
}

const fn flags_of(part: &Part) -> InvokeFlags {
    let progress = if part.takes_progress { InvokeFlags::RECEIVE_PROGRESS.0 } else { 0 };
    let more = if part.has_more { InvokeFlags::HAS_MORE.0 } else { 0 };
    InvokeFlags(progress | more)
}

const fn part_of(flags: InvokeFlags, payload: Payload) -> Part {
    Part {
        payload,
        takes_progress: flags.contains(InvokeFlags::RECEIVE_PROGRESS),
        has_more: flags.contains(InvokeFlags::HAS_MORE),
    }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{OwnerId, Position};
    use vixen_core::segment::{Encoding, Passthru};

    use super::*;

    fn packed() -> Payload {
        let (scheme, keyid) = ("x_mine".to_owned(), Some("k".to_owned()));
        let passthru = Passthru { scheme, serializer: None, cipher: None, keyid };
        let payload = Payload::new(Encoding::Json, Bytes::from_static(b"[1]"));
        Payload { passthru: Some(Box::new(passthru)), ..payload }
    }

    #[test]
    fn what_is_said_of_a_payload_crosses_a_link_with_it() {
        let link = Link { peer: OwnerId(uuid::Uuid::from_u128(1)), number: 1 };
        let number = CallNumber(7);
        let part = Part { payload: packed(), takes_progress: true, has_more: true };
        let invoke = Invoke {
            registration: Position(2),
            place: Position(4),
            session: SessionId(3),
            procedure: None,
            caller: None,
            timeout_ms: None,
            part: part.clone(),
        };
        let party = Party { session: SessionId(4), authid: "joe".into(), authrole: "user".into() };
        let (callee, payload) = (Some(party), packed());
        let answers = [
            Answer::Progress { callee: None, payload: packed() },
            Answer::Result { callee, payload },
            Answer::Error { uri: "a.b".into(), payload: packed() },
        ];
        let words = [PeerWord::Invoke { number, invoke }, PeerWord::More { number, part }];
        let answers = answers.map(|answer| PeerWord::Answer { number, answer });
        for word in words.into_iter().chain(answers) {
            let heard = Input::heard(link, word.clone().into());
            let Some(Input::Heard { word: heard, .. }) = heard else {
                panic!("{word:?}");
            };
            assert_eq!(heard, word);
        }
    }
}
