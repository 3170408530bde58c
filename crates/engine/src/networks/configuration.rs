//! Networks that are only a configuration, and those that are made of them.

use dhow_errdefs::{Error, Result, message};
use dhow_network::model::{Driver, NetworkSpec};

use crate::core::Core;

/// Refuses what goes with neither kind, in Docker's words.
pub(super) fn check(spec: &NetworkSpec) -> Result<()> {
    if spec.config_only && (spec.internal || spec.attachable) {
        return Err(Error::denied(message::CONFIGURATION_ONLY));
    }
    if spec.config_from.is_empty() {
        return Ok(());
    }
    if spec.config_only {
        return Err(Error::denied("a configuration network cannot depend on another configuration network"));
    }
    let ipam = &spec.ipam;
    let plain = matches!(ipam.driver.as_str(), "" | "default")
        && ipam.options.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
        && ipam.pools.is_empty()
        && spec.options.is_empty()
        && spec.labels.is_empty()
        && !spec.ipv6;
    if plain {
        return Ok(());
    }
    let text = "user specified configurations are not supported if the network depends on a configuration network";
    Err(Error::denied(text))
}

impl Core {
    /// What a network is to be, with what its configuration says.
    pub(super) fn configured(&self, mut spec: NetworkSpec) -> Result<NetworkSpec> {
        if spec.config_only {
            spec.driver = Driver::Null;
        }
        if spec.config_from.is_empty() {
            return Ok(spec);
        }
        let configuration = self.networks.find(&spec.config_from).ok().filter(|network| network.spec.config_only);
        let configuration = configuration
            .ok_or_else(|| Error::not_found(format!("configuration network {:?} does not exist", spec.config_from)))?;
        let NetworkSpec { options, ipam, labels, ipv4, ipv6, name, .. } = configuration.spec.clone();
        Ok(NetworkSpec { options, ipam, labels, ipv4, ipv6, config_from: name, ..spec })
    }

    /// Refuses the removal of a configuration that networks are made of.
    pub(super) fn check_dependants(&self, name: &str) -> Result<()> {
        let dependants = self.networks.all().into_iter().filter(|network| network.spec.config_from == name);
        let names: Vec<String> = dependants.map(|network| network.spec.name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(Error::denied(format!("configuration network {name:?} is in use"))
            .with_hint(format!("these networks are made of it: {}", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut NetworkSpec)) -> String {
        let mut spec = NetworkSpec { name: "n".into(), ipv4: true, ..NetworkSpec::default() };
        change(&mut spec);
        check(&spec).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_goes_with_a_configuration_and_what_does_not() {
        assert_eq!(refusal(|spec| spec.config_only = true), "");
        assert_eq!(refusal(|spec| spec.config_from = "x".into()), "");
        let internal = refusal(|spec| (spec.config_only, spec.internal) = (true, true));
        assert!(internal.starts_with("configuration network can only contain"), "{internal}");
        let chain = refusal(|spec| (spec.config_only, spec.config_from) = (true, "x".into()));
        assert!(chain.starts_with("a configuration network cannot depend"), "{chain}");
        let own = refusal(|spec| (spec.ipv6, spec.config_from) = (true, "x".into()));
        assert!(own.starts_with("user specified configurations"), "{own}");
    }
}
