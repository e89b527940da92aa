//! Records as bytes, and where they are written.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use vixen_core::id::OwnerId;
use vixen_core::segment::{Match, Topic, TopicPattern};

use super::{
    ADDRESS_BYTES_MAX, CheckpointPart, Facts, Gone, GoneWhy, Invoke, Life, POSITION_END, REALM,
    Record, RecordError, Register, RegistrationId, SESSION_MAX, STATE_BYTES_MAX, Said, SessionOver,
    URI_BYTES_MAX, Unregister, UnregisterWhy, VERSION, check_pattern,
};

/// Version, kind, owner, life.
const HEAD_BYTES: usize = 22;

/// Kinds are stored; never reuse one. 7 is kept free for testaments of the crashed, 128 for FORMAT: from here on
/// another version is in force.
///
/// A kind below 128 that is added to these is passed over by entries that do not know it, which stay ready: so
/// it never enters the chain, nor anything that a checkpoint has. What is to enter them gets a kind from 128 on,
/// or waits for another version.
mod kind {
    pub(super) const LIFE: u8 = 1;
    pub(super) const REGISTER: u8 = 2;
    pub(super) const UNREGISTER: u8 = 3;
    pub(super) const SESSION_OVER: u8 = 4;
    pub(super) const GONE: u8 = 5;
    pub(super) const CHECKPOINT: u8 = 6;
}

const LIVES: &str = "lives";
const CHECKPOINT: &str = "checkpoint";
/// Before the name of a realm.
const OF_REALM: &str = "realm.";

/// Numbers of [`UnregisterWhy`], which are stored; never reuse one.
mod why {
    pub(super) const ASKED: u8 = 0;
    pub(super) const REMOVED: u8 = 1;
    pub(super) const REFUSED: u8 = 2;
}

/// Flags of REGISTER, which are stored; never reuse one.
const FORCED: u8 = 1;
const KEEPS_TIMEOUTS: u8 = 2;
const MATCHES: [Match; 3] = [Match::Exact, Match::Prefix, Match::Wildcard];

/// As in the body, without the realm, which is in the topic.
#[derive(Serialize, Deserialize)]
struct RegisterBody<'a> {
    number: u64,
    session: u64,
    uri: &'a str,
    matching: u8,
    invoke: u8,
    flags: u8,
}

impl Record {
    /// The topic that it is written to, in [`REALM`].
    #[must_use]
    pub fn topic(&self) -> Topic {
        match &self.said {
            Said::Life(_) | Said::Gone(_) => Topic::new(REALM, LIVES),
            Said::Checkpoint(_) => Self::checkpoints(),
            Said::Register(Register { pattern: TopicPattern { realm, .. }, .. })
            | Said::Unregister(Unregister { realm, .. })
            | Said::SessionOver(SessionOver { realm, .. }) => {
                Topic::new(REALM, &format!("{OF_REALM}{realm}"))
            }
        }
    }

    /// The topic of checkpoints.
    #[must_use]
    pub fn checkpoints() -> Topic {
        Topic::new(REALM, CHECKPOINT)
    }

    const fn kind(&self) -> u8 {
        match self.said {
            Said::Life(_) => kind::LIFE,
            Said::Register(_) => kind::REGISTER,
            Said::Unregister(_) => kind::UNREGISTER,
            Said::SessionOver(_) => kind::SESSION_OVER,
            Said::Gone(_) => kind::GONE,
            Said::Checkpoint(_) => kind::CHECKPOINT,
        }
    }

    /// Its payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.kind()];
        bytes.extend_from_slice(self.writer.owner.0.as_bytes());
        bytes.extend_from_slice(&self.writer.number.to_le_bytes());
        let body = match &self.said {
            Said::Life(facts) => postcard::to_extend(facts, bytes),
            Said::Register(register) => postcard::to_extend(&register.body(), bytes),
            Said::Unregister(Unregister { realm: _, session, registration, why }) => {
                let (number, life) = match why {
                    UnregisterWhy::Asked => (why::ASKED, None),
                    UnregisterWhy::Removed(life) => (why::REMOVED, Some(life)),
                    UnregisterWhy::Refused => (why::REFUSED, None),
                };
                postcard::to_extend(&(session, registration, number, life), bytes)
            }
            Said::SessionOver(SessionOver { realm: _, session }) => {
                postcard::to_extend(session, bytes)
            }
            Said::Gone(Gone { life, why }) => postcard::to_extend(&(life, *why as u8), bytes),
            Said::Checkpoint(part) => postcard::to_extend(part, bytes),
        };
        // Writing to a growing buffer has no way to fail.
        body.unwrap_or_default()
    }

    /// Reads the payload of a message in [`REALM`].
    ///
    /// # Errors
    /// When it is no record to this version; [`RecordError::stops`] tells whether that matters.
    pub fn read(topic: &str, payload: &[u8]) -> Result<Self, RecordError> {
        if !matches!(topic, LIVES | CHECKPOINT) && !topic.starts_with(OF_REALM) {
            return Err(RecordError::Nowhere);
        }
        match payload.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(RecordError::Version(other)),
            None => return Err(RecordError::Head(0)),
        }
        let Some((head, body)) = payload.split_first_chunk::<HEAD_BYTES>() else {
            return Err(RecordError::Head(payload.len()));
        };
        let (kind, head) = (head[1], &head[2..]);
        if !(kind::LIFE..=kind::CHECKPOINT).contains(&kind) {
            return Err(RecordError::Kind(kind));
        }
        let (owner, number) = head.split_at(16);
        let (Ok(owner), Ok(number)) = (Uuid::from_slice(owner), number.try_into()) else {
            return Err(RecordError::Head(payload.len()));
        };
        let writer = Life { owner: OwnerId(owner), number: u32::from_le_bytes(number) };
        let record = Self { writer, said: said(kind, topic, body)? };
        record.verify()?;
        if record.to_bytes() != payload {
            return Err(malformed(kind, "not in its one form"));
        }
        Ok(record)
    }

    /// Whether it is within the bounds of its kind: what is written has to be.
    ///
    /// # Errors
    /// [`RecordError::Body`], with what is wrong.
    pub fn verify(&self) -> Result<(), RecordError> {
        let is_life = |life: &Life| life.number > 0;
        let is_name = |text: &str| (1..=URI_BYTES_MAX).contains(&text.len());
        let is_session = |session: &u64| (1..=SESSION_MAX).contains(session);
        let wrong = match &self.said {
            _ if !is_life(&self.writer) => Some("the number of its writer's life"),
            Said::Life(facts) => facts.wrong(),
            Said::Register(Register { session, pattern, .. }) => match check_pattern(pattern) {
                Ok(()) => (!is_session(session)).then_some("its session"),
                Err(wrong) => Some(wrong.what()),
            },
            Said::Unregister(Unregister { why: UnregisterWhy::Removed(life), .. })
            | Said::Gone(Gone { life, .. })
                if !is_life(life) =>
            {
                Some("the number of a life")
            }
            Said::Unregister(Unregister { realm, session, .. })
            | Said::SessionOver(SessionOver { realm, session }) => {
                let is_good = is_session(session) && is_name(realm);
                (!is_good).then_some("its session, or the length of its realm")
            }
            Said::Gone(_) => None,
            Said::Checkpoint(CheckpointPart { as_of, part, parts, state, .. }) => {
                let is_good = part < parts && state.len() <= STATE_BYTES_MAX;
                (!is_good || *as_of >= POSITION_END).then_some("its number, its place or its size")
            }
        };
        wrong.map_or(Ok(()), |what| Err(malformed(self.kind(), what)))
    }
}

impl Facts {
    /// What is wrong with them.
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        let Self { name: _, link_address, reads } = self;
        let is_long = |address: &Arc<str>| !(1..=ADDRESS_BYTES_MAX).contains(&address.len());
        if link_address.as_ref().is_some_and(is_long) {
            Some("the length of its address")
        } else {
            (reads.oldest > reads.newest).then_some("it reads no version")
        }
    }
}

impl CheckpointPart {
    /// What one is that stands where it cannot, or in a message of another time.
    pub(crate) const fn untimely() -> RecordError {
        malformed(kind::CHECKPOINT, "its place, or its time")
    }
}

impl Register {
    fn body(&self) -> RegisterBody<'_> {
        RegisterBody {
            number: self.number,
            session: self.session,
            uri: &self.pattern.uri,
            matching: self.pattern.matching as u8,
            invoke: self.invoke as u8,
            flags: flag(self.is_forced, FORCED) | flag(self.keeps_timeouts, KEEPS_TIMEOUTS),
        }
    }
}

const fn flag(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}

const fn malformed(kind: u8, what: &'static str) -> RecordError {
    RecordError::Body { kind, what }
}

fn read<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(malformed(kind, "bytes after its end")),
        Err(_malformed) => Err(malformed(kind, "not to be read")),
    }
}

/// A number of one of few things.
fn one_of<T: Copy>(kind: u8, all: &[T], number: u8) -> Result<T, RecordError> {
    all.get(usize::from(number)).copied().ok_or(malformed(kind, "a number that means nothing"))
}

fn said(kind: u8, topic: &str, body: &[u8]) -> Result<Said, RecordError> {
    let wanted = |is_there: bool| if is_there { Ok(()) } else { Err(RecordError::Topic(kind)) };
    let realm = || topic.strip_prefix(OF_REALM).ok_or(RecordError::Topic(kind));
    match kind {
        kind::LIFE => {
            wanted(topic == LIVES)?;
            Ok(Said::Life(read(kind, body)?))
        }
        kind::REGISTER => {
            let realm = realm()?;
            let body: RegisterBody<'_> = read(kind, body)?;
            if body.flags & !(FORCED | KEEPS_TIMEOUTS) != 0 {
                return Err(malformed(kind, "a flag that means nothing"));
            }
            let matching = one_of(kind, &MATCHES, body.matching)?;
            Ok(Said::Register(Register {
                number: body.number,
                session: body.session,
                pattern: TopicPattern::new(realm, body.uri, matching),
                invoke: one_of(kind, &Invoke::ALL, body.invoke)?,
                is_forced: body.flags & FORCED != 0,
                keeps_timeouts: body.flags & KEEPS_TIMEOUTS != 0,
            }))
        }
        kind::UNREGISTER => {
            let realm = realm()?.into();
            let (session, registration, number, life): (u64, RegistrationId, u8, Option<Life>) =
                read(kind, body)?;
            let why = match (number, life) {
                (why::ASKED, None) => UnregisterWhy::Asked,
                (why::REMOVED, Some(life)) => UnregisterWhy::Removed(life),
                (why::REFUSED, None) => UnregisterWhy::Refused,
                _ => return Err(malformed(kind, "why, or whose")),
            };
            Ok(Said::Unregister(Unregister { realm, session, registration, why }))
        }
        kind::SESSION_OVER => {
            let realm = realm()?.into();
            Ok(Said::SessionOver(SessionOver { realm, session: read(kind, body)? }))
        }
        kind::GONE => {
            wanted(topic == LIVES)?;
            let (life, why): (Life, u8) = read(kind, body)?;
            Ok(Said::Gone(Gone { life, why: one_of(kind, &GoneWhy::ALL, why)? }))
        }
        kind::CHECKPOINT => {
            wanted(topic == CHECKPOINT)?;
            Ok(Said::Checkpoint(read(kind, body)?))
        }
        unknown => Err(RecordError::Kind(unknown)),
    }
}
