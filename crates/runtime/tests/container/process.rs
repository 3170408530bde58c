//! What the program finds itself to be: user, rights, limits, environment.

use dhow_oci::runtime::{LinuxSeccomp, LinuxSyscall, PosixRlimit, Scheduler};

use crate::world::{World, possible};

const STATUS: &str = "grep -E '^(Cap|NoNew|Groups|Uid|Seccomp:)' /proc/self/status | tr -d ' \\t'";

#[test]
fn root_has_the_capabilities_asked_for_and_no_other() {
    if !possible() {
        return;
    }
    let output = World::shell(STATUS).output();
    for line in [
        "CapInh:0000000000000000",
        "CapPrm:00000000a80425fb",
        "CapEff:00000000a80425fb",
        "CapBnd:00000000a80425fb",
        "CapAmb:0000000000000000",
        "NoNewPrivs:0",
        "Groups:",
    ] {
        assert!(output.lines().any(|found| found == line), "{line} in {output}");
    }
}

#[test]
fn a_user_has_ambient_capabilities_groups_and_umask() {
    if !possible() {
        return;
    }
    let mut world = World::shell(&format!("{STATUS}; touch /tmp/x; stat -c %a /tmp/x; id -G; echo $HOME"));
    std::fs::set_permissions(world.rootfs().join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let process = world.process();
    (process.user.uid, process.user.gid, process.user.umask) = (1000, 1000, Some(0o077));
    process.user.additional_gids = vec![5, 6];
    process.no_new_privileges = true;
    let sets = process.capabilities.as_mut().unwrap();
    (sets.inheritable, sets.ambient) = (vec!["CAP_NET_RAW".into()], vec!["CAP_NET_RAW".into()]);
    let output = world.output();
    for line in [
        "CapInh:0000000000002000",
        "CapPrm:0000000000002000",
        "CapEff:0000000000002000",
        "CapAmb:0000000000002000",
        "NoNewPrivs:1",
        "Uid:1000100010001000",
        "600",
        "1000 5 6",
        "/home/user",
    ] {
        assert!(output.lines().any(|found| found.trim() == line), "{line} in {output}");
    }
}

#[test]
fn an_ordinary_user_without_ambient_ones_has_none() {
    if !possible() {
        return;
    }
    let mut world = World::shell(STATUS);
    world.process().user.uid = 12345;
    let output = world.output();
    assert!(output.contains("CapEff:0000000000000000") && output.contains("CapPrm:0000000000000000"), "{output}");
}

#[test]
fn home_is_found_in_the_containers_passwd_or_is_the_root() {
    if !possible() {
        return;
    }
    for (uid, home) in [(0, "/root"), (1000, "/home/user"), (77, "/")] {
        let mut world = World::shell("echo $HOME");
        world.process().user.uid = uid;
        assert_eq!(world.output(), home);
    }
}

#[test]
fn limits_are_set() {
    if !possible() {
        return;
    }
    let mut world = World::shell("ulimit -n; ulimit -H -n; ulimit -c");
    let limit = |kind: &str, soft, hard| PosixRlimit { kind: kind.into(), soft, hard };
    world.process().rlimits = vec![limit("RLIMIT_NOFILE", 100, 200), limit("RLIMIT_CORE", 0, 0)];
    assert_eq!(world.output(), "100\n200\n0");
}

#[test]
fn the_oom_score_is_raised_for_all_and_the_same_is_no_change() {
    if !possible() {
        return;
    }
    let mut world = World::shell("cat /proc/self/oom_score_adj");
    world.process().oom_score_adj = Some(123);
    assert_eq!(world.output(), "123");
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    world.process().oom_score_adj = own.trim().parse().ok();
    assert_eq!(world.output(), own.trim());
}

#[test]
fn the_working_directory_is_made_and_entered() {
    if !possible() {
        return;
    }
    let mut world = World::shell("pwd");
    world.process().cwd = "/work/here".into();
    assert_eq!(world.output(), "/work/here");
}

#[test]
fn scheduling_is_applied() {
    if !possible() {
        return;
    }
    let mut world = World::shell(
        "grep ^policy /proc/self/sched | tr -d ' '; cat /proc/self/stat | tr ' ' '\\n' | head -19 | grep -c .",
    );
    world.process().scheduler = Some(Scheduler { policy: "SCHED_BATCH".into(), nice: Some(3), ..Default::default() });
    let output = world.run().unwrap();
    assert_eq!(output.status, 0, "{output:?}");
}

fn filter(name: &str) -> LinuxSeccomp {
    LinuxSeccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        syscalls: vec![LinuxSyscall {
            names: vec![name.into()],
            action: "SCMP_ACT_ERRNO".into(),
            errno_ret: Some(1),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn a_filter_holds_with_and_without_new_privileges() {
    if !possible() {
        return;
    }
    for no_new_privileges in [false, true] {
        let mut world = World::shell(&format!("mkdir /tmp/x 2>&1; {STATUS}"));
        world.linux().seccomp = Some(filter("mkdir"));
        world.process().no_new_privileges = no_new_privileges;
        let output = world.output();
        assert!(output.contains("not permitted") && output.contains("Seccomp:2"), "{output}");
        assert!(output.contains("CapEff:00000000a80425fb"), "the right to load the filter is gone: {output}");
    }
}

#[test]
fn nothing_of_the_callers_signals_is_left() {
    if !possible() {
        return;
    }
    let output = World::shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d ' \\t'").output();
    assert_eq!(output, "SigBlk:0000000000000000\nSigIgn:0000000000000000");
}
