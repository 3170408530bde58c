//! Nothing of the host's comes into a container, and nothing of a container's stays on the host.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use crate::world::{World, possible, shell};

const OPEN: &str = "ls /proc/self/fd | sort -n | tr '\\n' ' '";

/// `ls` has its own directory open as 3.
#[test]
fn no_descriptor_comes_in_even_without_close_on_exec() {
    if !possible() {
        return;
    }
    let leaked = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    assert!(leaked.as_raw_fd() > 2);
    assert_eq!(World::shell(OPEN).output().trim(), "0 1 2 3");
    let running = World::shell("").sleep();
    assert_eq!(running.exec(&shell(OPEN)).unwrap().out.trim(), "0 1 2 3");
    running.kill();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::CLOEXEC).unwrap();
}

/// A process that waits for its start holds only what it needs; in particular nothing of another container's.
#[test]
fn a_waiting_container_holds_no_other_containers_line() {
    if !possible() {
        return;
    }
    let (first, second) = (World::shell("true"), World::shell("true"));
    let (first_init, ..) = first.create().unwrap();
    let (second_init, ..) = second.create().unwrap();
    // Were a copy of the first one's line open in the second, this would wait for ever.
    let started = first_init.start().unwrap();
    assert_eq!(crate::world::reap(started.pidfd), 0);
    drop(second_init);
}

#[test]
fn the_hosts_mounts_are_gone() {
    if !possible() {
        return;
    }
    let mounts = World::shell("cat /proc/self/mountinfo").output();
    let targets: Vec<&str> = mounts.lines().map(|line| line.split(' ').nth(4).unwrap()).collect();
    let known = ["/", "/proc", "/dev", "/sys"];
    for target in targets {
        assert!(known.iter().any(|known| target == *known || target.starts_with(&format!("{known}/"))), "{mounts}");
    }
}

#[test]
fn many_containers_leave_no_mount_and_no_descriptor() {
    if !possible() {
        return;
    }
    let world = World::shell("true");
    let path = world.path().to_owned();
    let held = |path: &std::path::Path| {
        let links =
            fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        links.filter(|link| link.starts_with(path)).count()
    };
    for _ in 0..5 {
        world.output();
    }
    let mut failing = World::shell("true");
    failing.mount("/x", "no-such-fs", "none", &[]);
    failing.error();
    assert_eq!(held(&path) + held(failing.path()), 0);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(path.to_str().unwrap()));
}
