//! /etc/resolv.conf of a container.

use std::fs;
use std::net::IpAddr;

use dhow_errdefs::{Error, Result};
use dhow_network::{Connection, dns};

use crate::spec::HostSpec;

/// Where the host's servers are written, and where systemd-resolved writes those that it asks itself.
const HOST: &str = "/etc/resolv.conf";
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

pub(super) fn text(host: &HostSpec, connection: &Connection) -> String {
    resolv_conf(&usable(host.network_mode == "host"), host, connection.has_names())
}

/// Whom to ask for names that are none of containers.
pub(crate) fn name_servers(host: &HostSpec) -> Result<Vec<IpAddr>> {
    if !host.name_servers().is_empty() {
        let parse = |text: &String| {
            text.parse().map_err(|_| Error::invalid(format!("IP address is not correctly formatted: {text}")))
        };
        return host.name_servers().iter().map(parse).collect();
    }
    // The engine asks them, which is in the host's network.
    Ok(servers(&fs::read_to_string(HOST).unwrap_or_default()).collect())
}

/// The host's file, as far as it is of use in another network: not where it names nothing but a server on the loopback.
fn usable(host_network: bool) -> String {
    let text = fs::read_to_string(HOST).unwrap_or_default();
    let resolved = servers(&text).all(|server| server == IpAddr::from([127, 0, 0, 53]));
    if host_network || !resolved || text.is_empty() {
        return text;
    }
    fs::read_to_string(BEHIND_RESOLVED).unwrap_or(text)
}

fn servers(text: &str) -> impl Iterator<Item = IpAddr> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    lines.filter_map(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
}

/// The host's file with what was asked for in its place. A name server on the host's loopback is of no use in another
/// network; in a network with names there is one on the container's own.
fn resolv_conf(text: &str, host: &HostSpec, with_names: bool) -> String {
    let host_network = host.network_mode == "host";
    let given = |list: &[String]| (!list.is_empty()).then(|| list.join(" "));
    let (search, options) = (given(&host.dns_search), given(&host.dns_options));
    let mut lines = Vec::new();
    let mut has_options = false;
    for line in text.lines() {
        let keep = match line.split_ascii_whitespace().next() {
            Some("nameserver") => !with_names && host.name_servers().is_empty() && (host_network || !is_loopback(line)),
            Some("search" | "domain") => search.is_none(),
            Some("options") => options.is_none(),
            _ => false,
        };
        if keep && with_names && line.starts_with("options") && !line.contains("ndots:") {
            has_options = true;
            lines.push(format!("{line} ndots:0"));
        } else if keep {
            has_options |= line.starts_with("options");
            lines.push(line.to_owned());
        }
    }
    if with_names {
        lines.insert(0, format!("nameserver {}", dns::ADDRESS));
    } else {
        lines.extend(host.name_servers().iter().map(|server| format!("nameserver {server}")));
    }
    lines.extend(search.filter(|search| search != ".").map(|search| format!("search {search}")));
    let ndots = |options: String| {
        if with_names && !options.contains("ndots:") {
            format!("options {options} ndots:0")
        } else {
            format!("options {options}")
        }
    };
    match options {
        Some(options) => lines.push(ndots(options)),
        None if with_names && !has_options => lines.push("options ndots:0".to_owned()),
        None => {}
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn is_loopback(line: &str) -> bool {
    servers(line).any(|server| server.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_resolver_is_taken_over_without_its_loopback() {
        let text = "# comment\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch lan\noptions edns0\n";
        let none = HostSpec::default();
        assert_eq!(resolv_conf(text, &none, false), "nameserver 9.9.9.9\nsearch lan\noptions edns0\n");
        let host = HostSpec { network_mode: "host".into(), ..HostSpec::default() };
        assert!(resolv_conf(text, &host, false).contains("127.0.0.53"));
        let given = HostSpec { dns: Some(vec!["1.1.1.1".into()]), dns_search: vec![".".into()], ..HostSpec::default() };
        assert_eq!(resolv_conf(text, &given, false), "options edns0\nnameserver 1.1.1.1\n");
    }

    #[test]
    fn in_a_network_with_names_the_engine_is_asked() {
        let text = "nameserver 9.9.9.9\nsearch lan\noptions edns0\n";
        let expected = "nameserver 127.0.0.11\nsearch lan\noptions edns0 ndots:0\n";
        assert_eq!(resolv_conf(text, &HostSpec::default(), true), expected);
        let given = HostSpec {
            dns: Some(vec!["1.1.1.1".into()]),
            dns_search: vec!["a".into(), "b".into()],
            dns_options: vec!["ndots:2".into()],
            ..HostSpec::default()
        };
        assert_eq!(resolv_conf(text, &given, true), "nameserver 127.0.0.11\nsearch a b\noptions ndots:2\n");
    }
}
