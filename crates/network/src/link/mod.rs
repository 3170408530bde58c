//! Links, addresses and routes of one network namespace (rtnetlink(7)).

mod announce;
mod change;
mod parent;
mod read;

use std::net::IpAddr;

use dhow_errdefs::Result;

use crate::model::{Mac, Subnet};
use crate::netlink::{Attributes, Family, Socket, string};

pub(crate) use announce::announce;
pub(crate) use change::{Bridge, Macvlan, Settings, Veth};

/// Message types.
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const DELETE_NEIGHBOUR: u16 = 29;
const NEW_RULE: u16 = 32;
const DELETE_RULE: u16 = 33;

/// `AF_INET`, `AF_BRIDGE`, `AF_INET6`.
const INET: u8 = 2;
const BRIDGE: u8 = 7;
const INET6: u8 = 10;

/// The group of news about links, as a bit.
pub(crate) const NEWS: u32 = 1;

/// `IFF_UP`.
const UP: u32 = 1;

/// `BR_STATE_DISABLED`: a bridge lets nothing through that port.
const DISABLED: u8 = 0;

/// Numbers of a link's attributes (linux/if_link.h).
mod ifla {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const PARENT: u16 = 5;
    pub(super) const MASTER: u16 = 10;
    pub(super) const OPERATION: u16 = 16;
    /// `IFLA_PROTINFO`, for a port of a bridge.
    pub(super) const PROTOCOL_INFO: u16 = 12;
    pub(super) const INFO: u16 = 18;
    pub(super) const ALIAS: u16 = 20;
    pub(super) const FAMILIES: u16 = 26;
    pub(super) const NAMESPACE: u16 = 28;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const INFO_DATA: u16 = 2;
    pub(super) const INFO_PORT_KIND: u16 = 4;
    pub(super) const INFO_PORT: u16 = 5;
    pub(super) const VETH_PEER: u16 = 1;
    pub(super) const PORT_STATE: u16 = 1;
    pub(super) const PORT_HAIRPIN: u16 = 4;
    pub(super) const PORT_ISOLATED: u16 = 33;
    pub(super) const MACVLAN_MODE: u16 = 1;
    pub(super) const VLAN_NUMBER: u16 = 1;
    pub(super) const ADDRESS_MODE: u16 = 8;
}

/// A link as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub alias: String,
    pub mac: Option<Mac>,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    pub up: bool,
    /// Packets pass: it is up, so is what it is connected to, and a bridge that it is a port of has taken note of that.
    pub operational: bool,
    /// It is a bridge.
    pub bridge: bool,
    pub mtu: u32,
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkAddress {
    pub index: u32,
    pub subnet: Subnet,
}

/// The links of the namespace in which this was opened.
#[derive(Debug)]
pub(crate) struct Links(Socket);

impl Links {
    /// Those of the calling thread's namespace.
    pub(crate) fn open() -> Result<Self> {
        Socket::open(Family::Route).map(Self)
    }
}

/// The fixed part of a message about a link (`struct ifinfomsg`): its number, or 0 where a name is given, and whether it
/// is to be up.
fn link_header(family: u8, index: u32, up: bool) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        header[8..12].copy_from_slice(&UP.to_ne_bytes());
        header[12..16].copy_from_slice(&UP.to_ne_bytes());
    }
    header
}

/// Whether news about links are that one of ours is gone, or no port of its bridge any more.
pub(crate) fn gone(kind: u16, payload: &[u8], is_ours: impl Fn(&str) -> bool) -> bool {
    let name = || Attributes(payload.get(16..).unwrap_or_default()).get(ifla::NAME).map(string);
    kind == 0 || kind == DELETE_LINK && name().is_some_and(|name| is_ours(&name))
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv6() { INET6 } else { INET }
}
