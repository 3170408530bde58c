//! Options of drivers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use dhow_errdefs::{Error, Result, parse_bool};

/// The options' names.
#[allow(missing_docs, reason = "they are Docker's, and documented with it")]
pub mod name {
    pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
    pub const ICC: &str = "com.docker.network.bridge.enable_icc";
    pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
    pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
    pub const DEFAULT_BRIDGE: &str = "com.docker.network.bridge.default_bridge";
    pub const HOST_IPV4: &str = "com.docker.network.host_ipv4";
    pub const HOST_IPV6: &str = "com.docker.network.host_ipv6";
    pub const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
    pub const GATEWAY_MODE_4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
    pub const GATEWAY_MODE_6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
    pub const MTU: &str = "com.docker.network.driver.mtu";
    pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
    pub const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";
    pub const INTERFACE_SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
    pub const PARENT: &str = "parent";
}

/// Options of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeOptions {
    /// The bridge's name on the host; `None`: made of the network's id.
    pub name: Option<String>,
    /// Endpoints reach each other.
    pub icc: bool,
    /// What goes out carries the host's address.
    pub masquerade: bool,
    /// Which of them; `None`: that of the link it leaves by.
    pub host_ipv4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub host_ipv6: Option<Ipv6Addr>,
    /// The host's address of published ports that name none.
    pub host_binding: Option<IpAddr>,
    /// Bytes in a packet; `None`: the host's.
    pub mtu: Option<u32>,
    /// How links are called in containers, before their number.
    pub interface_prefix: String,
    /// The bridge gets no IPv4 address.
    pub inhibit_ipv4: bool,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            name: None,
            icc: true,
            masquerade: true,
            host_ipv4: None,
            host_ipv6: None,
            host_binding: None,
            mtu: None,
            interface_prefix: "eth".to_owned(),
            inhibit_ipv4: false,
        }
    }
}

impl BridgeOptions {
    /// Parses. What it does not know is ignored, as Docker does.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            match key.as_str() {
                name::BRIDGE_NAME => parsed.name = Some(interface(value)?).filter(|name| !name.is_empty()),
                name::ICC => parsed.icc = flag(key, value)?,
                name::MASQUERADE => parsed.masquerade = flag(key, value)?,
                name::INHIBIT_IPV4 => parsed.inhibit_ipv4 = flag(key, value)?,
                name::HOST_BINDING => parsed.host_binding = Some(address(key, value)?),
                name::HOST_IPV4 => parsed.host_ipv4 = Some(address(key, value)?),
                name::HOST_IPV6 => parsed.host_ipv6 = Some(address(key, value)?),
                name::MTU => parsed.mtu = mtu(key, value)?,
                name::INTERFACE_PREFIX => parsed.interface_prefix = interface_prefix(value)?,
                name::GATEWAY_MODE_4 | name::GATEWAY_MODE_6 => gateway_mode(key, value)?,
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// How links on one parent reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "they are the kernel's")]
pub enum MacvlanMode {
    #[default]
    Bridge,
    Private,
    Vepa,
    Passthru,
}

/// Options of macvlan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MacvlanOptions {
    /// The host's link, `link.vlan` for a VLAN of it; `None`: a dummy without a way out.
    pub parent: Option<String>,
    /// How links on one parent reach each other.
    pub mode: MacvlanMode,
    /// Bytes in a packet; `None`: the parent's.
    pub mtu: Option<u32>,
}

impl MacvlanOptions {
    /// Parses.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            match key.as_str() {
                name::PARENT => parsed.parent = Some(value.clone()).filter(|parent| !parent.is_empty()),
                "macvlan_mode" => {
                    parsed.mode = match value.as_str() {
                        "" | "bridge" => MacvlanMode::Bridge,
                        "private" => MacvlanMode::Private,
                        "vepa" => MacvlanMode::Vepa,
                        "passthru" => MacvlanMode::Passthru,
                        mode => {
                            let text = format!(
                                "requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
                            );
                            return Err(Error::invalid(text));
                        }
                    }
                }
                name::MTU => parsed.mtu = mtu(key, value)?,
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// Go's booleans.
fn flag(key: &str, value: &str) -> Result<bool> {
    let syntax = || wrong(key, value, &format!("strconv.ParseBool: parsing {value:?}: invalid syntax"));
    parse_bool(value).ok_or_else(syntax)
}

fn address<A: FromStr>(key: &str, value: &str) -> Result<A> {
    value.parse().map_err(|_| wrong(key, value, "nil ip"))
}

fn mtu(key: &str, value: &str) -> Result<Option<u32>> {
    match value.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(mtu @ 68..=65535) => Ok(u32::try_from(mtu).ok()),
        Ok(mtu) => Err(Error::invalid(format!("invalid MTU number: {mtu}"))),
        Err(_) => Err(wrong(key, value, &format!("strconv.Atoi: parsing {value:?}: invalid syntax"))),
    }
}

/// The name that a container's link is to have.
pub(super) fn own_interface(value: &str) -> Result<String> {
    if value == "lo" {
        return Err(no_interface(value).with_hint("that is the loopback"));
    }
    interface(value)
}

/// What is before the numbers of a container's links.
fn interface_prefix(value: &str) -> Result<String> {
    if value.len() > 13 {
        return Err(no_interface(value).with_hint("up to 13 bytes: a number comes behind it"));
    }
    interface(value)
}

/// The kernel's rule for names of links: up to 15 bytes, no slash, no space; and not those of its settings for all links.
fn interface(value: &str) -> Result<String> {
    let fits = value.len() <= 15 && !matches!(value, "." | ".." | "all" | "default");
    if fits
        && !value
            .contains(|letter: char| letter == '/' || letter == ':' || letter.is_whitespace() || letter.is_control())
    {
        return Ok(value.to_owned());
    }
    Err(no_interface(value).with_hint("up to 15 bytes, without slash, colon and space"))
}

fn no_interface(value: &str) -> Error {
    Error::invalid(format!("invalid interface name: {value:?}"))
}

/// Only translation of addresses is done.
fn gateway_mode(key: &str, value: &str) -> Result<()> {
    match value {
        "" | "nat" => Ok(()),
        "nat-unprotected" | "routed" | "isolated" => {
            Err(Error::not_implemented(format!("{key}={value} is not supported")))
        }
        _ => Err(Error::invalid(format!("unknown gateway mode {value}"))),
    }
}

fn wrong(key: &str, value: &str, why: &str) -> Error {
    Error::invalid(format!("failed to parse {key} value: {value:?} ({why})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(key: &str, value: &str) -> Result<BridgeOptions> {
        BridgeOptions::parse(&[(key.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn options_of_bridges() {
        assert_eq!(BridgeOptions::parse(&BTreeMap::new()).unwrap(), BridgeOptions::default());
        assert_eq!(bridge(name::BRIDGE_NAME, "br-x").unwrap().name.as_deref(), Some("br-x"));
        assert!(!bridge(name::ICC, "False").unwrap().icc && !bridge(name::MASQUERADE, "0").unwrap().masquerade);
        assert_eq!(bridge(name::HOST_IPV4, "10.0.0.9").unwrap().host_ipv4, Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(bridge(name::HOST_IPV6, "::1").unwrap().host_ipv6, Some(Ipv6Addr::LOCALHOST));
        assert!(bridge(name::HOST_IPV4, "::1").unwrap_err().to_string().ends_with("value: \"::1\" (nil ip)"));
        assert_eq!(bridge(name::MTU, "1400").unwrap().mtu, Some(1400));
        assert_eq!(bridge("anything", "else").unwrap(), BridgeOptions::default());
        assert!(bridge(name::BRIDGE_NAME, "a-name-that-is-too-long").is_err() && bridge(name::MTU, "-1").is_err());
        assert!(bridge(name::INTERFACE_PREFIX, "fourteen-bytes").is_err() && bridge(name::BRIDGE_NAME, "all").is_err());
        let error = bridge(name::ICC, "ja").unwrap_err().to_string();
        assert!(
            error.contains("enable_icc value: \"ja\" (strconv.ParseBool: parsing \"ja\": invalid syntax)"),
            "{error}"
        );
    }

    #[test]
    fn options_of_macvlan() {
        let options = [("parent", "eth0.7"), ("macvlan_mode", "vepa")].map(|(key, value)| (key.into(), value.into()));
        let parsed = MacvlanOptions::parse(&options.into()).unwrap();
        assert_eq!((parsed.parent.as_deref(), parsed.mode), (Some("eth0.7"), MacvlanMode::Vepa));
        assert!(MacvlanOptions::parse(&[("macvlan_mode".into(), "x".into())].into()).is_err());
    }
}
