//! /etc/hostname, /etc/hosts and /etc/resolv.conf of a container.

use std::fs;
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};

use crate::container::Container;
use crate::core::Core;
use crate::launch::{EtcFiles, Sharing};
use crate::spec::{ContainerSpec, HostSpec};

/// Docker's lines for every container.
const HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// Writes the files into the container's folder. Containers that share a network share its files, too.
pub(super) fn prepare(core: &Core, container: &Container, spec: &ContainerSpec, dir: &Path) -> Result<EtcFiles> {
    if let Sharing::Container(reference) = Sharing::of(&spec.host.network_mode) {
        let peer = core.containers().find(reference)?;
        return Ok(files(&core.store.snapshots().dir(&peer.id)));
    }
    let files = files(dir);
    let host_network = spec.host.network_mode == "host";
    let hostname = if spec.hostname.is_empty() { &container.id[..12] } else { &spec.hostname };
    let hosts =
        if host_network { fs::read_to_string("/etc/hosts").unwrap_or_else(|_| HOSTS.into()) } else { HOSTS.into() };
    let resolv = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    for (path, text) in [
        (&files.hostname, format!("{hostname}\n")),
        (&files.hosts, with_extra_hosts(hosts, &spec.host)),
        (&files.resolv_conf, resolv_conf(&resolv, &spec.host, host_network)),
    ] {
        fs::write(path, text).context(|| format!("write {}", path.display()))?;
    }
    Ok(files)
}

/// Where the files are.
pub(crate) fn files(dir: &Path) -> EtcFiles {
    EtcFiles { hostname: dir.join("hostname"), hosts: dir.join("hosts"), resolv_conf: dir.join("resolv.conf") }
}

/// `name:address` (the address may have colons) and `name=address`.
fn with_extra_hosts(mut hosts: String, host: &HostSpec) -> String {
    if !hosts.ends_with('\n') {
        hosts.push('\n');
    }
    for line in host.extra_hosts.iter().flatten() {
        if let Some((name, address)) = line.split_once('=').or_else(|| line.split_once(':')) {
            hosts.push_str(&format!("{}\t{name}\n", address.trim_matches(['[', ']'])));
        }
    }
    hosts
}

/// The host's file with what was asked for in its place. A name server on the host's loopback is of no use in another
/// network.
fn resolv_conf(text: &str, host: &HostSpec, host_network: bool) -> String {
    let mut lines = Vec::new();
    let given = |list: &[String]| (!list.is_empty()).then(|| list.join(" "));
    let (search, options) = (given(&host.dns_search), given(&host.dns_options));
    for line in text.lines() {
        let keep = match line.split_ascii_whitespace().next() {
            Some("nameserver") => host.dns.is_empty() && (host_network || !is_loopback(line)),
            Some("search" | "domain") => search.is_none(),
            Some("options") => options.is_none(),
            _ => false,
        };
        if keep {
            lines.push(line.to_owned());
        }
    }
    lines.extend(host.dns.iter().map(|server| format!("nameserver {server}")));
    lines.extend(search.filter(|search| search != ".").map(|search| format!("search {search}")));
    lines.extend(options.map(|options| format!("options {options}")));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn is_loopback(line: &str) -> bool {
    let server = line.split_ascii_whitespace().nth(1).unwrap_or_default();
    server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_resolver_is_taken_over_without_its_loopback() {
        let text = "# comment\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch lan\noptions edns0\n";
        let none = HostSpec::default();
        assert_eq!(resolv_conf(text, &none, false), "nameserver 9.9.9.9\nsearch lan\noptions edns0\n");
        assert!(resolv_conf(text, &none, true).contains("127.0.0.53"));
        let given = HostSpec { dns: vec!["1.1.1.1".into()], dns_search: vec![".".into()], ..HostSpec::default() };
        assert_eq!(resolv_conf(text, &given, false), "options edns0\nnameserver 1.1.1.1\n");
    }

    #[test]
    fn extra_hosts_may_be_ipv6() {
        let host = HostSpec {
            extra_hosts: Some(vec!["a:1.2.3.4".into(), "b:::1".into(), "c=[fe80::1]".into()]),
            ..HostSpec::default()
        };
        assert_eq!(with_extra_hosts("x\n".into(), &host), "x\n1.2.3.4\ta\n::1\tb\nfe80::1\tc\n");
    }
}
