//! Networks on a link of the host (macvlan), and networks that are only a configuration.

use std::process::Command;

use dhow_testkit::{Outcome, eventually, finish};

use crate::busybox;
use crate::networks::{address, fetch, serve};

fn ip(words: &str) -> Outcome {
    finish(Command::new("/usr/sbin/ip").args(words.split(' ')))
}

/// A link of the host that has another end, in the test's namespace.
fn parent(name: &str) {
    ip(&format!("link add {name} type veth peer name far-{name}")).exits(0);
    ip(&format!("link set {name} up")).exits(0);
    ip(&format!("link set far-{name} up")).exits(0);
}

/// What the host has of links by that name.
fn is_there(name: &str) -> bool {
    ip(&format!("-o link show {name}")).code() == 0
}

#[test]
fn containers_on_a_link_of_the_host_reach_each_other_and_whoever_is_on_the_wire() {
    let mut world = busybox();
    parent("wire0");
    let create = ["network", "create", "-d", "macvlan", "--subnet", "10.66.0.0/24", "--gateway", "10.66.0.1"];
    world.docker(&[&create[..], &["-o", "parent=wire0", "lan"]].concat()).exits(0);
    ip("addr add 10.66.0.1/24 dev far-wire0").exits(0);
    serve(&world, "web", &["--network", "lan", "--ip", "10.66.0.9"]);
    eventually("web answers its neighbour", || fetch(&world, "lan", "http://web/name").as_deref() == Some("web"));
    assert_eq!(crate::networks::ask("10.66.0.9:80").as_deref(), Some("web"), "from the other end of the wire");
    assert_eq!(address(&world, "web", "lan"), "10.66.0.9");
    let driver = world.dhow(&["network", "inspect", "-f", "{{.Driver}} {{json .Options}} {{.Internal}}", "lan"]).ok();
    assert_eq!(driver, r#"macvlan {"parent":"wire0"} false"#);
    world.crash_engine();
    world.start_engine();
    eventually("web still answers", || fetch(&world, "lan", "http://web/name").as_deref() == Some("web"));
    let way = world.dhow(&["network", "exposure", "--format", "{{.Name}} {{.From}}"]).ok();
    assert_eq!(way, "web whoever reaches it by wire0");
    world.dhow(&["rm", "-f", "web"]).exits(0);
    world.dhow(&["network", "rm", "lan"]).exits(0);
    assert!(is_there("wire0"), "the host's link is the host's");
}

#[test]
fn without_a_parent_a_macvlan_leads_nowhere_but_to_its_members() {
    let mut world = busybox();
    world.docker(&["network", "create", "-d", "macvlan", "--subnet", "10.67.0.0/24", "island"]).exits(0);
    assert_eq!(world.dhow(&["network", "inspect", "-f", "{{.Internal}}", "island"]).ok(), "true");
    let id = world.dhow(&["network", "inspect", "-f", "{{.ID}}", "island"]).ok();
    let link = format!("dm-{}", &id[..12]);
    assert!(is_there(&link));
    serve(&world, "web", &["--network", "island"]);
    eventually("web answers", || fetch(&world, "island", "http://web/name").as_deref() == Some("web"));
    let routes = world.dhow(&["exec", "web", "busybox", "ip", "route"]).ok();
    assert!(!routes.contains("default"), "{routes}");
    // One that somebody has taken away is made again when it is needed.
    world.dhow(&["rm", "-f", "web"]).exits(0);
    ip(&format!("link del {link}")).exits(0);
    serve(&world, "web", &["--network", "island"]);
    eventually("web answers", || fetch(&world, "island", "http://web/name").as_deref() == Some("web"));
    world.crash_engine();
    world.start_engine();
    assert!(is_there(&link), "it is not taken for a leftover");
    world.dhow(&["rm", "-f", "web"]).exits(0);
    world.dhow(&["network", "rm", "island"]).exits(0);
    assert!(!is_there(&link));
}

#[test]
fn a_parent_may_be_a_vlan_where_the_kernel_has_them() {
    let world = busybox();
    parent("wire1");
    let create = |parent: &str| {
        let parent = format!("parent={parent}");
        world.dhow(&["network", "create", "-d", "macvlan", "--subnet", "10.68.0.0/24", "-o", &parent, "lan"])
    };
    create("nothing").exits(1).says("the parent link nothing is not there");
    create("nothing.10").exits(1).says("network link nothing");
    let made = create("wire1.10");
    if made.code() != 0 {
        made.says("create the VLAN").says("8021q");
        assert!(!std::path::Path::new("/proc/thread-self/net/vlan").exists(), "this kernel has them");
        assert_eq!(world.dhow(&["network", "ls", "-q", "--filter", "name=lan"]).ok(), "", "nothing stays of it");
        return;
    }
    assert!(is_there("wire1.10"));
    serve(&world, "web", &["--network", "lan"]);
    eventually("web answers", || fetch(&world, "lan", "http://web/name").as_deref() == Some("web"));
    world.dhow(&["rm", "-f", "web"]).exits(0);
    world.dhow(&["network", "rm", "lan"]).exits(0);
    assert!(!is_there("wire1.10"), "it was ours");
}

#[test]
fn what_is_not_there_is_refused_in_clear_words() {
    let world = busybox();
    for client in ["docker", "dhow"] {
        let create = |args: &[&str]| {
            let args = [&["network", "create"], args, &["n"]].concat();
            if client == "docker" { world.docker(&args) } else { world.dhow(&args) }
        };
        create(&["-d", "ipvlan"]).exits(1).says("networks of driver ipvlan are not supported");
        create(&["-d", "overlay"]).exits(1).says("This node is not a swarm manager.");
        create(&["--scope", "swarm"]).exits(1).says("This node is not a swarm manager.");
        create(&["--ingress"]).exits(1).says("This node is not a swarm manager.");
        create(&["-d", "macvlan", "-o", "macvlan_mode=x"]).exits(1).says("requested macvlan mode 'x' is not valid");
    }
}

#[test]
fn a_network_can_be_made_of_a_configuration() {
    let mut world = busybox();
    let create = ["network", "create", "--config-only", "--subnet", "10.69.0.0/24", "--label", "tier=front"];
    world.docker(&[&create[..], &["-o", "com.docker.network.driver.mtu=1400", "plan"]].concat()).exits(0);
    let shown = |network: &str, template: &str| world.docker(&["network", "inspect", "-f", template, network]).ok();
    assert_eq!(
        shown("plan", "{{.Driver}} {{.ConfigOnly}} {{json .IPAM.Config}}"),
        r#"null true [{"Subnet":"10.69.0.0/24"}]"#
    );
    world.docker(&["network", "create", "--config-from", "plan", "real"]).exits(0);
    let template = "{{.Driver}} {{.ConfigOnly}} {{.ConfigFrom.Network}} {{.Labels}} {{(index .IPAM.Config 0).Subnet}}";
    assert_eq!(shown("real", template), "bridge false plan map[tier:front] 10.69.0.0/24");
    let mtu = ["run", "--rm", "--network", "real", "busybox", "cat", "/sys/class/net/eth0/mtu"];
    assert_eq!(world.dhow(&mtu).ok(), "1400");
    world.crash_engine();
    world.start_engine();
    assert_eq!(world.dhow(&mtu).ok(), "1400");
    world
        .dhow(&["run", "--network", "plan", "busybox", "true"])
        .exits(125)
        .says("network plan is only a configuration");
    for (args, words) in [
        (&["network", "rm", "plan"][..], "configuration network \"plan\" is in use"),
        (&["network", "create", "--config-from", "nothing", "n"], "configuration network \"nothing\" does not exist"),
        (&["network", "create", "--config-from", "real", "n"], "configuration network \"real\" does not exist"),
        (
            &["network", "create", "--config-from", "plan", "--label", "a=b", "n"],
            "user specified configurations are not",
        ),
        (&["network", "create", "--config-only", "--internal", "n"], "configuration network can only contain network"),
        (
            &["network", "create", "--config-only", "--config-from", "plan", "n"],
            "a configuration network cannot depend",
        ),
    ] {
        world.docker(args).exits(1).says(words);
        world.dhow(args).exits(1).says(words);
    }
    world.dhow(&["network", "rm", "real"]).exits(0);
    world.dhow(&["network", "prune", "-f"]).exits(0);
    world.dhow(&["network", "rm", "plan"]).exits(0);
}
