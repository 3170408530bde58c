//! `--mount`.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};

use super::{Mount, PROPAGATIONS, Source, anonymous, clean, destination};
use crate::spec::{BindOptions, MountSpec, TmpfsOptions};
use crate::volumes::Wanted;

/// Reads one `--mount`. Whether a bind's source exists is checked by the caller, who may look.
pub(super) fn parse(mount: &MountSpec, new_name: &mut impl FnMut() -> String) -> Result<Mount> {
    read(mount, new_name).map_err(|error| error.context(format!("invalid mount config for type \"{}\"", mount.kind)))
}

fn read(mount: &MountSpec, new_name: &mut impl FnMut() -> String) -> Result<Mount> {
    if mount.target.is_empty() {
        return Err(Error::invalid("field Target must not be empty"));
    }
    let destination = destination(&mount.target)?;
    let (source, mode) = match mount.kind.as_str() {
        "bind" => (bind(mount)?, ""),
        "volume" => (volume(mount, new_name)?, "z"),
        "image" => (image(mount)?, ""),
        "tmpfs" if !mount.source.is_empty() => return Err(Error::invalid("field Source must not be specified")),
        "tmpfs" => (Source::Tmpfs { options: tmpfs(mount.tmpfs.as_ref())? }, ""),
        _ => return Err(Error::invalid("mount type unknown")),
    };
    let read_only = mount.read_only || matches!(source, Source::Image { .. });
    Ok(Mount { source, destination, read_only, mode: mode.to_owned() })
}

fn bind(mount: &MountSpec) -> Result<Source> {
    if mount.source.is_empty() {
        return Err(Error::invalid("field Source must not be empty"));
    }
    if !mount.source.starts_with('/') {
        let source = &mount.source;
        return Err(Error::invalid(format!("invalid mount path: '{source}' mount path must be absolute")));
    }
    if mount.volume.is_some() {
        return Err(Error::invalid("field VolumeOptions must not be specified"));
    }
    let options = mount.bind.clone().unwrap_or_default();
    check_read_only(mount.read_only, &options)?;
    let propagation = match options.propagation.as_str() {
        "" => "rprivate",
        given if PROPAGATIONS.contains(&given) => given,
        given => return Err(Error::invalid(format!("invalid propagation mode: {given}"))),
    };
    Ok(Source::Bind {
        path: clean(&mount.source),
        create: options.create_mountpoint,
        propagation: propagation.to_owned(),
        recursive: !options.non_recursive,
        only_itself: options.read_only_non_recursive,
        id_map: options.id_map,
    })
}

/// What is said about read-only mounts below a mount makes sense for one that is read-only itself.
fn check_read_only(read_only: bool, options: &BindOptions) -> Result<()> {
    let (less, more) = (options.read_only_non_recursive, options.read_only_force_recursive);
    let conflict = match (read_only, less, more) {
        (false, true, _) => "!ReadOnly && BindOptions.ReadOnlyNonRecursive",
        (false, _, true) => "!ReadOnly && BindOptions.ReadOnlyForceRecursive",
        (_, true, true) => "BindOptions.ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive",
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("mount options conflict: {conflict}")))
}

fn volume(mount: &MountSpec, new_name: &mut impl FnMut() -> String) -> Result<Source> {
    if mount.bind.is_some() {
        return Err(Error::invalid("field BindOptions must not be specified"));
    }
    let options = mount.volume.clone().unwrap_or_default();
    let named = !mount.source.is_empty();
    if !named && !options.subpath.is_empty() {
        return Err(Error::invalid("must not set Subpath when using anonymous volumes"));
    }
    if !named && mount.read_only {
        return Err(Error::invalid("must not set ReadOnly mode when using anonymous volumes"));
    }
    check_subpath(&options.subpath)?;
    let wanted =
        Wanted { driver: options.driver, labels: given(options.labels), options: given(options.driver_options) };
    if !named {
        return Ok(anonymous(&wanted, !options.no_copy, new_name));
    }
    let (name, copy) = (mount.source.clone(), !options.no_copy);
    Ok(Source::Volume { name, anonymous: false, copy, subpath: options.subpath, wanted })
}

/// Which image that is, is found out by the caller, who knows the images.
fn image(mount: &MountSpec) -> Result<Source> {
    if mount.source.is_empty() {
        return Err(Error::invalid("field Source must not be empty"));
    }
    for (given, field) in [(mount.bind.is_some(), "BindOptions"), (mount.volume.is_some(), "VolumeOptions")] {
        if given {
            return Err(Error::invalid(format!("field {field} must not be specified")));
        }
    }
    let subpath = mount.image.clone().unwrap_or_default().subpath;
    check_subpath(&subpath)?;
    Ok(Source::Image { name: mount.source.clone(), id: String::new(), subpath })
}

/// By its text alone; where it leads is seen when it is opened.
fn check_subpath(subpath: &str) -> Result<()> {
    let descend = |depth: usize, part: &str| match part {
        "" | "." => Some(depth),
        ".." => depth.checked_sub(1),
        _ => Some(depth + 1),
    };
    if subpath.starts_with('/') || subpath.split('/').try_fold(0, descend).is_none() {
        return Err(Error::invalid("subpath must be a relative path within the volume"));
    }
    Ok(())
}

/// What a client left out and what it left empty are the same here.
fn given(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

fn tmpfs(options: Option<&TmpfsOptions>) -> Result<Vec<String>> {
    let Some(options) = options else { return Ok(Vec::new()) };
    let mut list = Vec::new();
    if options.size < 0 {
        // What a client makes of a size that is too large for its number.
        return Err(Error::invalid(format!("invalid tmpfs size: {}", options.size)));
    }
    if options.size > 0 {
        list.push(format!("size={}", options.size));
    }
    if options.mode != 0 {
        list.push(format!("mode={:o}", options.mode));
    }
    for words in &options.options {
        let option = words.join("=");
        super::tmpfs::check(&option)?;
        list.push(option);
    }
    Ok(list)
}
