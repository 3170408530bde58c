//! Making, changing and removing links.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::LazyLock;

use dhow_errdefs::{Class, Error, Result, ResultExt};

use super::{
    BRIDGE, DELETE_LINK, DELETE_RULE, DISABLED, INET, INET6, Links, NEW_ADDRESS, NEW_LINK, NEW_ROUTE, NEW_RULE,
    SET_LINK, family, ifla, link_header,
};
use crate::model::{Mac, MacvlanMode, Subnet};
use crate::netlink::{Batch, Message, flags};

/// No link-local address of IPv6 (`IN6_ADDR_GEN_MODE_NONE`).
const NO_ADDRESS: u8 = 1;

/// `IFA_F_NODAD`: nobody else can have an address that we gave out, so nobody waits for an objection.
const NO_DETECTION: u8 = 0x02;

/// A bridge that is to be made.
#[derive(Debug)]
pub(crate) struct Bridge<'a> {
    pub name: &'a str,
    pub alias: &'a str,
    /// Given, because a bridge without takes one of its ports', and another when that port goes.
    pub mac: Mac,
    pub mtu: Option<u32>,
    pub ipv6: bool,
}

/// A pair of links: a port of a bridge here, and its other end in another namespace.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    pub name: &'a str,
    pub bridge: u32,
    pub peer: &'a str,
    pub peer_mac: Mac,
    pub namespace: BorrowedFd<'a>,
    pub mtu: Option<u32>,
    /// Its neighbours on the bridge cannot reach it.
    pub isolated: bool,
}

/// A link with an address of its own on a link of the host.
#[derive(Debug)]
pub(crate) struct Macvlan<'a> {
    pub name: &'a str,
    pub parent: u32,
    pub mac: Mac,
    pub mode: MacvlanMode,
    pub namespace: BorrowedFd<'a>,
    pub mtu: Option<u32>,
}

impl Links {
    /// Makes a bridge and takes it up.
    pub(crate) fn make_bridge(&self, bridge: &Bridge<'_>) -> Result<()> {
        let mut batch = Batch::default();
        let create = flags::CREATE | flags::EXCLUSIVE;
        let mut message = batch.message("create the bridge", NEW_LINK, create, &link_header(0, 0, false));
        message.put_str(ifla::NAME, bridge.name).put(ifla::ADDRESS, &bridge.mac.0);
        if let Some(mtu) = bridge.mtu {
            message.put_u32(ifla::MTU, mtu);
        }
        message.nest(ifla::INFO, |info| {
            info.put_str(ifla::INFO_KIND, "bridge");
        });
        drop(message);
        // A link is not given an alias while it is made, nor a way to make up addresses.
        let mut message = batch.message("take the bridge up", NEW_LINK, 0, &link_header(0, 0, true));
        message.put_str(ifla::NAME, bridge.name).put_str(ifla::ALIAS, bridge.alias);
        link_local(&mut message, bridge.mtu, bridge.ipv6);
        drop(message);
        self.0.send(&batch).context(|| format!("network link {}", bridge.name))
    }

    /// Makes a pair of links. The near end is up.
    pub(crate) fn make_veth(&self, veth: &Veth<'_>) -> Result<()> {
        let mut batch = Batch::default();
        let create = flags::CREATE | flags::EXCLUSIVE;
        let mut message = batch.message("create the pair of links", NEW_LINK, create, &link_header(0, 0, false));
        message.put_str(ifla::NAME, veth.name).put_u32(ifla::MASTER, veth.bridge);
        if let Some(mtu) = veth.mtu {
            message.put_u32(ifla::MTU, mtu);
        }
        message.nest(ifla::INFO, |info| {
            info.put_str(ifla::INFO_KIND, "veth");
            info.nest(ifla::INFO_DATA, |data| {
                data.nest_after(ifla::VETH_PEER, &link_header(0, 0, false), |peer| {
                    peer.put_str(ifla::NAME, veth.peer).put(ifla::ADDRESS, &veth.peer_mac.0);
                    put_namespace(peer, veth.namespace);
                    if let Some(mtu) = veth.mtu {
                        peer.put_u32(ifla::MTU, mtu);
                    }
                });
            });
        });
        drop(message);
        let mut message = batch.message("take the link up", NEW_LINK, 0, &link_header(0, 0, true));
        message.put_str(ifla::NAME, veth.name);
        link_local(&mut message, veth.mtu, false);
        as_port(&mut message, veth.isolated);
        drop(message);
        self.0.send(&batch).context(|| format!("network link {}", veth.name))
    }

    /// Makes a link a port of a bridge again.
    pub(crate) fn enslave(&self, name: &str, bridge: u32, isolated: bool) -> Result<()> {
        let mut batch = Batch::default();
        for (step, up) in [("join the bridge", false), ("take the link up", true)] {
            let mut message = batch.message(step, NEW_LINK, 0, &link_header(0, 0, up));
            message.put_str(ifla::NAME, name).put_u32(ifla::MASTER, bridge);
            if up {
                as_port(&mut message, isolated);
            }
        }
        self.0.send(&batch).context(|| format!("network link {name}"))
    }

    /// Lets nothing through a port of a bridge any more. The bridge itself is told so: a change of the link makes it look at
    /// the carrier, and take the port into use again (`br_port_carrier_check`).
    pub(crate) fn disable_port(&self, name: &str) -> Result<()> {
        let index = match self.named(name) {
            Ok(link) => link.index,
            Err(error) if error.class() == Class::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut batch = Batch::default();
        let mut message = batch.message("disable the port", SET_LINK, 0, &link_header(BRIDGE, index, false));
        message.put(ifla::PROTOCOL_INFO, &[DISABLED]);
        drop(message);
        match self.0.send(&batch) {
            Err(error) if is_gone(&error) => Ok(()),
            result => result.context(|| format!("network link {name}")),
        }
    }

    /// Makes a link on another one, in another namespace.
    pub(crate) fn make_macvlan(&self, link: &Macvlan<'_>) -> Result<()> {
        let mode: u32 = match link.mode {
            MacvlanMode::Private => 1,
            MacvlanMode::Vepa => 2,
            MacvlanMode::Bridge => 4,
            MacvlanMode::Passthru => 8,
        };
        let mut batch = Batch::default();
        let create = flags::CREATE | flags::EXCLUSIVE;
        let mut message = batch.message("create the link", NEW_LINK, create, &link_header(0, 0, false));
        message.put_str(ifla::NAME, link.name).put_u32(ifla::PARENT, link.parent).put(ifla::ADDRESS, &link.mac.0);
        put_namespace(&mut message, link.namespace);
        if let Some(mtu) = link.mtu {
            message.put_u32(ifla::MTU, mtu);
        }
        message.nest(ifla::INFO, |info| {
            info.put_str(ifla::INFO_KIND, "macvlan");
            info.nest(ifla::INFO_DATA, |data| {
                data.put_u32(ifla::MACVLAN_MODE, mode);
            });
        });
        drop(message);
        self.0.send(&batch).context(|| format!("network link {}", link.name))
    }

    /// Takes what has a mark for what is sent to this host, by a table of routes of its own.
    pub(crate) fn come_back(&self, ipv6: bool, mark: u32, table: u8) -> Result<()> {
        let family = if ipv6 { INET6 } else { INET };
        let mut batch = Batch::default();
        // `struct rtmsg`: that table, set at boot (3), on this host (254), local (2); RTA_OIF: the loopback.
        let header = [family, 0, 0, 0, table, 3, 254, 2, 0, 0, 0, 0];
        let create = flags::CREATE | flags::REPLACE;
        batch.message("add the route to this host", NEW_ROUTE, create, &header).put_u32(4, 1);
        // `struct fib_rule_hdr`: look into that table (1); FRA_FWMARK.
        let header = [family, 0, 0, 0, table, 0, 0, 1, 0, 0, 0, 0];
        // Each holder adds one of its own.
        batch.message("add the rule for routes", NEW_RULE, flags::CREATE, &header).put_u32(10, mark);
        self.0.send(&batch)
    }

    /// Takes the rules away again. The route is in a table that nobody looks into then.
    pub(crate) fn come_back_no_more(&self, mark: u32, table: u8) -> Result<()> {
        let mut batch = Batch::default();
        for family in [INET, INET6] {
            let header = [family, 0, 0, 0, table, 0, 0, 1, 0, 0, 0, 0];
            batch.message("remove the rule for routes", DELETE_RULE, 0, &header).put_u32(10, mark);
        }
        self.0.send(&batch)
    }

    /// Removes a link; one that is gone already is no error.
    pub(crate) fn remove(&self, index: u32) -> Result<()> {
        let mut batch = Batch::default();
        drop(batch.message("remove the link", DELETE_LINK, 0, &link_header(0, index, false)));
        match self.0.send(&batch) {
            Err(error) if is_gone(&error) => Ok(()),
            result => result,
        }
    }

    /// Takes links up, gives them addresses and sets routes, all in one message to the kernel.
    pub(crate) fn set(&self, fill: impl FnOnce(&mut Settings)) -> Result<()> {
        let mut settings = Settings(Batch::default());
        fill(&mut settings);
        self.0.send(&settings.0)
    }
}

/// What a namespace is to be like.
#[derive(Debug)]
pub(crate) struct Settings(Batch);

impl Settings {
    /// Takes a link up; with a link-local address of IPv6, or without.
    pub(crate) fn up(&mut self, index: u32, mtu: Option<u32>, ipv6: bool) -> &mut Self {
        let mut message = self.0.message("take the link up", NEW_LINK, 0, &link_header(0, index, true));
        link_local(&mut message, mtu, ipv6);
        drop(message);
        self
    }

    /// Gives a link an address.
    pub(crate) fn address(&mut self, index: u32, subnet: Subnet) -> &mut Self {
        let address = subnet.address();
        let ipv6 = address.is_ipv6();
        let [a, b, c, d] = index.to_ne_bytes();
        let header = [family(address), subnet.prefix(), if ipv6 { NO_DETECTION } else { 0 }, 0, a, b, c, d];
        let create = flags::CREATE | flags::EXCLUSIVE;
        let mut message = self.0.message("add the address", NEW_ADDRESS, create, &header);
        // IFA_ADDRESS, IFA_LOCAL and IFA_BROADCAST
        message.put_address(1, address).put_address(2, address);
        if !ipv6 && subnet.prefix() < 31 {
            message.put_address(4, subnet.last());
        }
        drop(message);
        self
    }

    /// Sends what goes nowhere else to a gateway.
    pub(crate) fn default_route(&mut self, index: u32, gateway: IpAddr) -> &mut Self {
        // `struct rtmsg`: the main table (254), set at boot (3), everywhere (0), unicast (1).
        let header = [family(gateway), 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let mut message = self.0.message("add the default route", NEW_ROUTE, flags::CREATE | flags::REPLACE, &header);
        // RTA_GATEWAY and RTA_OIF
        message.put_address(5, gateway).put_u32(4, index);
        drop(message);
        self
    }
}

fn put_namespace(message: &mut Message<'_>, namespace: BorrowedFd<'_>) {
    message.put(ifla::NAMESPACE, &namespace.as_raw_fd().to_ne_bytes());
}

fn is_gone(error: &Error) -> bool {
    error.class() == Class::NotFound || error.os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

/// Changes a link as the port of a bridge.
fn as_port(message: &mut Message<'_>, isolated: bool) {
    message.nest(ifla::INFO, |info| {
        info.put_str(ifla::INFO_PORT_KIND, "bridge").nest(ifla::INFO_PORT, |port| {
            port.put(ifla::PORT_ISOLATED, &[u8::from(isolated)]).put(ifla::PORT_HAIRPIN, &[u8::from(hairpin())]);
        });
    });
}

/// Whether the kernel runs bridged packets through the rules of routed ones. Then a container that talks to itself by a
/// port of the host gets its packets back through the port of the bridge they came from.
fn hairpin() -> bool {
    Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()
}

/// The least MTU of a link with IPv6, in bytes (RFC 8200, section 5): the kernel knows of none on others, and fails when
/// told about it.
const LEAST_MTU: u32 = 1280;

/// Keeps the kernel from making up an address for a link that needs none.
pub(super) fn link_local(message: &mut Message<'_>, mtu: Option<u32>, wanted: bool) {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/sys/net/ipv6").exists());
    if !wanted && *KNOWN && mtu.is_none_or(|mtu| mtu >= LEAST_MTU) {
        message.nest(ifla::FAMILIES, |families| {
            families.nest(u16::from(INET6), |inet6| {
                inet6.put(ifla::ADDRESS_MODE, &[NO_ADDRESS]);
            });
        });
    }
}
