//! What a running container has of networks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::dns::{Named, Scope, Whom};
use crate::firewall::{Member, Redirect};
use crate::model::{Endpoint, EndpointSpec, LinkSysctl, Network, PortBinding, Published, Subnet};
use crate::ports::Reservation;

/// What a container asks for when it starts.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The container's id.
    pub container: &'a str,
    /// The networks it is to be in, in the order of its links.
    pub places: Vec<Place>,
    /// Ports to publish.
    pub bindings: Vec<PortBinding>,
    /// What others call it in networks that somebody made, beside the aliases of each place: its name first.
    pub names: Vec<String>,
    /// Name servers for what is no name of a container's.
    pub servers: Vec<IpAddr>,
}

/// A place in a network that is asked for.
#[derive(Debug, Clone)]
pub struct Place {
    /// The network.
    pub network: Network,
    /// What the endpoint is to be.
    pub spec: EndpointSpec,
}

/// A place that a container has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// What it has in the network.
    pub endpoint: Endpoint,
    /// The host's end of its link; empty where there is none.
    pub port: String,
    /// Whose gateway the default route goes to: the highest wins, then the network whose name is first.
    pub priority: i64,
    /// Name of the network.
    pub network_name: String,
    /// What others call the container there; empty in networks without names.
    pub names: Vec<String>,
    /// What only it calls others there: its own name for them, and the one that all know.
    pub links: BTreeMap<String, String>,
    /// Further addresses of its link.
    pub link_local: Vec<IpAddr>,
    /// Settings of the kernel for its link.
    pub sysctls: Vec<LinkSysctl>,
}

/// All of a container's places, and its published ports. Kept beside the container while it runs, so that an engine that
/// is started later knows what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Its places, in the order of its links.
    pub attachments: Vec<Attachment>,
    /// Its published ports.
    pub published: Vec<Published>,
    /// Who may come to those that are not for everybody.
    pub limited: Vec<Limited>,
    /// Name servers for what is no name of a container's.
    pub servers: Vec<IpAddr>,
}

/// A published port that is not for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// The port.
    pub published: Published,
    /// Where who comes from outside of the host has to come from.
    pub from: Vec<Subnet>,
}

impl Attachment {
    pub(crate) fn named(&self, container: &str) -> Option<Named> {
        let named =
            || Named { container: container.to_owned(), names: self.names.clone(), addresses: self.addresses() };
        (!self.names.is_empty()).then(named)
    }

    /// Its addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let ipv4 = self.endpoint.ipv4.map(|(address, _)| IpAddr::V4(address));
        let ipv6 = self.endpoint.ipv6.map(|(address, _)| IpAddr::V6(address));
        ipv4.into_iter().chain(ipv6).collect()
    }

    pub(crate) fn member(&self) -> Option<Member> {
        let mac = self.endpoint.mac.filter(|_| !self.port.is_empty())?;
        let mut addresses = self.addresses();
        // The kernel makes that one up.
        addresses.extend(self.endpoint.ipv6.map(|_| IpAddr::V6(mac.link_local())));
        Some(Member { link: self.port.clone(), mac, addresses })
    }

    /// The number at the end of its link's name.
    pub(crate) fn number(&self) -> Option<u32> {
        let digits = self.endpoint.interface.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        digits.parse().ok()
    }
}

impl Connection {
    /// The place by which a container leaves, for a family.
    #[must_use]
    pub fn way_out(&self, ipv6: bool) -> Option<&Attachment> {
        let leads_out = |attachment: &&Attachment| {
            if ipv6 { attachment.endpoint.gateway6.is_some() } else { attachment.endpoint.gateway4.is_some() }
        };
        let order = |attachment: &&Attachment| (-attachment.priority, attachment.network_name.clone());
        self.attachments.iter().filter(leads_out).min_by_key(order)
    }

    /// Whether it finds others by their names, at [`dns::ADDRESS`](crate::dns::ADDRESS).
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.attachments.iter().any(|attachment| !attachment.names.is_empty())
    }

    /// Who is to be asked for a name: the networks in which it has names, in order, and then other servers; none of these
    /// where there is no way out.
    pub(crate) fn whom_to_ask(&self) -> Whom {
        let with_names = self.attachments.iter().filter(|attachment| !attachment.names.is_empty());
        let scope = |attachment: &Attachment| Scope {
            network: attachment.endpoint.network.clone(),
            links: attachment.links.clone(),
        };
        let leads_out = self.way_out(false).or(self.way_out(true)).is_some();
        Whom {
            networks: with_names.map(scope).collect(),
            servers: if leads_out { self.servers.clone() } else { Vec::new() },
        }
    }

    /// Who may come to a published port; empty: everybody.
    #[must_use]
    pub fn allowed(&self, published: Published) -> Vec<Subnet> {
        let limited = self.limited.iter().find(|limited| limited.published == published);
        limited.map(|limited| limited.from.clone()).unwrap_or_default()
    }

    /// What asks for exactly these ports again.
    #[must_use]
    pub fn bindings(&self, published: &[Published]) -> Vec<PortBinding> {
        published.iter().map(|published| published.as_binding(self.allowed(*published))).collect()
    }

    /// Ports that were taken are published from now on.
    pub(crate) fn add_published(&mut self, reservations: &[Reservation]) {
        self.published.extend(reservations.iter().map(|reservation| reservation.published));
        let limited = reservations.iter().filter(|reservation| !reservation.from.is_empty());
        self.limited.extend(
            limited.map(|Reservation { published, from, .. }| Limited { published: *published, from: from.clone() }),
        );
    }

    /// Where published ports lead to. Only a bridge has the host in between.
    pub(crate) fn redirects(&self) -> Vec<Redirect> {
        let redirect = |&published: &Published| {
            let target = self.target(&published)?;
            Some(Redirect { published, target, from: self.allowed(published) })
        };
        self.published.iter().filter_map(redirect).collect()
    }

    /// Whether it has published ports, and none of them leads to the container.
    #[must_use]
    pub fn leads_nowhere(&self) -> bool {
        !self.published.is_empty() && self.redirects().is_empty()
    }

    /// The container's address that a published port leads to: of the family of the host's address where it has one
    /// there, else its IPv4 address, which a process of ours passes on to.
    #[must_use]
    pub fn target(&self, published: &Published) -> Option<IpAddr> {
        let own = |ipv6: bool| {
            let attachment = self.way_out(ipv6).filter(|attachment| !attachment.port.is_empty())?;
            attachment.addresses().into_iter().find(|address| address.is_ipv6() == ipv6)
        };
        let ipv6 = published.host_address.is_ipv6();
        own(ipv6).or_else(|| own(false).filter(|_| ipv6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(network: &str, priority: i64, gateway: Option<&str>) -> Attachment {
        let endpoint = Endpoint { gateway4: gateway.map(|text| text.parse().unwrap()), ..Endpoint::default() };
        Attachment { network_name: network.into(), priority, endpoint, ..Attachment::default() }
    }

    #[test]
    fn the_way_out_is_by_priority_and_then_by_name_and_never_through_an_internal_network() {
        let mut connection = Connection {
            attachments: vec![
                attachment("b", 0, Some("10.0.0.1")),
                attachment("a", 0, Some("10.0.1.1")),
                attachment("0", 9, None),
            ],
            ..Connection::default()
        };
        assert_eq!(connection.way_out(false).unwrap().network_name, "a");
        connection.attachments[0].priority = 1;
        assert_eq!(connection.way_out(false).unwrap().network_name, "b");
        assert_eq!(connection.way_out(true), None);
    }
}
