//! What is usual in this engine: for containers and networks that do not say.

use std::collections::BTreeMap;

use dhow_network::ipam::{BlockPool, default_pools};
use dhow_network::model::{IpamPool, Network, Subnet};

use crate::spec::HostSpec;

/// What containers and networks get that do not say.
#[derive(Debug, Clone, Default)]
pub struct Usual {
    /// Name servers of containers; none: the host's.
    pub dns: Vec<String>,
    /// Options of their resolver.
    pub dns_options: Vec<String>,
    /// Domains they search.
    pub dns_search: Vec<String>,
    /// IPC mode; empty: `private`.
    pub ipc_mode: String,
    /// Programs in containers get no more rights than they begin with.
    pub no_new_privileges: bool,
    /// Where blocks for networks come from, and how many bits name one of them; none: what is built in.
    pub address_pools: Vec<(Subnet, u8)>,
    /// The network of containers that name none.
    pub bridge: UsualBridge,
}

/// The network `bridge`, as somebody wants it.
#[derive(Debug, Clone, Default)]
pub struct UsualBridge {
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
    /// Its addresses; `None`: a block that is free.
    pub pool: Option<IpamPool>,
}

impl Usual {
    /// Fills in what a new container does not say.
    pub(crate) fn complete(&self, host: &mut HostSpec) {
        let fill = |own: &mut Vec<String>, usual: &Vec<String>| {
            if own.is_empty() {
                own.clone_from(usual);
            }
        };
        fill(&mut host.dns, &self.dns);
        fill(&mut host.dns_options, &self.dns_options);
        fill(&mut host.dns_search, &self.dns_search);
        if host.ipc_mode.is_empty() {
            host.ipc_mode.clone_from(&self.ipc_mode);
        }
        let options = host.security_opt.iter().flatten();
        let said = options.clone().any(|option| option.starts_with("no-new-privileges"));
        if self.no_new_privileges && !said {
            host.security_opt.get_or_insert_default().push("no-new-privileges".to_owned());
        }
    }

    /// Where blocks come from.
    pub(crate) fn pools(&self) -> Vec<BlockPool> {
        if self.address_pools.is_empty() {
            return default_pools();
        }
        self.address_pools.iter().map(|&(base, size)| BlockPool { base, size }).collect()
    }
}

impl UsualBridge {
    /// The default network as it is wanted now. With other addresses than before, it has none until it is used.
    pub(crate) fn change(&self, network: &mut Network, built_in: BTreeMap<String, String>) {
        network.spec.options = built_in;
        network.spec.options.extend(self.options.clone());
        let wanted: Vec<IpamPool> = self.pool.iter().cloned().collect();
        if network.spec.ipam.pools != wanted {
            network.spec.ipam.pools = wanted;
            network.pools.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_says_counts() {
        let usual = Usual {
            dns: vec!["1.1.1.1".to_owned()],
            dns_search: vec!["example".to_owned()],
            ipc_mode: "shareable".to_owned(),
            no_new_privileges: true,
            ..Usual::default()
        };
        let mut silent = HostSpec::default();
        usual.complete(&mut silent);
        assert_eq!(
            (silent.dns, silent.dns_search, silent.ipc_mode.as_str()),
            (usual.dns.clone(), usual.dns_search.clone(), "shareable")
        );
        assert_eq!(silent.security_opt.unwrap(), ["no-new-privileges"]);
        let mut host = HostSpec {
            dns: vec!["2.2.2.2".to_owned()],
            ipc_mode: "host".to_owned(),
            security_opt: Some(vec!["no-new-privileges=false".to_owned()]),
            ..HostSpec::default()
        };
        usual.complete(&mut host);
        assert_eq!((host.dns[0].as_str(), host.ipc_mode.as_str()), ("2.2.2.2", "host"));
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges=false"]);
    }

    #[test]
    fn another_block_makes_the_default_network_look_for_addresses_again() {
        let pool = |text: &str| IpamPool::of(text.parse().unwrap());
        let spec = dhow_network::model::NetworkSpec::default();
        let mut network = Network { id: String::new(), spec, pools: vec![pool("172.17.0.0/24")], created: 0 };
        let mut bridge = UsualBridge { options: [("mtu".to_owned(), "1400".to_owned())].into(), pool: None };
        bridge.change(&mut network, BTreeMap::new());
        assert_eq!((network.pools.len(), network.spec.options["mtu"].as_str()), (1, "1400"));
        bridge.pool = Some(pool("10.9.0.0/24"));
        bridge.change(&mut network, BTreeMap::new());
        assert_eq!((network.pools.len(), network.spec.ipam.pools[0].subnet.to_string().as_str()), (0, "10.9.0.0/24"));
    }
}
