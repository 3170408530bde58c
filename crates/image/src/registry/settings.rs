//! How registries are reached, as an engine is configured.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// How registries are reached. The defaults reach every registry over TLS and those of this host also without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Mirrors of the default registry, as in `https://mirror.example:5000`, tried in this order before it.
    pub mirrors: Vec<String>,
    /// Mirrors of other registries by `host[:port]`.
    pub mirrors_of: BTreeMap<String, Vec<String>>,
    /// Registries (`host[:port]`) and networks (`10.0.0.0/8`) that may speak plain HTTP or show any certificate.
    pub insecure: Vec<String>,
    /// Folders with `host[:port]/{*.crt,*.cert,*.key}`: authorities to trust and certificates to show, as Docker's
    /// `certs.d`. The first folder that has the host counts.
    pub certificates: Vec<PathBuf>,
    /// Proxy for plain HTTP.
    pub http_proxy: Option<String>,
    /// Proxy for HTTPS.
    pub https_proxy: Option<String>,
    /// Hosts to which no proxy leads, by comma.
    pub no_proxy: Option<String>,
    /// How the engine names itself.
    pub user_agent: String,
}

impl RegistrySettings {
    /// Whether a registry may be reached without security: this host's always (as Docker has it), else those named.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host_name(host).parse().ok();
        is_local(host)
            || self
                .insecure
                .iter()
                .any(|entry| entry == host || address.is_some_and(|address| network_contains(entry, address)))
    }
}

/// Whether what is sent there stays on this host.
pub(crate) fn is_local(host: &str) -> bool {
    let name = host_name(host);
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The host without its port, and without the brackets of an IPv6 address.
pub(crate) fn host_name(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Whether a network in CIDR notation (RFC 4632) has the address.
fn network_contains(network: &str, address: IpAddr) -> bool {
    let Some((base, bits)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) if bits <= 32 => {
            let shift = 32 - bits;
            u64::from(base.to_bits()) >> shift == u64::from(address.to_bits()) >> shift
        }
        (IpAddr::V6(base), IpAddr::V6(address)) if bits <= 128 => {
            bits == 0 || base.to_bits() >> (128 - bits) == address.to_bits() >> (128 - bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_and_the_named_ones_are_insecure() {
        let settings = RegistrySettings {
            insecure: vec!["reg.example:5000".into(), "10.1.0.0/16".into(), "fd00::/8".into()],
            ..RegistrySettings::default()
        };
        for host in ["localhost:5000", "127.0.0.9", "[::1]:5000", "reg.example:5000", "10.1.2.3:80", "[fd00::1]:5000"] {
            assert!(settings.is_insecure(host), "{host}");
        }
        for host in ["reg.example", "10.2.0.1:80", "docker.io", "[fe80::1]:5000"] {
            assert!(!settings.is_insecure(host), "{host}");
        }
    }

    #[test]
    fn nonsense_is_no_network() {
        let address = "10.0.0.1".parse().expect("an address");
        for network in ["", "/", "10.0.0.0", "10.0.0.0/33", "x/8", "fd00::/8"] {
            assert!(!network_contains(network, address), "{network}");
        }
        assert!(network_contains("0.0.0.0/0", address));
    }
}
