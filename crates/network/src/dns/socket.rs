//! The sockets in a container at which its questions arrive.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use dhow_errdefs::{Error, Result, ResultExt};

use super::ADDRESS;
use super::ledger::Ledger;
use crate::firewall::send_port_53;
use crate::sandbox::Sandbox;

/// What the parts are called while somebody else keeps them.
const NAMES: [&str; 3] = ["names-datagrams", "names-streams", "names-open"];

/// Where questions arrive, and where those are written down that wait. The container's shim keeps all of it, too, so that
/// nothing is lost while there is no engine: what arrives then waits in the sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(super) datagrams: UdpSocket,
    pub(super) streams: TcpListener,
    pub(super) memory: OwnedFd,
}

impl Sockets {
    /// Makes them, and the rule that sends questions there.
    pub(super) fn open(sandbox: &Sandbox) -> Result<Self> {
        sandbox.inside(|| {
            let what = || format!("listen to {ADDRESS} in a container");
            let datagrams = UdpSocket::bind((ADDRESS, 0)).context(what)?;
            let streams = TcpListener::bind((ADDRESS, 0)).context(what)?;
            datagrams.set_nonblocking(true).context(what)?;
            streams.set_nonblocking(true).context(what)?;
            let port = |address: std::io::Result<std::net::SocketAddr>| address.map(|it| it.port()).context(what);
            send_port_53(IpAddr::V4(ADDRESS), port(datagrams.local_addr())?, port(streams.local_addr())?)?;
            Ok(Self { datagrams, streams, memory: Ledger::memory()? })
        })
    }

    /// What somebody else is to keep.
    pub(super) fn keepsakes(&self) -> Result<Vec<(&'static str, OwnedFd)>> {
        let copy = || {
            let parts = [
                self.datagrams.try_clone().map(OwnedFd::from)?,
                self.streams.try_clone().map(OwnedFd::from)?,
                self.memory.try_clone()?,
            ];
            Ok::<_, std::io::Error>(NAMES.into_iter().zip(parts).collect())
        };
        copy().context(|| "copy the sockets of a container's names")
    }

    /// Out of what was kept.
    pub(crate) fn of_keepsakes(kept: Vec<(String, OwnedFd)>) -> Result<Self> {
        let mut parts: [Option<OwnedFd>; 3] = [None, None, None];
        for (name, part) in kept {
            if let Some(place) = NAMES.iter().position(|known| *known == name) {
                parts[place] = Some(part);
            }
        }
        let [Some(datagrams), Some(streams), Some(memory)] = parts else {
            return Err(Error::not_found("no sockets were kept"));
        };
        Ok(Self { datagrams: datagrams.into(), streams: streams.into(), memory })
    }
}
