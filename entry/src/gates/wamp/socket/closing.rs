//! How a connection closes.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::{SinkExt, StreamExt};

use crate::gates::wamp::error::{Ending, Violation};

pub(super) fn close_frame(ending: Ending) -> Message {
    // A control frame holds 125 bytes; the whole reason is in the WAMP message before it.
    let reason = Utf8Bytes::from_static(ending.uri().unwrap_or_default());
    Message::Close(Some(CloseFrame { code: ending.close_code(), reason }))
}

/// Sends what is last, and lets the client read it; `is_over` where its input is.
pub(super) async fn say_goodbye(
    socket: &mut WebSocket,
    last: Vec<Message>,
    ending: Ending,
    is_over: bool,
) {
    for frame in last {
        if socket.feed(frame).await.is_err() {
            return;
        }
    }
    if ending != Ending::Disconnected && socket.send(close_frame(ending)).await.is_err() {
        return;
    }
    if is_over {
        // What it has unfinished goes at once; what still comes is dropped behind it.
        return;
    }
    // Reading on until the client closes: closing with unread input would reset the connection,
    // and the client would not see what was written.
    while let Some(Ok(_ignored)) = socket.next().await {}
}

/// What a failed read means.
pub(super) fn ending_of(error: &axum::Error) -> Ending {
    // The error inside is of a crate that axum does not export, so only its text tells its kind; a
    // test holds it.
    let text = error.to_string();
    if text.ends_with("without closing handshake") {
        // A client that is gone, which its network may be to blame for.
        Ending::Disconnected
    } else if text.starts_with("Space limit exceeded") {
        Ending::FrameTooLarge
    } else if text.starts_with("UTF-8") || text.starts_with("WebSocket protocol error") {
        Violation::Framing.into()
    } else {
        Ending::Disconnected
    }
}
