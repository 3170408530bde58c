//! A container's place in a network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::Mac;

/// What an endpoint is asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// Further names in the network. `None`: not given (shown as null).
    pub aliases: Option<Vec<String>>,
    /// `container[:alias]`: names that only this container has for others. `None`: not given (shown as null).
    pub links: Option<Vec<String>>,
    /// The address it must have.
    pub ipv4: Option<Ipv4Addr>,
    /// The address it must have.
    pub ipv6: Option<Ipv6Addr>,
    /// Further addresses of its link.
    pub link_local: Vec<IpAddr>,
    /// The hardware address it must have.
    pub mac: Option<Mac>,
    /// Options of the driver. `None`: not given (shown as null).
    pub driver_options: Option<BTreeMap<String, String>>,
    /// Whose gateway the default route goes to: the highest wins, then the network whose name is first.
    pub gateway_priority: i64,
}

impl EndpointSpec {
    /// Whether an address was asked for.
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some()
    }
}

/// An endpoint that there is: what a running container has in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Of its network.
    pub network: String,
    /// The link's name in the container; empty where there is none of its own.
    pub interface: String,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Address and prefix.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// Address and prefix.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// The way out.
    pub gateway4: Option<Ipv4Addr>,
    /// The way out.
    pub gateway6: Option<Ipv6Addr>,
}
