//! Removing volumes: never one that somebody uses, and never what is mounted in one.

use std::io;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_store::Store;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::{Record, Volumes, lock};

impl Volumes {
    /// Removes a volume. `users` says which containers use it.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` in Docker's words.
    pub(crate) fn remove(&self, name: &str, store: &Store, users: impl Fn() -> Vec<String>) -> Result<Arc<Record>> {
        let _turn = self.turns.take(name);
        let record = self.find(name)?;
        let users = users();
        if !users.is_empty() {
            return Err(Error::conflict(format!("remove {name}: volume is in use - [{}]", users.join(", "))));
        }
        if self.is_held(name) {
            return Err(Error::conflict(format!("remove {name}: volume is in use")));
        }
        self.discard(name, store)?;
        lock(&self.known).remove(name);
        Ok(record)
    }

    fn discard(&self, name: &str, store: &Store) -> Result<()> {
        let data = self.data(name);
        // Whatever somebody has mounted there is not the volume's, and must not be deleted with it.
        loop {
            match unmount(&data, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOENT | Errno::PERM) => break,
                Err(error) => return Err(io::Error::from(error)).context(|| format!("unmount {}", data.display())),
            }
        }
        store.discard(&self.dir.join(name)).map(drop)
    }
}
