//! Settings of dockerd about what is usual for containers and networks; and those that must not be passed over in silence.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dhow_engine::network::{IpamPool, Subnet, check_pool, option_name};
use dhow_engine::{DefaultBridge, Usual, UsualBridge};
use dhow_errdefs::{Error, Result, ResultExt};

use super::file::File;
use super::invalid;

/// What the settings say.
pub(super) fn usual(file: &File) -> Result<Usual> {
    refuse(file)?;
    let servers = file.dns.clone().unwrap_or_default();
    if let Some(bad) = servers.iter().find(|server| server.parse::<IpAddr>().is_err()) {
        return Err(invalid(format!("IP address is not correctly formatted: {bad}")));
    }
    let ipc_mode = file.default_ipc_mode.clone().unwrap_or_default();
    if !matches!(ipc_mode.as_str(), "" | "private" | "shareable") {
        return Err(invalid(format!("IPC mode \"{ipc_mode}\" is not supported as default value")));
    }
    let cgroupns_mode = file.default_cgroupns_mode.clone().unwrap_or_default();
    if !["", "host", "private"].contains(&cgroupns_mode.as_str()) {
        return Err(invalid(format!(
            "default cgroup namespace mode ({cgroupns_mode}) is invalid; use \"host\" or \"private\""
        )));
    }
    Ok(Usual {
        dns: servers,
        dns_options: file.dns_opts.clone().unwrap_or_default(),
        dns_search: file.dns_search.clone().unwrap_or_default(),
        ipc_mode,
        cgroupns_mode,
        no_new_privileges: file.no_new_privileges.unwrap_or_default(),
        address_pools: pools(file)?,
        network_options: file.default_network_opts.clone().unwrap_or_default(),
        host_gateway: host_gateway(file)?,
        bridge: bridge(file)?,
    })
}

/// What somebody relies on who has set it, and what this engine does not do.
fn refuse(file: &File) -> Result<()> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let no = |what: &str, hint: &str| {
        Err(Error::not_implemented(format!("{what} is not supported by dhow")).with_hint(hint.to_owned()))
    };
    if set(&file.userns_remap) {
        return no("userns-remap", "run the engine as an ordinary user: its containers are in a user namespace then");
    }
    if file.seccomp_profile.as_deref().is_some_and(|profile| !matches!(profile, "" | "builtin")) {
        return no("seccomp-profile", "give it to containers: --security-opt seccomp=FILE");
    }
    if file.authorization_plugins.as_ref().is_some_and(|plugins| !plugins.is_empty()) {
        return no(
            "authorization-plugins",
            "let only those in who may do everything: --tlsverify, or the socket's group",
        );
    }
    if file.selinux_enabled == Some(true) {
        return no("selinux-enabled", "leave it out: containers get no labels");
    }
    if set(&file.default_gateway) || set(&file.default_gateway_v6) {
        return no(
            "default-gateway",
            "make a network for it: network create --gateway, and start containers with --network",
        );
    }
    if file.allow_direct_routing == Some(true) {
        return no("allow-direct-routing", "publish ports, or give containers addresses of their own: driver macvlan");
    }
    Ok(())
}

/// `base` and `size` of each pool.
fn pools(file: &File) -> Result<Vec<(Subnet, u8)>> {
    let pools = file.default_address_pools.iter().flatten().map(|pool| {
        let base = pool.base.parse::<Subnet>().context(|| "default-address-pools")?;
        if pool.size < base.prefix() || pool.size > base.prefix() + base.host_bits() {
            return Err(invalid(format!("invalid default address pool: no block of size {} in {base}", pool.size)));
        }
        Ok((base.masked(), pool.size))
    });
    let written = pools.collect::<Result<Vec<_>>>()?;
    let typed = file.address_pools.iter().flatten().map(|word| typed_pool(word));
    Ok([written, typed.collect::<Result<Vec<_>>>()?].concat())
}

/// `base=10.10.0.0/16,size=24`.
fn typed_pool(word: &str) -> Result<(Subnet, u8)> {
    let bad = || invalid(format!("invalid default address pool: {word}"));
    let fields: BTreeMap<&str, &str> = word.split(',').filter_map(|field| field.split_once('=')).collect();
    let base: Subnet = fields.get("base").ok_or_else(bad)?.parse()?;
    let size: u8 = fields.get("size").and_then(|size| size.parse().ok()).ok_or_else(bad)?;
    let fits = size >= base.prefix() && size <= base.prefix() + base.host_bits();
    fits.then_some((base.masked(), size)).ok_or_else(bad)
}

fn bridge(file: &File) -> Result<UsualBridge> {
    let mut options = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| (name.to_owned(), value)));
    };
    set(option_name::MTU, file.mtu.filter(|mtu| *mtu > 0).map(|mtu| mtu.to_string()));
    set(option_name::ICC, file.icc.map(|icc| icc.to_string()));
    set(option_name::MASQUERADE, file.ip_masq.map(|masquerade| masquerade.to_string()));
    if let Some(ip) = &file.ip {
        ip.parse::<IpAddr>().map_err(|_| invalid(format!("invalid default IP address for ports: {ip}")))?;
        set(option_name::HOST_BINDING, Some(ip.clone()));
    }
    let pool = file.bip.as_deref().filter(|bip| !bip.is_empty()).map(|bip| -> Result<IpamPool> {
        let block = bip.parse::<Subnet>().context(|| "bip")?;
        Ok(IpamPool { gateway: Some(block.address()), ..IpamPool::of(block.masked()) })
    });
    let mut pool = pool.transpose()?;
    let ipv6 = file.ipv6.unwrap_or_default();
    let block6 = file.fixed_cidr_v6.as_deref().filter(|_| ipv6).map(block6).transpose()?;
    if let Some(range) = &file.fixed_cidr {
        let range = range.parse::<Subnet>().context(|| "fixed-cidr")?;
        let pool = pool.get_or_insert_with(|| IpamPool::of(range.masked()));
        if !pool.subnet.contains(range.address()) || range.prefix() < pool.subnet.prefix() {
            return Err(invalid(format!("fixed-cidr {range} is no part of {}, the default network", pool.subnet)));
        }
        pool.range = Some(range.masked());
    }
    let pools: Vec<IpamPool> = pool.into_iter().chain(block6).collect();
    pools.iter().try_for_each(check_pool).context(|| "the default network")?;
    Ok(UsualBridge { on: default_bridge(file)?, options, pools, ipv6 })
}

fn default_bridge(file: &File) -> Result<DefaultBridge> {
    let given = |text: &&String| !text.is_empty();
    let Some(name) = file.bridge.as_ref().filter(given) else { return Ok(DefaultBridge::Own) };
    if file.bip.as_ref().is_some_and(|bip| !bip.is_empty()) {
        return Err(invalid("bridge and bip exclude each other: a bridge of the host has its addresses already"));
    }
    Ok(if name == "none" { DefaultBridge::None } else { DefaultBridge::Given(name.clone()) })
}

/// A block of IPv6.
fn block6(text: &str) -> Result<IpamPool> {
    let block = text.parse::<Subnet>().context(|| "fixed-cidr-v6")?;
    if !block.is_ipv6() {
        return Err(invalid(format!("fixed-cidr-v6 {block} is no block of IPv6")));
    }
    Ok(IpamPool::of(block.masked()))
}

/// At most one address of each family.
fn host_gateway(file: &File) -> Result<Vec<IpAddr>> {
    let words = file.host_gateway_ips.iter().flatten().chain(&file.host_gateway_ip).filter(|word| !word.is_empty());
    let address =
        |word: &String| word.parse::<IpAddr>().map_err(|_| invalid(format!("host-gateway-ip: no IP address: {word}")));
    let addresses = words.map(address).collect::<Result<Vec<_>>>()?;
    let of = |ipv6: bool| addresses.iter().filter(move |address| address.is_ipv6() == ipv6).count();
    if of(false) > 1 || of(true) > 1 {
        return Err(invalid("host-gateway-ip: only one address of IPv4 and one of IPv6 can be given"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Usual> {
        usual(&serde_json::from_str(json).expect("a file"))
    }

    #[test]
    fn dockerds_words_about_containers_and_networks_count() {
        let text = r#"{"dns": ["1.1.1.1"], "dns-search": ["example"], "no-new-privileges": true, "mtu": 1400, "icc": false,
            "ip": "127.0.0.1", "bip": "172.26.0.1/24", "fixed-cidr": "172.26.0.128/25", "default-ipc-mode": "shareable",
            "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}]}"#;
        let usual = of(text).expect("good");
        assert_eq!((usual.dns, usual.no_new_privileges), (vec!["1.1.1.1".to_owned()], true));
        let pool = &usual.bridge.pools[0];
        assert_eq!(
            (pool.subnet.to_string(), pool.range.as_ref().expect("one").to_string()),
            ("172.26.0.0/24".into(), "172.26.0.128/25".into())
        );
        assert_eq!(pool.gateway.expect("one").to_string(), "172.26.0.1");
        assert_eq!(usual.bridge.options[option_name::MTU], "1400");
        assert_eq!(usual.bridge.options[option_name::HOST_BINDING], "127.0.0.1");
        assert_eq!(usual.address_pools[0].1, 24);
        assert_eq!(typed_pool("base=10.0.0.0/8,size=24").expect("good").1, 24);
        assert_eq!(of(r#"{"bridge": "none"}"#).expect("good").bridge.on, DefaultBridge::None);
        assert_eq!(of(r#"{"bridge": "br0"}"#).expect("good").bridge.on, DefaultBridge::Given("br0".to_owned()));
        let text = r#"{"ipv6": true, "fixed-cidr-v6": "fd00:7::/64", "host-gateway-ips": ["192.0.2.1", "fd00::1"]}"#;
        let usual = of(text).expect("good");
        assert_eq!(usual.bridge.on, DefaultBridge::Own);
        assert_eq!((usual.bridge.ipv6, usual.bridge.pools[0].subnet.to_string()), (true, "fd00:7::/64".to_owned()));
        assert_eq!(usual.host_gateway.len(), 2);
    }

    #[test]
    fn what_would_be_unsafe_to_leave_out_is_refused() {
        for text in [
            r#"{"userns-remap": "default"}"#,
            r#"{"seccomp-profile": "/etc/p.json"}"#,
            r#"{"authorization-plugins": ["x"]}"#,
            r#"{"selinux-enabled": true}"#,
            r#"{"default-gateway": "172.17.0.9"}"#,
            r#"{"allow-direct-routing": true}"#,
        ] {
            assert!(of(text).expect_err("refused").hint().is_some(), "{text}");
        }
        let bad = [
            r#"{"ipv6": true, "fixed-cidr-v6": "10.0.0.0/8"}"#,
            r#"{"host-gateway-ip": "x"}"#,
            r#"{"bridge": "br0", "bip": "10.0.0.1/24"}"#,
            r#"{"host-gateway-ips": ["1.1.1.1", "1.1.1.2"]}"#,
        ];
        for text in bad {
            assert!(of(text).is_err(), "{text}");
        }
        for text in [
            r#"{"dns": ["x"]}"#,
            r#"{"bip": "x"}"#,
            r#"{"bip": "127.0.0.1/8"}"#,
            r#"{"bip": "10.0.0.0/24"}"#,
            r#"{"ip": "x"}"#,
            r#"{"default-ipc-mode": "host"}"#,
        ] {
            assert!(of(text).is_err(), "{text}");
        }
        assert!(of(r#"{"userns-remap": "", "seccomp-profile": "builtin", "selinux-enabled": false}"#).is_ok());
        assert!(typed_pool("base=10.0.0.0/16,size=8").is_err());
    }
}
