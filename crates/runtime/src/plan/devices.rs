//! Device nodes and links in the container's /dev.

use std::ffi::CString;

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{LinuxDevice, Spec};
use rustix::fs::{Dev, FileType, Gid, Mode, Uid, makedev};

use super::cstring;
use super::mounts::lexically_clean;

/// A device node.
#[derive(Debug)]
pub(crate) struct Device {
    /// Its path, without the leading slash.
    pub(crate) path: CString,
    /// The same on the host, to be bound where nodes cannot be made.
    pub(crate) host_path: CString,
    pub(crate) kind: FileType,
    pub(crate) mode: Mode,
    pub(crate) number: Dev,
    pub(crate) owner: Option<(Uid, Gid)>,
}

/// The devices every container has (runtime-spec, "Default Devices"); /dev/console and /dev/ptmx apart.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The links every container has ("Dev symbolic links"): name in /dev, target.
pub(crate) const LINKS: [(&std::ffi::CStr, &std::ffi::CStr); 5] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"ptmx", c"pts/ptmx"),
];

const DEFAULT_MODE: u32 = 0o666;

/// The nodes of a spec with the defaults it does not mention; none where the host's own /dev is bound there.
pub(crate) fn plan(spec: &Spec) -> Result<Option<Vec<Device>>> {
    if spec.mounts.iter().any(is_bound_dev) {
        return Ok(None);
    }
    let wanted = spec.linux.as_ref().map(|linux| linux.devices.as_slice()).unwrap_or_default();
    let is = |device: &LinuxDevice, path: &str| lexically_clean(&device.path.to_string_lossy()) == path;
    // The container's own multiplexer is a link into its devpts; the host's would give it terminals of the host.
    let wanted: Vec<&LinuxDevice> = wanted.iter().filter(|device| !is(device, "/dev/ptmx")).collect();
    let mut devices = wanted.iter().map(|device| Device::of(device)).collect::<Result<Vec<_>>>()?;
    for (path, major, minor) in DEFAULT {
        if !wanted.iter().any(|device| is(device, path)) {
            devices.push(Device::character(path, major, minor)?);
        }
    }
    Ok(Some(devices))
}

fn is_bound_dev(mount: &dhow_oci::runtime::Mount) -> bool {
    let bind = |word: &String| word == "bind" || word == "rbind";
    lexically_clean(&mount.destination.to_string_lossy()) == "/dev"
        && (mount.kind.as_deref() == Some("bind") || mount.options.iter().any(bind))
}

impl Device {
    fn character(path: &str, major: u32, minor: u32) -> Result<Self> {
        Ok(Self {
            path: cstring(&path[1..])?,
            host_path: cstring(path)?,
            kind: FileType::CharacterDevice,
            mode: Mode::from_raw_mode(DEFAULT_MODE),
            number: makedev(major, minor),
            owner: None,
        })
    }

    fn of(device: &LinuxDevice) -> Result<Self> {
        let kind = match device.kind.as_str() {
            "c" | "u" => FileType::CharacterDevice,
            "b" => FileType::BlockDevice,
            "p" => FileType::Fifo,
            other => return Err(Error::invalid(format!("device {}: unknown type {other:?}", device.path.display()))),
        };
        let number = if kind == FileType::Fifo { makedev(0, 0) } else { number(device)? };
        let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
        Ok(Self {
            path: cstring(&lexically_clean(&device.path.to_string_lossy())[1..])?,
            host_path: cstring(device.path.as_os_str())?,
            kind,
            mode: Mode::from_raw_mode(device.file_mode.unwrap_or(DEFAULT_MODE) & 0o7777),
            number,
            owner: ((uid, gid) != (0, 0)).then(|| (Uid::from_raw(uid), Gid::from_raw(gid))),
        })
    }
}

/// The numbers of a node. A spec that leaves them out says 0:0, which is no device: a character device of this number in
/// an overlay's writable layer even hides what is below it. -1 is the wildcard of device rules, and no number of a node.
fn number(device: &LinuxDevice) -> Result<Dev> {
    let part = |value: i64, most: u32| u32::try_from(value).ok().filter(|value| *value <= most);
    // The kernel's numbers have 12 and 20 bits (MAJOR and MINOR in linux/kdev_t.h).
    match (part(device.major, 0xfff), part(device.minor, 0xf_ffff)) {
        (Some(major), Some(minor)) if (major, minor) != (0, 0) => Ok(makedev(major, minor)),
        _ => Err(Error::invalid(format!(
            "device {}: {}:{} is no device; type {:?} needs its major and minor number",
            device.path.display(),
            device.major,
            device.minor,
            device.kind
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_oci::runtime::{Linux, Mount};

    #[test]
    fn a_default_gives_way_to_the_specs_own() {
        let null = LinuxDevice { file_mode: Some(0o600), ..device("/dev/null", "c", 1, 3) };
        let spec = Spec { linux: Some(Linux { devices: vec![null], ..Default::default() }), ..Default::default() };
        let devices = plan(&spec).unwrap().unwrap();
        assert_eq!(devices.len(), DEFAULT.len());
        assert_eq!(devices[0].mode.as_raw_mode(), 0o600);
    }

    fn device(path: &str, kind: &str, major: i64, minor: i64) -> LinuxDevice {
        LinuxDevice { path: path.into(), kind: kind.into(), major, minor, ..Default::default() }
    }

    #[test]
    fn a_node_needs_numbers_and_a_fifo_does_not() {
        for (major, minor) in [(0, 0), (-1, 3), (1, -1), (4096, 0), (1, 1 << 20), (i64::MAX, 0)] {
            for kind in ["c", "u", "b"] {
                let error = Device::of(&device("/dev/x", kind, major, minor)).unwrap_err().to_string();
                assert!(error.starts_with(&format!("device /dev/x: {major}:{minor} is no device")), "{error}");
            }
            assert!(Device::of(&device("/dev/x", "p", major, minor)).is_ok());
        }
        // What has a major number of 0 only: file systems without a device of their own.
        assert_eq!(Device::of(&device("/dev/x", "b", 0, 5)).unwrap().number, makedev(0, 5));
    }

    #[test]
    fn the_hosts_dev_stays_as_it_is() {
        let bind = Mount { destination: "/dev/".into(), options: vec!["rbind".into()], ..Default::default() };
        assert!(plan(&Spec { mounts: vec![bind], ..Default::default() }).unwrap().is_none());
    }
}
