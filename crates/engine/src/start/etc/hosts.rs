//! /etc/hosts of a container.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;

use dhow_errdefs::Result;
use dhow_network::Connection;
use dhow_network::model::{DEFAULT, ExtraHost, HostAddress};

use crate::core::Core;
use crate::launch::hostname;
use crate::spec::ContainerSpec;

/// Docker's lines for every container.
const HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// The host's file or Docker's lines, what was asked for, links, and the container's own addresses.
pub(super) fn text(core: &Core, spec: &ContainerSpec, id: &str, connection: &Connection) -> Result<String> {
    let host_network = spec.host.network_mode == "host";
    let mut text =
        host_network.then(|| fs::read_to_string("/etc/hosts").ok()).flatten().unwrap_or_else(|| HOSTS.into());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for line in spec.host.extra_hosts.iter().flatten() {
        let ExtraHost { name, address } = line.parse()?;
        let addresses = match address {
            HostAddress::Is(address) => vec![address],
            HostAddress::Gateway => gateways(core, connection),
        };
        for address in addresses {
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    linked(core, spec, &mut text);
    let name = hostname(spec, id);
    let domain = if spec.domainname.is_empty() { String::new() } else { format!("{name}.{} ", spec.domainname) };
    let first = name.split_once('.').map(|(first, _)| format!(" {first}")).unwrap_or_default();
    for address in connection.attachments.iter().flat_map(|attachment| attachment.addresses()) {
        let _ = writeln!(text, "{address}\t{domain}{name}{first}");
    }
    Ok(text)
}

/// Where a container reaches its host.
fn gateways(core: &Core, connection: &Connection) -> Vec<IpAddr> {
    if !core.config.usual.host_gateway.is_empty() {
        return core.config.usual.host_gateway.clone();
    }
    let own = connection.way_out(false).and_then(|attachment| attachment.endpoint.gateway4).map(IpAddr::V4);
    let default = core.networks.named(DEFAULT);
    let of_default = |ipv6| default.as_ref()?.pool(ipv6)?.gateway;
    own.or_else(|| of_default(false)).into_iter().chain(of_default(true)).collect()
}

/// Other containers of the default network, `container[:alias]`.
fn linked(core: &Core, spec: &ContainerSpec, text: &mut String) {
    for link in spec.host.links.iter().flatten() {
        let (target, alias) = link.split_once(':').unwrap_or((link, link));
        let Ok(peer) = core.containers().find(target) else { continue };
        let view = peer.view();
        let alias = alias.rsplit('/').next().unwrap_or(alias);
        let place = view.condition.attached.as_ref().and_then(|attached| attached.endpoints.get(DEFAULT)?.ipv4);
        if let Some((address, _)) = place {
            let own = hostname(&view.spec, &peer.id);
            let name = if view.name == alias { String::new() } else { format!(" {}", view.name) };
            let _ = writeln!(text, "{address}\t{alias} {own}{name}");
        }
    }
}
