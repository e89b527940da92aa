//! Proxies in front of a port, and whom they speak for.
//!
//! Source: RFC 7239, *Forwarded HTTP Extension*; `X-Forwarded-For` as nginx and haproxy write it.
//!
//! Each proxy writes behind what it got where its request came from. So the words are read from their
//! end: those of trusted proxies are believed, and the first address that is none of theirs is the
//! client. What stands before it the client may have written itself. Only one of the two headers is
//! looked at: the other one passes through proxies as it came.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::config::{ClientAddressHeader, Web};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// See the module. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    trusted: Arc<[IpNet]>,
    header: ClientAddressHeader,
}

impl Proxies {
    /// Those of a configuration.
    #[must_use]
    pub fn of(web: &Web) -> Self {
        Self { trusted: web.trusted_proxies.0.clone().into(), header: web.client_address_header }
    }

    /// Whether somebody there is believed.
    pub(crate) fn is_trusted(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Whose request it is that came from `peer`.
    pub(super) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if !self.is_trusted(peer) {
            return client;
        }
        for hop in self.hops(headers) {
            // Who is hidden, or written in no known way, is not known: the proxy stands for it.
            let Some(ip) = hop else { break };
            client = ip;
            if !self.is_trusted(ip) {
                break;
            }
        }
        client
    }

    /// Where requests came from, the last proxy's word first.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let name = match self.header {
            ClientAddressHeader::XForwardedFor => X_FORWARDED_FOR,
            ClientAddressHeader::Forwarded => header::FORWARDED,
        };
        let mut hops = Vec::new();
        for value in headers.get_all(name).iter().rev() {
            let Ok(text) = value.to_str() else {
                hops.push(None);
                continue;
            };
            hops.extend(split(text, ',').map(|element| match self.header {
                ClientAddressHeader::XForwardedFor => address(element),
                ClientAddressHeader::Forwarded => split(element, ';').find_map(for_of)?,
            }));
        }
        hops
    }
}

/// The parts between separators that are not quoted, the last one first. Quotes are counted from the
/// end as well: a client may have opened one that its proxy's word would be within. One that is escaped
/// is none: a proxy writes so what the client has called its host.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut end) = (false, text.len());
    let mut parts = Vec::new();
    for (index, letter) in text.char_indices().rev() {
        if letter == '"' {
            is_quoted ^= !is_escaped(&text[..index]);
        } else if letter == separator && !is_quoted {
            parts.push(&text[index + letter.len_utf8()..end]);
            end = index;
        }
    }
    parts.push(&text[..end]);
    parts.into_iter()
}

/// Whether what follows is escaped: after an odd number of backslashes.
fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// What a pair says that is `for=…`.
fn for_of(pair: &str) -> Option<Option<IpAddr>> {
    let (name, node) = pair.split_once('=')?;
    name.trim().eq_ignore_ascii_case("for").then(|| address(node.trim().trim_matches('"')))
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn proxies(header: ClientAddressHeader) -> Proxies {
        let network = |text: &str| text.parse::<IpNet>().expect("a network");
        Proxies { trusted: [network("10.0.0.0/8"), network("fd00::/8")].into(), header }
    }

    fn client(proxies: &Proxies, peer: &str, name: &'static str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).expect("a header"));
        }
        proxies.client_of(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn what_trusted_proxies_have_written_is_believed_from_its_end() {
        let proxies = proxies(ClientAddressHeader::XForwardedFor);
        let table: [(&str, &[&str], &str); 11] = [
            ("10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            // The client wrote the first one.
            ("10.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
            // Two proxies.
            ("fd00::1", &["198.51.100.1, 192.0.2.7, 10.0.0.9"], "192.0.2.7"),
            // Somebody inside.
            ("10.0.0.1", &["10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, who knows"], "10.0.0.1"),
            // Nobody that is believed.
            ("192.0.2.9", &["198.51.100.1"], "192.0.2.9"),
        ];
        for (peer, values, wanted) in table {
            assert_eq!(client(&proxies, peer, "x-forwarded-for", values), wanted, "{values:?}");
        }
        for written in ["\"", "198.51.100.1\"", "\"198.51.100.1, \"\""] {
            let values = [&*format!("{written}, 192.0.2.7")];
            let told = client(&proxies, "10.0.0.1", "x-forwarded-for", &values);
            assert_eq!(told, "192.0.2.7", "{written}");
        }
        let other = client(&proxies, "10.0.0.1", "forwarded", &["for=198.51.100.1"]);
        assert_eq!(other, "10.0.0.1", "it passed through a proxy that writes the other one");
        let nobody = Proxies::default();
        assert_eq!(client(&nobody, "10.0.0.1", "x-forwarded-for", &["192.0.2.7"]), "10.0.0.1");
    }

    /// A proxy writes its word behind that of the client, which need not be whole.
    #[test]
    fn a_quote_that_the_client_leaves_open_hides_no_word_of_its_proxy() {
        let proxies = proxies(ClientAddressHeader::Forwarded);
        for written in ["for=198.51.100.1;by=\"", "for=198.51.100.1;by=\"a\"b\"", "\"", "for=\""] {
            for (word, wanted) in [
                ("for=192.0.2.7;proto=https", "192.0.2.7"),
                ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
                ("for=_hidden", "10.0.0.1"),
            ] {
                let values = [&*format!("{written}, {word}")];
                let told = client(&proxies, "10.0.0.1", "forwarded", &values);
                assert_eq!(told, wanted, "{values:?}");
            }
        }
    }

    /// A proxy that tells the host writes the client's own word into a quoted text.
    #[test]
    fn a_quote_in_what_the_client_calls_its_host_ends_no_quoted_text() {
        let proxies = proxies(ClientAddressHeader::Forwarded);
        for host in [r#"a\",for=198.51.100.1;x=\""#, r#"\""#, r#"a\\\",for=198.51.100.1"#, r"a\\"] {
            let values = [&*format!("for=192.0.2.7;host=\"{host}\";proto=https")];
            assert_eq!(client(&proxies, "10.0.0.1", "forwarded", &values), "192.0.2.7", "{host}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        let proxies = proxies(ClientAddressHeader::Forwarded);
        let table: [(&[&str], &str); 8] = [
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=198.51.100.1, for=192.0.2.43"], "192.0.2.43"),
            (&["for=192.0.2.43, for=10.0.0.9;by=\"a,b;for=198.51.100.1\""], "192.0.2.43"),
            (&["proto=https; for=192.0.2.60"], "192.0.2.60"),
            (&["for=192.0.2.43, for=_hidden"], "10.0.0.1"),
            (&["for=unknown"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
        ];
        for (values, wanted) in table {
            assert_eq!(client(&proxies, "10.0.0.1", "forwarded", values), wanted, "{values:?}");
        }
    }
}
