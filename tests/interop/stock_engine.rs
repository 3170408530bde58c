//! Our command line against a stock `dockerd`: it is a client of the Engine API and of nothing else.

use dhow_testkit::{Outcome, StockEngine, finish, finish_with_input};

use crate::DHOW;

#[test]
fn our_command_line_drives_a_stock_engine() {
    let engine = StockEngine::start(&[]);
    let dhow = |args: &[&str]| finish(&mut engine.command(DHOW, args));
    assert_eq!(dhow(&["run", "--rm", "busybox", "echo", "hi"]).ok(), "hi");
    dhow(&["run", "--rm", "busybox", "sh", "-c", "exit 7"]).exits(7);
    dhow(&["run", "--rm", "busybox", "no-such-program"]).exits(127);
    let echoed =
        finish_with_input(&mut engine.command(DHOW, &["run", "-i", "--rm", "busybox", "cat"]), b"both ways".to_vec());
    assert_eq!(echoed.ok(), "both ways");
    dhow(&["run", "-d", "--name", "box", "busybox", "sh", "-c", "echo logged; sleep 1000"]).exits(0);
    assert_eq!(dhow(&["exec", "box", "echo", "inside"]).ok(), "inside");
    assert_eq!(dhow(&["logs", "box"]).ok(), "logged");
    assert_eq!(dhow(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "box running");
    let file = engine.path().join("file");
    std::fs::write(&file, "copied").expect("written");
    // The first question of this command is one whose refusal has no words, and the engine is older than we are.
    dhow(&["cp", &file.display().to_string(), "box:/tmp"]).exits(0);
    assert_eq!(dhow(&["exec", "box", "cat", "/tmp/file"]).ok(), "copied");
    assert_eq!(dhow(&["stop", "-t", "0", "box"]).ok(), "box");
    assert_eq!(dhow(&["wait", "box"]).ok(), "137");
    assert_eq!(dhow(&["start", "box"]).ok(), "box");
    assert_eq!(dhow(&["kill", "box"]).ok(), "box");
    assert_eq!(dhow(&["rm", "box"]).ok(), "box");
}

#[test]
fn both_command_lines_print_the_same_of_a_stock_engine() {
    let engine = StockEngine::start(&[]);
    finish(&mut engine.command("docker", &["run", "--name", "one", "busybox", "sh", "-c", "echo x; exit 3"])).exits(3);
    for args in [
        // Without the columns that change from second to second.
        &["ps", "-a", "--format", "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Ports}}\t{{.Names}}"][..],
        &["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}} {{.State}}"],
        &["images", "--format", "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Size}}"],
        &["history", "--format", "{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}}", "busybox"],
        &["inspect", "one"],
        &["inspect", "busybox"],
        &["logs", "one"],
        &["rm", "nothing"],
        &["inspect", "nothing"],
    ] {
        let print = |program: &str| -> Outcome { finish(&mut engine.command(program, args)) };
        let (ours, stock) = (print(DHOW), print("docker"));
        assert_eq!((ours.code(), ours.stdout()), (stock.code(), stock.stdout()), "{args:?}: {ours:?}");
    }
}

#[test]
fn networks_of_a_stock_engine() {
    let engine = StockEngine::start(&[]);
    let dhow = |args: &[&str]| finish(&mut engine.command(DHOW, args));
    let flags =
        ["--subnet", "10.93.0.0/24", "--gateway", "10.93.0.9", "--aux-address", "a=10.93.0.7", "--label", "x=y"];
    dhow(&[&["network", "create"], &flags[..], &["-o", "com.docker.network.driver.mtu=1400", "back"]].concat())
        .exits(0);
    dhow(&["network", "create", "--internal", "--subnet", "10.94.0.0/24", "vault"]).exits(0);
    let networks = ["--network", "back", "--network-alias", "store", "--ip", "10.93.0.33"];
    dhow(&[&["run", "-d", "--name", "box"], &networks[..], &["busybox", "sleep", "1000"]].concat()).exits(0);
    dhow(&["network", "connect", "--alias", "safe", "--ip", "10.94.0.44", "vault", "box"]).exits(0);
    let template =
        "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{$it.IPAddress}} {{index $it.Aliases 0}} {{end}}";
    assert_eq!(dhow(&["inspect", "-f", template, "box"]).ok().trim(), "back 10.93.0.33 store vault 10.94.0.44 safe");
    for args in [
        &["network", "ls"][..],
        &["network", "ls", "--no-trunc", "--filter", "label=x", "--format", "json"],
        &["network", "ls", "--format", "{{.ID}} {{.CreatedAt}} {{.Labels}}"],
        &["network", "inspect", "back", "vault"],
        &["network", "inspect", "-f", "{{json .IPAM}}", "back"],
        &["network", "inspect", "nothing"],
        &["network", "rm", "nothing"],
        &["network", "rm", "back"],
        &["network", "create", "back"],
        &["network", "connect", "back", "nobody"],
        &["port", "box"],
    ] {
        let print = |program: &str| -> Outcome { finish(&mut engine.command(program, args)) };
        let (ours, stock) = (print(DHOW), print("docker"));
        assert_eq!((ours.code(), ours.stdout()), (stock.code(), stock.stdout()), "{args:?}: {ours:?}");
    }
    dhow(&["network", "disconnect", "vault", "box"]).exits(0);
    assert_eq!(dhow(&["network", "prune", "-f"]).ok(), "Deleted Networks:\nvault");
    dhow(&["rm", "-f", "box"]).exits(0);
    assert_eq!(dhow(&["network", "rm", "back"]).ok(), "back");
}
