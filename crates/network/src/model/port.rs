//! Ports: exposed, asked to be published, published.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Subnet;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// As Docker writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Its number in an IP packet.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "" | "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(Error::invalid(format!("invalid proto: {text}"))),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port in a container, written `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Port {
    /// 1 … 65535; 0 where it only stands for "none".
    pub number: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

impl Port {
    /// All ports of a notation that may be a range, as in `8000-8010/udp`.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn range(text: &str) -> Result<impl Iterator<Item = Self> + use<>> {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, ""));
        let protocol = protocol.parse()?;
        let numbers = numbers_of(numbers)?;
        Ok(numbers.map(move |number| Self { number, protocol }))
    }
}

impl FromStr for Port {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut ports = Self::range(text)?;
        match (ports.next(), ports.next()) {
            (Some(port), None) => Ok(port),
            _ => Err(invalid(text)),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

impl TryFrom<String> for Port {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Port> for String {
    fn from(port: Port) -> Self {
        port.to_string()
    }
}

/// Which port of the host a container's port may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum HostPorts {
    /// A free one of the host's ephemeral range.
    #[default]
    Any,
    /// The first that is free of these; often there is only one.
    Among(RangeInclusive<u16>),
}

impl FromStr for HostPorts {
    type Err = Error;

    /// Nothing and `0` stand for any.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "0" => Ok(Self::Any),
            text => Ok(Self::Among(numbers_of(text)?)),
        }
    }
}

/// What is before each block of those who may come.
const FROM: &str = ",from=";

/// A port that is to be published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortBinding {
    /// In the container.
    pub port: Port,
    /// The host's address; `None`: all of both families.
    pub host_address: Option<IpAddr>,
    /// The host's port.
    pub host_ports: HostPorts,
    /// Who may come from outside of the host; empty: everybody.
    pub from: Vec<Subnet>,
}

impl PortBinding {
    /// From the three texts of the API. Behind the host's port may be who may come, as in `8080,from=10.0.0.0/8`; an
    /// engine that does not know that refuses it as a port.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words.
    pub fn parse(port: &str, host_address: &str, host_port: &str) -> Result<Self> {
        let host_address = match host_address {
            "" => None,
            text => {
                let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
                Some(bare.parse().map_err(|_| Error::invalid(format!("invalid IP address: {text}")))?)
            }
        };
        let (host_port, sources) = host_port.split_once(FROM).unwrap_or((host_port, ""));
        let sources = sources.split(FROM).filter(|text| !text.is_empty());
        let from = sources.map(str::parse).collect::<Result<Vec<Subnet>>>()?;
        Ok(Self { port: port.parse()?, host_address, host_ports: host_port.parse()?, from })
    }
}

impl PortBinding {
    /// Whether a port that is published is what this asks for.
    #[must_use]
    pub fn is_met_by(&self, published: &Published) -> bool {
        let number = match &self.host_ports {
            HostPorts::Any => true,
            HostPorts::Among(numbers) => numbers.contains(&published.host_port),
        };
        self.port == published.port && number && self.host_address.is_none_or(|it| it == published.host_address)
    }
}

/// A port that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Published {
    /// In the container.
    pub port: Port,
    /// The host's address; unspecified: all of that family.
    pub host_address: IpAddr,
    /// The host's port.
    pub host_port: u16,
}

impl Published {
    /// Whether another one has the same port of the host, at whatever address of that family.
    #[must_use]
    pub fn has_port_of(&self, other: &Self) -> bool {
        self.host_port == other.host_port
            && self.port.protocol == other.port.protocol
            && self.host_address.is_ipv6() == other.host_address.is_ipv6()
    }

    /// What asks for exactly this.
    #[must_use]
    pub fn as_binding(&self, from: Vec<Subnet>) -> PortBinding {
        let Self { port, host_address, host_port } = *self;
        PortBinding {
            port,
            host_address: Some(host_address),
            host_ports: HostPorts::Among(host_port..=host_port),
            from,
        }
    }
}

fn numbers_of(text: &str) -> Result<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(invalid(text)),
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn invalid(text: &str) -> Error {
    Error::invalid(format!("invalid port specification: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        assert_eq!("53/UDP".parse::<Port>().unwrap(), Port { number: 53, protocol: Protocol::Udp });
        assert_eq!("80".parse::<Port>().unwrap().to_string(), "80/tcp");
        assert_eq!(
            Port::range("5-7/sctp").unwrap().map(|port| port.to_string()).collect::<Vec<_>>(),
            ["5/sctp", "6/sctp", "7/sctp"]
        );
        for bad in ["", "x", "+1", "65536", "7-5", "1-2-3"] {
            assert_eq!(bad.parse::<Port>().unwrap_err().to_string(), format!("invalid port specification: {bad:?}"));
        }
        assert!("5-7".parse::<Port>().is_err());
        assert_eq!("1/icmp".parse::<Port>().unwrap_err().to_string(), "invalid proto: icmp");
    }

    #[test]
    fn bindings() {
        let any = PortBinding::parse("80/tcp", "", "").unwrap();
        assert_eq!((any.host_address, any.host_ports), (None, HostPorts::Any));
        let one = PortBinding::parse("80/tcp", "[::1]", "8000-8002").unwrap();
        assert_eq!((one.host_address, one.host_ports), (Some("::1".parse().unwrap()), HostPorts::Among(8000..=8002)));
        assert_eq!(PortBinding::parse("80", "nope", "1").unwrap_err().to_string(), "invalid IP address: nope");
    }

    #[test]
    fn what_is_published_meets_who_asked_for_it() {
        let published =
            |at: &str| Published { port: "80".parse().unwrap(), host_address: at.parse().unwrap(), host_port: 8001 };
        let met = |address: &str, ports: &str, at: &str| {
            PortBinding::parse("80", address, ports).unwrap().is_met_by(&published(at))
        };
        assert!(met("", "", "::") && met("", "8000-8002", "0.0.0.0") && met("127.0.0.1", "8001", "127.0.0.1"));
        assert!(!met("0.0.0.0", "8001", "::") && !met("", "8002", "::"));
        assert!(published("::").has_port_of(&published("::1")) && !published("::").has_port_of(&published("0.0.0.0")));
    }

    #[test]
    fn what_is_published_is_stored_in_words() {
        let published =
            Published { port: "80".parse().unwrap(), host_address: "0.0.0.0".parse().unwrap(), host_port: 1 };
        let text = serde_json::to_string(&published).unwrap();
        assert_eq!(text, r#"{"port":"80/tcp","host_address":"0.0.0.0","host_port":1}"#);
        assert_eq!(serde_json::from_str::<Published>(&text).unwrap(), published);
    }
}
