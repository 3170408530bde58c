//! What is usual in this engine: for containers and networks that do not say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dhow_network::ipam::{BlockPool, default_pools};
use dhow_network::model::{IpamPool, Network, NetworkSpec, Subnet};

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
    /// Cgroup namespace mode; empty: `private` where there is one tree of cgroups, else `host`.
    pub cgroupns_mode: String,
    /// Programs in containers get no more rights than they begin with.
    pub no_new_privileges: bool,
    /// Where blocks for networks come from, and how many bits name one of them; none: what is built in.
    pub address_pools: Vec<(Subnet, u8)>,
    /// Options of new networks, by driver.
    pub network_options: BTreeMap<String, BTreeMap<String, String>>,
    /// What `host-gateway` stands for; none: the address of the host in the container's network.
    pub host_gateway: Vec<IpAddr>,
    /// The network of containers that name none.
    pub bridge: UsualBridge,
}

/// What the network `bridge` is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DefaultBridge {
    /// A bridge that the engine makes.
    #[default]
    Own,
    /// A bridge of the host that somebody has made, by its name.
    Given(String),
    /// Nothing: there is no such network.
    None,
}

/// The network `bridge`, as somebody wants it.
#[derive(Debug, Clone, Default)]
pub struct UsualBridge {
    /// What it is on.
    pub on: DefaultBridge,
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
    /// Its addresses, at most one block of each family; none: one that is free.
    pub pools: Vec<IpamPool>,
    /// It has IPv6.
    pub ipv6: bool,
}

impl Usual {
    /// Fills in what a new container does not say.
    pub(crate) fn complete(&self, host: &mut HostSpec) {
        let fill = |own: &mut Vec<String>, usual: &Vec<String>| {
            if own.is_empty() {
                own.clone_from(usual);
            }
        };
        if !self.dns.is_empty() {
            fill(host.dns.get_or_insert_default(), &self.dns);
        }
        fill(&mut host.dns_options, &self.dns_options);
        fill(&mut host.dns_search, &self.dns_search);
        if host.ipc_mode.is_empty() {
            host.ipc_mode.clone_from(&self.ipc_mode);
        }
        // A privileged one sees all cgroups, as with Docker.
        if host.cgroupns_mode.is_empty() && !(host.privileged && self.cgroupns_mode == "private") {
            host.cgroupns_mode.clone_from(&self.cgroupns_mode);
        }
        let options = host.security_opt.iter().flatten();
        let said = options.clone().any(|option| option.starts_with("no-new-privileges"));
        if self.no_new_privileges && !said {
            host.security_opt.get_or_insert_default().push("no-new-privileges".to_owned());
        }
    }

    /// Fills in what a new network does not say. One that is made of a configuration says nothing itself.
    pub(crate) fn complete_network(&self, spec: &mut NetworkSpec) {
        if spec.config_only || !spec.config_from.is_empty() {
            return;
        }
        for (key, value) in self.network_options.get(spec.driver.as_str()).into_iter().flatten() {
            spec.options.entry(key.clone()).or_insert_with(|| value.clone());
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
    /// There is a default network.
    pub(crate) fn is_wanted(&self) -> bool {
        self.on != DefaultBridge::None
    }

    /// The default network as it is wanted now. With other addresses than before, it has none until it is used.
    pub(crate) fn change(&self, network: &mut Network, built_in: BTreeMap<String, String>) {
        network.spec.options = built_in;
        network.spec.options.extend(self.options.clone());
        network.spec.ipv6 = self.ipv6;
        for ipv6 in [false, true] {
            let of = |pools: &[IpamPool]| pools.iter().find(|pool| pool.subnet.is_ipv6() == ipv6).cloned();
            if of(&network.spec.ipam.pools) != of(&self.pools) || ipv6 && !self.ipv6 {
                network.pools.retain(|pool| pool.subnet.is_ipv6() != ipv6);
            }
        }
        network.spec.ipam.pools.clone_from(&self.pools);
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
            (Some(usual.dns.clone()), usual.dns_search.clone(), "shareable")
        );
        assert_eq!(silent.security_opt.unwrap(), ["no-new-privileges"]);
        let mut host = HostSpec {
            dns: Some(vec!["2.2.2.2".to_owned()]),
            ipc_mode: "host".to_owned(),
            security_opt: Some(vec!["no-new-privileges=false".to_owned()]),
            ..HostSpec::default()
        };
        usual.complete(&mut host);
        assert_eq!((host.name_servers()[0].as_str(), host.ipc_mode.as_str()), ("2.2.2.2", "host"));
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges=false"]);
    }

    #[test]
    fn another_block_makes_the_default_network_look_for_addresses_again() {
        let pool = |text: &str| IpamPool::of(text.parse().unwrap());
        let spec = NetworkSpec::default();
        let mut network = Network { id: String::new(), spec, pools: vec![pool("172.17.0.0/24")], created: 0 };
        let options = [("mtu".to_owned(), "1400".to_owned())].into();
        let mut bridge = UsualBridge { options, ..UsualBridge::default() };
        bridge.change(&mut network, BTreeMap::new());
        assert_eq!((network.pools.len(), network.spec.options["mtu"].as_str()), (1, "1400"));
        bridge.pools = vec![pool("10.9.0.0/24")];
        bridge.change(&mut network, BTreeMap::new());
        assert_eq!((network.pools.len(), network.spec.ipam.pools[0].subnet.to_string().as_str()), (0, "10.9.0.0/24"));
        network.pools = vec![pool("10.9.0.0/24"), pool("fd00:9::/64")];
        bridge.ipv6 = true;
        bridge.pools.push(pool("fd00:8::/64"));
        bridge.change(&mut network, BTreeMap::new());
        assert_eq!((network.pools.as_slice(), network.spec.ipv6), (&[pool("10.9.0.0/24")][..], true));
        bridge.ipv6 = false;
        network.pools.push(pool("fd00:8::/64"));
        bridge.change(&mut network, BTreeMap::new());
        assert_eq!((network.pools.as_slice(), network.spec.ipv6), (&[pool("10.9.0.0/24")][..], false));
    }

    #[test]
    fn new_networks_have_the_options_that_are_usual_for_their_driver() {
        let options = [("mtu".to_owned(), "1400".to_owned()), ("icc".to_owned(), "no".to_owned())].into();
        let usual = Usual { network_options: [("bridge".to_owned(), options)].into(), ..Usual::default() };
        let mut spec = NetworkSpec { options: [("icc".to_owned(), "yes".to_owned())].into(), ..NetworkSpec::default() };
        usual.complete_network(&mut spec);
        assert_eq!((spec.options["mtu"].as_str(), spec.options["icc"].as_str()), ("1400", "yes"));
        let mut other = NetworkSpec { config_from: "x".to_owned(), ..NetworkSpec::default() };
        usual.complete_network(&mut other);
        assert!(other.options.is_empty());
    }
}
