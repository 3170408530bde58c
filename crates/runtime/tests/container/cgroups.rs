//! Processes are in their cgroup before they run anything.

use dhow_cgroups::{Cgroup, Hierarchy};

use crate::world::{World, possible, shell};

/// A cgroup of a test's own, removed with the value.
struct Own(Cgroup);

impl Own {
    fn new(world: &World) -> Option<Self> {
        let made = Hierarchy::detect().and_then(|hierarchy| Cgroup::create(&hierarchy, &format!("/dhow-{}", world.id)));
        match made {
            Ok(cgroup) => Some(Self(cgroup)),
            Err(error) => {
                eprintln!("SKIPPED: {error}");
                None
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let deleted = self.0.kill(9).and_then(|()| self.0.delete());
        assert!(deleted.is_ok() || std::thread::panicking(), "{deleted:?}");
    }
}

/// Joined trees of a process, as it sees them itself.
const TREES: &str = "grep -E ':(memory|devices|):' /proc/self/cgroup | sort";

#[test]
fn a_container_is_born_in_its_cgroup() {
    if !possible() {
        return;
    }
    let mut world = World::shell(TREES);
    world.namespace("cgroup", None);
    let Some(cgroup) = Own::new(&world) else { return };
    let outcome = world.start_in(&cgroup.0).wait();
    assert!(!outcome.out.is_empty(), "{outcome:?}");
    for line in outcome.out.lines() {
        assert!(line.ends_with(&format!("/dhow-{}", world.id)), "{line}");
    }
}

#[test]
fn a_cgroup_namespace_has_it_as_its_root() {
    if !possible() {
        return;
    }
    for user in [false, true] {
        let mut world = World::shell(TREES);
        if user {
            world.user_namespace();
        }
        let Some(cgroup) = Own::new(&world) else { return };
        let outcome = world.start_in(&cgroup.0).wait();
        assert!(!outcome.out.is_empty() && outcome.out.lines().all(|line| line.ends_with(":/")), "{outcome:?}");
    }
}

#[test]
fn an_exec_joins_it_before_it_runs() {
    if !possible() {
        return;
    }
    let mut world = World::shell("echo up; sleep 1000");
    world.namespace("cgroup", None);
    let Some(cgroup) = Own::new(&world) else { return };
    let mut running = world.start_in(&cgroup.0);
    assert_eq!(running.line(), "up");
    let outcome = running.exec_in(&shell(TREES), Some(&cgroup.0)).unwrap();
    assert!(!outcome.out.is_empty(), "{outcome:?}");
    for line in outcome.out.lines() {
        assert!(line.ends_with(&format!("/dhow-{}", world.id)), "{line}");
    }
    running.kill();
}

#[test]
fn a_successor_in_a_joined_user_namespace_is_in_it_too() {
    if !possible() {
        return;
    }
    let mut first = World::shell("");
    first.user_namespace();
    let first = first.sleep();
    let mut second = World::shell(TREES);
    second.namespace("cgroup", None);
    second.namespace("user", Some(&format!("/proc/{}/ns/user", first.pid())));
    let Some(cgroup) = Own::new(&second) else { return };
    let outcome = second.start_in(&cgroup.0).wait();
    for line in outcome.out.lines() {
        assert!(line.ends_with(&format!("/dhow-{}", second.id)), "{line}");
    }
    first.kill();
}
