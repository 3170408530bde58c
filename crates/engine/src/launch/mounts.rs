//! Everything mounted into a container, in order.

use std::path::PathBuf;

use dhow_oci::runtime::Mount as Entry;

use super::{IdMap, Sharing, Surroundings};
use crate::create::{Mount, Source};
use crate::spec::{ContainerSpec, HostSpec};

/// Bytes of /dev/shm where nobody says.
const SHM_SIZE: i64 = 64 << 20;

/// The default mounts, then what was asked for, then the engine's own files.
pub(super) fn all(
    spec: &ContainerSpec,
    planned: &[Mount],
    around: &Surroundings<'_>,
    writable_cgroups: bool,
) -> Vec<Entry> {
    let mut entries = kernel(spec, around, writable_cgroups);
    let taken = |destination: &str| {
        planned.iter().any(|mount| mount.destination == destination) || spec.host.tmpfs.contains_key(destination)
    };
    // A mount of the user's on the same place comes instead of ours, not on top.
    entries.retain(|entry| !entry.destination.to_str().is_some_and(&taken));
    let memory = spec.host.tmpfs.iter().map(|(target, options)| {
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        tmpfs(target, options, false)
    });
    let mut asked: Vec<Entry> = memory.chain(planned.iter().map(|mount| user(mount, around))).collect();
    // What is mounted inside of another one comes after it, and is not covered.
    asked.sort_by_key(|entry| entry.destination.components().count());
    entries.extend(asked);
    let files = around.files;
    for (source, target) in
        [(&files.resolv_conf, "/etc/resolv.conf"), (&files.hostname, "/etc/hostname"), (&files.hosts, "/etc/hosts")]
    {
        if !source.as_os_str().is_empty() && !taken(target) {
            let mut options = vec!["rbind", "rprivate"];
            if spec.host.readonly_rootfs {
                options.push("ro");
            }
            entries.push(entry(target, "bind", Some(source.clone()), &options));
        }
    }
    entries
}

/// The root's own propagation: a container that shares mounts with the host needs it.
pub(super) fn propagation(mounts: &[Mount]) -> Option<String> {
    let any = |wanted: [&str; 2]| {
        mounts.iter().any(
            |mount| matches!(&mount.source, Source::Bind { propagation, .. } if wanted.contains(&propagation.as_str())),
        )
    };
    if any(["shared", "rshared"]) {
        Some("rshared".to_owned())
    } else if any(["slave", "rslave"]) {
        Some("rslave".to_owned())
    } else {
        None
    }
}

fn entry(target: &str, kind: &str, source: Option<PathBuf>, options: &[&str]) -> Entry {
    Entry {
        destination: PathBuf::from(target),
        kind: Some(kind.to_owned()),
        source: source.or_else(|| Some(PathBuf::from(kind))),
        options: options.iter().map(ToString::to_string).collect(),
        ..Entry::default()
    }
}

/// /proc, /dev, /sys and what is below them.
fn kernel(spec: &ContainerSpec, around: &Surroundings<'_>, writable_cgroups: bool) -> Vec<Entry> {
    const STRICT: [&str; 3] = ["nosuid", "noexec", "nodev"];
    let host = &spec.host;
    let rootless = around.host.rootless;
    let bind = |target: &str, options: &[&str]| entry(target, "bind", Some(PathBuf::from(target)), options);
    // The kernel lets only the owner of a namespace mount its file system.
    let foreign = |mode: &str| rootless && Sharing::of(mode) == Sharing::Host;
    let writable = |yes| if yes { "rw" } else { "ro" };
    let access = writable(host.privileged);
    let mut entries = vec![
        if foreign(&host.pid_mode) {
            bind("/proc", &["rbind", "nosuid", "noexec", "nodev"])
        } else {
            entry("/proc", "proc", None, &STRICT)
        },
        entry("/dev", "tmpfs", None, &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        devpts(around.host.tty_group),
        if foreign(&host.network_mode) {
            bind("/sys", &["rbind", "nosuid", "noexec", "nodev", access])
        } else {
            entry("/sys", "sysfs", None, &["nosuid", "noexec", "nodev", access])
        },
        entry("/sys/fs/cgroup", "cgroup", None, &[writable(writable_cgroups), "nosuid", "noexec", "nodev"]),
    ];
    entries.extend(ipc(spec, around));
    entries
}

/// /dev/mqueue and /dev/shm, which belong to the IPC namespace.
fn ipc(spec: &ContainerSpec, around: &Surroundings<'_>) -> Vec<Entry> {
    const STRICT: [&str; 3] = ["nosuid", "noexec", "nodev"];
    let host = &spec.host;
    let bind =
        |target: &str, source: PathBuf| entry(target, "bind", Some(source), &["rbind", "nosuid", "noexec", "nodev"]);
    let mqueue = entry("/dev/mqueue", "mqueue", None, &STRICT);
    if Sharing::of(&host.ipc_mode) == Sharing::Host {
        let mut entries = vec![bind("/dev/shm", PathBuf::from("/dev/shm"))];
        if around.host.mqueue {
            entries.push(bind("/dev/mqueue", PathBuf::from("/dev/mqueue")));
        }
        return entries;
    }
    if host.ipc_mode == "none" {
        return vec![mqueue];
    }
    if let Some(shared) = around.shm {
        return vec![mqueue, bind("/dev/shm", shared.to_path_buf())];
    }
    let size = format!("size={}", shm_size(host));
    let shm =
        entry("/dev/shm", "tmpfs", Some(PathBuf::from("shm")), &["nosuid", "noexec", "nodev", "mode=1777", &size]);
    vec![mqueue, shm]
}

/// How many bytes /dev/shm may hold.
pub(crate) fn shm_size(host: &HostSpec) -> i64 {
    if host.shm_size > 0 { host.shm_size } else { SHM_SIZE }
}

fn devpts(tty_group: bool) -> Entry {
    let mut options = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if tty_group {
        options.push("gid=5");
    }
    entry("/dev/pts", "devpts", None, &options)
}

fn user(mount: &Mount, around: &Surroundings<'_>) -> Entry {
    match &mount.source {
        Source::Bind { path, propagation, recursive, only_itself, .. } => {
            let bind = if *recursive { "rbind" } else { "bind" };
            let mut entry = entry(&mount.destination, "bind", Some(PathBuf::from(path)), &[bind, propagation]);
            entry.options.extend(access(mount.read_only, *recursive && !only_itself));
            if let Some(IdMap { user, group }) = around.id_maps.get(&mount.destination) {
                entry.options.push("idmap".to_owned());
                (entry.uid_mappings, entry.gid_mappings) = (vec![user.clone()], vec![group.clone()]);
            }
            entry
        }
        Source::Volume { name, subpath, .. } => {
            let path = around.volumes.get(name).cloned().unwrap_or_default();
            let mut entry = entry(&mount.destination, "bind", Some(path), &["rbind", "rprivate"]);
            entry.options.extend(access(mount.read_only, true));
            // The runtime finds it, in the moment when it mounts: containers write there, links to the host among the rest.
            entry.options.extend((!subpath.is_empty()).then(|| format!("x-dhow.subpath={subpath}")));
            entry
        }
        Source::Image { subpath, .. } => {
            let path = around.images.get(&mount.destination).cloned();
            let mut entry = entry(&mount.destination, "bind", path, &["bind", "rprivate", "ro"]);
            entry.options.extend((!subpath.is_empty()).then(|| format!("x-dhow.subpath={subpath}")));
            entry
        }
        Source::Tmpfs { options } => tmpfs(&mount.destination, options.clone(), mount.read_only),
    }
}

/// A mount that may be written says nothing: what the host has read-only must not become writable by being bound.
fn access(read_only: bool, recursive: bool) -> Vec<String> {
    let words: &[&str] = match (read_only, recursive) {
        (false, _) => &[],
        (true, false) => &["ro"],
        (true, true) => &["ro", "rro"],
    };
    words.iter().map(ToString::to_string).collect()
}

/// Docker's defaults for a tmpfs, with what was asked for behind them, so that it wins.
fn tmpfs(target: &str, options: Vec<String>, read_only: bool) -> Entry {
    let mut all = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    all.push(if read_only { "ro" } else { "rw" }.to_owned());
    all.extend(options);
    Entry { options: all, ..entry(target, "tmpfs", None, &[]) }
}
