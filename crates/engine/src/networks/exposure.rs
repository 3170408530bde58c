//! What is reachable from where, and why.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_network::Connection;
use dhow_network::model::{BridgeOptions, Driver, Network, Protocol, Published, Subnet};

use super::sockets;
use crate::container::{Container, View};
use crate::core::Core;
use crate::engine::blocking;
use crate::launch::Sharing;
use crate::{Engine, FirewallPolicy};

/// One way to a container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The container's id.
    pub container: Arc<str>,
    /// Its name.
    pub name: String,
    /// What kind of way it is.
    pub way: Way,
    /// Where one has to knock: `0.0.0.0:8080/tcp`, or an address alone, which stands for all its ports.
    pub at: String,
    /// Where that leads in the container; empty where it is the same.
    pub to: String,
    /// The network; empty for sockets of the host.
    pub network: String,
    /// Who may come; empty: nobody.
    pub from: Vec<String>,
    /// Why so.
    pub why: String,
}

/// Kinds of ways to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A published port.
    Published,
    /// A port that was to be published and leads nowhere.
    Closed,
    /// Its place in a network.
    Network,
    /// A socket of a container in the host's network.
    Host,
}

impl Way {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Closed => "closed",
            Self::Network => "network",
            Self::Host => "host",
        }
    }
}

/// Who may come, in words.
const EVERYBODY: &str = "everybody";
const THIS_HOST: &str = "this host";

impl Engine {
    /// All ways to all containers that run, by the containers' names.
    ///
    /// # Errors
    /// Only if the engine ends meanwhile.
    pub async fn exposure(&self) -> Result<Vec<Exposure>> {
        let core = Arc::clone(&self.core);
        blocking(move || Ok(core.exposure())).await
    }
}

impl Core {
    fn exposure(&self) -> Vec<Exposure> {
        let containers: Vec<_> = self.containers().all().map(|it| (Arc::clone(it), it.view())).collect();
        let mut running: Vec<_> = containers.into_iter().filter(|(_, view)| view.state().is_running()).collect();
        running.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        running.iter().flat_map(|(container, view)| self.ways_to(container, view)).collect()
    }

    fn ways_to(&self, container: &Arc<Container>, view: &View) -> Vec<Exposure> {
        match Sharing::of(&view.spec.host.network_mode) {
            Sharing::Host => return self.host_sockets(container, view),
            Sharing::Container(other) => {
                let other =
                    self.containers().find(other).map_or_else(|_| other.to_owned(), |it| it.view().name.clone());
                let from = vec![format!("whoever reaches {other}")];
                let why = format!("it has the network of container {other}");
                return vec![Exposure { from, why, ..blank(container, view, Way::Network) }];
            }
            Sharing::Own => {}
        }
        let Some(connection) = self.kernel.connection(&container.id) else { return Vec::new() };
        let published = self.published(container, view, &connection);
        let closed = closed(container, view, &connection);
        published.into_iter().chain(closed).chain(self.places(container, view, &connection)).collect()
    }

    fn published(&self, container: &Container, view: &View, connection: &Connection) -> Vec<Exposure> {
        let way = |published: &Published| {
            let target = connection.target(published);
            let network = connection.way_out(published.host_address.is_ipv6()).or(connection.way_out(false));
            let at = SocketAddr::new(published.host_address, published.host_port);
            let (from, why) = who_may_come(published, &connection.allowed(*published), self.config.firewall);
            Exposure {
                at: format!("{at}/{}", published.port.protocol),
                to: target.map(|target| SocketAddr::new(target, published.port.number).to_string()).unwrap_or_default(),
                network: network.map(|network| network.network_name.clone()).unwrap_or_default(),
                from,
                why,
                ..blank(container, view, Way::Published)
            }
        };
        connection.published.iter().map(way).collect()
    }

    /// What its networks let others do.
    fn places(&self, container: &Container, view: &View, connection: &Connection) -> Vec<Exposure> {
        let place = |attachment: &dhow_network::Attachment| {
            let network = self.networks.named(&attachment.network_name)?;
            let addresses: Vec<String> = attachment.addresses().iter().map(IpAddr::to_string).collect();
            let (from, why) = neighbours(&network, self.config.firewall);
            Some(Exposure {
                at: addresses.join(", "),
                network: attachment.network_name.clone(),
                from,
                why,
                ..blank(container, view, Way::Network)
            })
        };
        connection.attachments.iter().filter_map(place).collect()
    }

    fn host_sockets(&self, container: &Container, view: &View) -> Vec<Exposure> {
        let why = "it is in the host's network: the host's own rules alone decide";
        let socket = |(protocol, address): (Protocol, SocketAddr)| {
            let from = if address.ip().is_loopback() { THIS_HOST } else { EVERYBODY };
            Exposure {
                at: format!("{address}/{protocol}"),
                from: vec![from.to_owned()],
                why: why.to_owned(),
                ..blank(container, view, Way::Host)
            }
        };
        sockets::of(&self.processes(container, view)).into_iter().map(socket).collect()
    }
}

fn blank(container: &Container, view: &View, way: Way) -> Exposure {
    Exposure {
        container: Arc::clone(&container.id),
        name: view.name.clone(),
        way,
        at: String::new(),
        to: String::new(),
        network: String::new(),
        from: Vec::new(),
        why: String::new(),
    }
}

/// Ports that were asked for and are nowhere published.
fn closed(container: &Container, view: &View, connection: &Connection) -> Vec<Exposure> {
    let is_open = |port: &str| connection.published.iter().any(|published| published.port.to_string() == port);
    let gone = view.spec.host.port_bindings.iter().filter(|(port, bindings)| !bindings.is_empty() && !is_open(port));
    let why = "none of its networks has a way for it: they are internal, or no bridges, or have no such addresses";
    gone.map(|(port, _)| Exposure { to: port.clone(), why: why.to_owned(), ..blank(container, view, Way::Closed) })
        .collect()
}

/// Who may come to a published port, and why.
fn who_may_come(published: &Published, allowed: &[Subnet], firewall: FirewallPolicy) -> (Vec<String>, String) {
    let address = published.host_address;
    if address.is_loopback() {
        return (vec![THIS_HOST.to_owned()], "published at the loopback".to_owned());
    }
    let mut why = if allowed.is_empty() { "published".to_owned() } else { "published with from=".to_owned() };
    why += match firewall {
        FirewallPolicy::Own => "; the host's rules for what comes in are not asked",
        FirewallPolicy::RespectHost => "; the host's rules for what comes in decide, too (firewall = respect-host)",
        FirewallPolicy::None => "; the host's rules for what comes in decide, too (firewall = none)",
    };
    let from = if allowed.is_empty() {
        let everybody =
            if address.is_unspecified() { EVERYBODY.to_owned() } else { format!("whoever reaches {address}") };
        vec![everybody]
    } else {
        std::iter::once(THIS_HOST.to_owned()).chain(allowed.iter().map(Subnet::to_string)).collect()
    };
    (from, why)
}

/// Who reaches all ports of a container in a network, and why.
fn neighbours(network: &Network, firewall: FirewallPolicy) -> (Vec<String>, String) {
    let name = network.name();
    if network.spec.driver != Driver::Bridge {
        let parent = network.spec.options.get(dhow_network::model::option_name::PARENT).cloned().unwrap_or_default();
        return if parent.is_empty() {
            (vec![format!("containers in {name}")], format!("driver {} without a parent", network.spec.driver))
        } else {
            let why = format!("driver {}: it has an address of its own beyond {parent}", network.spec.driver);
            (vec![format!("whoever reaches it by {parent}")], why)
        };
    }
    if firewall == FirewallPolicy::None {
        let why = "its address in a bridge; no rule keeps anybody away (firewall = none)".to_owned();
        return (vec!["whoever has a way to this host".to_owned()], why);
    }
    let mut from = vec![THIS_HOST.to_owned()];
    let mut why = "its address in a bridge".to_owned();
    if BridgeOptions::parse(&network.spec.options).is_ok_and(|options| options.icc) {
        from.insert(0, format!("containers in {name}"));
    } else {
        why += "; containers there do not reach each other (enable_icc is off)";
    }
    if network.spec.internal {
        why += "; internal: nobody else, and it reaches nobody else";
    }
    (from, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(address: &str) -> Published {
        Published { port: "80/tcp".parse().unwrap(), host_address: address.parse().unwrap(), host_port: 8080 }
    }

    #[test]
    fn who_may_come_to_a_published_port() {
        let from =
            |address: &str, allowed: &[Subnet]| who_may_come(&published(address), allowed, FirewallPolicy::Own).0;
        assert_eq!(from("0.0.0.0", &[]), ["everybody"]);
        assert_eq!(from("::1", &[]), ["this host"]);
        assert_eq!(from("10.0.0.7", &[]), ["whoever reaches 10.0.0.7"]);
        assert_eq!(from("::", &["fd00::/8".parse().unwrap()]), ["this host", "fd00::/8"]);
        assert!(who_may_come(&published("::"), &[], FirewallPolicy::RespectHost).1.contains("respect-host"));
    }

    #[test]
    fn who_reaches_a_place_in_a_network() {
        let network = |driver, options: &[(&str, &str)], internal| {
            let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let spec = dhow_network::model::NetworkSpec {
                name: "n".into(),
                driver,
                options,
                internal,
                ..dhow_network::model::NetworkSpec::default()
            };
            let network = Network { id: "i".into(), spec, pools: Vec::new(), created: 0 };
            assert_eq!(neighbours(&network, FirewallPolicy::None).0.len(), 1);
            neighbours(&network, FirewallPolicy::Own)
        };
        assert_eq!(network(Driver::Bridge, &[], false).0, ["containers in n", "this host"]);
        let icc = dhow_network::model::option_name::ICC;
        assert_eq!(network(Driver::Bridge, &[(icc, "false")], false).0, ["this host"]);
        assert!(network(Driver::Bridge, &[], true).1.contains("internal"));
        assert_eq!(network(Driver::Macvlan, &[("parent", "eth0")], false).0, ["whoever reaches it by eth0"]);
    }
}
