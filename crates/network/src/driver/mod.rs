//! What makes networks of each kind true.

mod bridge;
mod macvlan;
pub(crate) mod sysctl;

pub(crate) use bridge::{Bridges, Raised, port_name, random_mac};
pub(crate) use macvlan::{attach as attach_macvlan, raise as raise_macvlan};
