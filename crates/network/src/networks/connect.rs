//! Connecting containers, and taking that back.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::frame::FrameSocket;
use rustix::io::Errno;

use super::live::Held;
use super::{Networks, lock};
use crate::connection::{Attachment, Connection, Place, Request};
use crate::dns::Sockets;
use crate::driver::{Bridges, Raised, attach_macvlan, port_name, random_mac, sysctl};
use crate::firewall::Changes;
use crate::link::{Link, Links, Settings, announce};
use crate::model::{
    BridgeOptions, Driver, Endpoint, Mac, Network, PortBinding, Protocol, Published, Subnet, option_name,
};
use crate::ports::{Families, Reservation, reserve};
use crate::sandbox::Sandbox;

/// Where ports of SCTP can be published.
const SCTP_HINT: &str = "an engine with root publishes them, unless its ports obey the host's input policy";

impl Networks {
    /// Makes a namespace with the places and published ports that a container asks for. It stays until
    /// [`disconnect`](Self::disconnect), and as long as the container runs.
    ///
    /// # Errors
    /// In Docker's words where an address or a port is taken; what the kernel refuses. Nothing stays of it.
    pub fn connect(self: &Arc<Self>, request: &Request<'_>) -> Result<Connection> {
        self.disconnect(request.container);
        self.at_home(|| self.connect_here(request))
    }

    fn connect_here(self: &Arc<Self>, request: &Request<'_>) -> Result<Connection> {
        self.watch();
        self.expect_to_pass_on(&request.bindings);
        let held = Held {
            sandbox: Some(Sandbox::create()?),
            connection: Connection { servers: request.servers.clone(), ..Connection::default() },
            name: request.names.first().cloned().unwrap_or_default(),
            ..Held::default()
        };
        // Before it has anything: whoever restores links waits for this one.
        let held = self.containers.insert(request.container, held);
        let mut working = lock(&held);
        let built = self.build(&mut working, request);
        let connection = working.connection.clone();
        match built {
            Ok(()) => self.containers.tell(request.container, &connection),
            Err(_) => {
                drop(self.containers.remove(request.container));
                self.release(request.container, std::mem::take(&mut *working));
            }
        }
        built.map(|()| connection)
    }

    fn build(&self, held: &mut Held, request: &Request<'_>) -> Result<()> {
        for place in &request.places {
            let mut attachment = self.attach(held, place)?;
            attachment.names = names(place, &request.names);
            self.place_attached(held, attachment, place)?;
        }
        self.set_routes(held)?;
        self.publish(held, &request.bindings)?;
        self.apply(opened(&held.connection), &held.reservations)?;
        held.connection.attachments.iter().for_each(|attachment| self.announce(attachment));
        self.answer(held, request.container, None)?;
        self.wait_for_links(held)
    }

    /// Takes addresses, makes the link, and sets it up.
    pub(super) fn attach(&self, held: &Held, place: &Place) -> Result<Attachment> {
        let network = &place.network;
        let raised = self.raised(network)?;
        let live = self.live(network);
        let (ipv4, ipv6) = lock(&live).take(&place.spec)?;
        let prefix = |ipv6| network.pool(ipv6).map_or(0, |pool| pool.subnet.prefix());
        let gateway = |ipv6| network.pool(ipv6).and_then(|pool| pool.gateway).filter(|_| !network.spec.internal);
        let id = dhow_sys::random::id();
        let interface = interface_name(held, network, place, raised.as_ref());
        Ok(Attachment {
            endpoint: Endpoint {
                network: network.id.clone(),
                interface,
                mac: Some(place.spec.mac.unwrap_or_else(|| mac_of(ipv4))),
                ipv4: ipv4.map(|address| (address, prefix(false))),
                ipv6: ipv6.map(|address| (address, prefix(true))),
                gateway4: gateway(false).and_then(|address| if let IpAddr::V4(it) = address { Some(it) } else { None }),
                gateway6: gateway(true).and_then(|address| if let IpAddr::V6(it) = address { Some(it) } else { None }),
                id: id.clone(),
            },
            port: raised.map_or_else(String::new, |_| port_name(&id)),
            priority: place.spec.gateway_priority,
            network_name: network.name().to_owned(),
            names: Vec::new(),
            links: place.spec.own_names(),
            link_local: place.spec.link_local.clone(),
            sysctls: place.spec.sysctls()?,
        })
    }

    /// Makes the link of a place whose addresses are taken; from here on they belong to what is held.
    pub(super) fn place_attached(&self, held: &mut Held, attachment: Attachment, place: &Place) -> Result<()> {
        held.connection.attachments.push(attachment);
        let attachment = held.connection.attachments.last().ok_or_else(|| Error::internal("no place"))?;
        let sandbox = held.sandbox.as_ref().ok_or_else(|| Error::internal("no network namespace"))?;
        let name = &attachment.endpoint.interface;
        if sandbox.links().named(name).is_ok() {
            let text =
                format!("error renaming interface to {name}: file exists: the container has such a network link");
            return Err(Error::conflict(text)
                .with_hint(format!("another name can be asked for with the option {}", option_name::INTERFACE_NAME)));
        }
        match place.network.spec.driver {
            Driver::Bridge => self.attach_to_bridge(attachment, &place.network, sandbox)?,
            Driver::Macvlan => {
                attach_macvlan(&place.network, &self.bridges.alias(&place.network), &attachment.endpoint, sandbox)?;
            }
            driver => return Err(Error::not_implemented(format!("networks of the driver {driver} cannot be joined"))),
        }
        furnish(sandbox, attachment)
    }

    /// The bridge may have been removed behind our back: then it is made again, once.
    fn attach_to_bridge(&self, attachment: &Attachment, network: &Network, sandbox: &Sandbox) -> Result<()> {
        let bridge = self.raised(network)?.ok_or_else(|| Error::internal("no bridge"))?;
        let Err(error) = Bridges::attach(&bridge, &attachment.port, &attachment.endpoint, sandbox) else {
            return Ok(());
        };
        if Links::open()?.named(&bridge.name).is_ok_and(|link| link.index == bridge.index) {
            return Err(error);
        }
        lock(&self.live(network)).raised = None;
        let bridge = self.raised(network)?.ok_or_else(|| Error::internal("no bridge"))?;
        Bridges::attach(&bridge, &attachment.port, &attachment.endpoint, sandbox)
    }

    /// Sends what goes nowhere else to the gateway of the one place that is for that.
    pub(super) fn set_routes(&self, held: &Held) -> Result<()> {
        let Some(sandbox) = &held.sandbox else { return Ok(()) };
        for ipv6 in [false, true] {
            let Some(out) = held.connection.way_out(ipv6) else { continue };
            let gateway4 = out.endpoint.gateway4.map(IpAddr::V4).filter(|_| !ipv6);
            let gateway = gateway4.or(out.endpoint.gateway6.map(IpAddr::V6).filter(|_| ipv6));
            let Some(gateway) = gateway else { continue };
            let index = sandbox.links().named(&out.endpoint.interface)?.index;
            let set = sandbox.links().set(|settings| {
                settings.default_route(index, gateway);
            });
            match set {
                // A container may do without IPv6 by its own wish (`disable_ipv6`); its links have no address of it then.
                Err(error) if ipv6 && error.os_error() == Some(Errno::HOSTUNREACH.raw_os_error()) => {}
                set => set?,
            }
        }
        Ok(())
    }

    fn publish(&self, held: &mut Held, bindings: &[PortBinding]) -> Result<()> {
        held.reservations = self.reserve(held, bindings)?;
        held.connection.add_published(&held.reservations);
        Ok(())
    }

    /// Starts the holder beside everything else: nearly every port that names no address needs it, for IPv6.
    fn expect_to_pass_on(self: &Arc<Self>, bindings: &[PortBinding]) {
        if self.home.opened().is_some() || bindings.iter().all(|binding| binding.host_address.is_some()) {
            return;
        }
        let networks = Arc::clone(self);
        // Whoever needs it waits for it, or tries again and says what is wrong.
        let start = move || drop(networks.home.get());
        drop(std::thread::Builder::new().name("expect".to_owned()).stack_size(512 << 10).spawn(start));
    }

    /// Takes ports of the host for a container.
    pub(super) fn reserve(&self, held: &Held, bindings: &[PortBinding]) -> Result<Vec<Reservation>> {
        if let Some(binding) = bindings.iter().find(|it| self.settings.passed_on && it.port.protocol == Protocol::Sctp)
        {
            let text = format!("port {} cannot be published: SCTP is not passed on", binding.port);
            return Err(refused_port(Error::not_implemented(text).with_hint(SCTP_HINT), held));
        }
        let take = |protocol, address| self.bind(protocol, address);
        reserve(bindings, self.families(&held.connection), &take, |published| self.owner(published))
            .map_err(|error| refused_port(error, held))
    }

    /// For which families ports can be published: those in which a bridge is the way out.
    fn families(&self, connection: &Connection) -> Families {
        let way = |ipv6| connection.way_out(ipv6).filter(|attachment| !attachment.port.is_empty());
        let binding = way(false).and_then(|attachment| {
            let live = lock(&self.live).get(&attachment.endpoint.network).cloned()?;
            let options = BridgeOptions::parse(&lock(&live).network.spec.options).ok()?;
            // Docker's word for "all", of both families.
            options.host_binding.filter(|address| *address != IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        });
        Families { ipv4: way(false).is_some(), ipv6: way(true).is_some(), binding }
    }

    /// Which container has a port of the host.
    fn owner(&self, wanted: Published) -> Option<String> {
        self.containers.find(|id, connection| {
            let has_it = connection.published.iter().any(|published| published.has_port_of(&wanted));
            has_it.then(|| id.get(..12).unwrap_or(id).to_owned())
        })
    }

    /// Lets others find it by its names, and it others by theirs.
    pub(super) fn answer(&self, held: &mut Held, container: &str, kept: Option<Sockets>) -> Result<()> {
        let whom = held.connection.whom_to_ask();
        let Some(sandbox) = held.sandbox.as_ref().filter(|_| !whom.networks.is_empty()) else { return Ok(()) };
        match &held.resolver {
            Some(resolver) => resolver.ask(whom),
            None => held.resolver = Some(crate::dns::start(sandbox, kept, Arc::clone(&self.directory), whom)?),
        }
        held.make_known(container, &self.directory);
        Ok(())
    }

    /// Its neighbours may remember somebody else. From here on nobody can say that it is another one.
    pub(super) fn announce(&self, attachment: &Attachment) {
        let live = lock(&self.live).get(&attachment.endpoint.network).cloned();
        let bridge = live.and_then(|live| lock(&live).raised.clone());
        let frames = self.frames.get_or_init(|| {
            let opened = FrameSocket::open();
            opened.inspect_err(|error| tracing::warn!(%error, "addresses of containers cannot be announced")).ok()
        });
        let (Some(bridge), Some(frames), Some(mac)) = (bridge, frames, attachment.endpoint.mac) else { return };
        let told = Links::open().and_then(|links| {
            let mut addresses = attachment.addresses().into_iter();
            addresses.try_for_each(|address| announce(frames, &links, bridge.index, mac, address))
        });
        if let Err(error) = told {
            tracing::debug!(%error, network = attachment.network_name, "tell a network of a new address");
        }
    }

    /// What a container sends first is not to get lost.
    pub(super) fn wait_for_links(&self, held: &Held) -> Result<()> {
        let Some(sandbox) = &held.sandbox else { return Ok(()) };
        let host = Links::open()?;
        for attachment in held.connection.attachments.iter().filter(|attachment| !attachment.port.is_empty()) {
            sandbox.links().wait_for(&attachment.endpoint.interface)?;
            host.wait_for(&attachment.port)?;
            let live = lock(&self.live).get(&attachment.endpoint.network).cloned();
            if let Some(bridge) = live.and_then(|live| lock(&live).raised.clone()) {
                host.wait_for(&bridge.name)?;
            }
        }
        Ok(())
    }

    /// Takes everything back that a container has. Its namespace goes with its last process.
    pub fn disconnect(&self, container: &str) {
        let Some(held) = self.containers.remove(container) else { return };
        let released = self.at_home(|| {
            self.release(container, std::mem::take(&mut *lock(&held)));
            Ok(())
        });
        if let Err(error) = released {
            tracing::warn!(%error, container, "take back what a container has of networks");
        }
    }

    /// Where a runtime finds the namespace of a container.
    #[must_use]
    pub fn path(&self, container: &str) -> Option<PathBuf> {
        let held = self.containers.get(container)?;
        lock(&held).sandbox.as_ref().map(Sandbox::path)
    }

    /// What is to be kept for a container by somebody who outlives this engine, for [`adopt`](Self::adopt): descriptors
    /// by name.
    #[must_use]
    pub fn keepsakes(&self, container: &str) -> Vec<(&'static str, OwnedFd)> {
        let Some(held) = self.containers.get(container) else { return Vec::new() };
        let kept = lock(&held).resolver.as_ref().map(crate::dns::Resolver::keepsakes).transpose();
        kept.inspect_err(|error| tracing::warn!(%error, container, "questions for names are lost with this engine"))
            .unwrap_or_default()
            .unwrap_or_default()
    }

    /// What a container has.
    #[must_use]
    pub fn connection(&self, container: &str) -> Option<Connection> {
        self.containers.connection(container)
    }

    pub(super) fn release(&self, container: &str, held: Held) {
        let Held { sandbox, connection, reservations, resolver, .. } = held;
        for attachment in &connection.attachments {
            self.directory.remove(&attachment.endpoint.network, container, &attachment.addresses());
        }
        drop(resolver);
        let opened = opened(&connection);
        let closed = Changes { gone: opened.come, closed: opened.opened, ..Changes::default() };
        if let Err(error) = self.apply(closed, &[]) {
            tracing::warn!(%error, container, "close the firewall behind a container");
        }
        let ports = connection.attachments.iter().map(|attachment| &attachment.port);
        ports.filter(|port| !port.is_empty()).for_each(|port| silence(port));
        drop::<Vec<Reservation>>(reservations);
        drop(sandbox);
        for attachment in &connection.attachments {
            let live = lock(&self.live).get(&attachment.endpoint.network).cloned();
            if let Some(live) = live {
                lock(&live).give_back(attachment);
            }
        }
    }
}

/// Settings of the kernel for a link, which count from its first packet on.
fn set_sysctls(sandbox: &Sandbox, attachment: &Attachment) -> Result<()> {
    let Attachment { endpoint: Endpoint { interface, ipv6, .. }, link_local, sysctls, .. } = attachment;
    let with_ipv6 = ipv6.is_some() || link_local.iter().any(IpAddr::is_ipv6);
    if sysctls.is_empty() && !with_ipv6 {
        return Ok(());
    }
    sandbox.inside(|| {
        if with_ipv6 {
            sysctl::write(&format!("ipv6/conf/{interface}/disable_ipv6"), "0")?;
        }
        sysctls.iter().try_for_each(|it| set_sysctl(&it.path(interface), &it.value))
    })
}

/// The kernel's own words for what is not there are those of a program that is not there, to clients.
fn set_sysctl(path: &str, value: &str) -> Result<()> {
    sysctl::write(path, value).map_err(|error| match error.os_error() {
        Some(number) if number == Errno::NOENT.raw_os_error() => {
            Error::invalid(format!("the kernel has no setting /proc/sys/net/{path}"))
        }
        _ => error,
    })
}

/// Gives the link of a place in a sandbox its settings and its addresses, and takes it up.
pub(super) fn furnish(sandbox: &Sandbox, attachment: &Attachment) -> Result<()> {
    let endpoint = &attachment.endpoint;
    set_sysctls(sandbox, attachment)?;
    let Link { index, mtu, .. } = sandbox.links().named(&endpoint.interface)?;
    let ipv4 = endpoint.ipv4.map(|(address, prefix)| (IpAddr::V4(address), prefix));
    let ipv6 = endpoint.ipv6.map(|(address, prefix)| (IpAddr::V6(address), prefix));
    let further = attachment.link_local.iter().map(|&address| (address, if address.is_ipv6() { 64 } else { 16 }));
    let addresses: Vec<Subnet> =
        ipv4.into_iter().chain(ipv6).chain(further).filter_map(|(it, prefix)| Subnet::new(it, prefix)).collect();
    let settle = |settings: &mut Settings| {
        addresses.iter().for_each(|&subnet| {
            settings.address(index, subnet);
        });
        settings.up(index, Some(mtu), endpoint.ipv6.is_some());
    };
    let set = sandbox.links().set(settle);
    set.context(|| format!("set up {} in network {}", endpoint.interface, attachment.network_name))
}

/// What the firewall is to have for a container.
pub(super) fn opened(connection: &Connection) -> Changes {
    let come = connection.attachments.iter().filter_map(Attachment::member).collect();
    Changes { come, opened: connection.redirects(), ..Changes::default() }
}

/// Keeps what is left of a container from answering for an address that somebody else may have next: the kernel removes
/// namespaces when it finds the time.
fn silence(port: &str) {
    if let Err(error) = Links::open().and_then(|links| links.disable_port(port)) {
        tracing::debug!(%error, port, "disable the link of a container that has ended");
    }
}

/// What others call a container in a network: nothing in the default one.
pub(super) fn names(place: &Place, common: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let [first, rest @ ..] = common else { return names };
    if place.network.is_predefined() {
        return names;
    }
    let aliases = place.spec.aliases.iter().flatten();
    for name in std::iter::once(first).chain(aliases).chain(rest).filter(|name| !name.is_empty()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Docker's words around a port that cannot be had.
fn refused_port(error: Error, held: &Held) -> Error {
    let Held { name, connection, .. } = held;
    let endpoint =
        connection.way_out(false).or(connection.way_out(true)).map(|attachment| attachment.endpoint.id.as_str());
    let endpoint = endpoint.unwrap_or_default();
    error.context(format!("driver failed programming external connectivity on endpoint {name} ({endpoint})"))
}

/// As Docker does: the prefix of the network, and the first number that is free.
fn interface_name(held: &Held, network: &Network, place: &Place, raised: Option<&Raised>) -> String {
    if let Some(name) = place.spec.option(option_name::INTERFACE_NAME) {
        return name.to_owned();
    }
    let prefix = raised.map(|raised| raised.options.interface_prefix.clone());
    let prefix =
        prefix.unwrap_or_else(|| BridgeOptions::parse(&network.spec.options).unwrap_or_default().interface_prefix);
    let used: Vec<u32> = held.connection.attachments.iter().filter_map(Attachment::number).collect();
    let number = (0..).find(|number| !used.contains(number)).unwrap_or_default();
    format!("{prefix}{number}")
}

/// Made of the address, as Docker did for long: whoever has an address next has its hardware address, too, so that no
/// neighbour's memory is wrong.
fn mac_of(address: Option<Ipv4Addr>) -> Mac {
    match address.map(|address| address.octets()) {
        Some([a, b, c, d]) => Mac([0x02, 0x42, a, b, c, d]),
        None => random_mac(),
    }
}
