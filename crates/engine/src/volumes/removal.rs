//! Removing volumes: never one that somebody uses, and never what is mounted in one.

use std::fs;
use std::io;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_store::Store;

use super::mounting::unmount_all;
use super::{LOCAL, Record, Volumes, lock};

impl Volumes {
    /// Removes a volume. `users` says which containers use it; with `force` it is forgotten even if its plugin cannot remove
    /// it.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` in Docker's words.
    pub(crate) fn remove(
        &self,
        name: &str,
        force: bool,
        store: &Store,
        users: impl Fn() -> Vec<String>,
    ) -> Result<Arc<Record>> {
        let _turn = self.turns.take_watched(name, &self.watch())?;
        let record = self.find(name)?;
        if record.protected {
            return Err(Error::conflict(format!("remove {name}: volume is protected"))
                .with_hint(format!("to let it be removed: dhow volume protect --off {name}")));
        }
        // First: whoever holds it until it counts as a user is seen as one of both.
        let held = self.is_held(name);
        let users = users();
        if !users.is_empty() {
            return Err(Error::conflict(format!("remove {name}: volume is in use - [{}]", users.join(", "))));
        }
        if held {
            return Err(Error::conflict(format!("remove {name}: volume is in use")));
        }
        if record.driver != LOCAL {
            match self.plugins.remove(&record.driver, name) {
                Err(error) if force => tracing::warn!(volume = name, %error, "a volume is forgotten by force"),
                removed => removed.context(|| format!("remove {name}"))?,
            }
        }
        self.discard(name, store)?;
        Ok(record)
    }

    fn discard(&self, name: &str, store: &Store) -> Result<()> {
        // Whatever is mounted there is not the volume's, and must not be deleted with it.
        unmount_all(&self.data(name))?;
        self.forget_uses(name);
        // It goes at once, also where the volumes are on a disk of their own; what is left then goes when an engine opens.
        let (folder, gone) = (self.dir.join(name), self.scratch_name("removed"));
        match fs::rename(&folder, &gone) {
            // Somebody has removed it by hand.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.context(|| format!("remove {}", folder.display()))?,
        }
        lock(&self.known).remove(name);
        if let Err(error) = store.discard(&gone) {
            tracing::warn!(volume = name, %error, "the files of a removed volume stay until the next start");
        }
        Ok(())
    }
}
