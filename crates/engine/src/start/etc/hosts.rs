//! /etc/hosts of a container.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;

use dhow_errdefs::Result;
use dhow_network::Connection;
use dhow_network::model::{DEFAULT, ExtraHost, HostAddress};

use crate::container::Container;
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
        let alias = alias.rsplit('/').next().unwrap_or(alias);
        if let Some(link) = Link::now(core, &peer, alias) {
            text.push_str(&link.lines());
        }
    }
}

/// Another container by the name it has in this one.
pub(super) struct Link {
    /// What it is called here and what it calls itself: by these its lines are found again.
    names: String,
    /// Its name in the engine, where it is another one.
    name: String,
    addresses: Vec<IpAddr>,
}

impl Link {
    /// A link as it is now; `None` if the other one has no place in the default network. What it shows of its places would
    /// not do: it shows nothing before its start is over, and who is linked to it is told before.
    pub(super) fn now(core: &Core, peer: &Container, alias: &str) -> Option<Self> {
        let connection = core.kernel.connection(&peer.id)?;
        let endpoint = &connection.attachments.iter().find(|it| it.network_name == DEFAULT)?.endpoint;
        let view = peer.view();
        let names = format!("{alias} {}", hostname(&view.spec, &peer.id));
        let name = if view.name == alias { String::new() } else { format!(" {}", view.name) };
        let ipv4 = endpoint.ipv4.map(|(address, _)| IpAddr::V4(address));
        let ipv6 = endpoint.ipv6.map(|(address, _)| IpAddr::V6(address));
        Some(Self { names, name, addresses: ipv4.into_iter().chain(ipv6).collect() })
    }

    fn lines(&self) -> String {
        let line = |address: &IpAddr| format!("{address}\t{}{}\n", self.names, self.name);
        self.addresses.iter().map(line).collect()
    }

    /// Whether that is a line of this link, whatever the other was called in the engine when it was written.
    fn is_in(&self, line: &[u8]) -> bool {
        let names = line.iter().position(|byte| *byte == b'\t').map(|tab| &line[tab + 1..]);
        let rest = names.and_then(|names| names.strip_prefix(self.names.as_bytes()));
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\n')))
    }
}

/// A file with the lines of a link as they are now, where they were. What else is in it need not be text.
pub(super) fn relinked(file: &[u8], link: &Link) -> Vec<u8> {
    let mut renewed = Vec::new();
    let mut new = Some(link.lines());
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        if link.is_in(line) {
            renewed.extend(new.take().unwrap_or_default().into_bytes());
        } else {
            renewed.extend_from_slice(line);
        }
    }
    if let Some(new) = new {
        if renewed.last().is_some_and(|last| *last != b'\n') {
            renewed.push(b'\n');
        }
        renewed.extend(new.into_bytes());
    }
    renewed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(addresses: &[&str]) -> Link {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Link { names: "db store".into(), name: " base".into(), addresses }
    }

    #[test]
    fn a_link_is_renewed_where_it_is_and_nothing_else() {
        let relinked = |text: &str, link: &Link| String::from_utf8(relinked(text.as_bytes(), link)).unwrap();
        let text = "127.0.0.1\tlocalhost\n10.0.0.9\tdb\n10.0.0.2\tdb store old\nfd00::2\tdb store old\n10.0.0.3\tweb\n";
        assert_eq!(
            relinked(text, &link(&["10.0.0.5", "fd00::5"])),
            "127.0.0.1\tlocalhost\n10.0.0.9\tdb\n10.0.0.5\tdb store base\nfd00::5\tdb store base\n10.0.0.3\tweb\n"
        );
        assert_eq!(
            relinked("10.0.0.2\tdb storeroom", &link(&["10.0.0.5"])),
            "10.0.0.2\tdb storeroom\n10.0.0.5\tdb store base\n"
        );
        assert_eq!(relinked("10.0.0.2\tdb store", &link(&["10.0.0.5"])), "10.0.0.5\tdb store base\n");
    }

    #[test]
    fn what_is_no_text_stays_as_it_is() {
        let file = b"# \xff\xfe\n10.0.0.2\tdb store old\n\t\xff";
        assert_eq!(relinked(file, &link(&["10.0.0.5"])), b"# \xff\xfe\n10.0.0.5\tdb store base\n\t\xff");
    }
}
