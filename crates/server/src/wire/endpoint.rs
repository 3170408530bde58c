//! A container's places in networks, and its ports: wire ↔ engine.

use std::collections::{BTreeMap, HashMap};

use dhow_api::container::{NetworkSettings, Port, PortBinding, PortMap};
use dhow_api::network::{EndpointIpam, EndpointSettings};
use dhow_api::version::Version;
use dhow_engine::network::{AddressTexts, Attached, DEFAULT, Endpoint, EndpointSpec, Published};
use dhow_engine::spec::ContainerSpec;
use dhow_engine::{Details, Joined, Status};
use dhow_errdefs::Result;
use dhow_oci::Digest;

/// What is asked for.
///
/// # Errors
/// Addresses that are none.
pub(crate) fn spec(settings: EndpointSettings) -> Result<EndpointSpec> {
    let EndpointSettings { ipam_config, links, aliases, mac_address, driver_opts, gw_priority, .. } = settings;
    let ipam = ipam_config.unwrap_or_default();
    let spec = EndpointSpec {
        aliases,
        links,
        driver_options: driver_opts,
        gateway_priority: gw_priority,
        ..EndpointSpec::default()
    };
    spec.with_addresses(AddressTexts {
        ipv4: &ipam.ipv4_address,
        ipv6: &ipam.ipv6_address,
        link_local: &ipam.link_local_ips,
        mac: &mac_address,
    })
}

/// A place as it is shown: as it is while the container runs, else as it was asked for.
fn settings(network_id: &str, spec: &EndpointSpec, endpoint: Option<&Endpoint>, names: &[String]) -> EndpointSettings {
    let mut shown = EndpointSettings {
        ipam_config: ipam(spec),
        links: spec.links.clone(),
        aliases: spec.aliases.clone(),
        driver_opts: spec.driver_options.clone(),
        gw_priority: spec.gateway_priority,
        network_id: network_id.to_owned(),
        dns_names: (!names.is_empty()).then(|| names.to_vec()),
        mac_address: spec.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        ..EndpointSettings::default()
    };
    let Some(endpoint) = endpoint else { return shown };
    shown.endpoint_id.clone_from(&endpoint.id);
    if let Some(mac) = endpoint.mac {
        shown.mac_address = mac.to_string();
    }
    if let Some((address, prefix)) = endpoint.ipv4 {
        (shown.ip_address, shown.ip_prefix_len) = (address.to_string(), prefix.into());
    }
    if let Some((address, prefix)) = endpoint.ipv6 {
        (shown.global_ipv6_address, shown.global_ipv6_prefix_len) = (address.to_string(), prefix.into());
    }
    shown.gateway = endpoint.gateway4.map(|address| address.to_string()).unwrap_or_default();
    shown.ipv6_gateway = endpoint.gateway6.map(|address| address.to_string()).unwrap_or_default();
    shown
}

fn ipam(spec: &EndpointSpec) -> Option<EndpointIpam> {
    let ipam = EndpointIpam {
        ipv4_address: spec.ipv4.map(|address| address.to_string()).unwrap_or_default(),
        ipv6_address: spec.ipv6.map(|address| address.to_string()).unwrap_or_default(),
        link_local_ips: spec.link_local.iter().map(ToString::to_string).collect(),
    };
    (ipam != EndpointIpam::default()).then_some(ipam)
}

/// The networks of a line of `docker ps`.
pub(crate) fn of_summary(container: &dhow_engine::Summary) -> BTreeMap<String, EndpointSettings> {
    let attached = container.attached.as_deref();
    let shown = |(name, spec): (&String, &EndpointSpec)| {
        let id = container.networks.get(name).map(String::as_str).unwrap_or_default();
        let endpoint = attached.and_then(|attached| attached.endpoints.get(name));
        (name.clone(), settings(id, spec, endpoint, &[]))
    };
    container.spec.networking.iter().map(shown).collect()
}

/// Everything about the networks of a container.
pub(crate) fn of_details(container: &Details, version: Version) -> NetworkSettings {
    let networks = container.networks.iter().map(|(name, joined)| {
        let mut shown = settings(&joined.network_id, &joined.spec, joined.endpoint.as_ref(), &joined.names);
        if !version.at_least(45) {
            with_old_aliases(&mut shown, joined, container);
        }
        (name.clone(), shown)
    });
    let networks: BTreeMap<_, _> = networks.collect();
    let main = networks.get(DEFAULT).cloned().unwrap_or_default();
    let (sandbox_id, sandbox_key) = sandbox(container);
    NetworkSettings {
        sandbox_id,
        sandbox_key,
        ports: ports(container),
        endpoint_id: main.endpoint_id,
        gateway: main.gateway,
        global_ipv6_address: main.global_ipv6_address,
        global_ipv6_prefix_len: main.global_ipv6_prefix_len,
        ip_address: main.ip_address,
        ip_prefix_len: main.ip_prefix_len,
        ipv6_gateway: main.ipv6_gateway,
        mac_address: main.mac_address,
        networks,
        ..NetworkSettings::default()
    }
}

/// Before 1.45 the names that every container has were among its aliases, from its first start on.
fn with_old_aliases(shown: &mut EndpointSettings, joined: &Joined, container: &Details) {
    if joined.names.is_empty() || container.state.status == Status::Created {
        return;
    }
    let aliases = shown.aliases.get_or_insert_default();
    for name in [&container.id[..12], &container.spec.hostname] {
        if !name.is_empty() && !aliases.iter().any(|alias| alias == name) {
            aliases.push(name.to_owned());
        }
    }
}

/// Id and path of a running container's network namespace. Nothing in the file system pins it: the process does.
fn sandbox(container: &Details) -> (String, String) {
    let runs = matches!(container.state.status, Status::Running | Status::Paused) && container.state.pid > 0;
    if !runs || container.networks.is_empty() {
        return (String::new(), String::new());
    }
    let id = Digest::of(format!("network namespace of {}", container.id).as_bytes()).hex();
    (id, format!("/proc/{}/ns/net", container.state.pid))
}

/// Whether a container's ports are its own: in the host's network they are the host's.
fn has_ports<'a>(mut endpoints: impl Iterator<Item = &'a Endpoint>) -> bool {
    endpoints.any(|endpoint| endpoint.ipv4.is_some() || endpoint.ipv6.is_some())
}

fn ports(container: &Details) -> PortMap {
    let endpoints = container.networks.values().filter_map(|joined| joined.endpoint.as_ref());
    if !has_ports(endpoints) {
        return PortMap::new();
    }
    let mut ports: PortMap = exposed(&container.spec).map(|port| (port.to_owned(), None)).collect();
    for published in &container.published {
        let binding =
            PortBinding { host_ip: published.host_address.to_string(), host_port: published.host_port.to_string() };
        ports.entry(published.port.to_string()).or_default().get_or_insert_default().push(binding);
    }
    ports
}

fn exposed(spec: &ContainerSpec) -> impl Iterator<Item = &str> {
    spec.exposed_ports.iter().chain(spec.host.port_bindings.keys()).map(String::as_str)
}

/// The ports of a line of `docker ps`.
pub(crate) fn summary_ports(spec: &ContainerSpec, attached: Option<&Attached>) -> Vec<Port> {
    let Some(attached) = attached.filter(|attached| has_ports(attached.endpoints.values())) else { return Vec::new() };
    let mut lines: Vec<Port> = attached.published.iter().map(published).collect();
    let known: HashMap<String, ()> = attached.published.iter().map(|it| (it.port.to_string(), ())).collect();
    let mut bare: Vec<&str> = exposed(spec).filter(|port| !known.contains_key(*port)).collect();
    bare.sort_unstable();
    bare.dedup();
    lines.extend(bare.into_iter().filter_map(|text| {
        let port = text.parse::<dhow_engine::network::Port>().ok()?;
        Some(Port { private_port: port.number, kind: port.protocol.to_string(), ..Port::default() })
    }));
    lines
}

fn published(published: &Published) -> Port {
    Port {
        ip: published.host_address.to_string(),
        private_port: published.port.number,
        public_port: published.host_port,
        kind: published.port.protocol.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            id: "e".into(),
            mac: "02:42:0a:00:00:02".parse().ok(),
            ipv4: Some(([10, 0, 0, 2].into(), 24)),
            gateway4: Some([10, 0, 0, 1].into()),
            ..Endpoint::default()
        }
    }

    #[test]
    fn what_is_asked_for_is_shown_again() {
        let text = r#"{"IPAMConfig":{"IPv4Address":"10.0.0.9","IPv6Address":"fd00::9","LinkLocalIPs":["169.254.1.1"]},
            "Links":["db:base"],"Aliases":["web"],"MacAddress":"02:42:0a:00:00:09","DriverOpts":{"a":"b"},"GwPriority":3,
            "NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"",
            "GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DNSNames":null}"#;
        let asked: EndpointSettings = dhow_api::json::from_slice(text.as_bytes()).expect("good");
        assert_eq!(settings("", &spec(asked.clone()).expect("good"), None, &[]), asked);
    }

    #[test]
    fn a_running_container_shows_what_it_has() {
        let shown = settings("n", &EndpointSpec::default(), Some(&endpoint()), &["web".to_owned()]);
        assert_eq!(
            (shown.ip_address.as_str(), shown.ip_prefix_len, shown.gateway.as_str()),
            ("10.0.0.2", 24, "10.0.0.1")
        );
        assert_eq!((shown.mac_address.as_str(), shown.dns_names), ("02:42:0a:00:00:02", Some(vec!["web".to_owned()])));
        assert_eq!(shown.ipam_config, None);
    }

    #[test]
    fn ports_are_listed_once() {
        let exposed_ports = ["80/tcp".to_owned(), "53/udp".to_owned()].into();
        let mut spec = ContainerSpec { exposed_ports, ..ContainerSpec::default() };
        spec.host.port_bindings.insert("80/tcp".into(), Vec::new());
        assert!(summary_ports(&spec, None).is_empty());
        let published = Published {
            port: "80/tcp".parse().expect("good"),
            host_address: "0.0.0.0".parse().expect("good"),
            host_port: 8080,
        };
        let endpoints = [("bridge".to_owned(), endpoint())].into();
        let attached = Attached { endpoints, published: vec![published] };
        let lines = serde_json::to_value(summary_ports(&spec, Some(&attached))).expect("plain data");
        let wanted = serde_json::json!([{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"PrivatePort": 53, "Type": "udp"}]);
        assert_eq!(lines, wanted);
        let host = Attached { endpoints: [("host".to_owned(), Endpoint::default())].into(), ..attached };
        assert!(summary_ports(&spec, Some(&host)).is_empty());
    }
}
