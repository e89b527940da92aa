//! What a generated message carries: who sent it, which of theirs it is, and when.
//!
//! ```text
//! ["3.17.1234567890.xxxxxxxxxx"]      publisher . seq . sent at (ns) . padding
//! ```

use super::json::{parse_u64, write_u64};

/// The smallest payload that any publisher, sequence number and time fit in.
pub const PAYLOAD_BYTES_MIN: usize = 48;

/// The content of one generated message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Unique over all that publish in a run.
    pub publisher: u32,
    /// 1, 2, 3 … of this publisher.
    pub seq: u32,
    /// When it was sent, or should have been, in ns of the generator's clock.
    pub sent_ns: u64,
}

impl Payload {
    /// Appends the args array, padded to `bytes`, at least [`PAYLOAD_BYTES_MIN`].
    pub fn write_args(&self, bytes: usize, out: &mut Vec<u8>) {
        const PADDING: [u8; 256] = [b'x'; 256];
        let start = out.len();
        out.extend_from_slice(b"[\"");
        write_u64(u64::from(self.publisher), out);
        out.push(b'.');
        write_u64(u64::from(self.seq), out);
        out.push(b'.');
        write_u64(self.sent_ns, out);
        out.push(b'.');
        let end = start + bytes - 2;
        while out.len() < end {
            out.extend_from_slice(&PADDING[..PADDING.len().min(end - out.len())]);
        }
        out.extend_from_slice(b"\"]");
    }

    /// Reads what [`write_args`](Self::write_args) wrote; `None` for anything else.
    #[must_use]
    pub fn parse_args(args: &[u8]) -> Option<Self> {
        let text = args.strip_prefix(b"[\"")?.strip_suffix(b"\"]")?;
        let mut parts = text.splitn(4, |byte| *byte == b'.');
        let payload = Self {
            publisher: u32::try_from(parse_u64(parts.next()?)?).ok()?,
            seq: u32::try_from(parse_u64(parts.next()?)?).ok()?,
            sent_ns: parse_u64(parts.next()?)?,
        };
        parts.next()?.iter().all(|byte| *byte == b'x').then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_the_wanted_size_and_round_trip() {
        let largest = Payload { publisher: 99_999, seq: u32::MAX, sent_ns: 999_999_999_999_999 };
        let smallest = Payload { publisher: 0, seq: 1, sent_ns: 0 };
        for payload in [largest, smallest] {
            for bytes in [PAYLOAD_BYTES_MIN, 128, 1000] {
                let mut args = Vec::new();
                payload.write_args(bytes, &mut args);
                assert_eq!(args.len(), bytes);
                assert_eq!(Payload::parse_args(&args), Some(payload));
            }
        }
    }

    #[test]
    fn a_damaged_payload_is_not_taken_for_a_good_one() {
        let mut args = Vec::new();
        Payload { publisher: 1, seq: 2, sent_ns: 3 }.write_args(64, &mut args);
        for at in [0, 1, 3, 40, 62, 63] {
            let mut damaged = args.clone();
            damaged[at] = b'#';
            assert_eq!(Payload::parse_args(&damaged), None, "{at}");
        }
    }
}
