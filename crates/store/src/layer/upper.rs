//! What is in an overlay's folder: whiteouts, opaque folders, and everything else
//! (Linux Documentation/filesystems/overlayfs.rst, "Whiteouts and opaque directories").

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use dhow_archive::{Meaning, Packer, View};
use dhow_errdefs::{Error, Result};
use rustix::fs::{FileType, Stat};

use crate::root::Namespace;

/// Reads the marks of overlay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upper(pub(crate) Namespace);

impl Upper {
    /// Whether something says that the layers below have nothing of its name.
    pub(super) fn is_whiteout(self, folder: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> bool {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice => stat.st_rdev == 0,
            FileType::RegularFile if stat.st_size == 0 => {
                let path = [format!("/proc/self/fd/{}/", folder.as_raw_fd()).as_bytes(), name.to_bytes()].concat();
                let attribute = format!("{}whiteout", self.0.prefix());
                rustix::fs::lgetxattr(path, attribute, &mut [0_u8; 8][..]).is_ok()
            }
            _ => false,
        }
    }

    /// Whether nothing of the layers below shows through an open folder.
    pub(super) fn hides(self, folder: BorrowedFd<'_>) -> bool {
        let mut value = [0_u8; 8];
        let length = rustix::fs::fgetxattr(folder, format!("{}opaque", self.0.prefix()), &mut value[..]);
        // An "x" says only that there may be whiteouts that are files.
        length == Ok(1) && value[0] == b'y'
    }
}

impl View for Upper {
    fn meaning(&self, folder: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<Meaning> {
        if self.is_whiteout(folder, name, stat) {
            return Ok(Meaning::Whiteout);
        }
        if name.to_bytes().starts_with(b".wh.") {
            let name = name.to_string_lossy();
            return Err(Error::invalid(format!(
                "a layer cannot hold {name:?}: names with .wh. in front mean whiteouts"
            )));
        }
        Ok(Meaning::Thing)
    }

    fn is_opaque(&self, folder: BorrowedFd<'_>) -> bool {
        self.hides(folder)
    }

    fn keeps_holes(&self) -> bool {
        true
    }
}

/// Writes a folder of overlay's as a layer. The root itself is described only if it is not as in the layers below.
pub(crate) fn write<W: std::io::Write>(
    upper: std::os::fd::OwnedFd,
    namespace: Namespace,
    root: (u32, u32, u32),
    out: W,
) -> Result<W> {
    let view = Upper(namespace);
    let stat = rustix::fs::fstat(&upper).map_err(|error| Error::internal("look at a layer").with_cause(error))?;
    let mut packer = Packer::new(out, &view);
    if (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == root {
        packer.below(upper)?;
    } else {
        packer.folder(upper, b".")?;
    }
    packer.finish()
}
