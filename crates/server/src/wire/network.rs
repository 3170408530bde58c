//! The networks every engine has, until there are others.

use dhow_api::network::{Ipam, Network};
pub(crate) use dhow_engine::networks::{BUILT_IN, DEFAULT, id};
use jiff::Timestamp;

use super::time;

/// All of them.
pub(crate) fn all(created: Timestamp) -> Vec<Network> {
    BUILT_IN.iter().map(|(name, driver)| network(name, driver, created)).collect()
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
