//! Making a container: merge with the image, check, plan mounts, write down.

mod merge;
mod mounts;
mod validate;

pub(crate) use merge::{Defaults, with_defaults, with_image};
pub(crate) use mounts::{Mount, Source, plan as plan_mounts};
pub(crate) use validate::{Facts, command, container_name, is_restricted_name, restart_policy, validate};
