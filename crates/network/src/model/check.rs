//! Checks that need nothing but the values, in Docker's words.

use std::net::IpAddr;

use dhow_errdefs::{Error, Result};

use super::{EndpointSpec, IpamPool, Network, Subnet};

/// Checks pools that were asked for, all faults at once as Docker does.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_ipam(pools: &[IpamPool]) -> Result<()> {
    let faults = pools.iter().flat_map(pool_faults).collect::<Vec<_>>();
    all("invalid network config", &faults)
}

fn pool_faults(pool: &IpamPool) -> Vec<String> {
    let subnet = pool.subnet;
    let mut faults = Vec::new();
    if subnet != subnet.masked() {
        faults.push(format!("invalid subnet {subnet}: it should be {}", subnet.masked()));
    }
    if let Some(range) = pool.range {
        faults.extend(range_faults(range, subnet).into_iter().map(|why| format!("invalid ip-range {range}: {why}")));
    }
    if let Some((gateway, why)) = pool.gateway.and_then(|gateway| Some((gateway, outside(gateway, subnet)?))) {
        faults.push(format!("invalid gateway {gateway}: {why}"));
    }
    for (name, address) in &pool.auxiliary {
        faults.extend(outside(*address, subnet).map(|why| format!("invalid auxiliary address {name}: {why}")));
    }
    faults
}

fn range_faults(range: Subnet, subnet: Subnet) -> Vec<String> {
    if range.is_ipv6() != subnet.is_ipv6() {
        return vec![other_family(subnet)];
    }
    let mut faults = Vec::new();
    if range.prefix() < subnet.prefix() {
        faults.push(format!("CIDR block is bigger than its parent subnet {subnet}"));
    }
    if range != range.masked() {
        faults.push(format!("it should be {}", range.masked()));
    }
    if !subnet.overlaps(range) {
        faults.push(format!("parent subnet {subnet} doesn't contain ip-range"));
    }
    faults
}

/// Why an address is none of a block's.
fn outside(address: IpAddr, subnet: Subnet) -> Option<String> {
    if address.is_ipv6() != subnet.is_ipv6() {
        return Some(other_family(subnet));
    }
    (!subnet.contains(address)).then(|| format!("parent subnet {subnet} doesn't contain this address"))
}

fn other_family(subnet: Subnet) -> String {
    format!("parent subnet is an {} block", if subnet.is_ipv6() { "IPv6" } else { "IPv4" })
}

/// Checks what an endpoint asks for against the kind of network it names: the predefined ones give neither chosen
/// addresses nor names.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_endpoint(spec: &EndpointSpec, network: &str) -> Result<()> {
    let mut faults = Vec::new();
    if spec.ipv4.is_some_and(|address| address.is_unspecified()) {
        faults.push("invalid IPv4 address: 0.0.0.0".to_owned());
    }
    if spec.ipv6.is_some_and(|address| address.is_unspecified()) {
        faults.push("invalid IPv6 address: ::".to_owned());
    }
    let unspecified = spec.link_local.iter().filter(|address| address.is_unspecified());
    faults.extend(unspecified.map(|address| format!("invalid link-local IP address: {address}")));
    if super::PREDEFINED.iter().any(|(name, _)| *name == network) {
        if spec.has_address() {
            faults.push("user specified IP address is supported on user defined networks only".to_owned());
        }
        if spec.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty()) {
            faults.push("network-scoped alias is supported only for containers in user defined networks".to_owned());
        }
    }
    all("invalid endpoint settings", &faults)
}

/// Checks that the addresses an endpoint asks for can be chosen in a network: only where somebody chose its subnet.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_static(spec: &EndpointSpec, network: &Network) -> Result<()> {
    let addresses = [spec.ipv4.map(IpAddr::V4), spec.ipv6.map(IpAddr::V6)];
    let faults = addresses.into_iter().flatten().filter_map(|address| not_static(address, network));
    all("invalid endpoint settings", &faults.collect::<Vec<_>>())
}

fn not_static(address: IpAddr, network: &Network) -> Option<String> {
    let mut pools = network.spec.ipam.pools.iter().filter(|pool| pool.subnet.is_ipv6() == address.is_ipv6()).peekable();
    if pools.peek().is_none() {
        let text =
            "user specified IP address is supported only when connecting to networks with user configured subnets";
        return Some(text.to_owned());
    }
    let contained = pools.any(|pool| pool.subnet.contains(address));
    (!contained).then(|| format!("no configured subnet or ip-range contain the IP address {address}"))
}

/// Go's list of errors.
fn all(head: &str, faults: &[String]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = faults.iter().map(|fault| format!("* {fault}")).collect();
    Err(Error::invalid(format!("{head}:\n{}", lines.join("\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NetworkSpec;

    fn pool(subnet: &str) -> IpamPool {
        IpamPool::of(subnet.parse().unwrap())
    }

    fn refusal(pool: IpamPool) -> String {
        let text = check_ipam(&[pool]).unwrap_err().to_string();
        text.strip_prefix("invalid network config:\n* ").unwrap().to_owned()
    }

    #[test]
    fn pools_in_dockers_words() {
        check_ipam(&[pool("10.0.0.0/24"), pool("fd00::/64")]).unwrap();
        assert_eq!(refusal(pool("10.0.0.1/24")), "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24");
        let gateway = |text: &str| IpamPool { gateway: Some(text.parse().unwrap()), ..pool("10.0.0.0/24") };
        assert_eq!(
            refusal(gateway("10.0.1.1")),
            "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address"
        );
        assert_eq!(refusal(gateway("fd00::1")), "invalid gateway fd00::1: parent subnet is an IPv4 block");
        let range = |text: &str| IpamPool { range: Some(text.parse().unwrap()), ..pool("10.0.0.0/24") };
        check_ipam(&[range("10.0.0.128/25")]).unwrap();
        assert_eq!(
            refusal(range("10.0.0.0/16")),
            "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24"
        );
        assert_eq!(
            refusal(range("10.0.9.5/25")),
            "invalid ip-range 10.0.9.5/25: it should be 10.0.9.0/25\n\
             * invalid ip-range 10.0.9.5/25: parent subnet 10.0.0.0/24 doesn't contain ip-range"
        );
        let auxiliary = [("a".to_owned(), "10.1.0.1".parse().unwrap())].into();
        assert_eq!(
            refusal(IpamPool { auxiliary, ..pool("10.0.0.0/24") }),
            "invalid auxiliary address a: parent subnet 10.0.0.0/24 doesn't contain this address"
        );
    }

    #[test]
    fn endpoints_in_dockers_words() {
        let spec = EndpointSpec { ipv4: Some("10.0.0.9".parse().unwrap()), ..EndpointSpec::default() };
        check_endpoint(&spec, "mine").unwrap();
        assert_eq!(
            check_endpoint(&spec, "bridge").unwrap_err().to_string(),
            "invalid endpoint settings:\n* user specified IP address is supported on user defined networks only"
        );
        let names = EndpointSpec { aliases: Some(vec!["a".into()]), ..EndpointSpec::default() };
        assert!(check_endpoint(&names, "host").unwrap_err().to_string().ends_with("in user defined networks"));
        let zero = EndpointSpec { ipv6: Some("::".parse().unwrap()), ..EndpointSpec::default() };
        assert!(check_endpoint(&zero, "mine").unwrap_err().to_string().ends_with("invalid IPv6 address: ::"));
    }

    #[test]
    fn addresses_are_chosen_only_where_the_subnet_was() {
        let network = |pools: Vec<IpamPool>| {
            let mut spec = NetworkSpec { name: "n".into(), ..NetworkSpec::default() };
            spec.ipam.pools = pools;
            Network { id: "n".into(), spec, pools: vec![pool("10.0.0.0/24")], created: 0 }
        };
        let wish = |text: &str| EndpointSpec { ipv4: Some(text.parse().unwrap()), ..EndpointSpec::default() };
        check_static(&wish("10.0.0.9"), &network(vec![pool("10.0.0.0/24")])).unwrap();
        let other = check_static(&wish("10.9.0.9"), &network(vec![pool("10.0.0.0/24")])).unwrap_err().to_string();
        assert!(other.ends_with("no configured subnet or ip-range contain the IP address 10.9.0.9"), "{other}");
        let none = check_static(&wish("10.0.0.9"), &network(Vec::new())).unwrap_err().to_string();
        assert!(none.ends_with("networks with user configured subnets"), "{none}");
    }
}
