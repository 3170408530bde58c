//! The language of nftables (linux/netfilter/nf_tables.h), as far as our rules need it.

mod expression;
mod transaction;

use dhow_errdefs::{Class, Result};

use crate::netlink::{Batch, Family, Socket};

pub(crate) use expression::{Expressions, Field};
pub(crate) use transaction::{Data, Element, Hook, Key, SUBSYSTEM, SetKind, Transaction};

/// `NFPROTO_*`.
pub(crate) const INET: u8 = 1;
pub(crate) const IPV4: u8 = 2;
pub(crate) const BRIDGE: u8 = 7;
pub(crate) const IPV6: u8 = 10;

/// The attribute that is one of a list.
const LIST_ELEMENT: u16 = 1;
/// Inside an attribute with data: bytes, or what becomes of the packet.
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

/// Whether there is a chain of that name, which may be somebody else's.
pub(crate) fn has_chain(family: u8, table: &str, chain: &str) -> Result<bool> {
    const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
    let mut batch = Batch::default();
    let mut message = batch.message("look for a chain", GET_CHAIN, 0, &[family, 0, 0, 0]);
    message.put_str(1, table).put_str(3, chain);
    drop(message);
    match Socket::open(Family::Netfilter)?.get(&batch, |_| Some(())) {
        Ok(()) => Ok(true),
        Err(error) if error.class() == Class::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    Drop,
    Accept,
    Return,
    Jump(&'a str),
    Goto(&'a str),
}

impl Verdict<'_> {
    fn put(self, message: &mut crate::netlink::Message<'_>, number: u16) {
        let (code, chain): (i32, _) = match self {
            Self::Drop => (0, None),
            Self::Accept => (1, None),
            Self::Jump(chain) => (-3, Some(chain)),
            Self::Goto(chain) => (-4, Some(chain)),
            Self::Return => (-5, None),
        };
        message.nest(number, |data| {
            data.nest(DATA_VERDICT, |verdict| {
                verdict.put(1, &code.to_be_bytes());
                if let Some(chain) = chain {
                    verdict.put_str(2, chain);
                }
            });
        });
    }
}
