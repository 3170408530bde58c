//! What the kernel remembers of datagrams (nf_conntrack): it goes on sending a flow where it has gone before, as long as
//! somebody says something. So it has to forget flows to a port when that leads somewhere else.

use std::net::IpAddr;

use dhow_errdefs::Result;

use super::state::Redirect;
use crate::link::Links;
use crate::model::Protocol;
use crate::netlink::{Attributes, Batch, Family, Socket, address, flags};

/// Requests (linux/netfilter/nfnetlink_conntrack.h).
const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;

/// Attributes: both directions of a flow, and what is in each.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ADDRESSES: u16 = 1;
const PROTOCOL: u16 = 2;
const NUMBER: u16 = 1;
const TO_PORT: u16 = 3;

/// `struct nfgenmsg`.
const HEADER: usize = 4;

/// A flow of datagrams.
struct Flow<'a> {
    /// The client's direction, as the kernel has written it.
    original: &'a [u8],
    to: IpAddr,
    to_port: u16,
    /// Who answers.
    answers: IpAddr,
}

/// Forgets the flows of ports that lead somewhere else than before. Costs nothing where none of them is for datagrams.
pub(super) fn forget(closed: &[Redirect], opened: &[Redirect]) -> Result<()> {
    let datagrams = |redirect: &&Redirect| redirect.published.port.protocol == Protocol::Udp;
    let (closed, opened): (Vec<_>, Vec<_>) =
        (closed.iter().filter(datagrams).collect(), opened.iter().filter(datagrams).collect());
    let changed: Vec<&Redirect> = closed.into_iter().chain(opened).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let local: Vec<IpAddr> = Links::open()?.addresses()?.iter().map(|it| it.subnet.address()).collect();
    for ipv6 in [false, true] {
        let changed: Vec<&Redirect> = changed.iter().copied().filter(|it| it.target.is_ipv6() == ipv6).collect();
        if !changed.is_empty() {
            forget_family(ipv6, &changed, &local)?;
        }
    }
    Ok(())
}

fn forget_family(ipv6: bool, changed: &[&Redirect], local: &[IpAddr]) -> Result<()> {
    let header = [if ipv6 { super::nft::IPV6 } else { super::nft::IPV4 }, 0, 0, 0];
    let socket = Socket::open(Family::Netfilter)?;
    let mut request = Batch::default();
    drop(request.message("read what flows", GET, flags::DUMP, &header));
    let mut gone = Vec::new();
    socket.dump(&request, |_, payload| {
        let flow = Flow::read(payload.get(HEADER..).unwrap_or_default());
        gone.extend(flow.filter(|flow| flow.is_of(changed, local)).map(|flow| flow.original.to_vec()));
    })?;
    for original in gone {
        let mut request = Batch::default();
        request.message("forget a flow", DELETE, 0, &header).nest(ORIGINAL, |tuple| {
            tuple.append(&original);
        });
        // It may have ended by itself.
        drop(socket.send(&request));
    }
    Ok(())
}

impl<'a> Flow<'a> {
    /// `None` if it is none of datagrams.
    fn read(attributes: &'a [u8]) -> Option<Self> {
        const DATAGRAMS: u8 = 17;
        let original = Attributes(attributes).get(ORIGINAL)?;
        let protocol = Attributes(Attributes(original).get(PROTOCOL)?);
        (protocol.get(NUMBER)? == [DATAGRAMS]).then_some(())?;
        let reply = Attributes(attributes).get(REPLY)?;
        // Source and destination: 1 and 2 of IPv4, 3 and 4 of IPv6.
        let end = |tuple, numbers: [u16; 2]| {
            let addresses = Attributes(Attributes(tuple).get(ADDRESSES)?);
            numbers.into_iter().find_map(|number| addresses.get(number)).and_then(address)
        };
        Some(Self {
            original,
            to: end(original, [2, 4])?,
            to_port: u16::from_be_bytes(protocol.get(TO_PORT)?.try_into().ok()?),
            answers: end(reply, [1, 3])?,
        })
    }

    /// Whether it was to a port that has changed, or goes where such a port led.
    fn is_of(&self, changed: &[&Redirect], local: &[IpAddr]) -> bool {
        changed.iter().any(|Redirect { published, target, .. }| {
            let any = published.host_address.is_unspecified() && local.contains(&self.to);
            let here = any || published.host_address == self.to;
            self.answers == *target || here && published.host_port == self.to_port
        })
    }
}
