//! The store: opens a root and hands out its rooms.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::{Result, ResultExt};

use crate::content::Content;
use crate::gc::{self, Collected};
use crate::layer::Layers;
use crate::lease::{InFlight, Lease};
use crate::metadata::{self, Metadata};
use crate::root::Root;
use crate::snapshot::{self, Snapshots};
use crate::trash::Trash;

/// Everything under one data root. Share it in an [`Arc`]; all its methods take `&self` and may be called at once.
#[derive(Debug)]
pub struct Store {
    content: Content,
    layers: Layers,
    snapshots: Snapshots,
    metadata: Arc<Metadata>,
    flight: Arc<InFlight>,
    trash: Arc<Trash>,
    notes: Vec<String>,
    /// Last: the lock is given back when everything else has stopped.
    root: Root,
}

impl Store {
    /// Opens the data root `root`, making it where there is none, and locks it as long as the store lives.
    ///
    /// What a killed engine left half-made is dropped: blobs being written, layers without a record, containers'
    /// folders without a record. If the database is new but the root is not, containers' folders are kept under `lost/`.
    ///
    /// # Errors
    /// [`Conflict`](dhow_errdefs::Class::Conflict) when another engine has it open or a newer dhow wrote it,
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when its database is damaged.
    pub fn open(root: &Path) -> Result<Self> {
        let root = Root::open(root)?;
        let database = root.join("metadata.db");
        // Before there is a new database: should this end half-way, the next start goes on with it, instead of taking what
        // is still there for leftovers.
        let lost = !metadata::exists(&database) && !root.is_fresh();
        let notes = if lost { keep_lost_containers(&root)? } else { None };
        let metadata = Arc::new(Metadata::open(&database)?);
        let trash = Arc::new(Trash::open(root.join("trash"))?);
        let flight = Arc::new(InFlight::default());
        drop_unknown_containers(&root, &metadata, &trash)?;
        Ok(Self {
            content: Content::open(&root.join("content"), &trash)?,
            layers: Layers::open(&root, &metadata, &trash)?,
            snapshots: Snapshots::open(&root, &metadata, &trash)?,
            metadata,
            flight,
            trash,
            notes: notes.into_iter().collect(),
            root,
        })
    }

    /// The data root, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Bytes that the disk gives to images: blobs and unpacked layers, as du(1) counts them.
    ///
    /// # Errors
    /// What the file system says.
    pub fn image_bytes(&self) -> Result<u64> {
        let bytes = |folder: &str| {
            let folder = self.root().join(folder);
            let itself = fs::metadata(&folder).map(|folder| folder.blocks() * 512);
            let inside = snapshot::usage(&folder).map(|usage| usage.allocated);
            itself.and_then(|itself| Ok(itself + inside?)).context(|| format!("measure {}", folder.display()))
        };
        Ok(bytes("content")? + bytes("layers")?)
    }

    /// Says to other engines that want this root where the one that has it is reached, as in `unix:///run/dhow/dhow.sock`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn say_where(&self, address: &str) -> Result<()> {
        self.root.say_where(address)
    }

    /// Blobs.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Unpacked layers.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Containers' writable folders.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Records.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// A new, empty lease.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::new(&self.flight)
    }

    /// Takes away every blob and layer that no image, no container and no lease refers to.
    ///
    /// # Errors
    /// What the database or the file system says; what was freed until then is free.
    pub fn collect(&self) -> Result<Collected> {
        gc::collect(self)
    }

    /// Takes a file or a tree of this root away at once and deletes it in the background. Says whether it was there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn discard(&self, path: &Path) -> Result<bool> {
        self.trash.discard(path)
    }

    /// Waits until what was removed is deleted. For tests, and for those who must have the space now.
    pub fn wait_for_deletions(&self) {
        self.trash.wait();
    }

    /// What the person should know about how the root was opened; to be logged once.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn flight(&self) -> &InFlight {
        &self.flight
    }
}

/// Folders of containers without a record: an engine was killed while it created or removed them.
fn drop_unknown_containers(root: &Root, metadata: &Metadata, trash: &Trash) -> Result<()> {
    let found = names(&root.join("containers"))?;
    if found.is_empty() {
        return Ok(());
    }
    let known: HashSet<String> = metadata.container_ids()?.into_iter().collect();
    for name in found.into_iter().filter(|name| !name.to_str().is_some_and(|name| known.contains(name))) {
        trash.discard(&root.join("containers").join(name))?;
    }
    Ok(())
}

/// The records were lost (the person moved a damaged database away): what containers wrote is not ours to delete.
fn keep_lost_containers(root: &Root) -> Result<Option<String>> {
    let found = names(&root.join("containers"))?;
    if found.is_empty() {
        return Ok(None);
    }
    let lost = root.join("lost");
    fs::create_dir_all(&lost).context(|| format!("create {}", lost.display()))?;
    let containers = root.join("containers");
    for name in &found {
        let (from, to) = (containers.join(name), free_place(&lost, name));
        fs::rename(&from, &to).context(|| format!("move {} to {}", from.display(), to.display()))?;
    }
    for dir in [&lost, &containers] {
        let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
        synced.context(|| format!("write {} to disk", dir.display()))?;
    }
    Ok(Some(format!(
        "{} containers have no record any more; what they wrote is kept in {}",
        found.len(),
        lost.display()
    )))
}

/// Where nothing is yet: containers may have been lost before, too.
fn free_place(dir: &Path, name: &OsStr) -> PathBuf {
    let numbered = (1..).map(|number| {
        let mut name = name.to_owned();
        name.push(format!(".{number}"));
        dir.join(name)
    });
    let mut places = std::iter::once(dir.join(name)).chain(numbered);
    places.find(|place| !place.exists()).expect("numbers do not end")
}

fn names(dir: &PathBuf) -> Result<Vec<OsString>> {
    let step = || format!("list {}", dir.display());
    fs::read_dir(dir).context(step)?.map(|entry| Ok(entry.context(step)?.file_name())).collect()
}
