//! Which capabilities a container gets.

use dhow_errdefs::{Error, Result};
use dhow_runtime::capability::names as known;

use crate::spec::HostSpec;

/// What Docker gives to a container that asks for nothing.
const DEFAULT: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The capabilities a process with that bounding set can hand on.
pub(crate) fn of_mask(mask: u64) -> Vec<&'static str> {
    known().iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, name)| *name).collect()
}

/// The capabilities of a container's processes. `available`: those the engine can hand on, which `ALL` and
/// `--privileged` mean.
///
/// # Errors
/// Docker's words for a name that does not exist.
pub(crate) fn capabilities(host: &HostSpec, available: &[&'static str]) -> Result<Vec<&'static str>> {
    let add =
        normalise(host.cap_add.as_deref().unwrap_or_default()).map_err(|error| error.context("invalid CapAdd"))?;
    let drop =
        normalise(host.cap_drop.as_deref().unwrap_or_default()).map_err(|error| error.context("invalid CapDrop"))?;
    if host.privileged {
        return Ok(available.to_vec());
    }
    let dropped = |name: &&str| drop.contains(name);
    let mut granted: Vec<&'static str> = if add.contains(&"ALL") {
        available.iter().copied().filter(|name| !dropped(name)).collect()
    } else if drop.contains(&"ALL") {
        add
    } else {
        DEFAULT.into_iter().filter(|name| !dropped(name)).chain(add).collect()
    };
    let mut seen = Vec::new();
    granted.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    Ok(granted)
}

/// `net_admin`, `NET_ADMIN`, `CAP_NET_ADMIN` → `CAP_NET_ADMIN`; `all` → `ALL`.
fn normalise(names: &[String]) -> Result<Vec<&'static str>> {
    names
        .iter()
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            if upper == "ALL" {
                return Ok("ALL");
            }
            let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
            let found = known().iter().copied().find(|name| *name == full);
            found.ok_or_else(|| Error::invalid(format!("unknown capability: \"{full}\"")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(add: &[&str], drop: &[&str]) -> Vec<&'static str> {
        let list = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
        let host = HostSpec { cap_add: list(add), cap_drop: list(drop), ..HostSpec::default() };
        capabilities(&host, known()).unwrap()
    }

    #[test]
    fn the_default_is_dockers_and_can_be_changed_one_by_one() {
        assert_eq!(granted(&[], &[]), DEFAULT);
        assert_eq!(granted(&["net_admin"], &["CAP_CHOWN"]).len(), 14);
        assert!(granted(&["chown"], &[]).iter().filter(|name| **name == "CAP_CHOWN").count() == 1);
    }

    #[test]
    fn all_means_all_or_nothing_else() {
        assert_eq!(granted(&["all"], &[]), known());
        assert_eq!(granted(&["ALL"], &["sys_admin"]).len(), 40);
        assert_eq!(granted(&[], &["ALL"]), Vec::<&str>::new());
        assert_eq!(granted(&["KILL"], &["ALL"]), ["CAP_KILL"]);
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let host = HostSpec { cap_add: Some(vec!["fly".into()]), ..HostSpec::default() };
        assert_eq!(
            capabilities(&host, known()).unwrap_err().to_string(),
            "invalid CapAdd: unknown capability: \"CAP_FLY\""
        );
    }

    #[test]
    fn a_mask_names_what_it_holds() {
        assert_eq!(of_mask(0b101), ["CAP_CHOWN", "CAP_DAC_READ_SEARCH"]);
        assert_eq!(of_mask(u64::MAX), known());
    }
}
