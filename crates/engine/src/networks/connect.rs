//! `docker network connect` and `disconnect`.

use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_network::model::{DEFAULT, Driver, EndpointSpec, Network, check_endpoint, check_static};

use super::membership::together;
use super::table::missing;
use crate::container::{Command, Container};
use crate::core::Core;
use crate::spec::ContainerSpec;

impl Core {
    pub(super) async fn connect(
        self: Arc<Self>,
        container: Arc<Container>,
        network: Arc<Network>,
        spec: EndpointSpec,
    ) -> Result<()> {
        // It is there only for those that are in it still.
        if network.name() == DEFAULT && !self.config.usual.bridge.is_wanted() {
            return Err(missing(DEFAULT));
        }
        check_endpoint(&spec, network.name())?;
        check_static(&spec, &network)?;
        container.ask(|reply| Command::Connect(network, Box::new(spec), reply)).await
    }

    pub(super) async fn disconnect(self: Arc<Self>, container: Arc<Container>, network: String) -> Result<()> {
        container.ask(|reply| Command::Disconnect(network, reply)).await
    }
}

/// Whether a container may come into a network, too.
///
/// # Errors
/// Docker's refusals.
pub(crate) fn may_connect(spec: &ContainerSpec, network: &Network) -> Result<()> {
    let mode = &spec.host.network_mode;
    if mode.starts_with("container:") {
        return Err(Error::invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        ));
    }
    if network.spec.driver == Driver::Host && mode != "host" {
        return Err(Error::invalid(
            "cannot connect container to host network - container must be created in host network mode",
        ));
    }
    let others = spec.networking.keys().map(String::as_str).filter(|name| *name != network.name());
    together(others.chain([network.name()]))
}

/// Whether a container may leave a network.
///
/// # Errors
/// Docker's refusals.
pub(crate) fn may_disconnect(id: &str, spec: &ContainerSpec, name: &str, alive: bool) -> Result<()> {
    if !spec.networking.contains_key(name) {
        let the = if alive { "" } else { "the " };
        return Err(Error::not_found(format!("container {id} is not connected to {the}network {name}")));
    }
    if alive && spec.host.network_mode == "host" && name == "host" {
        return Err(Error::invalid(
            "cannot disconnect container from host network - container was created in host network mode",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_network::model::NetworkSpec;

    fn container(mode: &str, networks: &[&str]) -> ContainerSpec {
        let mut spec = ContainerSpec::default();
        mode.clone_into(&mut spec.host.network_mode);
        spec.networking = networks.iter().map(|name| ((*name).to_owned(), EndpointSpec::default())).collect();
        spec
    }

    fn network(name: &str, driver: Driver) -> Network {
        let spec = NetworkSpec { name: name.into(), driver, ..NetworkSpec::default() };
        Network { id: name.into(), spec, pools: Vec::new(), created: 0 }
    }

    #[test]
    fn who_may_come() {
        let mine = network("mine", Driver::Bridge);
        may_connect(&container("bridge", &["bridge"]), &mine).unwrap();
        may_connect(&container("mine", &["mine"]), &mine).unwrap();
        may_connect(&container("bridge", &[]), &mine).unwrap();
        let refused = |mode: &str, networks: &[&str], network: &Network| {
            may_connect(&container(mode, networks), network).unwrap_err().to_string()
        };
        assert!(refused("container:x", &[], &mine).starts_with("container sharing network namespace"));
        assert!(refused("host", &["host"], &mine).starts_with("container sharing network namespace"));
        assert!(refused("none", &["none"], &mine).starts_with("container cannot be connected to multiple networks"));
        let host = network("host", Driver::Host);
        assert!(refused("bridge", &["bridge"], &host).starts_with("cannot connect container to host network"));
    }

    #[test]
    fn who_may_go() {
        may_disconnect("1", &container("bridge", &["bridge"]), "bridge", true).unwrap();
        let text = may_disconnect("1", &container("bridge", &["bridge"]), "x", true).unwrap_err().to_string();
        assert_eq!(text, "container 1 is not connected to network x");
        let text = may_disconnect("1", &container("host", &["host"]), "host", true).unwrap_err().to_string();
        assert!(text.starts_with("cannot disconnect container from host network"), "{text}");
    }
}
