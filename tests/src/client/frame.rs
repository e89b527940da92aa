//! WebSocket frames (RFC 6455 §5.2) as a client writes and reads them.

use super::ClientError;

const FIN: u8 = 0x80;
const MASK: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Frames above this are refused: no node sends them.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// One frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A whole text message; its encoding is not verified.
    Text(&'a [u8]),
    /// Answer with a pong of the same bytes.
    Ping(&'a [u8]),
    /// Nothing to do.
    Pong,
    /// The server closes, with code and reason.
    Close(&'a [u8]),
}

/// Appends one client frame.
///
/// The masking key is zero. Keys protect intermediaries from scripts that choose their bytes
/// (RFC 6455 §10.3); here is no script, and the server unmasks at the same cost whatever the key.
fn write_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(MASK | short),
        (_, Ok(medium)) => {
            out.push(MASK | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        (_, Err(_longer)) => {
            out.push(MASK | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// Appends a text message.
pub(super) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_frame(TEXT, text, out);
}

/// Appends the answer to a ping.
pub(super) fn write_pong(payload: &[u8], out: &mut Vec<u8>) {
    write_frame(PONG, payload, out);
}

/// Appends a normal closure.
pub(super) fn write_close(out: &mut Vec<u8>) {
    write_frame(CLOSE, &1000u16.to_be_bytes(), out);
}

/// Reads the frame at the start of `input`, and how many bytes it takes; `None` while it is not
/// whole.
///
/// # Errors
/// Masked, fragmented, binary or oversized frames: a WAMP JSON server sends none of them.
pub(super) fn read_frame(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, ClientError> {
    let &[first, second, ..] = input else { return Ok(None) };
    if second & MASK != 0 {
        return Err(ClientError::protocol("a masked frame"));
    }
    let (header, length) = match second {
        126 => match input.get(2..4) {
            Some(&[a, b]) => (4, usize::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(None),
        },
        127 => match input.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => (10, usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX)),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    if length > FRAME_BYTES_MAX {
        return Err(ClientError::protocol(format!("a frame of {length} bytes")));
    }
    let Some(payload) = input.get(header..header + length) else { return Ok(None) };
    if first & FIN == 0 {
        return Err(ClientError::protocol("a fragmented message, which this client does not join"));
    }
    let frame = match first & 0x0f {
        TEXT => Frame::Text(payload),
        PING => Frame::Ping(payload),
        PONG => Frame::Pong,
        CLOSE => Frame::Close(payload),
        BINARY => return Err(ClientError::protocol("a binary message under wamp.2.json")),
        other => return Err(ClientError::protocol(format!("a frame with opcode {other}"))),
    };
    Ok(Some((frame, header + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server would send: the same frame, unmasked.
    fn unmasked(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        write_text(payload, &mut frame);
        let key_at = frame.len() - payload.len() - 4;
        frame.drain(key_at..key_at + 4);
        frame[1] &= !MASK;
        frame
    }

    #[test]
    fn frames_of_every_length_form_are_read_back_whole_and_only_when_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = unmasked(&payload);
            for cut in [0, 1, 2, bytes.len() - 1] {
                if cut < bytes.len() {
                    assert_eq!(read_frame(&bytes[..cut]).expect("well-formed"), None);
                }
            }
            let whole = bytes.len();
            bytes.extend_from_slice(&unmasked(b"next"));
            let read = read_frame(&bytes).expect("well-formed");
            assert_eq!(read, Some((Frame::Text(&payload), whole)));
        }
    }

    #[test]
    fn what_no_wamp_json_server_sends_is_refused() {
        for frame in [[0x81, 0x81, 0, 0, 0, 0, b'x'], [0x01, 1, b'x', 0, 0, 0, 0]] {
            assert!(matches!(read_frame(&frame), Err(ClientError::Protocol { .. })));
        }
        assert!(read_frame(&[0x82, 1, b'x']).is_err());
        assert!(read_frame(&[0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0]).is_err());
    }
}
