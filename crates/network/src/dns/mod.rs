//! Names of containers, at 127.0.0.11 in each container that is in a network somebody made.
//!
//! A container's questions arrive at sockets in its own network namespace, on ports that nobody else wants; a rule in that
//! namespace sends what goes to port 53 there, so that a name server in a container can have that port. What is no name of
//! a container's is asked of the servers of the host.

mod cache;
mod forward;
mod ledger;
mod message;
mod names;
mod resolver;
mod socket;

use std::net::Ipv4Addr;

pub(crate) use names::{Directory, Named, Scope};
pub(crate) use resolver::{Resolver, Whom, start};
pub(crate) use socket::Sockets;

/// Where containers ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
