//! Table `[wamp]`: what clients may say.

use std::fmt;

use serde::Serialize;

use vixen_core::access::UriCheck;

use super::error::ConfigError;
use super::read::TableReader;

/// Table `[wamp]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wamp {
    /// `uri-check`: which topics and realms are taken. Default `loose`.
    pub uri_check: UriCheck,
    /// `goodbye`: which sessions that the entry ends are told so by GOODBYE or ABORT. Default
    /// `final`.
    pub goodbye: Goodbye,
    /// `cancel-answer`: which callers that cancel a call are answered. Default `always`.
    pub cancel_answer: CancelAnswers,
}

/// When a caller that cancels is answered. Some client libraries forget a request as they cancel it, and take an
/// answer to it for a broken protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelAnswers {
    /// Always, as the specification has it.
    #[default]
    Always,
    /// Where the callee has announced `call_canceling`; else never.
    Announced,
}

impl fmt::Display for CancelAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Announced => "announced",
        })
    }
}

/// When the last message of a session is sent that the entry ends. Client libraries take GOODBYE
/// and ABORT of a router as the end for good, and come back by themselves where the WebSocket just
/// closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Goodbye {
    /// Where the client is not to come back as it is.
    #[default]
    Final,
    /// Always.
    Always,
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Final => "final",
            Self::Always => "always",
        })
    }
}

impl Wamp {
    pub(super) const KEYS: &'static [&'static str] = &["uri-check", "goodbye", "cancel-answer"];

    /// Takes what the table sets and leaves the rest at its default.
    pub(super) fn read(mut table: TableReader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            uri_check: table.optional("uri-check")?.unwrap_or_default(),
            goodbye: table.optional("goodbye")?.unwrap_or_default(),
            cancel_answer: table.optional("cancel-answer")?.unwrap_or_default(),
        })
    }
}
