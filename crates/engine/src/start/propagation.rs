//! Mounts that are to be shared with the host: where the host does not share, nothing would come or go.

use std::fs;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::create::{Mount, Source};

/// Refuses `shared` and `slave` of sources whose mounts tell nobody what is mounted below them, in Docker's words. What has the
/// data root in it, or is in it, may be called a slave everywhere, as with Docker: `-v /:/host:rslave` is how monitors look.
pub(super) fn check(mounts: &[Mount], data_root: &Path) -> Result<()> {
    let mut table = None;
    for mount in mounts {
        let Source::Bind { path, propagation, .. } = &mount.source else { continue };
        let (shared, slave) = (propagation.ends_with("shared"), propagation.ends_with("slave"));
        let lenient = Path::new(path).starts_with(data_root) || data_root.starts_with(path);
        if !shared && (!slave || lenient) {
            continue;
        }
        if table.is_none() {
            table = Some(fs::read_to_string("/proc/self/mountinfo").context(|| "read /proc/self/mountinfo")?);
        }
        let stat = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::MNT_ID).map_err(std::io::Error::from);
        let id = stat.context(|| format!("bind source {path}"))?.stx_mnt_id;
        let found = table.as_deref().and_then(|table| Propagation::of(table, id));
        if let Some((point, kind)) = found
            && !(kind.shared || slave && kind.slave)
        {
            let wanted = if shared { "a shared mount" } else { "a shared or slave mount" };
            return Err(Error::invalid(format!("path {path} is mounted on {point} but it is not {wanted}"))
                .with_hint(format!("make it one: mount --make-rshared {point}")));
        }
    }
    Ok(())
}

/// With whom a mount shares what is mounted below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Propagation {
    shared: bool,
    slave: bool,
}

impl Propagation {
    /// Where a mount is, and with whom it shares, by a table in the format of proc(5) `/proc/pid/mountinfo`.
    fn of(table: &str, id: u64) -> Option<(&str, Self)> {
        let line =
            table.lines().find(|line| line.split(' ').next().and_then(|field| field.parse().ok()) == Some(id))?;
        let mut fields = line.split(' ').skip(4);
        let point = fields.next()?;
        // Behind the options of the mount come its tags, as many as there are.
        let tags: Vec<&str> = fields.skip(1).take_while(|field| *field != "-").collect();
        let any = |tag: &str| tags.iter().any(|field| field.starts_with(tag));
        Some((point, Self { shared: any("shared:"), slave: any("master:") }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_a_mount_are_read() {
        let table = "22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda rw\n\
                     36 22 0:30 / /a rw shared:7 master:1 - tmpfs shared:9 rw\n\
                     137 22 0:31 / /b rw - tmpfs tmpfs rw\n";
        let of = |id| Propagation::of(table, id).map(|(point, it)| (point, it.shared, it.slave));
        assert_eq!(of(22), Some(("/", true, false)));
        assert_eq!(of(36), Some(("/a", true, true)));
        assert_eq!(of(137), Some(("/b", false, false)));
        assert_eq!(of(3), None);
    }
}
