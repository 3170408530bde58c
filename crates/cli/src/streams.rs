//! Bytes between this process and a container.

mod demux;
mod escape;
mod pump;

pub(crate) use demux::Demux;
pub(crate) use pump::{End, Plan, Pump};
