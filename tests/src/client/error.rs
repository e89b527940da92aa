//! Why a client cannot go on.

/// What ended a connection, or kept it from being made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not `ws://host:port/path`.
    #[error("{url:?} is not like ws://127.0.0.1:9031/ws")]
    Url {
        /// What was given.
        url: String,
    },
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server did not upgrade to `wamp.2.json`.
    #[error("no WebSocket with subprotocol wamp.2.json at {url}: {reason}")]
    Handshake {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error("connection lost")]
    Io(#[from] std::io::Error),
    /// The server closed the connection.
    #[error("closed by the server{}", .reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Closed {
        /// Close code and text, if there were any.
        reason: Option<String>,
    },
    /// The server ended the session.
    #[error("session ended by the server: {message}")]
    Aborted {
        /// Its ABORT or GOODBYE.
        message: String,
    },
    /// A frame that a WAMP server must not send.
    #[error("the server broke the protocol: {what}")]
    Protocol {
        /// What was wrong with it.
        what: String,
    },
    /// A request was refused.
    #[error("refused: {message}")]
    Refused {
        /// The ERROR.
        message: String,
    },
}

impl ClientError {
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }
}
