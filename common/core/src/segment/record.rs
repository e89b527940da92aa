//! Records: one message each, packed one after the other.
//!
//! ```text
//! +-----------+--------------+-----------+-------------+-----------+---------+
//! | topic u16 | content u8   | flags u8  | session u64 | bytes u32 | payload |   little-endian
//! +-----------+--------------+-----------+-------------+-----------+---------+
//! ```
//! `topic` is an index into the segment's topic table. The payload is what the publisher sent, as
//! [`Content`] says, unparsed. With flag 2, attributes stand before it, and `bytes`
//! counts them as well:
//!
//! ```text
//! +-----------+------------+---------+
//! | bytes u32 | attributes | payload |
//! +-----------+------------+---------+
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 16;
/// Of the length before attributes.
const LENGTH_BYTES: usize = 4;

/// What a payload is. Numbers are stored; never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Content {
    /// 1 to 3: the arguments of a PUBLISH, in the encoding of its serializer.
    Arguments(Encoding),
    /// 4: bytes that mean nothing here. WAMP's subscribers get them as the one argument.
    Raw,
    /// What a later version wrote: it is kept and passed on, and nobody can be told it here.
    Later(u8),
}

impl Content {
    const RAW: u8 = 4;

    /// What a stored number means.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Arguments(Encoding::Json),
            2 => Self::Arguments(Encoding::MsgPack),
            3 => Self::Arguments(Encoding::Cbor),
            Self::RAW => Self::Raw,
            later => Self::Later(later),
        }
    }

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Arguments(encoding) => encoding as u8,
            Self::Raw => Self::RAW,
            Self::Later(number) => number,
        }
    }
}

impl From<u8> for Content {
    fn from(number: u8) -> Self {
        Self::from_number(number)
    }
}

impl From<Content> for u8 {
    fn from(content: Content) -> Self {
        content.number()
    }
}

impl From<Encoding> for Content {
    fn from(encoding: Encoding) -> Self {
        Self::Arguments(encoding)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(encoding) => f.pad(encoding.name()),
            Self::Raw => f.pad("raw"),
            Self::Later(number) => write!(f, "{number}"),
        }
    }
}

/// How arguments are encoded: the serializer of their publisher. Numbers are those of [`Content`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// The text after the topic of a JSON PUBLISH: empty, `args`, or `args,kwargs`, each verbatim.
    Json = 1,
    /// MessagePack, values end to end: nothing, `args`, or `args` and `kwargs`, each verbatim.
    MsgPack = 2,
    /// CBOR (RFC 8949), as MessagePack.
    Cbor = 3,
}

impl Encoding {
    /// The last part of the serializer's WebSocket subprotocol (`wamp.2.json`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MsgPack => "msgpack",
            Self::Cbor => "cbor",
        }
    }
}

/// What the publisher asked for this message. Bits are stored; never reuse one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// The publisher does not want its own message back (WAMP §Publisher Exclusion, the default).
    pub const EXCLUDE_ME: Self = Self(1);
    /// Attributes stand before the payload; set and cleared by whoever writes the record.
    const ATTRIBUTES: Self = Self(2);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One message as it is stored and delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Index into the segment's topic table.
    pub topic: u16,
    /// What the payload is.
    pub content: Content,
    /// What the publisher asked for.
    pub flags: RecordFlags,
    /// WAMP session id of the publisher.
    pub session: u64,
    /// [`Attributes`](super::Attributes) as they are stored; mostly empty.
    pub attributes: &'a [u8],
    /// What the publisher sent, unparsed.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Size in the blob.
    #[must_use]
    pub const fn stored_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes()
    }

    const fn body_bytes(&self) -> usize {
        let attributes = match self.attributes.len() {
            0 => 0,
            bytes => LENGTH_BYTES + bytes,
        };
        attributes + self.payload.len()
    }

    /// Appends the record. All of it must be below 4 GiB; the entry's limits see to it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.body_bytes()).unwrap_or(u32::MAX);
        let flags = match self.attributes {
            [] => self.flags.0 & !RecordFlags::ATTRIBUTES.0,
            _ => self.flags.0 | RecordFlags::ATTRIBUTES.0,
        };
        out.reserve(self.stored_bytes());
        out.extend_from_slice(&self.topic.to_le_bytes());
        out.push(self.content.number());
        out.push(flags);
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        if !self.attributes.is_empty() {
            let length = u32::try_from(self.attributes.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(self.attributes);
        }
        out.extend_from_slice(self.payload);
    }
}

/// Reads records in order; stops for good at the first malformed one.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Records<'a> {
    /// Reads from the start of `records`.
    #[must_use]
    pub const fn new(records: &'a [u8]) -> Self {
        Self { rest: records, broken: false }
    }

    /// Whether everything was read and well-formed; ask after the last record.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !self.broken && self.rest.is_empty()
    }

    fn take(&mut self) -> Option<Record<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let (body, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        let flags = RecordFlags(header[3]);
        let (attributes, payload) = if flags.contains(RecordFlags::ATTRIBUTES) {
            let (length, body) = body.split_first_chunk::<LENGTH_BYTES>()?;
            let length = u32::from_le_bytes(*length);
            // A length of nothing would not be written again as it was read.
            let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
            body.split_at_checked(length)?
        } else {
            (&[][..], body)
        };
        let mut session = [0; 8];
        session.copy_from_slice(&header[4..12]);
        let record = Record {
            topic: u16::from_le_bytes([header[0], header[1]]),
            content: Content::from_number(header[2]),
            flags: RecordFlags(flags.0 & !RecordFlags::ATTRIBUTES.0),
            session: u64::from_le_bytes(session),
            attributes,
            payload,
        };
        self.rest = rest;
        Some(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.broken || self.rest.is_empty() {
            return None;
        }
        let record = self.take();
        self.broken = record.is_none();
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_round_trip(
            messages in proptest::collection::vec(
                (any::<u16>(), any::<u64>(), any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20,
            ),
        ) {
            let mut bytes = Vec::new();
            let wanted: Vec<_> = messages.iter().map(|(topic, session, attributes, payload)| Record {
                topic: *topic, content: Encoding::Json.into(), flags: RecordFlags::EXCLUDE_ME,
                session: *session, attributes, payload,
            }).collect();
            wanted.iter().for_each(|r| r.write_to(&mut bytes));
            let mut reader = Records::new(&bytes);
            prop_assert_eq!(reader.by_ref().collect::<Vec<_>>(), wanted);
            prop_assert!(reader.is_complete());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Records::new(&bytes);
            let read: usize = reader.by_ref().map(|r| r.stored_bytes()).sum();
            prop_assert_eq!(reader.is_complete(), read == bytes.len());
        }
    }

    #[test]
    fn contents_have_their_numbers_and_names() {
        let names = ["0", "json", "msgpack", "cbor", "raw", "5"];
        for (number, name) in (0..).zip(names) {
            let content = Content::from_number(number);
            assert_eq!((content.number(), content.to_string().as_str()), (number, name));
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_passed_on_and_so_are_those_after_it() {
        let record = |content, payload| Record {
            topic: 0,
            content,
            flags: RecordFlags(128),
            session: 1,
            attributes: b"?",
            payload,
        };
        let records = [record(Content::Later(9), &b"x"[..]), record(Content::Raw, b"")];
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record.write_to(&mut bytes));
        assert!(Records::new(&bytes).eq(records));
    }

    #[test]
    fn the_layout_of_a_record_never_changes() {
        let mut bytes = Vec::new();
        Record {
            topic: 2,
            content: Encoding::Json.into(),
            flags: RecordFlags::EXCLUDE_ME,
            session: 0x0102,
            attributes: &[],
            payload: b"[1]",
        }
        .write_to(&mut bytes);
        assert_eq!(bytes, [2, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b'[', b'1', b']']);
        bytes.clear();
        Record {
            topic: 2,
            content: Encoding::Json.into(),
            flags: RecordFlags::EXCLUDE_ME,
            session: 0x0102,
            attributes: &[9],
            payload: b"[",
        }
        .write_to(&mut bytes);
        let body = [1, 0, 0, 0, 9, b'['];
        assert_eq!(bytes[..16], [2, 0, 1, 3, 2, 1, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(bytes[16..], body);
    }
}
