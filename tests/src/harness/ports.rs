//! Ports that nothing else takes while a node is down.

use std::net::TcpListener;
use std::ops::Range;

use rand::RngExt;

/// Where to look when the system does not say which ports it hands out.
const DEFAULT_EPHEMERAL_START: u16 = 32_768;
const LOWEST: u16 = 10_000;

/// Picks `count` ports of 127.0.0.1 on which nobody listens.
///
/// They lie below those that the system gives to outgoing connections: a port from there can be
/// taken by any connection while its node is restarted, and a dialler that knocks on it again and
/// again may even be connected to itself.
///
/// # Errors
/// When there are none.
pub fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let range = LOWEST..ephemeral_start();
    let mut held = Vec::with_capacity(count);
    for _attempt in 0..count * 1000 {
        if held.len() == count {
            break;
        }
        let port = rand::rng().random_range(Range::clone(&range));
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    anyhow::ensure!(held.len() == count, "no {count} free ports in {range:?}");
    Ok(held.into_iter().map(|(port, _listener)| port).collect())
}

fn ephemeral_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|start| *start > LOWEST + 1000)
        .unwrap_or(DEFAULT_EPHEMERAL_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_distinct_and_not_handed_out_by_the_system() {
        let mut ports = free_ports(9).expect("free ports");
        assert!(ports.iter().all(|port| *port < ephemeral_start()));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 9);
    }
}
