//! Many at once, with nothing lost and nothing left.

use std::path::Path;
use std::process::Stdio;
use std::thread;

use dhow_testkit::World;

use crate::{DHOW, busybox, cgroups};

#[test]
fn fifty_containers_start_and_end_in_parallel() {
    let world = busybox();
    let children: Vec<_> = (0..50)
        .map(|n| {
            let mut command = world.command(&["run", "--rm", "busybox", "echo", &format!("n{n}")]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("n{n}\n"), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}

#[test]
fn the_same_name_asked_for_by_many_goes_to_one() {
    let world = busybox();
    let made = thread::scope(|scope| {
        let attempts: Vec<_> =
            (0..10).map(|_| scope.spawn(|| world.dhow(&["create", "--name", "one", "busybox"]).code())).collect();
        attempts
            .into_iter()
            .filter(|_| true)
            .map(|attempt| attempt.join().expect("no panic"))
            .filter(|&code| code == 0)
            .count()
    });
    assert_eq!(made, 1);
}

#[test]
fn start_stop_and_remove_of_one_container_from_many_sides() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    thread::scope(|scope| {
        for verb in
            [&["start", "box"][..], &["stop", "-t", "0", "box"], &["kill", "box"], &["restart", "-t", "0", "box"]]
        {
            for _ in 0..4 {
                scope.spawn(|| world.dhow(verb));
            }
        }
    });
    let state = world.inspect("box", "{{.State.Status}}");
    assert!(["running", "exited", "created"].contains(&state.as_str()), "{state}");
    world.dhow(&["rm", "-f", "box"]).exits(0);
}

#[test]
fn two_engines_side_by_side_share_nothing() {
    let (one, other) = (busybox(), World::new(DHOW));
    one.dhow(&["create", "--name", "same", "busybox"]).exits(0);
    assert_eq!(other.dhow(&["ps", "-aq"]).ok(), "");
    assert_eq!(other.dhow(&["images", "-q"]).ok(), "");
    other.import_busybox("busybox");
    other.dhow(&["create", "--name", "same", "busybox"]).exits(0);
}

/// Engines that nobody configured have one cgroup for the containers of all of them.
#[test]
fn an_engine_that_starts_leaves_the_cgroups_of_another_alone() {
    let one = busybox();
    one.dhow(&["run", "-d", "--name", "long", "busybox", "sleep", "1000"]).exits(0);
    let mut other = World::with_flags(DHOW, &["--cgroup-parent", one.cgroup_parent()]);
    other.crash_engine();
    other.start_engine();
    assert_eq!(one.inspect("long", "{{.State.Status}}"), "running");
    one.dhow(&["exec", "long", "true"]).exits(0);
}

/// What an engine is told of cgroups counts for what it starts; what runs is where it was put.
#[test]
fn what_runs_is_found_where_an_engine_before_has_put_it() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    world.crash_engine();
    let later = format!("{}/later", world.cgroup_parent());
    world.add_flags(&["--cgroup-parent", &later]);
    world.start_engine();
    let processes = world.dhow(&["top", "box"]).ok();
    assert!(processes.contains("sleep 1000"), "{processes}");
    assert_eq!(world.dhow(&["stats", "--no-stream", "--format", "{{.PIDs}}", "box"]).ok(), "1");
    world.dhow(&["restart", "-t", "0", "box"]).exits(0);
    assert_eq!(world.dhow(&["stats", "--no-stream", "--format", "{{.PIDs}}", "box"]).ok(), "1", "where it is now");
    world.dhow(&["rm", "-f", "box"]).exits(0);
    // Each takes away what it has made.
    world.stop_engine();
    let parent = world.cgroup_parent().to_owned();
    world.add_flags(&["--cgroup-parent", &parent]);
    world.start_engine();
}

/// A container in a cgroup elsewhere is shown a bare one beside the others' in trees that it is not in.
#[test]
fn an_engine_that_stops_leaves_what_a_container_elsewhere_is_shown() {
    let mut world = busybox();
    let elsewhere = format!("dhow-elsewhere-{}", std::process::id());
    world.dhow(&["run", "-d", "--name", "box", "--cgroup-parent", &elsewhere, "busybox", "sleep", "1000"]).exits(0);
    let bare = cgroups(&format!("{}/bare", world.cgroup_parent()));
    assert_eq!(
        bare.is_empty(),
        Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        "only v1 trees are not joined"
    );
    world.stop_engine();
    assert!(bare.iter().all(|shown| shown.is_dir()), "{bare:?}");
    world.start_engine();
    world.dhow(&["rm", "--force", "box"]).exits(0);
    world.stop_engine();
    assert!(bare.iter().all(|shown| !shown.exists()), "{bare:?}");
    cgroups(&elsewhere).iter().for_each(|left| std::fs::remove_dir(left).expect("it is this test's, and empty"));
}

#[test]
fn a_data_root_belongs_to_one_engine() {
    let world = busybox();
    let second = std::process::Command::new(dhow_testkit::binary(DHOW.as_ref()))
        .args(["daemon", "--data-root"])
        .arg(world.data_root())
        .args(["--exec-root", &world.path().join("exec2").display().to_string()])
        .args(["--pidfile", &world.path().join("pid2").display().to_string()])
        .args(["--host", &format!("unix://{}", world.path().join("second.sock").display())])
        .output()
        .expect("it starts");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&world.data_root().display().to_string()), "{said}");
}
