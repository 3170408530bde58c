//! The engine is started by the first command that needs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dhow_testkit::{busybox_tar, eventually, finish, finish_with_input};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::DHOW;

fn client(folder: &Path, args: &[&str]) -> Command {
    dhow_testkit::isolate();
    let mut command = Command::new(dhow_testkit::binary(DHOW.as_ref()));
    command.args(args).env("DHOW_DATA_ROOT", folder.join("data")).env("DHOW_EXEC_ROOT", folder.join("exec"));
    command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").env("HOME", folder);
    command
}

/// A folder for an engine that nobody else knows. A test that fails before it has ended the engine leaves none.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.path().join("exec/dhow.pid").exists() {
            end_engine(self.path());
        }
    }
}

fn end_engine(folder: &Path) {
    kill_engine(folder, Signal::TERM);
}

fn kill_engine(folder: &Path, signal: Signal) {
    let text = fs::read_to_string(folder.join("exec/dhow.pid")).expect("an engine runs");
    let pid = Pid::from_raw(text.trim().parse().expect("a pid")).expect("not 0");
    kill_process(pid, signal).expect("the engine of this folder");
    eventually("the engine ended", || test_kill_process(pid).is_err());
}

#[test]
fn the_first_command_starts_the_engine_and_the_second_finds_it() {
    let folder = Folder::new();
    assert!(finish(&mut client(folder.path(), &["run", "--rm", "hello-world"])).ok().contains("Hello from dhow!"));
    let pid = fs::read_to_string(folder.path().join("exec/dhow.pid")).expect("it runs");
    finish(&mut client(folder.path(), &["ps"])).exits(0);
    assert_eq!(fs::read_to_string(folder.path().join("exec/dhow.pid")).expect("it runs"), pid);
    end_engine(folder.path());
    assert!(!folder.path().join("exec/dhow.sock").exists() && !folder.path().join("exec/dhow.pid").exists());
}

#[test]
fn who_asks_for_versions_starts_none() {
    let folder = Folder::new();
    let told = finish(&mut client(folder.path(), &["version"]));
    assert!(told.stdout().starts_with("Client:\n"), "{told:?}");
    told.exits(1).says("Cannot connect to the Docker daemon at unix://");
    for name in ["data", "exec"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn many_first_commands_at_once_get_one_engine() {
    let folder = Folder::new();
    let children: Vec<_> = (0..8)
        .map(|_| {
            client(folder.path(), &["ps", "-q"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    end_engine(folder.path());
}

/// The engine that the first one starts waits for a shim that does not answer; the second waits for that engine.
#[test]
fn a_second_command_waits_for_an_engine_that_takes_its_time() {
    let folder = Folder::new();
    let tar = busybox_tar();
    finish_with_input(&mut client(folder.path(), &["import", "-", "busybox"]), tar).exits(0);
    let run = ["run", "-d", "--name", "box", "busybox", "sleep", "1000"];
    finish(&mut client(folder.path(), &run)).exits(0);
    let parent = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("every process has one");
        Pid::from_raw(parent.trim().parse().expect("a pid")).expect("not 0")
    };
    let shim = parent(&finish(&mut client(folder.path(), &["inspect", "-f", "{{.State.Pid}}", "box"])).ok());
    kill_engine(folder.path(), Signal::KILL);
    kill_process(shim, Signal::STOP).expect("it is this folder's");
    let commands: Vec<_> = (0..2)
        .map(|_| {
            client(folder.path(), &["ps", "-q"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    let outputs: Vec<_> = commands.into_iter().map(|command| command.wait_with_output().expect("ends")).collect();
    kill_process(shim, Signal::CONT).expect("it is there still");
    finish(&mut client(folder.path(), &["rm", "-f", "box"])).exits(0);
    end_engine(folder.path());
    for output in outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_keeps_the_engine_from_starting_is_told() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path().join("data")).expect("made");
    fs::write(folder.path().join("data/format"), "99\n").expect("written");
    finish(&mut client(folder.path(), &["ps"])).exits(1).says("has format 99");
}

/// As on a full disk: no line of the log can be written, and the engine must not die of it.
#[test]
fn a_log_that_cannot_be_written_is_no_reason_to_end() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path().join("data")).expect("made");
    std::os::unix::fs::symlink("/dev/full", folder.path().join("data/engine.log")).expect("linked");
    finish(&mut client(folder.path(), &["ps"])).exits(0);
    finish(&mut client(folder.path(), &["run", "--rm", "hello-world", "nosuch"])).exits(127);
    finish(&mut client(folder.path(), &["run", "--rm", "hello-world"])).exits(0);
    end_engine(folder.path());
}

#[test]
fn relative_roots_are_those_of_the_client() {
    let folder = Folder::new();
    let relative = |args| {
        let mut command = client(folder.path(), args);
        command.current_dir(folder.path()).env("DHOW_DATA_ROOT", "data").env("DHOW_EXEC_ROOT", "exec");
        command
    };
    finish(&mut relative(&["run", "--rm", "hello-world"])).exits(0);
    end_engine(folder.path());
}

/// So that neither Ctrl-C nor the end of the terminal reaches it.
#[test]
fn the_engine_has_left_the_terminal_of_the_command() {
    let folder = Folder::new();
    finish(client(folder.path(), &["ps"]).current_dir(folder.path())).exits(0);
    let pid = fs::read_to_string(folder.path().join("exec/dhow.pid")).expect("it runs").trim().to_owned();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // After the name in parentheses: state, ppid, pgrp, session, tty_nr (proc_pid_stat(5)).
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    assert_eq!((fields[3], fields[4]), (pid.as_str(), "0"), "session and terminal");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs"), Path::new("/"));
    end_engine(folder.path());
}

/// Nobody else would shorten its log.
#[test]
fn a_log_that_is_long_makes_room_for_a_new_one() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    fs::create_dir_all(&data).expect("made");
    fs::write(data.join("engine.log"), "an old line\n".repeat(400_000)).expect("written");
    finish(&mut client(folder.path(), &["ps"])).exits(0);
    end_engine(folder.path());
    let (old, new) = (fs::read_to_string(data.join("engine.log.1")), fs::read_to_string(data.join("engine.log")));
    let (old, new) = (old.expect("put aside"), new.expect("begun"));
    assert!(old.starts_with("an old line\n") && old.ends_with('\n') && old.len() >= 4_800_000, "{}", old.len());
    assert!(!new.contains("an old line") && new.contains("ending"), "{new}");
}
