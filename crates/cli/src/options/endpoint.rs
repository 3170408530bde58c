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
    if let Some(address) = flags.some("mac-address") {
        check_mac(address).map_err(wrong)?;
    }
    let mut words: Vec<&str> = flags.mixed(&["network", "net"]).map(|(_, text)| text).collect();
    if words.is_empty() {
        words.push("default");
    }
    let mut endpoints = BTreeMap::new();
    let mut mode = None;
    for text in &words {
        let (name, mut endpoint) = parse(text).map_err(wrong)?;
        if mode.is_none() {
            first(flags, &name, &mut endpoint)?;
            mode = Some(name.clone());
        }
        check_kind(&name, &endpoint)?;
        if endpoints.insert(name.clone(), endpoint).is_some() {
            return Err(wrong(format!("network {name:?} is specified multiple times")));
        }
    }
    if endpoints.keys().any(|name| is_user_defined(name)) && !endpoints.keys().all(|name| is_user_defined(name)) {
        let text = "conflicting options: cannot attach both user-defined and non-user-defined network-modes";
        return Err(wrong(text));
    }
    // Nothing was said but the mode, or not even that: the engine fills in the rest.
    let bare = words.len() == 1 && endpoints.values().all(|endpoint| *endpoint == EndpointSettings::default());
    if bare && words != ["default"] {
        endpoints.clear();
    }
    let networking = NetworkingConfig { endpoints_config: Some(endpoints) };
    Ok((mode.unwrap_or_default(), networking))
}

/// Whether a mode names a network that somebody has made.
fn is_user_defined(mode: &str) -> bool {
    !matches!(mode, "default" | "bridge" | "host" | "none") && mode != "container" && !mode.starts_with("container:")
}

/// Networks that nobody has made give no names.
fn check_kind(name: &str, endpoint: &EndpointSettings) -> Result<()> {
    if is_user_defined(name) {
        return Ok(());
    }
    if endpoint.aliases.is_some() {
        return Err(wrong("network-scoped aliases are only supported for user-defined networks"));
    }
    if endpoint.links.is_some() {
        return Err(wrong("links are only supported for user-defined networks"));
    }
    Ok(())
}

/// The older flags speak of the first network. What is said twice is a contradiction.
fn first(flags: &Parsed, name: &str, endpoint: &mut EndpointSettings) -> Result<()> {
    let aliases: Vec<String> =
        flags.mixed(&["network-alias", "net-alias"]).map(|(_, alias)| alias.to_owned()).collect();
    once(&mut endpoint.aliases, aliases, "--network-alias and per-network alias")?;
    // In the default network links are the container's, not the network's.
    let links = if is_user_defined(name) { flags.strings("link") } else { Vec::new() };
    once(&mut endpoint.links, links, "--link and per-network links")?;
    only(&mut endpoint.mac_address, flags.text("mac-address"), "--mac-address and per-network MAC address")?;
    let mut ipam = endpoint.ipam_config.take().unwrap_or_default();
    only(&mut ipam.ipv4_address, flags.text("ip"), "--ip and per-network IPv4 address")?;
    only(&mut ipam.ipv6_address, flags.text("ip6"), "--ip6 and per-network IPv6 address")?;
    let mut local = Some(std::mem::take(&mut ipam.link_local_ips)).filter(|local| !local.is_empty());
    once(&mut local, flags.strings("link-local-ip"), "--link-local-ip and per-network link-local IP addresses")?;
    ipam.link_local_ips = local.unwrap_or_default();
    endpoint.ipam_config = (ipam != EndpointIpam::default()).then_some(ipam);
    Ok(())
}

fn twice(what: &str) -> dhow_errdefs::Error {
    wrong(format!("conflicting options: cannot specify both {what}"))
}

fn once(own: &mut Option<Vec<String>>, flag: Vec<String>, what: &str) -> Result<()> {
    match (own.is_some(), flag.is_empty()) {
        (true, false) => return Err(twice(what)),
        (false, false) => *own = Some(flag),
        (_, true) => {}
    }
    Ok(())
}

fn only(own: &mut String, flag: &str, what: &str) -> Result<()> {
    match (own.is_empty(), flag.is_empty()) {
        (false, false) => return Err(twice(what)),
        (true, false) => flag.clone_into(own),
        (_, true) => {}
    }
    Ok(())
}

/// Checks a value of `--network`; that there is one is looked at later, as Docker does.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { parse(text).map(drop) }
}

/// Checks a value of `--link`: `container[:alias]`.
pub(crate) fn check_link(text: &str) -> Result<(), String> {
    let bad = || format!("bad format for links: {text}");
    match text.split(':').collect::<Vec<_>>()[..] {
        [""] => Err("empty string specified for links".to_owned()),
        [_] => Ok(()),
        [name, alias] if !name.is_empty() && !alias.is_empty() => Ok(()),
        // As older engines write them.
        [name, alias] if name.starts_with('/') && alias.starts_with('/') => Ok(()),
        _ => Err(bad()),
    }
}

/// Colons or dashes between six bytes.
fn check_mac(text: &str) -> Result<(), String> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.trim().split(separator).collect();
    let byte = |part: &&str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
    let good = parts.len() == 6 && parts.iter().all(byte);
    if good { Ok(()) } else { Err(format!("{text} is not a valid mac address")) }
}

/// `key=value`, anywhere in it: then all of it is fields.
fn is_long(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices('=').any(|(at, _)| text[..at].ends_with(word) && text[at + 1..].starts_with(word))
}

/// Reads a name, or `name=…,alias=…,ip=…`.
fn parse(text: &str) -> Result<(String, EndpointSettings), String> {
    let mut endpoint = EndpointSettings::default();
    if !is_long(text) {
        return match text.trim() {
            "" => Err("no name set for network".into()),
            _ => Ok((text.to_owned(), endpoint)),
        };
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
            "mac-address" => {
                check_mac(value)?;
                value.clone_into(&mut endpoint.mac_address);
            }
            "driver-opt" if value.contains('=') => {
                endpoint.driver_opts.get_or_insert_default().extend([pair(value)]);
            }
            "driver-opt" => return Err("invalid key value pair format in driver options".into()),
            "gw-priority" => {
                let words =
                    || format!("invalid gw-priority ({value}): strconv.Atoi: parsing {value:?}: invalid syntax");
                endpoint.gw_priority = value.parse().map_err(|_| words())?;
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    match name.is_empty() {
        true => Err("network name/id is not specified".into()),
        false => Ok((name, endpoint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Tables, parse as parse_flags};
    use crate::options::CONTAINER;

    const FLAGS: Tables = &[CONTAINER];

    fn asked(line: &str) -> Result<(String, BTreeMap<String, EndpointSettings>)> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let flags = parse_flags(FLAGS, false, &words).unwrap_or_else(|_| panic!("{line} parses"));
        networks(&flags).map(|(mode, config)| (mode, config.endpoints_config.unwrap_or_default()))
    }

    #[test]
    fn both_spellings() {
        assert_eq!(parse("host").unwrap().0, "host");
        assert_eq!(parse("container:x").unwrap().0, "container:x");
        let (name, endpoint) = parse("name=n,alias=a,ip=10.0.0.2,gw-priority=3").unwrap();
        assert_eq!((name.as_str(), endpoint.gw_priority), ("n", 3));
        assert_eq!(endpoint.ipam_config.unwrap().ipv4_address, "10.0.0.2");
        assert_eq!(parse("name=n,foo=x").unwrap_err(), "invalid field key foo");
        assert_eq!(parse("alias=x").unwrap_err(), "network name/id is not specified");
        assert_eq!(parse("name=n,mac-address=x").unwrap_err(), "x is not a valid mac address");
        assert_eq!(parse("").unwrap_err(), "no name set for network");
    }

    #[test]
    fn the_older_flags_are_of_the_first_network() {
        let (mode, endpoints) =
            asked("--network a --network name=b,alias=y --network-alias x --ip 10.0.0.9 i").unwrap();
        assert_eq!((mode.as_str(), endpoints.len()), ("a", 2));
        assert_eq!(endpoints["a"].aliases.as_deref(), Some(&["x".to_owned()][..]));
        assert_eq!(endpoints["b"].aliases.as_deref(), Some(&["y".to_owned()][..]));
        assert_eq!(endpoints["a"].ipam_config.as_ref().unwrap().ipv4_address, "10.0.0.9");
        assert_eq!(asked("--link db i").unwrap().1["default"], EndpointSettings::default());
        assert_eq!(asked("--net n --link db i").unwrap().1["n"].links.as_deref(), Some(&["db".to_owned()][..]));
        assert!(asked("--network host i").unwrap().1.is_empty());
    }

    #[test]
    fn contradictions_have_dockers_words() {
        for (line, words) in [
            ("--network a --network a i", "network \"a\" is specified multiple times"),
            (
                "--network name=a,alias=x --network-alias y i",
                "conflicting options: cannot specify both --network-alias and per-network alias",
            ),
            (
                "--network name=a,ip=10.0.0.1 --ip 10.0.0.2 i",
                "conflicting options: cannot specify both --ip and per-network IPv4 address",
            ),
            ("--network-alias x i", "network-scoped aliases are only supported for user-defined networks"),
            (
                "--network a --network host i",
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            ),
            ("--mac-address x i", "x is not a valid mac address"),
        ] {
            assert_eq!(asked(line).unwrap_err().to_string(), words, "{line}");
        }
    }

    #[test]
    fn links_are_a_container_and_an_alias() {
        assert!(check_link("db").is_ok() && check_link("db:base").is_ok());
        assert_eq!(check_link("").unwrap_err(), "empty string specified for links");
        assert_eq!(check_link("a:b:c").unwrap_err(), "bad format for links: a:b:c");
    }
}
