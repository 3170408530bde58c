//! What the engine holds of networks and containers in use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dhow_errdefs::Result;

use crate::connection::{Attachment, Connection};
use crate::dns::{Directory, Resolver, Sockets};
use crate::driver::Raised;
use crate::ipam::Addresses;
use crate::model::{EndpointSpec, Network};
use crate::ports::Reservation;
use crate::sandbox::Sandbox;

/// A network in use.
#[derive(Debug)]
pub(super) struct Live {
    pub network: Network,
    /// Its bridge, once it is there.
    pub raised: Option<Raised>,
    ipv4: Option<Addresses>,
    ipv6: Option<Addresses>,
}

/// What a container has.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// `None` when it has gone already.
    pub sandbox: Option<Sandbox>,
    pub connection: Connection,
    pub reservations: Vec<Reservation>,
    /// The container's name, for messages.
    pub name: String,
    /// `None` where it is in no network with names.
    pub resolver: Option<Resolver>,
    /// Where its questions arrive since before this engine was started, as long as nobody answers them yet.
    pub kept: Option<Sockets>,
}

impl Held {
    /// Lets others find it by its names.
    pub(super) fn make_known(&self, container: &str, directory: &Directory) {
        for attachment in &self.connection.attachments {
            if let Some(named) = attachment.named(container) {
                directory.add(&attachment.endpoint.network, &attachment.network_name, &named);
            }
        }
    }
}

impl Live {
    pub(super) fn new(network: &Network) -> Self {
        let pool = |ipv6| network.pool(ipv6).cloned().map(Addresses::new);
        Self { network: network.clone(), raised: None, ipv4: pool(false), ipv6: pool(true) }
    }

    /// The network may have got another family since; then its bridge has to get an address of it, too.
    pub(super) fn learn(&mut self, network: &Network) {
        if self.network.pools == network.pools {
            return;
        }
        let pool = |ipv6| network.pool(ipv6).cloned().map(Addresses::new);
        self.ipv4 = self.ipv4.take().or_else(|| pool(false));
        self.ipv6 = self.ipv6.take().or_else(|| pool(true));
        self.network = network.clone();
        self.raised = None;
    }

    /// An address of each family that the network has: the one that was asked for, or any.
    pub(super) fn take(&mut self, spec: &EndpointSpec) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>)> {
        let ipv4 = one(self.ipv4.as_mut(), spec.ipv4.map(IpAddr::V4))?;
        let ipv6 = one(self.ipv6.as_mut(), spec.ipv6.map(IpAddr::V6));
        if let (Err(_), Some(given), Some(pool)) = (&ipv6, ipv4, &mut self.ipv4) {
            pool.give_back(given);
        }
        let ipv4 = ipv4.and_then(|address| if let IpAddr::V4(address) = address { Some(address) } else { None });
        Ok((ipv4, ipv6?.and_then(|address| if let IpAddr::V6(address) = address { Some(address) } else { None })))
    }

    /// Takes what a container is known to have.
    pub(super) fn adopt(&mut self, attachment: &Attachment) {
        for address in attachment.addresses() {
            let pool = if address.is_ipv6() { &mut self.ipv6 } else { &mut self.ipv4 };
            // Somebody who has it already keeps it.
            pool.as_mut().map(|pool| pool.take(address));
        }
    }

    pub(super) fn give_back(&mut self, attachment: &Attachment) {
        for address in attachment.addresses() {
            let pool = if address.is_ipv6() { &mut self.ipv6 } else { &mut self.ipv4 };
            if let Some(pool) = pool {
                pool.give_back(address);
            }
        }
    }
}

fn one(pool: Option<&mut Addresses>, wanted: Option<IpAddr>) -> Result<Option<IpAddr>> {
    match (pool, wanted) {
        (None, _) => Ok(None),
        (Some(pool), Some(address)) => pool.take(address).map(|()| Some(address)),
        (Some(pool), None) => pool.take_any().map(Some),
    }
}
