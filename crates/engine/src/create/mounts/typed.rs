//! `--mount`.

use dhow_errdefs::{Error, Result};

use super::{Mount, PROPAGATIONS, Source, clean, destination};
use crate::create::is_restricted_name;
use crate::spec::{MountSpec, TmpfsOptions};

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
        "tmpfs" if !mount.source.is_empty() => return Err(Error::invalid("field Source must not be specified")),
        "tmpfs" => (Source::Tmpfs { options: tmpfs(mount.tmpfs.as_ref()) }, ""),
        _ => return Err(Error::invalid("mount type unknown")),
    };
    Ok(Mount { source, destination, read_only: mount.read_only, mode: mode.to_owned() })
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
    })
}

fn volume(mount: &MountSpec, new_name: &mut impl FnMut() -> String) -> Result<Source> {
    if mount.bind.is_some() {
        return Err(Error::invalid("field BindOptions must not be specified"));
    }
    let options = mount.volume.clone().unwrap_or_default();
    if !matches!(options.driver.as_str(), "" | "local") || !options.driver_options.is_empty() {
        return Err(Error::not_implemented(format!("volume driver {} with options", options.driver)));
    }
    if options.subpath.split('/').any(|part| part == "..") || options.subpath.starts_with('/') {
        return Err(Error::invalid("subpath must be a relative path within the volume"));
    }
    let anonymous = mount.source.is_empty();
    if !anonymous && !is_restricted_name(&mount.source) {
        return Err(Error::invalid(format!(
            "\"{}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
            mount.source
        )));
    }
    let name = if anonymous { new_name() } else { mount.source.clone() };
    Ok(Source::Volume { name, anonymous, copy: !options.no_copy, subpath: options.subpath })
}

fn tmpfs(options: Option<&TmpfsOptions>) -> Vec<String> {
    let Some(options) = options else { return Vec::new() };
    let mut list = Vec::new();
    if options.size > 0 {
        list.push(format!("size={}", options.size));
    }
    if options.mode != 0 {
        list.push(format!("mode={:o}", options.mode));
    }
    list.extend(options.options.iter().map(|words| words.join("=")));
    list
}
