//! Checks that need nothing but the values, in Docker's words.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use dhow_errdefs::{Error, Result};

use super::options::own_interface;
use super::{EndpointSpec, IpamPool, Network, Subnet, option_name};

/// A pool as it is written; empty: not given.
#[derive(Debug, Clone, Copy)]
pub struct PoolTexts<'a> {
    /// All addresses of the network.
    pub subnet: &'a str,
    /// Those that are given out.
    pub range: &'a str,
    /// The way out.
    pub gateway: &'a str,
    /// Addresses that others have, by name.
    pub auxiliary: &'a BTreeMap<String, String>,
}

/// Reads pools and checks them, all faults at once as Docker does.
///
/// # Errors
/// `InvalidArgument`.
pub fn parse_pools(texts: &[PoolTexts<'_>]) -> Result<Vec<IpamPool>> {
    let mut faults = Vec::new();
    let pools = texts.iter().filter_map(|texts| parse_pool(texts, &mut faults)).collect();
    all("invalid network config", &faults)?;
    Ok(pools)
}

/// Checks a pool that was made of something else than its texts, all faults at once.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_pool(pool: &IpamPool) -> Result<()> {
    all("invalid network config", &pool_faults(pool))
}

/// Without its subnet there is no pool; anything else that is wrong with it is a fault, and left out.
fn parse_pool(texts: &PoolTexts<'_>, faults: &mut Vec<String>) -> Option<IpamPool> {
    let Ok(subnet) = texts.subnet.parse() else {
        faults.push(format!("invalid subnet {}: invalid CIDR block notation", texts.subnet));
        return None;
    };
    let mut pool = IpamPool::of(subnet);
    let mut wrong = Vec::new();
    match texts.range.parse() {
        Ok(range) => pool.range = Some(range),
        Err(_) if texts.range.is_empty() => {}
        Err(_) => wrong.push(format!("invalid ip-range {}: invalid CIDR block notation", texts.range)),
    }
    match texts.gateway.parse() {
        Ok(gateway) => pool.gateway = Some(gateway),
        Err(_) if texts.gateway.is_empty() => {}
        Err(_) => wrong.push(format!("invalid gateway {}: invalid address", texts.gateway)),
    }
    for (name, text) in texts.auxiliary {
        match text.parse() {
            Ok(address) => drop(pool.auxiliary.insert(name.clone(), address)),
            Err(_) => wrong.push(format!("invalid auxiliary address {name}: invalid address")),
        }
    }
    faults.extend(pool_faults(&pool));
    faults.append(&mut wrong);
    Some(pool)
}

/// Why no container can have an address of a block, if so.
fn unusable(subnet: Subnet) -> Option<&'static str> {
    let first = subnet.masked().address();
    if subnet.prefix() == 0 {
        Some("it holds every address there is")
    } else if matches!(first, IpAddr::V4(address) if address.octets()[0] == 0) {
        Some("its addresses stand for this host, whatever it is called")
    } else if first.is_loopback() || matches!(first, IpAddr::V4(address) if address.octets()[0] == 127) {
        Some("its addresses are each host's own (loopback)")
    } else if first.is_multicast() {
        Some("its addresses are those of groups (multicast)")
    } else if subnet.host_bits() == 0 {
        Some("it has no address for a container")
    } else {
        None
    }
}

fn pool_faults(pool: &IpamPool) -> Vec<String> {
    let subnet = pool.subnet;
    let mut faults = Vec::new();
    if subnet != subnet.masked() {
        faults.push(format!("invalid subnet {subnet}: it should be {}", subnet.masked()));
    }
    if let Some(why) = unusable(subnet) {
        faults.push(format!("invalid subnet {subnet}: {why}"));
    }
    if let Some(range) = pool.range {
        faults.extend(range_faults(range, subnet).into_iter().map(|why| format!("invalid ip-range {range}: {why}")));
    }
    if let Some((gateway, why)) = pool.gateway.and_then(|gateway| Some((gateway, outside(gateway, subnet)?))) {
        faults.push(format!("invalid gateway {gateway}: {why}"));
    }
    if let Some(gateway) = pool.gateway.filter(|gateway| is_of_nobody(*gateway, subnet)) {
        faults.push(format!(
            "invalid gateway {gateway}: it is the first or the last address of {subnet}, which nobody can have"
        ));
    }
    for (name, address) in &pool.auxiliary {
        faults.extend(outside(*address, subnet).map(|why| format!("invalid auxiliary address {name}: {why}")));
    }
    faults
}

/// The first address of a block of IPv4 stands for the block, the last one for everybody in it.
fn is_of_nobody(address: IpAddr, subnet: Subnet) -> bool {
    !subnet.is_ipv6() && subnet.host_bits() > 1 && [subnet.at(0), subnet.last()].contains(&address)
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
    // One of IPv4 in the clothes of IPv6 is none of a block.
    let odd = |address: &Ipv6Addr| address.is_unspecified() || address.to_ipv4_mapped().is_some();
    faults.extend(spec.ipv6.filter(odd).map(|address| format!("invalid IPv6 address: {address}")));
    if let Some(mac) = spec.mac.filter(|mac| !mac.is_of_one_link()) {
        faults.push(format!("invalid MAC address {mac}: it is none of a single link"));
    }
    let name = spec.option(option_name::INTERFACE_NAME).map(own_interface);
    faults.extend(name.and_then(Result::err).map(|error| error.to_string()));
    faults.extend(spec.sysctls().err().map(|error| error.to_string()));
    let elsewhere = spec.link_local.iter().filter(|address| !is_link_local(**address));
    faults.extend(elsewhere.map(|address| format!("invalid link-local IP address: {address}")));
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

/// RFC 3927, section 2.1; RFC 4291, section 2.5.6.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
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
pub(super) fn all(head: &str, faults: &[String]) -> Result<()> {
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

    fn parse(subnet: &str, range: &str, gateway: &str, auxiliary: &[(&str, &str)]) -> Result<Vec<IpamPool>> {
        let auxiliary = auxiliary.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        parse_pools(&[PoolTexts { subnet, range, gateway, auxiliary: &auxiliary }])
    }

    fn refusal(subnet: &str, range: &str, gateway: &str, auxiliary: &[(&str, &str)]) -> String {
        let text = parse(subnet, range, gateway, auxiliary).unwrap_err().to_string();
        text.strip_prefix("invalid network config:\n* ").unwrap().to_owned()
    }

    #[test]
    fn pools_in_dockers_words() {
        let pools = parse("10.0.0.0/24", "10.0.0.128/25", "10.0.0.1", &[("a", "10.0.0.9")]).unwrap();
        assert_eq!(pools[0].auxiliary["a"], IpAddr::from([10, 0, 0, 9]));
        parse("fd00::/64", "", "", &[]).unwrap();
        for (texts, why) in [
            (("10.0.0.1/24", "", ""), "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
            (("10.0.0/24", "", ""), "invalid subnet 10.0.0/24: invalid CIDR block notation"),
            (
                ("10.0.0.0/24", "", "10.0.1.1"),
                "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
            ),
            (("10.0.0.0/24", "", "fd00::1"), "invalid gateway fd00::1: parent subnet is an IPv4 block"),
            (("10.0.0.0/24", "", "here"), "invalid gateway here: invalid address"),
            (
                ("10.0.0.0/24", "", "10.0.0.255"),
                "invalid gateway 10.0.0.255: it is the first or the last address of 10.0.0.0/24, which nobody can have",
            ),
            (
                ("0.0.0.0/24", "", ""),
                "invalid subnet 0.0.0.0/24: its addresses stand for this host, whatever it is called",
            ),
            (("10.0.0.0/24", "x", ""), "invalid ip-range x: invalid CIDR block notation"),
            (
                ("10.0.0.0/24", "10.0.0.0/16", ""),
                "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24",
            ),
            (
                ("10.0.0.0/24", "10.0.9.5/25", ""),
                "invalid ip-range 10.0.9.5/25: it should be 10.0.9.0/25\n\
                 * invalid ip-range 10.0.9.5/25: parent subnet 10.0.0.0/24 doesn't contain ip-range",
            ),
        ] {
            assert_eq!(refusal(texts.0, texts.1, texts.2, &[]), why);
        }
        assert_eq!(
            refusal("10.0.0.0/24", "", "", &[("a", "10.1.0.1"), ("b", "c")]),
            "invalid auxiliary address a: parent subnet 10.0.0.0/24 doesn't contain this address\n\
             * invalid auxiliary address b: invalid address"
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
        for (mac, name) in [("ff:ff:ff:ff:ff:ff", "eth9"), ("00:00:00:00:00:00", "eth9"), ("02:42:0a:00:00:09", "lo")] {
            let driver_options = Some([(option_name::INTERFACE_NAME.to_owned(), name.to_owned())].into());
            let odd = EndpointSpec { mac: mac.parse().ok(), driver_options, ..EndpointSpec::default() };
            let text = check_endpoint(&odd, "mine").unwrap_err().to_string();
            assert!(text.contains(if name == "lo" { "invalid interface name: \"lo\"" } else { mac }), "{text}");
        }
        let zero = EndpointSpec { ipv6: Some("::".parse().unwrap()), ..EndpointSpec::default() };
        assert!(check_endpoint(&zero, "mine").unwrap_err().to_string().ends_with("invalid IPv6 address: ::"));
        let mapped = EndpointSpec { ipv6: Some("::ffff:10.0.0.9".parse().unwrap()), ..EndpointSpec::default() };
        let text = check_endpoint(&mapped, "mine").unwrap_err().to_string();
        assert!(text.ends_with("invalid IPv6 address: ::ffff:10.0.0.9"), "{text}");
        let with = |address: &str| {
            let link_local = vec![address.parse().unwrap()];
            check_endpoint(&EndpointSpec { link_local, ..EndpointSpec::default() }, "mine")
        };
        assert!(["169.254.7.7", "fe80::7"].into_iter().all(|address| with(address).is_ok()));
        for address in ["169.253.7.7", "2001:db8::7", "0.0.0.0", "::"] {
            let text = with(address).unwrap_err().to_string();
            assert!(text.ends_with(&format!("invalid link-local IP address: {address}")), "{text}");
        }
    }

    #[test]
    fn addresses_are_chosen_only_where_the_subnet_was() {
        let pool = |subnet: &str| IpamPool::of(subnet.parse().unwrap());
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
