//! Networks whose links are on a link of the host, with addresses of their own there.

use std::os::fd::AsFd;

use dhow_errdefs::{Error, Result, ResultExt};

use super::bridge::random_mac;
use crate::link::{Links, Macvlan};
use crate::model::{Endpoint, MacvlanOptions, Network};
use crate::sandbox::Sandbox;

/// Makes a link in a sandbox on the network's parent.
pub(crate) fn attach(network: &Network, endpoint: &Endpoint, sandbox: &Sandbox) -> Result<()> {
    let options = MacvlanOptions::parse(&network.spec.options)?;
    let parent = options.parent.ok_or_else(|| {
        Error::invalid(format!("network {} has no parent link", network.name()))
            .with_hint("name one when it is created: --opt parent=eth0")
    })?;
    let links = Links::open()?;
    let parent = links.named(&parent).context(|| format!("the parent of network {}", network.name()))?;
    links.make_macvlan(&Macvlan {
        name: &endpoint.interface,
        parent: parent.index,
        mac: endpoint.mac.unwrap_or_else(random_mac),
        mode: options.mode,
        namespace: sandbox.as_fd(),
        mtu: options.mtu,
    })
}
