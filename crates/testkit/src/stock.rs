//! A private stock Docker engine, to compare with and to be driven by our command line.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::{busybox_tar, eventually, finish, finish_with_input};

/// A running dockerd with roots of its own; without bridge and firewall rules, unless these are wanted.
#[derive(Debug)]
pub struct StockEngine {
    child: Child,
    /// Its exec root, in memory as `/run` is.
    _exec: Disk,
    folder: TempDir,
}

impl StockEngine {
    /// Starts it with further flags and imports busybox.
    ///
    /// # Panics
    /// When dockerd is not installed or does not start.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        Self::start_with(&[&["--bridge=none", "--iptables=false", "--ip6tables=false"], flags].concat())
    }

    /// One that makes bridges and rules, in the calling test's network.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn with_networks() -> Self {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Self {
        crate::isolate();
        let folder = tempfile::Builder::new().prefix("stock-").tempdir().expect("a folder");
        let exec = Disk::at(&folder.path().join("exec"), 256);
        let log = File::create(folder.path().join("log")).expect("a log file");
        let mut command = Command::new("dockerd");
        command.arg("--storage-driver=overlay2");
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(flag).arg(folder.path().join(name));
        }
        command.arg("--host").arg(format!("unix://{}", folder.path().join("docker.sock").display())).args(flags);
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("the log can be shared")).stdout(log);
        let child = command.spawn().expect("dockerd is installed (Debian: docker.io)");
        let engine = Self { child, _exec: exec, folder };
        eventually("dockerd answers", || {
            engine.command("docker", &["version"]).output().is_ok_and(|it| it.status.success())
        });
        engine.import_busybox();
        engine
    }

    /// A client program against it, not started yet.
    #[must_use]
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("HOME", self.folder.path()).env_remove("DOCKER_CONTEXT").env_remove("DOCKER_CONFIG");
        command.env("DOCKER_HOST", format!("unix://{}", self.folder.path().join("docker.sock").display()));
        command
    }

    /// As it was at its start, as far as scripts can have changed that: nothing but busybox.
    pub fn renew(&self) {
        let docker = |args: &[&str]| finish(&mut self.command("docker", args));
        for (list, remove) in [
            (&["ps", "-aq"][..], &["rm", "-fv"][..]),
            (&["volume", "ls", "-q"], &["volume", "rm", "-f"]),
            (&["network", "ls", "-q", "-f", "type=custom"], &["network", "rm"]),
            (&["images", "-aq", "--no-trunc"], &["rmi", "-f"]),
        ] {
            let found = docker(list).stdout();
            let mut found: Vec<&str> = found.lines().collect();
            found.dedup();
            if !found.is_empty() {
                docker(&[remove, &found[..]].concat());
            }
        }
        drop(std::fs::remove_dir_all(self.folder.path().join(".docker")));
        self.import_busybox();
    }

    fn import_busybox(&self) {
        let import = ["import", "-c", "CMD [\"sh\"]", "-", "busybox"];
        finish_with_input(&mut self.command("docker", &import), busybox_tar()).exits(0);
    }

    /// A folder of this engine's, for files of the test's own.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for StockEngine {
    fn drop(&mut self) {
        let ids = self.command("docker", &["ps", "-aq"]).output().map(|output| output.stdout).unwrap_or_default();
        for id in String::from_utf8_lossy(&ids).lines() {
            drop(self.command("docker", &["rm", "-f", id]).output());
        }
        // dockerd ends its containerd and unmounts its roots only when it is asked politely.
        let asked = kill_process(Pid::from_child(&self.child), Signal::TERM);
        debug_assert!(asked.is_ok(), "dockerd is our child");
        drop(self.child.wait());
    }
}
