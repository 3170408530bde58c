//! What a container gets with its devices, as a runtime is told.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{self, Hooks, LinuxDevice, LinuxDeviceCgroup, LinuxIntelRdt, Spec};

use super::document::{DeviceNode, Edits, Hook, Mount};
use crate::launch::merge_environment;

/// Changes of a container, complete: nothing has to be looked up any more.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Injection {
    env: Vec<String>,
    /// With what may be done with each; nothing is said of pipes.
    devices: Vec<(LinuxDevice, Option<String>)>,
    mounts: Vec<runtime::Mount>,
    hooks: Hooks,
    intel_rdt: Option<LinuxIntelRdt>,
    groups: Vec<u32>,
}

impl Injection {
    /// Adds what a file or a device says.
    ///
    /// # Errors
    /// A node of the host that is not there, or is no device.
    pub(super) fn add(&mut self, edits: &Edits) -> Result<()> {
        self.env.extend(edits.env.iter().cloned());
        for node in &edits.device_nodes {
            self.devices.push(device(node)?);
        }
        self.mounts.extend(edits.mounts.iter().map(mount));
        edits.hooks.iter().for_each(|it| hook(&mut self.hooks, it));
        if edits.intel_rdt.is_some() {
            self.intel_rdt.clone_from(&edits.intel_rdt);
        }
        self.groups.extend(edits.additional_gids.iter().filter(|group| **group != 0));
        Ok(())
    }

    /// Changes the configuration. Where the person has something mounted, that stays; `groups`: the kernel lets the
    /// engine choose groups.
    pub(crate) fn apply(self, spec: &mut Spec, taken: impl Fn(&Path) -> bool, groups: bool) {
        let process = spec.process.get_or_insert_default();
        if !self.env.is_empty() {
            process.env = merge_environment(std::mem::take(&mut process.env), &self.env);
        }
        let user = &mut process.user;
        for group in self.groups.into_iter().filter(|_| groups) {
            if !user.additional_gids.contains(&group) {
                user.additional_gids.push(group);
            }
        }
        let (uid, gid) = (user.uid, user.gid);
        let linux = spec.linux.get_or_insert_default();
        for (mut device, access) in self.devices {
            // A device is of use to whom the container runs as.
            device.uid = device.uid.or(Some(uid));
            device.gid = device.gid.or(Some(gid));
            linux.devices.retain(|other| other.path != device.path);
            let rules = &mut linux.resources.get_or_insert_default().devices;
            rules.extend(access.map(|access| rule(&device, access)));
            linux.devices.push(device);
        }
        linux.intel_rdt = self.intel_rdt.or(linux.intel_rdt.take());
        let mut mounts = self.mounts;
        mounts.retain(|mount| !taken(&mount.destination));
        add_mounts(spec, mounts);
        if self.hooks != Hooks::default() {
            spec.hooks = Some(self.hooks);
        }
    }
}

/// What is mounted inside of another one comes after it, and is not covered. Without more mounts, all stay where they are.
fn add_mounts(spec: &mut Spec, mounts: Vec<runtime::Mount>) {
    if mounts.is_empty() {
        return;
    }
    for mount in mounts {
        spec.mounts.retain(|other| other.destination != mount.destination);
        spec.mounts.push(mount);
    }
    spec.mounts.sort_by_key(|mount| mount.destination.components().count());
}

fn rule(device: &LinuxDevice, access: String) -> LinuxDeviceCgroup {
    let kind = Some(device.kind.clone());
    LinuxDeviceCgroup { allow: true, kind, major: Some(device.major), minor: Some(device.minor), access: Some(access) }
}

/// A node; what the file leaves out is as on the host.
fn device(node: &DeviceNode) -> Result<(LinuxDevice, Option<String>)> {
    let host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    let mut device = LinuxDevice {
        kind: node.kind.clone(),
        path: PathBuf::from(&node.path),
        major: node.major,
        minor: node.minor,
        file_mode: node.file_mode,
        uid: node.uid,
        gid: node.gid,
    };
    if node.kind.is_empty() || node.major == 0 && node.kind != "p" {
        let (kind, major, minor) = of_host(host).context(|| format!("failed to stat CDI host device {host:?}"))?;
        if !node.kind.is_empty() && node.kind != kind {
            let (path, wanted) = (&node.path, &node.kind);
            return Err(Error::invalid(format!(
                "CDI device ({path:?}, {host:?}), host type mismatch ({wanted}, {kind})"
            )));
        }
        device.kind = kind.to_owned();
        if node.major == 0 && kind != "p" {
            (device.major, device.minor) = (major, minor);
        }
    }
    let access = if node.permissions.is_empty() { "rwm" } else { &node.permissions };
    let access = matches!(device.kind.as_str(), "b" | "c").then(|| access.to_owned());
    Ok((device, access))
}

fn of_host(path: &str) -> io::Result<(&'static str, i64, i64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    let kind = match metadata.file_type() {
        kind if kind.is_block_device() => "b",
        kind if kind.is_char_device() => "c",
        kind if kind.is_fifo() => "p",
        _ => return Err(io::Error::other("not a device node")),
    };
    let number = metadata.rdev();
    Ok((kind, i64::from(rustix::fs::major(number)), i64::from(rustix::fs::minor(number))))
}

fn mount(mount: &Mount) -> runtime::Mount {
    let mut options = mount.options.clone();
    // A folder of the host is bound, said or not.
    if mount.kind.is_empty() && !options.iter().any(|option| option == "bind" || option == "rbind") {
        options.insert(0, "rbind".to_owned());
    }
    runtime::Mount {
        destination: PathBuf::from(&mount.container_path),
        source: Some(PathBuf::from(&mount.host_path)),
        kind: Some(mount.kind.clone()).filter(|kind| !kind.is_empty()),
        options,
        ..runtime::Mount::default()
    }
}

fn hook(hooks: &mut Hooks, hook: &Hook) {
    let place = match hook.hook_name.as_str() {
        "prestart" => &mut hooks.prestart,
        "createRuntime" => &mut hooks.create_runtime,
        "createContainer" => &mut hooks.create_container,
        "startContainer" => &mut hooks.start_container,
        "poststart" => &mut hooks.poststart,
        _ => &mut hooks.poststop,
    };
    let (args, env) = (hook.args.clone(), hook.env.clone());
    place.push(runtime::Hook { path: PathBuf::from(&hook.path), args, env, timeout: hook.timeout });
}

#[cfg(test)]
mod tests {
    use dhow_oci::runtime::{Process, User};

    use super::super::document::Document;
    use super::*;

    fn injection(edits: &str) -> Result<Injection> {
        let text = format!("cdiVersion: 1.0.0\nkind: v.com/c\ndevices: [{{name: a, containerEdits: {{{edits}}}}}]");
        let document = Document::parse(&text).unwrap();
        let mut injection = Injection::default();
        injection.add(&document.devices[0].container_edits).map(|()| injection)
    }

    fn applied(edits: &str) -> Spec {
        let env = vec!["A=0".to_owned(), "B=0".to_owned()];
        let user = User { uid: 7, additional_gids: vec![5], ..User::default() };
        let mount = |path: &str| runtime::Mount { destination: path.into(), ..runtime::Mount::default() };
        let mut spec = Spec {
            process: Some(Process { env, user, ..Process::default() }),
            mounts: vec![mount("/proc"), mount("/a/b"), mount("/mine")],
            ..Spec::default()
        };
        injection(edits).unwrap().apply(&mut spec, |path| path == Path::new("/mine"), true);
        spec
    }

    #[test]
    fn what_is_left_out_is_as_on_the_host() {
        let spec =
            applied("deviceNodes: [{path: /dev/x, hostPath: /dev/null, permissions: rw, gid: 3, fileMode: 0640}]");
        let linux = spec.linux.unwrap();
        let device = &linux.devices[0];
        assert_eq!((device.kind.as_str(), device.major, device.minor, device.file_mode), ("c", 1, 3, Some(0o640)));
        assert_eq!((device.uid, device.gid), (Some(7), Some(3)));
        let rule = &linux.resources.unwrap().devices[0];
        assert_eq!((rule.allow, rule.major, rule.minor, rule.access.as_deref()), (true, Some(1), Some(3), Some("rw")));
        let given = applied("deviceNodes: [{path: /dev/no, type: b, major: 7, minor: 9}, {path: /run/p, type: p}]");
        let devices = given.linux.unwrap().devices;
        assert_eq!((devices[0].major, devices[0].minor, devices[1].kind.as_str()), (7, 9, "p"));
    }

    #[test]
    fn a_node_that_is_none_is_named() {
        let error = injection("deviceNodes: [{path: /dev/none}]").unwrap_err().to_string();
        assert!(error.starts_with("failed to stat CDI host device \"/dev/none\""), "{error}");
        let error = injection("deviceNodes: [{path: /etc/passwd}]").unwrap_err().to_string();
        assert!(error.ends_with("not a device node"), "{error}");
        let error = injection("deviceNodes: [{path: /d, hostPath: /dev/null, type: b}]").unwrap_err().to_string();
        assert_eq!(error, "CDI device (\"/d\", \"/dev/null\"), host type mismatch (b, c)");
    }

    #[test]
    fn mounts_stay_in_order_where_none_is_added() {
        for edits in ["env: [A=1]", "mounts: [{hostPath: /h, containerPath: /mine}]"] {
            let mounts = applied(edits).mounts;
            let mounts: Vec<_> = mounts.iter().map(|mount| mount.destination.to_str().unwrap()).collect();
            assert_eq!(mounts, ["/proc", "/a/b", "/mine"], "{edits}");
        }
    }

    #[test]
    fn environment_groups_mounts_and_hooks_are_added() {
        let spec = applied(
            "env: [B=1, C=2], additionalGids: [0, 5, 44], intelRdt: {closID: x}, hooks: [{hookName: poststop, path: /h}],
             mounts: [{hostPath: /h/b, containerPath: /a/b, options: [ro]}, {hostPath: /h/a, containerPath: /a, options: [bind]},
                      {hostPath: /h, containerPath: /mine}]",
        );
        let process = spec.process.unwrap();
        assert_eq!(process.env, ["A=0", "B=1", "C=2"]);
        assert_eq!(process.user.additional_gids, [5, 44]);
        let mounts: Vec<_> =
            spec.mounts.iter().map(|it| (it.destination.to_str().unwrap(), it.options.join(","))).collect();
        assert_eq!(
            mounts,
            [("/proc", ""), ("/mine", ""), ("/a", "bind"), ("/a/b", "rbind,ro")].map(|(a, b)| (a, b.to_owned()))
        );
        assert_eq!(spec.hooks.unwrap().poststop[0].path, PathBuf::from("/h"));
        assert_eq!(spec.linux.unwrap().intel_rdt.unwrap().clos_id.as_deref(), Some("x"));
    }
}
