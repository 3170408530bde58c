//! What the firewall is to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dhow_errdefs::{Error, Result};

use crate::model::{Mac, Published, Subnet};
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
    /// Of the container; of the same family as the host's address.
    pub target: IpAddr,
    /// Who may come from outside of the host; empty: everybody.
    pub from: Vec<Subnet>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By bridge.
    pub zones: BTreeMap<String, Zone>,
    /// By link.
    pub members: BTreeMap<String, Member>,
    pub redirects: BTreeSet<Redirect>,
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
