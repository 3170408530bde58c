//! In which networks a container wants to be, read off its specification.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use dhow_network::model::{
    DEFAULT, EndpointSpec, HostPorts, PREDEFINED, Port, PortBinding, check_endpoint, check_static,
};

use crate::networks::Networks;
use crate::spec::{ContainerSpec, HostSpec};

/// The network that a network mode means, by the name that was given; another container's is not one's own.
pub(crate) fn main_network(mode: &str) -> Option<&str> {
    match mode {
        "" | "default" => Some(DEFAULT),
        mode if mode.starts_with("container:") => None,
        mode => Some(mode),
    }
}

/// Makes `networking` say in which networks the container will be, by their names, and checks each. One that is not there
/// is nobody's fault yet: it may be made before the start.
pub(crate) fn normalise(spec: &mut ContainerSpec, networks: &Networks) -> Result<()> {
    let Some(main) = main_network(&spec.host.network_mode).filter(|_| !spec.network_disabled) else {
        spec.networking.clear();
        return Ok(());
    };
    let mut wanted = std::mem::take(&mut spec.networking);
    if wanted.is_empty() {
        wanted.insert(main.to_owned(), EndpointSpec::default());
    }
    for (reference, endpoint) in wanted {
        let reference = if reference == "default" { DEFAULT } else { &reference };
        let network = networks.find(reference).ok();
        let name = network.as_ref().map_or(reference, |network| network.name());
        check_endpoint(&endpoint, name)?;
        if let Some(network) = &network {
            check_static(&endpoint, network)?;
        }
        spec.networking.insert(name.to_owned(), endpoint);
    }
    together(spec.networking.keys().map(String::as_str))
}

/// How a container comes into a network: where it asked for a hardware address in its main network, as older versions of the
/// API let it, it has it there whenever it comes back.
pub(crate) fn with_own_address(spec: &ContainerSpec, network: &str, endpoint: EndpointSpec) -> EndpointSpec {
    let main = main_network(&spec.host.network_mode) == Some(network);
    let own = if main { spec.mac_address.parse().ok() } else { None };
    EndpointSpec { mac: endpoint.mac.or(own), ..endpoint }
}

/// Refuses networks that exclude each other.
pub(super) fn together<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 | 1 => Ok(()),
        _ if names.contains(&"host") => Err(Error::invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        )),
        _ if names.contains(&"none") => Err(Error::invalid(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        )),
        _ => Ok(()),
    }
}

/// Whether a network gives names and chosen addresses.
pub(crate) fn is_user_defined(name: &str) -> bool {
    !PREDEFINED.iter().any(|(predefined, _)| *predefined == name)
}

/// The names by which a container is known in a network, in Docker's order; the first one is that of its address.
pub(crate) fn names(id: &str, name: &str, hostname: &str, endpoint: &EndpointSpec) -> Vec<String> {
    let short = id.get(..12).unwrap_or(id);
    let aliases = endpoint.aliases.iter().flatten().map(String::as_str);
    let mut names: Vec<String> = Vec::new();
    for name in [name].into_iter().chain(aliases).chain([short, hostname]) {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The ports that are to be published: those that were asked for, and with `-P` every one that is exposed beside them.
///
/// # Errors
/// `InvalidArgument` in Docker's words.
pub(crate) fn ports(spec: &ContainerSpec) -> Result<Vec<PortBinding>> {
    let HostSpec { port_bindings, publish_all_ports, .. } = &spec.host;
    let mut bindings = BTreeMap::<Port, Vec<PortBinding>>::new();
    for (port, wanted) in port_bindings {
        let list = bindings.entry(port.parse()?).or_default();
        for binding in wanted {
            list.push(PortBinding::parse(port, &binding.host_ip, &binding.host_port)?);
        }
    }
    if *publish_all_ports {
        for port in exposed(spec)? {
            let list = bindings.entry(port).or_default();
            if list.is_empty() {
                list.push(PortBinding { port, host_address: None, host_ports: HostPorts::Any, from: Vec::new() });
            }
        }
    }
    Ok(bindings.into_values().flatten().collect())
}

/// The ports a container listens on, as far as it says so.
fn exposed(spec: &ContainerSpec) -> Result<Vec<Port>> {
    let mut ports = Vec::new();
    for text in &spec.exposed_ports {
        ports.extend(Port::range(text)?);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_once_and_in_dockers_order() {
        let aliases = Some(vec!["db".to_owned(), "web".to_owned()]);
        let endpoint = EndpointSpec { aliases, ..EndpointSpec::default() };
        let id = "0123456789abcdef";
        assert_eq!(names(id, "web", "0123456789ab", &endpoint), ["web", "db", "0123456789ab"]);
        assert_eq!(names(id, "web", "h", &EndpointSpec::default()), ["web", "0123456789ab", "h"]);
    }

    #[test]
    fn modes_mean_networks() {
        assert_eq!(["", "default", "bridge"].map(main_network), [Some("bridge"); 3]);
        assert_eq!((main_network("container:x"), main_network("mine")), (None, Some("mine")));
        assert!(is_user_defined("mine") && !is_user_defined("none"));
    }

    #[test]
    fn an_address_that_is_the_containers_own_comes_back_with_its_main_network() {
        let mut spec = ContainerSpec { mac_address: "02:42:0a:00:00:09".to_owned(), ..ContainerSpec::default() };
        spec.host.network_mode = "mine".to_owned();
        let mac = |network: &str, mac: &str| {
            let endpoint = EndpointSpec { mac: mac.parse().ok(), ..EndpointSpec::default() };
            with_own_address(&spec, network, endpoint).mac.map(|mac| mac.to_string())
        };
        assert_eq!(mac("mine", "").as_deref(), Some("02:42:0a:00:00:09"));
        assert_eq!(mac("mine", "02:42:0a:00:00:0a").as_deref(), Some("02:42:0a:00:00:0a"));
        assert_eq!(mac("other", ""), None);
    }

    #[test]
    fn networks_that_exclude_each_other_are_refused() {
        together(["a", "b"].into_iter()).unwrap();
        together(["host"].into_iter()).unwrap();
        assert!(together(["a", "host"].into_iter()).is_err() && together(["a", "none"].into_iter()).is_err());
    }

    #[test]
    fn all_exposed_ports_are_published_where_that_is_asked_for() {
        let exposed_ports = ["80/tcp".to_owned(), "90-91/udp".to_owned()].into();
        let mut spec = ContainerSpec { exposed_ports, ..ContainerSpec::default() };
        let binding = crate::spec::PortBinding { host_ip: "127.0.0.1".into(), host_port: "8080".into() };
        spec.host.port_bindings.insert("80/tcp".into(), vec![binding]);
        assert_eq!(ports(&spec).unwrap().len(), 1);
        spec.host.publish_all_ports = true;
        let all: Vec<String> = ports(&spec).unwrap().iter().map(|binding| binding.port.to_string()).collect();
        assert_eq!(all, ["80/tcp", "90/udp", "91/udp"]);
        spec.host.port_bindings.insert("x/tcp".into(), Vec::new());
        assert_eq!(ports(&spec).unwrap_err().to_string(), "invalid port specification: \"x\"");
    }
}
