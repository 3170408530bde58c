//! Requests about networks.

use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_network::model::{EndpointSpec, NetworkSpec};

use super::NetworkView;
use super::filter::Filter;
use crate::engine::{blocking, to_the_end};
use crate::{Engine, Filters, PruneOptions};

impl Engine {
    /// Makes a network; the answer is its id.
    ///
    /// # Errors
    /// `PermissionDenied` for the names of the predefined ones, `Conflict` if the name is taken, `InvalidArgument` for
    /// options that make no sense.
    pub async fn create_network(&self, spec: NetworkSpec) -> Result<String> {
        let core = Arc::clone(&self.core);
        blocking(move || core.create_network(spec)).await
    }

    /// Networks, oldest first, without their members.
    ///
    /// # Errors
    /// `InvalidArgument` for filters that do not exist.
    pub fn networks(&self, filters: &Filters) -> Result<Vec<NetworkView>> {
        let filter = Filter::new(filters)?;
        let networks = self.core.networks.all().into_iter();
        let fits = |network: &Arc<_>| filter.matches(network, !self.core.networks.users(&network.id).is_empty());
        Ok(networks.filter(fits).map(|network| NetworkView { network, members: Vec::new(), usage: None }).collect())
    }

    /// A network by full id, full name or unambiguous prefix of an id, with its members.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn network(&self, reference: &str) -> Result<NetworkView> {
        let network = self.core.networks.find(reference)?;
        let members = self.core.members(&network);
        let usage = network.spec.driver.has_addresses().then(|| self.core.kernel.usage(&network));
        Ok(NetworkView { network, members, usage })
    }

    /// Removes a network.
    ///
    /// # Errors
    /// `PermissionDenied` for a predefined one and while somebody is in it.
    pub async fn remove_network(&self, reference: &str) -> Result<()> {
        let (core, reference) = (Arc::clone(&self.core), reference.to_owned());
        blocking(move || core.remove_network(&reference)).await
    }

    /// Removes the networks that nobody is in; the answer are their names.
    ///
    /// # Errors
    /// Only if the engine ends meanwhile.
    pub async fn prune_networks(&self, options: PruneOptions) -> Result<Vec<String>> {
        let core = Arc::clone(&self.core);
        blocking(move || Ok(core.prune_networks(&options))).await
    }

    /// Puts a container into a network: now if it runs, else from its next start on.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` where the two do not go together.
    pub async fn connect(&self, network: &str, container: &str, spec: EndpointSpec) -> Result<()> {
        let container = self.find(container)?;
        let network = self.core.networks.find(network)?;
        to_the_end(Arc::clone(&self.core).connect(container, network, spec)).await
    }

    /// Takes a container out of a network. With `force`, also out of one that is gone.
    ///
    /// # Errors
    /// `NotFound`; if it is not in there.
    pub async fn disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let container = self.find(container)?;
        let name = match self.core.networks.find(network) {
            Ok(network) => network.spec.name.clone(),
            Err(_) if force => network.to_owned(),
            Err(error) => return Err(error),
        };
        to_the_end(Arc::clone(&self.core).disconnect(container, name)).await
    }
}
