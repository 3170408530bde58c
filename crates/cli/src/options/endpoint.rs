//! `--network` and what goes with it.

use std::collections::BTreeMap;

use dhow_api::network::{EndpointIpam, EndpointSettings, NetworkingConfig};
use dhow_errdefs::Result;

use super::label::pair;
use super::mount::fields;
use super::wrong;
use crate::flags::Parsed;

/// The network mode and the endpoints in each network.
pub(super) fn networks(flags: &Parsed) -> Result<(String, NetworkingConfig)> {
    let mut endpoints = BTreeMap::new();
    let mut mode = None;
    for (_, text) in flags.mixed(&["network", "net"]) {
        let (name, mut endpoint) = parse(text).map_err(wrong)?;
        if mode.is_none() {
            first(flags, &mut endpoint);
            mode = Some(name.clone());
        }
        if endpoints.insert(name.clone(), endpoint).is_some() {
            return Err(wrong(format!("network {name:?} is specified multiple times")));
        }
    }
    let Some(mode) = mode else {
        let mut endpoint = EndpointSettings::default();
        first(flags, &mut endpoint);
        let config = NetworkingConfig { endpoints_config: Some(BTreeMap::from([("default".to_owned(), endpoint)])) };
        return Ok(("default".into(), config));
    };
    Ok((mode, NetworkingConfig { endpoints_config: Some(endpoints) }))
}

/// The older flags speak of the first network.
fn first(flags: &Parsed, endpoint: &mut EndpointSettings) {
    let aliases = endpoint
        .aliases
        .take()
        .into_iter()
        .flatten()
        .chain(flags.mixed(&["network-alias", "net-alias"]).map(|(_, alias)| alias.to_owned()));
    endpoint.aliases = Some(aliases.collect::<Vec<_>>()).filter(|aliases| !aliases.is_empty());
    let links = flags.strings("link");
    endpoint.links = (!links.is_empty()).then_some(links);
    if let Some(address) = flags.some("mac-address") {
        address.clone_into(&mut endpoint.mac_address);
    }
    let ipam = EndpointIpam {
        ipv4_address: flags.text("ip").to_owned(),
        ipv6_address: flags.text("ip6").to_owned(),
        link_local_ips: flags.strings("link-local-ip"),
    };
    if ipam != EndpointIpam::default() {
        endpoint.ipam_config = Some(ipam);
    }
}

/// Checks a value of `--network`.
pub(super) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// Reads a name, or `name=…,alias=…,ip=…`.
fn parse(text: &str) -> Result<(String, EndpointSettings), String> {
    let mut endpoint = EndpointSettings::default();
    if !text.contains('=') || !text.contains("name=") {
        return Ok((text.to_owned(), endpoint));
    }
    let mut name = String::new();
    for field in fields(text)? {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim();
        match key.trim().to_lowercase().as_str() {
            "name" => value.clone_into(&mut name),
            "alias" => endpoint.aliases.get_or_insert_default().push(value.to_owned()),
            "ip" => value.clone_into(&mut endpoint.ipam_config.get_or_insert_default().ipv4_address),
            "ip6" => value.clone_into(&mut endpoint.ipam_config.get_or_insert_default().ipv6_address),
            "link-local-ip" => {
                endpoint.ipam_config.get_or_insert_default().link_local_ips.push(value.to_owned());
            }
            "mac-address" => value.clone_into(&mut endpoint.mac_address),
            "driver-opt" => endpoint.driver_opts.get_or_insert_default().extend([pair(value)]),
            "gw-priority" => {
                endpoint.gw_priority = value.parse().map_err(|_| format!("invalid gw-priority: {value}"))?;
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    match name.is_empty() {
        true => Err("network name is required".into()),
        false => Ok((name, endpoint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings() {
        assert_eq!(parse("host").unwrap().0, "host");
        assert_eq!(parse("container:x").unwrap().0, "container:x");
        let (name, endpoint) = parse("name=n,alias=a,ip=10.0.0.2,gw-priority=3").unwrap();
        assert_eq!((name.as_str(), endpoint.gw_priority), ("n", 3));
        assert_eq!(endpoint.ipam_config.unwrap().ipv4_address, "10.0.0.2");
        assert_eq!(parse("name=n,foo=x").unwrap_err(), "invalid field key foo");
    }
}
