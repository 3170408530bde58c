//! Where records meet the kernel: networks are made, and containers get their places in them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_network::model::{Attached, DEFAULT, Driver, Endpoint, EndpointSpec, IpamPool, Network, NetworkSpec, Subnet};
use dhow_network::{Connection, HomeSettings, Place, Request, Settings, Survivor};
use dhow_oci::Digest;

use super::{facts, main_network, ports};
use crate::container::{Container, Process, View};
use crate::core::Core;
use crate::create::random_id;
use crate::launch::Sharing;
use crate::spec::ContainerSpec;
use crate::start::name_servers;
use crate::{Config, DefaultBridge, FirewallPolicy};

/// The bridge of the default network.
const DEFAULT_BRIDGE: &str = "dhow0";

/// The folder of the holder of an engine without root, in the exec root.
pub const HOLDER: &str = "network";

/// What Docker puts before whatever goes wrong here.
const SETUP: &str = "failed to set up container networking";

impl Core {
    /// Makes a network on this host. Blocks.
    pub(super) fn make_network(&self, id: String, spec: NetworkSpec, created: i64) -> Result<Network> {
        if let Some(no) = self.config.no_bridges() {
            let text = format!("an engine without root has no networks of its own here: {}", no.why);
            return Err(Error::not_implemented(text).with_hint(format!("{}, and start the engine again", no.remedy)));
        }
        if spec.config_only {
            let pools = spec.ipam.pools.clone();
            return Ok(Network { id, spec, pools, created });
        }
        let spec = without_way_out(spec);
        let pools = self.pools(&spec)?;
        let network = Network { id, spec, pools, created };
        if let Err(error) = self.kernel.raise(&network) {
            self.unmake_network(&network);
            return Err(error);
        }
        Ok(network)
    }

    /// The blocks of a network: those that were asked for, or free ones; each with a gateway.
    fn pools(&self, spec: &NetworkSpec) -> Result<Vec<IpamPool>> {
        let others: Vec<Subnet> = self
            .networks
            .all()
            .iter()
            .filter(|other| other.spec.driver == Driver::Bridge && other.spec.name != spec.name)
            .flat_map(|other| other.pools.iter().map(|pool| pool.subnet))
            .collect();
        let asked = &spec.ipam.pools;
        let overlaps = |pool: &IpamPool| others.iter().any(|other| other.overlaps(pool.subnet));
        if spec.driver == Driver::Bridge && asked.iter().any(overlaps) {
            return Err(Error::denied("invalid pool request: Pool overlaps with other one on this address space"));
        }
        let among_themselves =
            |(number, pool): (usize, &IpamPool)| asked[..number].iter().any(|other| other.subnet.overlaps(pool.subnet));
        if asked.iter().enumerate().any(among_themselves) {
            return Err(Error::denied("invalid pool request: Pool overlaps with other one on this address space")
                .with_hint("two blocks of this network have addresses in common"));
        }
        let mut pools = asked.clone();
        // In Docker's order.
        pools.sort_by_key(|pool| pool.subnet.is_ipv6());
        for (ipv6, wanted) in [(false, spec.ipv4), (true, spec.ipv6)] {
            if wanted && !pools.iter().any(|pool| pool.subnet.is_ipv6() == ipv6) {
                pools.push(IpamPool::of(self.kernel.choose_block(ipv6, others.iter().copied())?));
            }
        }
        for pool in &mut pools {
            pool.gateway = Some(pool.gateway.unwrap_or_else(|| dhow_network::usual_gateway(pool)));
            auxiliary_are_free(pool)?;
        }
        Ok(pools)
    }

    /// Takes away what there is of a network on this host. Blocks. What cannot be taken away is swept by the next engine.
    pub(super) fn unmake_network(&self, network: &Network) {
        if let Err(error) = self.kernel.remove(network) {
            tracing::warn!(id = network.id, %error, "a network is not gone altogether");
        }
    }

    /// The default network has a block as long as nobody else on the host has it.
    fn make_default_usable(&self) -> Result<()> {
        let _changing = self.networks.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is there only for those that are in it stays as it is.
        let wanted = self.config.usual.bridge.is_wanted();
        let Some(network) = self.networks.named(DEFAULT).filter(|_| wanted) else { return Ok(()) };
        // The bridge of somebody else has its block itself.
        let given = matches!(self.config.usual.bridge.on, DefaultBridge::Given(_));
        let kept = if given || self.kernel.is_usable(&network)? { network.pools.clone() } else { Vec::new() };
        let is_kept = |ipv6: bool| kept.iter().any(|pool| pool.subnet.is_ipv6() == ipv6);
        if is_kept(false) >= network.spec.ipv4 && is_kept(true) >= network.spec.ipv6 {
            return Ok(());
        }
        let mut spec = network.spec.clone();
        spec.ipam.pools.retain(|pool| !is_kept(pool.subnet.is_ipv6()));
        spec.ipam.pools.splice(..0, kept.clone());
        let pools = self.pools(&spec)?;
        let network = Network { pools, ..Network::clone(&network) };
        let record = super::table::record_of(&network)?;
        self.store.metadata().set_network(&record.id, &record.network)?;
        self.networks.replace(network);
        Ok(())
    }

    /// Gives a container that starts its places in its networks. Blocks. If one fails, it has none.
    pub(crate) fn enter_networks(&self, container: &Arc<Container>, view: &View) -> Result<Attached> {
        self.enter_all(container, view).inspect_err(|_| self.leave_networks(&container.id)).context(|| SETUP)
    }

    fn enter_all(&self, container: &Arc<Container>, view: &View) -> Result<Attached> {
        let spec = &*view.spec;
        let mut places = Vec::new();
        let mut attached = Attached::default();
        for (name, endpoint) in in_order(spec) {
            // Whoever wants to be there has a loopback, as in Docker.
            if name == DEFAULT && !self.config.usual.bridge.is_wanted() {
                continue;
            }
            if name == DEFAULT && self.config.has_bridges() {
                self.make_default_usable()?;
            }
            let network = self.networks.enter(name, &container.id)?;
            if network.spec.driver.has_addresses() && self.config.has_bridges() {
                places.push(Place { network: Network::clone(&network), spec: endpoint.clone() });
            } else {
                let place = Endpoint { id: random_id(), network: network.id.clone(), ..Endpoint::default() };
                attached.endpoints.insert(name.to_owned(), place);
            }
        }
        if places.is_empty() {
            return Ok(attached);
        }
        let request = Request {
            container: &container.id,
            places,
            bindings: ports(spec)?,
            names: called(&container.id, view),
            servers: name_servers(&spec.host)?,
        };
        let connection = self.kernel.connect(&request)?;
        facts::remember(&self.run_dir(&container.id), &connection)?;
        add(&mut attached, &connection);
        Ok(attached)
    }

    /// Gives a container that runs a place in one network, and publishes its ports if they led nowhere before. Blocks.
    pub(crate) fn enter_network(
        &self,
        container: &Arc<Container>,
        name: &str,
        spec: &EndpointSpec,
    ) -> Result<Attached> {
        let network = self.networks.enter(name, &container.id)?;
        let view = container.view();
        self.join(container, &view, &network, spec)
            .inspect_err(|_| self.networks.leave(name, &container.id))
            .context(|| SETUP)?;
        self.publish_missing(&container.id, &view.spec)
            .and_then(|()| self.connection_changed(&container.id, &view.spec))
            .inspect_err(|_| drop(self.leave_network(&container.id, &view.spec, name)))
            .context(|| SETUP)?;
        if name == DEFAULT {
            self.renew_links(&self.links_to(container), container);
        }
        Ok(self.attached(&container.id))
    }

    fn join(&self, container: &Container, view: &View, network: &Network, spec: &EndpointSpec) -> Result<Connection> {
        let request = Request {
            container: &container.id,
            places: vec![Place { network: network.clone(), spec: spec.clone() }],
            bindings: Vec::new(),
            names: called(&container.id, view),
            servers: name_servers(&view.spec.host)?,
        };
        self.kernel.join(Process::of(view)?.namespace("net")?, &request)
    }

    /// Takes a container's place in one network away; and its ports, if they lead nowhere then. Blocks. Returns what it
    /// still has.
    pub(crate) fn leave_network(&self, container: &str, spec: &ContainerSpec, name: &str) -> Attached {
        if let Some(network) = self.networks.named(name).filter(|network| network.spec.driver.has_addresses()) {
            let left = self.leave_in_kernel(container, &network);
            if let Err(error) = self.connection_changed(container, spec).and(left) {
                tracing::warn!(container, network = name, %error, "a place is not given up altogether");
            }
        }
        self.networks.leave(name, container);
        self.attached(container)
    }

    fn leave_in_kernel(&self, container: &str, network: &Network) -> Result<()> {
        let left = self.kernel.leave(container, network);
        let nowhere = self.kernel.connection(container).filter(Connection::leads_nowhere);
        let given_back = nowhere.map(|connection| self.kernel.publish_less(container, &connection.published));
        left.and(given_back.transpose()).map(drop)
    }

    /// What a container that runs has of networks with addresses.
    fn attached(&self, container: &str) -> Attached {
        let mut attached = Attached::default();
        if let Some(connection) = self.kernel.connection(container) {
            add(&mut attached, &connection);
        }
        attached
    }

    /// Writes down what a container that runs has now, for the next engine and for the container itself.
    fn connection_changed(&self, container: &str, spec: &ContainerSpec) -> Result<()> {
        let connection = self.kernel.connection(container).unwrap_or_default();
        let remembered = facts::remember(&self.run_dir(container), &connection);
        crate::start::renew_names(self, container, spec).and(remembered)
    }

    /// Others find a container that runs by its new name. Blocks.
    pub(crate) fn renamed(&self, container: &str, old: &str, new: &str) {
        if self.kernel.connection(container).is_none() {
            return;
        }
        let renamed = self.kernel.rename(container, old, new);
        let known = renamed.and_then(|connection| facts::remember(&self.run_dir(container), &connection));
        if let Err(error) = known {
            tracing::warn!(container, %error, "the new name of a container is not known in its networks");
        }
    }

    /// Takes all places of a container away, also those of a start that did not come to its end. Blocks.
    pub(crate) fn leave_networks(&self, container: &str) {
        self.kernel.disconnect(container);
        facts::forget(&self.run_dir(container));
        self.networks.leave_all(container);
    }

    /// A container that runs since before this engine was started keeps what it has, and what its shim has kept for it.
    pub(crate) fn adopt_networks(&self, id: &str, view: &View, kept: Vec<(String, OwnedFd)>) -> Option<Attached> {
        let recalled = facts::recall(&self.run_dir(id)).inspect_err(|error| {
            tracing::warn!(container = id, %error, "what a container has of networks cannot be read");
            self.kernel.spare_strangers();
        });
        let mut connection = recalled.ok().flatten()?;
        // What the record asks for no more somebody else may have by now.
        if let Ok(wanted) = ports(&view.spec) {
            connection.published.retain(|it| wanted.iter().any(|binding| binding.is_met_by(it)));
        }
        let networks: Vec<Network> = self.networks.all().iter().map(|network| Network::clone(network)).collect();
        let find = || {
            let found = Process::of(view).and_then(|process| process.namespace("net"));
            found.inspect_err(|error| tracing::warn!(container = id, %error, "find a network namespace")).ok()
        };
        // Whose shim cannot be asked, of that nobody knows the first process.
        let namespace = view.link.as_ref().and_then(|_| find());
        let before = connection.clone();
        let name = view.name.clone();
        self.kernel.adopt(id, Survivor { name, namespace, connection, kept }, &networks);
        self.finish_changes(id, &view.spec, &before);
        Some(self.attached(id))
    }

    /// An engine may end between what it writes down and what it does to a container's networks. What is written down counts.
    fn finish_changes(&self, container: &str, spec: &ContainerSpec, before: &Connection) {
        for attachment in &before.attachments {
            if !spec.networking.contains_key(&attachment.network_name) {
                drop(self.leave_network(container, spec, &attachment.network_name));
            }
        }
        if let Err(error) = self.finish_publishing(container, spec) {
            tracing::warn!(container, %error, "publish what was to be published when the engine before this one ended");
        }
    }

    /// Removes what an engine before this one has left in the kernel. Blocks.
    pub(crate) fn settle_networks(&self) {
        if !self.config.has_bridges() {
            return self.kernel.settle_nothing();
        }
        // Without root the default network gets its addresses when it is first used.
        let usable = if self.config.rootless { Ok(()) } else { self.make_default_usable() };
        if let Err(error) = usable {
            tracing::warn!(%error, "the default network has no addresses yet");
        }
        let networks: Vec<Network> = self.networks.all().iter().map(|network| Network::clone(network)).collect();
        if let Err(error) = self.kernel.settle(&networks) {
            tracing::warn!(%error, "what an engine before this one has left of networks is not gone altogether");
        }
    }
}

/// Every address is somebody's alone.
fn auxiliary_are_free(pool: &IpamPool) -> Result<()> {
    let mut taken: Vec<_> = pool.gateway.into_iter().collect();
    for (name, address) in &pool.auxiliary {
        if taken.contains(address) {
            let text = format!("failed to allocate secondary ip address ({name}:{address}): Address already in use");
            return Err(Error::denied(text));
        }
        taken.push(*address);
    }
    Ok(())
}

/// A macvlan that names no parent has no way out, as in Docker.
fn without_way_out(mut spec: NetworkSpec) -> NetworkSpec {
    let named = spec.options.get(dhow_network::model::option_name::PARENT).is_some_and(|parent| !parent.is_empty());
    spec.internal |= spec.driver == Driver::Macvlan && !named;
    spec
}

/// The kernel's side of the networks of an engine with that data root.
pub(crate) fn kernel(config: &Config) -> dhow_network::Networks {
    let root = config.data_root.canonicalize().unwrap_or_else(|_| config.data_root.clone());
    let mut engine = Digest::of(root.as_os_str().as_bytes()).hex();
    engine.truncate(8);
    let mut pools = config.usual.pools();
    pools.extend(dhow_network::ipam::private_ipv6(&engine));
    let outlet = config.outlet.clone().ok().filter(|_| config.rootless);
    // Without root the networks are in a namespace of their own, whose rules are none of the host's.
    let policy = if config.rootless { FirewallPolicy::Own } else { config.firewall };
    let passed_on = outlet.is_some() || policy != FirewallPolicy::Own;
    let home = HomeSettings {
        folder: config.exec_root.join(HOLDER),
        program: PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), config.executable.as_raw_fd())),
        outlet,
        in_clients_name: policy != FirewallPolicy::None,
    };
    dhow_network::Networks::new(Settings {
        engine,
        default_bridge: DEFAULT_BRIDGE.to_owned(),
        pools,
        home,
        passed_on,
        rules: policy != FirewallPolicy::None,
        forwarding: config.forwarding || config.rootless,
    })
}

/// The main network first: its link is the first one.
fn in_order(spec: &ContainerSpec) -> Vec<(&str, &EndpointSpec)> {
    if matches!(Sharing::of(&spec.host.network_mode), Sharing::Container(_)) || spec.network_disabled {
        return Vec::new();
    }
    let main = main_network(&spec.host.network_mode);
    let mut all: Vec<(&str, &EndpointSpec)> =
        spec.networking.iter().map(|(name, endpoint)| (name.as_str(), endpoint)).collect();
    all.sort_by_key(|(name, _)| Some(*name) != main);
    all
}

/// What a container is called in every network, beside its aliases.
fn called(id: &str, view: &View) -> Vec<String> {
    let short = id.get(..12).unwrap_or(id).to_owned();
    vec![view.name.clone(), short, view.spec.hostname.clone()]
}

fn add(attached: &mut Attached, connection: &Connection) {
    for attachment in &connection.attachments {
        attached.endpoints.insert(attachment.network_name.clone(), attachment.endpoint.clone());
    }
    attached.published.clone_from(&connection.published);
    attached.published.sort();
}
