//! A disk that takes its time.
//!
//! Not every kernel has a block device that delays (dm-delay), and throttling by cgroup spares what is written back later.
//! What a program sees of a slow disk are calls that last; so they last, for the engine and all that it runs.

use std::thread;

use dhow_testkit::World;

use super::containers::{body, create, door, post, remove};
use super::rounds;
use super::strace::Strace;
use crate::busybox;

/// Calls that wait for a disk.
const KINDS: &str = "fsync,fdatasync,syncfs,rename,renameat,renameat2,mkdirat,unlink,unlinkat,umount2,getdents64";

/// Containers that end by themselves, or are ended, or removed while they run; so many at a time.
fn come_and_go(world: &World, (count, together): (usize, usize)) {
    thread::scope(|scope| {
        for worker in 0..together {
            let socket = world.socket();
            scope.spawn(move || {
                let mut door = door(&socket);
                for number in (worker..count).step_by(together) {
                    let script = if number % 3 == 0 { "exit 0" } else { "exec sleep 1000" };
                    let id = create(&mut door, "", &body(script, "")).expect("answered").expect("created");
                    assert_eq!(post(&mut door, &id, "start").expect("answered"), 204);
                    if number % 3 == 1 {
                        assert_eq!(post(&mut door, &id, "stop?t=0").expect("answered"), 204);
                    }
                    assert_eq!(remove(&mut door, &id).expect("answered"), 204);
                }
            });
        }
    });
}

/// containerd#9309, containerd#12344: helper processes were left behind.
#[test]
fn short_containers_on_a_slow_disk_leave_nothing() {
    let mut world = busybox();
    let slow = Strace::slow_down(world.engine_pid().expect("it runs"), KINDS, 10);
    come_and_go(&world, (rounds(60), 6));
    drop(slow);
    world.is_in_order();
    assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok(), "");
    assert_eq!(world.shims(), [0; 0]);
    // Nor does the next engine find anything.
    world.crash_engine();
    world.start_engine();
    world.is_in_order();
}
