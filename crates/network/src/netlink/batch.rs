//! Messages for the kernel, several in a row.

use std::net::IpAddr;

use super::{HEADER, aligned};

/// Bits of `nlmsg_flags`.
pub(crate) mod flags {
    pub(crate) const REQUEST: u16 = 0x1;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const EXCLUSIVE: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
}

/// The bit that tells the kernel that an attribute holds attributes.
const NESTED: u16 = 0x8000;

/// Messages that go out together, in order, each with what it is for.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    steps: Vec<&'static str>,
}

impl Batch {
    /// Begins a message. `header` is what follows `struct nlmsghdr`; `step` is what an error is said to have happened in.
    pub(crate) fn message(&mut self, step: &'static str, kind: u16, flags: u16, header: &[u8]) -> Message<'_> {
        let start = self.bytes.len();
        let sequence = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        self.steps.push(step);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | flags::REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        debug_assert_eq!(self.bytes.len() - start, HEADER);
        self.bytes.extend_from_slice(header);
        Message { bytes: &mut self.bytes, start }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the message with that sequence number was for.
    pub(super) fn step(&self, sequence: u32) -> &'static str {
        usize::try_from(sequence).ok().and_then(|index| self.steps.get(index)).copied().unwrap_or("talk to the kernel")
    }
}

/// A message that attributes are added to. It is whole when this is dropped.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl Message<'_> {
    /// Adds an attribute.
    pub(crate) fn put(&mut self, number: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(4 + value.len()).expect("an attribute is shorter than 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&number.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// Adds attributes as the kernel has sent them.
    pub(crate) fn append(&mut self, attributes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(attributes);
        self.pad();
        self
    }

    /// A number in the host's byte order, as rtnetlink has them.
    pub(crate) fn put_u32(&mut self, number: u16, value: u32) -> &mut Self {
        self.put(number, &value.to_ne_bytes())
    }

    /// A number in network byte order, as netfilter has them.
    pub(crate) fn put_be32(&mut self, number: u16, value: u32) -> &mut Self {
        self.put(number, &value.to_be_bytes())
    }

    /// A text with the zero byte that ends it.
    pub(crate) fn put_str(&mut self, number: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(number, &bytes)
    }

    pub(crate) fn put_address(&mut self, number: u16, value: IpAddr) -> &mut Self {
        match value {
            IpAddr::V4(address) => self.put(number, &address.octets()),
            IpAddr::V6(address) => self.put(number, &address.octets()),
        }
    }

    /// Adds an attribute that holds attributes.
    pub(crate) fn nest(&mut self, number: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_after(number, &[], fill)
    }

    /// The same with a fixed part before them.
    pub(crate) fn nest_after(&mut self, number: u16, head: &[u8], fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(number | NESTED).to_ne_bytes());
        self.bytes.extend_from_slice(head);
        self.pad();
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).expect("attributes nest up to 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.start + aligned(self.bytes.len() - self.start), 0);
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let length = u32::try_from(self.bytes.len() - self.start).expect("a message is shorter than 4 GiB");
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}
