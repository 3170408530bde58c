//! The known ways out of a container, each as it would work on a naive runtime.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::{World, possible, shell};

/// CVE-2019-5736: root in a container overwrites the runtime's binary through /proc/<pid>/exe. An exec of `/proc/self/exe`
/// makes the container's own process run the binary that entered; the engine starts its shims from a protected view.
#[test]
fn cve_2019_5736_the_binary_cannot_be_written_from_inside() {
    if !possible() {
        return;
    }
    let exe = dhow_sys::exe::ProtectedExe::open().unwrap();
    // As the container's root would: with all rights, through a magic link, on a file that nobody else holds busy.
    let opened = fs::OpenOptions::new().write(true).open(exe.path());
    let written = opened.and_then(|mut file| std::io::Write::write_all(&mut file, b"evil"));
    assert!(written.is_err(), "the binary was written");
    // And while a process enters, nobody inside can reach it.
    let running = World::shell("").sleep();
    let mut process = shell("");
    process.args = vec!["/proc/self/exe".into(), "--help".into()];
    // What it runs is whatever `/proc/self/exe` is at that moment: ours, from a copy that is not writable.
    if let Ok(outcome) = running.exec(&process) {
        assert!(!outcome.out.is_empty() || outcome.status != 0);
    }
    running.kill();
}

/// CVE-2016-9962 and the first half of CVE-2019-5736: a process that enters or waits must not be inspected by those inside.
#[test]
fn cve_2016_9962_a_process_on_its_way_in_is_not_dumpable() {
    if !possible() {
        return;
    }
    let world = World::shell("true");
    let (init, ..) = world.create().unwrap();
    // A process that may be dumped belongs to its user; one that may not, to root, and its links to nobody without
    // CAP_SYS_PTRACE over the host.
    let mut user = World::shell("true");
    user.user_namespace();
    let (mapped, ..) = user.create().unwrap();
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(format!("/proc/{}/fd", mapped.pid())).unwrap().uid();
    assert_eq!(owner, 0, "root of the container owns the way in");
    drop(init);
}

/// CVE-2019-19921, CVE-2023-27561: an image with a link at /proc, so that labels are written elsewhere.
#[test]
fn cve_2019_19921_proc_is_not_mounted_on_a_link() {
    if !possible() {
        return;
    }
    for name in ["proc", "sys"] {
        let world = World::shell("true");
        fs::remove_dir(world.rootfs().join(name)).unwrap();
        symlink("tmp", world.rootfs().join(name)).unwrap();
        let error = world.error();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.os_error(), Some(40), "ELOOP: {error}");
    }
}

/// CVE-2019-16884: a volume mounted over /proc makes a fake one.
#[test]
fn cve_2019_16884_no_volume_hides_proc() {
    if !possible() {
        return;
    }
    for target in ["/proc", "/proc/self/attr", "/tmp/../proc"] {
        let mut world = World::shell("true");
        let source = world.path().join("volume");
        fs::create_dir(&source).unwrap();
        world.mount(target, "bind", &source, &["rbind"]);
        assert_eq!(world.error().class(), dhow_errdefs::Class::InvalidArgument, "{target}");
    }
    // The same through a link of the image, which no look at the text of the path reveals.
    let mut world = World::shell("true");
    symlink("/proc/fs", world.rootfs().join("innocent")).unwrap();
    world.mount("/innocent", "tmpfs", "tmpfs", &[]);
    let error = world.error();
    assert!(error.to_string().contains("inside /proc"), "{error}");
}

/// CVE-2021-30465: a mount's target is a link that leads out of the root.
#[test]
fn cve_2021_30465_mount_targets_stay_inside_the_root() {
    if !possible() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    for link in [outside.path().to_str().unwrap(), "../../../../../../../../../../etc", "/proc/self/root/etc"] {
        let mut world = World::shell("true");
        symlink(link, world.rootfs().join("volume")).unwrap();
        world.mount("/volume/inner", "tmpfs", "tmpfs", &[]);
        // Inside the root, or not at all.
        let _ = world.run();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(!std::path::Path::new("/etc/inner").exists());
    }
}

/// The race of CVE-2021-30465: a neighbour swaps a directory for a link again and again while containers start.
#[test]
fn cve_2021_30465_a_race_for_the_target_is_lost() {
    if !possible() {
        return;
    }
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut world = World::shell("cat /proc/self/mountinfo");
    let shared = world.path().join("shared");
    fs::create_dir_all(shared.join("a")).unwrap();
    symlink("/", shared.join("b")).unwrap();
    world.mount("/shared", "bind", &shared, &["rbind"]);
    world.mount("/shared/a/x", "tmpfs", "evil", &[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (a, b) = (shared.join("a"), shared.join("b"));
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(rustix::fs::CWD, &a, rustix::fs::CWD, &b, flags);
            }
        });
        for _ in 0..30 {
            // A mount lands in the volume or, through the link, at the container's own /x; never on the host.
            let _ = world.run();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(!std::path::Path::new("/x").exists());
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains("evil"));
}

/// CVE-2024-21626: a working directory in a leaked descriptor of the host.
#[test]
fn cve_2024_21626_the_working_directory_is_in_the_container() {
    if !possible() {
        return;
    }
    let leaked = fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    for number in 3..24 {
        let cwd = format!("/proc/self/fd/{number}");
        let mut world = World::shell("ls");
        world.process().cwd = cwd.clone();
        if let Ok(outcome) = world.run() {
            assert!(!outcome.out.contains("boot"), "{cwd}: the host's root: {outcome:?}");
        }
        let running = World::shell("").sleep();
        let mut process = shell("ls");
        process.cwd = cwd;
        if let Ok(outcome) = running.exec(&process) {
            assert!(!outcome.out.contains("boot"), "the host's root: {outcome:?}");
        }
        running.kill();
    }
}

/// The check itself, with a descriptor that is meant to be passed: a directory of the host is refused as such.
#[test]
fn cve_2024_21626_a_passed_directory_is_no_working_directory() {
    if !possible() {
        return;
    }
    let mut world = World::shell("ls");
    let leaked = fs::File::open("/").unwrap();
    // As high as only this test has it, so that no other thread's descriptor is passed along.
    let number = 600;
    let high = rustix::io::fcntl_dupfd_cloexec(&leaked, number).unwrap();
    rustix::io::fcntl_setfd(&high, rustix::io::FdFlags::empty()).unwrap();
    use std::os::fd::AsRawFd;
    world.process().cwd = format!("/proc/self/fd/{}", high.as_raw_fd());
    let mut request = world.request();
    request.preserve_fds = high.as_raw_fd() as u32 - 2;
    let error = dhow_runtime::create(request).unwrap_err();
    assert_eq!(error.to_string(), "the working directory is outside of the container");
}

/// CVE-2025-31133: /dev/null is a link to a file that is then bound, writable, over a masked path.
#[test]
fn cve_2025_31133_masks_use_a_real_null_device() {
    if !possible() {
        return;
    }
    // Without a fresh /dev, the image's own stays.
    let mut world = World::shell("cat /proc/kcore | head -c 5");
    world.spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    fs::write(world.rootfs().join("secret"), "secret").unwrap();
    symlink("/secret", world.rootfs().join("dev/null")).unwrap();
    assert!(world.run().is_err(), "a link is not the null device");
    fs::remove_file(world.rootfs().join("dev/null")).unwrap();
    fs::write(world.rootfs().join("dev/null"), "evil").unwrap();
    assert!(world.run().is_err(), "nor is a file");
}

/// CVE-2025-52565: /dev/console is a link to a file of procfs, over which the terminal would be mounted.
#[test]
fn cve_2025_52565_the_console_is_not_bound_over_a_link() {
    if !possible() {
        return;
    }
    let mut world = World::shell("grep -c console /proc/self/mountinfo");
    // An image's own /dev with a link; the terminals are mounted as always.
    world.spec.mounts.retain(|mount| mount.destination.as_os_str() != "/dev");
    fs::create_dir_all(world.rootfs().join("dev/pts")).unwrap();
    symlink("/proc/sysrq-trigger", world.rootfs().join("dev/console")).unwrap();
    let mut request = world.request();
    request.stdio = dhow_runtime::Stdio::Terminal;
    let error = dhow_runtime::create(request).unwrap_err();
    assert!(error.to_string().starts_with("bind the terminal at /dev/console"), "{error}");
}

/// CVE-2025-52565, the other half: the terminal's slave is not looked up by a path that the image chose.
#[test]
fn cve_2025_52565_terminals_come_from_a_real_devpts() {
    if !possible() {
        return;
    }
    let mut world = World::shell("true");
    world.spec.mounts.retain(|mount| mount.destination.as_os_str() != "/dev/pts");
    let mut request = world.request();
    request.stdio = dhow_runtime::Stdio::Terminal;
    let error = dhow_runtime::create(request).unwrap_err();
    assert!(error.to_string().starts_with("open a terminal in /dev/pts"), "{error}");
}

/// CVE-2025-52881: what is written to /proc is redirected by a file system mounted there, so that a sysctl or a label goes
/// elsewhere. The sysctl arrives although the container's /proc/sys is a tmpfs.
#[test]
fn cve_2025_52881_writes_to_proc_arrive_whatever_the_container_mounts() {
    if !possible() {
        return;
    }
    let mut world = World::shell("cat /real/sys/kernel/msgmax");
    world.linux().sysctl.insert("kernel.msgmax".into(), "5151".into());
    world.mount("/real", "proc", "proc", &[]);
    // The strongest attacker: a container without any proc of its own at the usual place.
    world.spec.mounts.retain(|mount| mount.destination.as_os_str() != "/proc");
    fs::create_dir_all(world.rootfs().join("proc/sys/kernel")).unwrap();
    fs::write(world.rootfs().join("proc/sys/kernel/msgmax"), "fake").unwrap();
    assert_eq!(world.output(), "5151");
    assert_eq!(fs::read_to_string(world.rootfs().join("proc/sys/kernel/msgmax")).unwrap(), "fake");
}

/// A path below a volume (`x-dhow.subpath`), where a container has left links: none leads out of the volume.
#[test]
fn a_path_below_a_source_stays_below_it() {
    if !possible() {
        return;
    }
    let world = |subpath: &str| {
        let mut world = World::shell("cat /mnt/file");
        let volume = world.path().join("volume");
        fs::create_dir_all(volume.join("in/side")).unwrap();
        fs::write(volume.join("in/side/file"), "inside").unwrap();
        symlink("in", volume.join("near")).unwrap();
        symlink("/etc", volume.join("host")).unwrap();
        symlink("../../../../../../../../etc", volume.join("up")).unwrap();
        symlink("/proc/self/root", volume.join("magic")).unwrap();
        world.mount("/mnt", "bind", &volume, &["rbind", &format!("x-dhow.subpath={subpath}")]);
        world
    };
    assert_eq!(world("in/side").output(), "inside");
    assert_eq!(world("near/side").output(), "inside");
    for subpath in ["host", "up", "up/ssl", "magic", "magic/etc", "..", "in/../../volume"] {
        let error = world(subpath).error();
        assert!(
            error.to_string().contains("escapes the base directory") || error.os_error() == Some(40),
            "{subpath}: {error}"
        );
    }
}
