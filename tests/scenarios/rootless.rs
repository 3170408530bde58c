//! The lifecycle once more, as an ordinary user: engine on demand, one user id, no set-up.
//!
//! As root the tests become a user without name and rights of any kind; as an ordinary user they stay that user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use dhow_testkit::{Outcome, busybox_tar, eventually, finish, finish_with_input};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use tempfile::TempDir;

/// No machine has a user of that number.
const NOBODY_IN_PARTICULAR: u32 = 54_321;

/// The home of an ordinary user, with the XDG folders in it.
struct Home {
    folder: TempDir,
    /// A copy of the binary: the build's own folder may be closed to others.
    binary: PathBuf,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dhow-home-").tempdir().expect("a folder");
        let binary = folder.path().join("dhow-binary");
        fs::copy(env!("CARGO_BIN_EXE_dhow"), &binary).expect("copied");
        fs::create_dir(folder.path().join("run")).expect("made");
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o700)).expect("set");
        if geteuid().is_root() {
            for path in [folder.path().to_owned(), binary.clone(), folder.path().join("run")] {
                chown(path, Some(NOBODY_IN_PARTICULAR), Some(NOBODY_IN_PARTICULAR)).expect("given away");
            }
        }
        Self { folder, binary }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(self.folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.folder.path()).env("XDG_RUNTIME_DIR", self.folder.path().join("run"));
        if geteuid().is_root() {
            command.uid(NOBODY_IN_PARTICULAR).gid(NOBODY_IN_PARTICULAR);
        }
        command
    }

    fn dhow(&self, args: &[&str]) -> Outcome {
        finish(&mut self.command(args))
    }

    fn with_busybox() -> Self {
        let home = Self::new();
        finish_with_input(&mut home.command(&["import", "-", "busybox"]), busybox_tar()).exits(0);
        home
    }

    fn engine(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.folder.path().join("run/dhow/dhow.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for id in self.dhow(&["ps", "-aq"]).stdout().lines() {
            self.dhow(&["rm", "-f", id]);
        }
        if let Some(engine) = self.engine() {
            kill_process(engine, Signal::TERM).expect("the pid file names the engine of this home");
            eventually("the engine ended", || test_kill_process(engine).is_err());
        }
    }
}

#[test]
fn hello_world_without_root_and_without_set_up() {
    let home = Home::new();
    assert!(home.dhow(&["run", "--rm", "hello-world"]).ok().contains("Hello from dhow!"));
    assert!(home.folder.path().join(".local/share/dhow/metadata.db").exists());
}

#[test]
fn a_life_without_root() {
    let home = Home::with_busybox();
    home.dhow(&["run", "--rm", "busybox", "sh", "-c", "exit 9"]).exits(9);
    assert_eq!(home.dhow(&["run", "--rm", "busybox", "id", "-u"]).ok(), "0");
    home.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    home.dhow(&["exec", "box", "sh", "-c", "echo kept > /file"]).exits(0);
    home.dhow(&["stop", "-t", "0", "box"]).exits(0);
    home.dhow(&["start", "box"]).exits(0);
    assert_eq!(home.dhow(&["exec", "box", "cat", "/file"]).ok(), "kept");
    home.dhow(&["kill", "box"]).exits(0);
    assert_eq!(home.dhow(&["wait", "box"]).ok(), "137");
    home.dhow(&["rm", "box"]).exits(0);
}

#[test]
fn streams_and_logs_without_root() {
    let home = Home::with_busybox();
    let data: Vec<u8> = (0..200_000u32).map(|n| (n >> 4) as u8).collect();
    let echoed = finish_with_input(&mut home.command(&["run", "-i", "--rm", "busybox", "cat"]), data.clone());
    assert!(echoed.stdout_bytes() == data);
    home.dhow(&["run", "--name", "said", "busybox", "sh", "-c", "echo out; echo err >&2"]).exits(0);
    let logs = home.dhow(&["logs", "said"]);
    assert_eq!((logs.stdout().as_str(), logs.stderr().as_str()), ("out\n", "err\n"));
}

#[test]
fn networks_none_and_host_without_root() {
    let home = Home::with_busybox();
    let host = fs::read_link("/proc/self/ns/net").expect("a namespace").display().to_string();
    let inside = |network: &str| {
        home.dhow(&["run", "--rm", "--network", network, "busybox", "readlink", "/proc/self/ns/net"]).ok()
    };
    assert_eq!(inside("host"), host);
    assert_ne!(inside("none"), host);
}

#[test]
fn limits_that_cannot_be_set_are_said_and_do_not_stop_the_container() {
    let home = Home::with_busybox();
    let output = home.dhow(&["run", "--rm", "-m", "64m", "busybox", "echo", "runs"]);
    assert_eq!(output.stdout(), "runs\n");
    // Where the cgroup is delegated the limit is set, and there is nothing to say.
    assert!(output.code() == 0, "{output:?}");
}

#[test]
fn containers_survive_the_engine_without_root() {
    let home = Home::with_busybox();
    home.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let engine = home.engine().expect("it runs");
    kill_process(engine, Signal::KILL).expect("the engine of this home");
    eventually("the engine is gone", || test_kill_process(engine).is_err());
    // The next command starts another engine, which finds the container.
    assert_eq!(home.dhow(&["inspect", "-f", "{{.State.Status}}", "box"]).ok(), "running");
    home.dhow(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(home.dhow(&["inspect", "-f", "{{.State.ExitCode}}", "box"]).ok(), "137");
    home.dhow(&["rm", "-f", "box"]).exits(0);
}
