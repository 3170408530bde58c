//! Volumes that have to be mounted: those with options, and those of plugins.
//!
//! They are mounted for their first user and unmounted after their last one. Beside what is in memory, each use is a file in
//! the exec root, made before and removed after: an engine that was killed leaves them to the next one, which takes the uses
//! of containers that still run over and ends the others.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use dhow_sys::mount::{self, Change};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::local::FileSystem;
use super::{LOCAL, Record, Volumes, lock};
use crate::watch::Watch;

/// Who uses a volume now, and where it is mounted.
#[derive(Debug, Default)]
pub(super) struct Use {
    users: BTreeSet<String>,
    path: PathBuf,
}

/// Somebody has a volume for a moment.
#[derive(Debug)]
pub(super) struct Attached<'a> {
    volumes: &'a Volumes,
    name: String,
    user: String,
    /// Where its content is.
    pub content: PathBuf,
}

impl Drop for Attached<'_> {
    /// Blocks.
    fn drop(&mut self) {
        self.volumes.detach(&self.name, &self.user);
    }
}

/// The volumes that are in use.
pub(super) type Uses = HashMap<String, Use>;

impl Volumes {
    /// Lets a user have a volume until it is [detached](Self::detach), and says where its content is. Blocks.
    ///
    /// # Errors
    /// Why it could not be mounted.
    pub(crate) fn attach(&self, name: &str, user: &str, watch: &Watch) -> Result<PathBuf> {
        let record = self.find(name)?;
        if record.is_plain() {
            return Ok(self.data(name));
        }
        let _turn = self.turns.take_watched(name, watch)?;
        if let Some(entry) = lock(&self.uses).get(name)
            && entry.users.contains(user)
        {
            // Whoever has it at two places has it once.
            return Ok(entry.path.clone());
        }
        self.mark(name, user)?;
        let path = self.mount(name, &record, user).inspect_err(|_| self.unmark(name, user))?;
        {
            let mut uses = lock(&self.uses);
            let entry = uses.entry(name.to_owned()).or_default();
            entry.users.insert(user.to_owned());
            entry.path.clone_from(&path);
        }
        self.resume_mounted(name, &path).inspect_err(|_| self.end_use(name, &record, user))?;
        Ok(path)
    }

    /// The same for as long as the answer lives.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub(super) fn borrow(&self, name: &str, user: &str, watch: &Watch) -> Result<Attached<'_>> {
        let content = self.attach(name, user, watch)?;
        Ok(Attached { volumes: self, name: name.to_owned(), user: user.to_owned(), content })
    }

    /// For who holds a volume, and is about to read its files: after this nobody removes it who had looked before it was
    /// held.
    ///
    /// # Errors
    /// `DeadlineExceeded` when somebody's turn does not end.
    pub(super) fn outlast_turn(&self, name: &str, watch: &Watch) -> Result<()> {
        self.turns.take_watched(name, watch).map(drop)
    }

    /// The user has gone. Blocks.
    pub(crate) fn detach(&self, name: &str, user: &str) {
        let Some(record) = self.get(name).filter(|record| !record.is_plain()) else { return };
        let _turn = self.turns.take(name);
        self.end_use(name, &record, user);
    }

    /// In a turn.
    fn end_use(&self, name: &str, record: &Record, user: &str) {
        let last = {
            let mut uses = lock(&self.uses);
            let Some(entry) = uses.get_mut(name) else { return };
            if !entry.users.remove(user) {
                return;
            }
            let last = entry.users.is_empty();
            if last {
                uses.remove(name);
            }
            last
        };
        self.release(name, record, user, last);
    }

    /// Takes over the uses that another engine has left, of users that are alive. The others are the answer, to be
    /// [ended](Self::end).
    pub(crate) fn recover(&self, alive: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let (alive, dead): (Vec<_>, Vec<_>) = self.marks().into_iter().partition(|(_, user)| alive(user));
        let mut uses = lock(&self.uses);
        for (name, user) in alive {
            let Some(record) = self.get(&name) else { continue };
            let path = match record.driver.as_str() {
                LOCAL => self.data(&name),
                _ => fs::read_to_string(self.mark_of(&name, &user)).unwrap_or_default().into(),
            };
            let entry = uses.entry(name).or_default();
            entry.users.insert(user);
            entry.path = path;
        }
        dead
    }

    /// Ends uses that another engine has left, if nobody has taken them up since. Blocks.
    pub(crate) fn end(&self, uses: Vec<(String, String)>) {
        for (name, user) in uses {
            let _turn = self.turns.take(&name);
            let (again, last) = {
                let uses = lock(&self.uses);
                let entry = uses.get(&name);
                (entry.is_some_and(|entry| entry.users.contains(&user)), entry.is_none())
            };
            match self.get(&name) {
                _ if again => {}
                Some(record) => self.release(&name, &record, &user, last),
                None => self.unmark(&name, &user),
            }
        }
    }

    /// The volume is being removed, and nobody has it any more: who gives it back later finds nothing.
    pub(super) fn forget_uses(&self, name: &str) {
        let Some(entry) = lock(&self.uses).remove(name) else { return };
        entry.users.iter().for_each(|user| self.unmark(name, user));
    }

    /// Where a volume is mounted, if it is one that has to be and is.
    pub(super) fn mounted_at(&self, name: &str) -> Option<PathBuf> {
        lock(&self.uses).get(name).map(|entry| entry.path.clone())
    }

    fn mount(&self, name: &str, record: &Record, user: &str) -> Result<PathBuf> {
        if record.driver != LOCAL {
            let path = self.plugins.mount(&record.driver, name, user)?;
            // The next engine reads it there.
            let mark = self.mark_of(name, user);
            let written = fs::write(&mark, path.as_os_str().as_encoded_bytes());
            written
                .context(|| format!("write {}", mark.display()))
                .inspect_err(|_| self.release(name, record, user, true))?;
            return Ok(path);
        }
        let data = self.data(name);
        if lock(&self.uses).get(name).is_none() {
            unmount_all(&data)?;
            FileSystem::of(&record.options.clone().unwrap_or_default()).mount(&data)?;
        }
        Ok(data)
    }

    /// Ends a use; nobody waits for what goes wrong, so it is only told.
    fn release(&self, name: &str, record: &Record, user: &str, last: bool) {
        let released = match record.driver.as_str() {
            LOCAL if last => unmount_all(&self.data(name)),
            LOCAL => Ok(()),
            plugin => self.plugins.unmount(plugin, name, user),
        };
        if let Err(error) = released {
            tracing::warn!(volume = name, %error, "a volume could not be unmounted");
        }
        self.unmark(name, user);
    }

    fn mark_of(&self, name: &str, user: &str) -> PathBuf {
        self.marks.join(name).join(user)
    }

    fn mark(&self, name: &str, user: &str) -> Result<()> {
        let mark = self.mark_of(name, user);
        let step = || format!("write {}", mark.display());
        fs::create_dir_all(self.marks.join(name)).context(step)?;
        fs::write(&mark, "").context(step)
    }

    fn unmark(&self, name: &str, user: &str) {
        // A mark that stays is looked at by the next engine.
        let _ = fs::remove_file(self.mark_of(name, user));
        let _ = fs::remove_dir(self.marks.join(name));
    }

    /// Every volume and user that is marked.
    fn marks(&self) -> Vec<(String, String)> {
        let list = |folder: &Path| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let names = list(&self.marks).into_iter();
        names.flat_map(|name| list(&self.marks.join(&name)).into_iter().map(move |user| (name.clone(), user))).collect()
    }
}

/// Takes away everything that is mounted on a folder. Nothing is, in the end.
pub(crate) fn unmount_all(folder: &Path) -> Result<()> {
    loop {
        cut_off(folder);
        match unmount(folder, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Not a mount, or not there; without rights nothing of ours can be mounted either.
            Err(Errno::INVAL | Errno::NOENT | Errno::PERM) => return Ok(()),
            Err(error) => {
                return Err(io::Error::from(error)).context(|| format!("unmount {}", folder.display()));
            }
        }
    }
}

/// What is mounted below a folder of the host is the host's: the end of a copy of it must not travel there
/// (mount_namespaces(7), "Shared subtrees").
fn cut_off(folder: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(mounted) = openat(CWD, folder, flags, Mode::empty()) {
        // Refused of what is no mount, and then nothing is unmounted.
        let _ = mount::set_attributes(mounted, Change { propagation: mount::PRIVATE, ..Change::default() }, true);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::thread;

    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    use rustix::thread::ThreadNameSpaceType;

    use super::*;

    /// In a mount namespace of this thread, whose `/srv` is shared as systemd has it.
    fn last_use_of(kind: &'static str, dir: PathBuf) -> Result<bool> {
        dhow_sys::namespace::unshare(ThreadNameSpaceType::MOUNT).context(|| "unshare")?;
        let (srv, data) = (dir.join("srv"), dir.join("data"));
        let tmpfs = |at: &Path| {
            fs::create_dir(at).unwrap();
            mount("none", at, "tmpfs", MountFlags::empty(), None).unwrap();
        };
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        tmpfs(&srv);
        mount_change(&srv, MountPropagationFlags::SHARED).unwrap();
        tmpfs(&srv.join("before"));
        fs::create_dir(&data).unwrap();
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = [option("type", "none"), option("o", kind), option("device", srv.to_str().unwrap())];
        FileSystem::of(&BTreeMap::from(options)).mount(&data)?;
        tmpfs(&srv.join("after"));
        unmount_all(&data)?;
        let is_mount = |path: &Path| unmount(path, UnmountFlags::empty()).is_ok();
        let left = is_mount(&srv.join("before")) && is_mount(&srv.join("after"));
        Ok(left && !is_mount(&data) && is_mount(&srv))
    }

    #[test]
    fn the_last_use_of_a_folder_of_the_host_unmounts_nothing_of_the_hosts() {
        for kind in ["bind", "rbind", "rbind,rshared"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_owned();
            match thread::spawn(move || last_use_of(kind, path)).join().unwrap() {
                Ok(kept) => assert!(kept, "{kind}: the host's mounts went with the volume's"),
                Err(error) => eprintln!("SKIPPED: this machine mounts nothing for us: {error}"),
            }
        }
    }
}
