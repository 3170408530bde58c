//! From what a container is asked to be to what a runtime is told: an OCI runtime configuration.

mod capabilities;
mod security;

pub(crate) use capabilities::{capabilities, of_mask as capabilities_of_mask};
pub(crate) use security::{SeccompChoice, SecurityOptions};
