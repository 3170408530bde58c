//! Namespaces: made, joined, and not leaked into.

use dhow_oci::runtime::{LinuxIdMapping, LinuxTimeOffset};

use crate::world::{World, possible};

#[test]
fn each_kind_is_the_containers_own() {
    if !possible() {
        return;
    }
    let kinds = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];
    let world =
        World::shell(&format!("for n in {}; do readlink /proc/self/ns/$n; done; echo $$; hostname", kinds.join(" ")));
    let output = world.output();
    let lines: Vec<&str> = output.lines().collect();
    for (kind, theirs) in kinds.iter().zip(&lines) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(ours.to_str().unwrap(), *theirs);
    }
    assert_eq!(lines[6..], ["1", "lab"]);
}

#[test]
fn loopback_is_up() {
    if !possible() {
        return;
    }
    let output = World::shell("ip addr show lo").output();
    assert!(output.contains("127.0.0.1/8") && output.contains("UP"), "{output}");
}

#[test]
fn a_user_namespace_maps_root_and_binds_devices() {
    if !possible() {
        return;
    }
    let mut world = World::shell(
        "id -u; cat /proc/self/uid_map; echo x > /dev/null && stat -c %t:%T /dev/null; ip addr show lo | grep -c 127.0.0.1; \
         cat /proc/self/setgroups; hostname",
    );
    world.user_namespace();
    let output = world.output();
    let lines: Vec<&str> = output.lines().map(str::trim).collect();
    assert_eq!(lines[0], "0");
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    assert_eq!(lines[2..], ["1:3", "1", "allow", "lab"]);
}

#[test]
fn a_users_processes_are_that_user_on_the_host() {
    if !possible() {
        return;
    }
    let mut world = World::shell("");
    world.user_namespace();
    let running = world.sleep();
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    assert!(status.lines().any(|line| line.starts_with("Uid:\t100000\t100000")), "{status}");
    running.kill();
}

#[test]
fn namespaces_of_another_container_are_shared() {
    if !possible() {
        return;
    }
    let first = World::shell("").sleep();
    let own = |name| std::fs::read_link(format!("/proc/thread-self/ns/{name}")).unwrap();
    let network = own("net");
    let mut second =
        World::shell("for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; ps | grep -c 'sleep 1000'");
    second.spec.hostname = None;
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        second.namespace(kind, Some(&format!("/proc/{}/ns/{file}", first.pid())));
    }
    let output = second.output();
    for (file, theirs) in ["net", "ipc", "uts", "pid"].iter().zip(output.lines()) {
        let link = std::fs::read_link(format!("/proc/{}/ns/{file}", first.pid())).unwrap();
        assert_eq!(link.to_str().unwrap(), theirs);
    }
    assert_eq!(own("pid"), own("pid_for_children"), "the thread came home");
    assert_eq!(own("net"), network);
    first.kill();
}

#[test]
fn a_user_namespace_of_another_container_is_joined() {
    if !possible() {
        return;
    }
    let mut world = World::shell("");
    world.user_namespace();
    let first = world.sleep();
    let mut second = World::shell("readlink /proc/self/ns/user; readlink /proc/self/ns/net; id -u; echo $$");
    second.namespace("user", Some(&format!("/proc/{}/ns/user", first.pid())));
    second.namespace("network", Some(&format!("/proc/{}/ns/net", first.pid())));
    let link = |name| std::fs::read_link(format!("/proc/{}/ns/{name}", first.pid())).unwrap().display().to_string();
    let expected = format!("{}\n{}\n0\n1", link("user"), link("net"));
    assert_eq!(second.output(), expected);
    first.kill();
}

#[test]
fn a_network_of_a_foreign_user_namespace_can_be_shared_by_a_new_one() {
    if !possible() {
        return;
    }
    let first = World::shell("").sleep();
    let mut second = World::shell("readlink /proc/self/ns/net; ls /sys/class/net");
    second.user_namespace();
    second.namespace("network", Some(&format!("/proc/{}/ns/net", first.pid())));
    let link = std::fs::read_link(format!("/proc/{}/ns/net", first.pid())).unwrap();
    // /sys is the host's own then, as the namespace is not the container's to mount it anew.
    assert!(second.output().starts_with(link.to_str().unwrap()));
    first.kill();
}

#[test]
fn a_time_namespace_has_its_offsets() {
    if !possible() || !std::path::Path::new("/proc/self/ns/time").exists() {
        eprintln!("SKIPPED: no time namespaces here");
        return;
    }
    let mut world = World::shell("cat /proc/self/timens_offsets; cat /proc/uptime");
    world.namespace("time", Some(""));
    world.linux().time_offsets.insert("boottime".into(), LinuxTimeOffset { secs: 864_000_000, nanosecs: 5 });
    let output = world.output();
    assert!(output.contains("864000000"), "{output}");
    let uptime: f64 = output.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(uptime > 864_000_000.0, "{output}");
}

#[test]
fn an_id_mapped_bind_mount_changes_owners() {
    if !possible() {
        return;
    }
    let mut world = World::shell("stat -c %u:%g /data/file");
    std::fs::create_dir(world.path().join("data")).unwrap();
    std::fs::write(world.path().join("data/file"), "").unwrap();
    let source = world.path().join("data");
    world.mount("/data", "bind", &source, &["bind", "idmap"]);
    let map = LinuxIdMapping { container_id: 0, host_id: 4242, size: 1 };
    let mount = world.spec.mounts.last_mut().unwrap();
    (mount.uid_mappings, mount.gid_mappings) = (vec![map.clone()], vec![map]);
    match world.run() {
        Ok(outcome) => assert_eq!(outcome.out, "4242:4242\n"),
        Err(error) => {
            assert!(error.to_string().contains("map the ids"), "{error}");
            eprintln!("SKIPPED: {error}");
        }
    }
}

#[test]
fn what_would_change_the_host_is_refused() {
    if !possible() {
        return;
    }
    let mut world = World::shell("true");
    world.namespace("uts", None);
    assert!(world.error().to_string().contains("needs a uts namespace"));
    let mut world = World::shell("true");
    world.namespace("network", None);
    world.linux().sysctl.insert("net.ipv4.ip_forward".into(), "1".into());
    assert!(world.error().to_string().contains("not allowed in the host's network namespace"));
    let mut world = World::shell("true");
    world.linux().sysctl.insert("vm.swappiness".into(), "1".into());
    assert!(world.error().to_string().contains("not in a separate kernel namespace"));
    let mut world = World::shell("true");
    world.namespace("mount", None);
    assert!(world.error().to_string().contains("no mount namespace"));
}

#[test]
fn sysctls_are_the_containers() {
    if !possible() {
        return;
    }
    let mut world = World::shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax");
    world.linux().sysctl.insert("net.ipv4.ip_unprivileged_port_start".into(), "17".into());
    world.linux().sysctl.insert("kernel.msgmax".into(), "4242".into());
    assert_eq!(world.output(), "17\n4242");
    assert_ne!(std::fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(), "4242\n");
}
