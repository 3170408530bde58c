//! Networks.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use dhow_errdefs::{Error, Result, message};
use serde::{Deserialize, Serialize};

use super::Subnet;

/// The network of a container that names none.
pub const DEFAULT: &str = "bridge";

/// The networks every engine has: name and driver, in Docker's order.
pub const PREDEFINED: [(&str, Driver); 3] = [(DEFAULT, Driver::Bridge), ("host", Driver::Host), ("none", Driver::Null)];

/// What makes a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of the host, with address translation to the outside.
    #[default]
    Bridge,
    /// The host's own network.
    Host,
    /// Nothing but a loopback.
    Null,
    /// Links with addresses of their own on a link of the host.
    Macvlan,
    /// Links that share the hardware address of a link of the host.
    Ipvlan,
}

impl Driver {
    /// As Docker writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }

    /// Whether endpoints in its networks have addresses.
    #[must_use]
    pub const fn has_addresses(self) -> bool {
        matches!(self, Self::Bridge | Self::Macvlan | Self::Ipvlan)
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Driver {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Bridge, Self::Host, Self::Null, Self::Macvlan, Self::Ipvlan];
        match text {
            "" | "default" => Ok(Self::Bridge),
            "none" => Ok(Self::Null),
            "overlay" => Err(Error::denied(message::NO_SWARM_MANAGER)),
            text => all.into_iter().find(|driver| driver.as_str() == text).ok_or_else(|| {
                Error::not_found(format!("could not find plugin {text} in v1 plugin registry: plugin not found"))
            }),
        }
    }
}

/// What a network is asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// Unique in one engine, unlike at Docker's old versions.
    pub name: String,
    /// What makes it.
    pub driver: Driver,
    /// Options of the driver, as given; parsed by [`BridgeOptions`](super::BridgeOptions) and its like.
    pub options: BTreeMap<String, String>,
    /// Where its addresses come from.
    pub ipam: IpamSpec,
    /// Without a way to the outside.
    pub internal: bool,
    /// Kept and shown; it means something for networks over several hosts only.
    pub attachable: bool,
    /// Endpoints have IPv4 addresses.
    pub ipv4: bool,
    /// Endpoints have IPv6 addresses.
    pub ipv6: bool,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// It is no network, but what others are made of.
    pub config_only: bool,
    /// The network of that kind it was made of; empty: none.
    pub config_from: String,
}

/// Who gives out the addresses of a network, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IpamSpec {
    /// `default` or `null`; empty: default.
    pub driver: String,
    /// Options of that driver, shown only. `None`: not given (shown as null).
    pub options: Option<BTreeMap<String, String>>,
    /// The pools as asked for; empty: what is free.
    pub pools: Vec<IpamPool>,
}

/// A pool of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamPool {
    /// All addresses of the network.
    pub subnet: Subnet,
    /// Those of them that are given out; `None`: all.
    #[serde(default)]
    pub range: Option<Subnet>,
    /// The way out; `None`: the first address that is free.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses that others have, by name.
    #[serde(default)]
    pub auxiliary: BTreeMap<String, IpAddr>,
}

impl IpamPool {
    /// All of a block.
    #[must_use]
    pub fn of(subnet: Subnet) -> Self {
        Self { subnet, range: None, gateway: None, auxiliary: BTreeMap::new() }
    }
}

/// A network that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What it was asked to be.
    pub spec: NetworkSpec,
    /// Its pools with their gateways: those of the spec, or what was free when it was made.
    pub pools: Vec<IpamPool>,
    /// Nanoseconds since 1970.
    pub created: i64,
}

impl Network {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// One of the three that every engine has.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        PREDEFINED.iter().any(|(name, _)| *name == self.spec.name)
    }

    /// The twelve digits that people see.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The pool of a family.
    #[must_use]
    pub fn pool(&self, ipv6: bool) -> Option<&IpamPool> {
        self.pools.iter().find(|pool| pool.subnet.is_ipv6() == ipv6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_by_name() {
        for (_, driver) in PREDEFINED {
            assert_eq!(driver.as_str().parse::<Driver>().unwrap(), driver);
        }
        assert_eq!("".parse::<Driver>().unwrap(), Driver::Bridge);
        let error = "weave".parse::<Driver>().unwrap_err();
        assert_eq!(error.class(), dhow_errdefs::Class::NotFound);
        assert_eq!(error.to_string(), "could not find plugin weave in v1 plugin registry: plugin not found");
    }

    #[test]
    fn a_stored_network_comes_back_and_may_lack_what_came_later() {
        let pool =
            IpamPool { gateway: Some("10.0.0.1".parse().unwrap()), ..IpamPool::of("10.0.0.0/24".parse().unwrap()) };
        let spec = NetworkSpec { name: "n".into(), ipv4: true, ..NetworkSpec::default() };
        let network = Network { id: "a".repeat(64), spec, pools: vec![pool], created: 7 };
        let text = serde_json::to_string(&network).unwrap();
        assert_eq!(serde_json::from_str::<Network>(&text).unwrap(), network);
        let old = r#"{"id":"b","spec":{"name":"n"},"pools":[{"subnet":"10.0.0.0/24"}],"created":0}"#;
        assert_eq!(serde_json::from_str::<Network>(old).unwrap().pools[0].gateway, None);
    }
}
