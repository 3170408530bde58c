//! Who has which address: blocks for networks, addresses for endpoints.

mod addresses;
mod blocks;

pub use addresses::AddressUsage;
pub(crate) use addresses::Addresses;
pub use blocks::{BlockPool, DEFAULT_POOLS, default_pools, free_block, private_ipv6};
