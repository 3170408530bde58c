//! The networks every engine has, until there are others.

use std::sync::LazyLock;

use dhow_oci::Digest;

/// What the network of a container that names none is called.
pub const DEFAULT: &str = "bridge";

/// Name and driver, in Docker's order.
pub const BUILT_IN: [(&str, &str); 3] = [(DEFAULT, "bridge"), ("host", "host"), ("none", "null")];

/// The id of one of them. It is made of the name, so that it is the same after every start.
#[must_use]
pub fn id(name: &str) -> Option<&'static str> {
    static IDS: LazyLock<[String; 3]> =
        LazyLock::new(|| BUILT_IN.map(|(name, _)| Digest::of(format!("network {name}").as_bytes()).hex()));
    let index = BUILT_IN.iter().position(|(known, _)| *known == name)?;
    Some(&IDS[index])
}

/// Name and driver of the network that a network mode means; another container's is not one's own.
pub(crate) fn of_mode(mode: &str) -> Option<(&'static str, &'static str)> {
    let name = if matches!(mode, "" | "default") { DEFAULT } else { mode };
    BUILT_IN.into_iter().find(|(known, _)| *known == name)
}
