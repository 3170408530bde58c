//! Where an engine listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};

use crate::ssh::Ssh;

/// The port of an engine when a `tcp://` address names none.
const DEFAULT_PORT: u16 = 2375;
/// The same where there is TLS.
const DEFAULT_TLS_PORT: u16 = 2376;

/// An engine's address, as in `DOCKER_HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// `unix:///run/dhow/dhow.sock`.
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2375`: plain HTTP, or TLS if the client was given some.
    Tcp {
        /// Name or address, without brackets.
        name: String,
        /// Port number; the usual one, which depends on TLS, if none was named.
        port: Option<u16>,
    },
    /// `ssh://user@host`.
    Ssh(Ssh),
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("unix", _)) => Err(Error::invalid(format!("invalid host {text:?}: no path"))),
            Some(("tcp" | "http", address)) => tcp(address.trim_end_matches('/')),
            None => tcp(text),
            Some(("ssh", place)) => Ssh::parse(place).map(Self::Ssh),
            Some(("npipe", _)) => {
                Err(Error::not_implemented(format!("cannot reach {text}: named pipes are of Windows"))
                    .with_hint("reach an engine on Windows with tcp:// and TLS, or with ssh://"))
            }
            Some((scheme @ ("https" | "fd"), _)) => {
                Err(Error::not_implemented(format!("cannot reach {text}: {scheme}:// is no address of an engine"))
                    .with_hint("use unix://, ssh://, or tcp:// with --tlsverify"))
            }
            Some(_) => Err(Error::invalid(format!("invalid bind address format: {text}"))),
        }
    }
}

fn tcp(address: &str) -> Result<Host> {
    let invalid = || Error::invalid(format!("invalid host {address:?}"));
    let (name, port) = match address.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port.parse().map_err(|_| invalid())?)),
        _ => (address, None),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = if name.is_empty() { "127.0.0.1" } else { name };
    Ok(Host::Tcp { name: name.to_owned(), port })
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { name, port } => {
                let (open, close) = if name.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "tcp://{open}{name}{close}:{}", port.unwrap_or(DEFAULT_PORT))
            }
            Self::Ssh(ssh) => {
                write!(f, "ssh://")?;
                ssh.user.iter().try_for_each(|user| write!(f, "{user}@"))?;
                write!(f, "{}", ssh.host)?;
                ssh.port.iter().try_for_each(|port| write!(f, ":{port}"))?;
                ssh.socket.iter().try_for_each(|path| write!(f, "{path}"))
            }
        }
    }
}

/// The port to use.
pub(crate) fn port(named: Option<u16>, tls: bool) -> u16 {
    named.unwrap_or(if tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT })
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Class;

    use super::*;

    #[test]
    fn addresses_come_back() {
        for text in ["unix:///run/x.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:80", "ssh://me@box:22/x", "ssh://box"] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
        assert_eq!("tcp://h".parse::<Host>().unwrap().to_string(), "tcp://h:2375");
        assert_eq!("tcp://:99".parse::<Host>().unwrap().to_string(), "tcp://127.0.0.1:99");
        assert_eq!("[::1]".parse::<Host>().unwrap().to_string(), "tcp://[::1]:2375");
    }

    #[test]
    fn what_cannot_be_reached_says_so() {
        assert_eq!("npipe:////./pipe/x".parse::<Host>().unwrap_err().class(), Class::NotImplemented);
        assert_eq!("foo://x".parse::<Host>().unwrap_err().to_string(), "invalid bind address format: foo://x");
        assert_eq!("unix://".parse::<Host>().unwrap_err().class(), Class::InvalidArgument);
    }
}
