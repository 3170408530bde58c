//! What is told about a network.

use std::sync::Arc;

use dhow_network::ipam::AddressUsage;
use dhow_network::model::{Endpoint, Network, Subnet};
use jiff::Timestamp;

use crate::core::Core;

/// A network, and who is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkView {
    /// The network.
    pub network: Arc<Network>,
    /// The containers that run in it; empty in lists.
    pub members: Vec<Member>,
    /// How many addresses of its blocks there are for whom; `None` in lists.
    pub usage: Option<Vec<(Subnet, AddressUsage)>>,
}

/// A container that runs in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub container: Arc<str>,
    /// Its name.
    pub name: String,
    /// Its place in the network.
    pub endpoint: Endpoint,
}

impl NetworkView {
    /// When it was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.network.created)).unwrap_or_default()
    }
}

impl Core {
    /// Who runs in a network.
    pub(super) fn members(&self, network: &Network) -> Vec<Member> {
        let users = self.networks.users(&network.id);
        let member = |id: &Arc<str>| {
            let view = self.containers().find(id).ok()?.view();
            let attached = view.condition.attached.as_ref()?;
            let endpoint = attached.endpoints.get(&network.spec.name)?.clone();
            Some(Member { container: Arc::clone(id), name: view.name.clone(), endpoint })
        };
        users.iter().filter_map(member).collect()
    }
}
