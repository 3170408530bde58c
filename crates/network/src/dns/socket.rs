//! The sockets in a container at which its questions arrive.

use std::net::{IpAddr, TcpListener, UdpSocket};

use dhow_errdefs::{Result, ResultExt};

use super::ADDRESS;
use crate::firewall::send_port_53;
use crate::sandbox::Sandbox;

/// Makes them, and the rule that sends questions there.
pub(super) fn open(sandbox: &Sandbox) -> Result<(UdpSocket, TcpListener)> {
    sandbox.inside(|| {
        let what = || format!("listen to {ADDRESS} in a container");
        let datagrams = UdpSocket::bind((ADDRESS, 0)).context(what)?;
        let streams = TcpListener::bind((ADDRESS, 0)).context(what)?;
        datagrams.set_nonblocking(true).context(what)?;
        streams.set_nonblocking(true).context(what)?;
        let port = |address: std::io::Result<std::net::SocketAddr>| address.map(|it| it.port()).context(what);
        send_port_53(IpAddr::V4(ADDRESS), port(datagrams.local_addr())?, port(streams.local_addr())?)?;
        Ok((datagrams, streams))
    })
}
