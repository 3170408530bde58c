//! `dhow runtime` in the hands of other engines.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dhow_testkit::{Outcome, StockEngine, busybox_rootfs, finish, finish_with_input};
use tempfile::TempDir;

use crate::DHOW;

/// A program that other engines can call like runc.
fn wrapper(folder: &Path) -> PathBuf {
    let path = folder.join("dhow-runtime");
    fs::write(&path, format!("#!/bin/sh\nexec {DHOW} runtime \"$@\"\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

/// A podman with storage of its own.
struct Podman {
    folder: TempDir,
}

impl Podman {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        busybox_rootfs(&folder.path().join("rootfs"));
        Self { folder }
    }

    fn command(&self, args: &[&str]) -> Command {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("podman");
        command.arg("--root").arg(path("storage")).arg("--runroot").arg(path("run")).arg("--tmpdir").arg(path("tmp"));
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command.arg("--runtime").arg(wrapper(self.folder.path())).args(args);
        command
    }

    fn run(&self, flags: &[&str], words: &[&str]) -> Outcome {
        let rootfs = self.folder.path().join("rootfs").display().to_string();
        let begin = ["run", "--network", "none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"];
        finish(&mut self.command(&[&begin, flags, &["--rootfs", &rootfs], words].concat()))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.command(&["rm", "--all", "--force", "--time", "0"]).output());
        drop(self.command(&["system", "renumber"]).output());
        for mount in ["storage/overlay", "storage"] {
            drop(Command::new("umount").arg(self.folder.path().join(mount)).output());
        }
    }
}

#[test]
fn podman_runs_containers_with_our_runtime() {
    let podman = Podman::new();
    assert_eq!(podman.run(&["--rm"], &["echo", "by podman"]).ok(), "by podman");
    podman.run(&["--rm"], &["sh", "-c", "exit 12"]).exits(12);
    podman.run(&["--rm"], &["no-such-program"]).exits(127);
    podman.run(&["-d", "--name", "long"], &["sleep", "1000"]).exits(0);
    assert_eq!(finish(&mut podman.command(&["exec", "long", "echo", "inside"])).ok(), "inside");
    finish(&mut podman.command(&["exec", "long", "sh", "-c", "exit 5"])).exits(5);
    finish(&mut podman.command(&["stop", "--time", "0", "long"])).exits(0);
    finish(&mut podman.command(&["rm", "long"])).exits(0);
}

#[test]
fn docker_and_containerd_run_containers_with_our_runtime() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = format!("dhow={}", wrapper(folder.path()).display());
    let engine = StockEngine::start(&["--add-runtime", &runtime, "--default-runtime", "dhow"]);
    let docker = |args: &[&str]| finish(&mut engine.command("docker", args));
    assert_eq!(docker(&["run", "--rm", "busybox", "echo", "by docker"]).ok(), "by docker");
    docker(&["run", "--rm", "busybox", "sh", "-c", "exit 12"]).exits(12);
    docker(&["run", "--rm", "busybox", "no-such-program"]).exits(127);
    let input =
        finish_with_input(&mut engine.command("docker", &["run", "-i", "--rm", "busybox", "cat"]), b"through".to_vec());
    assert_eq!(input.ok(), "through");
    docker(&["run", "-dt", "--name", "box", "-m", "64m", "--pids-limit", "50", "busybox", "sh"]).exits(0);
    assert_eq!(docker(&["exec", "box", "echo", "inside"]).ok(), "inside");
    docker(&["pause", "box"]).exits(0);
    docker(&["unpause", "box"]).exits(0);
    docker(&["update", "-m", "80m", "--memory-swap", "80m", "box"]).exits(0);
    docker(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(docker(&["inspect", "-f", "{{.State.ExitCode}}", "box"]).ok(), "137");
    docker(&["rm", "box"]).exits(0);
}
