//! What is mounted into a container: `-v`, `--mount`, `VOLUME` and other containers' volumes, made into one list.

mod bind;
mod tmpfs;
mod typed;

use std::collections::BTreeSet;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::MountPoint;
use crate::spec::ContainerSpec;
use crate::volumes::{ANONYMOUS, LOCAL, Wanted, check_name};

pub(crate) use bind::parse_inherited;

/// A mount of a container, decided when the container was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mount {
    pub source: Source,
    /// Absolute and clean.
    pub destination: String,
    pub read_only: bool,
    /// What `inspect` shows as the mode.
    pub mode: String,
}

/// Where its content comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Source {
    Bind {
        path: String,
        /// Make the directory if it is missing.
        create: bool,
        /// `rprivate` and its relatives.
        propagation: String,
        recursive: bool,
        /// Read-only, it leaves what is mounted below it as it is.
        #[serde(default)]
        only_itself: bool,
        /// The owner of the source is the container's user there, and the other way round.
        #[serde(default)]
        id_map: bool,
    },
    Volume {
        name: String,
        /// Made for a container, and removed by `rm -v` with the last one that has it.
        anonymous: bool,
        /// Fill it from the image while it is empty.
        copy: bool,
        subpath: String,
        /// How it is made if it is not there.
        #[serde(default)]
        wanted: Wanted,
    },
    /// The files of an image, read-only.
    Image {
        /// As it was asked for.
        name: String,
        /// The digest of its configuration.
        id: String,
        subpath: String,
    },
    Tmpfs {
        /// Options for mount(2), as in `size=64m`.
        options: Vec<String>,
    },
}

impl Mount {
    /// Refuses a volume that could not be made.
    fn check_volume(&self) -> Result<()> {
        match &self.source {
            Source::Volume { name, wanted, .. } if matches!(wanted.driver.as_str(), "" | LOCAL) => {
                check_name(name).map_err(|error| error.context(format!("create {name}")))
            }
            _ => Ok(()),
        }
    }

    /// As `inspect` shows it. `place` is where a volume of that name lives, and its driver.
    pub(crate) fn point(&self, place: impl Fn(&str) -> (String, String)) -> MountPoint {
        let base = MountPoint {
            destination: self.destination.clone(),
            mode: self.mode.clone(),
            rw: !self.read_only,
            ..MountPoint::default()
        };
        match &self.source {
            Source::Bind { path, propagation, .. } => {
                MountPoint { kind: "bind".to_owned(), source: path.clone(), propagation: propagation.clone(), ..base }
            }
            Source::Volume { name, .. } => {
                let (source, driver) = place(name);
                let (name, driver) = (Some(name.clone()), Some(driver));
                MountPoint { kind: "volume".to_owned(), name, source, driver, ..base }
            }
            Source::Image { name, .. } => {
                MountPoint { kind: "image".to_owned(), name: Some(name.clone()), rw: false, ..base }
            }
            Source::Tmpfs { .. } => MountPoint { kind: "tmpfs".to_owned(), ..base },
        }
    }
}

/// The mounts of a container, in the order in which they are to be made. `inherited` are those of `--volumes-from`;
/// `new_name` names anonymous volumes.
///
/// # Errors
/// Docker's words for what is malformed or there twice.
pub(crate) fn plan(
    spec: &ContainerSpec,
    inherited: Vec<Mount>,
    mut new_name: impl FnMut() -> String,
) -> Result<Vec<Mount>> {
    let host = &spec.host;
    let by_name = Wanted { driver: host.volume_driver.clone(), ..Wanted::default() };
    let mut mounts = inherited;
    let mut given = BTreeSet::new();
    let mut explicit = Vec::new();
    for text in &host.binds {
        explicit.push(bind::parse(text, &by_name, &mut new_name)?);
    }
    for mount in &host.mounts {
        explicit.push(typed::parse(mount, &mut new_name)?);
    }
    for mount in explicit {
        if !given.insert(mount.destination.clone()) {
            return Err(Error::invalid(format!("Duplicate mount point: {}", mount.destination)));
        }
        // What is said here wins over what another container has at the same place.
        mounts.retain(|other| other.destination != mount.destination);
        mounts.push(mount);
    }
    for (target, options) in &host.tmpfs {
        tmpfs::check(options)?;
        let target = destination(target)?;
        if !given.insert(target.clone()) {
            return Err(Error::invalid(format!("Duplicate mount point: {target}")));
        }
        mounts.retain(|other| other.destination != target);
    }
    for path in &spec.volumes {
        let destination = image_volume(path).map_err(|error| bind::invalid(path, error))?;
        if !given.contains(&destination) && mounts.iter().all(|mount| mount.destination != destination) {
            let source = anonymous(&by_name, true, &mut new_name);
            mounts.push(Mount { source, destination, read_only: false, mode: String::new() });
        }
    }
    mounts.iter().try_for_each(Mount::check_volume)?;
    // A mount below another one has to be made after it.
    mounts.sort_by_key(|mount| mount.destination.matches('/').count());
    Ok(mounts)
}

/// A volume that nobody named.
fn anonymous(wanted: &Wanted, copy: bool, new_name: &mut impl FnMut() -> String) -> Source {
    let mut wanted = wanted.clone();
    wanted.labels.get_or_insert_default().insert(ANONYMOUS.to_owned(), String::new());
    Source::Volume { name: new_name(), anonymous: true, copy, subpath: String::new(), wanted }
}

/// The place of a volume without a source. An image may say `VOLUME data`: that is below the root, whatever the working
/// directory.
fn image_volume(path: &str) -> Result<String> {
    if path.is_empty() || path.starts_with('/') || path.contains(':') {
        return destination(path);
    }
    destination(&format!("/{path}"))
}

/// A path in the container: absolute, made clean, and not the root.
fn destination(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("invalid mount path: '{path}' mount path must be absolute")));
    }
    if path.contains('\0') {
        return Err(Error::invalid(format!("invalid mount path: {path:?} has a zero byte")));
    }
    match clean(path) {
        root if root == "/" => Err(Error::invalid("invalid specification: destination can't be '/'")),
        clean => Ok(clean),
    }
}

/// An absolute path without `.`, `..` and doubled slashes, by its text alone.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The propagations a mount may have (mount_namespaces(7)).
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MountSpec, TmpfsOptions};

    fn planned(change: impl FnOnce(&mut ContainerSpec)) -> Result<Vec<Mount>> {
        let mut spec = ContainerSpec::default();
        change(&mut spec);
        let mut count = 0;
        plan(&spec, Vec::new(), || {
            count += 1;
            format!("anonymous{count}")
        })
    }

    #[test]
    fn an_explicit_mount_takes_the_place_of_an_image_volume() {
        let mounts = planned(|spec| {
            spec.volumes = ["/data".to_owned(), "/other/".to_owned()].into();
            spec.host.binds = vec!["/srv:/data/:ro".into()];
        })
        .unwrap();
        let [data, other] = mounts.as_slice() else { panic!("{mounts:?}") };
        assert!(matches!(&data.source, Source::Bind { path, create: true, .. } if path == "/srv") && data.read_only);
        assert!(matches!(&other.source, Source::Volume { name, anonymous: true, .. } if name == "anonymous1"));
        assert_eq!(other.destination, "/other");
    }

    #[test]
    fn volumes_of_images_may_be_relative() {
        let mounts = planned(|spec| spec.volumes = ["data".to_owned(), "a/../b/".to_owned()].into()).unwrap();
        assert_eq!(mounts.iter().map(|mount| mount.destination.as_str()).collect::<Vec<_>>(), ["/b", "/data"]);
        for bad in ["", "/", ".", "x:y"] {
            assert!(planned(|spec| spec.volumes = [bad.to_owned()].into()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn outer_mounts_come_before_inner_ones() {
        let mounts = planned(|spec| spec.host.binds = vec!["/x:/a/b/c".into(), "/y:/a".into()]).unwrap();
        assert_eq!(mounts.iter().map(|mount| mount.destination.as_str()).collect::<Vec<_>>(), ["/a", "/a/b/c"]);
    }

    #[test]
    fn the_same_place_twice_is_refused() {
        let error = planned(|spec| spec.host.binds = vec!["/x:/a".into(), "/y:/a/".into()]).unwrap_err();
        assert_eq!(error.to_string(), "Duplicate mount point: /a");
    }

    #[test]
    fn binds_are_refused_in_dockers_words() {
        let refusal = |bind: &str| planned(|spec| spec.host.binds = vec![bind.to_owned()]).unwrap_err().to_string();
        assert_eq!(refusal("/x:/a:zz"), "invalid mode: zz");
        for both in ["ro,rw", "rw,rw", "z,Z", "shared,ro,slave"] {
            assert_eq!(refusal(&format!("/x:/a:{both}")), format!("invalid mode: {both}"));
        }
        assert_eq!(
            refusal("/x:a"),
            "invalid volume specification: '/x:a': invalid mount config for type \"bind\": invalid mount path: 'a' \
             mount path must be absolute"
        );
        assert_eq!(
            refusal("/x:/"),
            "invalid volume specification: '/x:/': invalid mount config for type \"bind\": invalid specification: \
             destination can't be '/'"
        );
        for (text, kind, field) in
            [("/x:/a:nocopy", "bind", "VolumeOptions"), ("x1:/a:rslave", "volume", "BindOptions")]
        {
            assert_eq!(
                refusal(text),
                format!(
                    "invalid volume specification: '{text}': invalid mount config for type \"{kind}\": field {field} must \
                     not be specified"
                )
            );
        }
        assert_eq!(
            refusal("./x:/a"),
            "create ./x: \"./x\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" \
             are allowed. If you intended to pass a host directory, use absolute path"
        );
    }

    #[test]
    fn typed_mounts_are_checked() {
        let mount = |kind: &str, source: &str, target: &str| MountSpec {
            kind: kind.into(),
            source: source.into(),
            target: target.into(),
            ..MountSpec::default()
        };
        let refusal = |mount: MountSpec| planned(|spec| spec.host.mounts = vec![mount]).unwrap_err().to_string();
        assert_eq!(
            refusal(mount("bind", "", "/a")),
            "invalid mount config for type \"bind\": field Source must not be empty"
        );
        assert_eq!(
            refusal(mount("bind", "/s", "")),
            "invalid mount config for type \"bind\": field Target must not be empty"
        );
        assert_eq!(refusal(mount("x", "/s", "/a")), "invalid mount config for type \"x\": mount type unknown");
        let negative = TmpfsOptions { size: i64::MIN, ..TmpfsOptions::default() };
        assert_eq!(
            refusal(MountSpec { tmpfs: Some(negative), ..mount("tmpfs", "", "/t") }),
            format!("invalid mount config for type \"tmpfs\": invalid tmpfs size: {}", i64::MIN)
        );
        let sized = MountSpec {
            tmpfs: Some(TmpfsOptions { size: 1024, mode: 0o700, ..TmpfsOptions::default() }),
            ..mount("tmpfs", "", "/t")
        };
        let mounts = planned(|spec| spec.host.mounts = vec![sized]).unwrap();
        assert!(matches!(&mounts[0].source, Source::Tmpfs { options } if options == &["size=1024", "mode=700"]));
    }
}
