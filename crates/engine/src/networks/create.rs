//! `docker network create`.

use std::sync::PoisonError;

use dhow_errdefs::{Error, Result};
use dhow_network::model::{BridgeOptions, Driver, MacvlanOptions, Network, NetworkSpec, PREDEFINED};

use super::table::{now, record_of};
use crate::core::Core;
use crate::create::random_id;

/// RFC 8200, section 5; the kernel takes no address of IPv6 on a link with less.
const LEAST_MTU_OF_IPV6: u32 = 1280;

impl Core {
    /// Makes a network. Blocks.
    pub(super) fn create_network(&self, mut spec: NetworkSpec) -> Result<String> {
        self.config.usual.complete_network(&mut spec);
        check(&spec)?;
        let _changing = self.networks.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.networks.named(&spec.name).is_some() {
            return Err(Error::conflict(format!("network with name {} already exists", spec.name)));
        }
        let spec = self.configured(spec)?;
        let network = self.make_network(random_id(), spec, now())?;
        let recorded = record_of(&network).and_then(|record| self.record(|metadata| metadata.insert_network(&record)));
        if let Err(error) = recorded {
            self.unmake_network(&network);
            return Err(error);
        }
        let network = self.networks.add(network);
        self.network_event("create", &network, None);
        Ok(network.id.clone())
    }

    /// Something happened to a network, and to a container with it.
    pub(crate) fn network_event(&self, action: &str, network: &Network, container: Option<&str>) {
        let mut attributes = vec![("name", network.name()), ("type", network.spec.driver.as_str())];
        attributes.extend(container.map(|container| ("container", container)));
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.events.tell(crate::EventKind::Network, action.to_owned(), &network.id, attributes);
    }
}

/// Refuses what can be refused without looking at anything, in Docker's words.
fn check(spec: &NetworkSpec) -> Result<()> {
    let name = &spec.name;
    if PREDEFINED.iter().any(|(predefined, _)| predefined == name) || name == "default" {
        return Err(Error::denied(format!("operation is not permitted on predefined {name} network ")));
    }
    if name.trim().is_empty() {
        return Err(Error::invalid("invalid name: name is empty"));
    }
    if name.contains(char::is_control) || name.starts_with("container:") {
        return Err(Error::invalid(format!("invalid name: {name:?}")));
    }
    super::configuration::check(spec)?;
    match spec.driver {
        _ if spec.config_only => {}
        Driver::Bridge => {
            let mtu = BridgeOptions::parse(&spec.options)?.mtu;
            if let Some(mtu) = mtu.filter(|mtu| spec.ipv6 && *mtu < LEAST_MTU_OF_IPV6) {
                return Err(Error::invalid(format!("invalid MTU number: {mtu}"))
                    .with_hint("IPv6 needs packets of 1280 bytes at least"));
            }
        }
        Driver::Macvlan => drop(MacvlanOptions::parse(&spec.options)?),
        Driver::Host | Driver::Null => {
            return Err(Error::denied(format!("only one instance of \"{}\" network is allowed", spec.driver)));
        }
        Driver::Ipvlan => {
            return Err(Error::not_implemented("networks of driver ipvlan are not supported")
                .with_hint("macvlan does the same with hardware addresses of the containers' own"));
        }
    }
    if !spec.ipv4 && !spec.ipv6 {
        return Err(Error::invalid("IPv4 or IPv6 must be enabled"));
    }
    match spec.ipam.driver.as_str() {
        "" | "default" => Ok(()),
        other => {
            Err(Error::not_found(format!("could not find plugin {other} in v1 plugin registry: plugin not found")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;

    fn refusal(change: impl FnOnce(&mut NetworkSpec)) -> (Class, String) {
        let mut spec = NetworkSpec { name: "n".into(), ipv4: true, ..NetworkSpec::default() };
        check(&spec).unwrap();
        change(&mut spec);
        let error = check(&spec).unwrap_err();
        (error.class(), error.to_string())
    }

    #[test]
    fn refusals_are_worded_as_dockers() {
        let (class, text) = refusal(|spec| spec.name = "bridge".into());
        assert_eq!(class, Class::PermissionDenied);
        assert_eq!(text, "operation is not permitted on predefined bridge network ");
        assert_eq!(refusal(|spec| spec.name = " ".into()).1, "invalid name: name is empty");
        let (class, text) = refusal(|spec| spec.driver = Driver::Host);
        assert_eq!(
            (class, text.as_str()),
            (Class::PermissionDenied, "only one instance of \"host\" network is allowed")
        );
        assert_eq!(refusal(|spec| spec.ipv4 = false).1, "IPv4 or IPv6 must be enabled");
        let small = |spec: &mut NetworkSpec| {
            spec.ipv6 = true;
            spec.options = [("com.docker.network.driver.mtu".to_owned(), "1279".to_owned())].into();
        };
        assert_eq!(refusal(small).1, "invalid MTU number: 1279");
        assert_eq!(refusal(|spec| spec.ipam.driver = "x".into()).0, Class::NotFound);
    }
}
