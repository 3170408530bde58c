//! What a rule consists of. Each expression loads something into registers, or looks at them.

use super::{DATA_VALUE, LIST_ELEMENT, Verdict};
use crate::netlink::Message;

/// The first register of four bytes; there are sixteen of them.
const FIRST: u32 = 8;

/// Something of a packet that can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `meta`, by its number.
    Meta(u32),
    /// `ct`, by its number.
    Tracking(u32),
    /// Bytes: of the link's (0), the network's (1) or the transport's (2) header, from an offset, so many.
    Payload(u32, u32, u32),
    /// Of which kind the destination is to this host (`fib daddr type`).
    DestinationKind,
}

impl Field {
    pub(crate) const INPUT: Self = Self::Meta(6);
    pub(crate) const OUTPUT: Self = Self::Meta(7);
    pub(crate) const FAMILY: Self = Self::Meta(15);
    pub(crate) const PROTOCOL: Self = Self::Meta(16);
    pub(crate) const ETHER_TYPE: Self = Self::Meta(1);
    pub(crate) const ETHER_SOURCE: Self = Self::Payload(0, 6, 6);
    pub(crate) const MARK: Self = Self::Meta(3);
    pub(crate) const CT_DIRECTION: Self = Self::Tracking(1);
    pub(crate) const CT_MARK: Self = Self::Tracking(3);
    pub(crate) const CT_STATE: Self = Self::Tracking(0);
    pub(crate) const CT_STATUS: Self = Self::Tracking(2);
    pub(crate) const SOURCE4: Self = Self::Payload(1, 12, 4);
    pub(crate) const DESTINATION4: Self = Self::Payload(1, 16, 4);
    pub(crate) const SOURCE6: Self = Self::Payload(1, 8, 16);
    pub(crate) const DESTINATION6: Self = Self::Payload(1, 24, 16);
    pub(crate) const DESTINATION_PORT: Self = Self::Payload(2, 2, 2);
    /// The type of a message of ICMPv6, and the address that a neighbour advertisement is about (RFC 4861, 4.4).
    pub(crate) const ICMP_TYPE: Self = Self::Payload(2, 0, 1);
    pub(crate) const ADVERTISED6: Self = Self::Payload(2, 8, 16);
    /// The sender's address in an ARP packet for IPv4 over Ethernet (RFC 826).
    pub(crate) const ARP_SENDER: Self = Self::Payload(1, 14, 4);
}

/// The expressions of a rule, in order.
#[derive(Debug)]
pub(crate) struct Expressions<'a, 'b>(pub(super) &'a mut Message<'b>);

impl Expressions<'_, '_> {
    /// Loads a field into registers from that one on (0 … 15, of four bytes).
    pub(crate) fn load(&mut self, field: Field, register: u32) -> &mut Self {
        let register = FIRST + register;
        match field {
            Field::Meta(key) => self.add("meta", |data| {
                data.put_be32(1, register).put_be32(2, key);
            }),
            Field::Tracking(key) => self.add("ct", |data| {
                data.put_be32(1, register).put_be32(2, key);
            }),
            Field::Payload(base, offset, length) => self.add("payload", |data| {
                data.put_be32(1, register).put_be32(2, base).put_be32(3, offset).put_be32(4, length);
            }),
            // NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR
            Field::DestinationKind => self.add("fib", |data| {
                data.put_be32(1, register).put_be32(2, 3).put_be32(3, 2);
            }),
        }
    }

    /// Writes bytes into registers.
    pub(crate) fn set(&mut self, register: u32, value: &[u8]) -> &mut Self {
        self.add("immediate", |data| {
            data.put_be32(1, FIRST + register).nest(2, |nested| {
                nested.put(DATA_VALUE, value);
            });
        })
    }

    /// Gives the packet a mark.
    pub(crate) fn set_mark(&mut self, mark: u32) -> &mut Self {
        self.set(0, &mark.to_ne_bytes()).add("meta", |data| {
            data.put_be32(2, 3).put_be32(3, FIRST);
        })
    }

    /// Gives the connection a mark.
    pub(crate) fn set_connection_mark(&mut self, mark: u32) -> &mut Self {
        self.set(0, &mark.to_ne_bytes()).add("ct", |data| {
            data.put_be32(2, 3).put_be32(4, FIRST);
        })
    }

    /// Goes on only if a field is that.
    pub(crate) fn is(&mut self, field: Field, value: &[u8]) -> &mut Self {
        self.compare(field, 0, value)
    }

    /// Goes on only if one of these bits is set in a field of four bytes.
    pub(crate) fn has(&mut self, field: Field, bits: u32) -> &mut Self {
        self.load(field, 0).mask(&bits.to_ne_bytes());
        self.compared(1, &[0; 4])
    }

    /// Goes on only if the masked bytes of a field are those.
    pub(crate) fn is_within(&mut self, field: Field, mask: &[u8], value: &[u8]) -> &mut Self {
        self.load(field, 0).mask(mask);
        self.compared(0, value)
    }

    fn mask(&mut self, mask: &[u8]) {
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        self.add("bitwise", |data| {
            data.put_be32(1, FIRST).put_be32(2, FIRST).put_be32(3, length);
            data.nest(4, |nested| {
                nested.put(DATA_VALUE, mask);
            });
            data.nest(5, |nested| {
                nested.put(DATA_VALUE, &vec![0; mask.len()]);
            });
        });
    }

    fn compare(&mut self, field: Field, operation: u32, value: &[u8]) -> &mut Self {
        self.load(field, 0).compared(operation, value)
    }

    fn compared(&mut self, operation: u32, value: &[u8]) -> &mut Self {
        self.add("cmp", |data| {
            data.put_be32(1, FIRST).put_be32(2, operation).nest(3, |nested| {
                nested.put(DATA_VALUE, value);
            });
        })
    }

    /// Goes on only if the registers from the first on are in a set.
    pub(crate) fn in_set(&mut self, set: &str) -> &mut Self {
        self.add("lookup", |data| {
            data.put_str(1, set).put_be32(2, FIRST);
        })
    }

    /// Goes on only if they are not.
    pub(crate) fn not_in_set(&mut self, set: &str) -> &mut Self {
        self.add("lookup", |data| {
            data.put_str(1, set).put_be32(2, FIRST).put_be32(5, 1);
        })
    }

    /// Looks them up in a map and goes on with what is found in a register; ends the rule where nothing is.
    pub(crate) fn map(&mut self, map: &str, register: u32) -> &mut Self {
        self.add("lookup", |data| {
            data.put_str(1, map).put_be32(2, FIRST).put_be32(3, FIRST + register);
        })
    }

    /// Does with the packet what a map of verdicts says of them.
    pub(crate) fn verdict_map(&mut self, map: &str) -> &mut Self {
        self.add("lookup", |data| {
            data.put_str(1, map).put_be32(2, FIRST).put_be32(3, 0);
        })
    }

    /// Sends the connection to the address and the port in these registers.
    pub(crate) fn redirect(&mut self, family: u8, address: u32, port: u32) -> &mut Self {
        self.add("nat", |data| {
            data.put_be32(1, 1).put_be32(2, u32::from(family));
            data.put_be32(3, FIRST + address).put_be32(5, FIRST + port);
        })
    }

    /// Loads a value that is known into registers from that one on.
    pub(crate) fn value(&mut self, value: &[u8], register: u32) -> &mut Self {
        self.add("immediate", |data| {
            data.put_be32(1, FIRST + register).nest(2, |nested| {
                nested.put(DATA_VALUE, value);
            });
        })
    }

    /// Gives the connection the source address in these registers.
    pub(crate) fn source(&mut self, family: u8, address: u32) -> &mut Self {
        self.add("nat", |data| {
            data.put_be32(1, 0).put_be32(2, u32::from(family)).put_be32(3, FIRST + address);
        })
    }

    /// Gives the connection the address of the link it leaves by.
    pub(crate) fn masquerade(&mut self) -> &mut Self {
        self.add("masq", |_| ())
    }

    pub(crate) fn verdict(&mut self, verdict: Verdict<'_>) -> &mut Self {
        self.add("immediate", |data| {
            data.put_be32(1, 0);
            verdict.put(data, 2);
        })
    }

    fn add(&mut self, name: &str, fill: impl FnOnce(&mut Message<'_>)) -> &mut Self {
        self.0.nest(LIST_ELEMENT, |element| {
            element.put_str(1, name).nest(2, |data| fill(data));
        });
        self
    }
}
