//! Whose the process's pipes are: `/dev/stdout` of a program that runs as another user leads to one, and opening it
//! again asks for permission.

use std::os::fd::OwnedFd;

use dhow_oci::runtime::{LinuxIdMapping, Spec};
use rustix::fs::{Gid, Uid, fchown};

/// Gives the pipes to the user of the container's first process. `/dev/null` stays whose it is.
pub(super) fn give(streams: &[OwnedFd], spec: &Spec) {
    let Some(user) = spec.process.as_ref().map(|process| &process.user) else { return };
    let none = Vec::new();
    let linux = spec.linux.as_ref();
    let uid = on_host(user.uid, linux.map_or(&none, |linux| &linux.uid_mappings));
    let gid = on_host(user.gid, linux.map_or(&none, |linux| &linux.gid_mappings));
    let (Some(uid), Some(gid)) = (uid, gid) else { return };
    for stream in streams {
        if rustix::fs::fstat(stream).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_fifo()) {
            // Without the right to do so the pipe stays ours, and programs that do not open it again do not notice.
            let _ = fchown(stream, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        }
    }
}

/// The id outside of the container; without a mapping the same.
fn on_host(id: u32, mappings: &[LinuxIdMapping]) -> Option<u32> {
    if mappings.is_empty() {
        return Some(id);
    }
    mappings.iter().find_map(|mapping| {
        let offset = id.checked_sub(mapping.container_id).filter(|offset| *offset < mapping.size)?;
        mapping.host_id.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_translated() {
        let mapping = |container_id, host_id, size| LinuxIdMapping { container_id, host_id, size };
        let mappings = [mapping(0, 1000, 1), mapping(1, 100_000, 65_535)];
        assert_eq!(on_host(0, &mappings), Some(1000));
        assert_eq!(on_host(33, &mappings), Some(100_032));
        assert_eq!(on_host(70_000, &mappings), None);
        assert_eq!(on_host(70_000, &[]), Some(70_000));
    }
}
