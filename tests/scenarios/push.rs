//! Images into a registry: Debian's, on a loopback port.

use std::fs;
use std::path::Path;
use std::process::Command;

use dhow_testkit::{Registry, World, busybox_tar, finish, finish_with_input};
use serde_json::{Value, json};

use crate::inspect::architecture;
use crate::{DHOW, busybox, digest};

/// A world with an image of two layers, the upper one made by a commit and so not compressed.
fn committed() -> World {
    let world = busybox();
    world.dhow(&["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", "seq 20000 > /numbers"]).exits(0);
    world.dhow(&["commit", "-c", "CMD [\"tail\", \"-n1\", \"/numbers\"]", "box", "made"]).exits(0);
    world
}

fn digests(world: &World, image: &str) -> Vec<String> {
    let list = world.inspect(image, "{{join .RepoDigests \"\\n\"}}");
    list.lines().filter_map(|name| name.split_once('@')).map(|(_, digest)| digest.to_owned()).collect()
}

#[test]
fn what_was_made_here_runs_elsewhere() {
    let (world, registry) = (committed(), Registry::start());
    let name = registry.name("team/app:1");
    world.dhow(&["tag", "made", &name]).exits(0);
    let said = world.dhow(&["push", &name]).ok();
    assert!(said.starts_with(&format!("The push refers to repository [{}]\n", registry.name("team/app"))), "{said}");
    assert_eq!((said.matches(": Preparing").count(), said.matches(": Pushed").count()), (2, 2), "{said}");
    let digest = digests(&world, &name).pop().expect("it has a digest now");
    assert!(said.contains(&format!("1: digest: {digest} size: ")), "{said}");
    for client in [World::dhow, World::docker] {
        let again = client(&world, &["push", &name]).ok();
        assert_eq!(again.matches(": Layer already exists").count(), 2, "{again}");
        assert!(again.contains(&format!("1: digest: {digest} size: ")), "{again}");
    }
    let other = World::new(DHOW);
    let by_digest = format!("{}@{digest}", registry.name("team/app"));
    other.dhow(&["pull", &by_digest]).exits(0);
    assert_eq!(other.dhow(&["run", "--rm", "--network", "none", &by_digest]).ok(), "20000");
    assert_eq!(world.dhow(&["push", "-q", &name]).ok(), name);
}

#[test]
fn what_was_pulled_keeps_its_digest_and_is_taken_over_within_a_registry() {
    let (world, first, second) = (committed(), Registry::start(), Registry::start());
    world.dhow(&["tag", "made", &first.name("one:1")]).exits(0);
    world.dhow(&["push", &first.name("one:1")]).exits(0);
    let other = World::new(DHOW);
    other.dhow(&["pull", &first.name("one:1")]).exits(0);
    let digest = digests(&other, &first.name("one:1"));
    // Into another repository: nothing is sent.
    other.dhow(&["tag", &first.name("one:1"), &first.name("two/three:1")]).exits(0);
    let said = other.docker(&["push", &first.name("two/three:1")]).ok();
    assert_eq!(said.matches(": Mounted from one").count(), 2, "{said}");
    // Into another registry: everything is sent, as it came.
    other.dhow(&["tag", &first.name("one:1"), &second.name("one:1")]).exits(0);
    let said = other.dhow(&["push", &second.name("one:1")]).ok();
    assert_eq!(said.matches(": Pushed").count(), 2, "{said}");
    assert!(said.contains(&digest[0]), "{said}");
    assert_eq!(digests(&other, &first.name("one:1")), [digest[0].as_str(), &digest[0], &digest[0]]);
}

/// An archive with an image that has one layer twice, in two compressions. Gives the digests of its manifest and of the two
/// blobs.
fn one_layer_in_two_forms(archive: &Path) -> (String, [String; 2]) {
    let folder = archive.with_extension("d");
    fs::create_dir_all(folder.join("blobs/sha256")).expect("made");
    let put = |kind: &str, bytes: &[u8]| {
        let digest = digest(bytes);
        fs::write(folder.join("blobs").join(digest.replace(':', "/")), bytes).expect("written");
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "size": bytes.len(), "digest": digest})
    };
    let tar = busybox_tar();
    let forms = [("gzip", "layer.v1.tar+gzip"), ("zstd", "layer.v1.tar+zstd")].map(|(program, kind)| {
        let packed = finish_with_input(Command::new(program).arg("-c"), tar.clone());
        put(kind, packed.exits(0).stdout_bytes())
    });
    let config = json!({"architecture": architecture(), "os": "linux", "config": {"Cmd": ["echo", "twice"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar), digest(&tar)]}});
    let config = put("config.v1+json", config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": forms});
    let mut manifest = put("manifest.v1+json", manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"io.containerd.image.name": "docker.io/library/twice:1"});
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": [manifest]}).to_string())
        .expect("written");
    finish(Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(&folder).arg(".")).exits(0);
    let name = |descriptor: &Value| descriptor["digest"].as_str().expect("made").to_owned();
    (name(&manifest), forms.each_ref().map(name))
}

/// Two blobs, one diff ID: both are sent, from where they were loaded and from where they were pulled.
#[test]
fn one_layer_in_two_forms_is_sent_in_both() {
    let (loader, puller) = (World::new(DHOW), World::new(DHOW));
    let archive = loader.path().join("twice.tar");
    let (manifest, blobs) = one_layer_in_two_forms(&archive);
    loader.dhow(&["load", "-i", &archive.display().to_string()]).exits(0);
    let registries = [Registry::start(), Registry::start()];
    let [first, second] = registries.each_ref().map(|registry| registry.name("app:1"));
    for (world, from, to) in [(&loader, "twice:1", &first), (&puller, &first, &second)] {
        if world.dhow(&["image", "inspect", from]).code() != 0 {
            world.dhow(&["pull", from]).exits(0);
        }
        world.dhow(&["tag", from, to]).exits(0);
        let said = world.dhow(&["push", to]).ok();
        assert_eq!(said.matches(": Pushed").count(), 2, "{said}");
        assert!(said.contains(&manifest), "{said}");
        let there: Value = serde_json::from_str(&world.dhow(&["manifest", "inspect", to]).ok()).expect("JSON");
        let layers: Vec<&Value> = there["layers"].as_array().expect("layers").iter().map(|it| &it["digest"]).collect();
        assert_eq!(layers, [&blobs[0], &blobs[1]]);
    }
    let last = World::new(DHOW);
    let by_digest = format!("{}@{manifest}", second.trim_end_matches(":1"));
    assert_eq!(last.dhow(&["run", "-q", "--rm", "--network", "none", &by_digest]).ok(), "twice");
}

#[test]
fn the_same_layer_is_compressed_to_the_same_bytes_and_to_zstd_on_request() {
    let (world, first, second) = (committed(), Registry::start(), Registry::start());
    let digest = |registry: &Registry, tag: &str, words: &[&str]| {
        let name = registry.name(tag);
        world.dhow(&["tag", "made", &name]).exits(0);
        let said = world.dhow(&[&["push"], words, &[name.as_str()]].concat()).ok();
        said.split_once("digest: ").expect("it says its digest").1[..71].to_owned()
    };
    assert_eq!(digest(&first, "app:gzip", &[]), digest(&second, "other:gzip", &[]));
    let zstd = digest(&first, "app:zstd", &["--compression", "zstd"]);
    assert_ne!(zstd, digest(&first, "app:gzip", &[]));
    let other = World::new(DHOW);
    let name = first.name("app:zstd");
    assert_eq!(other.dhow(&["run", "--rm", "-q", "--network", "none", &name]).ok(), "20000");
    world.dhow(&["push", "--compression", "xz", &name]).exits(1).says("unknown compression");
}

#[test]
fn all_tags_and_what_cannot_be_pushed() {
    let (world, registry) = (busybox(), Registry::start());
    for tag in ["a", "b"] {
        world.dhow(&["tag", "busybox", &registry.name(&format!("app:{tag}"))]).exits(0);
    }
    for client in [World::dhow, World::docker] {
        let said = client(&world, &["push", "--all-tags", &registry.name("app")]).ok();
        assert!(said.contains("a: digest: sha256:") && said.contains("b: digest: sha256:"), "{said}");
        client(&world, &["push", "-a", &registry.name("app:a")]).exits(1).says("tag can't be used with --all-tags/-a");
        let missing = client(&world, &["push", &registry.name("app:c")]);
        missing.exits(1).says(&format!("tag does not exist: {}", registry.name("app:c")));
        let unknown = client(&world, &["push", &registry.name("nosuch")]);
        unknown.exits(1).says(&format!("An image does not exist locally with the tag: {}", registry.name("nosuch")));
    }
    let other = client_platform();
    world.dhow(&["push", "--platform", &other, &registry.name("app:a")]).exits(1).says("does not match the specified");
    world.dhow(&["tag", "busybox", "127.0.0.1:1/app"]).exits(0);
    world.dhow(&["push", "127.0.0.1:1/app"]).exits(1).says("connection refused");
}

/// A platform that this host is not.
fn client_platform() -> String {
    format!("linux/{}", if cfg!(target_arch = "s390x") { "amd64" } else { "s390x" })
}

#[test]
fn who_may_not_push_is_told_so_and_who_logged_in_may() {
    let (world, registry) = (busybox(), Registry::guarded());
    let name = registry.name("app:1");
    world.dhow(&["tag", "busybox", &name]).exits(0);
    for client in [World::dhow, World::docker] {
        client(&world, &["push", &name]).exits(1).says("no basic auth credentials");
    }
    world.dhow(&["login", "-u", "me", "-p", "secret", &registry.address()]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    assert!(world.docker(&["push", &name]).ok().contains("Layer already exists"));
}

#[test]
fn events_tell_what_moved() {
    let (world, registry) = (busybox(), Registry::start());
    let name = registry.name("app:1");
    world.dhow(&["tag", "busybox", &name]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", &name]).exits(0);
    world.dhow(&["pull", &name]).exits(0);
    let (format, until) = ("{{.Action}} {{.ID}} {{.Actor.Attributes.name}}", crate::events::now());
    let told =
        world.dhow(&["events", "--since", "1h", "--until", &until, "--filter", "type=image", "--format", format]).ok();
    for action in ["push", "pull"] {
        assert!(told.contains(&format!("{action} {name} {}", registry.name("app"))), "{told}");
    }
    assert!(told.contains("untag sha256:"), "{told}");
}
