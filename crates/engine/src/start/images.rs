//! Images that are mounted into containers: `--mount type=image`.
//!
//! An image is mounted for a container that runs, below the exec root, and from there into the container. An engine that was
//! killed leaves the folder to the next one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;
use dhow_store::Overlay;
use dhow_sys::mount;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{UnmountFlags, unmount};

use crate::core::Core;
use crate::create::{Mount, Source};
use crate::rootfs::Root;

/// Whether one of the mounts is of that image.
pub(crate) fn mounted_as<'a>(mounts: &'a [Mount], image: &Digest) -> Option<&'a str> {
    let image = image.to_string();
    mounts.iter().find_map(|mount| match &mount.source {
        Source::Image { name, id, .. } if *id == image => Some(name.as_str()),
        _ => None,
    })
}

/// Mounts a container's images; where each one is, by its place in the container.
pub(super) fn mount_all(core: &Core, container: &str, mounts: &[Mount]) -> Result<BTreeMap<String, PathBuf>> {
    let mut places = BTreeMap::new();
    for (number, mount) in mounts.iter().enumerate() {
        let Source::Image { name, id, .. } = &mount.source else { continue };
        let place = folder(core, container).join(number.to_string());
        mount_one(core, container, id, &place).context(|| format!("mount image {name}"))?;
        places.insert(mount.destination.clone(), place);
    }
    Ok(places)
}

fn mount_one(core: &Core, container: &str, id: &str, place: &Path) -> Result<()> {
    // What a start that was given up has left.
    let _ = unmount(place, UnmountFlags::DETACH);
    mount_at(&layers(core, container, id, place)?, place)
}

/// The files of an image, to be [mounted](mount_at) at a place that is made for them.
fn layers(core: &Core, container: &str, id: &str, place: &Path) -> Result<Overlay> {
    let image = core.images.resolve(id)?;
    let layer = image.layers.last().map(|layer| layer.chain_id);
    let layer = layer.ok_or_else(|| Error::invalid("the image has no files"))?;
    fs::create_dir_all(place).context(|| format!("create {}", place.display()))?;
    let mut overlay = core.store.snapshots().overlay(container, Some(&layer))?;
    // The places for mounts in containers are no part of the image; the empty folder stands for a layer above.
    overlay.lower.pop();
    Ok(Overlay { upper: place.to_owned(), ..overlay })
}

/// Mounts the files of an image in the namespace of the calling thread.
pub(crate) fn mount_at(layers: &Overlay, place: &Path) -> Result<()> {
    let root = Root::of_overlay(layers)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = openat(CWD, place, flags, Mode::empty()).map_err(io::Error::from);
    target.and_then(|target| mount::attach(&root, target)).context(|| format!("mount at {}", place.display()))
}

/// Places for the images of a container that does not run, by those in the container, with what is to be
/// [mounted](mount_at) there. They are taken away as those of the container `user`.
pub(crate) fn prepare_all(
    core: &Core,
    (container, user): (&str, &str),
    mounts: &[Mount],
) -> Result<BTreeMap<String, (PathBuf, Overlay)>> {
    let mut prepared = BTreeMap::new();
    for (number, mount) in mounts.iter().enumerate() {
        let Source::Image { name, id, .. } = &mount.source else { continue };
        let place = folder(core, user).join(number.to_string());
        let layers = layers(core, container, id, &place).context(|| format!("mount image {name}"))?;
        prepared.insert(mount.destination.clone(), (place, layers));
    }
    Ok(prepared)
}

/// Takes away what is mounted for a container that does not run.
pub(crate) fn unmount_all(core: &Core, container: &str) {
    let folder = folder(core, container);
    for place in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let _ = unmount(place.path(), UnmountFlags::DETACH);
        // Never more than an empty folder: what could not be unmounted stays.
        let _ = fs::remove_dir(place.path());
    }
    let _ = fs::remove_dir(folder);
}

fn folder(core: &Core, container: &str) -> PathBuf {
    core.config.exec_root.join("images").join(container)
}
