//! Networks: made, listed, joined, left, removed; names, addresses, ports; with both command lines.

use dhow_testkit::{Outcome, World, eventually};

use crate::busybox;

/// Runs the same words with both command lines, which must print the same.
#[track_caller]
fn same(world: &World, args: &[&str]) -> Outcome {
    let [ours, stock] = [world.dhow(args), world.docker(args)];
    assert_eq!((ours.code(), ours.stdout()), (stock.code(), stock.stdout()), "{args:?}");
    ours
}

/// A container that does nothing, with these flags.
fn sleeper(world: &World, name: &str, flags: &[&str]) -> String {
    world.dhow(&[&["run", "-d", "--name", name], flags, &["busybox", "sleep", "100000"]].concat()).ok()
}

/// The stock client shows what the engine says.
fn counters_are_shown(world: &World) {
    let shown = same(world, &["network", "inspect", "back", "bridge", "none"]).ok();
    assert_eq!(shown.matches("IPsInUse").count(), 2, "the last one has no addresses: {shown}");
    let subnets = world.dhow(&["network", "inspect", "-f", "{{json .Status.IPAM.Subnets}}", "back"]).ok();
    let subnets: serde_json::Value = serde_json::from_str(&subnets).expect("JSON");
    assert_eq!(subnets, serde_json::json!({"10.77.0.0/24": {"IPsInUse": 3, "DynamicIPsAvailable": 253}}));
    sleeper(world, "counted", &["--network", "back"]);
    let template = "{{range .Status.IPAM.Subnets}}{{.IPsInUse}} {{.DynamicIPsAvailable}}{{end}}";
    assert_eq!(world.dhow(&["network", "inspect", "-f", template, "back"]).ok(), "4 252");
    world.dhow(&["rm", "-f", "counted"]).exits(0);
}

#[test]
fn a_network_is_made_shown_listed_and_removed() {
    let world = busybox();
    let made = world.dhow(&["network", "create", "--label", "tier=back", "--subnet", "10.77.0.0/24", "back"]).ok();
    assert_eq!(made.len(), 64);
    let create = ["network", "create", "--internal", "--subnet", "10.78.0.0/16", "--ip-range", "10.78.5.0/24"];
    let more =
        ["--gateway", "10.78.5.1", "--aux-address", "printer=10.78.5.9", "-o", "com.docker.network.driver.mtu=1400"];
    world.docker(&[&create[..], &more, &["vault"]].concat()).exits(0);
    let template =
        "{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.EnableIPv4}} {{.EnableIPv6}} {{json .IPAM.Config}}";
    let shown = same(&world, &["network", "inspect", "-f", template, "back", "vault"]).ok();
    let lines = [
        r#"back bridge local false true false [{"Subnet":"10.77.0.0/24","Gateway":"10.77.0.1"}]"#,
        r#"vault bridge local true true false [{"Subnet":"10.78.0.0/16","IPRange":"10.78.5.0/24","Gateway":"10.78.5.1","AuxiliaryAddresses":{"printer":"10.78.5.9"}}]"#,
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), lines);
    counters_are_shown(&world);
    same(&world, &["network", "ls"]);
    same(&world, &["network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}} {{.IPv4}} {{.IPv6}} {{.Internal}}"]);
    same(&world, &["network", "ls", "--format", "json", "--filter", "name=back"]);
    same(&world, &["network", "ls", "--format", "table {{.Name}}\t{{.Label \"tier\"}}\t{{.CreatedAt}}"]);
    for (filter, names) in [
        ("driver=null", "none"),
        ("label=tier=back", "back"),
        ("name=^va", "vault"),
        ("type=custom", "back\nvault"),
        ("scope=swarm", ""),
        ("dangling=true", "back\nvault"),
        (&format!("id={}", &made[..12]), "back"),
    ] {
        assert_eq!(
            same(&world, &["network", "ls", "--format", "{{.Name}}", "--filter", filter]).ok(),
            names,
            "{filter}"
        );
    }
    assert_eq!(world.docker(&["network", "rm", &made[..12]]).ok(), made[..12]);
    assert_eq!(world.dhow(&["network", "rm", "vault"]).ok(), "vault");
    assert_eq!(same(&world, &["network", "rm", "-f", "vault"]).ok(), "");
    assert_eq!(world.dhow(&["network", "ls", "--format", "{{.Name}}"]).ok(), "bridge\nhost\nnone");
}

#[test]
fn mistakes_are_told_in_dockers_words() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "mine"]).exits(0);
    sleeper(&world, "box", &["--network", "none"]);
    let id = world.inspect("box", "{{.Id}}");
    for (args, words) in [
        (&["network", "create", "bridge"][..], "operation is not permitted on predefined bridge network".to_owned()),
        (&["network", "create", "mine"], "network with name mine already exists".into()),
        (
            &["network", "create", "-d", "weave", "x"],
            "could not find plugin weave in v1 plugin registry: plugin not found".into(),
        ),
        (&["network", "create", "-d", "overlay", "x"], "This node is not a swarm manager.".into()),
        (&["network", "create", "-d", "host", "x"], "only one instance of \"host\" network is allowed".into()),
        (
            &["network", "create", "--subnet", "10.79.0.0/24", "-o", "com.docker.network.driver.mtu=x", "x"],
            "failed to parse com.docker.network.driver.mtu value: \"x\"".into(),
        ),
        (
            &["network", "create", "--gateway", "10.0.0.1", "x"],
            "every ip-range or gateway must have a corresponding subnet".into(),
        ),
        (
            &["network", "create", "--subnet", "10.77.0.0/25", "x"],
            "Pool overlaps with other one on this address space".into(),
        ),
        (&["network", "rm", "bridge"], "bridge is a pre-defined network and cannot be removed".into()),
        (&["network", "rm", "nothing"], "network nothing not found".into()),
        (&["network", "inspect", "nothing"], "network nothing not found".into()),
        (&["network", "ls", "--filter", "color=red"], "invalid filter 'color'".into()),
        (&["network", "connect", "nothing", "box"], "network nothing not found".into()),
        (&["network", "connect", "mine", "nobody"], "No such container: nobody".into()),
        (
            &["network", "connect", "mine", "box"],
            "container cannot be connected to multiple networks with one of the networks in private (none) mode".into(),
        ),
        (&["network", "connect", "host", "box"], "cannot connect container to host network".into()),
        (&["network", "disconnect", "mine", "box"], format!("container {id} is not connected to network mine")),
        (
            &["create", "--ip", "10.77.0.9", "busybox"],
            "user specified IP address is supported on user defined networks only".into(),
        ),
        (
            &["create", "--network", "mine", "--ip", "10.99.0.9", "busybox"],
            "no configured subnet or ip-range contain the IP address 10.99.0.9".into(),
        ),
        (
            &["create", "--network", "mine", "--ip6", "::ffff:10.77.0.9", "busybox"],
            "invalid IPv6 address: ::ffff:10.77.0.9".into(),
        ),
        (&["create", "--link-local-ip", "169.253.5.5", "busybox"], "invalid link-local IP address: 169.253.5.5".into()),
        (
            &["create", "--network", "host", "--link", "box", "busybox"],
            "host type networking can't be used with links".into(),
        ),
        (
            &["create", "--network", "container:box", "--expose", "80", "busybox"],
            "conflicting options: port exposing".into(),
        ),
    ] {
        for outcome in [world.dhow(args), world.docker(args)] {
            outcome.exits(1).says(&words);
        }
    }
    for outcome in [
        world.dhow(&["run", "--rm", "--network", "nowhere", "busybox", "true"]),
        world.docker(&["run", "--rm", "--network", "nowhere", "busybox", "true"]),
    ] {
        outcome.exits(125).says("network nowhere not found");
    }
}

#[test]
fn containers_find_each_other_by_name_and_others_do_not() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "back"]).exits(0);
    let flags = ["--network", "name=back,alias=store,ip=10.77.0.9", "--hostname", "vault"];
    let db = sleeper(&world, "db", &flags);
    let ping = |network: &str, name: &str| {
        let words = ["run", "--rm", "--network", network, "busybox", "busybox", "ping", "-c", "1", "-W", "5", name];
        world.docker(&words)
    };
    for name in ["db", "store", "vault", &db[..12], "10.77.0.9"] {
        ping("back", name).exits(0);
    }
    assert_ne!(ping("bridge", "db").code(), 0, "the default network has no names");
    let template = "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{$it.IPAddress}}/{{$it.IPPrefixLen}} {{$it.Gateway}} \
                    {{json $it.DNSNames}} {{json $it.Aliases}} {{$it.IPAMConfig.IPv4Address}}{{end}}";
    let shown = format!(r#"back 10.77.0.9/24 10.77.0.1 ["db","store","{}","vault"] ["store"] 10.77.0.9"#, &db[..12]);
    assert_eq!(same(&world, &["inspect", "-f", template, "db"]).ok(), shown);
    let members = "{{range $id, $it := .Containers}}{{$id}} {{$it.Name}} {{$it.IPv4Address}}{{end}}";
    assert_eq!(same(&world, &["network", "inspect", "-f", members, "back"]).ok(), format!("{db} db 10.77.0.9/24"));
    let short = &db[..12];
    let in_use =
        format!("error while removing network: network back has active endpoints (name:\"db\" id:\"{short}\")");
    world.dhow(&["network", "rm", "back"]).exits(1).says(&in_use);
    world.dhow(&["rm", "-f", "db"]).exits(0);
    world.docker(&["network", "rm", "back"]).exits(0);
}

#[test]
fn a_running_container_comes_into_a_network_and_leaves_it() {
    let world = busybox();
    for (name, subnet) in [("one", "10.77.0.0/24"), ("two", "10.78.0.0/24")] {
        world.dhow(&["network", "create", "--subnet", subnet, name]).exits(0);
    }
    let id = sleeper(&world, "box", &["--network", "one"]);
    sleeper(&world, "db", &["--network", "two"]);
    let networks =
        || world.inspect("box", "{{range $name, $it := .NetworkSettings.Networks}}{{$name}}={{$it.IPAddress}} {{end}}");
    let ping = || world.dhow(&["exec", "box", "busybox", "ping", "-c", "1", "-W", "5", "db"]);
    assert_ne!(ping().code(), 0);
    world.docker(&["network", "connect", "--alias", "b", "--ip", "10.78.0.77", "two", "box"]).exits(0);
    assert!(networks().contains("two=10.78.0.77"), "{}", networks());
    ping().exits(0);
    world.dhow(&["exec", "db", "busybox", "ping", "-c", "1", "-W", "5", "b"]).exits(0);
    world
        .dhow(&["network", "connect", "two", "box"])
        .exits(1)
        .says("endpoint with name box already exists in network two");
    assert_eq!(world.dhow(&["ps", "-q", "--no-trunc", "--filter", "network=two", "--filter", "name=box"]).ok(), id);
    let hosts = || world.dhow(&["exec", "box", "cat", "/etc/hosts"]).ok();
    assert!(hosts().contains("10.78.0.77"), "{}", hosts());
    world.dhow(&["network", "disconnect", "two", "box"]).exits(0);
    assert!(!hosts().contains("10.78.0.77"), "{}", hosts());
    assert_ne!(ping().code(), 0);
    world.docker(&["network", "disconnect", "two", "box"]).exits(1).says("is not connected to network two");
    // What it was connected to while it ran, or did not, it has after a restart.
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    world.dhow(&["network", "connect", "two", "box"]).exits(0);
    world.dhow(&["network", "disconnect", "one", "box"]).exits(0);
    world.dhow(&["start", "box"]).exits(0);
    assert!(networks().starts_with("two=10.78.0.") && !networks().contains("one="), "{}", networks());
    ping().exits(0);
}

#[test]
fn networks_are_told_about() {
    let world = busybox();
    let id = world.dhow(&["network", "create", "back"]).ok();
    world.dhow(&["run", "--rm", "--name", "box", "--network", "back", "busybox", "true"]).exits(0);
    sleeper(&world, "late", &[]);
    world.dhow(&["network", "connect", "back", "late"]).exits(0);
    world.dhow(&["network", "disconnect", "back", "late"]).exits(0);
    world.dhow(&["network", "rm", "back"]).exits(0);
    let format = "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}";
    let filter = format!("network={id}");
    let asked = ["events", "--since", "1h", "--until", "0s", "--filter", &filter, "--format", format];
    let told = world.dhow(&asked).ok();
    let actions = ["create", "connect", "disconnect", "connect", "disconnect", "destroy"];
    let lines: Vec<String> = actions.iter().map(|action| format!("{action} back bridge")).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn what_nobody_uses_is_pruned() {
    let world = busybox();
    for (name, label) in [("used", "a=1"), ("kept", "keep=1"), ("gone", "a=1")] {
        world.dhow(&["network", "create", "--label", label, name]).exits(0);
    }
    sleeper(&world, "box", &["--network", "used"]);
    let pruned = world.docker(&["network", "prune", "-f", "--filter", "label!=keep"]).ok();
    assert_eq!(pruned, "Deleted Networks:\ngone");
    assert_eq!(world.dhow(&["network", "prune", "-f"]).ok(), "Deleted Networks:\nkept");
    assert_eq!(same(&world, &["network", "prune", "-f"]).ok(), "");
    assert_eq!(world.dhow(&["network", "ls", "-q", "--filter", "type=custom"]).ok().lines().count(), 1);
    world.dhow(&["network", "prune", "-f", "--filter", "name=x"]).exits(1).says("invalid filter 'name'");
}

#[test]
fn ports_are_shown_everywhere() {
    let world = busybox();
    let flags = ["-p", "127.0.0.1:18080:80", "-p", "18053:53/udp", "--expose", "9000"];
    sleeper(&world, "web", &flags);
    let listed = "127.0.0.1:18080->80/tcp, 9000/tcp, 0.0.0.0:18053->53/udp, [::]:18053->53/udp";
    let shown = same(&world, &["ps", "--format", "{{.Ports}}"]).ok();
    for part in ["127.0.0.1:18080->80/tcp", "9000/tcp", "0.0.0.0:18053->53/udp", "[::]:18053->53/udp"] {
        assert!(shown.contains(part), "{shown} instead of {listed}");
    }
    assert_eq!(same(&world, &["port", "web", "80"]).ok(), "127.0.0.1:18080");
    assert!(same(&world, &["port", "web"]).ok().contains("80/tcp -> 127.0.0.1:18080"));
    assert_eq!(world.inspect("web", "{{json (index .NetworkSettings.Ports \"9000/tcp\")}}"), "null");
    for (filter, found) in
        [("publish=18080", true), ("publish=80", false), ("expose=9000", true), ("expose=9001/tcp", false)]
    {
        assert_eq!(same(&world, &["ps", "-q", "--filter", filter]).ok().is_empty(), !found, "{filter}");
    }
    let taken = world.dhow(&["run", "--rm", "-p", "127.0.0.1:18080:80", "busybox", "true"]);
    taken.exits(125).says("127.0.0.1:18080");
    world.dhow(&["stop", "-t", "0", "web"]).exits(0);
    assert_eq!(same(&world, &["port", "web"]).ok(), "");
    world.dhow(&["run", "--rm", "-p", "127.0.0.1:18080:80", "busybox", "true"]).exits(0);
    sleeper(&world, "all", &["-P", "--expose", "80-81"]);
    assert_eq!(world.inspect("all", "{{len .NetworkSettings.Ports}}"), "2");
    assert_ne!(world.dhow(&["port", "all", "81/tcp"]).ok(), "");
}

#[test]
fn networks_are_there_after_the_engine_was_started_again() {
    let mut world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "back"]).exits(0);
    sleeper(&world, "db", &["--network", "back", "--network-alias", "store"]);
    let before = world.dhow(&["network", "inspect", "back"]).ok();
    world.crash_engine();
    world.start_engine();
    assert_eq!(world.dhow(&["network", "inspect", "back"]).ok(), before);
    world
        .dhow(&["run", "--rm", "--network", "back", "busybox", "busybox", "ping", "-c", "1", "-W", "5", "store"])
        .exits(0);
    world.dhow(&["network", "rm", "back"]).exits(1).says("has active endpoints");
    world.dhow(&["rm", "-f", "db"]).exits(0);
    eventually("the network can be removed", || world.dhow(&["network", "rm", "back"]).code() == 0);
}

#[test]
fn files_of_names_are_written_as_docker_writes_them() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "back"]).exits(0);
    let flags = [
        "--network",
        "back",
        "--ip",
        "10.77.0.9",
        "--hostname",
        "web",
        "--domainname",
        "example.org",
        "--add-host",
        "other:10.1.1.1",
        "--add-host",
        "host.docker.internal:host-gateway",
        "--dns-search",
        "lan",
        "--dns-option",
        "ndots:2",
    ];
    sleeper(&world, "box", &flags);
    let cat = |file: &str| world.dhow(&["exec", "box", "cat", file]).ok();
    let hosts = cat("/etc/hosts");
    assert!(hosts.starts_with("127.0.0.1\tlocalhost\n"), "{hosts}");
    for line in ["10.1.1.1\tother", "10.77.0.9\tweb.example.org web"] {
        assert!(hosts.lines().any(|found| found == line), "{line} in {hosts}");
    }
    assert!(hosts.lines().any(|line| line.ends_with("\thost.docker.internal")), "{hosts}");
    let resolver = cat("/etc/resolv.conf");
    assert!(resolver.starts_with("nameserver 127.0.0.11\nsearch lan\noptions "), "{resolver}");
    assert!(resolver.contains("ndots:2"), "{resolver}");
    assert_eq!(cat("/etc/hostname"), "web");
}

#[test]
fn what_is_asked_of_each_place_is_had_there() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.81.0.0/24", "front"]).exits(0);
    world.dhow(&["network", "create", "--subnet", "10.82.0.0/24", "back"]).exits(0);
    let front = "name=front,alias=site,ip=10.81.0.9,mac-address=02:42:00:00:00:09";
    let flags = ["--network", front, "--network", "name=back,gw-priority=9", "-p", "8000-8002:80-82"];
    sleeper(&world, "web", &flags);
    let place = "{{with .NetworkSettings.Networks.front}}{{.IPAddress}} {{.MacAddress}} {{.Aliases}}{{end}}";
    assert_eq!(world.inspect("web", place), "10.81.0.9 02:42:00:00:00:09 [site]");
    let links = world.dhow(&["exec", "web", "busybox", "ip", "link"]).ok();
    assert!(links.contains("02:42:00:00:00:09"), "{links}");
    let routes = world.dhow(&["exec", "web", "busybox", "ip", "route"]).ok();
    assert!(routes.contains("default via 10.82.0.1 "), "by the network of the highest priority: {routes}");
    assert_eq!(world.dhow(&["port", "web", "81"]).ok(), "0.0.0.0:8001\n[::]:8001");
    // Without it, by the network whose name is first.
    let flags = ["--network", "name=front,mac-address=02:42:00:00:00:0a", "--network", "back"];
    sleeper(&world, "other", &flags);
    let routes = world.dhow(&["exec", "other", "busybox", "ip", "route"]).ok();
    assert!(routes.contains("default via 10.82.0.1 "), "{routes}");
}

#[test]
fn a_container_that_runs_without_networks_is_known_to_the_next_engine() {
    let mut world = busybox();
    world.dhow(&["network", "create", "one"]).exits(0);
    sleeper(&world, "box", &["--network", "one"]);
    world.dhow(&["network", "disconnect", "one", "box"]).exits(0);
    world.dhow(&["restart", "-t", "0", "box"]).exits(0);
    world.crash_engine();
    world.start_engine();
    let has_link = || world.dhow(&["exec", "box", "busybox", "ip", "link", "show", "eth0"]).code() == 0;
    for _ in 0..2 {
        world.dhow(&["network", "connect", "one", "box"]).exits(0);
        assert!(!crate::networks::address(&world, "box", "one").is_empty() && has_link());
        world.dhow(&["network", "disconnect", "one", "box"]).exits(0);
        assert!(!has_link());
    }
}

#[test]
fn a_name_may_have_a_slash_and_an_address_is_had_by_one() {
    let world = busybox();
    for client in ["docker", "dhow"] {
        let run = |args: &[&str]| if client == "docker" { world.docker(args) } else { world.dhow(args) };
        run(&["network", "create", "a/b"]).exits(0);
        sleeper(&world, client, &[]);
        run(&["network", "connect", "a/b", client]).exits(0);
        assert_eq!(run(&["network", "inspect", "-f", "{{.Name}} {{len .Containers}}", "a/b"]).ok(), "a/b 1");
        run(&["network", "disconnect", "a/b", client]).exits(0);
        run(&["network", "rm", "a/b"]).exits(0);
    }
    let create = ["network", "create", "--subnet", "10.2.3.0/24", "--aux-address", "foo=10.2.3.1", "n"];
    let text = "failed to allocate secondary ip address (foo:10.2.3.1): Address already in use";
    world.docker(&create).exits(1).says(text);
    let named = "name=n,driver-opt=com.docker.network.endpoint.ifname=eth0";
    world.dhow(&["network", "create", "n"]).exits(0);
    world.dhow(&["network", "create", "m"]).exits(0);
    let twice = world.dhow(&["run", "--rm", "--network", "m", "--network", named, "busybox", "true"]);
    twice.exits(125).says("error renaming interface to eth0: file exists");
}

#[test]
fn what_an_image_exposes_keeps_nobody_out_of_anothers_network() {
    let world = busybox();
    let import = ["import", "--change", "EXPOSE 80", "-", "web"];
    let tar = dhow_testkit::busybox_tar();
    dhow_testkit::finish_with_input(&mut world.command(&import), tar).exits(0);
    sleeper(&world, "one", &[]);
    let run = ["run", "--rm", "--network", "container:one"];
    for client in ["docker", "dhow"] {
        let start = |more: &[&str]| {
            let args = [&run[..], more].concat();
            if client == "docker" { world.docker(&args) } else { world.dhow(&args) }
        };
        start(&["web", "true"]).exits(0);
        start(&["--expose", "81", "web", "true"]).exits(125).says("conflicting options: port exposing");
    }
}
