//! Names: where a container's questions go, and lines for its /etc/hosts.

use std::net::IpAddr;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};

/// What a container's resolver is asked to be. Empty: the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// Name servers.
    pub servers: Vec<IpAddr>,
    /// Domains that are tried; `.` alone: none at all.
    pub search: Vec<String>,
    /// Options of resolv.conf.
    pub options: Vec<String>,
}

/// Where an extra host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    /// There.
    Is(IpAddr),
    /// Where the container reaches its host: the word `host-gateway`.
    Gateway,
}

/// A line for /etc/hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Where it is.
    pub address: HostAddress,
}

impl FromStr for ExtraHost {
    type Err = Error;

    /// `name:address` (the address may have colons) or `name=address`; the address may be in brackets.
    fn from_str(text: &str) -> Result<Self> {
        let split = text.split_once('=').or_else(|| text.split_once(':'));
        let Some((name, address)) = split.filter(|(name, _)| !name.is_empty()) else {
            return Err(Error::invalid(format!("bad format for add-host: {text:?}")));
        };
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
        let address = match bare {
            "host-gateway" => HostAddress::Gateway,
            bare => HostAddress::Is(
                bare.parse().map_err(|_| Error::invalid(format!("invalid IP address in add-host: {address:?}")))?,
            ),
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_hosts_in_both_notations() {
        let is = |text: &str| HostAddress::Is(text.parse().unwrap());
        for (text, address) in [
            ("a:1.2.3.4", is("1.2.3.4")),
            ("a:::1", is("::1")),
            ("a=[fe80::1]", is("fe80::1")),
            ("a:host-gateway", HostAddress::Gateway),
        ] {
            assert_eq!(text.parse::<ExtraHost>().unwrap(), ExtraHost { name: "a".into(), address });
        }
        assert_eq!("a".parse::<ExtraHost>().unwrap_err().to_string(), "bad format for add-host: \"a\"");
        assert_eq!("a:b".parse::<ExtraHost>().unwrap_err().to_string(), "invalid IP address in add-host: \"b\"");
    }
}
