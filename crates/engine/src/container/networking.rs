//! Coming into networks and leaving them.

use std::sync::Arc;

use dhow_errdefs::{Error, Result, message};
use dhow_network::model::{Attached, EndpointSpec, Network, Published};

use super::owner::Owner;
use super::{Body, Request, record};
use crate::networks::{PublishChange, may_connect, may_disconnect, with_own_address, with_published, without_link};
use crate::spec::ContainerSpec;
use crate::start::renew_names;

impl Owner {
    pub(super) async fn connect(&mut self, network: Arc<Network>, spec: EndpointSpec) -> Result<()> {
        self.check(Request::Network)?;
        may_connect(&self.body.spec, &network)?;
        let name = network.spec.name.clone();
        let alive = self.condition.state.is_alive();
        if self.body.spec.networking.contains_key(&name) {
            // Docker lets it be where the container does not run.
            let text = format!("endpoint with name {} already exists in network {name}", self.name);
            return if alive { Err(Error::denied(text)) } else { Ok(()) };
        }
        let spec = with_own_address(&self.body.spec, &name, spec);
        let entered = if alive { Some(self.enter(&name, &spec).await?) } else { None };
        let written = self.rewrite(|body| drop(body.networking.insert(name.clone(), spec)));
        if let Err(error) = written {
            if entered.is_some() {
                self.leave(&name).await;
            }
            return Err(error);
        }
        if let Some(Attached { mut endpoints, published }) = entered {
            self.attached(|attached| {
                attached.published = published;
                attached.endpoints.extend(endpoints.remove_entry(&name));
            });
            self.core.network_event("connect", &network, Some(&self.container.id));
        }
        self.publish();
        Ok(())
    }

    pub(super) async fn disconnect(&mut self, name: String) -> Result<()> {
        self.check(Request::Network)?;
        let alive = self.condition.state.is_alive();
        may_disconnect(&self.container.id, &self.body.spec, &name, alive)?;
        let network = self.core.networks.named(&name);
        self.rewrite(|body| drop(body.networking.remove(&name)))?;
        let mut was_there = false;
        self.attached(|attached| was_there = attached.endpoints.remove(&name).is_some());
        if was_there {
            if let Some(Attached { published, .. }) = self.leave(&name).await {
                self.attached(|attached| attached.published = published);
            }
            if let Some(network) = network {
                self.core.network_event("disconnect", &network, Some(&self.container.id));
            }
        }
        self.publish();
        Ok(())
    }

    /// Publishes ports, and takes others back, now and for every start to come.
    pub(super) async fn publish_change(&mut self, change: &PublishChange) -> Result<()> {
        self.check(Request::Network)?;
        let spec = with_published(&self.body.spec, change)?;
        let before = Arc::clone(&self.body.spec);
        // What cannot be written down is not done.
        self.rewrite(|body| *body = spec)?;
        if self.condition.state.is_alive() {
            match self.republish(change.clone()).await {
                Ok(published) => self.attached(|attached| attached.published = published),
                Err(error) => {
                    self.rewrite_back(before);
                    return Err(error);
                }
            }
        }
        self.publish();
        self.tell_event("update", &[]);
        Ok(())
    }

    async fn republish(&self, change: PublishChange) -> Result<Vec<Published>> {
        let (core, id) = (Arc::clone(&self.core), Arc::clone(&self.container.id));
        crate::engine::blocking(move || core.republish(&id, &change)).await
    }

    /// Forgets a link. The program loses the name; what its environment says of it is its own.
    pub(super) async fn unlink(&mut self, alias: &str) -> Result<()> {
        let left = without_link(&self.body.spec, alias);
        let gone = || Error::not_found(message::no_such_container(&format!("{}/{alias}", self.name)));
        let left = left.ok_or_else(gone)?;
        self.rewrite(|spec| spec.host.links = Some(left))?;
        self.publish();
        if !self.condition.state.is_alive() {
            return Ok(());
        }
        let (core, container) = (Arc::clone(&self.core), Arc::clone(&self.container));
        crate::engine::blocking(move || renew_names(&core, &container.id, &container.view().spec)).await
    }

    async fn enter(&self, name: &str, spec: &EndpointSpec) -> Result<Attached> {
        let (core, container) = (Arc::clone(&self.core), Arc::clone(&self.container));
        let (wanted, spec) = (name.to_owned(), spec.clone());
        let attached = crate::engine::blocking(move || core.enter_network(&container, &wanted, &spec)).await?;
        if let Err(error) = self.keep().await {
            self.leave(name).await;
            return Err(error);
        }
        Ok(attached)
    }

    /// Has the shim keep what the next engine will want of the networks.
    async fn keep(&self) -> Result<()> {
        let Some(link) = &self.link else { return Ok(()) };
        for kept in link.keep(self.core.kernel.keepsakes(&self.container.id)).await? {
            kept.wait_patiently().await?;
        }
        Ok(())
    }

    /// Returns what it still has.
    async fn leave(&self, name: &str) -> Option<Attached> {
        let (core, id, spec) = (Arc::clone(&self.core), Arc::clone(&self.container.id), Arc::clone(&self.body.spec));
        let name = name.to_owned();
        // It tells itself what goes wrong.
        crate::engine::blocking(move || Ok(core.leave_network(&id, &spec, &name))).await.ok()
    }

    /// Takes a change of the specification back, because it could not be carried out.
    pub(super) fn rewrite_back(&mut self, before: Arc<ContainerSpec>) {
        if let Err(error) = self.rewrite(|spec| spec.clone_from(&before)) {
            tracing::error!(id = %self.container.id, %error, "a change that failed could not be taken back; it counts at the next start");
        }
    }

    /// Changes the specification, on disk and here.
    pub(super) fn rewrite(&mut self, change: impl FnOnce(&mut ContainerSpec)) -> Result<()> {
        let mut spec = ContainerSpec::clone(&self.body.spec);
        change(&mut spec);
        let body = Body { spec: Arc::new(spec), mounts: self.body.mounts.clone() };
        let document = record::write(&body)?;
        self.core.record(|metadata| metadata.set_container_spec(&self.container.id, &document))?;
        self.body = Arc::new(body);
        Ok(())
    }

    /// Changes what it has of its networks while it runs, on disk and here.
    fn attached(&mut self, change: impl FnOnce(&mut Attached)) {
        if self.condition.state.is_alive() {
            change(Arc::make_mut(self.condition.attached.get_or_insert_default()));
            self.persist();
        }
    }

    /// It has ended: its places are given back.
    pub(super) fn leave_networks(&mut self) {
        self.condition.attached = None;
        tokio::task::block_in_place(|| self.core.leave_networks(&self.container.id));
    }
}
