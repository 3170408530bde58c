//! Overlays with many layers on kernels before 6.8, which take all layers in one string of at most a page.
//!
//! Only mount(2) takes such a string, and it attaches. So a helper process mounts in a mount namespace of its own, takes
//! a detached copy and passes it back; with its end the namespace is gone.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dhow_sys::clone::{Fork, Request, fork};
use dhow_sys::mount::clone_tree;
use dhow_sys::signal::Blocked;
use dhow_sys::{exec, fdpass};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{WaitId, WaitIdOptions, chdir, waitid};
use rustix::thread::ThreadNameSpaceType as Flags;

use crate::report::errno_of;

use super::rootfs::Overlay;

/// The longest option string of mount(2) is a page, with its end.
const LONGEST_OPTIONS: usize = 4095;

/// Mounts the overlay; the result is detached.
pub(super) fn mount(overlay: &Overlay<'_>) -> Result<OwnedFd, Errno> {
    let base = common_ancestor(overlay.lower);
    let data = data(&base, overlay);
    if data.len() > LONGEST_OPTIONS {
        return Err(Errno::TOOBIG);
    }
    let string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
    let (base, data) = (string(base.as_os_str().as_bytes())?, string(data.as_bytes())?);
    let directory = string(overlay.place().as_os_str().as_bytes())?;
    let flags = match overlay.writable {
        Some(_) => MountFlags::empty(),
        None => MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV,
    };
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let request = Request { namespaces: Flags::MOUNT, cgroup: None, sibling: false };
    let blocked = Blocked::all();
    match fork(&request).map_err(errno_of)? {
        Fork::Child => exec::exit(match helper(&base, &directory, flags, &data, &far) {
            Ok(()) => 0,
            Err(errno) => errno.raw_os_error(),
        }),
        Fork::Parent { pidfd, .. } => {
            drop((blocked, far));
            let (mut byte, mut fds) = ([0], Vec::new());
            let received = fdpass::receive(&near, &mut byte, &mut fds);
            let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?.and_then(|s| s.exit_status());
            match (received, fds.pop(), status) {
                (Ok(1), Some(tree), _) => Ok(tree),
                (_, _, Some(number)) if number > 0 => Err(Errno::from_raw_os_error(number)),
                _ => Err(Errno::IO),
            }
        }
    }
}

/// The helper's life; async-signal-safe.
fn helper(base: &CStr, directory: &CStr, flags: MountFlags, data: &CStr, line: &OwnedFd) -> Result<(), Errno> {
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    // The layers' names are relative to here, which keeps the string short.
    chdir(base)?;
    rustix::mount::mount(c"overlay", directory, c"overlay", flags, data)?;
    let root = openat(CWD, directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let tree = clone_tree(root, false).map_err(errno_of)?;
    fdpass::send(line, &[1], &[tree.as_fd()]).map(|_| ()).map_err(errno_of)
}

/// The option string, with the layers relative to `base`.
fn data(base: &Path, overlay: &Overlay<'_>) -> String {
    let short = |layer: &PathBuf| layer.strip_prefix(base).unwrap_or(layer).to_string_lossy().into_owned();
    let mut data = format!("lowerdir={}", overlay.lower.iter().map(short).collect::<Vec<_>>().join(":"));
    if let Some((upper, work)) = overlay.writable {
        data.push_str(&format!(",upperdir={},workdir={}", upper.display(), work.display()));
    }
    for option in overlay.options {
        data.push(',');
        data.push_str(option);
    }
    data
}

fn common_ancestor(paths: &[PathBuf]) -> PathBuf {
    let first = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("/"));
    let common = first.ancestors().find(|ancestor| paths.iter().all(|path| path.starts_with(ancestor)));
    common.unwrap_or(Path::new("/")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_named_from_their_common_ancestor() {
        let lower = [PathBuf::from("/var/lib/x/layers/12/diff"), PathBuf::from("/var/lib/x/layers/3/diff")];
        let base = common_ancestor(&lower);
        assert_eq!(base, Path::new("/var/lib/x/layers"));
        let writable = Some((Path::new("/u"), Path::new("/w")));
        let data = data(&base, &Overlay { lower: &lower, writable, options: &["volatile".into()] });
        assert_eq!(data, "lowerdir=12/diff:3/diff,upperdir=/u,workdir=/w,volatile");
    }
}
