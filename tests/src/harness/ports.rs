//! Ports that nothing else takes while a node is down.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::ops::{Deref, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::RngExt;

/// Where to look when the system does not say which ports it hands out.
const DEFAULT_EPHEMERAL_START: u16 = 32_768;
const LOWEST: u16 = 10_000;

/// What clusters of this process have, whether a node listens there just now or not.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

fn taken() -> MutexGuard<'static, BTreeSet<u16>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Some ports of 127.0.0.1, which nobody else in this process is given until it is dropped.
#[derive(Debug, Default)]
pub struct Ports(Vec<u16>);

impl Deref for Ports {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        &self.0
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut taken = taken();
        self.0.iter().for_each(|port| {
            taken.remove(port);
        });
    }
}

/// Picks `count` ports of 127.0.0.1 on which nobody listens.
///
/// They lie below those that the system gives to outgoing connections: a port from there can be
/// taken by any connection while its node is restarted, and a dialler that knocks on it again and
/// again may even be connected to itself.
///
/// # Errors
/// When there are none.
pub fn free_ports(count: usize) -> anyhow::Result<Ports> {
    let range = LOWEST..ephemeral_start();
    let mut ports = Ports::default();
    let mut held = Vec::with_capacity(count);
    for _attempt in 0..count * 1000 {
        if held.len() == count {
            break;
        }
        let port = rand::rng().random_range(Range::clone(&range));
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port))
            && taken().insert(port)
        {
            ports.0.push(port);
            held.push(listener);
        }
    }
    anyhow::ensure!(held.len() == count, "no {count} free ports in {range:?}");
    Ok(ports)
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
        let ports = free_ports(9).expect("free ports");
        assert!(ports.iter().all(|port| *port < ephemeral_start()));
        let distinct: BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), 9);
    }

    /// A node that is down does not listen: another cluster might be given its port.
    #[test]
    fn ports_are_kept_for_whom_they_were_given_to_until_it_is_gone() {
        let ports = free_ports(9).expect("free ports");
        let numbers: Vec<u16> = ports.to_vec();
        assert!(numbers.iter().all(|port| taken().contains(port)));
        drop(ports);
        let others = taken().clone();
        // Other tests of this process may have been given one meanwhile, hardly all.
        assert!(numbers.iter().any(|port| !others.contains(port)));
    }
}
