//! `/etc/hosts` (hosts(5)).

use std::net::IpAddr;

/// The addresses of a name, in the file's order.
pub(super) fn find(text: &str, name: &str) -> Vec<IpAddr> {
    let of_line = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_lines() {
        let hosts = "# box\n127.0.0.1 localhost\nbad line\n10.0.0.7\tship Boat # x other\n::7 boat\n";
        let both: Vec<IpAddr> = ["10.0.0.7", "::7"].iter().map(|text| text.parse().expect("good")).collect();
        assert_eq!(find(hosts, "boat"), both);
        assert!(find(hosts, "other").is_empty());
    }
}
