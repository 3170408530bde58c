//! The process inside: command, environment, user, folder, names, namespaces.

use dhow_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};

use crate::busybox;

#[test]
fn command_and_entrypoint() {
    let world = busybox();
    assert_eq!(world.dhow(&["run", "--rm", "busybox", "echo", "a", "b  c"]).ok(), "a b  c");
    assert_eq!(world.dhow(&["run", "--rm", "--entrypoint", "echo", "busybox", "x"]).ok(), "x");
    assert_eq!(world.dhow(&["run", "--rm", "busybox", "-c"]).code(), 127, "flags behind the image are the command");
}

#[test]
fn environment_from_flags_files_and_the_client() {
    let world = busybox();
    let file = world.path().join("env");
    std::fs::write(&file, "# comment\nFROM_FILE=1 2\nPASSED\n").expect("written");
    let mut command = world.command(&[
        "run",
        "--rm",
        "-e",
        "A=b=c",
        "-e",
        "TAKEN",
        "-e",
        "ABSENT",
        "--env-file",
        &file.to_string_lossy(),
        "-h",
        "box",
        "busybox",
        "env",
    ]);
    let output = command.env("TAKEN", "from client").env("PASSED", "yes").env_remove("ABSENT").output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    for line in ["A=b=c", "TAKEN=from client", "FROM_FILE=1 2", "PASSED=yes", "HOSTNAME=box", "HOME=/root"] {
        assert!(lines.contains(&line), "{line} is missing in {lines:?}");
    }
    assert!(lines.contains(&"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    assert!(!lines.iter().any(|line| line.starts_with("ABSENT")));
}

#[test]
fn user_by_name_number_and_group() {
    let world = busybox();
    let id = |user: &str| {
        world.dhow(&["run", "--rm", "-u", user, "busybox", "sh", "-c", "id -u; id -g; id -G; echo $HOME"]).ok()
    };
    assert_eq!(id("alice"), "1000\n1000\n1000 50\n/home/alice");
    assert_eq!(id("1000"), "1000\n1000\n1000 50\n/home/alice");
    assert_eq!(id("1000:50"), "1000\n50\n50\n/home/alice");
    assert_eq!(id("alice:staff"), "1000\n50\n50\n/home/alice");
    assert_eq!(id("4242"), "4242\n0\n0\n/");
    let unknown = world.dhow(&["run", "--rm", "-u", "nobody-knows", "busybox", "true"]);
    unknown.exits(125).says("unable to find user nobody-knows: no matching entries in passwd file");
}

#[test]
fn working_folder_is_made_when_it_is_missing() {
    let world = busybox();
    assert_eq!(world.dhow(&["run", "--rm", "-w", "/made/for/me", "busybox", "pwd"]).ok(), "/made/for/me");
    world
        .dhow(&["run", "--rm", "-w", "relative", "busybox", "pwd"])
        .exits(125)
        .says("is invalid, it needs to be an absolute path");
}

#[test]
fn host_name_and_its_files() {
    let world = busybox();
    assert_eq!(world.dhow(&["run", "--rm", "-h", "sea.example", "busybox", "hostname"]).ok(), "sea.example");
    let text = world.dhow(&["run", "--rm", "-h", "sea", "busybox", "cat", "/etc/hostname", "/etc/hosts"]).ok();
    assert!(text.starts_with("sea\n127.0.0.1\tlocalhost"), "{text}");
    let id = world.dhow(&["create", "busybox", "hostname"]).ok();
    assert_eq!(world.dhow(&["start", "-a", &id]).ok(), id[..12]);
}

#[test]
fn namespaces_are_own_shared_or_the_hosts() {
    let world = busybox();
    let link = |kind: &str| {
        std::fs::read_link(format!("/proc/thread-self/ns/{kind}")).expect("a namespace").display().to_string()
    };
    let inside = |flag: &[&str], kind: &str| {
        let path = format!("/proc/self/ns/{kind}");
        world.dhow(&[&["run", "--rm"], flag, &["busybox", "readlink", &path]].concat()).ok()
    };
    for kind in ["pid", "ipc", "uts", "net", "mnt"] {
        assert_ne!(inside(&[], kind), link(kind), "{kind} is the container's own");
    }
    assert_eq!(inside(&["--pid=host"], "pid"), link("pid"));
    assert_eq!(inside(&["--ipc=host"], "ipc"), link("ipc"));
    assert_eq!(inside(&["--uts=host"], "uts"), link("uts"));
    assert_eq!(inside(&["--network=host"], "net"), link("net"));
    world.dhow(&["run", "-d", "--name", "first", "--ipc=shareable", "busybox", "sleep", "1000"]).exits(0);
    for (kind, flag) in [("pid", "--pid"), ("ipc", "--ipc"), ("net", "--network")] {
        let own = world.dhow(&["exec", "first", "readlink", &format!("/proc/self/ns/{kind}")]).ok();
        assert_eq!(inside(&[&format!("{flag}=container:first")], kind), own);
    }
    world
        .dhow(&["run", "--rm", "--pid=container:nobody", "busybox", "true"])
        .exits(125)
        .says("No such container: nobody");
}

#[test]
fn shared_memory_that_others_may_use_is_bounded_and_ends_with_its_container() {
    let mut world = busybox();
    let run = ["run", "-d", "--name", "first", "--ipc=shareable", "--shm-size=1m", "busybox", "sleep", "1000"];
    world.dhow(&run).exits(0);
    world
        .dhow(&["exec", "first", "dd", "if=/dev/zero", "of=/dev/shm/full", "bs=1M", "count=2"])
        .exits(1)
        .says("No space left on device");
    world.crash_engine();
    world.start_engine();
    let joined = ["run", "--rm", "--ipc=container:first", "busybox", "stat", "-c", "%s", "/dev/shm/full"];
    assert_eq!(world.dhow(&joined).ok(), "1048576");
    let place = world.exec_root().join("shm").join(world.inspect("first", "{{.Id}}"));
    world.dhow(&["restart", "-t", "0", "first"]).exits(0);
    assert_eq!(world.dhow(&["exec", "first", "ls", "/dev/shm"]).ok(), "");
    let pid = world.inspect("first", "{{.State.Pid}}").parse().ok().and_then(Pid::from_raw).expect("a pid");
    world.crash_engine();
    kill_process(pid, Signal::KILL).expect("it is of this world");
    world.start_engine();
    eventually("its end is seen", || world.inspect("first", "{{.State.Status}}") == "exited");
    eventually("its shared memory is given back", || !place.exists());
    world.is_in_order();
}

#[test]
fn network_none_has_loopback_only() {
    let world = busybox();
    let links = world.dhow(&["run", "--rm", "--network", "none", "busybox", "ip", "-o", "link"]).ok();
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains("lo:") && links.contains("UP"), "{links}");
}

#[test]
fn init_reaps_and_forwards_signals() {
    let world = busybox();
    let shown = world.dhow(&["run", "--rm", "--init", "busybox", "sh", "-c", "echo $$; cat /proc/1/comm"]).ok();
    let (pid, first) = shown.split_once('\n').expect("two lines");
    assert_ne!(pid, "1");
    assert!(first.contains("init"), "{first}");
    world
        .dhow(&[
            "run",
            "-d",
            "--init",
            "--name",
            "tiny",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 9' TERM; while :; do sleep 0.05; done",
        ])
        .exits(0);
    world.dhow(&["stop", "tiny"]).exits(0);
    let code = world.inspect("tiny", "{{.State.ExitCode}}");
    assert!(["9", "143"].contains(&code.as_str()), "{code}");
}

#[test]
fn sysctls_and_ulimits() {
    let world = busybox();
    let value = world
        .dhow(&["run", "--rm", "--sysctl", "kernel.msgmax=4096", "busybox", "cat", "/proc/sys/kernel/msgmax"])
        .ok();
    assert_eq!(value, "4096");
    world.dhow(&["run", "--rm", "--sysctl", "kernel.panic=1", "busybox", "true"]).exits(125);
    let files =
        world.dhow(&["run", "--rm", "--ulimit", "nofile=64:128", "busybox", "sh", "-c", "ulimit -Sn; ulimit -Hn"]).ok();
    assert_eq!(files, "64\n128");
}
