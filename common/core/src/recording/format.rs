//! The file: a magic, a version, a header, and entries, each with its length and checks.
//!
//! ```text
//! | "vixenrec" | format u16 | entry 0: Header | entry 1 | entry 2 | ...
//!
//!   an entry:  | length u32 | check of number and length u32 | check of number and body u64 | body |
//!                             first bytes of the hash of           first bytes of the hash
//!   the body:  | Head (postcard) | what its machine reads (postcard) |
//! ```
//! Numbers are little-endian. The number of an entry is in its checks and not in the file: entries that are gone,
//! or stand elsewhere, are damage like any other. A length has a check of its own, so that one that is damaged is
//! told from a file that ends early.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::effects::Sum;
use crate::id::Digest;
use crate::tier::Tier;
use crate::time::WallTime;

const MAGIC: [u8; 8] = *b"vixenrec";
/// The version of the form that is written, inputs included. Those before it are read, later ones are not.
///
/// 2: an entry's segmenter is given writes of several messages.
pub const FORMAT: u16 = 2;
/// Bytes of an entry before its body.
const PREFIX_BYTES: usize = 16;

/// Whose recording it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Of which tier.
    pub tier: Tier,
    /// Version of the program that ran.
    pub product: String,
    /// The node's name in its configuration.
    pub node: String,
    /// When the recording began.
    pub begun: WallTime,
}

/// When a machine was given an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// By the wall clock of the node.
    pub wall: WallTime,
    /// Nanoseconds since the recording began, by the clock that never goes back.
    pub since_ns: u64,
}

/// What an entry is. Machines are numbered by their tier. The order is that of the numbers in the file: new ones go
/// at the end, and none is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// A machine begins. The rest of the body: what it begins with.
    Start {
        /// Which one.
        machine: u8,
        /// When.
        at: Moment,
    },
    /// A machine is given an input: the rest of the body.
    Input {
        /// Which one.
        machine: u8,
        /// When.
        at: Moment,
    },
    /// What the input before it, of whatever machine, has led to.
    Effects(Sum),
    /// The recording ends here.
    End(EndReason),
}

/// Why a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The node has stopped.
    Stopped,
    /// It has as many bytes as it may have.
    Full,
    /// It could not be written as fast as it grew.
    Slow,
    /// Something could not be encoded.
    Unencodable,
}

impl EndReason {
    /// Label of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Full => "full",
            Self::Slow => "slow",
            Self::Unencodable => "unencodable",
        }
    }

    /// For people, after `the recording ends here: `.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::Stopped => "the node was stopped",
            Self::Full => "it had as many bytes as --record-bytes-max allows, and the node went on",
            Self::Slow => "it could not be written as fast as it grew, and the node went on",
            Self::Unencodable => "something could not be encoded, and the node went on",
        }
    }
}

/// Encodes a recording, entry by entry.
#[derive(Debug, Default)]
pub struct EntryEncoder {
    entries: u64,
    buffer: Vec<u8>,
}

impl EntryEncoder {
    /// Begins a file. What it begins with.
    ///
    /// # Errors
    /// None but those of the encoding, which has none for a header.
    pub fn begin(header: &Header) -> Result<(Self, Vec<u8>), postcard::Error> {
        let mut encoder = Self::default();
        let entry = encoder.encode(header, &())?;
        let bytes = [&MAGIC[..], &FORMAT.to_le_bytes(), entry].concat();
        Ok((encoder, bytes))
    }

    /// The next entry.
    ///
    /// # Errors
    /// When the body cannot be encoded, or is too large for an entry. Nothing may follow then.
    pub fn entry(&mut self, head: &Head, body: &impl Serialize) -> Result<&[u8], postcard::Error> {
        self.encode(head, body)
    }

    /// The last entry is not written: the next one is in its place.
    pub const fn take_back(&mut self) {
        self.entries = self.entries.saturating_sub(1);
    }

    fn encode(
        &mut self,
        head: &impl Serialize,
        body: &impl Serialize,
    ) -> Result<&[u8], postcard::Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.resize(PREFIX_BYTES, 0);
        buffer = postcard::to_extend(&(head, body), buffer)?;
        let (prefix, body) = buffer.split_at_mut(PREFIX_BYTES);
        let length =
            u32::try_from(body.len()).map_err(|_too_long| postcard::Error::SerializeBufferFull)?;
        prefix.copy_from_slice(&prefix_of(self.entries, length, body));
        self.entries += 1;
        self.buffer = buffer;
        Ok(&self.buffer)
    }
}

fn prefix_of(number: u64, length: u32, body: &[u8]) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..8].copy_from_slice(&length_part(number, length));
    prefix[8..].copy_from_slice(&check(&[&number.to_le_bytes(), body]));
    prefix
}

fn length_part(number: u64, length: u32) -> [u8; 8] {
    let (length, mut part) = (length.to_le_bytes(), [0; 8]);
    part[..4].copy_from_slice(&length);
    part[4..].copy_from_slice(&check(&[&number.to_le_bytes(), &length])[..4]);
    part
}

fn check(parts: &[&[u8]]) -> [u8; 8] {
    let digest = Digest::of(parts).0;
    digest.first_chunk().copied().unwrap_or_default()
}

/// One entry of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// What it is.
    pub head: Head,
    bytes: Vec<u8>,
    body_at: usize,
}

impl Entry {
    /// What its machine reads.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }
}

/// Why a file is no recording, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It does not begin like one.
    #[error("is not a recording of vixen")]
    NotARecording,
    /// A later version has written it.
    #[error(
        "is of format {found}, and this version reads formats up to {FORMAT}: replay it with the version that recorded it"
    )]
    TooNew {
        /// Its format.
        found: u16,
    },
    /// The file ends before the entry does.
    #[error("ends in the middle of an entry, the {number}th, which begins at byte {at}")]
    Torn {
        /// The entry; 0 is the header.
        number: u64,
        /// Where it begins.
        at: u64,
    },
    /// The entry is not what was written.
    #[error("is damaged: entry {number}, which begins at byte {at}, is not what was written")]
    Damaged {
        /// The entry; 0 is the header.
        number: u64,
        /// Where it begins.
        at: u64,
    },
    /// It cannot be read.
    #[error("cannot be read")]
    Io(#[from] io::Error),
}

/// A recording that is being read.
#[derive(Debug)]
pub struct Recording<R> {
    header: Header,
    input: R,
    /// Number of the next entry, and where it begins.
    next: u64,
    at: u64,
}

impl<R: Read> Recording<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none that this version can read.
    pub fn open(mut input: R) -> Result<Self, RecordingError> {
        let mut first = [0; MAGIC.len() + 2];
        let read = read_up_to(&mut input, &mut first)?;
        let (magic, format) = first.split_at(MAGIC.len());
        let length = read.min(MAGIC.len());
        if magic[..length] != MAGIC[..length] {
            return Err(RecordingError::NotARecording);
        }
        if read < first.len() {
            return Err(RecordingError::Torn { number: 0, at: 0 });
        }
        let format = u16::from_le_bytes(format.try_into().unwrap_or_default());
        if format == 0 {
            return Err(RecordingError::NotARecording);
        }
        if format > FORMAT {
            return Err(RecordingError::TooNew { found: format });
        }
        let mut at = first.len() as u64;
        let damaged = RecordingError::Damaged { number: 0, at };
        let body = read_entry(&mut input, 0, &mut at)?;
        let body = body.ok_or(RecordingError::Torn { number: 0, at })?;
        let header = postcard::from_bytes(&body).map_err(|_malformed| damaged)?;
        Ok(Self { header, input, next: 1, at })
    }

    /// Whose it is.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// When the next is not whole; the same at each further call is not promised.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        let (number, begin) = (self.next, self.at);
        let Some(bytes) = read_entry(&mut self.input, number, &mut self.at)? else {
            return Ok(None);
        };
        self.next += 1;
        let (head, rest) = postcard::take_from_bytes(&bytes)
            .map_err(|_malformed| RecordingError::Damaged { number, at: begin })?;
        let body_at = bytes.len() - rest.len();
        Ok(Some(Entry { number, head, bytes, body_at }))
    }
}

/// The body of an entry; `None` where the file ends before it.
fn read_entry(
    input: &mut impl Read,
    number: u64,
    at: &mut u64,
) -> Result<Option<Vec<u8>>, RecordingError> {
    let begin = *at;
    let torn = || RecordingError::Torn { number, at: begin };
    let mut prefix = [0; PREFIX_BYTES];
    let read = read_up_to(input, &mut prefix)?;
    if read == 0 {
        return Ok(None);
    }
    if read < PREFIX_BYTES {
        return Err(torn());
    }
    let length = u32::from_le_bytes(prefix.first_chunk().copied().unwrap_or_default());
    if prefix[..8] != length_part(number, length) {
        return Err(RecordingError::Damaged { number, at: begin });
    }
    let mut body = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut body)?;
    if body.len() as u64 != u64::from(length) {
        return Err(torn());
    }
    if prefix != prefix_of(number, length, &body) {
        return Err(RecordingError::Damaged { number, at: begin });
    }
    *at += PREFIX_BYTES as u64 + body.len() as u64;
    Ok(Some(body))
}

/// Fills the buffer as far as the input goes.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match input.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
