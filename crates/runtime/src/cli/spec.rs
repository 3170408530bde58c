//! `spec`: a config.json to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{
    Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxIdMapping, LinuxNamespace, LinuxResources, Mount, PosixRlimit,
    Process, Root, Spec,
};

use super::{Globals, flag, path};

pub(crate) fn command() -> Command {
    Command::new("spec")
        .about("write a config.json to begin with")
        .arg(path("bundle").short('b').default_value("."))
        .arg(flag("rootless").help("for an ordinary user"))
}

pub(crate) fn run(_: &Globals, matches: &ArgMatches) -> Result<u8> {
    let mut spec = spec();
    if matches.get_flag("rootless") {
        for_ordinary_user(&mut spec);
    }
    let text = serde_json::to_string_pretty(&spec).map_err(|error| Error::internal("spec").with_cause(error))?;
    let file = matches.get_one::<PathBuf>("bundle").expect("it has a default").join("config.json");
    write_new(&file, &text)?;
    Ok(0)
}

/// Never over somebody's work.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).context(|| format!("write {}", path.display()))?;
    file.write_all(text.as_bytes()).context(|| format!("write {}", path.display()))
}

fn spec() -> Spec {
    Spec {
        oci_version: "1.2.0".into(),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        process: Some(process()),
        hostname: Some("dhow".into()),
        mounts: mounts(),
        linux: Some(linux()),
        ..Spec::default()
    }
}

fn process() -> Process {
    let capabilities = strings(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        args: strings(&["sh"]),
        env: strings(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
        cwd: "/".into(),
        capabilities: Some(LinuxCapabilities {
            bounding: capabilities.clone(),
            effective: capabilities.clone(),
            permitted: capabilities,
            ..LinuxCapabilities::default()
        }),
        rlimits: vec![PosixRlimit { kind: "RLIMIT_NOFILE".into(), soft: 1024, hard: 1024 }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn mounts() -> Vec<Mount> {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| Mount {
        destination: target.into(),
        kind: Some(kind.into()),
        source: Some(source.into()),
        options: strings(options),
        ..Mount::default()
    };
    let closed = ["nosuid", "noexec", "nodev"];
    let with = |more: &[&'static str]| [&closed, more].concat();
    vec![
        mount("/proc", "proc", "proc", &closed),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &with(&["mode=1777", "size=65536k"])),
        mount("/dev/mqueue", "mqueue", "mqueue", &closed),
        mount("/sys", "sysfs", "sysfs", &with(&["ro"])),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &with(&["relatime", "ro"])),
    ]
}

fn linux() -> Linux {
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let nothing = LinuxDeviceCgroup { allow: false, access: Some("rwm".into()), ..LinuxDeviceCgroup::default() };
    Linux {
        resources: Some(LinuxResources { devices: vec![nothing], ..LinuxResources::default() }),
        namespaces: namespaces.map(|kind| LinuxNamespace { kind: kind.into(), path: None }).into(),
        masked_paths: strings(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        readonly_paths: strings(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        ..Linux::default()
    }
}

/// A user namespace with the one id that needs no privilege, and nothing that needs another.
fn for_ordinary_user(spec: &mut Spec) {
    let own = |id: u32| vec![LinuxIdMapping { container_id: 0, host_id: id, size: 1 }];
    let linux = spec.linux.get_or_insert_default();
    linux.namespaces.retain(|namespace| namespace.kind != "network");
    linux.namespaces.push(LinuxNamespace { kind: "user".into(), path: None });
    linux.uid_mappings = own(rustix::process::geteuid().as_raw());
    linux.gid_mappings = own(rustix::process::getegid().as_raw());
    linux.resources = None;
    for mount in &mut spec.mounts {
        mount.options.retain(|word| word != "gid=5");
    }
    spec.mounts.retain(|mount| mount.destination.as_os_str() != "/sys");
    spec.mounts.push(Mount {
        destination: "/sys".into(),
        kind: Some("none".into()),
        source: Some("/sys".into()),
        options: strings(&["rbind", "nosuid", "noexec", "nodev", "ro"]),
        ..Mount::default()
    });
    spec.mounts.retain(|mount| mount.destination.as_os_str() != "/sys/fs/cgroup");
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
