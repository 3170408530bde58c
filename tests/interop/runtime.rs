//! `dhow runtime` in the hands of other engines.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dhow_testkit::{Outcome, StockEngine, busybox_rootfs, finish, finish_with_input};

use crate::DHOW;
use crate::podman::Podman;

/// A program that other engines can call like runc.
fn wrapper(folder: &Path) -> PathBuf {
    let path = folder.join("dhow-runtime");
    fs::write(&path, format!("#!/bin/sh\nexec {DHOW} runtime \"$@\"\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

/// Runs something by our runtime in a container without an image, whose root is a folder.
struct Runs {
    podman: Podman,
}

impl Runs {
    fn new() -> Self {
        let podman = Podman::new();
        busybox_rootfs(&podman.path().join("rootfs"));
        Self { podman }
    }

    fn command(&self, args: &[&str]) -> Command {
        let runtime = wrapper(self.podman.path()).display().to_string();
        self.podman.command(&[&["--runtime", &runtime], args].concat())
    }

    fn run(&self, flags: &[&str], words: &[&str]) -> Outcome {
        let rootfs = self.podman.path().join("rootfs").display().to_string();
        let begin = ["run", "--network", "none", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"];
        finish(&mut self.command(&[&begin, flags, &["--rootfs", &rootfs], words].concat()))
    }
}

#[test]
fn podman_runs_containers_with_our_runtime() {
    let podman = Runs::new();
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
