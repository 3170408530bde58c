//! Addresses inside a container.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dhow_errdefs::{Error, Result};

/// Somewhere to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// To be tried in this order.
    pub addresses: Vec<SocketAddr>,
}

/// A page of a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    pub target: Target,
    /// As the request names it.
    pub host: String,
    /// With the query.
    pub path: String,
}

impl Target {
    /// Reads `[HOST:]PORT`. A host is `localhost` or an address: there is nobody to ask for a name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| bad(text, "there is no port"))?;
        Ok(Self { addresses: addresses(host, port).ok_or_else(|| unnamed(text, host))? })
    }
}

impl Http {
    /// Reads `:PORT[/PATH]` or `http://HOST[:PORT][/PATH]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(bad(text, "there is a blank or control character in it"));
        }
        if text.starts_with("https://") {
            let hint = "check the port with --health-tcp, or run a command";
            return Err(bad(text, "certificates are not checked here").with_hint(hint));
        }
        let rest = text.strip_prefix("http://").or_else(|| text.starts_with(':').then_some(text));
        let rest = rest.ok_or_else(|| bad(text, "it is neither http://HOST[:PORT]/PATH nor :PORT/PATH"))?;
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let target = if has_port {
            Target::parse(authority)?
        } else {
            Target { addresses: addresses(authority, 80).ok_or_else(|| unnamed(text, authority))? }
        };
        let host = if authority.starts_with(':') { format!("localhost{authority}") } else { authority.to_owned() };
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { target, host, path })
    }
}

/// `None` for a name.
fn addresses(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<IpAddr> = match bare {
        "" | "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        address => vec![address.parse().ok()?],
    };
    Some(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn bad(text: &str, why: &str) -> Error {
    Error::invalid(format!("invalid address of a health check {text:?}: {why}"))
}

fn unnamed(text: &str, host: &str) -> Error {
    bad(text, &format!("{host} is neither localhost nor an address"))
        .with_hint("the engine asks no name server for a health check: give the address")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Vec<String> {
        Target::parse(text).map_or(Vec::new(), |target| target.addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn ports_and_hosts() {
        let both = ["127.0.0.1:80", "[::1]:80"];
        assert!(["80", ":80", "localhost:80"].iter().all(|text| tcp(text) == both));
        assert_eq!(tcp("10.0.0.7:81"), ["10.0.0.7:81"]);
        assert_eq!(tcp("[::1]:81"), ["[::1]:81"]);
        assert!(["", ":", "x", "0", "65536", "name:80", "::1"].iter().all(|text| tcp(text).is_empty()));
    }

    #[test]
    fn pages() {
        let page = |text: &str| Http::parse(text).map(|http| (http.host, http.path, http.target.addresses[0].port()));
        let expect = |host: &str, path: &str, port| (host.to_owned(), path.to_owned(), port);
        assert_eq!(page(":8080/health?a=b").unwrap(), expect("localhost:8080", "/health?a=b", 8080));
        assert_eq!(page(":8080").unwrap(), expect("localhost:8080", "/", 8080));
        assert_eq!(page("http://localhost/x#y").unwrap(), expect("localhost", "/x", 80));
        assert_eq!(page("http://127.0.0.1:90?q").unwrap(), expect("127.0.0.1:90", "/?q", 90));
        assert_eq!(page("http://[::1]/").unwrap(), expect("[::1]", "/", 80));
        assert_eq!(page("http://[::1]:9/").unwrap(), expect("[::1]:9", "/", 9));
        for wrong in ["", "8080", "https://localhost/", "http://name/", ":80/a b", ":80/\r\nX: y", "http://"] {
            assert_eq!(page(wrong).is_ok(), wrong == "http://", "{wrong:?}");
        }
    }
}
