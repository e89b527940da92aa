//! Where to listen, and where to dial, as people write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::value::{Address, Value as _};

/// Reads where to listen: an IP address and a port. `localhost` is 127.0.0.1.
///
/// # Errors
/// What is wrong, with an example that is not.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    Err(hint(text).unwrap_or_else(|| {
        "write an IP address and a port, such as 127.0.0.1:9031 for this machine alone, or \
         0.0.0.0:9031 for all networks"
            .to_owned()
    }))
}

/// Reads where others dial: a host, which may be a name, and a port.
///
/// # Errors
/// What is wrong, with an example that is not.
pub fn parse_address(text: &str) -> Result<String, String> {
    let read = Address::from_text(text).map(|Address(address)| address);
    read.ok_or_else(|| Address::hint(text).unwrap_or_else(|| format!("not {}", Address::FORM)))
}

/// What somebody has left out who wrote `text` for an IP address and a port.
pub(super) fn hint(text: &str) -> Option<String> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Some(format!(
            "a port needs an address: 127.0.0.1:{port} is for this machine alone, 0.0.0.0:{port} \
             for all networks"
        ));
    }
    if text.contains('%') {
        return Some("zones (`%eth0`) cannot be used: write an address that needs none".to_owned());
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = SocketAddr::new(ip, 9031);
        // `::1:9041` is an address as well: 0:0:0:0:0:0:1:9041.
        let meant = text.rsplit_once(':').and_then(|(host, port)| {
            let host: Ipv6Addr = host.parse().ok()?;
            Some(SocketAddr::new(host.into(), port.parse().ok()?))
        });
        return Some(match meant {
            Some(meant) => format!("an IPv6 address goes into brackets: {meant}"),
            None => format!("there is no port: write, for example, {address}"),
        });
    }
    let (host, port) = text.rsplit_once(':')?;
    if let (Ok(host), Ok(port)) = (host.parse::<Ipv6Addr>(), port.parse::<u16>()) {
        let address = SocketAddr::new(host.into(), port);
        return Some(format!("an IPv6 address goes into brackets: {address}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_understood() {
        for (text, address) in [
            ("127.0.0.1:25001", "127.0.0.1:25001"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:9041", "[::1]:9041"),
            ("localhost:25001", "127.0.0.1:25001"),
        ] {
            assert_eq!(parse_listen(text).map(|found| found.to_string()), Ok(address.to_owned()));
        }
    }

    #[test]
    fn what_is_not_understood_is_answered_with_an_example() {
        for (text, words) in [
            ("25001", "127.0.0.1:25001 is for this machine alone, 0.0.0.0:25001"),
            (":25001", "0.0.0.0:25001 for all networks"),
            ("::1:9041", "brackets: [::1]:9041"),
            ("fe80::1:9041", "brackets: [fe80::1]:9041"),
            ("1:2:3:4:5:6:7:8:9041", "brackets: [1:2:3:4:5:6:7:8]:9041"),
            ("[fe80::1%eth0]:9041", "zones"),
            ("fe80::1%eth0", "zones"),
            ("127.0.0.1", "there is no port: write, for example, 127.0.0.1:9031"),
            ("[::1]", "there is no port: write, for example, [::1]:9031"),
            ("host.example:9031", "an IP address and a port, such as"),
            ("localhost", "an IP address and a port, such as"),
            ("127.0.0.1:70000", "an IP address and a port, such as"),
            ("", "an IP address and a port, such as"),
        ] {
            let answer = parse_listen(text).expect_err(text);
            assert!(answer.contains(words), "{text}: {answer}");
        }
    }

    #[test]
    fn where_others_dial_is_a_host_and_a_port() {
        for (text, address) in [("E1.example:9061", "e1.example:9061"), ("[::1]:1", "[::1]:1")] {
            assert_eq!(parse_address(text), Ok(address.to_owned()));
        }
        for (text, words) in [
            ("9061", "others dial it, so it needs a host"),
            ("e1", "a host and port such as"),
            ("e1:0", "a host and port such as"),
            ("0.0.0.0:9061", "a host and port such as"),
            ("::1:9061", "brackets: [::1]:9061"),
        ] {
            let answer = parse_address(text).expect_err(text);
            assert!(answer.contains(words), "{text}: {answer}");
        }
    }
}
