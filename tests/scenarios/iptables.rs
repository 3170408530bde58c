//! Hosts whose iptables let nothing pass, of both kinds, as dockerd, ufw and Kubernetes leave them.

use std::process::{Child, Command, Stdio};

use dhow_testkit::{Outcome, World, eventually, finish};

use crate::busybox;
use crate::networks::{answers, fetch, serve};

fn run(program: &str, words: &str) -> Outcome {
    finish(Command::new(format!("/usr/sbin/{program}")).args(words.split(' ')))
}

/// The rules of what is passed on, in order.
fn forward(program: &str) -> Vec<String> {
    let rules = run(program, "-S FORWARD").ok();
    rules.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect()
}

/// What goes from one network to a published port of another passes the host's rules.
fn passes(world: &World) -> bool {
    let gateway = world.inspect("web", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    fetch(world, "other", &format!("http://{gateway}:8080/name")).as_deref() == Some("web")
}

/// The same in the other family.
fn passes_as_ipv6(world: &World) -> bool {
    let gateway = world.inspect("web", "{{range .NetworkSettings.Networks}}{{.IPv6Gateway}}{{end}}");
    fetch(world, "other", &format!("http://[{gateway}]:8080/name")).as_deref() == Some("web")
}

fn is_kept_open(program: &str) {
    let mut world = busybox();
    let ipv6 = program.starts_with("ip6");
    let passes = if ipv6 { passes_as_ipv6 } else { passes };
    run(program, "-P FORWARD DROP").exits(0);
    run(program, &format!("-A FORWARD -s {} -j ACCEPT", if ipv6 { "2001:db8::7" } else { "203.0.113.7" })).exits(0);
    // What firewalls of others end with.
    run(program, "-A FORWARD -j DROP").exits(0);
    let own = forward(program);
    for name in ["home", "other"] {
        world.dhow(&["network", "create", "--ipv6", name]).exits(0);
    }
    serve(&world, "web", &["--network", "home", "-p", "8080:80"]);
    answers("127.0.0.1:8080", "web");
    eventually("it passes", || passes(&world));
    assert_eq!(forward(program).len(), 3, "{:?}", forward(program));
    assert_eq!(forward(program)[1..], own[..], "the rules of others are as they were");
    world.crash_engine();
    world.start_engine();
    eventually("it passes", || passes(&world));
    assert_eq!(forward(program).len(), 3, "no second rule: {:?}", forward(program));
    // Everything is swept away.
    run(program, "-F").exits(0);
    eventually("the rule comes back", || forward(program).len() == 1);
    eventually("it passes again", || passes(&world));
    // The bridge of a network that goes is let through no more.
    let rules = || run(program, "-S").ok().lines().filter(|line| line.starts_with("-A DHOW-")).count();
    let before = rules();
    world.dhow(&["network", "rm", "other"]).exits(0);
    eventually("its rules are gone", || rules() == before - 2);
}

#[test]
fn what_is_for_containers_passes_the_older_iptables() {
    is_kept_open("iptables-legacy");
}

#[test]
fn what_is_for_containers_passes_iptables_within_nftables() {
    is_kept_open("iptables-nft");
}

#[test]
fn what_is_for_containers_passes_the_older_ip6tables() {
    is_kept_open("ip6tables-legacy");
}

#[test]
fn what_is_for_containers_passes_ip6tables_within_nftables() {
    is_kept_open("ip6tables-nft");
}

#[test]
fn a_host_that_does_not_use_iptables_gets_no_tables_of_theirs() {
    let world = busybox();
    serve(&world, "web", &["-p", "8080:80"]);
    answers("127.0.0.1:8080", "web");
    let tables = run("nft", "list tables").ok();
    assert!(!tables.contains("filter"), "{tables}");
    let legacy = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
    assert_eq!(legacy, "");
}

#[test]
fn rules_that_are_flushed_come_back() {
    let mut world = busybox();
    run("iptables-nft", "-P FORWARD DROP").exits(0);
    world.dhow(&["network", "create", "other"]).exits(0);
    serve(&world, "web", &["-p", "8080:80"]);
    eventually("it passes", || passes(&world));
    run("nft", "flush ruleset").exits(0);
    eventually("it passes again", || passes(&world));
    answers("127.0.0.1:8080", "web");
    // And so do a bridge and a link.
    let bridge = world.dhow(&["network", "inspect", "-f", "{{.ID}}", "other"]).ok();
    run("ip", &format!("link del br-{}", &bridge[..12])).exits(0);
    eventually("it passes again", || passes(&world));
    let links = run("ip", "-o link show type veth").ok();
    let link = links.split_whitespace().nth(1).and_then(|name| name.split('@').next()).expect("web's link").to_owned();
    run("ip", &format!("link del {link}")).exits(0);
    eventually("it passes again", || passes(&world));
    // Also where the engine has made nothing of it.
    world.crash_engine();
    world.start_engine();
    run("nft", "flush ruleset").exits(0);
    eventually("the ports are led there again", || crate::networks::ask("127.0.0.1:8080").as_deref() == Some("web"));
}

#[test]
fn what_was_broken_while_there_was_no_engine_is_mended_by_the_next_one() {
    let mut world = busybox();
    world.dhow(&["network", "create", "other"]).exits(0);
    serve(&world, "web", &["-p", "8080:80"]);
    let gateway = world.inspect("web", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    let reached =
        |world: &World| world.dhow(&["exec", "web", "busybox", "ping", "-c", "1", "-W", "2", &gateway]).code();
    assert_eq!(reached(&world), 0);
    world.crash_engine();
    run("ip", "link del dhow0").exits(0);
    run("nft", "flush ruleset").exits(0);
    world.start_engine();
    answers("127.0.0.1:8080", "web");
    assert_eq!(reached(&world), 0, "the bridge is where it was, also to those who remember it");
}

#[test]
fn what_an_engine_before_has_put_into_iptables_is_taken_back() {
    let mut world = busybox();
    run("iptables-nft", "-P FORWARD DROP").exits(0);
    world.dhow(&["network", "create", "idle"]).exits(0);
    let is_there = || run("iptables-nft", "-S").ok().contains("DHOW-");
    eventually("its rules are there", is_there);
    world.crash_engine();
    world.start_engine();
    world.dhow(&["network", "rm", "idle"]).exits(0);
    eventually("its rules are gone", || !is_there());
}

/// Somebody who does not let go of the lock of iptables, until it is killed.
fn hold_the_lock() -> Child {
    let mut holder = Command::new("flock");
    holder.args(["/run/xtables.lock", "sleep", "1000"]).stdin(Stdio::null());
    holder.spawn().expect("flock (util-linux)")
}

#[test]
fn containers_start_while_somebody_holds_the_lock_of_iptables() {
    let world = busybox();
    run("iptables-legacy", "-P FORWARD DROP").exits(0);
    world.dhow(&["network", "create", "other"]).exits(0);
    let mut holder = hold_the_lock();
    for number in 0..20 {
        let port = format!("{}:80", 9000 + number);
        world.dhow(&["run", "-d", "-p", &port, "busybox", "sleep", "1000"]).exits(0);
    }
    serve(&world, "web", &["-p", "8080:80"]);
    assert!(matches!(holder.try_wait(), Ok(None)), "it was held all the time");
    // The program that it runs has the lock, too.
    let children = format!("/proc/{0}/task/{0}/children", holder.id());
    let child = std::fs::read_to_string(children).unwrap_or_default().trim().parse().ok();
    if let Some(child) = child.and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(child, rustix::process::Signal::KILL).expect("it sleeps");
    }
    holder.wait().expect("it ends with it");
    eventually("it passes", || passes(&world));
}
