//! Telling a network to whom an address belongs from now on: who had it before, or said so, may be in its neighbours' memories
//! for a minute.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dhow_errdefs::{Result, ResultExt};
use dhow_sys::frame::FrameSocket;

use super::{DELETE_NEIGHBOUR, Links, family};
use crate::model::Mac;
use crate::netlink::Batch;

/// Numbers of protocols in an Ethernet frame.
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

const EVERYBODY: Mac = Mac([0xff; 6]);

/// All nodes on a link (RFC 4291, 2.7.1), and where frames to them go (RFC 2464, 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

const ICMPV6: u8 = 58;

/// Tells those behind a link, and this host itself, that an address belongs to that hardware address.
pub(crate) fn announce(socket: &FrameSocket, links: &Links, link: u32, mac: Mac, address: IpAddr) -> Result<()> {
    let what = || format!("announce {address}");
    match address {
        IpAddr::V4(address) => socket.send(link, &announcement(mac, address)).context(what)?,
        IpAddr::V6(address) => socket.send(link, &advertisement(mac, address)).context(what)?,
    }
    links.forget_neighbour(link, address);
    Ok(())
}

impl Links {
    /// What this host remembers of a neighbour; mostly nothing.
    fn forget_neighbour(&self, link: u32, address: IpAddr) {
        let mut batch = Batch::default();
        // `struct ndmsg`
        let mut header = [0; 12];
        header[0] = family(address);
        header[4..8].copy_from_slice(&link.to_ne_bytes());
        // NDA_DST
        batch.message("forget a neighbour", DELETE_NEIGHBOUR, 0, &header).put_address(1, address);
        drop(self.0.send(&batch));
    }
}

/// RFC 5227, 2.3.
fn announcement(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    // Ethernet and IPv4, with addresses of 6 and 4 bytes; a request.
    let head = [0, 1, 0x08, 0, 6, 4, 0, 1];
    let (own, address) = (mac.0, address.octets());
    [&ethernet(EVERYBODY, mac, ARP)[..], &head, &own, &address, &[0; 6], &address].concat()
}

/// An unsolicited neighbour advertisement that overrides what was before (RFC 4861, 4.4 and 7.2.6).
fn advertisement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    const OVERRIDE: [u8; 4] = [0x20, 0, 0, 0];
    // The hardware address of the target, in units of eight bytes.
    let option = [&[2, 1], &mac.0[..]].concat();
    let mut message = [&[136, 0, 0, 0], &OVERRIDE[..], &address.octets(), &option].concat();
    let sum = checksum(address, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = u16::try_from(message.len()).unwrap_or_default();
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length.to_be_bytes());
    // It has not been passed on by anybody.
    header.extend([ICMPV6, 255]);
    header.extend(address.octets());
    header.extend(ALL_NODES.octets());
    [ethernet(ALL_NODES_MAC, mac, IPV6), header, message].concat()
}

fn ethernet(to: Mac, from: Mac, protocol: u16) -> Vec<u8> {
    [&to.0[..], &from.0, &protocol.to_be_bytes()].concat()
}

/// RFC 4443, 2.3, over the header that stands for the packet's (RFC 8200, 8.1).
fn checksum(from: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or_default();
    let before = [&from.octets()[..], &ALL_NODES.octets(), &length.to_be_bytes(), &[0, 0, 0, ICMPV6]].concat();
    let words = before.chunks(2).chain(message.chunks(2));
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0x42, 10, 0, 0, 9]);

    #[test]
    fn an_announcement_asks_everybody_for_its_own_address() {
        let frame = announcement(MAC, Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(frame.len(), 42);
        assert_eq!((&frame[..6], &frame[6..12], &frame[12..14]), (&[0xff; 6][..], &MAC.0[..], &[8, 6][..]));
        assert_eq!(
            (&frame[22..28], &frame[28..32], &frame[38..]),
            (&MAC.0[..], &[10, 0, 0, 9][..], &[10, 0, 0, 9][..])
        );
    }

    #[test]
    fn an_advertisement_has_a_sum_that_adds_up() {
        let address = "fd00::9".parse().unwrap();
        let frame = advertisement(MAC, address);
        assert_eq!((frame.len(), frame[20], frame[21]), (86, ICMPV6, 255));
        let message = &frame[54..];
        assert_eq!((message[0], &message[8..24], &message[26..]), (136, &address.octets()[..], &MAC.0[..]));
        // With the sum in it, the sum is nothing.
        assert_eq!(checksum(address, message), 0);
    }
}
