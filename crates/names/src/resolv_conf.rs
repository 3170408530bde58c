//! `/etc/resolv.conf` (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The port of DNS.
const PORT: u16 = 53;

/// Whom to ask and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    pub(super) ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
}

impl Settings {
    pub(super) fn parse(text: &str) -> Self {
        let mut settings =
            Self { servers: Vec::new(), search: Vec::new(), ndots: 1, timeout: Duration::from_secs(5), attempts: 2 };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => settings.servers.extend(words.next().and_then(server)),
                // The last of them counts.
                Some("search" | "domain") => settings.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| settings.option(word)),
                _ => {}
            }
        }
        if settings.servers.is_empty() {
            settings.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        settings
    }

    fn option(&mut self, word: &str) {
        let Some((name, Ok(value))) = word.split_once(':').map(|(name, value)| (name, value.parse::<u8>())) else {
            return;
        };
        // The limits are the C library's.
        match name {
            "ndots" => self.ndots = value.min(15).into(),
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5).into(),
            _ => {}
        }
    }

    /// The full names that a name may mean, in the order in which they are asked for.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let longer = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
        let mut all: Vec<String> = longer.collect();
        let at = if name.matches('.').count() >= self.ndots { 0 } else { all.len() };
        all.insert(at, name.to_owned());
        all
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    // `fe80::1%eth0`: the link is left to the kernel's choice.
    let address: IpAddr = word.split('%').next()?.parse().ok()?;
    Some(SocketAddr::new(address, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_options() {
        let settings =
            Settings::parse("# x\nnameserver 10.0.0.1\nnameserver ::1\noptions ndots:2 timeout:1 attempts:99\n");
        assert_eq!(settings.servers, ["10.0.0.1:53".parse().expect("good"), "[::1]:53".parse().expect("good")]);
        assert_eq!((settings.ndots, settings.timeout, settings.attempts), (2, Duration::from_secs(1), 5));
        assert_eq!(Settings::parse("").servers, ["127.0.0.1:53".parse().expect("good")]);
    }

    #[test]
    fn short_names_are_searched_first() {
        let settings = Settings::parse("domain old\nsearch a.x b.x\n");
        assert_eq!(settings.candidates("ship"), ["ship.a.x", "ship.b.x", "ship"]);
        assert_eq!(settings.candidates("ship.y"), ["ship.y", "ship.y.a.x", "ship.y.b.x"]);
        assert_eq!(settings.candidates("ship."), ["ship"]);
    }
}
