//! Making a container: merge with the image, check, plan mounts, write down.

mod merge;
mod mounts;
mod new;
mod validate;

pub(crate) use dhow_sys::random::id as random_id;
pub(crate) use merge::{Defaults, with_defaults, with_image};
pub(crate) use mounts::{Mount, Source, clean as clean_path, parse_inherited, plan as plan_mounts};
pub(crate) use validate::{
    Facts, NO_COMMAND, check_health, check_limits, check_network, command, container_name, highest, is_restricted_name,
    restart_policy, validate,
};
