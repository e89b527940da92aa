//! One message of the router, written in any serializer.

use bytes::{BufMut, BytesMut};

use vixen_core::payload::write::Binary;
use vixen_core::payload::{PayloadError, transcode};
use vixen_core::segment::{Content, Encoding};

use crate::text::{put_decimal, put_string};

/// See the module. Lengths are told before: JSON has no use for them, the others no commas.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut BytesMut,
    binary: Option<Binary>,
    /// What comes next is the first of its list or dictionary, or the value of a key.
    is_first: bool,
}

impl<'a> Writer<'a> {
    /// Begins a message of so many elements.
    pub(super) fn begin(out: &'a mut BytesMut, encoding: Encoding, elements: u32) -> Self {
        let binary = Binary::of(encoding);
        match binary {
            Some(binary) => binary.write_array_header(out, elements),
            None => out.put_u8(b'['),
        }
        Self { out, binary, is_first: true }
    }

    /// Ends it.
    pub(super) fn end(self) {
        if self.binary.is_none() {
            self.out.put_u8(b']');
        }
    }

    pub(super) fn uint(&mut self, number: u64) {
        self.comma();
        match self.binary {
            Some(binary) => binary.write_uint(self.out, number),
            None => put_decimal(self.out, number),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.comma();
        match self.binary {
            Some(binary) => binary.write_str(self.out, text),
            None => put_string(self.out, text),
        }
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.comma();
        match self.binary {
            Some(binary) => binary.write_bool(self.out, flag),
            None => self.out.put_slice(if flag { b"true" } else { b"false" }),
        }
    }

    /// A dictionary of so many pairs.
    pub(super) fn dict(&mut self, pairs: u32, put: impl FnOnce(&mut Self)) {
        self.comma();
        match self.binary {
            Some(binary) => binary.write_map_header(self.out, pairs),
            None => self.out.put_u8(b'{'),
        }
        self.is_first = true;
        put(self);
        if self.binary.is_none() {
            self.out.put_u8(b'}');
        }
        self.is_first = false;
    }

    /// A key of a dictionary, before its value.
    pub(super) fn key(&mut self, key: &str) {
        self.text(key);
        if self.binary.is_none() {
            self.out.put_u8(b':');
        }
        self.is_first = true;
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, texts: &[&str]) {
        self.comma();
        match self.binary {
            Some(binary) => {
                binary.write_array_header(self.out, u32::try_from(texts.len()).unwrap_or(u32::MAX));
            }
            None => self.out.put_u8(b'['),
        }
        self.is_first = true;
        for text in texts {
            self.text(text);
        }
        if self.binary.is_none() {
            self.out.put_u8(b']');
        }
        self.is_first = false;
    }

    /// The arguments of a payload, as many elements as they are.
    ///
    /// # Errors
    /// The payload has no form in this serializer.
    pub(super) fn arguments(
        &mut self,
        arguments: &[u8],
        content: Content,
    ) -> Result<(), PayloadError> {
        self.comma();
        let encoding = self.binary.map_or(Encoding::Json, Binary::encoding);
        transcode(arguments, content, encoding, self.out)
    }

    fn comma(&mut self) {
        if self.binary.is_none() && !self.is_first {
            self.out.put_u8(b',');
        }
        self.is_first = false;
    }
}
