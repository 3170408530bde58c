//! Networks whose links are on a link of the host, with addresses of their own there.

use std::os::fd::AsFd;

use dhow_errdefs::{Class, Error, Result, ResultExt};

use super::bridge::random_mac;
use crate::link::{Link, Links, Macvlan};
use crate::model::{Endpoint, MacvlanOptions, Network};
use crate::sandbox::Sandbox;

/// Makes what the links of a network are on, where it is not there: a VLAN of the host's link, or a link that leads
/// nowhere. The alias tells that it is ours.
pub(crate) fn raise(network: &Network, alias: &str) -> Result<()> {
    parent(&Links::open()?, network, alias).map(drop)
}

fn parent(links: &Links, network: &Network, alias: &str) -> Result<Link> {
    let asked = MacvlanOptions::parse(&network.spec.options)?.parent;
    let name = asked.clone().unwrap_or_else(|| format!("dm-{}", network.short_id()));
    match links.named(&name) {
        Err(error) if error.class() == Class::NotFound => {}
        found => return found,
    }
    match &asked {
        Some(name) => {
            let (below, number) = vlan(name).ok_or_else(|| missing(name))?;
            let below = links.named(below).context(|| format!("the parent of network {}", network.name()))?;
            let made = links.make_vlan(name, alias, below.index, number);
            made.context(|| format!("make the parent of network {} (a kernel with 8021q can)", network.name()))?;
        }
        None => links.make_dead_end(&name, &format!("dn-{}", network.short_id()), alias)?,
    }
    links.named(&name)
}

/// Link and number of a VLAN, as in `eth0.10`.
fn vlan(name: &str) -> Option<(&str, u16)> {
    let (below, number) = name.rsplit_once('.')?;
    let number = number.parse().ok().filter(|number| (1..4095).contains(number))?;
    (!below.is_empty()).then_some((below, number))
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("the parent link {name} is not there, and is no VLAN of another link either"))
        .with_hint("name a link of the host, or a VLAN of one: --opt parent=eth0.10")
}

/// Makes a link in a sandbox on the network's parent.
pub(crate) fn attach(network: &Network, alias: &str, endpoint: &Endpoint, sandbox: &Sandbox) -> Result<()> {
    let options = MacvlanOptions::parse(&network.spec.options)?;
    let links = Links::open()?;
    let parent = parent(&links, network, alias)?;
    links.make_macvlan(&Macvlan {
        name: &endpoint.interface,
        parent: parent.index,
        mac: endpoint.mac.unwrap_or_else(random_mac),
        mode: options.mode,
        namespace: sandbox.as_fd(),
        mtu: options.mtu,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_by_name() {
        assert_eq!(vlan("eth0.10"), Some(("eth0", 10)));
        assert_eq!(vlan("bond.0.7"), Some(("bond.0", 7)));
        for wrong in ["eth0", "eth0.0", "eth0.4095", "eth0.x", ".5"] {
            assert_eq!(vlan(wrong), None, "{wrong}");
        }
    }
}
