//! Slows down those who guess: counts failed logins by the address they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use vixen_common::address::AddressBlock;

/// When logins of an address are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// As many failures within `window` close the gate, at least 1.
    pub failures_max: u32,
    /// How long failures count, from the first one on, and how long the gate then stays closed,
    /// from the last one on.
    pub window: Duration,
    /// Addresses that are remembered, at least 1.
    pub addresses_max: usize,
}

impl FailureLimits {
    /// A good `addresses_max`: a few megabytes.
    pub const ADDRESSES_MAX: usize = 1 << 16;
}

/// The failed logins of each address. Time is given, and never goes back.
///
/// Asked before a CHALLENGE is sent, and again before its answer is checked: else many connections
/// that were opened at once would have a guess each. A login that succeeds forgives nothing, for a
/// guesser may have an account as well.
#[derive(Debug)]
pub struct FailureGate {
    limits: FailureLimits,
    peers: BTreeMap<AddressBlock, Peer>,
    /// The same, by when they are forgotten.
    by_end: BTreeSet<(Instant, AddressBlock)>,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    failures: u32,
    end: Instant,
}

impl FailureGate {
    /// A gate that is open for everyone.
    #[must_use]
    pub const fn new(limits: FailureLimits) -> Self {
        Self { limits, peers: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    /// How long logins of this address are still refused; `None` when they are not.
    #[must_use]
    pub fn closed_for(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let peer = self.peers.get(&AddressBlock::of(address))?;
        let is_closed = peer.failures >= self.limits.failures_max && peer.end > now;
        is_closed.then(|| peer.end.duration_since(now))
    }

    /// Counts a failed login, and returns whether it closed the gate.
    pub fn on_failure(&mut self, address: IpAddr, now: Instant) -> bool {
        self.forget_until(now);
        let network = AddressBlock::of(address);
        let end = now + self.limits.window;
        let (failures, end) = match self.peers.get(&network) {
            None => (1, end),
            Some(peer) => {
                let failures = peer.failures.saturating_add(1);
                let closes = failures >= self.limits.failures_max;
                (failures, if closes { end } else { peer.end })
            }
        };
        self.remove(network);
        if self.peers.len() >= self.limits.addresses_max
            && let Some(&(_, first)) = self.by_end.first()
        {
            self.remove(first);
        }
        self.peers.insert(network, Peer { failures, end });
        self.by_end.insert((end, network));
        self.check();
        failures == self.limits.failures_max
    }

    /// Addresses that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether no address is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    fn forget_until(&mut self, now: Instant) {
        while let Some(&(end, network)) = self.by_end.first().filter(|(end, _)| *end <= now) {
            self.by_end.remove(&(end, network));
            self.peers.remove(&network);
        }
    }

    fn remove(&mut self, network: AddressBlock) {
        if let Some(peer) = self.peers.remove(&network) {
            self.by_end.remove(&(peer.end, network));
        }
    }

    fn check(&self) {
        debug_assert_eq!(self.peers.len(), self.by_end.len());
        debug_assert!(self.peers.len() <= self.limits.addresses_max.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FailureLimits =
        FailureLimits { failures_max: 3, window: Duration::from_secs(60), addresses_max: 4 };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address of the test")
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn as_many_failures_close_the_gate_for_the_window() {
        let (mut gate, start, peer) =
            (FailureGate::new(LIMITS), Instant::now(), address("10.0.0.1"));
        assert_eq!(gate.closed_for(peer, start), None);
        assert!(!gate.on_failure(peer, start));
        assert!(!gate.on_failure(peer, start + seconds(10)));
        assert_eq!(gate.closed_for(peer, start + seconds(20)), None);
        assert!(gate.on_failure(peer, start + seconds(20)), "the third one closes it");
        assert_eq!(gate.closed_for(peer, start + seconds(30)), Some(seconds(50)));
        assert_eq!(gate.closed_for(address("10.0.0.2"), start + seconds(30)), None);
        assert_eq!(gate.closed_for(peer, start + seconds(80)), None);
        assert!(!gate.on_failure(peer, start + seconds(80)), "counting begins anew");
        assert_eq!(gate.len(), 1);
    }

    #[test]
    fn failures_at_a_closed_gate_keep_it_closed() {
        let (mut gate, start, peer) =
            (FailureGate::new(LIMITS), Instant::now(), address("10.0.0.1"));
        for n in 0..3 {
            gate.on_failure(peer, start + seconds(n));
        }
        assert!(!gate.on_failure(peer, start + seconds(50)), "closed already");
        assert_eq!(gate.closed_for(peer, start + seconds(50)), Some(seconds(60)));
    }

    #[test]
    fn failures_that_are_far_apart_are_forgiven() {
        let (mut gate, start, peer) =
            (FailureGate::new(LIMITS), Instant::now(), address("10.0.0.1"));
        for n in 0..100 {
            assert!(!gate.on_failure(peer, start + seconds(31 * n)));
            assert_eq!(gate.closed_for(peer, start + seconds(31 * n)), None);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_ipv4() {
        let (mut gate, now) = (FailureGate::new(LIMITS), Instant::now());
        for peer in ["2001:db8:1:2::1", "2001:db8:1:2::ffff", "2001:db8:1:2:3::"] {
            gate.on_failure(address(peer), now);
        }
        assert!(gate.closed_for(address("2001:db8:1:2:ffff::9"), now).is_some());
        assert!(gate.closed_for(address("2001:db8:1:3::1"), now).is_none());
        for _ in 0..3 {
            gate.on_failure(address("::ffff:10.0.0.1"), now);
        }
        assert!(gate.closed_for(address("10.0.0.1"), now).is_some());
        assert!(gate.closed_for(address("10.0.0.2"), now).is_none());
    }

    #[test]
    fn memory_is_bounded_and_the_first_to_end_goes_first() {
        let (mut gate, start) = (FailureGate::new(LIMITS), Instant::now());
        for _ in 0..3 {
            gate.on_failure(address("10.0.0.200"), start + seconds(40));
        }
        for n in 0..200 {
            let millis = Duration::from_millis(n);
            gate.on_failure(address(&format!("10.0.0.{n}")), start + millis);
            assert!(gate.len() <= 4);
        }
        assert!(gate.closed_for(address("10.0.0.200"), start + seconds(41)).is_some());
        gate.on_failure(address("10.0.1.1"), start + seconds(1000));
        assert_eq!(gate.len(), 1, "what has ended is forgotten");
        assert!(!gate.is_empty());
    }
}
