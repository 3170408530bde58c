//! A container's tree as an archive has it: without what the kernel and the engine mount into it.

use std::os::fd::{AsFd, BorrowedFd};

use dhow_archive::View;
use rustix::fs::{OFlags, fstat, fstatfs};

use super::stat::resolve;
use crate::rootfs::Root;

/// File systems that are no files (linux/magic.h): proc, sysfs, cgroup and cgroup2, devpts, mqueue, and the kernel's own.
const NO_FILES: [u32; 10] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x1980_0202,
    0x7363_6673,
    0x6462_6720,
    0x7472_6163,
    0xcafe_4a11,
];

/// Leaves empty what holds no files: /proc, /sys, and the /dev that is mounted.
#[derive(Debug)]
pub(super) struct Inside {
    /// Device and number of the folder of devices, where one is mounted.
    devices: Option<(u64, u64)>,
}

impl Inside {
    pub(super) fn new(root: &Root) -> Self {
        let devices = || {
            let folder = fstat(resolve(root, "/dev", OFlags::NOFOLLOW | OFlags::DIRECTORY).ok()?).ok()?;
            let root = fstat(root.as_fd()).ok()?;
            (folder.st_dev != root.st_dev).then_some((folder.st_dev, folder.st_ino))
        };
        Self { devices: devices() }
    }
}

impl View for Inside {
    fn enters(&self, folder: BorrowedFd<'_>) -> bool {
        let no_files =
            fstatfs(folder).is_ok_and(|it| u32::try_from(it.f_type).is_ok_and(|kind| NO_FILES.contains(&kind)));
        let devices = self.devices.is_some() && fstat(folder).ok().map(|it| (it.st_dev, it.st_ino)) == self.devices;
        !no_files && !devices
    }
}
