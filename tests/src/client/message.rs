//! WAMP messages, as far as a publisher and a subscriber meet them.

use super::json::{Cursor, write_u64};

/// What a server says. Text parts are verbatim JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    /// WELCOME (2).
    Welcome {
        /// The session id.
        session: u64,
    },
    /// ABORT (3) or GOODBYE (6).
    Ended {
        /// The whole message.
        text: &'a [u8],
    },
    /// ERROR (8).
    Error {
        /// Message code of the refused request.
        kind: u64,
        /// The refused request.
        request: u64,
        /// Error URI, without quotes.
        uri: &'a [u8],
        /// The whole message.
        text: &'a [u8],
    },
    /// PUBLISHED (17).
    Published {
        /// The acknowledged request.
        request: u64,
        /// The publication id: with vixen, the position.
        publication: u64,
    },
    /// SUBSCRIBED (33).
    Subscribed {
        /// The acknowledged request.
        request: u64,
        /// The subscription id.
        subscription: u64,
    },
    /// UNSUBSCRIBED (35).
    Unsubscribed {
        /// The acknowledged request.
        request: u64,
    },
    /// EVENT (36).
    Event {
        /// The subscription id.
        subscription: u64,
        /// The publication id: with vixen, the position.
        publication: u64,
        /// Details, an object.
        details: &'a [u8],
        /// `args` or `args,kwargs`, or nothing.
        payload: &'a [u8],
    },
}

impl<'a> ServerMessage<'a> {
    /// Reads one message; `None` when it is not one of the above.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut at = Cursor::new(text);
        at.token(b'[')?;
        let code = at.integer()?;
        at.token(b',')?;
        match code {
            2 => Some(Self::Welcome { session: at.integer()? }),
            3 | 6 => Some(Self::Ended { text }),
            8 => {
                let kind = at.integer()?;
                at.token(b',')?;
                let request = at.integer()?;
                at.token(b',')?;
                at.value()?;
                at.token(b',')?;
                Some(Self::Error { kind, request, uri: at.string()?, text })
            }
            17 | 33 => {
                let request = at.integer()?;
                at.token(b',')?;
                let id = at.integer()?;
                at.token(b']')?;
                Some(match code {
                    17 => Self::Published { request, publication: id },
                    _ => Self::Subscribed { request, subscription: id },
                })
            }
            35 => Some(Self::Unsubscribed { request: at.integer()? }),
            36 => {
                let subscription = at.integer()?;
                at.token(b',')?;
                let publication = at.integer()?;
                at.token(b',')?;
                let details = at.value()?;
                Some(Self::Event { subscription, publication, details, payload: at.remainder()? })
            }
            _ => None,
        }
    }
}

/// The text of member `id` of an EVENT's details: the permanent id. `None` without one.
pub(crate) fn permanent_id(details: &[u8]) -> Option<&[u8]> {
    let mut at = Cursor::new(details);
    at.token(b'{')?;
    while !at.sees(b'}') {
        let key = at.string()?;
        at.token(b':')?;
        if key == b"id" {
            return at.string();
        }
        at.value()?;
        if at.sees(b',') {
            at.token(b',')?;
        }
    }
    None
}

/// Appends `[16,request,{…},"topic",` — the arguments and the closing bracket are for the caller.
/// `topic` must not need escapes.
pub fn write_publish(request: u64, acknowledge: bool, topic: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[16,");
    write_u64(request, out);
    out.extend_from_slice(if acknowledge { b",{\"acknowledge\":true},\"" } else { b",{},\"" });
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(b"\",");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_the_specification_are_understood() {
        let published = ServerMessage::parse(b"[17, 239714735, 4429313566]");
        let wanted = ServerMessage::Published { request: 239_714_735, publication: 4_429_313_566 };
        assert_eq!(published, Some(wanted));
        let event = ServerMessage::parse(br#"[36,5512315355,7,{"id":"a"},[],{"color":"]"}]"#);
        let wanted = ServerMessage::Event {
            subscription: 5_512_315_355,
            publication: 7,
            details: br#"{"id":"a"}"#,
            payload: br#"[],{"color":"]"}"#,
        };
        assert_eq!(event, Some(wanted));
        let bare = ServerMessage::parse(b"[36,1,2,{}]");
        let wanted =
            ServerMessage::Event { subscription: 1, publication: 2, details: b"{}", payload: b"" };
        assert_eq!(bare, Some(wanted));
        let text = br#"[8,16,9,{"m":1},"wamp.error.invalid_uri",["why"]]"#;
        let uri = b"wamp.error.invalid_uri";
        let wanted = ServerMessage::Error { kind: 16, request: 9, uri, text };
        assert_eq!(ServerMessage::parse(text), Some(wanted));
        assert_eq!(ServerMessage::parse(b"[17,1]"), None);
        assert_eq!(ServerMessage::parse(b"[48,1,{}]"), None);
    }

    #[test]
    fn the_permanent_id_is_found_wherever_it_stands_in_the_details() {
        assert_eq!(permanent_id(br#"{"id":"2611a1"}"#), Some(&b"2611a1"[..]));
        let late = br#"{"publisher":{"id":"no"}, "topic":"t" , "id":"yes"}"#;
        assert_eq!(permanent_id(late), Some(&b"yes"[..]));
        assert_eq!(permanent_id(b"{}"), None);
    }
}
