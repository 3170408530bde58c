//! Ports of the host.
//!
//! The kernel sends what arrives at a published port to the container before any socket sees it. The sockets here are
//! bound and never read: they find out whether somebody has the port, and keep others from taking it.

mod reservation;

pub(crate) use reservation::{BACKLOG, Families, Reservation, bind, bind_to_listen, reserve};
