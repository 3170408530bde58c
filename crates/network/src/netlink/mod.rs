//! Netlink, as far as networks of containers need it (netlink(7), rtnetlink(7), linux/netfilter/nfnetlink.h).
//!
//! The kernel works a batch off inside `sendmsg`. So nothing asks for acknowledgements: when the call returns, whatever
//! went wrong lies in the receive queue, and an empty queue means that all of it was done.

mod attribute;
mod batch;
mod socket;

pub(crate) use attribute::{Attributes, address, string, u32_of};
pub(crate) use batch::{Batch, Message, flags};
pub(crate) use socket::{Family, Socket};

/// The length to which everything in a message is padded.
const ALIGNMENT: usize = 4;

/// Bytes of a message's header (`struct nlmsghdr`).
const HEADER: usize = 16;

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}
