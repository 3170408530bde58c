//! What a container may not do by default, and what the flags change.

use std::process::Command;

use dhow_testkit::finish;

use crate::{busybox, cgroups};

fn status(world: &dhow_testkit::World, flags: &[&str], field: &str) -> String {
    let line = world.dhow(&[&["run", "--rm"], flags, &["busybox", "grep", field, "/proc/self/status"]].concat()).ok();
    line.split_whitespace().nth(1).expect("a value").to_owned()
}

#[test]
fn capabilities_are_dockers_fourteen() {
    let world = busybox();
    assert_eq!(status(&world, &[], "CapEff:"), "00000000a80425fb");
    assert_eq!(status(&world, &["--cap-drop", "ALL"], "CapEff:"), "0000000000000000");
    assert_eq!(status(&world, &["--cap-drop", "ALL", "--cap-add", "CHOWN"], "CapEff:"), "0000000000000001");
    assert_eq!(status(&world, &["--cap-add", "SYS_ADMIN"], "CapEff:"), "00000000a82425fb");
    assert_eq!(status(&world, &["-u", "1000"], "CapEff:"), "0000000000000000");
    assert_eq!(status(&world, &["-u", "1000"], "CapBnd:"), "00000000a80425fb");
}

#[test]
fn seccomp_filters_unless_told_otherwise() {
    let world = busybox();
    assert_eq!(status(&world, &[], "Seccomp:"), "2");
    assert_eq!(status(&world, &["--security-opt", "seccomp=unconfined"], "Seccomp:"), "0");
    assert_eq!(status(&world, &["--privileged"], "Seccomp:"), "0");
    let profile = world.path().join("profile.json");
    let text =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    std::fs::write(&profile, text).expect("written");
    let option = format!("seccomp={}", profile.display());
    world
        .dhow(&["run", "--rm", "--security-opt", &option, "busybox", "mkdir", "/x"])
        .exits(1)
        .says("Operation not permitted");
    world.dhow(&["run", "--rm", "--security-opt", &option, "busybox", "touch", "/x"]).exits(0);
}

#[test]
fn no_new_privileges() {
    let world = busybox();
    assert_eq!(status(&world, &[], "NoNewPrivs:"), "0");
    assert_eq!(status(&world, &["--security-opt", "no-new-privileges"], "NoNewPrivs:"), "1");
}

#[test]
fn kernel_files_are_masked_or_read_only() {
    let world = busybox();
    let script =
        "cat /proc/kcore | head -c 1 | wc -c; ls /proc/scsi /sys/firmware | wc -l; echo x > /proc/sys/kernel/hostname";
    let output = world.dhow(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert!(output.stdout().starts_with("0\n"), "{output:?}");
    output.says("Read-only file system");
    world.dhow(&["run", "--rm", "busybox", "sh", "-c", "echo 1 > /sys/kernel/profiling"]).exits(1);
    world.dhow(&["run", "--rm", "busybox", "mount", "-t", "tmpfs", "x", "/tmp"]).exits(1);
    world.dhow(&["run", "--rm", "--privileged", "busybox", "mount", "-t", "tmpfs", "x", "/tmp"]).exits(0);
}

/// CVE-2019-5736: nothing a container can reach may be the engine's own binary, opened for writing.
#[test]
fn the_engines_binary_cannot_be_written_from_inside() {
    let world = busybox();
    let before = std::fs::read(dhow_testkit::binary(crate::DHOW.as_ref())).expect("the binary");
    for flags in [&["run", "--rm"][..], &["run", "--rm", "--privileged"]] {
        let script = "for exe in /proc/[0-9]*/exe /proc/self/exe; do (echo broken > $exe) 2>/dev/null; done; true";
        world.dhow(&[flags, &["busybox", "sh", "-c", script]].concat()).exits(0);
        world.dhow(&[flags, &["--entrypoint", "/proc/self/exe", "busybox", "--version"]].concat());
    }
    assert!(std::fs::read(dhow_testkit::binary(crate::DHOW.as_ref())).expect("the binary") == before);
}

/// CVE-2024-21626: no working folder through a leaked descriptor of the host.
#[test]
fn the_working_folder_cannot_be_a_leaked_descriptor() {
    let world = busybox();
    for fd in 3..12 {
        let folder = format!("/proc/self/fd/{fd}");
        let output = world.dhow(&[
            "run",
            "--rm",
            "-w",
            &folder,
            "busybox",
            "sh",
            "-c",
            "ls ../../../../../../etc/hostname; pwd -P",
        ]);
        assert_ne!(output.stdout().lines().last(), Some("/"), "descriptor {fd}: {output:?}");
        assert_ne!(output.code(), 0, "descriptor {fd}: {output:?}");
    }
}

/// No descriptor of the engine's or the shim's is open in the container.
#[test]
fn only_the_three_standard_descriptors_are_open() {
    let world = busybox();
    let listed = world.dhow(&["run", "--rm", "busybox", "ls", "/proc/self/fd"]).ok();
    // The fourth is the folder that ls itself reads.
    assert_eq!(listed, "0\n1\n2\n3");
}

/// Nobody is to believe that a container is confined which is not. Without AppArmor on the host only; with it, the profile
/// has to be loaded.
#[test]
fn confinement_that_the_host_cannot_give_is_said() {
    let world = busybox();
    if std::path::Path::new("/sys/module/apparmor").exists() || std::path::Path::new("/sys/fs/selinux").exists() {
        return;
    }
    let created = world.dhow(&["create", "--security-opt", "apparmor=mine", "busybox"]);
    created.exits(0).says("WARNING: AppArmor is not enabled on this host: the profile mine confines nothing.");
    let created = world.docker(&["create", "--security-opt", "label=type:t", "busybox"]);
    created.exits(0).says("WARNING: SELinux is not enabled on this host: label=type:t confines nothing.");
    for left_alone in ["apparmor=unconfined", "label=disable"] {
        assert_eq!(world.dhow(&["create", "--security-opt", left_alone, "busybox"]).stderr(), "");
    }
}

/// Whatever trees of cgroups the host has, and whichever of them the container is in.
#[test]
fn a_container_sees_no_cgroup_but_its_own() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "other", "--pids-limit", "77", "busybox", "sleep", "1000"]).exits(0);
    let below =
        "find /sys/fs/cgroup -mindepth 2 -type d; cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null";
    for namespace in ["private", "host"] {
        let seen = world.dhow(&["run", "--rm", "--cgroupns", namespace, "busybox", "sh", "-c", below]);
        assert_eq!(seen.stdout(), "max\n", "{namespace}");
    }
    // Who may mount finds its own as the root of every tree; what runs a program of its choice on the host is in real ones only.
    let flags =
        ["run", "--rm", "--cgroupns", "private", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"];
    let script = "for c in cpu cpuacct pids memory freezer; do mkdir /tmp/$c; mount -t cgroup -o $c none /tmp/$c && \
                  find /tmp/$c -name release_agent -o -mindepth 1 -type d; done 2>/dev/null; true";
    let found = world.dhow(&[&flags[..], &["busybox", "sh", "-c", script]].concat());
    assert_eq!(found.stdout(), "");
    // Who may make cgroups makes them in its own, and they go with it.
    let script = "for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -e $tree/cgroup.procs ] && mkdir $tree/of-it && echo made; done";
    let made = world.dhow(&["run", "--rm", "--privileged", "busybox", "sh", "-c", script]);
    assert!(made.stdout().contains("made"), "{made:?}");
    // In this world's trees alone: those of others come and go while they are looked through.
    let left = finish(Command::new("find").args(cgroups(world.cgroup_parent())).args(["-name", "of-it"])).ok();
    assert_eq!(left, "");
    world.is_in_order();
}
