//! Attributes: what a message carries beside its payload, for whoever delivers it.
//!
//! They are stored with the message, because it is delivered by other entries than the one that
//! took it, and read again long after its publisher is gone. So they are fields with tags, in the
//! order of their tags, each at most once:
//!
//! ```text
//! +--------+---------------------+-------+
//! | tag u8 | length, LEB128 u32  | value |   and so on
//! +--------+---------------------+-------+
//! ```
//! A version that does not know a tag keeps the field and passes it on. Whether it may go on without
//! knowing what it says is in the tag: below 128 it may; from 128 on it may not, and delivers the
//! message to nobody.
//!
//! | tag | value, in postcard |
//! |---|---|
//! | 1 | [`Publisher`] |
//! | 2 | [`Passthru`] |
//! | 4 | [`Cause`]: up to where it is folded, of a result of a table |
//! | 128 | [`Audience`]: who does not get it |
//! | 129 | [`Eligible`]: who alone gets it |
//! | 130 | [`Judged`], in its own form: what it does to keys, if its place lets it |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cause, Judged, JudgedError, Passthru};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whom subscribers may know as the publisher (WAMP spec *Publisher Identification*).
    pub publisher: Option<Publisher>,
    /// How its payload is packed, where that is for its subscribers alone to know. Boxed: hardly any is.
    pub passthru: Option<Box<Passthru>>,
    /// Up to where it is folded, if it is a result of a table.
    pub cause: Option<Cause>,
    /// Who does not get it (WAMP spec *Subscriber Black- and Whitelisting*).
    pub exclude: Audience,
    /// Who alone gets it, as far as not excluded: each list that is there must have the session.
    pub eligible: Eligible,
    /// What it does to keys, if its place lets it. Boxed: it is large.
    pub judged: Option<Box<Judged>>,
    /// Fields of later versions, by tag, which change nothing here.
    pub unknown: BTreeMap<u8, Vec<u8>>,
}

/// Tags are stored; never reuse one.
mod tag {
    pub(super) const PUBLISHER: u8 = 1;
    pub(super) const PASSTHRU: u8 = 2;
    pub(super) const CAUSE: u8 = 4;
    pub(super) const EXCLUDE: u8 = 128;
    pub(super) const ELIGIBLE: u8 = 129;
    pub(super) const JUDGED: u8 = 130;
    /// From here on a reader has to know what the field says.
    pub(super) const MUST_BE_KNOWN: u8 = 128;
}

/// Why attributes say nothing to this version. The message is then for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// They are no attributes.
    #[error("attributes are malformed")]
    Malformed,
    /// A later version wrote a field that has to be known.
    #[error("attribute {0} has to be known and is of a later version")]
    Unknown(u8),
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
        let Self { publisher, passthru, cause, exclude, eligible, judged, unknown } = self;
        let mut fields = unknown.clone();
        // Writing to a growing buffer has no way to fail.
        if let Some(publisher) = publisher {
            fields.insert(tag::PUBLISHER, postcard::to_stdvec(publisher).unwrap_or_default());
        }
        if let Some(passthru) = passthru {
            fields.insert(tag::PASSTHRU, postcard::to_stdvec(passthru).unwrap_or_default());
        }
        if let Some(cause) = cause {
            fields.insert(tag::CAUSE, postcard::to_stdvec(cause).unwrap_or_default());
        }
        if *exclude != Audience::default() {
            fields.insert(tag::EXCLUDE, postcard::to_stdvec(exclude).unwrap_or_default());
        }
        if *eligible != Eligible::default() {
            fields.insert(tag::ELIGIBLE, postcard::to_stdvec(eligible).unwrap_or_default());
        }
        if let Some(judged) = judged {
            fields.insert(tag::JUDGED, judged.to_bytes());
        }
        let field = |bytes, (tag, value): (&u8, &Vec<u8>)| {
            postcard::to_extend(&(*tag, value.as_slice()), bytes).unwrap_or_default()
        };
        fields.iter().fold(Vec::new(), field)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, in this version or a later one.
    ///
    /// # Errors
    /// When it is something else, or has a field that has to be known and is not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AttributesError> {
        let mut attributes = Self::default();
        for field in Fields::new(bytes) {
            let Field { tag, value, .. } = field?;
            match tag {
                tag::PUBLISHER => attributes.publisher = Some(read(value)?),
                tag::PASSTHRU => attributes.passthru = Some(read(value)?),
                tag::CAUSE => attributes.cause = Some(read(value)?),
                tag::EXCLUDE => attributes.exclude = read(value)?,
                tag::ELIGIBLE => attributes.eligible = read(value)?,
                tag::JUDGED => match Judged::from_bytes(value) {
                    Ok(judged) => attributes.judged = Some(Box::new(judged)),
                    Err(JudgedError::Malformed(_)) => return Err(AttributesError::Malformed),
                    Err(JudgedError::Version(_) | JudgedError::Kind(_)) => {
                        return Err(AttributesError::Unknown(tag));
                    }
                },
                later if later >= tag::MUST_BE_KNOWN => {
                    return Err(AttributesError::Unknown(later));
                }
                _ => {
                    attributes.unknown.insert(tag, value.to_vec());
                }
            }
        }
        Ok(attributes)
    }

    /// Takes what is judged out of attributes as they are stored: it, and the bytes without it. What has to be known
    /// and is not is no matter here: whoever judges makes the same of a message in every version.
    ///
    /// # Errors
    /// When they are no attributes.
    pub fn take_judged(bytes: &[u8]) -> Result<(Option<&[u8]>, Vec<u8>), AttributesError> {
        let (mut judged, mut rest) = (None, Vec::new());
        for field in Fields::new(bytes) {
            let field = field?;
            if field.tag == tag::JUDGED {
                judged = Some(field.value);
            } else {
                rest.extend_from_slice(field.stored);
            }
        }
        Ok((judged, rest))
    }

    /// Up to where a message is folded, of its attributes as they are stored; `None` also where they cannot be read.
    #[must_use]
    pub fn cause_of(bytes: &[u8]) -> Option<Cause> {
        let mut fields = Fields::new(bytes).map_while(Result::ok);
        fields.find(|field| field.tag == tag::CAUSE).and_then(|field| read(field.value).ok())
    }

    /// Whether the message is for this session, as far as the lists go. One that is judged is for the entry itself
    /// alone, session 0, until its verdict is asked where messages are given out.
    #[must_use]
    pub fn admit(&self, to: &Receiver<'_>) -> bool {
        if self.judged.is_some() && to.session != 0 {
            return false;
        }
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

/// One of them, as it is stored.
struct Field<'a> {
    tag: u8,
    value: &'a [u8],
    /// Tag and length included.
    stored: &'a [u8],
}

/// Reads them one after the other; the last thing may be an error.
struct Fields<'a> {
    rest: &'a [u8],
    last: Option<u8>,
}

impl<'a> Fields<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, last: None }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, AttributesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let all = std::mem::take(&mut self.rest);
        match postcard::take_from_bytes::<(u8, &[u8])>(all) {
            Ok(((tag, value), after)) if self.last.is_none_or(|last| last < tag) => {
                (self.rest, self.last) = (after, Some(tag));
                let stored = &all[..all.len() - after.len()];
                Some(Ok(Field { tag, value, stored }))
            }
            Ok(_) | Err(_) => Some(Err(AttributesError::Malformed)),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, AttributesError> {
    match postcard::take_from_bytes(value) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(AttributesError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Position;

    const JOE: Receiver<'_> = Receiver { session: 7, authid: "joe", authrole: "user" };

    #[test]
    fn nothing_is_stored_as_nothing() {
        assert_eq!(Attributes::default().to_bytes(), [0; 0]);
        assert_eq!(Attributes::from_bytes(&[]), Ok(Attributes::default()));
    }

    /// Golden: what is on disk stays readable.
    #[test]
    fn attributes_have_these_bytes() {
        let publisher = Publisher { authid: "jo".to_owned(), authrole: "x".to_owned() };
        let (scheme, serializer) = ("mqtt".to_owned(), Some("cbor".to_owned()));
        let passthru = Passthru { scheme, serializer, cipher: None, keyid: None };
        let attributes = Attributes {
            publisher: Some(publisher),
            passthru: Some(Box::new(passthru)),
            cause: Some(Cause { generation: 1, position: Position(300) }),
            exclude: Audience { sessions: vec![7], ..Audience::default() },
            eligible: Eligible { authroles: Some(vec!["r".to_owned()]), ..Eligible::default() },
            judged: Some(Box::new(Judged::Body { behind: 2 })),
            unknown: BTreeMap::from([(3, b"hm".to_vec())]),
        };
        let bytes = b"\x01\x05\x02jo\x01x\x02\x0d\x04mqtt\x01\x04cbor\0\0\x03\x02hm\x04\x03\x01\xac\x02\x80\x04\x01\x07\0\0\x81\x06\0\0\x01\x01\x01r\x82\x03\x01\x07\x02";
        assert_eq!(attributes.to_bytes(), bytes);
        assert_eq!(Attributes::from_bytes(bytes), Ok(attributes));
    }

    #[test]
    fn a_field_of_a_later_version_is_kept_unless_it_has_to_be_known() {
        let kept = Attributes::from_bytes(b"\x7f\x01!").expect("may go on");
        assert_eq!(kept.unknown, BTreeMap::from([(127, b"!".to_vec())]));
        assert!(kept.admit(&JOE));
        assert_eq!(kept.to_bytes(), b"\x7f\x01!");
        assert_eq!(Attributes::from_bytes(b"\x83\x01!"), Err(AttributesError::Unknown(131)));
        // Of a later version, and of a kind that is not known here.
        for later in [b"\x82\x02\x02\x01", b"\x82\x02\x01\x63"] {
            assert_eq!(Attributes::from_bytes(later), Err(AttributesError::Unknown(130)));
        }
    }

    #[test]
    fn what_is_judged_comes_out_and_leaves_all_else_as_it_was() {
        let taken = Attributes::take_judged(b"\x04\x02\x01\x07\x82\x01j\xff\x02hm");
        assert_eq!(taken, Ok((Some(&b"j"[..]), b"\x04\x02\x01\x07\xff\x02hm".to_vec())));
        assert_eq!(Attributes::take_judged(b"\x7f\x01!"), Ok((None, b"\x7f\x01!".to_vec())));
        for bytes in [&b"\x82\x01j\x04\0"[..], b"\x82\x02j", b"\x82\x01j\x82\x01j"] {
            assert_eq!(Attributes::take_judged(bytes), Err(AttributesError::Malformed));
        }
        let cause = Some(Cause { generation: 1, position: Position(7) });
        assert_eq!(Attributes::cause_of(b"\x03\x01a\x04\x02\x01\x07\xff\x02hm"), cause);
        for bytes in [&b"\x04\x01\x07"[..], b"\x03\x01a", b"\x05\x01a\x04\x02\x01\x07", b""] {
            assert_eq!(Attributes::cause_of(bytes), None);
        }
    }

    #[test]
    fn what_is_judged_is_for_the_entry_itself() {
        let judged = Some(Box::new(Judged::Body { behind: 1 }));
        let attributes = Attributes { judged, ..Attributes::default() };
        assert!(!attributes.admit(&JOE));
        assert!(attributes.admit(&Receiver { session: 0, authid: "", authrole: "" }));
    }

    #[test]
    fn what_is_no_attributes_is_told_from_what_is_later() {
        let malformed: [&[u8]; 9] = [
            b"\x09\x09",
            b"\x01",
            b"\x01\0",
            b"\x03\x01a\x03\x01a",
            b"\x04\0\x03\0",
            b"\x02\x02hm",
            b"\x02\x07\x01a\0\0\0\0\0",
            b"\x80\x05\x01\x07\0\0\0",
            b"\x82\x03\x01\x07\0",
        ];
        for bytes in malformed {
            assert_eq!(Attributes::from_bytes(bytes), Err(AttributesError::Malformed), "{bytes:?}");
        }
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
            assert_eq!(Attributes::from_bytes(&attributes.to_bytes()), Ok(attributes));
        }
    }
}
