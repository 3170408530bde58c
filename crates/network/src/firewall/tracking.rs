//! What the kernel remembers of flows (nf_conntrack): it goes on sending one where it has gone before, as long as somebody
//! says something. So it has to forget datagrams to a port when that leads somewhere else, and everything that goes to an
//! address which the next container may have: a client of the last one that has had no answer asks again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dhow_errdefs::Result;

use super::state::{Changes, Member, Redirect};
use crate::link::Links;
use crate::model::{Protocol, Subnet};
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

/// Attributes of a question for some flows only: which parts of their second direction are compared, and the one for its
/// source (since Linux 5.8; a kernel before that tells of all flows).
const FILTER: u16 = 25;
const REPLY_PARTS: u16 = 2;
const SOURCE: u32 = 1;

/// `struct nfgenmsg`.
const HEADER: usize = 4;

/// The number of UDP.
const DATAGRAMS: u8 = 17;

/// What was sent somewhere, and who answers.
struct Flow<'a> {
    /// The client's direction, as the kernel has written it.
    original: &'a [u8],
    protocol: u8,
    to: IpAddr,
    /// 0 where the protocol has none.
    to_port: u16,
    /// Who answers.
    answers: IpAddr,
}

/// Forgets datagrams to ports that lead somewhere else than before, and what went through ports that are closed to
/// addresses that are given up. Costs nothing where there is neither.
pub(super) fn forget(changes: &Changes) -> Result<()> {
    let datagrams = forget_datagrams(changes);
    for target in given_up(changes) {
        forget_family(target.is_ipv6(), Some(target), |flow| flow.answers == target)?;
    }
    datagrams
}

fn forget_datagrams(changes: &Changes) -> Result<()> {
    let is_of_datagrams = |redirect: &&Redirect| redirect.published.port.protocol == Protocol::Udp;
    let changed: Vec<&Redirect> = changes.closed.iter().chain(&changes.opened).filter(is_of_datagrams).collect();
    if !changed.is_empty() {
        let local: Vec<IpAddr> = Links::open()?.addresses()?.iter().map(|it| it.subnet.address()).collect();
        for ipv6 in [false, true] {
            if changed.iter().any(|redirect| redirect.target.is_ipv6() == ipv6) {
                forget_family(ipv6, None, |flow| flow.protocol == DATAGRAMS && flow.is_of(&changed, &local))?;
            }
        }
    }
    Ok(())
}

/// Where ports led that are closed together with the links whose addresses those were.
fn given_up(changes: &Changes) -> BTreeSet<IpAddr> {
    let gone = |target: &IpAddr| changes.gone.iter().any(|Member { addresses, .. }| addresses.contains(target));
    changes.closed.iter().map(|redirect| redirect.target).filter(gone).collect()
}

/// Forgets what was led through ports to addresses in `subnets` that nobody of `present` has: their containers have ended
/// while there was no engine.
pub(super) fn forget_absent(subnets: &[Subnet], present: &BTreeSet<IpAddr>) -> Result<()> {
    let is_absent = |flow: &Flow<'_>| {
        let ours = || subnets.iter().any(|subnet| subnet.contains(flow.answers));
        flow.to != flow.answers && !present.contains(&flow.answers) && ours()
    };
    for ipv6 in [false, true] {
        if subnets.iter().any(|subnet| subnet.address().is_ipv6() == ipv6) {
            forget_family(ipv6, None, is_absent)?;
        }
    }
    Ok(())
}

/// Forgets those that are `unwanted`, among all, or among what `answers` answers.
fn forget_family(ipv6: bool, answers: Option<IpAddr>, unwanted: impl Fn(&Flow<'_>) -> bool) -> Result<()> {
    let header = [if ipv6 { super::nft::IPV6 } else { super::nft::IPV4 }, 0, 0, 0];
    let socket = Socket::open(Family::Netfilter)?;
    let mut gone = Vec::new();
    socket.dump(&question(&header, answers), |_, payload| {
        let flow = Flow::read(payload.get(HEADER..).unwrap_or_default());
        gone.extend(flow.filter(&unwanted).map(|flow| flow.original.to_vec()));
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

fn question(header: &[u8], answers: Option<IpAddr>) -> Batch {
    let mut request = Batch::default();
    let mut message = request.message("read what flows", GET, flags::DUMP, header);
    if let Some(address) = answers {
        let source = if address.is_ipv6() { 3 } else { 1 };
        message.nest(REPLY, |tuple| {
            tuple.nest(ADDRESSES, |addresses| {
                addresses.put_address(source, address);
            });
        });
        message.nest(FILTER, |parts| {
            parts.put_u32(REPLY_PARTS, SOURCE);
        });
    }
    drop(message);
    request
}

impl<'a> Flow<'a> {
    fn read(attributes: &'a [u8]) -> Option<Self> {
        let original = Attributes(attributes).get(ORIGINAL)?;
        let protocol = Attributes(Attributes(original).get(PROTOCOL)?);
        let reply = Attributes(attributes).get(REPLY)?;
        // Source and destination: 1 and 2 of IPv4, 3 and 4 of IPv6.
        let end = |tuple, numbers: [u16; 2]| {
            let addresses = Attributes(Attributes(tuple).get(ADDRESSES)?);
            numbers.into_iter().find_map(|number| addresses.get(number)).and_then(address)
        };
        Some(Self {
            original,
            protocol: *protocol.get(NUMBER)?.first()?,
            to: end(original, [2, 4])?,
            to_port: protocol.get(TO_PORT).and_then(|port| port.try_into().ok()).map_or(0, u16::from_be_bytes),
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
