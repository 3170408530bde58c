//! Who is called what, in which network.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use super::cache::Cache;

/// A container's names and addresses in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub container: String,
    /// In the order in which a reverse look-up prefers them.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// A network whose names one container asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub network: String,
    /// Its own names for others, in small letters, and those that all know.
    pub links: BTreeMap<String, String>,
}

/// All names, and what is remembered of others. A container is in here as long as it runs.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    zones: RwLock<HashMap<String, Zone>>,
    /// What other servers have answered, for whichever container.
    pub(super) cache: Cache,
}

#[derive(Debug, Default)]
struct Zone {
    name: String,
    /// Name in small letters → containers. Several share an alias.
    names: HashMap<String, Vec<(String, Vec<IpAddr>)>>,
    /// Address → name.
    addresses: HashMap<IpAddr, String>,
}

impl Zone {
    /// Who has that name, `name` or `name.network`, in small letters.
    fn named(&self, name: &str) -> Option<&Vec<(String, Vec<IpAddr>)>> {
        self.names.get(name).or_else(|| self.names.get(self.bare(name)?))
    }

    /// Who is meant by a name that only the asking container has for somebody.
    fn linked(&self, links: &BTreeMap<String, String>, name: &str) -> Option<&Vec<(String, Vec<IpAddr>)>> {
        let target = links.get(name).or_else(|| links.get(self.bare(name)?))?;
        self.names.get(&target.to_ascii_lowercase())
    }

    /// The name without the network's behind it, if that is there.
    fn bare<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_suffix(&self.name.to_ascii_lowercase())?.strip_suffix('.')
    }
}

impl Directory {
    /// A container has come into a network.
    pub(crate) fn add(&self, network: &str, network_name: &str, named: &Named) {
        let mut zones = self.zones.write().unwrap_or_else(PoisonError::into_inner);
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
        let mut zones = self.zones.write().unwrap_or_else(PoisonError::into_inner);
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
    /// first network that knows it: in an order that is another one each time. Links go before what all know.
    pub(super) fn find(&self, scopes: &[Scope], name: &str) -> Option<Vec<IpAddr>> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        let known = || scopes.iter().filter_map(|scope| Some((scope, zones.get(&scope.network)?)));
        let linked = known().find_map(|(scope, zone)| zone.linked(&scope.links, name));
        let entry = linked.or_else(|| known().find_map(|(_, zone)| zone.named(name)))?;
        let turn = fastrand::usize(..entry.len().max(1));
        let turned = entry[turn..].iter().chain(&entry[..turn]);
        Some(turned.flat_map(|(_, addresses)| addresses.iter().copied()).collect())
    }

    /// The name of an address in these networks, with the network's behind it, as Docker has it.
    pub(super) fn find_address(&self, scopes: &[Scope], address: IpAddr) -> Option<String> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        scopes.iter().filter_map(|scope| zones.get(&scope.network)).find_map(|zone| {
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
        let scope = |network: &str| [Scope { network: network.to_owned(), ..Scope::default() }];
        let mine = scope("n1");
        assert_eq!(directory.find(&mine, "web").unwrap(), ["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(directory.find(&mine, "web.front").unwrap().len(), 1);
        assert_eq!(directory.find(&mine, "app").unwrap().len(), 2);
        assert_eq!(directory.find(&scope("n2"), "web"), None);
        assert_eq!(directory.find_address(&mine, "10.0.0.3".parse().unwrap()).unwrap(), "db.front");
        directory.remove("n1", "c1", &["10.0.0.2".parse().unwrap()]);
        assert_eq!(directory.find(&mine, "web"), None);
        assert_eq!(directory.find(&mine, "app").unwrap().len(), 1);
        assert_eq!(directory.find_address(&mine, "10.0.0.2".parse().unwrap()), None);
    }

    #[test]
    fn a_link_is_a_name_of_ones_own_for_whoever_has_the_other_name_now() {
        let directory = Directory::default();
        let links = BTreeMap::from([("base".to_owned(), "DB".to_owned()), ("web".to_owned(), "db".to_owned())]);
        let mine = [Scope { network: "n1".to_owned(), links }];
        let named = |container: &str, name: &str, address: &str| Named {
            container: container.into(),
            names: vec![name.to_owned()],
            addresses: vec![address.parse().unwrap()],
        };
        directory.add("n1", "front", &named("c1", "web", "10.0.0.2"));
        assert_eq!(directory.find(&mine, "base"), None);
        directory.add("n1", "front", &named("c2", "db", "10.0.0.3"));
        let db = Some(vec!["10.0.0.3".parse::<IpAddr>().unwrap()]);
        assert_eq!((directory.find(&mine, "base"), directory.find(&mine, "base.front")), (db.clone(), db.clone()));
        assert_eq!(directory.find(&mine, "web"), db);
        let others = [Scope { network: "n1".to_owned(), ..Scope::default() }];
        assert_eq!((directory.find(&others, "base"), directory.find(&others, "web").is_some()), (None, true));
    }
}
