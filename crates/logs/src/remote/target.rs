//! Where a remote driver sends, decided by the engine and carried to the shim.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use dhow_errdefs::Result;
use serde::{Deserialize, Serialize};

use super::{Secrecy, Syslog, journald, syslog};
use crate::config::Subject;

/// A target and what goes into every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A syslog server.
    Syslog {
        /// Its address.
        address: Address,
        /// How messages are laid out.
        layout: Syslog,
        /// The tag of every message.
        tag: String,
        /// This host's name.
        hostname: String,
    },
    /// systemd's journal.
    Journald {
        /// Its socket.
        socket: PathBuf,
        /// Fields of every message, in order.
        fields: BTreeMap<String, String>,
    },
}

/// Where a socket leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// The host's own syslog: the first of its usual sockets that takes messages.
    Host,
    /// A stream socket of this host.
    Unix(PathBuf),
    /// A datagram socket of this host.
    Unixgram(PathBuf),
    /// The first of these that answers.
    Tcp(Vec<SocketAddr>),
    /// The first of these that answers, with TLS.
    Tls(Vec<SocketAddr>, Secrecy),
    /// Datagrams.
    Udp(Vec<SocketAddr>),
}

type Options = BTreeMap<String, String>;

impl Target {
    pub(crate) fn syslog(options: &Options, subject: &Subject<'_>) -> Result<Self> {
        let (layout, address) = Syslog::from_options(options)?;
        Ok(Self::Syslog {
            address: address.resolve()?,
            layout,
            tag: syslog::tag(options, subject)?,
            hostname: crate::config::hostname(),
        })
    }

    pub(crate) fn journald(options: &Options, subject: &Subject<'_>) -> Result<Self> {
        Ok(Self::Journald { socket: PathBuf::from(journald::SOCKET), fields: journald::fields(options, subject)? })
    }

    /// How the target is named in notes.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Journald { .. } => "the journal".to_owned(),
            Self::Syslog { address, .. } => match address {
                Address::Host => "the host's syslog".to_owned(),
                Address::Unix(path) => format!("syslog unix://{}", path.display()),
                Address::Unixgram(path) => format!("syslog unixgram://{}", path.display()),
                Address::Tcp(found) => format!("syslog tcp://{}", first(found)),
                Address::Tls(found, _) => format!("syslog tcp+tls://{}", first(found)),
                Address::Udp(found) => format!("syslog udp://{}", first(found)),
            },
        }
    }
}

fn first(found: &[SocketAddr]) -> String {
    found.first().map(ToString::to_string).unwrap_or_default()
}
