//! Addresses of host names, without the C library.
//!
//! A static binary must not call `getaddrinfo`: it loads the host's name service modules, which crash in it. So this is the
//! rest of it: addresses, `localhost`, `/etc/hosts`, and DNS as `/etc/resolv.conf` says (resolv.conf(5): `nameserver`,
//! `search`, `ndots`, `timeout`, `attempts`). It blocks; it keeps nothing.

mod hosts;
mod message;
mod resolv_conf;
mod server;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dhow_errdefs::{Error, Result};
use resolv_conf::Settings;

/// All addresses of a name, those to try first at the front. An address is its own name.
///
/// # Errors
/// [`NotFound`](dhow_errdefs::Class::NotFound) if there is no such name,
/// [`Unavailable`](dhow_errdefs::Class::Unavailable) if no server answered.
pub fn resolve(name: &str) -> Result<Vec<IpAddr>> {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let known = hosts::find(&fs::read_to_string("/etc/hosts").unwrap_or_default(), name);
    if !known.is_empty() {
        return Ok(known);
    }
    // RFC 6761: never to be asked of a server.
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let settings = Settings::parse(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    ask(&settings, name)
}

fn ask(settings: &Settings, name: &str) -> Result<Vec<IpAddr>> {
    let mut silent = None;
    for candidate in settings.candidates(name) {
        match server::ask(settings, &candidate) {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => {}
            Err(error) => silent = Some(error),
        }
    }
    Err(match silent {
        Some(cause) => Error::unavailable(format!("lookup {name}")).with_cause(cause),
        None => Error::not_found(format!("lookup {name}: no such host")),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};

    use dhow_errdefs::Class;

    use super::*;

    #[test]
    fn addresses_are_their_own_names() {
        assert_eq!(resolve("10.1.2.3").expect("an address"), ["10.1.2.3".parse::<IpAddr>().expect("good")]);
        assert_eq!(resolve("[::1]").expect("an address"), ["::1".parse::<IpAddr>().expect("good")]);
        assert!(resolve("x.localhost").expect("loopback")[0].is_loopback());
    }

    /// A server that knows one name and answers until the test ends.
    fn server(known: &'static str) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("bound");
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let answer = message::answer_for_tests(&query[..length], known, Ipv4Addr::new(10, 9, 8, 7));
                drop(socket.send_to(&answer, from));
            }
        });
        address
    }

    #[test]
    fn servers_are_asked_with_the_search_list() {
        let text = "search far.example near.example\n";
        let settings = Settings { servers: vec![server("ship.near.example")], ..Settings::parse(text) };
        assert_eq!(ask(&settings, "ship").expect("found"), ["10.9.8.7".parse::<IpAddr>().expect("good")]);
        assert_eq!(ask(&settings, "boat").expect_err("unknown").class(), Class::NotFound);
    }

    #[test]
    fn a_server_that_is_silent_is_told_apart() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let text = "options timeout:1 attempts:1\n";
        let servers = vec![silent.local_addr().expect("bound")];
        let settings = Settings { servers, ..Settings::parse(text) };
        assert_eq!(ask(&settings, "ship.").expect_err("silence").class(), Class::Unavailable);
        let both = vec![settings.servers[0], server("ship")];
        assert!(ask(&Settings { servers: both, ..settings }, "ship.").is_ok());
    }
}
