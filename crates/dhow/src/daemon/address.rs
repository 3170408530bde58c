//! What `--host` names: where the engine is to listen.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use dhow_errdefs::{Error, Result};

/// The ports of an engine: IANA has given them to Docker.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// One place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `unix:///run/dhow/dhow.sock`.
    Unix(PathBuf),
    /// `tcp://10.0.0.1:2376`.
    Tcp(SocketAddr),
    /// `fd://`: what systemd has opened; all of it, or one by number or name.
    Inherited(Option<String>),
}

impl Address {
    /// Reads an address; the default port depends on whether there is TLS.
    pub(crate) fn parse(text: &str, tls: bool) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("invalid bind address ({text})"))
                .with_hint("an address is unix:///path/of/a/socket, tcp://10.0.0.1:2376 or fd://")
        };
        // A host and a port without more are of TCP, as with Docker.
        let bare = (!text.trim_matches('/').is_empty()).then_some(("tcp", text));
        match text.split_once("://").or(bare) {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => {
                tcp(address, if tls { TLS_PORT } else { PLAIN_PORT }).map(Self::Tcp).ok_or_else(wrong)
            }
            Some(("fd", "" | "*")) => Ok(Self::Inherited(None)),
            Some(("fd", which)) => Ok(Self::Inherited(Some(which.to_owned()))),
            _ => Err(wrong()),
        }
    }

    /// Whether nobody but this machine can get there.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) | Self::Inherited(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Inherited(which) => write!(f, "fd://{}", which.as_deref().unwrap_or_default()),
        }
    }
}

/// A number, not a name: what a name means can change, and with it who reaches the engine. `localhost` never does.
fn tcp(text: &str, default_port: u16) -> Option<SocketAddr> {
    let text = text.trim_end_matches('/');
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, default_port),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip = match host {
        "" | "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        number => number.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address() {
        let parse = |text: &str| Address::parse(text, true);
        assert_eq!(parse("unix:///a/b").expect("good"), Address::Unix("/a/b".into()));
        assert_eq!(parse("fd://").expect("good"), Address::Inherited(None));
        assert_eq!(parse("fd://3").expect("good"), Address::Inherited(Some("3".to_owned())));
        for (text, meant) in [
            ("tcp://0.0.0.0:99", "0.0.0.0:99"),
            ("tcp://10.0.0.1", "10.0.0.1:2376"),
            ("tcp://:99", "127.0.0.1:99"),
            ("tcp://localhost", "127.0.0.1:2376"),
            ("tcp://[::1]:99", "[::1]:99"),
            ("tcp://[::1]", "[::1]:2376"),
            ("10.0.0.1:99", "10.0.0.1:99"),
            (":99", "127.0.0.1:99"),
        ] {
            assert_eq!(parse(text).expect("good"), Address::Tcp(meant.parse().expect("good")), "{text}");
        }
        assert!(Address::parse("tcp://127.0.0.1", false).expect("good").is_loopback());
        for bad in ["unix://relative", "/a/b", "/", "tcp://some.name:1", "tcp://1.2.3.4:x", "http://1.2.3.4", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (text, only) in [("tcp://127.9.9.9:1", true), ("tcp://[::1]:1", true), ("tcp://0.0.0.0:1", false)] {
            assert_eq!(Address::parse(text, false).expect("good").is_loopback(), only, "{text}");
        }
    }
}
