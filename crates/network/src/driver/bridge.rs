//! Networks that are bridges of the host.

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::AsFd;

use dhow_errdefs::{Class, Error, Result, ResultExt};

use super::sysctl;
use crate::firewall::{Firewall, Zone};
use crate::link::{Bridge, Link, Links, Veth};
use crate::model::option_name::BRIDGE_NAME;
use crate::model::{BridgeOptions, DEFAULT, Driver, Endpoint, Mac, Network, Subnet};
use crate::sandbox::Sandbox;

/// What the host's end of a container's link is called: this, and the first digits of the endpoint's id.
const PORT: &str = "veth";
const PORT_DIGITS: usize = 11;

/// What the alias of every link begins with that an engine of ours has made.
const OURS: &str = "dhow ";

/// The bridge of a network, as far as it was found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raised {
    pub name: String,
    pub index: u32,
    pub options: BridgeOptions,
}

/// Makes bridges and links to them, for one engine.
#[derive(Debug)]
pub(crate) struct Bridges {
    /// Told apart by this from those of other engines.
    engine: String,
    /// What the bridge of the default network is called.
    default_name: String,
    /// The host may be told to pass packets on.
    forwarding: bool,
}

impl Bridges {
    pub(crate) fn new(engine: String, default_name: String, forwarding: bool) -> Self {
        Self { engine, default_name, forwarding }
    }

    /// Makes the bridge of a network true, with its addresses and its guard, whatever of it is there.
    pub(crate) fn raise(&self, network: &Network, firewall: &Firewall) -> Result<Raised> {
        let options = BridgeOptions::parse(&network.spec.options)?;
        let links = Links::open()?;
        let link = self.find_or_make(&links, network, &options)?;
        let name = link.name.clone();
        let addresses = gateways(network, &options);
        let present = links.addresses()?;
        links.set(|settings| {
            for &subnet in &addresses {
                if !present.iter().any(|there| there.index == link.index && there.subnet == subnet) {
                    settings.address(link.index, subnet);
                }
            }
            if !link.up {
                settings.up(link.index, Some(link.mtu), network.spec.ipv6);
            }
        })?;
        routing(network, &name, self.forwarding && !network.spec.internal)?;
        let link_local = link.mac.filter(|_| network.spec.ipv6).map(|mac| IpAddr::V6(mac.link_local()));
        let own = addresses.iter().map(|subnet| subnet.address()).chain(link_local);
        firewall.add_zone(Zone {
            bridge: name.clone(),
            subnets: network.pools.iter().map(|pool| pool.subnet).collect(),
            gateways: own.collect(),
            internal: network.spec.internal,
            masquerade: options.masquerade,
            outward: options.host_ipv4.map(IpAddr::V4).into_iter().chain(options.host_ipv6.map(IpAddr::V6)).collect(),
            icc: options.icc,
        })?;
        Ok(Raised { name, index: link.index, options })
    }

    fn find_or_make(&self, links: &Links, network: &Network, options: &BridgeOptions) -> Result<Link> {
        let (fitting, left): (Vec<Link>, Vec<Link>) =
            self.made(links, network)?.into_iter().partition(|link| fits(network, link));
        // Before the bridge is set up: it may get an address that this one has.
        left.iter().try_for_each(|link| remove_empty(links, link))?;
        if let Some(link) = fitting.into_iter().next() {
            return Ok(link);
        }
        let names = names(network, options, &self.default_name);
        let mut taken = None;
        for name in &names {
            match links.named(name) {
                // A bridge that somebody has prepared and named is used, and stays.
                Ok(link) if options.name.is_some() && link.bridge && !is_of_an_engine(&link) => return Ok(link),
                Ok(link) => taken = Some(link),
                Err(error) if error.class() == Class::NotFound => return self.make(links, network, options, name),
                Err(error) => return Err(error),
            }
        }
        Err(taken.map_or_else(|| Error::internal("a bridge without a name"), |link| self.refusal(&link)))
    }

    /// Refuses a bridge of the host that an engine of ours has made, unless it is for this very network.
    pub(crate) fn check_given(&self, link: &Link, network: &Network) -> Result<()> {
        let free = !is_of_an_engine(link) || link.alias == self.alias(network);
        if free { Ok(()) } else { Err(self.refusal(link)) }
    }

    fn refusal(&self, taken: &Link) -> Error {
        if let Some(other) = taken.alias.strip_prefix(&self.marker()) {
            return Error::conflict(format!("the bridge {} is that of network {other}", taken.name))
                .with_hint("give this one another name");
        }
        let owner = if taken.alias.is_empty() { "somebody else" } else { taken.alias.as_str() };
        Error::conflict(format!("the host's link {} belongs to {owner}", taken.name))
            .with_hint("remove that link, or give the bridge another name")
    }

    fn make(&self, links: &Links, network: &Network, options: &BridgeOptions, name: &str) -> Result<Link> {
        links.make_bridge(&Bridge {
            name,
            alias: &self.alias(network),
            mac: bridge_mac(network),
            mtu: options.mtu,
            ipv6: network.spec.ipv6,
        })?;
        links.named(name)
    }

    /// What we have made for a network: its bridge, and one that it had before it was put on another.
    fn made(&self, links: &Links, network: &Network) -> Result<Vec<Link>> {
        let alias = self.alias(network);
        Ok(links.all()?.into_iter().filter(|link| link.alias == alias).collect())
    }

    /// The bridge of a network, if we have made it.
    fn find(&self, links: &Links, network: &Network) -> Result<Option<Link>> {
        Ok(self.made(links, network)?.into_iter().find(|link| fits(network, link)))
    }

    /// Whether the bridge of a network is there, as one of ours.
    pub(crate) fn is_there(&self, network: &Network) -> Result<bool> {
        Ok(self.find(&Links::open()?, network)?.is_some())
    }

    /// Removes the link that those of a network without a bridge are on, if we have made it.
    pub(crate) fn remove_parent(&self, network: &Network) -> Result<()> {
        let links = Links::open()?;
        self.find(&links, network)?.map_or(Ok(()), |link| links.remove(link.index))
    }

    /// Removes the bridge of a network, unless somebody else has made it. Tells its name, also where it was not there.
    pub(crate) fn remove(&self, network: &Network, firewall: &Firewall) -> (Option<String>, Result<()>) {
        let options = BridgeOptions::parse(&network.spec.options);
        let found = Links::open().and_then(|links| Ok((self.made(&links, network)?, links)));
        let named = options.ok().and_then(|options| names(network, &options, &self.default_name).into_iter().next());
        let (ours, removed) = match found {
            Ok((ours, links)) => {
                let removed = ours.iter().try_for_each(|link| links.remove(link.index));
                (ours, removed)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let name = ours.into_iter().find(|link| fits(network, link)).map(|link| link.name).or(named);
        let forgotten = name.as_ref().map_or(Ok(()), |name| firewall.remove_zone(name));
        (name, removed.and(forgotten))
    }

    /// Removes links of this engine that belong to none of these networks, and bridges that one of these has left.
    pub(crate) fn sweep(&self, networks: &[&Network]) -> Result<()> {
        let links = Links::open()?;
        let ours = self.marker();
        for link in links.all()?.iter().filter(|link| link.alias.starts_with(&ours)) {
            match networks.iter().find(|network| self.alias(network) == link.alias) {
                None => links.remove(link.index)?,
                Some(network) if !fits(network, link) => remove_empty(&links, link)?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The bridge that any of these links to containers is on.
    pub(crate) fn bridge_of(ports: &[String]) -> Result<Option<String>> {
        let all = Links::open()?.all()?;
        let master = all.iter().filter(|link| ports.contains(&link.name)).find_map(|link| link.master);
        Ok(all.into_iter().find(|link| Some(link.index) == master).map(|link| link.name))
    }

    /// Removes links to containers that nobody has: those of a start or a connect that did not come to its end.
    pub(crate) fn sweep_ports(&self, held: &HashSet<String>) -> Result<()> {
        let links = Links::open()?;
        let all = links.all()?;
        let ours = self.marker();
        let bridges: HashSet<u32> =
            all.iter().filter(|link| link.alias.starts_with(&ours)).map(|link| link.index).collect();
        let is_ours = |link: &&Link| link.master.is_some_and(|master| bridges.contains(&master)) && is_port(&link.name);
        let mut done = Ok(());
        for link in all.iter().filter(is_ours).filter(|link| !held.contains(&link.name)) {
            done = done.and(links.remove(link.index));
        }
        done
    }

    /// Makes a link into a sandbox; the near end is called `port`.
    pub(crate) fn attach(bridge: &Raised, port: &str, endpoint: &Endpoint, sandbox: &Sandbox) -> Result<()> {
        let links = Links::open()?;
        links
            .make_veth(&Veth {
                name: port,
                bridge: bridge.index,
                peer: &endpoint.interface,
                peer_mac: endpoint.mac.unwrap_or_else(random_mac),
                namespace: sandbox.as_fd(),
                mtu: bridge.options.mtu,
                isolated: !bridge.options.icc,
            })
            .context(|| format!("join the bridge {}", bridge.name))
    }

    /// What tells that a link is of a network of this engine.
    pub(crate) fn alias(&self, network: &Network) -> String {
        format!("{}{}", self.marker(), network.short_id())
    }

    /// What the alias of every link of this engine begins with.
    fn marker(&self) -> String {
        format!("{OURS}{} ", self.engine)
    }
}

/// Others may describe their links as they like.
fn is_of_an_engine(link: &Link) -> bool {
    link.alias.starts_with(OURS)
}

/// Whether a link that we have made for a network is what that network is on now: its bridge may have got another name since.
fn fits(network: &Network, link: &Link) -> bool {
    let named = network.spec.options.get(BRIDGE_NAME).filter(|name| !name.is_empty());
    network.spec.driver != Driver::Bridge || named.is_none_or(|name| *name == link.name)
}

/// Removes a bridge that its network has left, unless somebody is on it.
fn remove_empty(links: &Links, bridge: &Link) -> Result<()> {
    if links.all()?.iter().any(|link| link.master == Some(bridge.index)) {
        tracing::warn!(bridge = bridge.name, "a bridge that its network has left stays: there are links on it");
        return Ok(());
    }
    links.remove(bridge.index)
}

/// What the port of an endpoint is called.
pub(crate) fn port_name(endpoint: &str) -> String {
    format!("{PORT}{}", &endpoint[..PORT_DIGITS])
}

/// Whether a link may be a port of ours, and not one that somebody else has put into the bridge.
fn is_port(name: &str) -> bool {
    let digits = name.strip_prefix(PORT).unwrap_or_default();
    digits.len() == PORT_DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What the bridge of a network may be called. Several engines on a host each have a default network.
fn names(network: &Network, options: &BridgeOptions, default_name: &str) -> Vec<String> {
    match &options.name {
        Some(name) => vec![name.clone()],
        None if network.name() == DEFAULT => {
            let stem = default_name.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let others = (1..100).map(|number| format!("{stem}{number}")).filter(|name| name != default_name);
            std::iter::once(default_name.to_owned()).chain(others).collect()
        }
        None => vec![format!("br-{}", network.short_id())],
    }
}

/// The bridge's own addresses, by which containers leave.
fn gateways(network: &Network, options: &BridgeOptions) -> Vec<Subnet> {
    let gateway = |pool: &crate::model::IpamPool| Subnet::new(pool.gateway?, pool.subnet.prefix());
    let wanted = |subnet: &Subnet| subnet.is_ipv6() || !options.inhibit_ipv4;
    network.pools.iter().filter_map(gateway).filter(wanted).collect()
}

/// Lets the host pass packets on, and ports published on its loopback lead into the bridge.
fn routing(network: &Network, bridge: &str, forwarding: bool) -> Result<()> {
    let hint = "the engine needs to write /proc/sys/net";
    let set = |name: &str| sysctl::set(name, "1").map_err(|error| error.with_hint(hint));
    if forwarding && set("ipv4/ip_forward")? {
        tracing::warn!("packets are passed on between the host's networks from now on (net.ipv4.ip_forward = 1)");
    }
    set(&format!("ipv4/conf/{bridge}/route_localnet"))?;
    if network.spec.ipv6 {
        sysctl::set(&format!("ipv6/conf/{bridge}/disable_ipv6"), "0")?;
        if forwarding && set("ipv6/conf/all/forwarding")? {
            tracing::warn!("packets of IPv6 are passed on from now on (net.ipv6.conf.all.forwarding = 1)");
        }
    }
    Ok(())
}

/// The same whenever the bridge is made again: its neighbours remember it.
fn bridge_mac(network: &Network) -> Mac {
    let byte =
        |number: usize| network.id.get(2 * number..2 * number + 2).and_then(|it| u8::from_str_radix(it, 16).ok());
    let bytes: Option<Vec<u8>> = (0..5).map(byte).collect();
    match bytes.as_deref() {
        Some(&[a, b, c, d, e]) => Mac([0x02, a, b, c, d, e]),
        _ => random_mac(),
    }
}

/// An address that nobody was given by a manufacturer.
pub(crate) fn random_mac() -> Mac {
    let mut bytes: [u8; 6] = std::array::from_fn(|_| fastrand::u8(..));
    bytes[0] = bytes[0] & 0xfc | 0x02;
    Mac(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_known_by_their_names() {
        let name = port_name(&dhow_sys::random::id());
        assert!(is_port(&name) && name.len() == 15, "{name}");
        for other in ["veth0", "veth1pl4242", "vethABCDEF01234", "vnet1234567890a", "veth0123456789ab"] {
            assert!(!is_port(other), "{other}");
        }
    }
}
