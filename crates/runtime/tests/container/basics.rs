//! A container comes up with what the specification promises, and its exit is told.

use std::fs;
use std::os::fd::AsFd;

use dhow_oci::runtime::ConsoleSize;
use dhow_runtime::{Gate, Init, Rootfs, Stdio, create};

use crate::world::{World, possible, reap};

#[test]
fn output_and_exit_code_come_back() {
    if !possible() {
        return;
    }
    let outcome = World::shell("echo out; echo err >&2; exit 7").run().unwrap();
    assert_eq!((outcome.status, outcome.out.as_str(), outcome.err.as_str()), (7, "out\n", "err\n"));
}

#[test]
fn default_devices_and_links_are_there() {
    if !possible() {
        return;
    }
    let script = "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$d; done; \
                  for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x > /dev/null";
    let expected = "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n\
                    /dev/urandom 1:9 666\n/dev/tty 5:0 666\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n\
                    /proc/self/fd/2\npts/ptmx";
    assert_eq!(World::shell(script).output(), expected);
}

#[test]
fn masked_paths_are_empty_and_readonly_paths_refuse_writing() {
    if !possible() {
        return;
    }
    let mut world = World::shell(
        "wc -c < /proc/keys; cat /proc/version; (echo x > /proc/version); wc -c < /proc/version; ls -A /sys/fs | wc -l; \
         touch /sys/fs/x 2>&1 | grep -c Read-only; (echo 1 > /proc/sys/kernel/hostname) 2>&1 | grep -c Read-only",
    );
    world.linux().masked_paths.extend(["/proc/version", "/sys/fs", "/no/such/path"].map(String::from));
    assert_eq!(world.output(), "0\n0\n0\n1\n1");
}

#[test]
fn a_read_only_root_stays_as_it_is() {
    if !possible() {
        return;
    }
    let mut world = World::shell("touch /x 2>&1 | grep -c Read-only; touch /dev/shm/y && echo tmpfs is writable");
    world.spec.root.as_mut().unwrap().readonly = true;
    assert_eq!(world.output(), "1\ntmpfs is writable");
}

#[test]
fn an_overlay_takes_the_writes_and_the_host_sees_no_mount() {
    if !possible() {
        return;
    }
    let world = World::shell(
        "cat /who /lower-only; echo written > /new; rm /etc/passwd; cat /proc/self/mountinfo | grep -c overlay",
    );
    let dir = |name: &str| {
        let path = world.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let (top, upper, work) = (dir("top"), dir("upper"), dir("work"));
    fs::write(top.join("who"), "top\n").unwrap();
    fs::write(world.rootfs().join("who"), "bottom\n").unwrap();
    fs::write(world.rootfs().join("lower-only"), "lower\n").unwrap();
    let lower = [top, world.rootfs()];
    let (mut out, stdout) = crate::world::pipe();
    let mut request = world.request();
    request.rootfs = Rootfs::Overlay { lower: &lower, upper: &upper, work: &work, options: &[] };
    let null = || fs::File::open("/dev/null").unwrap().into();
    request.stdio = Stdio::Fds { stdin: null(), stdout, stderr: null() };
    let started = create(request).unwrap().start().unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    assert_eq!(reap(started.pidfd), 0);
    assert_eq!(text, "top\nlower\n1\n");
    assert_eq!(fs::read_to_string(upper.join("new")).unwrap(), "written\n");
    assert!(world.rootfs().join("etc/passwd").exists());
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(world.path().to_str().unwrap()), "the host has a mount of the container");
}

#[test]
fn a_terminal_is_the_containers_own_and_has_its_size() {
    if !possible() {
        return;
    }
    let mut world = World::shell(
        "tty; stat -c %t:%T /dev/console /dev/pts/0; stty size; cat /proc/self/stat | tr ' ' '\\n' | head -7 | wc -l; exit 3",
    );
    world.process().console_size = Some(ConsoleSize { height: 33, width: 99 });
    let mut request = world.request();
    request.stdio = Stdio::Terminal;
    let mut init = create(request).unwrap();
    let master = init.take_pty().unwrap();
    let started = init.start().unwrap();
    let text = read_terminal(&master);
    assert_eq!(reap(started.pidfd), 3);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "/dev/pts/0");
    assert_eq!(lines[1], lines[2], "the console is the terminal: {text}");
    assert_eq!(lines[3], "33 99");
}

/// Reads until the last slave is closed, which a terminal tells by EIO.
pub(crate) fn read_terminal(master: &std::os::fd::OwnedFd) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(count) = rustix::io::read(master.as_fd(), &mut chunk) {
        if count == 0 {
            break;
        }
        text.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn another_process_starts_a_detached_container_through_its_socket() {
    if !possible() {
        return;
    }
    let world = World::shell("exit 9");
    let gate = world
        .path()
        .join("a-directory-with-a-name-so-long-that-no-unix-socket-address-can-hold-it-with-all-that-is-before-it");
    fs::create_dir(&gate).unwrap();
    let gate = gate.join("start.sock");
    let mut request = world.request();
    request.gate = Gate::Socket(&gate);
    let created = create(request).unwrap().detach();
    Init::start_at(&gate, &world.spec, Default::default()).unwrap();
    assert_eq!(reap(created.pidfd), 9);
    // What other tests of this process fork meanwhile has the socket open, too, for a moment.
    let again = || Init::start_at(&gate, &world.spec, Default::default());
    let gone = std::iter::repeat_with(again).find_map(Result::err).unwrap();
    assert_eq!(gone.class(), dhow_errdefs::Class::Conflict);
}

#[test]
fn a_container_that_is_not_started_ends_with_its_value() {
    if !possible() {
        return;
    }
    let world = World::shell("exit 0");
    let (init, ..) = world.create().unwrap();
    let pid = init.pid();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    drop(init);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it was ended and reaped");
}
