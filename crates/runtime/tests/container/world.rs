//! A world for one test: a root file system made of busybox, a spec to change, and a way to run it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{Linux, LinuxCapabilities, LinuxIdMapping, LinuxNamespace, Mount, Process, Root, Spec};
use dhow_runtime::{Create, Exec, Init, Rootfs, Started, Stdio, Target, create, exec};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

/// Docker's default capabilities.
pub(crate) const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A bundle in a temporary directory.
pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) spec: Spec,
    pub(crate) id: String,
}

/// What came out of a container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A running container with its streams.
pub(crate) struct Running {
    /// Keeps the root file system.
    world: Option<World>,
    pid: i32,
    /// Taken when it is reaped.
    pidfd: Option<OwnedFd>,
    out: File,
    err: File,
}

/// Whether this machine lets the test run; says so visibly when not.
pub(crate) fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root || !Path::new("/bin/busybox").exists() {
        eprintln!("SKIPPED: needs root and a static /bin/busybox");
        return false;
    }
    true
}

impl World {
    /// A container that would run this command with busybox's shell.
    pub(crate) fn shell(script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new().prefix("dhow-runtime-").tempdir().unwrap();
        // A user namespace's root has to be able to walk here.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = directory.path().join("rootfs");
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "root"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
            .unwrap();
        let id = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { directory, spec: spec(script), id }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    pub(crate) fn linux(&mut self) -> &mut Linux {
        self.spec.linux.get_or_insert_default()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.spec.process.get_or_insert_default()
    }

    pub(crate) fn script(&mut self, script: &str) {
        self.process().args = vec!["sh".into(), "-c".into(), script.into()];
    }

    pub(crate) fn mount(&mut self, destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) {
        self.spec.mounts.push(mount(destination, kind, source, options));
    }

    /// Removes a namespace from the spec, or replaces it by one at a path.
    pub(crate) fn namespace(&mut self, kind: &str, path: Option<&str>) {
        let namespaces = &mut self.linux().namespaces;
        namespaces.retain(|namespace| namespace.kind != kind);
        if let Some(path) = path {
            let path = (!path.is_empty()).then(|| path.into());
            namespaces.push(LinuxNamespace { kind: kind.into(), path });
        }
    }

    /// A user namespace whose root is an ordinary id outside.
    pub(crate) fn user_namespace(&mut self) {
        self.namespace("user", Some(""));
        let map = vec![LinuxIdMapping { container_id: 0, host_id: 100_000, size: 65536 }];
        (self.linux().uid_mappings, self.linux().gid_mappings) = (map.clone(), map);
    }

    pub(crate) fn request(&self) -> Create<'_> {
        Create::new(&self.id, &self.spec, self.path(), Rootfs::Path(Box::leak(self.rootfs().into_boxed_path())))
    }

    /// Creates with pipes for output.
    pub(crate) fn create(&self) -> Result<(Init, File, File)> {
        self.create_in(None)
    }

    pub(crate) fn create_in(&self, cgroup: Option<&Cgroup>) -> Result<(Init, File, File)> {
        let (out, stdout) = pipe();
        let (err, stderr) = pipe();
        let mut request = self.request();
        let stdin = OwnedFd::from(File::open("/dev/null").unwrap());
        request.stdio = Stdio::Fds { stdin, stdout, stderr };
        request.cgroup = cgroup;
        Ok((create(request)?, out, err))
    }

    pub(crate) fn start(&self) -> Result<Running> {
        let (init, out, err) = self.create()?;
        Ok(Running::new(init.start()?, out, err))
    }

    /// Starts a container that does nothing, and waits until it runs.
    pub(crate) fn sleep(mut self) -> Running {
        self.script("echo up; sleep 1000");
        let mut running = self.start().unwrap();
        assert_eq!(running.line(), "up");
        running.world = Some(self);
        running
    }

    /// Starts in a cgroup.
    pub(crate) fn start_in(&self, cgroup: &Cgroup) -> Running {
        let (init, out, err) = self.create_in(Some(cgroup)).unwrap();
        Running::new(init.start().unwrap(), out, err)
    }

    pub(crate) fn run(&self) -> Result<Outcome> {
        Ok(self.start()?.wait())
    }

    /// Runs and returns what was printed; the command must succeed.
    pub(crate) fn output(&self) -> String {
        let outcome = self.run().unwrap();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        outcome.out.trim_end().to_owned()
    }

    pub(crate) fn error(&self) -> Error {
        match self.run() {
            Err(error) => error,
            Ok(outcome) => panic!("it ran: {outcome:?}"),
        }
    }
}

impl Running {
    fn new(started: Started, out: File, err: File) -> Self {
        Self { world: None, pid: started.pid, pidfd: Some(started.pidfd), out, err }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn wait(mut self) -> Outcome {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        Outcome { status: reap(self.pidfd.take().unwrap()), out, err }
    }

    /// The first line of its output, which tells that it has come so far.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    pub(crate) fn kill(self) -> Outcome {
        pidfd_send_signal(self.pidfd.as_ref().unwrap(), Signal::KILL).unwrap();
        self.wait()
    }

    /// Runs one more process in the container.
    pub(crate) fn exec(&self, process: &Process) -> Result<Outcome> {
        self.exec_in(process, None)
    }

    pub(crate) fn exec_in(&self, process: &Process, cgroup: Option<&Cgroup>) -> Result<Outcome> {
        let target = Target::open(self.pid())?;
        let (mut out, stdout) = pipe();
        let (mut err, stderr) = pipe();
        let stdin = OwnedFd::from(File::open("/dev/null").unwrap());
        let stdio = Stdio::Fds { stdin, stdout, stderr };
        let child = exec(Exec { stdio, cgroup, ..Exec::new(&target, process) })?;
        let (mut out_text, mut err_text) = (String::new(), String::new());
        out.read_to_string(&mut out_text).unwrap();
        err.read_to_string(&mut err_text).unwrap();
        Ok(Outcome { status: reap(child.pidfd), out: out_text, err: err_text })
    }
}

impl Drop for Running {
    /// A test that failed half-way leaves no process either.
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            reap(pidfd);
        }
    }
}

/// The exit code, 128 + n for a signal.
pub(crate) fn reap(pidfd: OwnedFd) -> i32 {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap())
}

pub(crate) fn pipe() -> (File, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (File::from(read), write)
}

pub(crate) fn mount(destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(source.as_ref().into()),
        options: options.iter().map(|word| (*word).to_owned()).collect(),
        ..Default::default()
    }
}

pub(crate) fn shell(script: &str) -> Process {
    let names: Vec<String> = CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    Process {
        args: vec!["sh".into(), "-c".into(), script.into()],
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        capabilities: Some(LinuxCapabilities {
            bounding: names.clone(),
            effective: names.clone(),
            permitted: names,
            ..Default::default()
        }),
        ..Default::default()
    }
}

const APPLETS: [&str; 32] = [
    "sh", "cat", "echo", "id", "ls", "true", "false", "sleep", "mount", "umount", "readlink", "stat", "grep", "touch",
    "mkdir", "hostname", "env", "pwd", "ip", "wc", "tty", "head", "chown", "mknod", "kill", "dd", "rm", "ps", "tr",
    "sort", "nsenter", "stty",
];

fn spec(script: &str) -> Spec {
    let namespaces = ["mount", "pid", "network", "ipc", "uts", "cgroup"];
    let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect();
    Spec {
        oci_version: "1.2.0".into(),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        process: Some(shell(script)),
        hostname: Some("lab".into()),
        mounts: vec![
            mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]),
            mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        linux: Some(Linux {
            namespaces: namespaces.map(|kind| LinuxNamespace { kind: kind.into(), path: None }).into(),
            masked_paths: paths(&["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]),
            readonly_paths: paths(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
            ..Default::default()
        }),
        ..Default::default()
    }
}
