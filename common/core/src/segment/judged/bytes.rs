//! Judged attributes as bytes, and what is wrong with some.

use serde::Deserialize;

use super::{Condition, Head, Judged, JudgedError, Member, Once, OnceName, Put, When, Will};

/// Of what is written, and read here.
const VERSION: u8 = 1;

/// Kinds are stored; never reuse one.
mod kind {
    pub(super) const PUT: u8 = 1;
    pub(super) const DELETE: u8 = 2;
    pub(super) const WIN: u8 = 3;
    pub(super) const WILL: u8 = 4;
    pub(super) const EXPIRE: u8 = 5;
    pub(super) const ONCE: u8 = 6;
    pub(super) const BODY: u8 = 7;
    pub(super) const MEMBER_PUT: u8 = 8;
    pub(super) const MEMBER_DELETE: u8 = 9;
}

impl Head {
    fn wrong(&self, own_will: bool) -> Option<&'static str> {
        let Self { parts, when, is_watch, life, once } = self;
        let of_values = when.iter().filter(|when| matches!(when.is, Condition::Value { .. }));
        if *parts == 0 || when.len() > Judged::WHEN_MAX || of_values.count() > Judged::VALUES_MAX {
            return Some("its number of parts or conditions");
        }
        if when.iter().any(When::is_wrong) {
            return Some("a condition");
        }
        let is_absent = |when: &[When]| matches!(when, [When { key: None, is: Condition::Absent }]);
        if *is_watch && (*parts != 1 || !is_absent(when)) {
            return Some("what it waits for");
        }
        // A head of several parts tells of the wills of its members.
        let (needs_life, may_have_life) = (own_will || *is_watch, *parts > 1);
        if life.map_or(needs_life, |life| life.number == 0 || !(needs_life || may_have_life)) {
            return Some("its life");
        }
        let Some(once) = once else { return None };
        let is_numbered = matches!(once.name, OnceName::Numbers { .. });
        if once.digests.len() != 1 || (is_numbered && life.is_some()) {
            return Some("what goes with its once-mark");
        }
        once.wrong()
    }
}

impl When {
    fn is_wrong(&self) -> bool {
        let is_wrong = match &self.is {
            Condition::Value { content: _, bytes } => bytes.len() > Judged::CONDITION_BYTES_MAX,
            Condition::Absent
            | Condition::Present
            | Condition::Position(_)
            | Condition::CauseBelow(_) => false,
        };
        is_wrong || self.key.as_ref().is_some_and(String::is_empty)
    }
}

impl Put {
    fn wrong(&self) -> Option<&'static str> {
        let Self { ttl_ms, will } = self;
        match will {
            Some(Will::Put { payload, .. }) if payload.len() > Judged::WILL_BYTES_MAX => {
                Some("the size of its will")
            }
            Some(Will::Put { .. } | Will::Delete) | None => {
                (*ttl_ms == Some(0)).then_some("its time to live")
            }
        }
    }
}

impl Once {
    fn wrong(&self) -> Option<&'static str> {
        let is_name = |name: &str| (1..=Judged::NAME_BYTES_MAX).contains(&name.len());
        let is_good = match &self.name {
            OnceName::Numbers { producer, first } => is_name(producer) && *first > 0,
            OnceName::Id(id) => is_name(id) && self.digests.len() == 1,
        };
        (!is_good || self.digests.is_empty()).then_some("its once-mark")
    }
}

impl Judged {
    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = |kind| vec![VERSION, kind];
        let bytes = match self {
            Self::Put(put, all) => postcard::to_extend(&(put, all), head(kind::PUT)),
            Self::Delete(all) => postcard::to_extend(all, head(kind::DELETE)),
            Self::Win { of, life } => postcard::to_extend(&(of, life), head(kind::WIN)),
            Self::Will { of, life } => postcard::to_extend(&(of, life), head(kind::WILL)),
            Self::Expire { of, life } => postcard::to_extend(&(of, life), head(kind::EXPIRE)),
            Self::Once { parts, once } => postcard::to_extend(&(parts, once), head(kind::ONCE)),
            Self::Body { behind } => postcard::to_extend(behind, head(kind::BODY)),
            Self::MemberPut(put, member) => {
                postcard::to_extend(&(put, member), head(kind::MEMBER_PUT))
            }
            Self::MemberDelete(member) => postcard::to_extend(member, head(kind::MEMBER_DELETE)),
        };
        // Writing to a growing buffer has no way to fail.
        bytes.unwrap_or_default()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// When it is nothing of this version; [`JudgedError::stops`] tells whether that matters to whoever judges.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JudgedError> {
        let (kind, body) = match bytes {
            [VERSION, kind, body @ ..] => (*kind, body),
            [VERSION] | [] => return Err(JudgedError::Malformed("it has no kind")),
            [version, ..] => return Err(JudgedError::Version(*version)),
        };
        let judged = match kind {
            kind::PUT => read(body).map(|(put, head)| Self::Put(put, head)),
            kind::DELETE => read(body).map(Self::Delete),
            kind::WIN => read(body).map(|(of, life)| Self::Win { of, life }),
            kind::WILL => read(body).map(|(of, life)| Self::Will { of, life }),
            kind::EXPIRE => read(body).map(|(of, life)| Self::Expire { of, life }),
            kind::ONCE => read(body).map(|(parts, once)| Self::Once { parts, once }),
            kind::BODY => read(body).map(|behind| Self::Body { behind }),
            kind::MEMBER_PUT => read(body).map(|(put, member)| Self::MemberPut(put, member)),
            kind::MEMBER_DELETE => read(body).map(Self::MemberDelete),
            unknown => return Err(JudgedError::Kind(unknown)),
        }?;
        judged.verify()?;
        if judged.to_bytes() != bytes {
            return Err(JudgedError::Malformed("it is not in its one form"));
        }
        Ok(judged)
    }

    /// Whether it is within the bounds of its kind: what is written has to be.
    ///
    /// # Errors
    /// [`JudgedError::Malformed`], with what is wrong.
    pub fn verify(&self) -> Result<(), JudgedError> {
        let wrong = match self {
            Self::Put(put, head) => put.wrong().or_else(|| head.wrong(put.will.is_some())),
            Self::Delete(head) => head.wrong(false),
            Self::Win { life, .. } | Self::Will { life, .. } | Self::Expire { life, .. } => {
                (life.number == 0).then_some("its life")
            }
            Self::Once { parts, once } => {
                let bodies = once.digests.len().checked_add(1);
                let is_good = bodies == Some(usize::from(*parts));
                once.wrong().or_else(|| (!is_good).then_some("its number of parts"))
            }
            Self::Body { behind } => (*behind == 0).then_some("where its head is"),
            Self::MemberPut(put, Member { behind, is_free }) => {
                let is_good = *behind > 0 && !(*is_free && put.will.is_some());
                put.wrong()
                    .or_else(|| (!is_good).then_some("where its head is, or that it is free"))
            }
            Self::MemberDelete(Member { behind, .. }) => {
                (*behind == 0).then_some("where its head is")
            }
        };
        wrong.map_or(Ok(()), |wrong| Err(JudgedError::Malformed(wrong)))
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, JudgedError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(JudgedError::Malformed("bytes after its end")),
        Err(_malformed) => Err(JudgedError::Malformed("not to be read")),
    }
}
