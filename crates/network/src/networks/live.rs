//! What the engine holds of networks and containers in use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dhow_errdefs::Result;

use crate::connection::{Attachment, Connection};
use crate::dns::{Directory, Resolver, Sockets};
use crate::driver::Raised;
use crate::ipam::{AddressUsage, Addresses};
use crate::model::{EndpointSpec, Network, Subnet};
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

    /// The network may have got another family since, or another block because somebody else has taken its own. Then its
    /// bridge has to be made true again. A block that stays keeps who has its addresses.
    pub(super) fn learn(&mut self, network: &Network) {
        if self.network.pools == network.pools {
            return;
        }
        for (ipv6, addresses) in [(false, &mut self.ipv4), (true, &mut self.ipv6)] {
            if self.network.pool(ipv6) != network.pool(ipv6) {
                *addresses = network.pool(ipv6).cloned().map(Addresses::new);
            }
        }
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

    /// How many addresses of each pool there are for whom.
    pub(super) fn usage(&self) -> Vec<(Subnet, AddressUsage)> {
        let both = [self.network.pool(false).zip(self.ipv4.as_ref()), self.network.pool(true).zip(self.ipv6.as_ref())];
        both.into_iter().flatten().map(|(pool, addresses)| (pool.subnet, addresses.usage())).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IpamPool, NetworkSpec};

    #[test]
    fn a_block_that_stays_keeps_its_addresses_and_another_one_has_its_own() {
        let with = |blocks: &[&str]| {
            let pools = blocks.iter().map(|block| IpamPool::of(block.parse().unwrap())).collect();
            Network { id: "n".into(), spec: NetworkSpec::default(), pools, created: 0 }
        };
        let mut live = Live::new(&with(&["10.0.0.0/24"]));
        let mut take = |network: &Network| {
            live.learn(network);
            let (ipv4, ipv6) = live.take(&EndpointSpec::default()).unwrap();
            (ipv4.unwrap().to_string(), ipv6.map(|address| address.to_string()))
        };
        let both = with(&["10.0.0.0/24", "fd00::/64"]);
        let (first, none) = take(&with(&["10.0.0.0/24"]));
        let (second, six) = take(&both);
        assert_ne!(first, second, "the first is taken");
        assert_eq!((none, six.is_some()), (None, true));
        assert!(take(&with(&["10.9.0.0/24", "fd00::/64"])).0.starts_with("10.9.0."));
    }
}
