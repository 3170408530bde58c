//! The one rule inside containers.

use std::net::IpAddr;

use dhow_errdefs::{Result, ResultExt};

use super::elements::octets;
use super::nft::{Field, Hook, IPV4, Transaction};
use crate::netlink::{Family, Socket};

/// The table in a container's namespace.
const TABLE: &str = "dhow-names";

/// `NF_INET_LOCAL_OUT`.
const OUTPUT: u32 = 3;

/// Sends what goes to port 53 of an address to other ports there: of UDP, of TCP. In the calling thread's namespace.
pub(crate) fn send_port_53(address: IpAddr, datagrams: u16, streams: u16) -> Result<()> {
    let mut transaction = Transaction::new(IPV4, TABLE);
    transaction.table().remove_table().table();
    transaction.chain("output", Some(Hook { kind: "nat", number: OUTPUT, priority: -100 }));
    for (protocol, port) in [(17_u8, datagrams), (6, streams)] {
        transaction.rule("output", |rule| {
            rule.is(Field::DESTINATION4, &octets(address)).is(Field::PROTOCOL, &[protocol]);
            rule.is(Field::DESTINATION_PORT, &53_u16.to_be_bytes());
            rule.set(4, &octets(address)).set(5, &port.to_be_bytes()).redirect(IPV4, 4, 5);
        });
    }
    transaction.commit(&Socket::open(Family::Netfilter)?).context(|| "lead questions for names to the engine")
}
