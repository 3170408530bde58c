//! Waiting for a log to grow or to be rotated.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// An inotify(7) descriptor on the log's directory: it sees writes to every file there, and the renames of a rotation.
#[derive(Debug)]
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn new(log: &Path) -> Result<Self> {
        let directory = log.parent().unwrap_or(Path::new("/"));
        let context = || format!("watch {}", directory.display());
        // A container that was never started has no log yet.
        std::fs::create_dir_all(directory).context(context)?;
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io::Error::from);
        let watch = watch.context(context)?;
        let wanted = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, directory, wanted).map_err(io::Error::from).context(context)?;
        Ok(Self(watch))
    }

    /// Takes the events that are there: what they tell of is looked at after.
    pub(super) fn empty(&self) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); 4096];
        loop {
            match rustix::io::read(&self.0, &mut space[..]) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(io::Error::from(errno)).context(|| "read inotify events"),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
