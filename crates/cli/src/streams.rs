//! Bytes between this process and a container.

mod demux;
mod escape;
mod pump;
mod seen;

pub(crate) use demux::Demux;
pub(crate) use pump::{End, Plan, Pump};
pub(crate) use seen::Seen;
