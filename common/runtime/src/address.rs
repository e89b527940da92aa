//! Addresses of clients, as wide as they are counted.
//!
//! Whoever has one address of an IPv6 network of 64 bits has all of them (RFC 6177 §2: no site gets
//! less), and a site may have 65 536 such networks. So everything that is bounded by address is
//! counted twice: by [`AddressBlock`], and by [`WideBlock`] with a larger bound.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use vixen_core::access::SITE_SHARES;

/// Bits of an IPv6 address that tell one client from another.
const BLOCK_BITS: u8 = 64;
/// Bits of an IPv6 address that tell one site from another: what providers give at most (RFC 6177).
const WIDE_BITS: u8 = 48;

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressBlock(IpNet);

/// What counts as one site: an IPv4 address, or an IPv6 network of 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WideBlock(IpNet);

impl AddressBlock {
    /// The block of an address. An IPv4 address that is dressed as an IPv6 one is an IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(network(address.to_canonical(), BLOCK_BITS))
    }

    /// Its first address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.0.addr()
    }

    /// Whether it is a site by itself.
    #[must_use]
    pub const fn is_site(self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// The site that it is of.
    #[must_use]
    pub fn wide(self) -> WideBlock {
        WideBlock(network(self.0.addr(), WIDE_BITS))
    }
}

impl WideBlock {
    /// A site may have so many times as much of anything as a client.
    pub const SHARES: usize = SITE_SHARES;

    /// What a site may have of a whole of which an address may have `share`: as many shares as elsewhere, and
    /// not more than half, nor less than one address. Who has a site has more addresses than shares make a whole.
    #[must_use]
    pub fn share_of(share: usize, whole: usize) -> usize {
        share.saturating_mul(Self::SHARES).min(share.max(whole / 2))
    }

    /// Its first address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.0.addr()
    }
}

impl From<IpAddr> for AddressBlock {
    fn from(address: IpAddr) -> Self {
        Self::of(address)
    }
}

/// The network of so many bits, if it is one of IPv6, or the address alone.
fn network(address: IpAddr, bits: u8) -> IpNet {
    let bits = if address.is_ipv4() { 32 } else { bits };
    // Longer than an address no network can be, and these are not.
    IpNet::new(address, bits).unwrap_or(IpNet::from(address)).trunc()
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, f)
    }
}

impl fmt::Display for WideBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, f)
    }
}

/// `10.0.0.1`, or `2001:db8:1:2::/64`.
fn show(network: IpNet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match network {
        IpNet::V4(network) => fmt::Display::fmt(&network.addr(), f),
        IpNet::V6(network) => fmt::Display::fmt(&network, f),
    }
}

/// How many of something there are of each block, and of each site: what is bounded by address.
#[derive(Debug, Default)]
pub struct AddressCounts {
    blocks: BTreeMap<AddressBlock, usize>,
    sites: BTreeMap<WideBlock, usize>,
}

/// As many are of this address, or of its site, as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFull;

impl AddressCounts {
    /// Counts one more of `block`.
    ///
    /// # Errors
    /// There are `max` of it already, or [`WideBlock::SHARES`] times as many of its site.
    pub fn take(&mut self, block: AddressBlock, max: usize) -> Result<(), AddressFull> {
        self.take_within(block, max, max.saturating_mul(WideBlock::SHARES))
    }

    /// As [`take`](Self::take), with `site_max` for a site.
    ///
    /// # Errors
    /// There are `max` of it already, or `site_max` of its site.
    pub fn take_within(
        &mut self,
        block: AddressBlock,
        max: usize,
        site_max: usize,
    ) -> Result<(), AddressFull> {
        let of_site = self.sites.get(&block.wide()).copied().unwrap_or(0);
        if self.of(block) >= max || of_site >= site_max {
            return Err(AddressFull);
        }
        *self.blocks.entry(block).or_default() += 1;
        *self.sites.entry(block.wide()).or_default() += 1;
        Ok(())
    }

    /// One of `block` is gone, which [`take`](Self::take) had counted.
    pub fn give_back(&mut self, block: AddressBlock) {
        one_less(&mut self.blocks, block);
        one_less(&mut self.sites, block.wide());
    }

    /// How many there are of `block`.
    #[must_use]
    pub fn of(&self, block: AddressBlock) -> usize {
        self.blocks.get(&block).copied().unwrap_or(0)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.sites.is_empty()
    }
}

fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> AddressBlock {
        AddressBlock::of(text.parse().expect("an address of the test"))
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_of_ipv4_is() {
        assert_eq!(block("2001:db8:1:2::1"), block("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
        assert_eq!(block("2001:db8:1:2::1").wide(), block("2001:db8:1:ffff::1").wide());
        assert_ne!(block("2001:db8:1:2::1").wide(), block("2001:db8:2:2::1").wide());
        assert_ne!(block("10.0.0.1"), block("10.0.0.2"));
        assert_ne!(block("10.0.0.1").wide(), block("10.0.0.2").wide());
        assert_eq!(block("::ffff:10.0.0.1"), block("10.0.0.1"), "dressed as IPv6");
    }

    #[test]
    fn blocks_are_shown_as_people_write_them() {
        let shown = |text| (block(text).to_string(), block(text).wide().to_string());
        assert_eq!(shown("::ffff:10.0.0.1"), ("10.0.0.1".to_owned(), "10.0.0.1".to_owned()));
        let both = ("2001:db8:1:2::/64".to_owned(), "2001:db8:1::/48".to_owned());
        assert_eq!(shown("2001:db8:1:2::9"), both);
    }

    #[test]
    fn places_are_counted_by_block_and_by_site() {
        let mut counts = AddressCounts::default();
        let mut taken = Vec::new();
        for network in 0..WideBlock::SHARES {
            for host in 1..=2 {
                let block = block(&format!("2001:db8:1:{network:x}::{host}"));
                counts.take(block, 2).expect("room");
                taken.push(block);
            }
            let again = block(&format!("2001:db8:1:{network:x}::3"));
            assert_eq!(counts.take(again, 2), Err(AddressFull), "the block is full");
        }
        assert_eq!(counts.take(block("2001:db8:1:ff::1"), 2), Err(AddressFull), "the site is");
        counts.take(block("2001:db8:2::1"), 2).expect("another site");
        counts.give_back(block("2001:db8:2::1"));
        counts.give_back(taken.remove(0));
        counts.take(block("2001:db8:1:ff::1"), 2).expect("there is room again");
        counts.give_back(block("2001:db8:1:ff::1"));
        taken.into_iter().for_each(|block| counts.give_back(block));
        assert!(counts.is_empty(), "nothing is kept of who is gone");
    }
}
