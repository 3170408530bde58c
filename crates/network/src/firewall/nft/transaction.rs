//! Changes that the kernel carries out together or not at all.

use dhow_errdefs::Result;

use super::{DATA_VALUE, Expressions, LIST_ELEMENT, Verdict};
use crate::netlink::{Batch, Message, Socket, flags};

/// Message types, without the number of the subsystem.
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

/// `NFNL_SUBSYS_NFTABLES`, and the messages around a transaction.
pub(crate) const SUBSYSTEM: u16 = 10;
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;

/// A list of elements has to fit into 64 KiB.
const ELEMENTS_AT_ONCE: usize = 400;

/// Where the kernel comes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    pub kind: &'static str,
    /// `NF_INET_*`, `NF_BR_*`.
    pub number: u32,
    pub priority: i32,
}

/// What the keys of a set are: number of the type for those who list it, and bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub kind: u32,
    pub length: u32,
}

/// What is in a set beside its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetKind {
    Plain,
    Verdicts,
    /// Verdicts for ranges of keys.
    Ranges,
    /// Values of a type and length.
    Values(u32, u32),
}

/// What belongs to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data<'a> {
    None,
    Value(Vec<u8>),
    Verdict(Verdict<'a>),
    /// The key is the first one behind a range.
    RangeEnd,
}

/// An element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub key: Vec<u8>,
    pub data: Data<'a>,
}

/// Changes of one table.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    batch: Batch,
    family: u8,
    table: &'a str,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(family: u8, table: &'a str) -> Self {
        let mut batch = Batch::default();
        drop(batch.message("begin a transaction of nftables", BEGIN, 0, &edge()));
        Self { batch, family, table }
    }

    /// Goes on with a table of another family.
    pub(crate) fn turn_to(&mut self, family: u8) {
        self.family = family;
    }

    /// Carries it out.
    pub(crate) fn commit(mut self, socket: &Socket) -> Result<()> {
        drop(self.batch.message("end a transaction of nftables", END, 0, &edge()));
        socket.send(&self.batch)
    }

    /// Makes the table, or leaves it as it is.
    pub(crate) fn table(&mut self) -> &mut Self {
        let table = self.table;
        self.message("create the table", NEW_TABLE, flags::CREATE).put_str(1, table);
        self
    }

    /// Removes it with all that is in it; it must be there.
    pub(crate) fn remove_table(&mut self) -> &mut Self {
        let table = self.table;
        self.message("remove the table", DELETE_TABLE, 0).put_str(1, table);
        self
    }

    /// Makes a chain that the kernel comes by, or (without a hook) one that others jump to.
    pub(crate) fn chain(&mut self, name: &str, hook: Option<Hook>) -> &mut Self {
        let table = self.table;
        let mut message = self.message("create a chain", NEW_CHAIN, flags::CREATE);
        message.put_str(1, table).put_str(3, name);
        if let Some(hook) = hook {
            message.nest(4, |nested| {
                nested.put_be32(1, hook.number).put(2, &hook.priority.to_be_bytes());
            });
            message.put_str(7, hook.kind);
        }
        drop(message);
        self
    }

    /// Removes a chain with its rules. Nobody may jump to it any more.
    pub(crate) fn remove_chain(&mut self, name: &str) -> &mut Self {
        let table = self.table;
        self.message("remove a chain", DELETE_CHAIN, 0).put_str(1, table).put_str(3, name);
        self
    }

    /// Adds a rule to the end of a chain.
    pub(crate) fn rule(&mut self, chain: &str, fill: impl FnOnce(&mut Expressions<'_, '_>)) -> &mut Self {
        let table = self.table;
        let mut message = self.message("add a rule", NEW_RULE, flags::CREATE | flags::APPEND);
        message.put_str(1, table).put_str(2, chain);
        message.nest(4, |list| fill(&mut Expressions(list)));
        drop(message);
        self
    }

    /// Makes a set or map.
    pub(crate) fn set(&mut self, name: &str, key: Key, kind: SetKind) -> &mut Self {
        /// `NFT_SET_INTERVAL`, `NFT_SET_MAP`, `NFT_DATA_VERDICT`.
        const INTERVAL: u32 = 4;
        const MAP: u32 = 8;
        const VERDICT: u32 = 0xffff_ff00;
        let (flags, data) = match kind {
            SetKind::Plain => (0, None),
            SetKind::Verdicts => (MAP, Some((VERDICT, 0))),
            SetKind::Ranges => (MAP | INTERVAL, Some((VERDICT, 0))),
            SetKind::Values(kind, length) => (MAP, Some((kind, length))),
        };
        let table = self.table;
        let mut message = self.message("create a set", NEW_SET, flags::CREATE);
        message.put_str(1, table).put_str(2, name).put_be32(3, flags);
        message.put_be32(4, key.kind).put_be32(5, key.length);
        if let Some((kind, length)) = data {
            message.put_be32(6, kind);
            if length > 0 {
                message.put_be32(7, length);
            }
        }
        // Names a set inside this transaction; everything here goes by the real name.
        message.put_be32(10, 1);
        drop(message);
        self
    }

    pub(crate) fn add(&mut self, set: &str, elements: &[Element<'_>]) -> &mut Self {
        self.elements(set, ("add to a set", NEW_ELEMENT, flags::CREATE), elements)
    }

    pub(crate) fn remove(&mut self, set: &str, elements: &[Element<'_>]) -> &mut Self {
        self.elements(set, ("remove from a set", DELETE_ELEMENT, 0), elements)
    }

    fn elements(&mut self, set: &str, head: (&'static str, u16, u16), elements: &[Element<'_>]) -> &mut Self {
        for some in elements.chunks(ELEMENTS_AT_ONCE) {
            let ((step, kind, flags), table) = (head, self.table);
            let mut message = self.message(step, kind, flags);
            message.put_str(1, table).put_str(2, set);
            message.nest(3, |list| some.iter().for_each(|element| element.put(list)));
        }
        self
    }

    fn message(&mut self, step: &'static str, kind: u16, flags: u16) -> Message<'_> {
        self.batch.message(step, SUBSYSTEM << 8 | kind, flags, &[self.family, 0, 0, 0])
    }
}

impl Element<'_> {
    fn put(&self, list: &mut Message<'_>) {
        list.nest(LIST_ELEMENT, |element| {
            element.nest(1, |key| {
                key.put(DATA_VALUE, &self.key);
            });
            match &self.data {
                Data::None => {}
                Data::Value(value) => {
                    element.nest(2, |data| {
                        data.put(DATA_VALUE, value);
                    });
                }
                Data::Verdict(verdict) => verdict.put(element, 2),
                Data::RangeEnd => {
                    element.put_be32(3, 1);
                }
            }
        });
    }
}

/// `struct nfgenmsg` of the messages around a transaction: they name the subsystem.
fn edge() -> [u8; 4] {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    [0, 0, high, low]
}
