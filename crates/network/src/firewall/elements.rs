//! Elements of the tables' sets and maps.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::nft::{Data, Element, Field, Transaction, Verdict};
use super::state::{Member, Redirect};
use crate::model::{Published, Subnet};

/// Which names of links are bridges of ours.
pub(super) const BRIDGES: &str = "bridges";
/// Those without a way out.
pub(super) const INTERNAL: &str = "internal";
/// Bridge by which a packet leaves → chain.
pub(super) const TO: &str = "to";

/// Addresses, protocols and ports of the host for which there is no such map.
pub(super) const RELAYED: &str = "relayed";

/// Address, protocol and port of the host → address and port of a container.
pub(super) fn ports(ipv6: bool) -> &'static str {
    if ipv6 { "ports6" } else { "ports4" }
}

/// Address, protocol and port of the host → chain that says who may come, for those that are not for everybody.
pub(super) fn limits(ipv6: bool) -> &'static str {
    if ipv6 { "limits6" } else { "limits4" }
}

/// Block that a packet comes from → chain.
pub(super) fn from(ipv6: bool) -> &'static str {
    if ipv6 { "from6" } else { "from4" }
}

/// A link's name as the kernel compares it.
pub(super) fn link_name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

pub(super) fn bare(key: Vec<u8>) -> Element<'static> {
    Element { key, data: Data::None }
}

/// A range of keys as nftables wants it: its first one, and the first one behind it.
pub(super) fn range<'a>(subnet: Subnet, verdict: Verdict<'a>) -> Vec<Element<'a>> {
    let mut elements = vec![Element { key: octets(subnet.at(0)), data: Data::Verdict(verdict) }];
    let behind = match subnet.last() {
        IpAddr::V4(last) => last.to_bits().checked_add(1).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        IpAddr::V6(last) => last.to_bits().checked_add(1).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    };
    elements.extend(behind.map(|address| Element { key: octets(address), data: Data::RangeEnd }));
    elements
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(super) fn add_redirects(transaction: &mut Transaction<'_>, redirects: &[Redirect]) {
    for ipv6 in [false, true] {
        let elements: Vec<_> = of_kernel(redirects).filter(|it| it.target.is_ipv6() == ipv6).map(port).collect();
        transaction.add(ports(ipv6), &elements);
    }
    of_kernel(redirects).filter(|it| !it.from.is_empty()).for_each(|redirect| add_limit(transaction, redirect));
    transaction.add(RELAYED, &relayed(redirects));
}

/// Those of IPv6 that only a process of ours can pass on.
fn relayed(redirects: &[Redirect]) -> Vec<Element<'static>> {
    let others = redirects.iter().filter(|redirect| !redirect.is_of_kernel());
    let of_ipv6 = others.filter(|redirect| redirect.published.host_address.is_ipv6());
    of_ipv6.map(|redirect| bare(port(redirect).key)).collect()
}

/// Those that the kernel sends on itself.
fn of_kernel(redirects: &[Redirect]) -> impl Iterator<Item = &Redirect> {
    redirects.iter().filter(|redirect| redirect.is_of_kernel())
}

fn add_limit(transaction: &mut Transaction<'_>, redirect: &Redirect) {
    let (chain, ipv6) = (chain_from(redirect), redirect.target.is_ipv6());
    transaction.chain(&chain, None);
    for &subnet in redirect.from.iter().filter(|subnet| subnet.is_ipv6() == ipv6) {
        let field = if ipv6 { Field::SOURCE6 } else { Field::SOURCE4 };
        transaction.rule(&chain, |rule| {
            rule.is_within(field, &mask(subnet), &octets(subnet.masked().address())).verdict(Verdict::Return);
        });
    }
    transaction.rule(&chain, |rule| {
        rule.verdict(Verdict::Drop);
    });
    transaction.add(limits(ipv6), &[Element { key: port(redirect).key, data: Data::Verdict(Verdict::Jump(&chain)) }]);
}

fn remove_limit(transaction: &mut Transaction<'_>, redirect: &Redirect) {
    let chain = chain_from(redirect);
    let element = Element { key: port(redirect).key, data: Data::Verdict(Verdict::Jump(&chain)) };
    transaction.remove(limits(redirect.target.is_ipv6()), &[element]).remove_chain(&chain);
}

fn chain_from(redirect: &Redirect) -> String {
    let Published { port, host_address, host_port } = redirect.published;
    format!("from-{}-{host_address}-{host_port}", port.protocol).replace(':', ".")
}

/// As many ones as the prefix says, in the width of the family.
fn mask(subnet: Subnet) -> Vec<u8> {
    let bits = u128::MAX.checked_shl(u32::from(128 - subnet.prefix())).unwrap_or_default();
    bits.to_be_bytes()[..if subnet.is_ipv6() { 16 } else { 4 }].to_vec()
}

pub(super) fn remove_redirects(transaction: &mut Transaction<'_>, redirects: &[Redirect]) {
    of_kernel(redirects).filter(|it| !it.from.is_empty()).for_each(|it| remove_limit(transaction, it));
    for ipv6 in [false, true] {
        let elements: Vec<_> = of_kernel(redirects)
            .filter(|redirect| redirect.target.is_ipv6() == ipv6)
            .map(|redirect| bare(port(redirect).key))
            .collect();
        transaction.remove(ports(ipv6), &elements);
    }
    transaction.remove(RELAYED, &relayed(redirects));
}

/// Every part of a key and of its data fills registers of four bytes.
fn port(redirect: &Redirect) -> Element<'static> {
    let published = redirect.published;
    let mut key = octets(published.host_address);
    key.extend([published.port.protocol.number(), 0, 0, 0]);
    key.extend(padded(published.host_port));
    let mut data = octets(redirect.target);
    data.extend(padded(published.port.number));
    Element { key, data: Data::Value(data) }
}

fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// In the table of the bridges' own traffic: the links of containers.
pub(super) const LINKS: &str = "links";
/// And what belongs to somebody, and (with the link's name before it) to whom.
pub(super) const MACS: [&str; 2] = ["macs", "owners-mac"];
pub(super) const ADDRESSES4: [&str; 2] = ["addresses4", "owners4"];
pub(super) const ADDRESSES6: [&str; 2] = ["addresses6", "owners6"];

/// What a link of a container's has for itself: set, set with owners, key.
pub(super) fn belongings(member: &Member) -> Vec<([&'static str; 2], Vec<u8>)> {
    let addresses = member.addresses.iter().map(|&address| (addresses(address), octets(address)));
    std::iter::once((MACS, member.mac.0.to_vec())).chain(addresses).collect()
}

pub(super) fn addresses(address: IpAddr) -> [&'static str; 2] {
    if address.is_ipv6() { ADDRESSES6 } else { ADDRESSES4 }
}

pub(super) fn add_member(transaction: &mut Transaction<'_>, member: &Member) {
    transaction.add(LINKS, &[bare(link_name(&member.link))]);
    for ([all, owned], key) in belongings(member) {
        transaction.add(owned, &[bare(owned_key(member, &key))]).add(all, &[bare(key)]);
    }
}

pub(super) fn remove_member(transaction: &mut Transaction<'_>, member: &Member, shared: &BTreeSet<Vec<u8>>) {
    transaction.remove(LINKS, &[bare(link_name(&member.link))]);
    for ([all, owned], key) in belongings(member) {
        transaction.remove(owned, &[bare(owned_key(member, &key))]);
        if !shared.contains(&key) {
            transaction.remove(all, &[bare(key)]);
        }
    }
}

fn owned_key(member: &Member, key: &[u8]) -> Vec<u8> {
    let mut owned = [&link_name(&member.link), key].concat();
    // Every part of a key fills registers of four bytes.
    owned.resize(owned.len().next_multiple_of(4), 0);
    owned
}
