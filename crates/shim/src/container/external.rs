//! Processes made by another OCI runtime (`--runtime runc`).
//!
//! The runtime is a program that is run for each step; what it leaves running becomes the shim's child, because the
//! shim is a subreaper. Layers are mounted in a mount namespace of the shim's own, so the host sees nothing of them and
//! has nothing to unmount.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::runtime::{Process, Spec};
use rustix::fs::{CWD, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::{Born, first, overlay};
use crate::address;
use crate::program::{Program, Setting};
use crate::protocol::{Exec, Launch, Rootfs};
use crate::streams::Ends;

/// Names in the bundle.
const CONFIG: &str = "config.json";
const CONSOLE: &str = "console.sock";
const LOG: &str = "log.json";
const PID: &str = "pid";
const PROCESS: &str = "process.json";
const STATE: &str = "state";

/// How long a runtime may take for a step: less than an engine waits for a start or an exec, so that it hears why nothing
/// comes of it. Meanwhile the shim does nothing else.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long it may take to forget the container: an engine that waits longer for a shim's end ends it.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

const HINT: &str = "the runtime that --runtime names hangs; its own log may say why";

/// A container that another runtime has made.
#[derive(Debug)]
pub(super) struct External {
    program: PathBuf,
    id: String,
    /// Working directory of every run, with all the files that runs exchange; relative names keep within the length
    /// that a socket's address may have.
    bundle: PathBuf,
    directory: OwnedFd,
    /// Where layers were mounted.
    mounted: Option<PathBuf>,
}

impl External {
    pub(super) fn start(launch: &Launch, program: &Path) -> Result<(Self, Born)> {
        let bundle = launch.run_dir.join("bundle");
        fs::create_dir_all(&bundle).context(|| format!("make {}", bundle.display()))?;
        overlay::leave_the_host()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &bundle, flags, Mode::empty())
            .map_err(io::Error::from)
            .context(|| format!("open {}", bundle.display()))?;
        let mut runtime = Self { program: program.to_owned(), id: launch.id.clone(), bundle, directory, mounted: None };
        match runtime.create_and_start(launch) {
            Ok(born) => Ok((runtime, born)),
            Err(error) => {
                // The first error is the one to be told.
                let _ = runtime.delete();
                Err(error)
            }
        }
    }

    fn create_and_start(&mut self, launch: &Launch) -> Result<Born> {
        let root = self.root(launch)?;
        self.write(CONFIG, &spec_for(launch, root))?;
        let streams = Streams::new(&self.bundle, launch.tty, launch.stdin_open)?;
        let mut arguments = vec!["create", "--bundle", ".", "--pid-file", PID];
        arguments.extend(streams.arguments());
        arguments.push(&self.id);
        self.run(&arguments, streams.theirs.as_ref(), PATIENCE)?;
        let (pid, pidfd) = self.process()?;
        if launch.cgroup.is_none() {
            first::record(&launch.run_dir, pid)?;
        }
        let ends = streams.ends()?;
        self.run(&["start", &self.id], None, PATIENCE)?;
        Ok(Born { pid, pidfd, ends, warnings: Vec::new() })
    }

    pub(super) fn exec(&mut self, exec: &Exec) -> Result<Born> {
        self.write(PROCESS, &exec.process)?;
        let attached = exec.attach.as_ref();
        let mut streams =
            Streams::new(&self.bundle, exec.process.terminal, attached.is_some_and(|attach| attach.stdin))?;
        if attached.is_none() && !exec.process.terminal {
            streams = Streams { theirs: Some(Ends::nowhere()?), ours: Ends::default(), console: None };
        }
        let mut arguments = vec!["exec", "--detach", "--process", PROCESS, "--pid-file", PID];
        arguments.extend(streams.arguments());
        arguments.push(&self.id);
        self.run(&arguments, streams.theirs.as_ref(), PATIENCE)?;
        let (pid, pidfd) = self.process()?;
        Ok(Born { pid, pidfd, ends: streams.ends()?, warnings: Vec::new() })
    }

    /// Lets the runtime forget the container, and unmounts its layers.
    pub(super) fn delete(&self) -> Result<()> {
        let deleted = self.run(&["delete", "--force", &self.id], None, LAST_PATIENCE);
        let unmounted = self.mounted.as_deref().map_or(Ok(()), overlay::unmount);
        deleted.and(unmounted)
    }

    fn root(&mut self, launch: &Launch) -> Result<PathBuf> {
        match &launch.rootfs {
            Rootfs::Path(path) => Ok(path.clone()),
            Rootfs::Overlay { lower, upper, work, options } => {
                // Not below the run directory, which is removed with everything in it.
                let target = launch.container_dir.join("rootfs");
                overlay::mount(lower, [upper.as_path(), work.as_path()], options, &target)?;
                self.mounted = Some(target.clone());
                Ok(target)
            }
        }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.bundle.join(name);
        let json = serde_json::to_vec(value).map_err(|error| Error::internal("encode a bundle").with_cause(error))?;
        fs::write(&path, json).context(|| format!("write {}", path.display()))
    }

    /// The process whose number the runtime wrote down. It is ours to reap, so the number is still its own.
    fn process(&self) -> Result<(i32, OwnedFd)> {
        let path = self.bundle.join(PID);
        let text = fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
        let pid =
            text.trim().parse().map_err(|_| Error::data_loss(format!("{} holds no process id", path.display())))?;
        let pidfd =
            dhow_sys::process::open(pid).ok_or_else(|| Error::not_found(format!("process {pid} is gone already")))?;
        Ok((pid, pidfd))
    }

    /// Runs the runtime and waits for it, but not for ever.
    fn run(&self, arguments: &[&str], streams: Option<&[OwnedFd; 3]>, patience: Duration) -> Result<()> {
        let _ = fs::remove_file(self.bundle.join(LOG));
        let mut line: Vec<OsString> = vec![self.program.clone().into()];
        line.extend(["--root", STATE, "--log", LOG, "--log-format", "json"].map(OsString::from));
        line.extend(arguments.iter().map(OsString::from));
        let nowhere = if streams.is_none() { Some(Ends::nowhere()?) } else { None };
        let streams = streams.or(nowhere.as_ref()).map(|streams| streams.each_ref().map(AsFd::as_fd));
        let setting = Setting { streams, directory: Some(self.directory.as_fd()), own_group: true };
        let context = || format!("run {} {}", self.program.display(), arguments[0]);
        let process = Program::new(&line).and_then(|program| program.start(setting)).context(context)?;
        match process.wait_at_most(patience).context(context)? {
            Some(0) => Ok(()),
            None => {
                let text = format!("{}: it did not end within {} s, and was killed", context(), patience.as_secs());
                Err(Error::deadline(text).with_hint(HINT))
            }
            Some(code) => {
                Err(self.logged_error().unwrap_or_else(|| Error::internal(format!("{}: exit code {code}", context()))))
            }
        }
    }

    /// The last error in the runtime's log, with its class as far as the words tell.
    fn logged_error(&self) -> Option<Error> {
        #[derive(Deserialize)]
        struct Line {
            level: String,
            msg: String,
        }
        let log = fs::read_to_string(self.bundle.join(LOG)).ok()?;
        let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let message = lines.find(|line| line.level == "error" || line.level == "fatal")?.msg;
        let class = if message.contains("executable file not found") || message.contains("no such file or directory") {
            Class::NotFound
        } else if message.to_ascii_lowercase().contains("permission denied") {
            Class::PermissionDenied
        } else {
            Class::Internal
        };
        Some(Error::new(class, message))
    }
}

/// The streams of a process that the runtime makes: pipes, or a terminal that comes back over a socket.
struct Streams {
    theirs: Option<[OwnedFd; 3]>,
    ours: Ends,
    console: Option<std::os::unix::net::UnixListener>,
}

impl Streams {
    fn new(bundle: &Path, terminal: bool, stdin_open: bool) -> Result<Self> {
        if terminal {
            return Ok(Self { theirs: None, ours: Ends::default(), console: Some(address::listen(bundle, CONSOLE)?) });
        }
        let (theirs, ours) = Ends::pipes(stdin_open)?;
        Ok(Self { theirs: Some(theirs), ours, console: None })
    }

    fn arguments(&self) -> Vec<&'static str> {
        if self.console.is_some() { vec!["--console-socket", CONSOLE] } else { Vec::new() }
    }

    /// Our ends, when the runtime is done.
    fn ends(self) -> Result<Ends> {
        let Some(console) = self.console else { return Ok(self.ours) };
        // The runtime has ended, so what it wanted to send is here; without it nobody would ever come.
        console.set_nonblocking(true).context(|| "receive the terminal")?;
        let (socket, _) = console.accept().context(|| "receive the terminal")?;
        let mut fds = Vec::new();
        dhow_sys::fdpass::receive(&socket, &mut [0; 4096], &mut fds).context(|| "receive the terminal")?;
        Ends::terminal(fds.pop().ok_or_else(|| Error::internal("the runtime sent no terminal"))?)
    }
}

fn spec_for(launch: &Launch, root: PathBuf) -> Spec {
    let mut spec = launch.spec.clone();
    // Other runtimes refuse versions newer than themselves; fields they do not know they pass over.
    spec.oci_version = "1.0.2".to_owned();
    spec.root.get_or_insert_default().path = root;
    if let Some(linux) = &mut spec.linux {
        linux.cgroups_path.clone_from(&launch.cgroup);
    }
    let process: &mut Process = spec.process.get_or_insert_default();
    process.terminal = launch.tty;
    spec
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_runtime_that_hangs_is_ended_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("stuck");
        fs::write(&program, "#!/bin/sh\nsleep 1000\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let directory = fs::File::open(folder.path()).unwrap().into();
        let bundle = folder.path().to_owned();
        let runtime = External { program, id: "c".into(), bundle, directory, mounted: None };
        let error = runtime.run(&["create", "c"], None, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.class(), Class::DeadlineExceeded);
        assert!(error.to_string().ends_with("stuck create: it did not end within 0 s, and was killed"), "{error}");
    }
}
