//! Attributes: what a message carries beside its payload, for whoever delivers it.
//!
//! They are stored with the message, because it is delivered by other entries than the one that
//! took it, and read again long after its publisher is gone.

use serde::{Deserialize, Serialize};

/// See the module. Stored as postcard, so fields keep their order and meaning for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Whom subscribers may know as the publisher (WAMP spec *Publisher Identification*).
    pub publisher: Option<Publisher>,
    /// Who does not get it (WAMP spec *Subscriber Black- and Whitelisting*).
    pub exclude: Audience,
    /// Who alone gets it, as far as not excluded: each list that is there must have the session.
    pub eligible: Eligible,
}

/// A publisher that is disclosed; its session is in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// As in the WELCOME of its session.
    pub authid: String,
    /// As in the WELCOME of its session.
    pub authrole: String,
}

/// Sessions by three of their marks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// WAMP session ids.
    pub sessions: Vec<u64>,
    /// `authid`s.
    pub authids: Vec<String>,
    /// `authrole`s.
    pub authroles: Vec<String>,
}

/// Whitelists; an empty list is a list, that nobody is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eligible {
    /// WAMP session ids.
    pub sessions: Option<Vec<u64>>,
    /// `authid`s.
    pub authids: Option<Vec<String>>,
    /// `authrole`s.
    pub authroles: Option<Vec<String>>,
}

/// Who is about to get a message.
#[derive(Clone, Copy, Debug)]
pub struct Receiver<'a> {
    /// WAMP session id.
    pub session: u64,
    /// As in the WELCOME of the session.
    pub authid: &'a str,
    /// As in the WELCOME of the session.
    pub authrole: &'a str,
}

impl Attributes {
    /// As they are stored: nothing when they say nothing.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        // Writing to a growing buffer has no way to fail.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` when it is something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (attributes, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(attributes)
    }

    /// Whether the message is for this session, as far as the lists go.
    #[must_use]
    pub fn admit(&self, to: &Receiver<'_>) -> bool {
        let Audience { sessions, authids, authroles } = &self.exclude;
        let is_excluded = sessions.contains(&to.session)
            || authids.iter().any(|authid| authid == to.authid)
            || authroles.iter().any(|authrole| authrole == to.authrole);
        let Eligible { sessions, authids, authroles } = &self.eligible;
        let is_eligible = sessions.as_ref().is_none_or(|list| list.contains(&to.session))
            && authids.as_ref().is_none_or(|list| list.iter().any(|one| one == to.authid))
            && authroles.as_ref().is_none_or(|list| list.iter().any(|one| one == to.authrole));
        is_eligible && !is_excluded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOE: Receiver<'_> = Receiver { session: 7, authid: "joe", authrole: "user" };

    #[test]
    fn nothing_is_stored_as_nothing() {
        assert_eq!(Attributes::default().to_bytes(), [0; 0]);
        assert_eq!(Attributes::from_bytes(&[]), Some(Attributes::default()));
        assert_eq!(Attributes::from_bytes(&[9, 9]), None);
    }

    #[test]
    fn lists_exclude_and_admit() {
        let names = |name: &str| vec![name.to_owned()];
        let exclude = |exclude| Attributes { exclude, ..Attributes::default() };
        let only = |eligible| Attributes { eligible, ..Attributes::default() };
        let table = [
            (Attributes::default(), true),
            (exclude(Audience { sessions: vec![7], ..Audience::default() }), false),
            (exclude(Audience { sessions: vec![8], ..Audience::default() }), true),
            (exclude(Audience { authids: names("joe"), ..Audience::default() }), false),
            (exclude(Audience { authroles: names("user"), ..Audience::default() }), false),
            (exclude(Audience { authroles: names("joe"), ..Audience::default() }), true),
            (only(Eligible { sessions: Some(vec![7]), ..Eligible::default() }), true),
            (only(Eligible { sessions: Some(vec![]), ..Eligible::default() }), false),
            (only(Eligible { authids: Some(names("jane")), ..Eligible::default() }), false),
            (
                only(Eligible {
                    authids: Some(names("joe")),
                    authroles: Some(names("admin")),
                    ..Eligible::default()
                }),
                false,
            ),
        ];
        for (attributes, is_admitted) in table {
            assert_eq!(attributes.admit(&JOE), is_admitted, "{attributes:?}");
            assert_eq!(Attributes::from_bytes(&attributes.to_bytes()), Some(attributes));
        }
    }
}
