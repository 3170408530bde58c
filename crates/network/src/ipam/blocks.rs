//! Blocks for networks that name none.

use std::net::{IpAddr, Ipv4Addr};

use dhow_errdefs::{Error, Result};

use crate::model::Subnet;

/// Where blocks of one size are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPool {
    /// All of it.
    pub base: Subnet,
    /// How many bits name one of its blocks.
    pub size: u8,
}

impl BlockPool {
    fn blocks(self) -> impl Iterator<Item = Subnet> {
        let count = 1_u128 << self.size.saturating_sub(self.base.prefix()).min(24);
        let step = 1_u128 << self.base.host_bits().saturating_sub(self.size - self.base.prefix());
        (0..count).filter_map(move |number| Subnet::new(self.base.at(number * step), self.size))
    }
}

/// Base and size of the pools where nobody says otherwise: Docker's ranges in smaller pieces, so that they last for
/// thousands of networks and leave most of the private addresses alone; then one that few others use.
pub const DEFAULT_POOLS: [([u8; 4], u8, u8); 3] =
    [([172, 17, 0, 0], 16, 24), ([172, 18, 0, 0], 15, 24), ([192, 168, 0, 0], 16, 25)];

/// Those pools.
#[must_use]
pub fn default_pools() -> Vec<BlockPool> {
    let pool = |(address, prefix, size): ([u8; 4], u8, u8)| {
        let base = Subnet::new(IpAddr::V4(Ipv4Addr::from(address)), prefix)?;
        Some(BlockPool { base, size })
    };
    DEFAULT_POOLS.into_iter().filter_map(pool).collect()
}

/// The pool of an engine's own for IPv6, made of the hexadecimal digits by which it is told apart (RFC 4193).
#[must_use]
pub fn private_ipv6(engine: &str) -> Option<BlockPool> {
    let number = u128::from_str_radix(engine, 16).ok()? & 0xff_ffff_ffff;
    let address = std::net::Ipv6Addr::from_bits(0xfd << 120 | number << 80);
    Some(BlockPool { base: Subnet::new(IpAddr::V6(address), 48)?, size: 64 })
}

/// The first block of a family that has nothing in common with what is taken: other networks, the host's routes.
///
/// # Errors
/// `ResourceExhausted`.
pub fn free_block(pools: &[BlockPool], ipv6: bool, taken: &[Subnet]) -> Result<Subnet> {
    let candidates = pools.iter().filter(|pool| pool.base.is_ipv6() == ipv6).flat_map(|pool| pool.blocks());
    let free = |block: &Subnet| !taken.iter().any(|other| block.overlaps(*other));
    { candidates }.find(free).ok_or_else(|| {
        Error::exhausted("all predefined address pools have been fully subnetted")
            .with_hint("name a block with --subnet, or give the engine more with default-address-pools")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(texts: &[&str]) -> Vec<Subnet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn blocks_avoid_what_is_taken_until_there_are_none() {
        let pools = [BlockPool { base: "10.1.0.0/22".parse().unwrap(), size: 24 }];
        let mut taken = subnets(&["10.1.0.128/25", "10.1.2.0/24"]);
        for expected in ["10.1.1.0/24", "10.1.3.0/24"] {
            let block = free_block(&pools, false, &taken).unwrap();
            assert_eq!(block.to_string(), expected);
            taken.push(block);
        }
        let error = free_block(&pools, false, &taken).unwrap_err();
        assert_eq!(error.class(), dhow_errdefs::Class::ResourceExhausted);
        assert!(free_block(&pools, true, &[]).is_err(), "no block of IPv6 out of a pool of IPv4");
    }

    #[test]
    fn every_engine_has_blocks_of_ipv6_of_its_own() {
        let pools: Vec<BlockPool> = private_ipv6("00c0ffee").into_iter().collect();
        let first = free_block(&pools, true, &[]).unwrap();
        assert_eq!(first.to_string(), "fd00:c0:ffee::/64");
        assert_eq!(free_block(&pools, true, &[first]).unwrap().to_string(), "fd00:c0:ffee:1::/64");
    }

    #[test]
    fn three_hundred_networks_fit_beside_a_greedy_host() {
        let mut taken = subnets(&["10.0.0.0/8", "172.16.0.0/12"]);
        for _ in 0..300 {
            taken.push(free_block(&default_pools(), false, &taken).unwrap());
        }
    }
}
