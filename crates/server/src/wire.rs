//! Wire types to the engine's own and back. Pure: no I/O and no failures beyond a malformed request.

pub(crate) mod container_spec;
pub(crate) mod container_view;
pub(crate) mod endpoint;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod host_spec;
pub(crate) mod host_view;
pub(crate) mod image;
pub(crate) mod main_network;
pub(crate) mod network;
pub(crate) mod prune;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod system;
pub(crate) mod time;
pub(crate) mod volume;

/// Go's `nil` for a list or map that says nothing.
pub(crate) fn null_if_empty<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}
