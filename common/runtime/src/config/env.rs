//! Overrides from the environment.
//!
//! Kubernetes sets variables for every service of a namespace in every pod of it, and a service
//! called `vixen-cluster` makes them start like overrides: `VIXEN_CLUSTER_PORT=tcp://10.0.0.7:9031`.
//! These are told by name *and* value, and let pass; a real key always wins.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Tables whose keys can be overridden.
/// `CLUSTER` is also how those of `cluster-tls` start.
const TABLES: [&str; 8] = ["CLUSTER", "ACCESS", "TLS", "LIMITS", "STORAGE", "WAMP", "WEB", "LOG"];

/// The protocols of a service's ports.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// The variable that overrides `key` of `table`.
pub(super) fn variable(table: &str, key: &str) -> String {
    format!("VIXEN_{table}_{key}").to_uppercase().replace('-', "_")
}

/// Whether a variable claims to override one of the tables.
pub(super) fn is_override(variable: &str) -> bool {
    variable
        .strip_prefix("VIXEN_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(table, _)| TABLES.contains(&table))
}

/// What a variable of a service must have as its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `10.0.0.7`
    Host,
    /// `9031`
    Port,
    /// `tcp`
    Protocol,
    /// `tcp://10.0.0.7:9031`
    Url,
}

impl Form {
    /// What Kubernetes gives a variable of this name, if it gives one of the kind.
    fn of_name(name: &str) -> Option<Self> {
        if name.ends_with("_SERVICE_HOST") {
            return Some(Self::Host);
        }
        if name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
            return Some(Self::Port);
        }
        if name.ends_with("_PORT") && !Self::is_of_numbered_port(name.strip_suffix("_PORT")?) {
            return Some(Self::Url);
        }
        let parts = [
            ("", Self::Url),
            ("_PROTO", Self::Protocol),
            ("_PORT", Self::Port),
            ("_ADDR", Self::Host),
        ];
        parts.into_iter().find_map(|(end, form)| {
            name.strip_suffix(end).filter(|name| Self::is_of_numbered_port(name)).map(|_| form)
        })
    }

    /// `…_PORT_9031_TCP`
    fn is_of_numbered_port(name: &str) -> bool {
        name.rsplit_once("_PORT_").and_then(|(_, port)| port.split_once('_')).is_some_and(
            |(port, protocol)| {
                port.parse::<u16>().is_ok()
                    && PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol))
            },
        )
    }

    fn fits(self, value: &str) -> bool {
        match self {
            Self::Host => value.parse::<IpAddr>().is_ok(),
            Self::Port => value.parse::<u16>().is_ok(),
            Self::Protocol => PROTOCOLS.contains(&value),
            Self::Url => value.split_once("://").is_some_and(|(protocol, address)| {
                let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                PROTOCOLS.contains(&protocol) && matches!(port, Some(Ok(_)))
            }),
        }
    }
}

/// Whether a variable is called as one that Kubernetes sets for a service.
pub(super) fn is_named_as_service_link(name: &str) -> bool {
    Form::of_name(name).is_some()
}

/// Whether a variable is one that Kubernetes sets for a service.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    Form::of_name(name).is_some_and(|form| form.fits(value))
}

/// The process environment, as far as it is ours.
pub(super) fn of_process() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            // A value that is not UTF-8 is kept, mangled, so that it is refused and not ignored.
            is_override(&name).then(|| (name, value.to_string_lossy().into_owned()))
        })
        .collect()
}
