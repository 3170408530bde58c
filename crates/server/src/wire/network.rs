//! The networks every engine has, until there are others.

use std::sync::LazyLock;

use dhow_api::network::{Ipam, Network};
use jiff::Timestamp;

use super::time;

/// What the network of a container that names none is called.
pub(crate) const DEFAULT: &str = "bridge";

/// Name and driver, in Docker's order.
const BUILT_IN: [(&str, &str); 3] = [(DEFAULT, "bridge"), ("host", "host"), ("none", "null")];

/// All of them.
pub(crate) fn all(created: Timestamp) -> Vec<Network> {
    BUILT_IN.iter().map(|(name, driver)| network(name, driver, created)).collect()
}

/// The id of one of them. It is made of the name, so that it is the same after every start.
pub(crate) fn id(name: &str) -> Option<&'static str> {
    static IDS: LazyLock<[String; 3]> =
        LazyLock::new(|| BUILT_IN.map(|(name, _)| dhow_oci::Digest::of(format!("network {name}").as_bytes()).hex()));
    let index = BUILT_IN.iter().position(|(known, _)| *known == name)?;
    Some(&IDS[index])
}

fn network(name: &str, driver: &str, created: Timestamp) -> Network {
    Network {
        name: name.to_owned(),
        id: id(name).unwrap_or_default().to_owned(),
        created: time::text(Some(created)),
        scope: "local".to_owned(),
        driver: driver.to_owned(),
        enable_ipv4: true,
        ipam: Ipam { driver: "default".to_owned(), options: None, config: Some(Vec::new()) },
        ..Network::default()
    }
}
