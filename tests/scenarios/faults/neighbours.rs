//! Engines side by side on one host, set up in haste.

use std::process::Command;

use dhow_testkit::{World, finish};

use crate::{DHOW, busybox};

/// Somebody gives the second engine a data root, a socket and a pid file of its own, and forgets the exec root: it would
/// take the first one's containers for leftovers.
#[test]
fn an_exec_root_belongs_to_one_engine() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let own = |name: &str| world.path().join(name).display().to_string();
    let second = finish(
        Command::new(DHOW)
            .args(["daemon", "--data-root", &own("data2"), "--pidfile", &own("pid2")])
            .args(["--host", &format!("unix://{}", own("second.sock"))])
            .arg("--exec-root")
            .arg(world.exec_root()),
    );
    second.exits(1).says("exec root").says("--exec-root");
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "running");
    world.dhow(&["exec", "box", "true"]).exits(0);
    world.is_in_order();
}

/// Two engines with the defaults in everything but their roots; one of them is killed and comes again and again.
#[test]
fn an_engine_that_comes_and_goes_touches_nothing_of_its_neighbour() {
    let steady = busybox();
    steady.dhow(&["run", "-d", "--name", "box", "--ipc", "shareable", "busybox", "sleep", "1000"]).exits(0);
    steady.dhow(&["create", "--name", "fresh", "busybox"]).exits(0);
    let mut other = World::with_flags(DHOW, &[]);
    other.import_busybox("busybox");
    for _ in 0..3 {
        other.dhow(&["run", "-d", "--ipc", "shareable", "busybox", "sleep", "1000"]).exits(0);
        other.crash_engine();
        other.start_engine();
    }
    other.dhow(&["rmi", "--force", "busybox"]);
    assert_eq!(steady.inspect("box", "{{.State.Status}}"), "running");
    assert_eq!(steady.dhow(&["run", "--rm", "--ipc", "container:box", "busybox", "ls", "/dev/shm"]).ok(), "");
    steady.is_in_order();
}
