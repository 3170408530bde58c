//! What the firewall is to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use dhow_errdefs::{Error, Result};

use super::elements::octets;
use crate::model::{Mac, Protocol, Published, Subnet};
use crate::netlink::{Family, Socket};

/// A network behind a bridge of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    pub bridge: String,
    pub subnets: Vec<Subnet>,
    /// Addresses of the bridge itself.
    pub gateways: Vec<IpAddr>,
    /// Nothing goes out or comes in.
    pub internal: bool,
    /// What goes out gets the host's address.
    pub masquerade: bool,
    /// Which of the host's addresses that is, at most one of a family; without one that of the link it leaves by.
    pub outward: Vec<IpAddr>,
    /// Its containers reach each other.
    pub icc: bool,
}

/// A container's link in such a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The port of the bridge.
    pub link: String,
    pub mac: Mac,
    pub addresses: Vec<IpAddr>,
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Redirect {
    pub published: Published,
    /// Of the container.
    pub target: IpAddr,
    /// Who may come from outside of the host; empty: everybody.
    pub from: Vec<Subnet>,
}

impl Redirect {
    /// The kernel sends on what arrives there. It translates no family into the other, and from its loopback it sends IPv6
    /// nowhere (for IPv4 there is `route_localnet`).
    pub(super) fn is_of_kernel(&self) -> bool {
        let host = self.published.host_address;
        host.is_ipv6() == self.target.is_ipv6() && host != IpAddr::V6(Ipv6Addr::LOCALHOST)
    }

    /// A process of ours passes on what arrives there and is not sent on by the kernel.
    pub(crate) fn is_relayed(&self) -> bool {
        let host = self.published.host_address;
        let local = host.is_ipv6() && (host.is_loopback() || host.is_unspecified());
        self.published.port.protocol != Protocol::Sctp && (local || host.is_ipv6() != self.target.is_ipv6())
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By bridge.
    pub zones: BTreeMap<String, Zone>,
    /// By link.
    pub members: BTreeMap<String, Member>,
    pub redirects: BTreeSet<Redirect>,
    /// Not all of this is known yet, and the kernel is told nothing.
    pub collecting: bool,
    /// The table is there, as far as we know.
    pub in_kernel: bool,
    /// So is the one of the bridges' own traffic.
    pub guards: bool,
    /// Always the same one, so that our changes can be told from others'.
    pub socket: Option<Socket>,
}

/// What comes and goes with containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub gone: Vec<Member>,
    pub come: Vec<Member>,
    pub closed: Vec<Redirect>,
    pub opened: Vec<Redirect>,
}

impl Changes {
    pub(super) fn reversed(self) -> Self {
        Self { gone: self.come, come: self.gone, closed: self.opened, opened: self.closed }
    }
}

impl State {
    pub(super) fn socket(&mut self) -> Result<&Socket> {
        if self.socket.is_none() {
            self.socket = Some(Socket::open(Family::Netfilter)?);
        }
        self.socket.as_ref().ok_or_else(|| Error::internal("no netlink socket"))
    }

    /// What of a member's belongings somebody else has, too: two containers may have asked for the same.
    pub(super) fn shared(&self, member: &Member) -> BTreeSet<Vec<u8>> {
        let others = || self.members.values().filter(|other| other.link != member.link);
        let mac = others().any(|other| other.mac == member.mac).then(|| member.mac.0.to_vec());
        let has = |address: &&IpAddr| others().any(|other| other.addresses.contains(address));
        mac.into_iter().chain(member.addresses.iter().filter(has).map(|&address| octets(address))).collect()
    }

    pub(super) fn apply(&mut self, changes: &Changes) {
        for member in &changes.gone {
            self.members.remove(&member.link);
        }
        self.members.extend(changes.come.iter().map(|member| (member.link.clone(), member.clone())));
        for redirect in &changes.closed {
            self.redirects.remove(redirect);
        }
        self.redirects.extend(changes.opened.iter().cloned());
    }
}
