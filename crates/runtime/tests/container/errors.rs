//! Failures have the class and the words that Docker's users know, and leave nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dhow_errdefs::Class;
use dhow_oci::runtime::PosixRlimit;

use crate::world::{World, possible, shell};

fn of_program(args: &[&str]) -> (Class, String) {
    let mut world = World::shell("");
    fs::write(world.rootfs().join("plain"), "not executable").unwrap();
    fs::write(world.rootfs().join("bad"), "\x7fELF nonsense").unwrap();
    fs::write(world.rootfs().join("script"), "#!/no/interpreter\n").unwrap();
    for name in ["bad", "script"] {
        fs::set_permissions(world.rootfs().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.process().args = args.iter().map(|word| (*word).to_owned()).collect();
    let error = world.error();
    (error.class(), error.to_string())
}

#[test]
fn a_program_that_is_not_found() {
    if !possible() {
        return;
    }
    let bare = of_program(&["nope"]);
    assert_eq!(bare, (Class::NotFound, "exec: \"nope\": executable file not found in $PATH".into()));
    let path = of_program(&["/nope"]);
    assert_eq!(path, (Class::NotFound, "exec: \"/nope\": stat /nope: no such file or directory".into()));
    let below_a_file = of_program(&["/plain/x"]);
    assert_eq!(below_a_file, (Class::NotFound, "exec: \"/plain/x\": stat /plain/x: not a directory".into()));
}

#[test]
fn a_program_that_cannot_be_executed() {
    if !possible() {
        return;
    }
    let plain = of_program(&["/plain"]);
    assert_eq!(plain, (Class::PermissionDenied, "exec: \"/plain\": permission denied".into()));
    let directory = of_program(&["/bin"]);
    assert_eq!(directory, (Class::PermissionDenied, "exec: \"/bin\": is a directory".into()));
    let nonsense = of_program(&["/bad"]);
    assert_eq!(nonsense, (Class::InvalidArgument, "exec /bad: exec format error".into()));
    let script = of_program(&["/script"]);
    assert_eq!(script, (Class::NotFound, "exec /script: no such file or directory".into()));
}

#[test]
fn exec_tells_the_same() {
    if !possible() {
        return;
    }
    let running = World::shell("").sleep();
    let mut process = shell("");
    process.args = vec!["nope".into()];
    let error = running.exec(&process).unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
    assert_eq!(error.to_string(), "exec: \"nope\": executable file not found in $PATH");
    process.args = vec!["/etc/passwd".into()];
    assert_eq!(running.exec(&process).unwrap_err().class(), Class::PermissionDenied);
    running.kill();
}

#[test]
fn a_limit_that_cannot_be_raised_is_named() {
    if !possible() {
        return;
    }
    let mut world = World::shell("true");
    world.process().rlimits = vec![PosixRlimit { kind: "RLIMIT_NOFILE".into(), soft: 1 << 29, hard: 1 << 40 }];
    let error = world.error();
    assert!(error.to_string().starts_with("raise rlimit RLIMIT_NOFILE from "), "{error}");
}

#[test]
fn a_mount_that_fails_names_its_target() {
    if !possible() {
        return;
    }
    let mut world = World::shell("true");
    world.mount("/tmp/x", "no-such-fs", "none", &[]);
    let error = world.error();
    assert!(error.to_string().starts_with("mount no-such-fs on /tmp/x: "), "{error}");
    let mut world = World::shell("true");
    world.mount("/etc/passwd", "tmpfs", "none", &[]);
    let error = world.error();
    assert!(error.to_string().contains("/etc/passwd"), "{error}");
}

#[test]
fn labels_without_a_security_module_are_refused() {
    if !possible() || std::path::Path::new("/sys/module/apparmor/parameters/enabled").exists() {
        return;
    }
    let mut world = World::shell("true");
    world.process().apparmor_profile = Some("docker-default".into());
    assert!(world.error().to_string().contains("AppArmor is not enabled"));
    let mut world = World::shell("true");
    world.process().selinux_label = Some("system_u:system_r:container_t:s0".into());
    assert!(world.error().to_string().contains("SELinux is not enabled"));
}
