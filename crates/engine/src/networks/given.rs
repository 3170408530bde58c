//! What the default network is to be on, and what it stays on while containers of before are there.

use std::collections::BTreeMap;
use std::fs;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_network::model::{DEFAULT, Driver, IpamPool, Network, Subnet, check_pool, option_name};

use super::facts;
use super::table::predefined;
use crate::usual::DefaultBridge;
use crate::{Config, UsualBridge};

/// The default network as it is wanted, on a host where containers may run on what it was.
#[derive(Debug)]
pub(crate) struct DefaultNetwork<'a> {
    pub(super) wanted: UsualBridge,
    config: &'a Config,
    kernel: &'a dhow_network::Networks,
}

impl DefaultNetwork<'_> {
    /// Whether a container that runs needs the network as it is: it is on its bridge, which is to be another one, or none.
    /// dockerd does not change its network under running containers either.
    pub(super) fn is_held(&self, network: &Network) -> bool {
        let named = |options: &BTreeMap<String, String>| options.get(option_name::BRIDGE_NAME).cloned();
        if self.wanted.is_wanted() && named(&network.spec.options) == named(&self.wanted.options) {
            return false;
        }
        let bridge = self.kernel.bridge_of(&self.ports_in(network));
        let bridge = bridge.inspect_err(|error| tracing::warn!(%error, "look for containers of the default network"));
        let bridge = bridge.ok().flatten().filter(|bridge| named(&self.wanted.options).as_ref() != Some(bridge));
        if let Some(bridge) = &bridge {
            tracing::warn!(
                bridge,
                "containers run on the bridge that the default network is to leave; it stays there until the engine is started \
                 without them"
            );
        }
        bridge.is_some()
    }

    /// The host's ends of the links by which containers were in a network when an engine last wrote that down.
    fn ports_in(&self, network: &Network) -> Vec<String> {
        let entries = fs::read_dir(self.config.exec_root.join("containers")).into_iter().flatten().flatten();
        let connections = entries.filter_map(|entry| facts::recall(&entry.path()).ok().flatten());
        let attachments = connections.flat_map(|connection| connection.attachments);
        attachments.filter(|it| it.endpoint.network == network.id).map(|it| it.port).collect()
    }
}

/// The default network as it is wanted, with what the bridge says of it that it is to be on.
///
/// # Errors
/// If that bridge is not there, or out of reach.
pub(crate) fn default_network<'a>(
    config: &'a Config,
    kernel: &'a dhow_network::Networks,
) -> Result<DefaultNetwork<'a>> {
    let mut wanted = config.usual.bridge.clone();
    if let DefaultBridge::Given(name) = wanted.on.clone() {
        take_bridge(&mut wanted, &name, config.rootless, kernel)?;
    }
    Ok(DefaultNetwork { wanted, config, kernel })
}

fn take_bridge(wanted: &mut UsualBridge, name: &str, rootless: bool, kernel: &dhow_network::Networks) -> Result<()> {
    if rootless {
        let text = "a bridge of the host is out of reach for an engine without root";
        return Err(Error::not_implemented(text).with_hint("leave `bridge` out"));
    }
    let addresses = kernel.addresses_of_bridge(&predefined(DEFAULT, Driver::Bridge), name);
    let addresses = addresses.context(|| "bridge of the default network")?;
    wanted.options.insert(option_name::BRIDGE_NAME.to_owned(), name.to_owned());
    wanted.pools = [false, true]
        .into_iter()
        .filter(|ipv6| !ipv6 || wanted.ipv6)
        .map(|ipv6| {
            let asked = wanted.pools.iter().find(|pool| pool.subnet.is_ipv6() == ipv6);
            pool(addresses.iter().copied().filter(|address| address.is_ipv6() == ipv6), asked)
        })
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    Ok(())
}

/// The block of a family: that of the bridge's address, of which the engine may have been given a part.
fn pool(addresses: impl Iterator<Item = Subnet>, asked: Option<&IpamPool>) -> Result<Option<IpamPool>> {
    let part = asked.map(|pool| pool.range.unwrap_or(pool.subnet));
    let holds = |address: &Subnet| part.is_none_or(|part| address.contains(part.address()));
    let addresses: Vec<Subnet> = addresses.collect();
    let Some(address) = addresses.iter().copied().find(holds).or(addresses.first().copied()) else {
        return Ok(asked.cloned());
    };
    match part {
        Some(part) if !address.contains(part.address()) || part.prefix() < address.prefix() => {
            Err(Error::invalid(format!("{part} is no part of {}, which the bridge has", address.masked())))
        }
        _ => {
            let pool = IpamPool { gateway: Some(address.address()), range: part, ..IpamPool::of(address.masked()) };
            check_pool(&pool).context(|| "the bridge that is given")?;
            Ok(Some(pool))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_bridge_says_what_its_network_has() {
        let addresses = || [block("10.1.0.1/24"), block("10.2.0.1/24")].into_iter();
        let first = pool(addresses(), None).unwrap().unwrap();
        assert_eq!((first.subnet, first.gateway.unwrap().to_string()), (block("10.1.0.0/24"), "10.1.0.1".to_owned()));
        let asked = IpamPool { range: Some(block("10.2.0.128/25")), ..IpamPool::of(block("10.2.0.128/25")) };
        let second = pool(addresses(), Some(&asked)).unwrap().unwrap();
        assert_eq!((second.subnet, second.range), (block("10.2.0.0/24"), Some(block("10.2.0.128/25"))));
        assert_eq!(pool([].into_iter(), Some(&asked)).unwrap(), Some(asked));
        assert_eq!(pool([].into_iter(), None).unwrap(), None);
        let error = pool(addresses(), Some(&IpamPool::of(block("10.9.0.0/25")))).unwrap_err().to_string();
        assert_eq!(error, "10.9.0.0/25 is no part of 10.1.0.0/24, which the bridge has");
        for useless in ["10.1.0.1/0", "224.0.0.1/4", "10.1.0.1/32", "127.0.0.2/8", "10.1.0.0/24"] {
            let error = pool([block(useless)].into_iter(), None).unwrap_err().to_string();
            assert!(error.starts_with("the bridge that is given: invalid network config"), "{error}");
        }
    }
}
