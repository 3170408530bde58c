//! Host names without a resolver.
//!
//! A static binary must not call `getaddrinfo`: it loads the host's name service modules, which crash in it. Until a
//! resolver of our own is there, an address, `localhost` and the names in `/etc/hosts` have to do.

use std::net::{IpAddr, Ipv4Addr};

use dhow_errdefs::{Error, Result};

/// The address of a name.
pub(crate) fn resolve(name: &str) -> Result<IpAddr> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    in_hosts(&hosts, name).or((name == "localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))).ok_or_else(|| {
        Error::unavailable(format!("lookup {name}: no such host"))
            .with_hint("use an address, or a name from /etc/hosts")
    })
}

fn in_hosts(hosts: &str, name: &str) -> Option<IpAddr> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_lines() {
        let hosts = "# box\n127.0.0.1 localhost\nbad line\n10.0.0.7\tship Boat # x other\n";
        assert_eq!(in_hosts(hosts, "boat"), Some("10.0.0.7".parse().unwrap()));
        assert_eq!(in_hosts(hosts, "other"), None);
        assert_eq!(resolve("::1").unwrap(), "::1".parse::<IpAddr>().unwrap());
    }
}
