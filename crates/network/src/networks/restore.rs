//! After a start of the engine: what was there before.

use dhow_errdefs::Result;

use super::connect::opened;
use super::live::Held;
use super::{Networks, lock};
use crate::connection::Connection;
use crate::model::{Driver, HostPorts, Network, PortBinding};
use crate::ports::{Families, reserve};
use crate::sandbox::Sandbox;

impl Networks {
    /// Takes over what a container has that runs, with that process, since before this engine was started. To be followed
    /// by [`settle`](Self::settle).
    pub fn adopt(&self, container: &str, pid: i32, connection: Connection, networks: &[Network]) {
        for attachment in &connection.attachments {
            if let Some(network) = networks.iter().find(|network| network.id == attachment.endpoint.network) {
                lock(&self.live(network)).adopt(attachment);
                if let Err(error) = self.raised(network) {
                    tracing::warn!(%error, network = network.name(), "restore a network");
                }
            }
        }
        if let Err(error) = self.firewall.apply(opened(&connection)) {
            tracing::warn!(%error, container, "restore the ports of a container");
        }
        // Somebody may have taken one meanwhile; the packets go to the container all the same.
        let reservations = connection.published.iter().filter_map(|published| {
            let number = published.host_port;
            let binding = PortBinding {
                port: published.port,
                host_address: Some(published.host_address),
                host_ports: HostPorts::Among(number..=number),
            };
            let families = Families { ipv4: true, ipv6: true, binding: None };
            reserve(&[binding], families, |_| None)
                .inspect_err(|error| tracing::warn!(%error, "hold a published port"))
                .ok()
        });
        let reservations = reservations.flatten().collect();
        let sandbox = Sandbox::of_process(pid).inspect_err(|error| tracing::warn!(%error, "find a network namespace"));
        let mut held = Held { sandbox: sandbox.ok(), connection, reservations, resolver: None };
        if let Err(error) = self.answer(&mut held, container) {
            tracing::warn!(%error, container, "answer questions for names again");
        }
        lock(&self.containers).insert(container.to_owned(), held);
    }

    /// Makes bridges and rules what they are to be, whatever somebody did to them.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn restore(&self) -> Result<()> {
        self.firewall.restore()
    }

    /// Removes what an engine before this one has left: bridges of networks that are no more, and rules.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn settle(&self, networks: &[Network]) -> Result<()> {
        let bridges: Vec<&Network> = networks.iter().filter(|network| network.spec.driver == Driver::Bridge).collect();
        self.bridges.sweep(&bridges)?;
        if lock(&self.live).is_empty() { self.firewall.remove_leftovers() } else { self.firewall.restore() }
    }
}
