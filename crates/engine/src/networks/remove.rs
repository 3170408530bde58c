//! `docker network rm`.

use std::sync::{Arc, PoisonError};

use dhow_errdefs::{Error, Result};
use dhow_network::model::Network;

use crate::core::Core;

impl Core {
    /// Removes a network. Blocks.
    pub(super) fn remove_network(&self, reference: &str) -> Result<()> {
        let _changing = self.networks.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.remove_found(&self.networks.find(reference)?)
    }

    /// The record goes first: what is left in the kernel of a network that nobody knows is taken for leftovers.
    pub(super) fn remove_found(&self, network: &Arc<Network>) -> Result<()> {
        let name = network.name();
        if network.is_predefined() {
            return Err(Error::denied(format!("{name} is a pre-defined network and cannot be removed")));
        }
        if network.spec.config_only {
            self.check_dependants(name)?;
        }
        if let Err(users) = self.networks.take(&network.id) {
            return Err(self.in_use(name, &users));
        }
        if let Err(error) = self.record(|metadata| metadata.delete_network(&network.id)) {
            self.networks.put_back(Arc::clone(network));
            return Err(error);
        }
        self.unmake_network(network);
        self.network_event("destroy", network, None);
        Ok(())
    }

    /// Docker's refusal, naming who is in there.
    fn in_use(&self, name: &str, users: &[Arc<str>]) -> Error {
        let user = |id: &Arc<str>| {
            let container = self.containers().find(id).map(|container| container.view().name.clone());
            format!("name:{:?} id:{:?}", container.unwrap_or_default(), id.get(..12).unwrap_or(id))
        };
        let users: Vec<String> = users.iter().map(user).collect();
        let text = format!("error while removing network: network {name} has active endpoints ({})", users.join(", "));
        Error::denied(text).with_hint("stop these containers, or disconnect them first")
    }
}
