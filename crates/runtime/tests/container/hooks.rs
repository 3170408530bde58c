//! Hooks run in the specification's order and place, with the state on their standard input.

use std::fs;
use std::path::Path;

use dhow_errdefs::Class;
use dhow_oci::runtime::{Hook, State};

use crate::world::{World, possible};

/// A hook that appends its name to a log and keeps its input beside it.
fn hook(log: &Path, name: &str) -> Hook {
    let script = format!("cat > {log}.{name}; echo {name} $(readlink /proc/self/ns/mnt) >> {log}", log = log.display());
    Hook { path: "/bin/sh".into(), args: vec!["sh".into(), "-c".into(), script], ..Default::default() }
}

#[test]
fn all_of_them_in_order_with_the_state() {
    if !possible() {
        return;
    }
    let mut world = World::shell("echo program >> /log");
    let log = world.path().join("log");
    let hooks = world.spec.hooks.get_or_insert_default();
    hooks.prestart = vec![hook(&log, "prestart")];
    hooks.create_runtime = vec![hook(&log, "createRuntime")];
    hooks.create_container = vec![hook(&log, "createContainer")];
    hooks.start_container = vec![hook(Path::new("/log"), "startContainer")];
    hooks.start_container[0].path = "/bin/sh".into();
    hooks.poststart = vec![hook(&log, "poststart")];
    hooks.start_container[0].env = vec!["PATH=/bin".into()];
    for list in [&mut hooks.prestart, &mut hooks.create_runtime, &mut hooks.create_container, &mut hooks.poststart] {
        list[0].env = vec!["PATH=/usr/bin:/bin".into()];
    }
    let outcome = world.run().unwrap();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let text = fs::read_to_string(&log).unwrap();
    let names: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["prestart", "createRuntime", "createContainer", "poststart"]);
    let places: Vec<&str> = text.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(places[0], places[1]);
    assert_ne!(places[1], places[2], "createContainer runs in the container's mount namespace");
    let inside = fs::read_to_string(world.rootfs().join("log")).unwrap();
    assert!(inside.starts_with("startContainer ") && inside.ends_with("program\n"), "{inside}");
    let read = |path: &Path| serde_json::from_slice::<State>(&fs::read(path).unwrap()).unwrap();
    let creating = read(&world.path().join("log.createRuntime"));
    assert_eq!(creating.id, world.id);
    assert!(creating.pid.unwrap() > 1);
    assert_eq!(read(&world.path().join("log.createContainer")).pid, Some(1), "its number inside");
    assert_eq!(read(&world.rootfs().join("log.startContainer")).id, world.id);
}

#[test]
fn one_that_fails_stops_the_container() {
    if !possible() {
        return;
    }
    let failing = || Hook {
        path: "/bin/sh".into(),
        args: vec!["sh".into(), "-c".into(), "echo reason >&2; exit 3".into()],
        ..Default::default()
    };
    for kind in ["createRuntime", "createContainer", "startContainer"] {
        let mut world = World::shell("touch /ran");
        let hooks = world.spec.hooks.get_or_insert_default();
        match kind {
            "createRuntime" => hooks.create_runtime = vec![failing()],
            "createContainer" => hooks.create_container = vec![failing()],
            _ => hooks.start_container = vec![failing()],
        }
        let error = world.error();
        assert!(error.to_string().starts_with(&format!("hook {kind} /bin/sh")), "{error}");
        assert!(error.to_string().ends_with(": reason"), "{error}");
        assert!(!world.rootfs().join("ran").exists());
    }
}

#[test]
fn one_that_takes_too_long_is_ended() {
    if !possible() {
        return;
    }
    let endless = Hook {
        path: "/bin/busybox".into(),
        args: vec!["sleep".into(), "1000".into()],
        timeout: Some(1),
        ..Default::default()
    };
    let mut world = World::shell("true");
    world.spec.hooks.get_or_insert_default().create_runtime = vec![endless.clone()];
    assert_eq!(world.error().class(), Class::DeadlineExceeded);
    let mut world = World::shell("true");
    world.spec.hooks.get_or_insert_default().create_container = vec![endless];
    let error = world.error();
    assert_eq!(error.class(), Class::DeadlineExceeded);
    assert_eq!(error.to_string(), "hook createContainer /bin/busybox took longer than its timeout");
}

#[test]
fn one_that_says_more_than_is_kept_comes_to_its_end() {
    if !possible() {
        return;
    }
    let script = "echo first >&2; head -c 300000 /dev/zero | tr '\\0' x >&2; exit 3";
    let args = ["sh", "-c", script].map(str::to_owned).to_vec();
    let env = vec!["PATH=/usr/bin:/bin".to_owned()];
    let mut world = World::shell("true");
    world.spec.hooks.get_or_insert_default().create_container =
        vec![Hook { path: "/bin/sh".into(), args, env, ..Hook::default() }];
    let error = world.error().to_string();
    assert!(error.starts_with("hook createContainer /bin/sh failed: first\nxxx") && error.len() < 20_000, "{error}");
}
