//! Writes MessagePack and CBOR, each value in its shortest form.
//!
//! Sources: `spec.md` of msgpack/msgpack; RFC 8949 §3 and §4.2.1.

use bytes::{BufMut, BytesMut};

use crate::segment::Encoding;

/// An encoding that is not text. Its methods append one value, or the header of a container whose
/// items are to follow. Nothing may have 4 GiB or more; the limit of frames sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// MessagePack.
    MsgPack,
    /// CBOR.
    Cbor,
}

impl Binary {
    /// The writer of an encoding; `None` for text.
    #[must_use]
    pub const fn of(encoding: Encoding) -> Option<Self> {
        match encoding {
            Encoding::Json => None,
            Encoding::MsgPack => Some(Self::MsgPack),
            Encoding::Cbor => Some(Self::Cbor),
        }
    }

    /// The encoding of what is written.
    #[must_use]
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::MsgPack => Encoding::MsgPack,
            Self::Cbor => Encoding::Cbor,
        }
    }

    /// Appends null.
    pub fn write_null(self, out: &mut BytesMut) {
        out.put_u8(match self {
            Self::MsgPack => 0xc0,
            Self::Cbor => 0xf6,
        });
    }

    /// Appends a truth value.
    pub fn write_bool(self, out: &mut BytesMut, is_true: bool) {
        out.put_u8(u8::from(is_true) + if self == Self::MsgPack { 0xc2 } else { 0xf4 });
    }

    /// Appends an integer from 0.
    pub fn write_uint(self, out: &mut BytesMut, number: u64) {
        match self {
            Self::Cbor => put_head(out, 0x00, number),
            Self::MsgPack if number < 0x80 => put_be(out, None, number, 1),
            Self::MsgPack => {
                let (marker, size) = sized(number, [0xcc, 0xcd, 0xce, 0xcf]);
                put_be(out, Some(marker), number, size);
            }
        }
    }

    /// Appends the integer -1 - `number`. MessagePack goes down to -2^63; integers below become
    /// their decimal digits, a string.
    pub fn write_negative(self, out: &mut BytesMut, number: u64) {
        match (self, i64::try_from(number)) {
            (Self::Cbor, _) => put_head(out, 0x20, number),
            (Self::MsgPack, Ok(0..0x20)) => put_be(out, None, !number & 0xff, 1),
            (Self::MsgPack, Ok(_)) => {
                // A signed number of a size reaches half as far as an unsigned one.
                let (marker, size) = sized(number << 1, [0xd0, 0xd1, 0xd2, 0xd3]);
                put_be(out, Some(marker), !number, size);
            }
            (Self::MsgPack, Err(_)) => {
                self.write_str(out, &(-1 - i128::from(number)).to_string());
            }
        }
    }

    /// Appends a float of 32 bits.
    pub fn write_f32(self, out: &mut BytesMut, float: f32) {
        out.put_u8(if self == Self::MsgPack { 0xca } else { 0xfa });
        out.put_f32(float);
    }

    /// Appends a float of 64 bits.
    pub fn write_f64(self, out: &mut BytesMut, float: f64) {
        out.put_u8(if self == Self::MsgPack { 0xcb } else { 0xfb });
        out.put_f64(float);
    }

    /// Appends a string.
    pub fn write_str(self, out: &mut BytesMut, text: &str) {
        let length = text.len() as u64;
        out.reserve(9 + text.len());
        match self {
            Self::Cbor => put_head(out, 0x60, length),
            Self::MsgPack if length < 0x20 => put_be(out, None, 0xa0 | length, 1),
            Self::MsgPack => {
                let (marker, size) = sized(length, [0xd9, 0xda, 0xdb, 0xdb]);
                put_be(out, Some(marker), length, size.min(4));
            }
        }
        out.put_slice(text.as_bytes());
    }

    /// Appends a byte string.
    pub fn write_bytes(self, out: &mut BytesMut, bytes: &[u8]) {
        let length = bytes.len() as u64;
        out.reserve(9 + bytes.len());
        match self {
            Self::Cbor => put_head(out, 0x40, length),
            Self::MsgPack => {
                let (marker, size) = sized(length, [0xc4, 0xc5, 0xc6, 0xc6]);
                put_be(out, Some(marker), length, size.min(4));
            }
        }
        out.put_slice(bytes);
    }

    /// Begins a list of `items`.
    pub fn write_array_header(self, out: &mut BytesMut, items: u32) {
        self.write_header(out, items, 0x80, 0x90, 0xdc);
    }

    /// Begins a map of `pairs`: each a key and then its value.
    pub fn write_map_header(self, out: &mut BytesMut, pairs: u32) {
        self.write_header(out, pairs, 0xa0, 0x80, 0xde);
    }

    fn write_header(self, out: &mut BytesMut, count: u32, cbor: u8, fixed: u8, sized16: u8) {
        let number = u64::from(count);
        match (self, count) {
            (Self::Cbor, _) => put_head(out, cbor, number),
            (Self::MsgPack, 0..0x10) => put_be(out, None, u64::from(fixed) | number, 1),
            (Self::MsgPack, 0x10..0x1_0000) => put_be(out, Some(sized16), number, 2),
            (Self::MsgPack, 0x1_0000..) => put_be(out, Some(sized16 + 1), number, 4),
        }
    }
}

/// Appends an integer beyond 64 bits in CBOR: the big-endian n, or -1 - n (RFC 8949 §3.4.3).
pub(super) fn put_bignum(out: &mut BytesMut, negative: bool, magnitude: &[u8]) {
    out.put_u8(if negative { 0xc3 } else { 0xc2 });
    Binary::Cbor.write_bytes(out, magnitude);
}

/// The marker for the fewest bytes that hold `number`: 1, 2, 4 or 8.
const fn sized(number: u64, markers: [u8; 4]) -> (u8, usize) {
    match number {
        0..0x100 => (markers[0], 1),
        0x100..0x1_0000 => (markers[1], 2),
        0x1_0000..0x1_0000_0000 => (markers[2], 4),
        0x1_0000_0000.. => (markers[3], 8),
    }
}

/// Appends a major type and its number.
fn put_head(out: &mut BytesMut, major: u8, number: u64) {
    if number < 24 {
        put_be(out, None, u64::from(major) | number, 1);
    } else {
        let (info, size) = sized(number, [24, 25, 26, 27]);
        put_be(out, Some(major | info), number, size);
    }
}

/// Appends the marker, if any, and the last `size` bytes of the number, big-endian.
fn put_be(out: &mut BytesMut, marker: Option<u8>, number: u64, size: usize) {
    let mut head = [0; 9];
    head[1..].copy_from_slice(&number.to_be_bytes());
    let mut start = head.len() - size;
    if let Some(marker) = marker {
        start -= 1;
        head[start] = marker;
    }
    out.put_slice(&head[start..]);
}
