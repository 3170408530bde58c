//! The stock `docker` command line against our engine: the same words, the same output.

use dhow_testkit::{World, finish_with_input};

use crate::busybox;

/// Both clients, asked the same; what they print must be the same but for times.
fn same(world: &World, args: &[&str]) {
    let (ours, stock) = (world.dhow(args), world.docker(args));
    assert_eq!(ours.code(), stock.code(), "{args:?}:\n{ours:?}\n{stock:?}");
    let text = |outcome: &dhow_testkit::Outcome| (outcome.stdout(), outcome.stderr().replace("docker", "dhow"));
    assert_eq!(text(&ours), text(&stock), "{args:?}");
}

#[test]
fn the_stock_client_drives_a_containers_life() {
    let world = busybox();
    assert_eq!(world.docker(&["run", "--rm", "busybox", "echo", "hi"]).ok(), "hi");
    world.docker(&["run", "--rm", "busybox", "sh", "-c", "exit 11"]).exits(11);
    world.docker(&["run", "--rm", "busybox", "no-such-program"]).exits(127);
    let echoed =
        finish_with_input(&mut world.stock_command(&["run", "-i", "--rm", "busybox", "cat"]), b"in and out".to_vec());
    assert_eq!(echoed.ok(), "in and out");
    let id = world.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert_eq!(id.len(), 64);
    assert_eq!(world.docker(&["exec", "box", "echo", "inside"]).ok(), "inside");
    world.docker(&["exec", "box", "sh", "-c", "exit 8"]).exits(8);
    assert_eq!(world.docker(&["stop", "-t", "0", "box"]).ok(), "box");
    assert_eq!(world.docker(&["wait", "box"]).ok(), "137");
    world.docker(&["start", "box"]).exits(0);
    world.docker(&["restart", "-t", "0", "box"]).exits(0);
    world.docker(&["kill", "box"]).exits(0);
    world.docker(&["rm", "box"]).exits(0);
}

#[test]
fn both_clients_print_the_same() {
    let world = busybox();
    world
        .dhow(&["run", "--name", "one", "-l", "a=b", "busybox", "sh", "-c", "echo out; echo err >&2; exit 2"])
        .exits(2);
    world.dhow(&["create", "--name", "two", "busybox", "sleep", "7"]).exits(0);
    for args in [
        // Without the columns that change from second to second.
        &["ps", "-a", "--format", "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Ports}}\t{{.Names}}"][..],
        &["ps", "-aq", "--no-trunc"],
        &["ps", "-a", "--format", "table {{.Names}}\t{{.Image}}\t{{.Labels}}"],
        &["images", "--format", "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.Size}}", "--digests"],
        &["image", "ls", "--format", "{{.ID}} {{.Repository}} {{.Size}}"],
        &["inspect", "one"],
        &["inspect", "busybox"],
        &["inspect", "-f", "{{json .State}}", "one"],
        &["stats", "--no-stream"],
        &["stats", "--no-stream", "--format", "{{.Name}}"],
        &["info", "--format", "{{json .RegistryConfig}}"],
        &["cp", "/etc/hostname", "two:/no-such-place/x"],
        &["logs", "one"],
        &["logs", "--tail", "1", "one"],
        &["history", "--format", "{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}}", "busybox"],
        &["wait", "one"],
        &["inspect", "nothing"],
        &["start", "nothing"],
        &["rmi", "nothing"],
        &["rm", "nothing"],
        &["run", "--nonsense", "busybox"],
        &["ps", "--nonsense"],
        &["run"],
        &["exec", "two", "true"],
        &["version", "--format", "{{.Server.APIVersion}}"],
        &["info", "--format", "{{.Images}} {{.Containers}} {{.Driver}} {{.OSType}}"],
    ] {
        same(&world, args);
    }
}

#[test]
fn the_stock_client_moves_images() {
    let world = busybox();
    let saved = world.docker(&["save", "busybox"]).stdout_bytes().to_vec();
    world.docker(&["tag", "busybox", "other:1"]).exits(0);
    assert_eq!(world.docker(&["rmi", "other:1"]).ok(), "Untagged: other:1");
    world.docker(&["rmi", "busybox"]).exits(0);
    let loaded = finish_with_input(&mut world.stock_command(&["load"]), saved);
    assert!(loaded.ok().contains("Loaded image: busybox:latest"));
    let imported = finish_with_input(&mut world.stock_command(&["import", "-", "mine"]), dhow_testkit::busybox_tar());
    assert!(imported.ok().starts_with("sha256:"));
    assert_eq!(world.docker(&["run", "--rm", "mine", "echo", "x"]).ok(), "x");
}

/// Version negotiation and the oldest version that Docker's users still meet.
#[test]
fn old_and_too_new_api_versions() {
    let world = busybox();
    let ask =
        |version: &str| dhow_testkit::finish(world.stock_command(&["ps", "-a"]).env("DOCKER_API_VERSION", version));
    ask("1.24").exits(0);
    ask("1.41").exits(0);
    ask("1.99").exits(1).says("client version 1.99 is too new");
}
