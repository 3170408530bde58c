//! A network for each test.

use std::cell::Cell;
use std::fmt::Display;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space};

thread_local! {
    static DONE: Cell<bool> = const { Cell::new(false) };
    static WORLDS: Cell<usize> = const { Cell::new(0) };
}

/// A world of this test's begins.
pub(crate) fn enter() {
    isolate();
    WORLDS.set(WORLDS.get() + 1);
}

/// A world of this test's ends. Tells whether it was the last one: then nothing may be left in the test's network.
pub(crate) fn leave() -> bool {
    WORLDS.set(WORLDS.get().saturating_sub(1));
    WORLDS.get() == 0
}

/// Moves the calling test into a network namespace of its own, once: with everything that it starts from now on, be it a
/// thread or a program. So engines make their bridges where nobody else is, servers of the test are where its engine can
/// reach them, and the host's network is left alone.
///
/// Worlds, registries and stock engines do that by themselves. A test that listens to something before it makes one of
/// these calls this first.
///
/// # Panics
/// Without the right to do so.
pub fn isolate() {
    if DONE.replace(true) {
        return;
    }
    dhow_sys::namespace::unshare(ThreadNameSpaceType::NETWORK).expect("tests with engines run as root");
    let up = Command::new("busybox").args(["ip", "link", "set", "lo", "up"]).status();
    assert!(up.is_ok_and(|status| status.success()), "busybox takes the loopback up");
}

/// Does something in the network of a process, on a thread of its own.
///
/// # Panics
/// When the process is gone, or the work panics.
pub fn in_network_of<T: Send + 'static>(pid: impl Display, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("it runs");
    let visit = thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
        work()
    });
    visit.join().expect("it ended")
}
