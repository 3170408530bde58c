//! Where records meet the kernel: networks are made, and containers get their places in them.

use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_network::model::{Attached, Endpoint, EndpointSpec, Network, NetworkSpec};

use crate::container::{Container, View};
use crate::core::Core;
use crate::create::random_id;

/// What Docker puts before whatever goes wrong here.
const SETUP: &str = "failed to set up container networking";

impl Core {
    /// Makes a network on this host. Blocks.
    pub(super) fn make_network(&self, _id: String, spec: NetworkSpec, _created: i64) -> Result<Network> {
        Err(Error::not_implemented(format!("creating networks of driver {}: not available yet", spec.driver)))
    }

    /// Takes away what there is of a network on this host. Blocks. What cannot be taken away is swept by the next engine.
    pub(super) fn unmake_network(&self, network: &Network) {
        tracing::debug!(id = network.id, "removed");
    }

    /// Gives a container that starts its places in its networks. Blocks. If one fails, it has none.
    pub(crate) fn enter_networks(&self, container: &Arc<Container>, view: &View) -> Result<Attached> {
        let mut attached = Attached::default();
        for (name, spec) in &view.spec.networking {
            match self.enter_network(container, name, spec) {
                Ok(endpoint) => drop(attached.endpoints.insert(name.clone(), endpoint)),
                Err(error) => {
                    self.leave_networks(&container.id);
                    return Err(error).context(|| SETUP);
                }
            }
        }
        Ok(attached)
    }

    /// Gives a container a place in one network. Blocks.
    pub(crate) fn enter_network(
        &self,
        container: &Arc<Container>,
        name: &str,
        _spec: &EndpointSpec,
    ) -> Result<Endpoint> {
        let network = self.networks.enter(name, &container.id)?;
        Ok(Endpoint { id: random_id(), network: network.id.clone(), ..Endpoint::default() })
    }

    /// Takes a container's place in one network away. Blocks.
    pub(crate) fn leave_network(&self, container: &str, name: &str, _endpoint: &Endpoint) {
        self.networks.leave(name, container);
    }

    /// Takes all places of a container away, also those of a start that did not come to its end. Blocks.
    pub(crate) fn leave_networks(&self, container: &str) {
        self.networks.leave_all(container);
    }
}
