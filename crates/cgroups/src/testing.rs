//! Tests on the kernel's own trees: as root, in cgroups with names of our own, removed at the end.
//!
//! Each test runs on the trees as the host has them and, on a hybrid host, on its v1 trees alone and on its v2 tree
//! alone as well, so that one machine shows all three.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use dhow_errdefs::Class;
use dhow_oci::runtime::{LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxPids, LinuxResources};
use rustix::event::{PollFd, PollFlags, poll};

use crate::hierarchy::{Inner, Version};
use crate::{Cgroup, Controller, Hierarchy, Mode};

/// Tells the helper what to do; see [`helper`].
const ROLE: &str = "DHOW_CGROUPS_TEST_ROLE";

/// The host's trees, and parts of them. Empty where these tests cannot run.
fn worlds() -> Vec<Hierarchy> {
    let host = match Hierarchy::detect() {
        Ok(host) if host.delegated().is_ok_and(|part| part.is_some_and(|part| part.parent.is_empty())) => host,
        _ => {
            eprintln!("not run: needs root and writable cgroup trees");
            return Vec::new();
        }
    };
    let mut worlds = vec![host];
    if worlds[0].mode() == Mode::Hybrid {
        worlds.extend([(Version::V1, Mode::V1), (Version::V2, Mode::V2)].map(|(version, mode)| {
            let mut inner = Arc::into_inner(Hierarchy::detect().unwrap().inner).unwrap();
            inner.trees.retain(|tree| tree.version == version);
            Hierarchy { inner: Arc::new(Inner { mode, ..inner }) }
        }));
    }
    worlds
}

/// A cgroup of one test, removed with everything in it.
struct World {
    cgroup: Cgroup,
    parent: Cgroup,
}

impl World {
    fn new(hierarchy: &Hierarchy) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let parent = format!("/dhow-test-{}-{number}", std::process::id());
        let cgroup = Cgroup::create(hierarchy, &format!("{parent}/box")).unwrap();
        Self { cgroup, parent: Cgroup::open(hierarchy, &parent).unwrap() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.cgroup.delete().unwrap();
        self.parent.delete().unwrap();
    }
}

/// A process that was put into the cgroup before it does what its role says.
struct Helper(Child);

impl Helper {
    fn start(cgroup: &Cgroup, role: &str) -> Self {
        Self::start_as(cgroup, role, 0)
    }

    fn start_as(cgroup: &Cgroup, role: &str, uid: u32) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "testing::helper", "--nocapture"]).env(ROLE, role).uid(uid);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        cgroup.add(child.id().cast_signed()).unwrap();
        let mut helper = Self(child);
        helper.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        helper
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Waits for the line that says it has begun.
    fn wait_ready(&mut self) {
        let mut seen = String::new();
        let mut byte = [0];
        while !seen.contains("ready") {
            assert_eq!(self.0.stdout.as_mut().unwrap().read(&mut byte).unwrap(), 1, "the helper ended: {seen}");
            seen.push(byte[0].into());
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: what the helper processes run. Without a role it has nothing to do.
/// An engine that ends takes the parent of its containers away when it is empty, and the next one may just be making it.
#[test]
fn a_parent_that_is_taken_away_meanwhile_is_made_again() {
    for hierarchy in worlds() {
        let parent = format!("/dhow-test-{}-taken", std::process::id());
        let over = AtomicBool::new(false);
        let made: Vec<_> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    Cgroup::delete_empty(&hierarchy, &parent).unwrap();
                }
            });
            let make = |number| Cgroup::create(&hierarchy, &format!("{parent}/{number}"))?.delete();
            let made = (0..100).map(make).collect();
            over.store(true, Ordering::Relaxed);
            made
        });
        Cgroup::delete_empty(&hierarchy, &parent).unwrap();
        made.into_iter().for_each(|made| made.unwrap());
    }
}

#[test]
fn helper() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let open = |path| std::fs::File::open(path).is_ok();
    match role.as_str() {
        "wait" => {
            println!("ready");
            std::io::stdin().read_line(&mut line).unwrap();
        }
        "devices" => std::process::exit(i32::from(open("/dev/null")) << 1 | i32::from(open("/dev/zero"))),
        "memory" => {
            let hog = vec![1_u8; 256 << 20];
            std::process::exit(hog[hog.len() / 2].into());
        }
        "breed" => {
            let spawn =
                || Command::new("/proc/self/exe").args(["--exact", "testing::helper"]).env(ROLE, "wait").spawn();
            let children: Vec<Child> = (0..8).map(|_| spawn().unwrap()).collect();
            println!("ready");
            drop(children);
            std::io::stdin().read_line(&mut line).unwrap();
        }
        "engine" => {
            let hierarchy = Hierarchy::detect().unwrap();
            let own = crate::subtree::own_path().unwrap();
            let cgroup = Cgroup::create(&hierarchy, &format!("{own}/dhow/box")).unwrap();
            assert!(hierarchy.controllers().difference(cgroup.joined()).iter().all(|c| c.v2_name().is_none()));
        }
        "user" => {
            let hierarchy = Hierarchy::detect().unwrap();
            let part = hierarchy.delegated().unwrap().expect("the cgroup was given to this user");
            assert_eq!(part.parent, crate::subtree::own_path().unwrap());
            let cgroup = Cgroup::create(&hierarchy, &format!("{}/dhow/box", part.parent)).unwrap();
            assert_eq!(cgroup.joined().intersection(part.controllers), part.controllers);
            let pids = Some(LinuxPids { limit: 9 });
            let warnings = cgroup.apply(&LinuxResources { pids, ..LinuxResources::default() }).unwrap();
            assert_eq!(warnings, [""; 0]);
            assert_eq!(cgroup.stats().unwrap().pids.limit, Some(9));
            cgroup.delete().unwrap();
        }
        "nobody" => assert_eq!(Hierarchy::detect().unwrap().delegated().unwrap(), None),
        other => panic!("unknown role {other}"),
    }
}

#[test]
fn limits_arrive_in_the_kernel() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        let resources = LinuxResources {
            memory: Some(LinuxMemory { limit: Some(64 << 20), swap: Some(64 << 20), ..LinuxMemory::default() }),
            cpu: Some(LinuxCpu {
                shares: Some(512),
                quota: Some(50_000),
                period: Some(100_000),
                cpus: Some("0".into()),
                ..LinuxCpu::default()
            }),
            pids: Some(LinuxPids { limit: 20 }),
            ..LinuxResources::default()
        };
        let warnings = world.cgroup.apply(&resources).unwrap();
        let support = hierarchy.support(hierarchy.controllers());
        assert_eq!(warnings.is_empty(), support.check(&resources).is_empty(), "{warnings:?}");
        let stats = world.cgroup.stats().unwrap();
        assert_eq!(stats.memory.limit, support.memory.then_some(64 << 20));
        assert_eq!(stats.pids.limit, support.pids.then_some(20));
        if let Some(member) = world.cgroup.member(Controller::CpuSet) {
            assert_eq!(member.directory.read("cpuset.cpus").unwrap().trim(), "0");
        }
        if let Some(member) = world.cgroup.member(Controller::Cpu) {
            let [file, value] = match member.version {
                Version::V1 => ["cpu.shares", "512"],
                Version::V2 => ["cpu.max", "50000 100000"],
            };
            assert_eq!(member.directory.read(file).unwrap().trim(), value);
        }
    }
}

#[test]
fn memory_limits_move_up_and_down_together_with_swap() {
    for hierarchy in worlds().into_iter().filter(|h| h.support(h.controllers()).memory) {
        let world = World::new(&hierarchy);
        for (limit, swap) in [(64, 128), (256, 256), (32, 64), (512, -1), (-1, -1)] {
            let bytes = |mebi: i64| Some(if mebi < 0 { mebi } else { mebi << 20 });
            let memory = LinuxMemory { limit: bytes(limit), swap: bytes(swap), ..LinuxMemory::default() };
            let resources = LinuxResources { memory: Some(memory), ..LinuxResources::default() };
            world.cgroup.apply(&resources).unwrap();
            let expected = u64::try_from(limit).ok().map(|mebi| mebi << 20);
            assert_eq!(world.cgroup.stats().unwrap().memory.limit, expected, "{limit} {swap}");
        }
    }
}

#[test]
fn processes_are_seen_and_killed() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        assert!(world.cgroup.is_empty().unwrap());
        let mut helper = Helper::start(&world.cgroup, "wait");
        helper.wait_ready();
        assert_eq!(world.cgroup.pids().unwrap(), [helper.pid()]);
        assert!(!world.cgroup.is_empty().unwrap());
        let again = Cgroup::create(&hierarchy, world.cgroup.path()).unwrap_err();
        assert_eq!(again.class(), Class::AlreadyExists);
        world.cgroup.kill(9).unwrap();
        assert_eq!(helper.0.wait().unwrap().signal(), Some(9));
        assert!(world.cgroup.is_empty().unwrap());
        assert!(world.cgroup.kill(999).is_err());
    }
}

#[test]
fn a_signal_reaches_every_process() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        let mut helper = Helper::start(&world.cgroup, "breed");
        helper.wait_ready();
        assert!(world.cgroup.pids().unwrap().len() >= 9);
        world.cgroup.kill(15).unwrap();
        assert_eq!(helper.0.wait().unwrap().signal(), Some(15));
    }
}

#[test]
fn a_frozen_cgroup_stops_thaws_and_can_be_killed() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        let mut helper = Helper::start(&world.cgroup, "wait");
        helper.wait_ready();
        world.cgroup.freeze().unwrap();
        assert!(world.cgroup.is_frozen().unwrap());
        helper.0.stdin.as_mut().unwrap().write_all(b"end\n").unwrap();
        assert!(helper.0.try_wait().unwrap().is_none(), "a frozen process does not read");
        world.cgroup.thaw().unwrap();
        assert!(!world.cgroup.is_frozen().unwrap());
        assert!(helper.0.wait().unwrap().success());

        let mut helper = Helper::start(&world.cgroup, "wait");
        helper.wait_ready();
        world.cgroup.freeze().unwrap();
        world.cgroup.kill(9).unwrap();
        assert_eq!(helper.0.wait().unwrap().signal(), Some(9));
        world.cgroup.thaw().unwrap();
    }
}

#[test]
fn removal_ends_processes_and_cgroups_below_and_may_be_repeated() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        // In this order: with a process in it, a v2 cgroup hands no controller down, and may keep the process.
        let mut high = Helper::start(&world.cgroup, "wait");
        high.wait_ready();
        let below = Cgroup::create(&hierarchy, &format!("{}/a/b", world.cgroup.path())).unwrap();
        let mut deep = Helper::start(&below, "breed");
        deep.wait_ready();
        world.cgroup.freeze().unwrap();
        world.cgroup.delete().unwrap();
        assert_eq!(deep.0.wait().unwrap().signal(), Some(9));
        assert_eq!(high.0.wait().unwrap().signal(), Some(9));
        world.cgroup.delete().unwrap();
        assert_eq!(Cgroup::open(&hierarchy, world.cgroup.path()).unwrap_err().class(), Class::NotFound);
        assert!(world.cgroup.pids().unwrap().is_empty());
        assert!(world.cgroup.is_empty().unwrap());
        world.cgroup.kill(9).unwrap();
    }
}

#[test]
fn a_kill_for_lack_of_memory_is_counted_and_told() {
    for hierarchy in worlds().into_iter().filter(|h| h.support(h.controllers()).memory) {
        let world = World::new(&hierarchy);
        let memory = LinuxMemory { limit: Some(32 << 20), swap: Some(32 << 20), ..LinuxMemory::default() };
        world.cgroup.apply(&LinuxResources { memory: Some(memory), ..LinuxResources::default() }).unwrap();
        let watch = world.cgroup.oom_watch().unwrap();
        assert_eq!(world.cgroup.oom_kills().unwrap(), 0);
        let mut helper = Helper::start(&world.cgroup, "memory");
        assert_eq!(helper.0.wait().unwrap().signal(), Some(9));
        let mut fds = [PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN)];
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
        let mut drain = [0; 4096];
        assert!(rustix::io::read(&watch, &mut drain).unwrap() > 0);
        assert!(world.cgroup.oom_kills().unwrap() > 0);
    }
}

#[test]
fn device_rules_hold_and_can_be_changed() {
    let rule = |allow, kind: &str, major, minor| LinuxDeviceCgroup {
        allow,
        kind: Some(kind.into()),
        major,
        minor,
        access: Some("rwm".into()),
    };
    let [nothing, null, zero] =
        [rule(false, "a", None, None), rule(true, "c", Some(1), Some(3)), rule(true, "c", Some(1), Some(5))];
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        let opened = |devices: &[&LinuxDeviceCgroup]| {
            let devices = devices.iter().map(|rule| (*rule).clone()).collect();
            world.cgroup.apply(&LinuxResources { devices, ..LinuxResources::default() }).unwrap();
            Helper::start(&world.cgroup, "devices").0.wait().unwrap().code()
        };
        assert_eq!(opened(&[&nothing, &null]), Some(0b10), "{:?}", hierarchy.mode());
        assert_eq!(opened(&[&nothing, &null, &zero]), Some(0b11));
        assert_eq!(opened(&[&nothing, &zero]), Some(0b01));
        assert_eq!(opened(&[&rule(true, "a", None, None)]), Some(0b11));
    }
}

#[test]
fn a_limit_given_late_takes_the_processes_along() {
    for hierarchy in worlds().into_iter().filter(|h| h.support(h.controllers()).cpu_shares) {
        let world = World::new(&hierarchy);
        let mut helper = Helper::start(&world.cgroup, "breed");
        helper.wait_ready();
        let cpu = LinuxCpu { shares: Some(256), ..LinuxCpu::default() };
        world.cgroup.apply(&LinuxResources { cpu: Some(cpu), ..LinuxResources::default() }).unwrap();
        let member = world.cgroup.member(Controller::Cpu).unwrap();
        let mut there = crate::pids::recursive(&member.directory).unwrap();
        let mut all = world.cgroup.pids().unwrap();
        there.sort_unstable();
        all.sort_unstable();
        assert_eq!(there, all);
    }
}

#[test]
fn what_an_earlier_cgroup_left_is_not_inherited() {
    for hierarchy in worlds().into_iter().filter(|h| h.support(h.controllers()).pids) {
        let world = World::new(&hierarchy);
        let resources = LinuxResources { pids: Some(LinuxPids { limit: 7 }), ..LinuxResources::default() };
        world.cgroup.apply(&resources).unwrap();
        let fresh = Cgroup::create(&hierarchy, world.cgroup.path()).unwrap();
        fresh.join_all().unwrap();
        assert_eq!(fresh.stats().unwrap().pids.limit, None);
    }
}

#[test]
fn cgroups_of_one_parent_are_made_and_removed_at_the_same_time() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = format!("{}/many/{number}", world.cgroup.path());
                let hierarchy = &hierarchy;
                scope.spawn(move || {
                    let cgroup = Cgroup::create(hierarchy, &path).unwrap();
                    cgroup.join_all().unwrap();
                    cgroup.delete().unwrap();
                });
            }
        });
    }
}

#[test]
fn an_engine_that_hands_controllers_down_moves_itself_into_a_leaf() {
    let whole =
        |hierarchy: &Hierarchy| hierarchy.mode() == Mode::V2 && hierarchy.support(hierarchy.controllers()).memory;
    for hierarchy in worlds().into_iter().filter(whole) {
        let world = World::new(&hierarchy);
        let mut helper = Helper::start(&world.cgroup, "engine");
        assert!(helper.0.wait().unwrap().success());
    }
}

#[test]
fn a_user_has_the_cgroup_that_was_delegated_and_no_other() {
    const USER: u32 = 65_534;
    for hierarchy in worlds().into_iter().take(1) {
        let world = World::new(&hierarchy);
        assert!(Helper::start_as(&world.cgroup, "nobody", USER).0.wait().unwrap().success());
        if hierarchy.mode() != Mode::V2 {
            continue;
        }
        let cgroup = hierarchy.unified_mount_point().unwrap().join(world.cgroup.path().trim_start_matches('/'));
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            std::os::unix::fs::chown(cgroup.join(file), Some(USER), Some(USER)).unwrap();
        }
        assert!(Helper::start_as(&world.cgroup, "user", USER).0.wait().unwrap().success());
    }
}

/// Not a promise kept by a time limit, but a number to look at: `cargo test -- --nocapture making`.
#[test]
fn making_a_cgroup_is_quick() {
    for hierarchy in worlds() {
        let world = World::new(&hierarchy);
        let device = |minor| LinuxDeviceCgroup {
            allow: true,
            kind: Some("c".into()),
            major: Some(1),
            minor: Some(minor),
            access: Some("rwm".into()),
        };
        let mut devices = vec![LinuxDeviceCgroup { access: Some("rwm".into()), ..LinuxDeviceCgroup::default() }];
        devices.extend((1..12).map(device));
        let resources = LinuxResources { devices, ..LinuxResources::default() };
        let rounds = 20;
        let (mut making, mut removing) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        for round in 0..rounds {
            let start = std::time::Instant::now();
            let path = format!("{}/{round}", world.cgroup.path());
            let cgroup = Cgroup::create(&hierarchy, &path).unwrap();
            cgroup.apply(&resources).unwrap();
            making += start.elapsed();
            let start = std::time::Instant::now();
            cgroup.delete().unwrap();
            removing += start.elapsed();
        }
        eprintln!("{:?}: made in {:?}, removed in {:?}", hierarchy.mode(), making / rounds, removing / rounds);
    }
}
