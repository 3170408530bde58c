//! Opening what lies below a folder that others can write to.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::path::Arg;

/// How often a path is looked up again that others made uncertain.
const AGAIN: usize = 1000;

/// Finds a path below a folder (`O_PATH`); no link in it leads out, whoever has put it there.
///
/// # Errors
/// What openat2(2) says: `EXDEV` for what lies outside, `ENOENT`, `ELOOP`; `EAGAIN` when it stays uncertain.
pub fn find(folder: impl AsFd, path: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let open = || openat2(&folder, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    // Whoever renames or mounts anywhere meanwhile makes the kernel unsure about `..` (openat2(2), EAGAIN).
    let unsure = |opened: &Result<OwnedFd, Errno>| matches!(opened, Err(Errno::AGAIN));
    std::iter::repeat_with(open).take(AGAIN).find(|opened| !unsure(opened)).unwrap_or(Err(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_below_the_folder() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("real")).unwrap();
        symlink("real", root.path().join("near")).unwrap();
        symlink("/etc", root.path().join("away")).unwrap();
        let folder = File::open(root.path()).unwrap();
        assert!(find(&folder, "near").is_ok());
        assert_eq!(find(&folder, "away/passwd").unwrap_err(), Errno::XDEV);
        assert_eq!(find(&folder, "../..").unwrap_err(), Errno::XDEV);
        assert_eq!(find(&folder, "none").unwrap_err(), Errno::NOENT);
    }
}
