//! The tables without what comes and goes with containers.

use std::net::Ipv6Addr;

use super::elements::{
    self, ADDRESSES4, ADDRESSES6, BRIDGES, INTERNAL, LINKS, MACS, RELAYED, TO, bare, from, limits, link_name, octets,
    ports, range,
};
use super::nft::{self, Data, Element, Expressions, Field, Hook, Key, SetKind, Transaction, Verdict};
use super::state::{State, Zone};
use crate::home::{BACK, OUTWARD};

/// Bits of `ct state` and `ct status` (linux/netfilter/nf_conntrack_common.h).
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const REDIRECTED: u32 = 0x20;

/// `RTN_LOCAL`: an address of this host.
const LOCAL: [u8; 4] = 2_u32.to_ne_bytes();

/// `NF_INET_*`.
const BEFORE_ROUTING: u32 = 0;
const INPUT: u32 = 1;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const AFTER_ROUTING: u32 = 4;

/// Types of keys as `nft list` knows them; several of them six bits each.
const NAME: Key = Key { kind: 41, length: 16 };
const ADDRESS4: Key = Key { kind: 7, length: 4 };
const ADDRESS6: Key = Key { kind: 8, length: 16 };
const PORT4: Key = Key { kind: 7 << 12 | 12 << 6 | 13, length: 12 };
const PORT6: Key = Key { kind: 8 << 12 | 12 << 6 | 13, length: 24 };
const TARGET4: SetKind = SetKind::Values(7 << 6 | 13, 8);
const TARGET6: SetKind = SetKind::Values(8 << 6 | 13, 20);

const MAC: Key = Key { kind: 9, length: 6 };
const OWNED_MAC: Key = Key { kind: 41 << 6 | 9, length: 24 };
const OWNED4: Key = Key { kind: 41 << 6 | 7, length: 20 };
const OWNED6: Key = Key { kind: 41 << 6 | 8, length: 32 };

/// What comes to a link and is not from a container: router advertisements and redirects (RFC 4861, 4.2 and 4.5).
const OF_ROUTERS: [u8; 2] = [134, 137];
const ICMP_ADVERTISEMENT: u8 = 136;
const ICMPV6: u8 = 58;

/// Numbers of protocols in an Ethernet frame.
const ETHER_IPV4: [u8; 2] = [0x08, 0x00];
const ETHER_ARP: [u8; 2] = [0x08, 0x06];
const ETHER_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHER_TAGGED: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];

/// Removes the table, be it there or not.
pub(super) fn clear(transaction: &mut Transaction<'_>) {
    transaction.table().remove_table();
}

/// Makes it anew.
pub(super) fn fill(transaction: &mut Transaction<'_>, state: &State, direct: bool) {
    transaction.table();
    sets(transaction);
    incoming(transaction, direct);
    forward(transaction);
    outgoing(transaction);
    for zone in state.zones.values() {
        add_zone(transaction, zone);
    }
    let redirects: Vec<_> = state.redirects.iter().cloned().collect();
    elements::add_redirects(transaction, &redirects);
}

/// Answers to those for whom a socket of ours has spoken under their address come back to that socket.
pub(super) fn bring_back(transaction: &mut Transaction<'_>) {
    for (chain, number) in [("mark-out", OUTPUT), ("mark-back", BEFORE_ROUTING)] {
        transaction.chain(chain, Some(Hook { kind: "filter", number, priority: -150 }));
    }
    transaction.rule("mark-out", |rule| {
        rule.is(Field::MARK, &OUTWARD.to_ne_bytes()).set_connection_mark(OUTWARD);
    });
    transaction.rule("mark-back", |rule| {
        rule.is(Field::CT_MARK, &OUTWARD.to_ne_bytes()).is(Field::CT_DIRECTION, &[1]).set_mark(BACK);
    });
}

fn sets(transaction: &mut Transaction<'_>) {
    transaction.set(BRIDGES, NAME, SetKind::Plain).set(INTERNAL, NAME, SetKind::Plain).set(TO, NAME, SetKind::Verdicts);
    transaction.set(from(false), ADDRESS4, SetKind::Ranges).set(from(true), ADDRESS6, SetKind::Ranges);
    transaction.set(ports(false), PORT4, TARGET4).set(ports(true), PORT6, TARGET6);
    transaction.set(RELAYED, PORT6, SetKind::Plain);
    transaction.set(limits(false), PORT4, SetKind::Verdicts).set(limits(true), PORT6, SetKind::Verdicts);
}

/// What is for a published port goes to the container, wherever it comes from.
fn incoming(transaction: &mut Transaction<'_>, direct: bool) {
    transaction.chain("publish", None);
    for ipv6 in [false, true] {
        transaction.rule("publish", |rule| published(rule, ipv6, true));
        transaction.rule("publish", |rule| published(rule, ipv6, false));
    }
    transaction.chain("limit", None);
    for (ipv6, exact) in [(false, true), (false, false), (true, true), (true, false)] {
        transaction.rule("limit", |rule| {
            load_port(rule, ipv6, exact);
            rule.verdict_map(limits(ipv6));
        });
    }
    // A bridge routes to the host's loopback for the sake of ports published there. Containers may not use that.
    transaction.chain("guard", Some(Hook { kind: "filter", number: BEFORE_ROUTING, priority: -300 }));
    transaction.rule("guard", |rule| {
        rule.load(Field::INPUT, 0).in_set(BRIDGES).is(Field::FAMILY, &[nft::IPV4]);
        rule.is_within(Field::DESTINATION4, &[255, 0, 0, 0], &[127, 0, 0, 0]).verdict(Verdict::Drop);
    });
    // Those that have no way out have none by a process of ours that passes ports on, either.
    transaction.chain("inward", Some(Hook { kind: "filter", number: INPUT, priority: 0 }));
    for (ipv6, exact) in [(false, true), (false, false), (true, true), (true, false)] {
        transaction.rule("inward", |rule| {
            rule.load(Field::INPUT, 0).in_set(INTERNAL);
            load_port(rule, ipv6, exact);
            rule.map(ports(ipv6), 8).verdict(Verdict::Drop);
        });
    }
    for exact in [true, false] {
        transaction.rule("inward", |rule| {
            rule.load(Field::INPUT, 0).in_set(INTERNAL);
            load_port(rule, true, exact);
            rule.in_set(RELAYED).verdict(Verdict::Drop);
        });
    }
    if !direct {
        return;
    }
    for (chain, number) in [("prerouting", BEFORE_ROUTING), ("output", OUTPUT)] {
        transaction.chain(chain, Some(Hook { kind: "nat", number, priority: -100 }));
        // What is for the loopback of IPv6 a process of ours passes on.
        transaction.rule(chain, |rule| {
            rule.is(Field::FAMILY, &[nft::IPV6]).is(Field::DESTINATION6, &Ipv6Addr::LOCALHOST.octets());
            rule.verdict(Verdict::Return);
        });
        if number == BEFORE_ROUTING {
            // What is published on the host's loopback is so for the host, whatever links lead there.
            transaction.rule(chain, |rule| {
                rule.is(Field::FAMILY, &[nft::IPV4]);
                rule.is_within(Field::DESTINATION4, &[255, 0, 0, 0], &[127, 0, 0, 0]).verdict(Verdict::Return);
            });
            // The host itself may always come.
            transaction.rule(chain, |rule| {
                rule.is(Field::DestinationKind, &LOCAL).verdict(Verdict::Jump("limit"));
            });
        }
        transaction.rule(chain, |rule| {
            rule.is(Field::DestinationKind, &LOCAL).verdict(Verdict::Jump("publish"));
        });
    }
}

/// A lookup of the port by the very address, or by the one that stands for all.
fn published(rule: &mut Expressions<'_, '_>, ipv6: bool, exact: bool) {
    let (family, width) = load_port(rule, ipv6, exact);
    rule.map(ports(ipv6), 8).redirect(family, 8, 8 + width);
}

/// Address, protocol and port that a packet is for, in registers; and what follows from the family.
fn load_port(rule: &mut Expressions<'_, '_>, ipv6: bool, exact: bool) -> (u8, u32) {
    let (family, width, address) =
        if ipv6 { (nft::IPV6, 4, Field::DESTINATION6) } else { (nft::IPV4, 1, Field::DESTINATION4) };
    rule.is(Field::FAMILY, &[family]);
    if exact {
        rule.load(address, 0);
    } else {
        let any: &[u8] = if ipv6 { &[0; 16] } else { &[0; 4] };
        rule.set(0, any);
    }
    rule.load(Field::PROTOCOL, width).load(Field::DESTINATION_PORT, width + 1);
    (family, width)
}

/// Who may reach whom through the host.
fn forward(transaction: &mut Transaction<'_>) {
    transaction.chain("forward", Some(Hook { kind: "filter", number: FORWARD, priority: 0 }));
    transaction.rule("forward", |rule| {
        rule.has(Field::CT_STATE, ESTABLISHED_OR_RELATED).verdict(Verdict::Accept);
    });
    transaction.rule("forward", |rule| {
        rule.load(Field::OUTPUT, 0).verdict_map(TO);
    });
    transaction.rule("forward", |rule| {
        rule.load(Field::INPUT, 0).in_set(INTERNAL).verdict(Verdict::Drop);
    });
}

/// Which address a connection has when it leaves.
fn outgoing(transaction: &mut Transaction<'_>) {
    transaction.chain("postrouting", Some(Hook { kind: "nat", number: AFTER_ROUTING, priority: 100 }));
    transaction.rule("postrouting", |rule| {
        rule.load(Field::OUTPUT, 0).in_set(BRIDGES).is(Field::FAMILY, &[nft::IPV4]);
        rule.is_within(Field::SOURCE4, &[255, 0, 0, 0], &[127, 0, 0, 0]).masquerade();
    });
    for (ipv6, family, source) in [(false, nft::IPV4, Field::SOURCE4), (true, nft::IPV6, Field::SOURCE6)] {
        transaction.rule("postrouting", |rule| {
            rule.is(Field::FAMILY, &[family]).load(source, 0).verdict_map(from(ipv6));
        });
    }
}

/// The chains of one network and the ways to them.
pub(super) fn add_zone(transaction: &mut Transaction<'_>, zone: &Zone) {
    let (to, nat, name) = (chain_to(zone), chain_nat(zone), link_name(&zone.bridge));
    transaction.chain(&to, None);
    if zone.icc {
        transaction.rule(&to, |rule| {
            rule.is(Field::INPUT, &name).verdict(Verdict::Accept);
        });
    }
    transaction.rule(&to, |rule| {
        rule.load(Field::INPUT, 0).in_set(INTERNAL).verdict(Verdict::Drop);
    });
    if !zone.internal {
        transaction.rule(&to, |rule| {
            rule.has(Field::CT_STATUS, REDIRECTED).verdict(Verdict::Accept);
        });
    }
    transaction.rule(&to, |rule| {
        rule.verdict(Verdict::Drop);
    });
    transaction.chain(&nat, None);
    // To a neighbour by a port of the host: its answer has to come back by the host.
    transaction.rule(&nat, |rule| {
        rule.is(Field::OUTPUT, &name).has(Field::CT_STATUS, REDIRECTED).masquerade();
    });
    transaction.rule(&nat, |rule| {
        rule.is(Field::OUTPUT, &name).is(Field::MARK, &OUTWARD.to_ne_bytes()).masquerade();
    });
    transaction.rule(&nat, |rule| {
        rule.load(Field::OUTPUT, 0).in_set(BRIDGES).verdict(Verdict::Return);
    });
    if zone.masquerade && !zone.internal {
        for &address in &zone.outward {
            transaction.rule(&nat, |rule| {
                let family = if address.is_ipv6() { nft::IPV6 } else { nft::IPV4 };
                rule.is(Field::FAMILY, &[family]).value(&octets(address), 0).source(family, 0);
            });
        }
        transaction.rule(&nat, |rule| {
            rule.masquerade();
        });
    }
    transaction.add(BRIDGES, &[bare(name.clone())]);
    if zone.internal {
        transaction.add(INTERNAL, &[bare(name.clone())]);
    }
    transaction.add(TO, &[Element { key: name, data: Data::Verdict(Verdict::Goto(&to)) }]);
    for &subnet in &zone.subnets {
        transaction.add(from(subnet.is_ipv6()), &range(subnet, Verdict::Jump(&nat)));
    }
}

/// Takes them away again.
pub(super) fn remove_zone(transaction: &mut Transaction<'_>, zone: &Zone) {
    let (to, nat, name) = (chain_to(zone), chain_nat(zone), link_name(&zone.bridge));
    transaction.remove(BRIDGES, &[bare(name.clone())]);
    if zone.internal {
        transaction.remove(INTERNAL, &[bare(name.clone())]);
    }
    transaction.remove(TO, &[Element { key: name, data: Data::Verdict(Verdict::Goto(&to)) }]);
    for &subnet in &zone.subnets {
        transaction.remove(from(subnet.is_ipv6()), &range(subnet, Verdict::Jump(&nat)));
    }
    transaction.remove_chain(&to).remove_chain(&nat);
}

fn chain_to(zone: &Zone) -> String {
    format!("to-{}", zone.bridge)
}

fn chain_nat(zone: &Zone) -> String {
    format!("nat-{}", zone.bridge)
}

/// The table of the bridges' own traffic: nobody takes what belongs to somebody else. Other addresses are free.
pub(super) fn fill_bridge_table(transaction: &mut Transaction<'_>, state: &State) {
    transaction.table();
    for ([all, owned], (key, owned_key)) in
        [(MACS, (MAC, OWNED_MAC)), (ADDRESSES4, (ADDRESS4, OWNED4)), (ADDRESSES6, (ADDRESS6, OWNED6))]
    {
        transaction.set(all, key, SetKind::Plain).set(owned, owned_key, SetKind::Plain);
    }
    transaction.set(LINKS, NAME, SetKind::Plain);
    transaction.chain("guard", Some(Hook { kind: "filter", number: BEFORE_ROUTING, priority: -300 }));
    // The kernel has taken one tag off; behind a second one nobody looks but the receiver.
    for tagged in ETHER_TAGGED {
        transaction.rule("guard", |rule| {
            rule.load(Field::INPUT, 0).in_set(LINKS).is(Field::ETHER_TYPE, &tagged).verdict(Verdict::Drop);
        });
    }
    // Containers are no routers.
    for kind in OF_ROUTERS {
        transaction.rule("guard", |rule| {
            rule.load(Field::INPUT, 0).in_set(LINKS).is(Field::ETHER_TYPE, &ETHER_IPV6);
            rule.is(Field::PROTOCOL, &[ICMPV6]).is(Field::ICMP_TYPE, &[kind]).verdict(Verdict::Drop);
        });
    }
    // What cannot be seen, because it is in a second fragment, is not let through.
    transaction.chain("advertised", None);
    let [all, owners] = ADDRESSES6;
    transaction.rule("advertised", |rule| {
        rule.load(Field::ADVERTISED6, 0).not_in_set(all).verdict(Verdict::Return);
    });
    transaction.rule("advertised", |rule| {
        rule.load(Field::INPUT, 0).load(Field::ADVERTISED6, 4).in_set(owners).verdict(Verdict::Return);
    });
    transaction.rule("advertised", |rule| {
        rule.verdict(Verdict::Drop);
    });
    transaction.rule("guard", |rule| {
        rule.load(Field::INPUT, 0).in_set(LINKS).is(Field::ETHER_TYPE, &ETHER_IPV6);
        rule.is(Field::PROTOCOL, &[ICMPV6]).is(Field::ICMP_TYPE, &[ICMP_ADVERTISEMENT]);
        rule.verdict(Verdict::Jump("advertised"));
    });
    transaction.rule("guard", |rule| owned(rule, MACS, Field::ETHER_SOURCE));
    for (ether, sets, field) in [
        (ETHER_ARP, ADDRESSES4, Field::ARP_SENDER),
        (ETHER_IPV4, ADDRESSES4, Field::SOURCE4),
        (ETHER_IPV6, ADDRESSES6, Field::SOURCE6),
    ] {
        transaction.rule("guard", |rule| owned(rule.is(Field::ETHER_TYPE, &ether), sets, field));
    }
    for zone in state.zones.values() {
        add_gateways(transaction, zone);
    }
    for member in state.members.values() {
        elements::add_member(transaction, member);
    }
}

/// Drops what is somebody's but does not come from there.
fn owned(rule: &mut Expressions<'_, '_>, [all, owned]: [&str; 2], field: Field) {
    rule.load(field, 0).in_set(all).load(Field::INPUT, 0).load(field, 4).not_in_set(owned).verdict(Verdict::Drop);
}

/// The addresses of a bridge itself are no container's.
pub(super) fn add_gateways(transaction: &mut Transaction<'_>, zone: &Zone) {
    for &gateway in &zone.gateways {
        transaction.add(elements::addresses(gateway)[0], &[bare(octets(gateway))]);
    }
}

pub(super) fn remove_gateways(transaction: &mut Transaction<'_>, zone: &Zone) {
    for &gateway in &zone.gateways {
        transaction.remove(elements::addresses(gateway)[0], &[bare(octets(gateway))]);
    }
}
