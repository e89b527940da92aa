//! Table `[web]`: which web pages may use an entry.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::error::ConfigError;
use super::read::{Source, TableReader};
use super::value::Value;

/// Table `[web]`, for entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Web {
    /// `allowed-origins`: where web pages come from that may use `/ws` and the HTTP interface,
    /// beside the entry's own host. Default none.
    pub allowed_origins: AllowedOrigins,
    /// `allowed-hosts`: names that clients and web pages know the entry by, beside `localhost` and
    /// addresses. Default none.
    pub allowed_hosts: AllowedHosts,
    /// `trusted-proxies`: addresses and networks of proxies that are believed when they say where a
    /// request came from. Default none.
    pub trusted_proxies: TrustedProxies,
    /// `client-address-header`: in which header they say so. Default `x-forwarded-for`.
    pub client_address_header: ClientAddressHeader,
}

/// Networks of addresses: `10.0.0.0/8`, `192.0.2.7`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Vec<IpNet>);

/// Where a proxy says whose request it is. Only one is believed: proxies let the other one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl TrustedProxies {
    /// The networks of texts, or the text that is none. All addresses at once are none.
    fn parse(texts: &[String]) -> Result<Self, String> {
        let network = |text: &String| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            let network = text.parse::<IpNet>().or_else(|_none| address());
            network.ok().filter(|network| network.prefix_len() > 0).ok_or_else(|| text.clone())
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl Value for ClientAddressHeader {
    const FORM: &'static str = "\"x-forwarded-for\" or \"forwarded\"";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Some(Self::XForwardedFor),
            "forwarded" => Some(Self::Forwarded),
            _ => None,
        }
    }
}

/// Names of hosts, without ports: `broker.example`, `entry1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// `*`: any.
    Any,
    /// These, in lower case.
    Listed(Vec<String>),
}

/// A text that is no name of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a host: write one such as `broker.example`, without a port")]
pub struct ParseHostError(String);

impl Default for AllowedHosts {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl AllowedHosts {
    fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ParseHostError> {
        let mut listed = Vec::new();
        let mut is_any = false;
        for text in texts {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if text == "*" {
                is_any = true;
            } else if !text.is_empty() && text.bytes().all(is_name) {
                listed.push(text.trim_end_matches('.').to_ascii_lowercase());
            } else {
                return Err(ParseHostError(text.to_owned()));
            }
        }
        Ok(if is_any { Self::Any } else { Self::Listed(listed) })
    }
}

impl FromStr for AllowedHosts {
    type Err = ParseHostError;

    /// Reads names with commas between them; no text is no name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.split(',').map(str::trim).filter(|host| !host.is_empty()))
    }
}

/// Origins of web pages, RFC 6454: `https://app.example`, `http://localhost:5173`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// `*`: web pages from everywhere.
    Any,
    /// These, in lower case. They are compared as a whole.
    Listed(Vec<String>),
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin: write one such as `https://app.example` or `http://localhost:5173`")]
pub struct ParseOriginError(String);

impl Default for AllowedOrigins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl AllowedOrigins {
    fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ParseOriginError> {
        let mut listed = Vec::new();
        let mut is_any = false;
        for text in texts {
            if text == "*" {
                is_any = true;
            } else if is_origin(text) {
                listed.push(text.to_ascii_lowercase());
            } else {
                return Err(ParseOriginError(text.to_owned()));
            }
        }
        Ok(if is_any { Self::Any } else { Self::Listed(listed) })
    }
}

impl FromStr for AllowedOrigins {
    type Err = ParseOriginError;

    /// Reads origins with commas between them; no text is no origin.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.split(',').map(str::trim).filter(|origin| !origin.is_empty()))
    }
}

/// `scheme://host` or `scheme://host:port`, as browsers write it: no path, not even `/`.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    // Brackets and colons are those of IPv6 addresses and ports.
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !scheme.is_empty()
        && scheme.bytes().all(is_scheme)
        && !host.is_empty()
        && host.bytes().all(is_host)
}

/// A list of texts in the file; with commas between them in the environment.
struct Texts(Vec<String>);

impl Value for Texts {
    const FORM: &'static str = "a list of texts such as [\"https://app.example\"], or [\"*\"]";

    fn from_text(text: &str) -> Option<Self> {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        Some(Self(texts.map(str::to_owned).collect()))
    }

    fn from_file(value: &toml::Value) -> Option<Self> {
        let text = |element: &toml::Value| element.as_str().map(str::to_owned);
        value.as_array()?.iter().map(text).collect::<Option<_>>().map(Self)
    }
}

impl Web {
    pub(super) const KEYS: &'static [&'static str] =
        &["allowed-origins", "allowed-hosts", "trusted-proxies", "client-address-header"];

    /// Takes what the table sets and leaves the rest at its default.
    pub(super) fn read(
        source: Source<'_>,
        mut table: TableReader<'_>,
    ) -> Result<Self, ConfigError> {
        let mut texts = |key: &str| -> Result<_, ConfigError> {
            let place = table.place(key);
            Ok(table.optional(key)?.map(|Texts(texts)| (place, texts)))
        };
        let mut web = Self::default();
        if let Some((place, texts)) = texts("allowed-origins")? {
            let parsed = AllowedOrigins::parse(texts.iter().map(String::as_str));
            web.allowed_origins = parsed.map_err(|error| {
                let fix =
                    "set it to a list of origins such as [\"https://app.example\"], or [\"*\"]";
                source.refuse(place, format!("cannot use `{}`", error.0), fix)
            })?;
        }
        if let Some((place, texts)) = texts("allowed-hosts")? {
            let parsed = AllowedHosts::parse(texts.iter().map(String::as_str));
            web.allowed_hosts = parsed.map_err(|error| {
                let fix = "set it to a list of names such as [\"broker.example\"], without ports, or [\"*\"]";
                source.refuse(place, format!("cannot use `{}`", error.0), fix)
            })?;
        }
        if let Some((place, texts)) = texts("trusted-proxies")? {
            web.trusted_proxies = TrustedProxies::parse(&texts).map_err(|text| {
                let fix = "set it to a list of addresses and networks such as [\"10.0.0.0/8\"]; not \
                           all addresses, since anybody could say then who it is";
                source.refuse(place, format!("cannot use `{text}`"), fix)
            })?;
        }
        web.client_address_header = table.optional("client-address-header")?.unwrap_or_default();
        Ok(web)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn read(text: &str, env: &[(&str, &str)]) -> Result<AllowedOrigins, String> {
        let env: BTreeMap<_, _> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let source = Source { file: Path::new("vixen.toml"), env: &env };
        let table = toml::from_str(text).expect("TOML");
        TableReader::open(source, "web".to_owned(), Web::KEYS, table)
            .and_then(|table| Web::read(source, table))
            .map(|web| web.allowed_origins)
            .map_err(|error| error.to_string())
    }

    fn listed(origins: &[&str]) -> Result<AllowedOrigins, String> {
        Ok(AllowedOrigins::Listed(origins.iter().map(|origin| (*origin).to_owned()).collect()))
    }

    #[test]
    fn origins_are_a_list_and_none_by_default() {
        assert_eq!(read("", &[]), listed(&[]));
        assert_eq!(read("allowed-origins = []", &[]), listed(&[]));
        let two = r#"allowed-origins = ["https://App.example", "http://[::1]:5173"]"#;
        assert_eq!(read(two, &[]), listed(&["https://app.example", "http://[::1]:5173"]));
        let any = r#"allowed-origins = ["https://app.example", "*"]"#;
        assert_eq!(read(any, &[]), Ok(AllowedOrigins::Any));
    }

    #[test]
    fn the_environment_has_commas() {
        let from =
            |value| read(r#"allowed-origins = ["*"]"#, &[("VIXEN_WEB_ALLOWED_ORIGINS", value)]);
        assert_eq!(from("http://a:1, http://b"), listed(&["http://a:1", "http://b"]));
        assert_eq!(from(""), listed(&[]));
        assert_eq!("*".parse(), Ok(AllowedOrigins::Any));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_key_and_fix() {
        for bad in
            ["app.example", "https://app.example/", "https://", "://a", "https://a b", "null"]
        {
            let error = read(&format!("allowed-origins = [{bad:?}]"), &[]).expect_err(bad);
            let problem =
                format!("vixen.toml: web.allowed-origins: cannot use `{bad}`; set it to a list");
            assert!(error.starts_with(&problem), "{error}");
            assert!(bad.parse::<AllowedOrigins>().is_err(), "{bad}");
        }
        for bad in ["\"*\"", "[1]", "true"] {
            let error = read(&format!("allowed-origins = {bad}"), &[]).expect_err(bad);
            assert!(error.contains("set it to a list of texts such as"), "{error}");
        }
    }

    #[test]
    fn hosts_are_names_without_ports() {
        let read = |text: &str| -> Result<AllowedHosts, String> {
            let env = BTreeMap::new();
            let source = Source { file: Path::new("vixen.toml"), env: &env };
            let table = toml::from_str(text).expect("TOML");
            TableReader::open(source, "web".to_owned(), Web::KEYS, table)
                .and_then(|table| Web::read(source, table))
                .map(|web| web.allowed_hosts)
                .map_err(|error| error.to_string())
        };
        let listed = AllowedHosts::Listed(vec!["broker.example".to_owned(), "entry1".to_owned()]);
        assert_eq!(read(r#"allowed-hosts = ["Broker.example.", "entry1"]"#), Ok(listed.clone()));
        assert_eq!("broker.example, entry1".parse(), Ok(listed));
        assert_eq!(read(r#"allowed-hosts = ["*"]"#), Ok(AllowedHosts::Any));
        for bad in ["broker.example:9031", "http://broker.example", "[::1]", "a b", ""] {
            let error = read(&format!("allowed-hosts = [{bad:?}]")).expect_err(bad);
            let problem =
                format!("web.allowed-hosts: cannot use `{bad}`; set it to a list of names");
            assert!(error.contains(&problem), "{error}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks_and_never_everybody() {
        let read = |text: &str| -> Result<Web, String> {
            let env = BTreeMap::new();
            let source = Source { file: Path::new("vixen.toml"), env: &env };
            let table = toml::from_str(text).expect("TOML");
            TableReader::open(source, "web".to_owned(), Web::KEYS, table)
                .and_then(|table| Web::read(source, table))
                .map_err(|error| error.to_string())
        };
        let two =
            "trusted-proxies = [\"10.0.0.0/8\", \"::1\"]\nclient-address-header = \"Forwarded\"";
        let web = read(two).expect("good");
        assert_eq!(web.trusted_proxies.0.len(), 2);
        assert_eq!(web.client_address_header, ClientAddressHeader::Forwarded);
        assert_eq!(read("").expect("good"), Web::default());
        for bad in ["0.0.0.0/0", "::/0", "proxy.example", "10.0.0.0/33"] {
            let error = read(&format!("trusted-proxies = [{bad:?}]")).expect_err(bad);
            assert!(error.contains(&format!("web.trusted-proxies: cannot use `{bad}`")), "{error}");
        }
        assert!(read("client-address-header = \"x-real-ip\"").is_err());
    }
}
