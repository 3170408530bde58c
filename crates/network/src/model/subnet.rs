//! Blocks of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

/// An address and how many of its bits name the network, written `10.0.0.0/24`. The rest of the bits may be set: see
/// [`Subnet::masked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    address: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// A block; `None` where the prefix is longer than the address.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= width(address)).then_some(Self { address, prefix })
    }

    /// The address as given.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits name the network.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Of IPv6.
    #[must_use]
    pub fn is_ipv6(self) -> bool {
        self.address.is_ipv6()
    }

    /// How many bits tell its addresses apart.
    #[must_use]
    pub fn host_bits(self) -> u8 {
        width(self.address) - self.prefix
    }

    /// The same block by its first address.
    #[must_use]
    pub fn masked(self) -> Self {
        Self { address: self.at(0), prefix: self.prefix }
    }

    /// The address at a place; 0 is the first one. Bits that do not fit are ignored.
    #[must_use]
    pub fn at(self, place: u128) -> IpAddr {
        let mask = host_mask(self.host_bits());
        with_bits(self.address, bits(self.address) & !mask | place & mask)
    }

    /// The last address.
    #[must_use]
    pub fn last(self) -> IpAddr {
        self.at(u128::MAX)
    }

    /// At which place an address of this block is.
    #[must_use]
    pub fn place(self, address: IpAddr) -> Option<u128> {
        self.contains(address).then(|| bits(address) & host_mask(self.host_bits()))
    }

    /// Whether an address is in the block.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let mask = !host_mask(self.host_bits());
        address.is_ipv4() == self.address.is_ipv4() && bits(address) & mask == bits(self.address) & mask
    }

    /// Whether two blocks have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.at(0)) || other.contains(self.at(0))
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address of the same family with other bits.
fn with_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4((bits as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(bits.into()),
    }
}

fn host_mask(bits: u8) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(bits)).unwrap_or_default()
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(format!("invalid CIDR address: {text}"));
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let digits = !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let address = address.parse().map_err(|_| refuse())?;
        let prefix = prefix.parse().ok().filter(|_| digits).ok_or_else(refuse)?;
        Self::new(address, prefix).ok_or_else(refuse)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn notations() {
        assert_eq!(subnet("10.1.2.3/8").masked().to_string(), "10.0.0.0/8");
        assert_eq!(subnet("fd00::1/64").masked().to_string(), "fd00::/64");
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "x/8", "fd00::/129", "10.0.0/8"] {
            assert_eq!(bad.parse::<Subnet>().unwrap_err().to_string(), format!("invalid CIDR address: {bad}"));
        }
    }

    #[test]
    fn places_in_a_block() {
        let block = subnet("172.20.0.0/28");
        assert_eq!((block.at(1), block.last()), (address("172.20.0.1"), address("172.20.0.15")));
        assert_eq!((block.place(address("172.20.0.9")), block.place(address("172.20.0.16"))), (Some(9), None));
        assert_eq!(subnet("10.0.0.7/32").last(), address("10.0.0.7"));
        assert_eq!(subnet("0.0.0.0/0").last(), address("255.255.255.255"));
        assert_eq!(subnet("::/0").last(), address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn blocks_of_two_families_have_nothing_in_common() {
        assert!(
            subnet("10.0.0.0/8").overlaps(subnet("10.9.0.0/16"))
                && subnet("10.9.0.0/16").overlaps(subnet("10.0.0.0/8"))
        );
        assert!(!subnet("10.0.0.0/16").overlaps(subnet("10.1.0.0/16")));
        assert!(!subnet("0.0.0.0/0").overlaps(subnet("::/0")) && !subnet("::/0").contains(address("1.2.3.4")));
    }
}
