//! The forms of values: what a key of each type accepts from the file and from the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use vixen_core::id::Lane;

use super::{CancelAnswers, Durability, Goodbye, LogFormat, NodeName, UriCheck, listen};

/// A type that keys can have.
pub(super) trait Value: Sized {
    /// What may be written, for the fix of an error: "set it to …".
    const FORM: &'static str;
    /// Whether an error must not show what was written.
    const IS_SECRET: bool = false;
    /// What somebody has got wrong who wrote `text`, where that can be guessed.
    fn hint(text: &str) -> Option<String> {
        let _nothing_to_guess = text;
        None
    }
    /// Reads a text of the environment, or of the file where [`from_file`](Self::from_file) says
    /// so.
    fn from_text(text: &str) -> Option<Self>;
    /// Reads a value of the file.
    fn from_file(value: &toml::Value) -> Option<Self> {
        value.as_str().and_then(Self::from_text)
    }
}

/// A number of things: a plain integer in the file.
pub(super) struct Count(pub(super) u64);

impl Value for Count {
    const FORM: &'static str = "a whole number such as 3";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn from_file(value: &toml::Value) -> Option<Self> {
        value.as_integer().and_then(|n| n.try_into().ok()).map(Self)
    }
}

/// Yes or no.
pub(super) struct Flag(pub(super) bool);

impl Value for Flag {
    const FORM: &'static str = "true or false, without quotes";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn from_file(value: &toml::Value) -> Option<Self> {
        value.as_bool().map(Self)
    }
}

/// A number of bytes: `"64MiB"`, `"1048576"`, or a plain integer in the file.
pub(super) struct Size(pub(super) u64);

impl Value for Size {
    const FORM: &'static str = "a size such as \"64MiB\" (B, KiB, MiB, GiB, TiB) or plain bytes";

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim_start() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(1 << shift).map(Self)
    }

    fn from_file(value: &toml::Value) -> Option<Self> {
        match value {
            toml::Value::Integer(n) => (*n).try_into().ok().map(Self),
            other => other.as_str().and_then(Self::from_text),
        }
    }
}

impl Value for Duration {
    const FORM: &'static str = "a duration such as \"250ms\" or \"10s\"";

    fn from_text(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok()
    }
}

impl Value for String {
    const FORM: &'static str = "a text in quotes that is not empty";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// A text that no error shows.
pub(super) struct SecretText(pub(super) String);

impl Value for SecretText {
    const FORM: &'static str = String::FORM;
    const IS_SECRET: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        String::from_text(text).map(Self)
    }
}

impl Value for PathBuf {
    const FORM: &'static str = "a path in quotes such as \"data\"";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
}

impl Value for NodeName {
    const FORM: &'static str = "a name of 1 to 64 characters of A-Z a-z 0-9 . _ - such as \"S1\"";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Value for Durability {
    const FORM: &'static str = "\"fsync\" or \"memory\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "fsync" => Some(Self::Fsync),
            "memory" => Some(Self::Memory),
            _ => None,
        }
    }
}

impl Value for UriCheck {
    const FORM: &'static str = "\"loose\" or \"strict\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "loose" => Some(Self::Loose),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

impl Value for Goodbye {
    const FORM: &'static str = "\"final\" or \"always\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "final" => Some(Self::Final),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

impl Value for CancelAnswers {
    const FORM: &'static str = "\"always\" or \"announced\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "always" => Some(Self::Always),
            "announced" => Some(Self::Announced),
            _ => None,
        }
    }
}

impl Value for LogFormat {
    const FORM: &'static str = "\"text\" or \"json\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Log directives that tracing understands.
pub(super) struct Filter(pub(super) String);

impl Value for Filter {
    const FORM: &'static str = "log directives such as \"info\" or \"info,vixen_sync=debug\"";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty() && EnvFilter::try_new(text).is_ok()).then(|| Self(text.to_owned()))
    }
}

impl Value for Lane {
    const FORM: &'static str = "a number from 0 to 63 that no other sync node has";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::new)
    }

    fn from_file(value: &toml::Value) -> Option<Self> {
        value.as_integer().and_then(|n| n.try_into().ok()).and_then(Self::new)
    }
}

impl Value for SocketAddr {
    const FORM: &'static str = "an IP address and port such as \"0.0.0.0:9041\" or \"[::1]:9041\"";

    fn hint(text: &str) -> Option<String> {
        listen::hint(text)
    }

    fn from_text(text: &str) -> Option<Self> {
        listen::parse_listen(text).ok()
    }
}

/// `host:port` that can be dialled: a host name, an IPv4 address, or an IPv6 one in brackets.
pub(super) struct Address(pub(super) String);

impl Value for Address {
    const FORM: &'static str =
        "a host and port such as \"sync1:9041\", \"127.0.0.1:9041\" or \"[::1]:9041\"";

    fn hint(text: &str) -> Option<String> {
        let is_number = text.trim_start_matches(':').parse::<u16>().is_ok();
        if is_number {
            return Some("others dial it, so it needs a host".to_owned());
        }
        listen::hint(text)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port_is_real = port.parse::<u16>().is_ok_and(|port| port > 0);
        let host_is_plain = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        // Only an IPv6 address has brackets and colons; the standard parser knows these.
        let dialable = match text.parse::<SocketAddr>() {
            Ok(address) => !address.ip().is_unspecified(),
            Err(_) => host_is_plain,
        };
        (port_is_real && dialable).then(|| Self(text.to_ascii_lowercase()))
    }
}
