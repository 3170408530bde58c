//! The list of networks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_network::model::{DEFAULT, Driver, Network, NetworkSpec, PREDEFINED, option_name};
use dhow_oci::Digest;
use dhow_store::{Metadata, NetworkRecord};
use jiff::Timestamp;

use super::given::DefaultNetwork;
use crate::container::record;

/// The networks there are, oldest first.
#[derive(Debug)]
pub(crate) struct Networks {
    list: Mutex<Vec<Entry>>,
    /// Held while one is made or removed, which takes more than one step.
    pub(super) changing: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    network: Arc<Network>,
    /// The containers that have entered it.
    users: BTreeSet<Arc<str>>,
}

impl Networks {
    /// Reads the records; makes those of the predefined networks where there are none.
    pub(crate) fn open(metadata: &Metadata, default: &DefaultNetwork<'_>) -> Result<Self> {
        let mut networks: Vec<Network> = Vec::new();
        for record in metadata.networks()? {
            match record::read::<Network>(&record.network) {
                Ok(network) => networks.push(network),
                Err(error) => tracing::error!(id = record.id, name = record.name, %error, "a network is left out"),
            }
        }
        let held = networks.iter().any(|network| network.name() == DEFAULT && default.is_held(network));
        let wanted = |name: &str| name != DEFAULT || default.wanted.is_wanted();
        networks.retain(|network| held || wanted(network.name()));
        for (name, driver) in PREDEFINED.into_iter().filter(|(name, _)| wanted(name)) {
            if !networks.iter().any(|network| network.spec.name == name) {
                let network = predefined(name, driver);
                metadata.insert_network(&record_of(&network)?).context(|| format!("make network {name}"))?;
                networks.push(network);
            }
        }
        if let Some(network) = networks.iter_mut().find(|network| !held && network.spec.name == DEFAULT) {
            let before = network.clone();
            default.wanted.change(network, built_in());
            if *network != before {
                let record = record_of(network)?;
                metadata.set_network(&record.id, &record.network).context(|| format!("change network {DEFAULT}"))?;
            }
        }
        let entry = |network| Entry { network: Arc::new(network), users: BTreeSet::new() };
        Ok(Self { list: Mutex::new(networks.into_iter().map(entry).collect()), changing: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // Whole after each statement, whoever panicked.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Network>> {
        self.lock().iter().map(|entry| Arc::clone(&entry.network)).collect()
    }

    /// The one with that very name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Network>> {
        self.lock().iter().find(|entry| entry.network.spec.name == name).map(|entry| Arc::clone(&entry.network))
    }

    /// Full id first, then full name, then prefix of an id: Docker's order.
    ///
    /// # Errors
    /// Docker's words for none and for several.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Network>> {
        let list = self.lock();
        let exact = list.iter().find(|entry| entry.network.id == reference);
        if let Some(entry) = exact.or_else(|| list.iter().find(|entry| entry.network.spec.name == reference)) {
            return Ok(Arc::clone(&entry.network));
        }
        let begins = |entry: &&Entry| !reference.is_empty() && entry.network.id.starts_with(reference);
        match list.iter().filter(begins).collect::<Vec<_>>()[..] {
            [entry] => Ok(Arc::clone(&entry.network)),
            [] => Err(missing(reference)),
            ref several => {
                let count = several.len();
                let text = format!("network {reference} is ambiguous ({count} matches found based on ID prefix)");
                Err(Error::invalid(text))
            }
        }
    }

    /// A container enters a network, which stays as long as it is in there.
    ///
    /// # Errors
    /// `NotFound` if there is no network of that name.
    pub(crate) fn enter(&self, name: &str, container: &Arc<str>) -> Result<Arc<Network>> {
        let mut list = self.lock();
        let entry = list.iter_mut().find(|entry| entry.network.spec.name == name).ok_or_else(|| missing(name))?;
        if entry.network.spec.config_only {
            return Err(Error::denied(format!("network {name} is only a configuration, which no container can be in"))
                .with_hint(format!("make a network of it: network create --config-from {name} NAME")));
        }
        entry.users.insert(Arc::clone(container));
        Ok(Arc::clone(&entry.network))
    }

    /// A container leaves a network; no harm if it was not in there.
    pub(crate) fn leave(&self, name: &str, container: &str) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| entry.network.spec.name == name) {
            entry.users.remove(container);
        }
    }

    /// A container leaves whatever networks it is in.
    pub(crate) fn leave_all(&self, container: &str) {
        for entry in &mut *self.lock() {
            entry.users.remove(container);
        }
    }

    /// Who is in a network.
    pub(crate) fn users(&self, id: &str) -> Vec<Arc<str>> {
        let list = self.lock();
        let entry = list.iter().find(|entry| entry.network.id == id);
        entry.map(|entry| entry.users.iter().cloned().collect()).unwrap_or_default()
    }

    /// Adds a network that is recorded.
    pub(super) fn add(&self, network: Network) -> Arc<Network> {
        let network = Arc::new(network);
        self.lock().push(Entry { network: Arc::clone(&network), users: BTreeSet::new() });
        network
    }

    /// Replaces what a network is; nobody is in there.
    pub(super) fn replace(&self, network: Network) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| entry.network.id == network.id) {
            entry.network = Arc::new(network);
        }
    }

    /// Takes a network out, if nobody is in there; else says who is.
    pub(super) fn take(&self, id: &str) -> Result<(), Vec<Arc<str>>> {
        let mut list = self.lock();
        let Some(place) = list.iter().position(|entry| entry.network.id == id) else { return Ok(()) };
        if !list[place].users.is_empty() {
            return Err(list[place].users.iter().cloned().collect());
        }
        list.remove(place);
        Ok(())
    }

    /// Puts a network back that could not be removed.
    pub(super) fn put_back(&self, network: Arc<Network>) {
        let mut list = self.lock();
        list.push(Entry { network, users: BTreeSet::new() });
        list.sort_by_key(|entry| entry.network.created);
    }
}

/// Docker's words.
pub(super) fn missing(reference: &str) -> Error {
    Error::not_found(format!("network {reference} not found"))
}

/// A network as it is stored.
pub(super) fn record_of(network: &Network) -> Result<NetworkRecord> {
    Ok(NetworkRecord {
        id: network.id.clone(),
        name: network.spec.name.clone(),
        created: network.created,
        network: record::write(network)?,
    })
}

/// Nanoseconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// The options of the default network where nobody says otherwise.
fn built_in() -> BTreeMap<String, String> {
    let options = [
        (option_name::DEFAULT_BRIDGE, "true"),
        (option_name::ICC, "true"),
        (option_name::MASQUERADE, "true"),
        (option_name::HOST_BINDING, "0.0.0.0"),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One of the networks every engine has. Its id is made of the name, so that it is the same everywhere.
pub(super) fn predefined(name: &str, driver: Driver) -> Network {
    let options = if driver == Driver::Bridge { built_in() } else { BTreeMap::new() };
    Network {
        id: Digest::of(format!("network {name}").as_bytes()).hex(),
        spec: NetworkSpec { name: name.to_owned(), driver, ipv4: true, options, ..NetworkSpec::default() },
        pools: Vec::new(),
        created: now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(id: &str, name: &str) -> Network {
        let spec = NetworkSpec { name: name.into(), ..NetworkSpec::default() };
        Network { id: id.into(), spec, pools: Vec::new(), created: 0 }
    }

    fn networks(all: &[(&str, &str)]) -> Networks {
        let networks = Networks { list: Mutex::default(), changing: Mutex::default() };
        all.iter().for_each(|(id, name)| drop(networks.add(network(id, name))));
        networks
    }

    #[test]
    fn networks_are_found_in_dockers_order() {
        let networks = networks(&[("ab12", "x"), ("cd34", "ab1"), ("cd56", "y")]);
        let found = |reference: &str| networks.find(reference).map(|network| network.id.clone());
        assert_eq!(found("ab1").unwrap(), "cd34");
        assert_eq!(found("ab").unwrap(), "ab12");
        assert_eq!(found("z").unwrap_err().to_string(), "network z not found");
        assert_eq!(found("").unwrap_err().to_string(), "network  not found");
        let several = found("cd").unwrap_err().to_string();
        assert_eq!(several, "network cd is ambiguous (2 matches found based on ID prefix)");
    }

    #[test]
    fn a_network_stays_as_long_as_somebody_is_in_it() {
        let networks = networks(&[("ab12", "x")]);
        let (one, other): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        networks.enter("x", &one).unwrap();
        networks.enter("x", &other).unwrap();
        networks.leave("x", "1");
        assert_eq!(networks.take("ab12").unwrap_err(), [Arc::clone(&other)]);
        networks.leave_all("2");
        networks.take("ab12").unwrap();
        assert!(networks.enter("x", &one).is_err() && networks.named("x").is_none());
    }

    #[test]
    fn the_predefined_ones_are_the_same_in_every_engine() {
        let id = predefined("bridge", Driver::Bridge).id;
        assert_eq!((id.len(), &id), (64, &predefined("bridge", Driver::Bridge).id));
        assert_ne!(id, predefined("host", Driver::Host).id);
    }
}
