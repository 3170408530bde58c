//! Images from a registry: Debian's, on a loopback port.

use std::process::Command;

use dhow_testkit::{Registry, World, finish};

use crate::{DHOW, busybox};

/// A registry with busybox as `app:1`, brought there by skopeo.
fn registry_with_an_image() -> Registry {
    let (world, registry) = (busybox(), Registry::start());
    let archive = world.path().join("busybox.tar").display().to_string();
    world.dhow(&["save", "-o", &archive, "busybox"]).exits(0);
    let target = format!("docker://{}", registry.name("app:1"));
    let copy = ["copy", "--dest-tls-verify=false", &format!("docker-archive:{archive}"), &target];
    finish(Command::new("skopeo").args(copy)).exits(0);
    registry
}

#[test]
fn both_clients_pull_and_what_came_runs() {
    let registry = registry_with_an_image();
    let name = registry.name("app:1");
    let (ours, stock) = (World::new(DHOW), World::new(DHOW));
    let said = ours.dhow(&["pull", &name]).ok();
    assert!(said.contains(&format!("Status: Downloaded newer image for {name}")), "{said}");
    assert_eq!(stock.docker(&["pull", &name]).ok(), said);
    assert!(ours.docker(&["pull", &name]).ok().contains("Image is up to date"));
    assert_eq!(ours.dhow(&["pull", "-q", &name]).ok(), name);
    assert_eq!(ours.dhow(&["run", "--rm", "--network", "none", &name, "echo", "hi"]).ok(), "hi");
    assert_eq!(ours.inspect(&name, "{{len .RepoDigests}}"), "1");
}

#[test]
fn run_pulls_what_is_missing() {
    let registry = registry_with_an_image();
    let world = World::new(DHOW);
    let run = world.dhow(&["run", "--rm", "--network", "none", &registry.name("app:1"), "echo", "hi"]);
    run.exits(0).says("Unable to find image").says("Pull complete");
    world.dhow(&["run", "--pull", "never", "--rm", &registry.name("app:2"), "true"]).exits(125);
}

/// The image that is here is for another processor: what was asked for is fetched, or the difference is said.
#[test]
fn a_platform_that_is_asked_for_counts() {
    let registry = registry_with_an_image();
    let name = registry.name("app:1");
    let world = busybox();
    let tree = world.path().join("tree.tar");
    finish(Command::new("tar").args(["-c", "-f"]).arg(&tree).args(["-C", "/etc", "hostname"])).exits(0);
    let import = ["import", "--platform", "linux/arm64", "-c", "CMD [\"sh\"]", &tree.display().to_string(), &name];
    for client in [World::dhow, World::docker] {
        world.dhow(&import).exits(0);
        let create = |flags: &[&str]| client(&world, &[&["create", "--network", "none"], flags, &[&name]].concat());
        create(&[]).exits(0).says(
            "The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64) and \
             no specific platform was requested",
        );
        assert!(!create(&["--platform", "linux/arm64"]).stderr().contains("does not match"));
        let other = format!(
            "image with reference {name} was found but its platform (linux/arm64) does not match the specified platform \
             (linux/amd64)"
        );
        let refused = create(&["--platform", "linux/amd64", "--pull", "never"]);
        assert!(refused.code() != 0 && refused.stderr().contains(&other), "{}", refused.stderr());
        create(&["--platform", "linux/amd64"]).exits(0).says("Unable to find image");
        assert_eq!(world.inspect(&name, "{{.Architecture}}"), "amd64");
    }
}

#[test]
fn all_tags_and_what_is_not_there() {
    let registry = registry_with_an_image();
    let world = World::new(DHOW);
    let said = world.dhow(&["pull", "-a", &registry.name("app")]).ok();
    assert!(said.contains("Digest: sha256:"), "{said}");
    assert_eq!(world.dhow(&["images", "--format", "{{.Tag}}"]).ok(), "1");
    for client in [World::dhow, World::docker] {
        let refused = client(&world, &["pull", &registry.name("app:nosuch")]);
        refused.exits(1).says(&format!("manifest for {} not found", registry.name("app:nosuch")));
    }
    world.dhow(&["pull", "127.0.0.1:1/app"]).exits(1).says("connection refused");
}

#[test]
fn a_registry_whose_name_cannot_be_resolved_is_named() {
    let world = World::new(DHOW);
    let pull = world.dhow(&["pull", "registry.invalid/app"]);
    pull.exits(1).says("lookup registry.invalid: ").says("/etc/resolv.conf");
}
