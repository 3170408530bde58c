//! Addresses of one network.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dhow_errdefs::{Error, Result};

use crate::model::IpamPool;

/// How many addresses of a pool there are for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressUsage {
    /// That nobody can get any more, because somebody has them or they are reserved; no more than a `u64` holds.
    pub in_use: u64,
    /// That are left for those who name none; no more than a `u64` holds.
    pub available: u64,
}

/// The addresses of a pool that somebody has.
///
/// The next one given out is behind the last one, so that an address that was given back rests as long as possible: who
/// still remembers its old owner talks to nobody rather than to somebody else.
#[derive(Debug)]
pub(crate) struct Addresses {
    pool: IpamPool,
    used: BTreeSet<u128>,
    next: u128,
}

impl Addresses {
    pub(crate) fn new(pool: IpamPool) -> Self {
        let subnet = pool.subnet;
        let mut used: BTreeSet<u128> =
            pool.gateway.iter().chain(pool.auxiliary.values()).filter_map(|address| subnet.place(*address)).collect();
        // The block's own address and its broadcast address, where it is large enough to have them.
        if subnet.host_bits() >= 2 {
            used.insert(0);
            used.extend(subnet.place(subnet.last()).filter(|_| !subnet.is_ipv6()));
        }
        let next = Self::first(&pool);
        Self { pool, used, next }
    }

    /// Takes this very address.
    pub(crate) fn take(&mut self, address: IpAddr) -> Result<()> {
        let place = self.pool.subnet.place(address).ok_or_else(|| {
            Error::invalid(format!("no configured subnet or ip-range contain the IP address {address}"))
        })?;
        if self.used.insert(place) {
            return Ok(());
        }
        Err(Error::conflict("Address already in use").with_hint(self.who_has(address)))
    }

    fn who_has(&self, address: IpAddr) -> String {
        let IpamPool { subnet, gateway, auxiliary, .. } = &self.pool;
        if *gateway == Some(address) {
            return format!("{address} is the gateway's");
        }
        if let Some((name, _)) = auxiliary.iter().find(|(_, kept)| **kept == address) {
            return format!("{address} is kept for {name}");
        }
        if [subnet.at(0), subnet.last()].contains(&address) {
            return format!("{address} stands for all of {subnet}");
        }
        format!("another endpoint has {address}")
    }

    /// Takes one that is free.
    pub(crate) fn take_any(&mut self) -> Result<IpAddr> {
        let (first, last) = (Self::first(&self.pool), self.last());
        let start = if (first..=last).contains(&self.next) { self.next } else { first };
        let free = (start..=last).chain(first..start).find(|place| !self.used.contains(place));
        let place = free.ok_or_else(|| {
            Error::exhausted(format!("no available IPv{} addresses on this network's address pools", self.version()))
                .with_hint(format!("{} is used up", self.pool.range.unwrap_or(self.pool.subnet)))
        })?;
        self.used.insert(place);
        self.next = place + 1;
        Ok(self.pool.subnet.at(place))
    }

    /// Gives one back.
    pub(crate) fn give_back(&mut self, address: IpAddr) {
        if let Some(place) = self.pool.subnet.place(address) {
            self.used.remove(&place);
        }
    }

    /// How many there are for whom.
    pub(crate) fn usage(&self) -> AddressUsage {
        let (first, last) = (Self::first(&self.pool), self.last());
        let taken = self.used.range(first..=last).count() as u128;
        let available = (last - first).saturating_add(1).saturating_sub(taken);
        AddressUsage { in_use: self.used.len() as u64, available: u64::try_from(available).unwrap_or(u64::MAX) }
    }

    fn first(pool: &IpamPool) -> u128 {
        pool.range.and_then(|range| pool.subnet.place(range.at(0))).unwrap_or_default()
    }

    fn last(&self) -> u128 {
        let last = self.pool.range.unwrap_or(self.pool.subnet).last();
        self.pool.subnet.place(last).unwrap_or_default()
    }

    fn version(&self) -> u8 {
        if self.pool.subnet.is_ipv6() { 6 } else { 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(subnet: &str, gateway: &str) -> Addresses {
        let gateway = Some(gateway.parse().unwrap());
        Addresses::new(IpamPool { gateway, ..IpamPool::of(subnet.parse().unwrap()) })
    }

    #[test]
    fn a_thousand_rounds_on_a_small_block() {
        let mut pool = addresses("10.0.0.0/28", "10.0.0.1");
        let mut before = None;
        for _ in 0..1000 {
            let address = pool.take_any().unwrap();
            assert_ne!(Some(address), before, "an address rests before it is given out again");
            pool.give_back(address);
            before = Some(address);
        }
        for _ in 0..13 {
            pool.take_any().unwrap();
        }
        let error = pool.take_any().unwrap_err();
        assert_eq!(error.to_string(), "no available IPv4 addresses on this network's address pools");
    }

    #[test]
    fn what_is_used_and_what_is_left_is_counted() {
        let mut pool = addresses("10.0.0.0/28", "10.0.0.1");
        assert_eq!(pool.usage(), AddressUsage { in_use: 3, available: 13 });
        pool.take_any().unwrap();
        assert_eq!(pool.usage(), AddressUsage { in_use: 4, available: 12 });
        let range = Some("fd00::10/126".parse().unwrap());
        let mut pool = Addresses::new(IpamPool { range, ..IpamPool::of("fd00::/64".parse().unwrap()) });
        let before = pool.usage();
        assert_eq!(before.available, 4);
        pool.take("fd00::99".parse().unwrap()).unwrap();
        assert_eq!(
            pool.usage(),
            AddressUsage { in_use: before.in_use + 1, available: 4 },
            "it is outside of the range"
        );
        assert_eq!(Addresses::new(IpamPool::of("fd00::/32".parse().unwrap())).usage().available, u64::MAX);
    }

    #[test]
    fn chosen_addresses_are_had_once_and_only_from_the_block() {
        let mut pool = addresses("10.0.0.0/24", "10.0.0.1");
        pool.take("10.0.0.77".parse().unwrap()).unwrap();
        for taken in ["10.0.0.77", "10.0.0.1", "10.0.0.0", "10.0.0.255"] {
            assert_eq!(pool.take(taken.parse().unwrap()).unwrap_err().to_string(), "Address already in use");
        }
        assert!(pool.take("10.0.1.1".parse().unwrap()).is_err());
    }

    #[test]
    fn a_range_bounds_what_is_given_out_but_not_what_is_chosen() {
        let subnet = "fd00::/64".parse().unwrap();
        let range = Some("fd00::10/126".parse().unwrap());
        let mut pool = Addresses::new(IpamPool { range, ..IpamPool::of(subnet) });
        let given: Vec<String> = std::iter::from_fn(|| pool.take_any().ok()).map(|given| given.to_string()).collect();
        assert_eq!(given, ["fd00::10", "fd00::11", "fd00::12", "fd00::13"]);
        pool.take("fd00::99".parse().unwrap()).unwrap();
    }
}
