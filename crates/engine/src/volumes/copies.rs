//! Volumes made of others: clones, snapshots and going back to one; other names; protection.
//!
//! A snapshot is a volume like any other, protected from removal and labelled with what it is of. Copies share blocks where
//! the file system can (ioctl_ficlone(2), on btrfs and XFS). While one is made, the containers that write to the original are
//! frozen, and those that start wait.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::atomic;
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::scratch::Scratch;
use super::{LOCAL, Record, Volume, Volumes, check_name, fill, lock, names_to_disk, to_disk};
use crate::Engine;
use crate::container::{Container, State};
use crate::core::Core;
use crate::create::random_id;
use crate::engine::{blocking, to_the_end};
use crate::watch::{Watch, watched};

/// The label of a snapshot: the name of its volume.
pub(super) const SNAPSHOT_OF: &str = "dhow.snapshot.of";

/// What is made of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// A volume of its own, with the original's labels.
    Clone,
    /// A copy to go back to.
    Snapshot,
}

impl Engine {
    /// Copies a volume while its containers are frozen. Without a name a snapshot is called after the moment.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the name is taken, or a container was stopped meanwhile; `ResourceExhausted` when the disk is full: then nothing is left.
    pub async fn volume_copy(&self, from: &str, to: &str, kind: CopyKind) -> Result<Volume> {
        to_the_end(copy(Arc::clone(&self.core), from.to_owned(), to.to_owned(), kind)).await
    }

    /// Replaces the content of a volume by that of another one, wholly or not at all.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while a container that runs uses it, and if it is protected.
    pub async fn volume_restore(&self, name: &str, from: &str) -> Result<()> {
        let (core, name, from) = (Arc::clone(&self.core), name.to_owned(), from.to_owned());
        to_the_end(async move { restore(&core, &name, &from).await.context(|| format!("restore {name}")) }).await
    }

    /// Gives a volume another name.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the name is taken, or while containers use it, running or not.
    pub async fn volume_rename(&self, name: &str, new: &str) -> Result<()> {
        let (core, name, new) = (Arc::clone(&self.core), name.to_owned(), new.to_owned());
        blocking(move || {
            core.volumes.rename(&name, &new, || core.volume_users(&name)).context(|| format!("rename {name}"))?;
            core.tell_of_volume("rename", &new, &[("oldName", &name)]);
            Ok(())
        })
        .await
    }

    /// Protects a volume from being removed, by whomever, or not any more.
    ///
    /// # Errors
    /// `NotFound`; what the file system says.
    pub async fn volume_protect(&self, name: &str, protected: bool) -> Result<()> {
        let (core, name) = (Arc::clone(&self.core), name.to_owned());
        blocking(move || {
            core.volumes.protect(&name, protected)?;
            core.tell_of_volume(if protected { "protect" } else { "unprotect" }, &name, &[]);
            Ok(())
        })
        .await
    }
}

async fn copy(core: Arc<Core>, from: String, to: String, kind: CopyKind) -> Result<Volume> {
    let original = core.volumes.find(&from)?;
    if !to.is_empty() {
        // Before anybody is frozen for it.
        check_name(&to).and_then(|()| core.volumes.is_free(&to)).context(|| format!("copy {from}"))?;
    }
    let (copying, name) = (Arc::clone(&core), from.clone());
    let finish = move |copy: Scratch| copying.volumes.keep_copy(&copy, (&original, &name), (&to, kind));
    let copied = at_one_moment(&core, (&from, None), finish).await;
    let (name, record) = copied.context(|| format!("copy {from}"))?;
    core.tell_of_volume("create", &name, &[]);
    Ok(core.volume(&name, &record, 0))
}

async fn restore(core: &Arc<Core>, name: &str, from: &str) -> Result<()> {
    if name == from {
        return Err(Error::invalid("it is the same volume"));
    }
    core.volumes.find(from)?;
    // Before anybody is frozen for it.
    core.can_be_replaced(name)?;
    let (restoring, restored) = (Arc::clone(core), name.to_owned());
    let finish = move |copy: Scratch| restoring.replace_content(&restored, &copy);
    at_one_moment(core, (from, Some(name)), finish).await?;
    core.tell_of_volume("restore", name, &[("from", from)]);
    Ok(())
}

/// Copies the content of a volume while nobody writes to it, and does something with the copy; until that is done no
/// container starts that has the volume or `closed`. It is mounted before anybody is frozen: that may take long.
pub(super) async fn at_one_moment<T: Send + 'static>(
    core: &Arc<Core>,
    (volume, closed): (&str, Option<&str>),
    finish: impl FnOnce(Scratch) -> Result<T> + Send + 'static,
) -> Result<T> {
    let user = format!("copy-{}", random_id());
    let _hold = core.volumes.hold([volume.to_owned()]);
    let (attaching, name, as_user) = (Arc::clone(core), volume.to_owned(), user.clone());
    let attach = move |watch: &Watch| {
        attaching.volumes.outlast_turn(&name, watch)?;
        let content = attaching.volumes.attach(&name, &as_user, watch)?;
        // Nobody is frozen while somebody fills it.
        let filled = attaching.volumes.fills.take_watched(&name, watch).map(drop);
        filled.and_then(|()| watch.take_effect()).inspect_err(|_| attaching.volumes.detach(&name, &as_user))?;
        Ok(content)
    };
    let content = watched(core.volumes.patience(), attach).await?;
    let done = behind_closed_doors(core, (volume, closed), content, finish).await;
    let (detaching, name) = (Arc::clone(core), volume.to_owned());
    blocking(move || {
        detaching.volumes.detach(&name, &user);
        Ok(())
    })
    .await?;
    done
}

async fn behind_closed_doors<T: Send + 'static>(
    core: &Arc<Core>,
    (volume, closed): (&str, Option<&str>),
    content: PathBuf,
    finish: impl FnOnce(Scratch) -> Result<T> + Send + 'static,
) -> Result<T> {
    let _closed = core.volumes.close_doors([Some(volume), closed].into_iter().flatten()).await?;
    let copy = frozen_copy(core, volume, content).await?;
    blocking(move || finish(copy)).await
}

/// The containers that have it go on as soon as everything is read: nobody knows how long the disk takes for the rest.
async fn frozen_copy(core: &Arc<Core>, volume: &str, content: PathBuf) -> Result<Scratch> {
    let frozen = core.freeze_all(core.running_users(volume)).await;
    let frozen = frozen.map_err(|error| error.with_hint("stop the container, or make a backup with --live"))?;
    let (copying, name) = (Arc::clone(core), volume.to_owned());
    let copied = watched(core.volumes.patience(), move |watch| {
        // What comes from an image comes whole.
        let filling = copying.volumes.fills.take_watched(&name, watch)?;
        let copy = Scratch::new(&copying, "copy")?;
        fill::content(&content, &copy.data(), &|| (filling.step(), watch.step()).1).context(|| "copy its files")?;
        Ok(copy)
    })
    .await;
    let torn = core.thaw_all(frozen).await;
    let copy = copied?;
    match torn {
        None => Ok(copy),
        Some(container) => {
            Err(Error::conflict(format!("container {container} was stopped while its volume was copied"))
                .with_hint("try again"))
        }
    }
}

impl Core {
    /// Those that run. Those that start are on this side of the volume's door if it is closed, and on that side if not.
    fn running_users(&self, volume: &str) -> Vec<Arc<Container>> {
        let runs = |container: &&Arc<Container>| {
            let view = container.view();
            matches!(view.condition.state, State::Running | State::Paused)
                && super::names(&view.body.mounts).any(|name| name == volume)
        };
        self.containers().all().filter(runs).cloned().collect()
    }

    /// Refuses to put something else into a volume while somebody works with it.
    pub(super) fn is_at_rest(&self, volume: &str) -> Result<()> {
        // First: whoever holds it until it counts as a user is seen as one of both.
        let held = self.volumes.is_held(volume);
        let running = self.running_users(volume);
        let running: Vec<String> = running.iter().map(|container| container.id.to_string()).collect();
        // Who copies it at this moment wants it as it is.
        if running.is_empty() && !held {
            return Ok(());
        }
        Err(in_use(&running).with_hint("stop its containers first"))
    }

    fn can_be_replaced(&self, name: &str) -> Result<()> {
        let record = self.volumes.find(name)?;
        if record.protected {
            return Err(to_be_replaced(name));
        }
        if !record.is_plain() {
            return Err(Error::invalid("only volumes in the data root can be restored"));
        }
        if !self.volumes.is_at_home(name) {
            let text = format!("{} is a link or a mount", self.volumes.data(name).display());
            return Err(
                Error::invalid(text).with_hint("only what lies in the data root can be replaced: copy the files")
            );
        }
        self.is_at_rest(name)
    }

    /// Puts a copy in the place of what is in a volume, whose door is closed.
    fn replace_content(&self, name: &str, copy: &Scratch) -> Result<()> {
        // What was there is deleted afterwards: a power cut must find one of the two whole.
        to_disk(copy.path())?;
        let _turn = self.volumes.turns.take_watched(name, &self.volumes.watch())?;
        // As it is now: it may have been removed, or protected, since somebody asked.
        self.can_be_replaced(name)?;
        self.volumes.exchange(name, &copy.data())
    }

    pub(super) fn tell_of_volume(&self, action: &str, name: &str, more: &[(&str, &str)]) {
        self.events.volume(action, name, &self.volumes.place(name).1, more);
    }
}

impl Volumes {
    /// Makes a volume of a copy of another one, and of its labels; the new one is the answer.
    fn keep_copy(
        &self,
        copy: &Scratch,
        (original, from): (&Record, &str),
        (to, kind): (&str, CopyKind),
    ) -> Result<(String, Arc<Record>)> {
        to_disk(copy.path())?;
        let to = if to.is_empty() { self.free_moment_of(from) } else { to.to_owned() };
        let _turn = self.turns.take_watched(&to, &self.watch())?;
        self.is_free(&to)?;
        let mut labels = original.labels.clone();
        match kind {
            CopyKind::Snapshot => {
                labels.get_or_insert_default().insert(SNAPSHOT_OF.to_owned(), from.to_owned());
            }
            // What is made of a snapshot to work with is none.
            CopyKind::Clone => {
                labels.as_mut().map(|labels| labels.remove(SNAPSHOT_OF));
            }
        }
        let mut record = Record::new(LOCAL, labels.map(without_anonymity), None);
        record.protected = kind == CopyKind::Snapshot;
        let record = self.publish(&to, copy.path(), record)?;
        Ok((to, record))
    }

    /// What a snapshot is called that nobody named: `data-20261126T185530Z`, and the next one of that second
    /// `data-20261126T185530Z-2`.
    fn free_moment_of(&self, volume: &str) -> String {
        let moment = format!("{:.0}", Timestamp::now()).replace(['-', ':'], "");
        let first = format!("{volume}-{moment}");
        let more = (2..).map(|number| format!("{first}-{number}"));
        std::iter::once(first.clone()).chain(more).find(|name| self.get(name).is_none()).unwrap_or(first)
    }

    fn rename(&self, name: &str, new: &str, users: impl Fn() -> Vec<String>) -> Result<()> {
        check_name(new)?;
        self.find(name)?;
        // In one order, so that two renames never wait for each other.
        let (first, second) = if name < new { (name, new) } else { (new, name) };
        if first == second {
            return Err(Error::invalid("it has that name already"));
        }
        let watch = self.watch();
        let _first = self.turns.take_watched(first, &watch)?;
        let _second = self.turns.take_watched(second, &watch)?;
        // As it is now: somebody may have had the turn before.
        let record = self.find(name)?;
        if record.driver != LOCAL {
            return Err(Error::invalid(format!("driver {} cannot rename volumes", record.driver)));
        }
        self.is_free(new)?;
        let busy = self.is_held(name) || self.mounted_at(name).is_some();
        let users = users();
        if !users.is_empty() || busy {
            return Err(in_use(&users).with_hint("containers know their volumes by name: remove them first"));
        }
        let (old, folder) = (self.dir.join(name), self.dir.join(new));
        let before = record;
        let mut record = Record::clone(&*before);
        if before.is_anonymous() {
            // Somebody has named it now: neither prune nor the end of a container takes it away.
            record.labels = record.labels.map(without_anonymity);
            record.write(&old, atomic::Sync::Yes)?;
        }
        if let Err(error) = renameat_with(CWD, &old, CWD, &folder, RenameFlags::NOREPLACE) {
            before.write(&old, atomic::Sync::Yes)?;
            return Err(io::Error::from(error)).context(|| format!("rename {} to {}", old.display(), folder.display()));
        }
        self.disown(new)?;
        {
            let mut known = lock(&self.known);
            known.remove(name);
            known.insert(new.to_owned(), Arc::new(record));
        }
        names_to_disk(&self.dir)
    }

    fn protect(&self, name: &str, protected: bool) -> Result<()> {
        let _turn = self.turns.take_watched(name, &self.watch())?;
        let mut record = Record::clone(&*self.find(name)?);
        record.protected = protected;
        record.write(&self.dir.join(name), atomic::Sync::Yes)?;
        lock(&self.known).insert(name.to_owned(), Arc::new(record));
        Ok(())
    }

    fn is_free(&self, name: &str) -> Result<()> {
        match self.get(name) {
            Some(_) => Err(Error::conflict(format!("volume {name} exists already"))),
            None => Ok(()),
        }
    }
}

/// The refusal to put something else into a protected volume.
pub(super) fn to_be_replaced(name: &str) -> Error {
    Error::conflict("volume is protected").with_hint(format!("to let it be replaced: dhow volume protect --off {name}"))
}

/// By containers, or by somebody who is at work on it at this moment.
pub(super) fn in_use(users: &[String]) -> Error {
    let users = if users.is_empty() { String::new() } else { format!(" - [{}]", users.join(", ")) };
    Error::conflict(format!("volume is in use{users}"))
}

/// A copy that somebody asked for is not anonymous.
pub(super) fn without_anonymity(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.remove(super::ANONYMOUS);
    labels
}
