//! Who is called what, in which network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

/// A container's names and addresses in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub container: String,
    /// In the order in which a reverse look-up prefers them.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// All names. A container is in here as long as it runs.
#[derive(Debug, Default)]
pub(crate) struct Directory(RwLock<HashMap<String, Zone>>);

#[derive(Debug, Default)]
struct Zone {
    name: String,
    /// Name in small letters → containers. Several share an alias.
    names: HashMap<String, Vec<(String, Vec<IpAddr>)>>,
    /// Address → name.
    addresses: HashMap<IpAddr, String>,
}

impl Directory {
    /// A container has come into a network.
    pub(crate) fn add(&self, network: &str, network_name: &str, named: &Named) {
        let mut zones = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let zone = zones.entry(network.to_owned()).or_default();
        network_name.clone_into(&mut zone.name);
        for name in &named.names {
            let entry = zone.names.entry(name.to_ascii_lowercase()).or_default();
            entry.retain(|(container, _)| *container != named.container);
            entry.push((named.container.clone(), named.addresses.clone()));
        }
        if let Some(name) = named.names.first() {
            for &address in &named.addresses {
                zone.addresses.insert(address, name.clone());
            }
        }
    }

    /// A container has left a network.
    pub(crate) fn remove(&self, network: &str, container: &str, addresses: &[IpAddr]) {
        let mut zones = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(zone) = zones.get_mut(network) else { return };
        zone.names.retain(|_, entry| {
            entry.retain(|(owner, _)| owner != container);
            !entry.is_empty()
        });
        addresses.iter().for_each(|address| drop(zone.addresses.remove(address)));
        if zone.names.is_empty() {
            zones.remove(network);
        }
    }

    /// The addresses of a name in these networks, `name` or `name.network`; `None` if there is no such name. Those of the
    /// first network that knows it: in an order that is another one each time.
    pub(super) fn find(&self, networks: &[String], name: &str) -> Option<Vec<IpAddr>> {
        let zones = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = networks.iter().filter_map(|network| zones.get(network)).find_map(|zone| {
            let bare = name.strip_suffix(&zone.name.to_ascii_lowercase()).and_then(|name| name.strip_suffix('.'));
            zone.names.get(name).or_else(|| zone.names.get(bare?))
        })?;
        let turn = fastrand::usize(..entry.len().max(1));
        let turned = entry[turn..].iter().chain(&entry[..turn]);
        Some(turned.flat_map(|(_, addresses)| addresses.iter().copied()).collect())
    }

    /// The name of an address in these networks, with the network's behind it, as Docker has it.
    pub(super) fn find_address(&self, networks: &[String], address: IpAddr) -> Option<String> {
        let zones = self.0.read().unwrap_or_else(PoisonError::into_inner);
        networks.iter().filter_map(|network| zones.get(network)).find_map(|zone| {
            let name = zone.addresses.get(&address)?;
            Some(format!("{name}.{}", zone.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_ones_own_networks_and_of_the_living() {
        let directory = Directory::default();
        let named = |container: &str, names: &[&str], address: &str| Named {
            container: container.into(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            addresses: vec![address.parse().unwrap()],
        };
        directory.add("n1", "front", &named("c1", &["Web", "app"], "10.0.0.2"));
        directory.add("n1", "front", &named("c2", &["db", "app"], "10.0.0.3"));
        let mine = ["n1".to_owned()];
        assert_eq!(directory.find(&mine, "web").unwrap(), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(directory.find(&mine, "web.front").unwrap().len(), 1);
        assert_eq!(directory.find(&mine, "app").unwrap().len(), 2);
        assert_eq!(directory.find(&["n2".to_owned()], "web"), None);
        assert_eq!(directory.find_address(&mine, "10.0.0.3".parse().unwrap()).unwrap(), "db.front");
        directory.remove("n1", "c1", &["10.0.0.2".parse().unwrap()]);
        assert_eq!(directory.find(&mine, "web"), None);
        assert_eq!(directory.find(&mine, "app").unwrap().len(), 1);
        assert_eq!(directory.find_address(&mine, "10.0.0.2".parse().unwrap()), None);
    }
}
