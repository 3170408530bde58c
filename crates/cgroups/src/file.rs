//! Reading and writing the control files of one cgroup directory.
//!
//! Everything goes through the directory's descriptor: no path is walked on the start path, and a directory that was
//! removed and made again by somebody else is never written to by mistake.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Class, Error, Result, ResultExt};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A cgroup directory, named for error texts.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    /// How the directory is called in errors, as in `memory:/dhow/4f5e`.
    name: String,
    /// The tree is no cgroup file system but ordinary files (a test's): files appear as they are written.
    plain: bool,
}

impl Directory {
    pub(crate) fn new(fd: OwnedFd, name: String, plain: bool) -> Self {
        Self { fd, name, plain }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Opens the child directory `name`.
    pub(crate) fn child(&self, name: &str) -> Result<Self> {
        let label = self.child_name(name);
        match open_directory(self.fd.as_fd(), name) {
            Ok(fd) => Ok(Self::new(fd, label, self.plain)),
            Err(errno) => Err(failure(errno, format!("open cgroup {label}"))),
        }
    }

    /// The same directory once more.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        let fd = self.fd.try_clone().context(|| format!("open cgroup {}", self.name))?;
        Ok(Self::new(fd, self.name.clone(), self.plain))
    }

    /// Makes the child directory `name`; whether it was made just now.
    pub(crate) fn make(&self, name: &str) -> Result<bool> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(failure(errno, format!("create cgroup {}", self.child_name(name)))),
        }
    }

    fn child_name(&self, name: &str) -> String {
        let slash = if self.name.ends_with('/') { "" } else { "/" };
        format!("{}{slash}{name}", self.name)
    }

    /// Opens a control file; `Ok(None)` when the kernel does not have it.
    pub(crate) fn open(&self, file: &str, flags: OFlags) -> Result<Option<OwnedFd>> {
        match self.open_raw(file, flags) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failure(errno, format!("open {file} of cgroup {}", self.name))),
        }
    }

    fn open_raw(&self, file: &str, mut flags: OFlags) -> Result<OwnedFd, Errno> {
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
        if self.plain && writes {
            flags |= OFlags::CREATE | OFlags::TRUNC;
        }
        rustix::fs::openat(&self.fd, file, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o644))
    }

    /// Whether the control file is there.
    pub(crate) fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(&self.fd, file, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty()).is_ok()
    }

    /// Writes a control file in one `write(2)`.
    pub(crate) fn write(&self, file: &str, value: &str) -> Result<()> {
        self.write_raw(file, value)
            .map_err(|errno| failure(errno, format!("write {value:?} to {file} of cgroup {}", self.name)))
    }

    /// Writes several values to a control file, one `write(2)` each.
    pub(crate) fn write_each(&self, file: &str, values: &[&str]) -> Result<()> {
        let step = |value: &str| format!("write {value:?} to {file} of cgroup {}", self.name);
        let fd = self.open_raw(file, OFlags::WRONLY).map_err(|errno| failure(errno, step(values[0])))?;
        let write = |value: &&str| write_all(fd.as_fd(), value).map_err(|errno| failure(errno, step(value)));
        values.iter().try_for_each(write)
    }

    /// Writes a control file and gives the bare error number, for callers that try something else next.
    pub(crate) fn write_raw(&self, file: &str, value: &str) -> Result<(), Errno> {
        let fd = self.open_raw(file, OFlags::WRONLY)?;
        write_all(fd.as_fd(), value)
    }

    /// Writes a control file if the kernel has it; whether it did.
    pub(crate) fn write_if_there(&self, file: &str, value: &str) -> Result<bool> {
        match self.write_raw(file, value) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failure(errno, format!("write {value:?} to {file} of cgroup {}", self.name))),
        }
    }

    /// Reads a whole control file.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        self.read_raw(file).map_err(|errno| failure(errno, format!("read {file} of cgroup {}", self.name)))
    }

    /// Reads a whole control file; `Ok(None)` when the kernel does not have it or does not want to answer now.
    pub(crate) fn read_if_there(&self, file: &str) -> Result<Option<String>> {
        match self.read_raw(file) {
            Ok(text) => Ok(Some(text)),
            // Some counters (per-device, per-node) answer EOPNOTSUPP when the controller is off.
            Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(failure(errno, format!("read {file} of cgroup {}", self.name))),
        }
    }

    fn read_raw(&self, file: &str) -> Result<String, Errno> {
        let fd = self.open_raw(file, OFlags::RDONLY)?;
        let mut text = Vec::with_capacity(512);
        loop {
            if text.capacity() - text.len() < 256 {
                text.reserve(4096);
            }
            match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut text)) {
                Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Reads a number; `max` and values that mean "no limit" are `None`, and so is a missing file.
    pub(crate) fn read_number(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.read_if_there(file)?.and_then(|text| text.trim().parse().ok()))
    }

    /// The value beside `key` in a file of `key value` lines.
    pub(crate) fn read_keyed(&self, file: &str, key: &str) -> Result<Option<u64>> {
        Ok(self.read_if_there(file)?.and_then(|text| keyed(&text, key)))
    }

    /// The names of the child cgroups.
    pub(crate) fn children(&self) -> Result<Vec<String>> {
        let list = || -> Result<Vec<String>, Errno> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.fd)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy();
                if entry.file_type() == rustix::fs::FileType::Directory && name != "." && name != ".." {
                    names.push(name.into_owned());
                }
            }
            Ok(names)
        };
        match list() {
            // The directory was removed under us: it has no children any more.
            Err(Errno::NOENT | Errno::NODEV) => Ok(Vec::new()),
            other => other.map_err(|errno| failure(errno, format!("list cgroup {}", self.name))),
        }
    }

    /// Removes the empty child directory `name`.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, rustix::fs::AtFlags::REMOVEDIR)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens a directory for use as a base, relative to another.
pub(crate) fn open_directory(base: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(base, name, flags, Mode::empty())
}

/// One `write(2)`: the kernel takes a control value whole or not at all.
pub(crate) fn write_all(fd: BorrowedFd<'_>, value: &str) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::io::write(fd, value.as_bytes())).map(drop)
}

/// The error of a system call on a cgroup.
pub(crate) fn failure(errno: Errno, step: String) -> Error {
    let cause = io::Error::from(errno);
    let class = match errno {
        Errno::INVAL | Errno::RANGE => Class::InvalidArgument,
        // A control file of a cgroup that has gone.
        Errno::NODEV => Class::NotFound,
        Errno::BUSY => Class::Conflict,
        Errno::PERM => Class::PermissionDenied,
        _ => cause.kind().into(),
    };
    Error::new(class, step).with_cause(cause)
}

/// The number beside `key` in text of `key value` lines.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key { value.trim().parse().ok() } else { None }
    })
}
