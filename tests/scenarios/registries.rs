//! Looking into registries, and lists of manifests: Debian's registry, on a loopback port.

use dhow_testkit::{Registry, World};

use crate::busybox;

/// Busybox as `app:1` in a registry.
fn pushed() -> (World, Registry) {
    let (world, registry) = (busybox(), Registry::start());
    world.dhow(&["tag", "busybox", &registry.name("app:1")]).exits(0);
    world.dhow(&["push", &registry.name("app:1")]).exits(0);
    (world, registry)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_registry_is_searched_by_its_catalog() {
    let (world, registry) = pushed();
    for client in [World::dhow, World::docker] {
        let found = client(&world, &["search", "--format", "{{.Name}}", &registry.name("ap")]).ok();
        assert_eq!(found, registry.name("app"));
        assert_eq!(client(&world, &["search", "--format", "{{.Name}}", &registry.name("nosuch")]).ok(), "");
    }
    let table = world.dhow(&["search", &registry.name("app")]).ok();
    assert!(table.starts_with("NAME"), "{table}");
    world.dhow(&["search", "--filter", "color=red", "x"]).exits(1).says("invalid filter 'color'");
}

#[test]
fn a_list_of_manifests_is_made_annotated_pushed_and_pulled() {
    let (world, registry) = pushed();
    let (one, list) = (registry.name("app:1"), registry.name("other/list:1"));
    let shown = world.dhow(&["manifest", "inspect", &one]).ok();
    assert!(shown.starts_with("{\n\t\"schemaVersion\": 2,"), "{shown}");
    // The stock client asks the registry itself, and reads the same.
    assert_eq!(world.docker(&["manifest", "inspect", "--insecure", &one]).ok(), shown);
    let made = world.dhow(&["manifest", "create", &list, &one]).ok();
    assert_eq!(made, format!("Created manifest list {list}"));
    world.dhow(&["manifest", "create", &list, &one]).exits(1).says("no --amend flag");
    world.dhow(&["manifest", "annotate", "--os-version", "10", &list, &one]).exits(0);
    world.dhow(&["manifest", "annotate", &list, &registry.name("nosuch")]).exits(1).says("does not exist in");
    let before = world.dhow(&["manifest", "inspect", &list]).ok();
    assert!(before.contains("\"os.version\": \"10\""), "{before}");
    let stock = world.docker(&["manifest", "inspect", &list]).ok();
    assert_eq!(json(&stock), json(&before), "the stock client reads what we keep");
    let digest = world.dhow(&["manifest", "push", "--purge", &list]).ok();
    assert!(digest.starts_with("sha256:"), "{digest}");
    world.dhow(&["manifest", "rm", &list]).exits(1).says("No such manifest");
    let pulled = world.dhow(&["pull", &list]).ok();
    assert!(pulled.contains(&format!("Digest: {digest}")), "{pulled}");
    assert!(world.dhow(&["manifest", "inspect", &list]).ok().contains("\"architecture\""));
}

#[test]
fn trees_show_platforms_and_platforms_can_be_asked_for() {
    let (world, registry) = pushed();
    let one = registry.name("app:1");
    let tree = world.dhow(&["images", "--tree"]).ok();
    assert!(tree.contains("└─ linux/"), "{tree}");
    world.dhow(&["images", "--tree", "-q"]).exits(1).says("--quiet is not yet supported with --tree");
    let other = if cfg!(target_arch = "s390x") { "linux/amd64" } else { "linux/s390x" };
    let file = world.path().join("saved.tar").display().to_string();
    for command in [&["image", "inspect"][..], &["history"], &["save", "-o", &file]] {
        let words = [command, &["--platform", other, &one]].concat();
        world.dhow(&words).exits(1).says("does not match the specified platform");
    }
    world.docker(&["image", "inspect", "--platform", other, &one]).exits(1);
    let digests = world.docker(&["images", "--digests", "--format", "{{.Digest}}", &registry.name("app")]).ok();
    assert!(digests.starts_with("sha256:"), "{digests}");
}
